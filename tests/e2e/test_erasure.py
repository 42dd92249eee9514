"""Country keys are renewed and subjects erased: what goes stays gone, also for old copies of the sites, and what stays can be read."""

import datetime
import json
import shutil
import time

import pytest
from botocore.exceptions import ClientError

from test_rebuild import burn, rebuild, settle

PK = {"domicile-subject": "u-pk", "domicile-residence": "PK"}
SG = {"domicile-subject": "u-sg", "domicile-residence": "SG"}
FAR = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)
KEY = b"k" * 32


def of(person, country="PK"):
    return {"domicile-subject": person, "domicile-residence": country}


def code(call):
    """The error's code; None when it succeeds."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def listed(client):
    return [item["Key"] for item in client.list_objects_v2(Bucket="media").get("Contents", [])]


def versions(gateway):
    return {key["id"]: {v["id"]: v["state"] for v in key["versions"]} for key in gateway.admin("GET", "/v1/keys")[1]["keys"]}


def erase(gateway, person, *more, check=True):
    done = gateway.cli("--json", "subject", "erase", person, "--yes", *more, check=check)
    return json.loads(done.stdout) if done.returncode == 0 else done


def copy_sites(gateway, to):
    for name, site in gateway.sites.items():
        shutil.copytree(site.folder, to / name)


def restore_missing(gateway, copy):
    """Puts every blob of an old copy back that is not there any more, the journal's too; answers with how many."""
    restored = 0
    for name, site in gateway.sites.items():
        for old in (copy / name).rglob("*"):
            there = site.folder / old.relative_to(copy / name)
            if old.is_file() and not there.exists():
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(old, there)
                restored += 1
    return restored


def test_keys_are_renewed_while_nothing_is_written_again(make_gateway):
    gateway = make_gateway()
    client = gateway.client()
    client.create_bucket(Bucket="media")
    for number in range(12):
        client.put_object(Bucket="media", Key=f"k{number}", Body=b"x" * number, Metadata=of(f"p{number % 4}"))
    settle(gateway)
    data = {name: blob for name, blob in gateway.sites["pk-khi"].blobs().items() if not name.startswith("domicile-site")}
    said = gateway.cli("keys", "rotate", "pk").stdout
    assert "version 2 is new" in said, said
    assert versions(gateway)["pk"] == {"2": "primary", "1": "decrypt-only"}
    assert versions(gateway)["sg"] == {"1": "primary"}
    now = gateway.sites["pk-khi"].blobs()
    assert all(now[name] == blob for name, blob in data.items()), "what is wrapped by the old version stays for the grace"
    job = json.loads(gateway.cli("--json", "keys", "rotate", "pk", "--destroy-old").stdout)
    assert job["progress"]["destroyed"] == [1, 2] and job["progress"]["failed"] == 0, job
    assert versions(gateway)["pk"] == {"3": "primary", "2": "destroyed", "1": "destroyed"}
    kinds = [entry["kind"] for entry in gateway.ledger()]
    assert kinds.count("key-rotated") == 2 and kinds.count("key-destroyed") == 2 and "key-rewrapped" in kinds
    assert gateway.cli("keys", "rotate", "nowhere", check=False).returncode == 1
    assert gateway.admin("POST", "/v1/keys/pk/rotate", role="auditor")[0] == 403

    # The sites and the keyring of now are enough, with the old wrappings still beside the new ones.
    client.put_object(Bucket="media", Key="late", Body=b"late", Metadata=of("new"))
    settle(gateway)
    gateway.kill()
    burn(gateway)
    found = rebuild(gateway)
    assert not found["gap"] and found["report"]["unreadable"] == [], found
    assert found["report"]["records"] + found["report"]["adopted"]["records"] == 13, found
    gateway.start()
    for number in range(12):
        assert client.get_object(Bucket="media", Key=f"k{number}")["Body"].read() == b"x" * number
    assert client.get_object(Bucket="media", Key="late")["Body"].read() == b"late"
    client.put_object(Bucket="media", Key="k0", Body=b"again", Metadata=of("p0"))


def test_old_copies_stay_shut_and_a_rebuild_brings_nothing_back(make_gateway, tmp_path):
    gateway = make_gateway(s3="customer-keys-over-http = true")
    client = gateway.client()
    client.create_bucket(Bucket="media")
    client.put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Enabled"})
    gateway.admin("PUT", "/v1/subjects/ali", {"attributes": {"residence": "PK"}})
    for body in (b"one", b"two"):
        client.put_object(Bucket="media", Key="ali/a", Body=body, Metadata={**of("ali"), "secret-note": "only his"})
    client.put_object(Bucket="media", Key="ali/large", Body=b"l" * (9 << 20), Metadata=of("ali"))
    sse = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
    client.put_object(Bucket="media", Key="ali/sse", Body=b"under his key", Metadata=of("ali"), **sse)
    client.delete_object(Bucket="media", Key="ali/a")
    upload = client.create_multipart_upload(Bucket="media", Key="ali/open", Metadata=of("ali"))["UploadId"]
    client.upload_part(Bucket="media", Key="ali/open", UploadId=upload, PartNumber=1, Body=b"part" * 1000)
    for person, country in (("amna", "PK"), ("lee", "SG")):
        client.put_object(Bucket="media", Key=f"{person}/a", Body=person.encode(), Metadata=of(person, country))
    settle(gateway)
    copy_sites(gateway, tmp_path / "copy")

    erasure = erase(gateway, "ali", "--now", "--wait")
    assert erasure["state"] == "complete" and "step" not in erasure, erasure
    listed = client.list_object_versions(Bucket="media")
    assert sorted(v["Key"] for v in listed["Versions"]) == ["amna/a", "lee/a"] and "DeleteMarkers" not in listed
    assert "Uploads" not in client.list_multipart_uploads(Bucket="media")
    assert code(lambda: client.get_object(Bucket="media", Key="ali/large")) == "NoSuchKey"
    assert gateway.admin("GET", "/v1/subjects/ali")[0] == 404
    assert gateway.admin("GET", "/v1/records?subject=ali", role="auditor")[1]["records"] == []
    assert [one["id"] for one in gateway.admin("GET", "/v1/erasures", role="auditor")[1]["erasures"]] == [erasure["id"]]
    for person in ("amna", "lee"):
        assert client.get_object(Bucket="media", Key=f"{person}/a")["Body"].read() == person.encode()
    states = versions(gateway)
    assert states["pk"] == {"2": "primary", "1": "destroyed"}, states
    entries = gateway.ledger()
    [accepted] = [entry for entry in entries if entry["kind"] == "erasure-accepted"]
    [complete] = [entry for entry in entries if entry["kind"] == "erasure-complete"]
    assert accepted["erasure"] == complete["erasure"] == erasure["id"]
    assert "subject" not in accepted and "subject" not in complete

    # Whoever has a copy of the sites has his data and his wrapped keys; back at their places they open nothing.
    settle(gateway)
    gateway.stop()
    burn(gateway)
    assert restore_missing(gateway, tmp_path / "copy") > 5
    found = rebuild(gateway, check=False)["report"]
    assert found["adopted"]["records"] == 0 and found["records"] == 2, found
    gateway.start()
    listed = client.list_object_versions(Bucket="media")
    assert sorted(v["Key"] for v in listed["Versions"]) == ["amna/a", "lee/a"] and "DeleteMarkers" not in listed
    for person in ("amna", "lee"):
        assert client.get_object(Bucket="media", Key=f"{person}/a")["Body"].read() == person.encode()
    assert gateway.admin("GET", f"/v1/erasures/{erasure['id']}", role="legal")[1]["state"] == "complete"
    # He may come back.
    client.put_object(Bucket="media", Key="ali/a", Body=b"new", Metadata=of("ali"))
    assert client.get_object(Bucket="media", Key="ali/a")["Body"].read() == b"new"


def test_what_is_held_is_not_erased(make_gateway):
    gateway = make_gateway()
    client = gateway.client()
    client.create_bucket(Bucket="kept", ObjectLockEnabledForBucket=True)
    client.put_object(Bucket="kept", Key="a", Body=b"a", Metadata=PK)
    held = client.put_object(Bucket="kept", Key="b", Body=b"b", Metadata=PK)["VersionId"]
    client.delete_object(Bucket="kept", Key="b")
    client.put_object_legal_hold(Bucket="kept", Key="b", VersionId=held, LegalHold={"Status": "ON"})
    refused = erase(gateway, "u-pk", check=False)
    assert refused.returncode == 1
    assert refused.stderr.strip() == "domicile: a hold or retention stands; nothing was erased"
    assert client.get_object(Bucket="kept", Key="a")["Body"].read() == b"a"
    client.put_object_legal_hold(Bucket="kept", Key="b", VersionId=held, LegalHold={"Status": "OFF"})
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=4)
    client.put_object_retention(Bucket="kept", Key="a", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": soon})
    assert erase(gateway, "u-pk", check=False).returncode == 1
    time.sleep(5)
    assert erase(gateway, "u-pk")["state"] == "pending"
    assert "Versions" not in client.list_object_versions(Bucket="kept")
    outcomes = [entry["outcome"] for entry in gateway.ledger() if entry["kind"] == "erasure-accepted"]
    assert outcomes == [{"refused": {"code": "Held"}}] * 2 + ["ok"]
    assert erase(gateway, "nobody", check=False).returncode == 1
    # Whoever does not sit at a terminal has to say that it is meant.
    assert gateway.cli("subject", "erase", "u-pk", check=False).returncode == 2
    for role in ("auditor", "policy-admin", "legal"):
        assert gateway.admin("POST", "/v1/subjects/u-sg/erase", role=role)[0] == 403


@pytest.mark.parametrize("pause", [0.0, 0.15, 0.4])
def test_an_erasure_that_a_kill_breaks_off_goes_on_by_itself(make_gateway, pause):
    gateway = make_gateway()
    client = gateway.client()
    client.create_bucket(Bucket="media")
    for number in range(150):
        client.put_object(Bucket="media", Key=f"ali/{number}", Body=b"x", Metadata=of("ali"))
    client.put_object(Bucket="media", Key="amna", Body=b"hers", Metadata=of("amna"))
    settle(gateway)
    connection_died = False
    import threading

    def order():
        nonlocal connection_died
        try:
            gateway.admin("POST", "/v1/subjects/ali/erase", {"now": True})
        except OSError:
            connection_died = True

    ordering = threading.Thread(target=order)
    ordering.start()
    while not any(entry["kind"] == "erasure-accepted" for entry in gateway.ledger()):
        time.sleep(0.02)
    time.sleep(pause)
    gateway.kill()
    ordering.join()
    gateway.start()
    deadline = time.monotonic() + 60
    state = None
    while state != "complete" and time.monotonic() < deadline:
        time.sleep(0.2)
        [erasure] = gateway.admin("GET", "/v1/erasures")[1]["erasures"]
        state = erasure["state"]
    assert state == "complete", gateway.log()[-3000:]
    assert [item["Key"] for item in client.list_objects_v2(Bucket="media")["Contents"]] == ["amna"]
    assert client.get_object(Bucket="media", Key="amna")["Body"].read() == b"hers"
    assert versions(gateway)["pk"]["1"] == "destroyed"


def test_a_rebuild_in_the_middle_of_an_erasure_goes_on_with_it(make_gateway, tmp_path):
    gateway = make_gateway(extra='[erasure]\nwithin = "1h"')
    client = gateway.client()
    client.create_bucket(Bucket="media")
    client.put_object(Bucket="media", Key="ali", Body=b"his", Metadata=of("ali"))
    client.put_object(Bucket="media", Key="amna", Body=b"hers", Metadata=of("amna"))
    settle(gateway)
    copy_sites(gateway, tmp_path / "copy")
    erasure = erase(gateway, "ali")
    assert erasure["state"] == "pending" and erasure["step"] == "keys", erasure
    gateway.kill()
    burn(gateway)
    # His key still opens with the keyring of now: the rebuild must know that it is not to be taken in.
    restore_missing(gateway, tmp_path / "copy")
    found = rebuild(gateway, check=False)["report"]
    assert found["adopted"]["records"] == 0 and found["adopted"]["subject-keys"] == 0, found
    gateway.start()
    assert code(lambda: client.get_object(Bucket="media", Key="ali")) == "NoSuchKey"
    # The sweep may not have reached the journal; then it comes again.
    deadline = time.monotonic() + 20
    while listed(client) != ["amna"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert listed(client) == ["amna"]
    assert gateway.admin("GET", f"/v1/erasures/{erasure['id']}")[1]["state"] == "pending"
    # Somebody who rotates by hand need not wait either.
    client.put_object(Bucket="media", Key="lee", Body=b"his", Metadata=of("lee", "SG"))
    assert erase(gateway, "lee", "--now", "--wait")["state"] == "complete"
    assert gateway.admin("GET", f"/v1/erasures/{erasure['id']}")[1]["state"] == "complete", "they share the work"
    assert client.get_object(Bucket="media", Key="amna")["Body"].read() == b"hers"


def test_one_key_with_versions_of_two_people(make_gateway):
    gateway = make_gateway()
    client = gateway.client()
    client.create_bucket(Bucket="media")
    client.put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Enabled"})
    for key in ("over", "gone"):
        client.put_object(Bucket="media", Key=key, Body=b"hers", Metadata=of("amna"))
        client.put_object(Bucket="media", Key=key, Body=b"his", Metadata=of("ali"))
    client.delete_object(Bucket="media", Key="gone")
    client.put_object(Bucket="media", Key="his", Body=b"his", Metadata=of("ali"))
    for _ in range(230):
        client.delete_object(Bucket="media", Key="his")
    erase(gateway, "ali")
    assert client.get_object(Bucket="media", Key="over")["Body"].read() == b"hers"
    # What hides her version stays, or it would come back; what hides nothing tells his key, and goes.
    assert code(lambda: client.get_object(Bucket="media", Key="gone")) == "NoSuchKey"
    versions = client.list_object_versions(Bucket="media")
    assert sorted(version["Key"] for version in versions["Versions"]) == ["gone", "over"]
    assert [marker["Key"] for marker in versions["DeleteMarkers"]] == ["gone"]
    held = [v["VersionId"] for v in versions["Versions"] if v["Key"] == "gone"]
    assert client.get_object(Bucket="media", Key="gone", VersionId=held[0])["Body"].read() == b"hers"
