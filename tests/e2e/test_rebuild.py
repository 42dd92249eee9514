"""The index burns: everything comes back from the sites and the keys."""

import datetime
import hashlib
import json
import random
import shutil
import threading
import time
import urllib.parse
import zlib

import pytest
from botocore.exceptions import ClientError

from conftest import fs_sites
from gateway import ROOT, FsSite, Gateway, S3Site

PK = {"domicile-subject": "u-pk", "domicile-residence": "PK"}
SG = {"domicile-subject": "u-sg", "domicile-residence": "SG"}
UNTIL = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)


def subject(number, country):
    return {"domicile-subject": f"person-{number}", "domicile-residence": country}


def fill(client, name, objects, seed=4):
    """Overwrites, versions, markers, deletions, copies, multiparts, tags, locks."""
    choose = random.Random(seed)
    plain, kept = f"{name}-plain", f"{name}-kept"
    client.create_bucket(Bucket=plain)
    client.create_bucket(Bucket=kept, ObjectLockEnabledForBucket=True)
    client.create_bucket(Bucket=f"{name}-gone")
    client.delete_bucket(Bucket=f"{name}-gone")
    client.put_bucket_tagging(Bucket=plain, Tagging={"TagSet": [{"Key": "of", "Value": "tests"}]})
    rules = [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3000}}]
    client.put_bucket_lifecycle_configuration(Bucket=plain, LifecycleConfiguration={"Rules": rules})
    for number in range(objects):
        country = choose.choice(["PK", "SG"])
        bucket = choose.choice([plain, kept])
        key = f"{choose.choice('abc')}/ключ {choose.randrange(objects // 2 + 1)}"
        body = choose.randbytes(choose.choice([0, 1, 700, 70_000]))
        roll = choose.random()
        if roll < 0.12:
            client.delete_object(Bucket=bucket, Key=key)
        elif roll < 0.2:
            client.put_object(Bucket=bucket, Key=key, Body=body, Metadata=SG)
        else:
            client.put_object(
                Bucket=bucket,
                Key=key,
                Body=body,
                Metadata={**subject(choose.randrange(20), country), "n": str(number)},
                ContentType="text/plain",
                Tagging="first=1",
                ChecksumAlgorithm="SHA256",
            )
            if roll < 0.4:
                tags = [{"Key": "later", "Value": str(number)}]
                client.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": tags})
            elif roll < 0.5:
                source = {"Bucket": bucket, "Key": key}
                client.copy_object(Bucket=bucket, Key=key + " copy", CopySource=source)
            elif roll < 0.55 and bucket == kept:
                client.put_object_legal_hold(Bucket=bucket, Key=key, LegalHold={"Status": "ON"})
            elif roll < 0.6 and bucket == kept:
                retention = {"Mode": "GOVERNANCE", "RetainUntilDate": UNTIL}
                client.put_object_retention(Bucket=bucket, Key=key, Retention=retention)
    for bucket in (plain, kept):
        upload = client.create_multipart_upload(Bucket=bucket, Key="large", Metadata=PK)["UploadId"]
        parts = []
        for number, size in ((1, 9 << 20), (3, 5 << 20), (7, 17)):
            part = client.upload_part(
                Bucket=bucket, Key="large", UploadId=upload, PartNumber=number, Body=choose.randbytes(size)
            )
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        client.complete_multipart_upload(
            Bucket=bucket, Key="large", UploadId=upload, MultipartUpload={"Parts": parts}
        )
    client.put_object(Bucket=plain, Key="twelve", Body=choose.randbytes(12 << 20), Metadata=SG)
    upload = client.create_multipart_upload(Bucket=plain, Key="open", Metadata=PK)["UploadId"]
    client.upload_part(Bucket=plain, Key="open", UploadId=upload, PartNumber=2, Body=b"unfinished" * 1000)


def attempt(call, *wanted):
    """The named fields of an answer, or the error's code."""
    try:
        answer = call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return {name: answer.get(name) for name in wanted}


def chosen(key, version, one_in):
    """Whether a version is in the sample of one in so many; the same ones each time."""
    return zlib.crc32(f"{key} {version}".encode()) % one_in == 0


def audited(gateway, name):
    """Every version's row as an auditor reads it: placement, copies, key, size, times."""
    rows, cursor = [], ""
    while True:
        status, page = gateway.admin("GET", f"/v1/records?limit=1000{cursor}", role="auditor")
        assert status == 200, page
        rows += [row for row in page["records"] if row["bucket"].startswith(name)]
        if not page.get("cursor"):
            return sorted(json.dumps(row, sort_keys=True) for row in rows)
        cursor = f"&cursor={urllib.parse.quote(page['cursor'])}"


def world(gateway, name, one_in=1):
    """Everything that a client and an auditor can see of the buckets; of one in so many versions also bytes, headers, tags and locks."""
    client = gateway.client()
    seen = {}
    for bucket in sorted(b["Name"] for b in client.list_buckets()["Buckets"] if b["Name"].startswith(name)):
        facts = seen[bucket] = {}
        facts["tags"] = attempt(lambda: client.get_bucket_tagging(Bucket=bucket), "TagSet")
        facts["versioning"] = attempt(lambda: client.get_bucket_versioning(Bucket=bucket), "Status")
        facts["lock"] = attempt(
            lambda: client.get_object_lock_configuration(Bucket=bucket), "ObjectLockConfiguration"
        )
        facts["lifecycle"] = attempt(lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket), "Rules")
        facts["keys"] = [
            item["Key"]
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            for item in page.get("Contents", [])
        ]
        for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            where = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            listed = client.list_parts(**where)["Parts"]
            facts[f"upload {upload['Key']}"] = (upload["UploadId"], upload["Initiated"], listed)
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for marker in page.get("DeleteMarkers", []):
                facts[marker["Key"], marker["VersionId"]] = ("marker", marker["LastModified"], marker["IsLatest"])
            for version in page.get("Versions", []):
                if not chosen(version["Key"], version["VersionId"], one_in):
                    facts[version["Key"], version["VersionId"]] = version
                    continue
                where = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
                got = client.get_object(**where, ChecksumMode="ENABLED")
                headers = {
                    header: value
                    for header, value in got["ResponseMetadata"]["HTTPHeaders"].items()
                    if header not in ("date", "x-amz-request-id", "x-amz-id-2", "server")
                }
                facts[version["Key"], version["VersionId"]] = (
                    version["IsLatest"],
                    headers,
                    hashlib.sha256(got["Body"].read()).hexdigest(),
                    attempt(lambda: client.get_object_tagging(**where), "TagSet"),
                    attempt(lambda: client.get_object_legal_hold(**where), "LegalHold"),
                    attempt(lambda: client.get_object_retention(**where), "Retention"),
                )
    status, records = gateway.admin("GET", "/v1/residency/summary", role="auditor")
    seen["summary"] = (status, records)
    seen["records"] = audited(gateway, name)
    return seen


def burn(gateway):
    """Takes the index away for good."""
    shutil.rmtree(gateway.folder / "data" / "index")


def rebuild(gateway, *more, check=True):
    done = gateway.cli("--json", "index", "rebuild", "--config", str(gateway.config_file), *more, check=check)
    return json.loads(done.stdout) if done.stdout.strip() else done


def pieces(gateway):
    """The pieces of the journal, without the keys at its front."""
    names = [name for site in gateway.sites.values() for name in site.everything()]
    return {name for name in names if name.startswith("j1/") and not name.startswith("j1/0000000000000000-")}


def settle(gateway):
    """Until the sites have been told of everything."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        status, text = gateway.admin_raw("GET", "/metrics", role="operator")
        lags = [line.split()[-1] for line in text.decode().splitlines() if line.startswith("domicile_journal_lag")]
        if lags and all(float(lag) == 0 for lag in lags):
            return
        time.sleep(0.2)
    raise AssertionError("the journal does not catch up")


@pytest.fixture(params=["fs", "seaweed"])
def three_countries(request, tmp_path):
    """A gateway over folders, then over real S3 servers, that keeps buckets `…-de` in a third country."""
    policies = tmp_path / "policies"
    shutil.copytree(ROOT / "policies", policies)
    text = (policies / "gateway.toml").read_text()
    rule = 'buckets = { "static-*" = ["SG"] }'
    assert rule in text
    (policies / "gateway.toml").write_text(text.replace(rule, 'buckets = { "static-*" = ["SG"], "*-de" = ["DE"] }'))
    if request.param == "fs":
        sites = [*fs_sites(tmp_path / "sites"), FsSite("de-fra", "DE", tmp_path / "sites" / "de-fra")]
    else:
        servers = request.getfixturevalue("seaweeds")
        unique = f"{abs(hash(tmp_path)) % 10**8:08}"
        where = {"PK": "PK", "SG": "SG", "DE": "SG"}
        sites = [S3Site(f"{country.lower()}-{unique}", country, servers[at]) for country, at in where.items()]
    running = Gateway(tmp_path / "gateway", sites, policies=policies).start()
    running.wait_for_sites()
    yield running
    running.stop()


def fill_third(client, bucket, objects):
    """Data of nobody, in the third country: overwritten, copied, deleted."""
    client.create_bucket(Bucket=bucket)
    for number in range(objects):
        client.put_object(Bucket=bucket, Key=f"{number % (objects // 2 + 1)}", Body=f"{number}".encode() * 300)
    client.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": "1"})
    client.delete_object(Bucket=bucket, Key="0")


def test_everything_comes_back_after_a_crash_without_an_index(three_countries, full):
    anywhere = three_countries
    client = anywhere.client()
    fill_third(client, "all-de", 2000 if full else 40)
    anywhere.admin("PUT", "/v1/subjects/u-9", {"attributes": {"residence": "PK"}})
    fill(client, "all", 20_000 if full else 300)
    assert all(site.blobs() for site in anywhere.sites.values())
    time.sleep(2.5)
    settle(anywhere)
    one_in = 20 if full else 1
    before, ledger = world(anywhere, "all", one_in), anywhere.ledger()
    time.sleep(2.5)
    settle(anywhere)
    anywhere.kill()
    burn(anywhere)

    told = pieces(anywhere)
    dry = rebuild(anywhere, "--dry-run")["report"]
    assert not (anywhere.folder / "data" / "index").exists()
    found = rebuild(anywhere)
    assert not found["gap"], found
    assert found["report"]["records"] == dry["records"] and dry["dry-run"]
    assert found["report"]["unreadable"] == [] and found["report"]["adopted"]["unreadable"] == []
    assert found["report"]["adopted"]["records"] == 0

    anywhere.start()
    after = world(anywhere, "all", one_in)
    assert after.keys() == before.keys()
    for bucket in before:
        assert after[bucket] == before[bucket]
    assert anywhere.admin("GET", "/v1/subjects/u-9")[1]["attributes"] == {"residence": "PK"}
    now = anywhere.ledger()
    assert now[: len(ledger)] == ledger
    assert [entry for entry in now[len(ledger) :] if entry["kind"] == "index-rebuilt"]
    # A new index tells everything again, after which the old pieces go; a second loss is as harmless as the first.
    deadline = time.monotonic() + 60
    while pieces(anywhere) & told and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not pieces(anywhere) & told
    settle(anywhere)
    anywhere.stop()
    burn(anywhere)
    again = rebuild(anywhere)["report"]
    assert again["adopted"]["records"] == 0 and again["records"] == found["report"]["records"]
    anywhere.start()
    after = world(anywhere, "all", one_in)
    for bucket in before:
        assert after[bucket] == before[bucket]

    # It goes on as before: new versions are newer, holds hold, deleted stays deleted.
    newest = client.put_object(Bucket="all-kept", Key="large", Body=b"new", Metadata=PK)["VersionId"]
    listed = client.list_object_versions(Bucket="all-kept", Prefix="large")["Versions"]
    assert listed[0]["VersionId"] == newest and listed[0]["IsLatest"]


def test_what_the_journal_never_heard_of_is_taken_in(make_gateway):
    gateway = make_gateway()
    client = gateway.client()
    client.create_bucket(Bucket="late")
    client.put_object(Bucket="late", Key="known", Body=b"known", Metadata=PK)
    client.put_object(Bucket="late", Key="over", Body=b"one", Metadata=PK)
    time.sleep(1.5)
    settle(gateway)
    told = {name: set(site.everything()) for name, site in gateway.sites.items()}
    client.put_object(Bucket="late", Key="over", Body=b"two", Metadata=PK)
    client.put_object(Bucket="late", Key="new", Body=b"new" * 4_000_000, Metadata=SG)
    client.put_object(Bucket="late", Key="person", Body=b"hers", Metadata=subject(77, "PK"))
    gateway.kill()
    burn(gateway)
    # Whatever the journal may have been told meanwhile is taken from it again.
    for name, site in gateway.sites.items():
        for blob in set(site.everything()) - told[name]:
            if blob.startswith("j1/"):
                site.remove(blob)
    found = rebuild(gateway)["report"]
    assert found["adopted"]["records"] == 3 and found["adopted"]["subject-keys"] >= 1, found
    gateway.start()
    bodies = {key: client.get_object(Bucket="late", Key=key)["Body"].read() for key in ("known", "over", "new", "person")}
    assert bodies == {"known": b"known", "over": b"two", "new": b"new" * 4_000_000, "person": b"hers"}
    time.sleep(1.5)
    settle(gateway)
    # What was taken in has been told to the sites by now.
    gateway.kill()
    burn(gateway)
    assert rebuild(gateway)["report"]["adopted"]["records"] == 0
    gateway.start()
    assert client.get_object(Bucket="late", Key="over")["Body"].read() == b"two"


def test_what_had_just_moved_is_found_where_it_went(make_gateway):
    """The country that a record came to had not been told when everything was lost; the one that it left had."""
    gateway = make_gateway()
    client = gateway.client()
    client.create_bucket(Bucket="moved")
    gateway.admin("PUT", "/v1/subjects/amna", {"attributes": {"residence": "SG"}})
    body = b"hers" * 3_000_000
    client.put_object(Bucket="moved", Key="users/amna/a", Body=body, Metadata={"domicile-subject": "amna"})
    time.sleep(1.5)
    settle(gateway)
    home, abroad = gateway.sites["pk-khi"], gateway.sites["sg-sin"]
    told = set(home.everything())
    gateway.admin("PUT", "/v1/subjects/amna", {"attributes": {"residence": "PK"}})
    deadline = time.monotonic() + 60
    while [copy["country"] for copy in where(gateway, "moved", "users/amna/a")] != ["PK"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(1.5)
    settle(gateway)
    gateway.kill()
    burn(gateway)
    for blob in set(home.everything()) - told:
        if blob.startswith("j1/"):
            home.remove(blob)
    found = rebuild(gateway, check=False)["report"]
    assert found["adopted"]["records"] == 1, found
    assert [chain["country"] for chain in found["chains"] if chain["reaches"] < chain["known"]] == ["PK"], "which is said"
    gateway.start()
    assert client.get_object(Bucket="moved", Key="users/amna/a")["Body"].read() == body
    assert [copy["country"] for copy in where(gateway, "moved", "users/amna/a")] == ["PK"]
    assert abroad.blobs()


def where(gateway, bucket, key):
    status, body = gateway.admin("GET", f"/v1/record?bucket={bucket}&key={key}", role="auditor")
    assert status == 200, body
    return body["versions"][0]["copies"]


def test_what_was_deleted_does_not_come_back_whenever_it_is_killed(make_gateway, full):
    """Deletes that were answered stay deleted; writes that were answered are there."""
    gateway = make_gateway(gc_grace="1h")
    client = gateway.client()
    client.create_bucket(Bucket="media")
    for turn in range(6 if full else 2):
        answered, unsure, stop = {}, set(), threading.Event()

        def write(worker):
            choose = random.Random(turn * 10 + worker)
            own = gateway.client()
            while not stop.is_set():
                key = f"{worker}-{choose.randrange(12)}"
                body = choose.randbytes(choose.randrange(1, 3000))
                try:
                    unsure.add(key)
                    if choose.random() < 0.4:
                        own.delete_object(Bucket="media", Key=key)
                        answered[key] = None
                    else:
                        own.put_object(Bucket="media", Key=key, Body=body, Metadata=choose.choice([PK, SG]))
                        answered[key] = body
                    unsure.discard(key)
                except Exception:
                    return

        writers = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
        [writer.start() for writer in writers]
        time.sleep(3 + turn * 0.37)
        gateway.kill()
        stop.set()
        [writer.join() for writer in writers]
        burn(gateway)
        found = rebuild(gateway, check=False)
        assert found["report"]["unreadable"] == []
        gateway.start()
        for key, body in answered.items():
            if key in unsure:
                continue
            try:
                got = client.get_object(Bucket="media", Key=key)["Body"].read()
            except ClientError as error:
                assert error.response["Error"]["Code"] == "NoSuchKey", (key, error)
                got = None
            assert got == body, (turn, key, None if got is None else len(got), None if body is None else len(body))


def test_a_rebuild_says_what_it_cannot_do(make_gateway):
    gateway = make_gateway()
    client = gateway.client()
    client.create_bucket(Bucket="media")
    for number in range(5):
        client.put_object(Bucket="media", Key=f"pk-{number}", Body=b"x", Metadata=PK)
        client.put_object(Bucket="media", Key=f"sg-{number}", Body=b"x", Metadata=SG)
        time.sleep(1)
    running = gateway.cli("index", "rebuild", "--config", str(gateway.config_file), check=False)
    assert running.returncode == 1 and "another gateway uses" in running.stderr
    gateway.stop()
    burn(gateway)
    pk = gateway.sites["pk-khi"]
    pieces = sorted(name for name in pk.everything() if name.startswith("j1/0000") and "j1/0000000000000000" not in name)
    whole = {name: pk.everything()[name] for name in pieces}

    # One bit of a piece in the middle, and the last piece.
    bad = bytearray(whole[pieces[1]])
    bad[len(bad) // 2] ^= 1
    pk.write(pieces[1], bytes(bad))
    pk.remove(pieces[-1])
    done = gateway.cli("--json", "index", "rebuild", "--config", str(gateway.config_file), check=False)
    assert done.returncode == 1
    report = json.loads(done.stdout)["report"]
    assert [pieces[1] in line for line in report["unreadable"]] == [True]
    chains = {chain["country"]: chain for chain in report["chains"]}
    assert chains["PK"]["reaches"] < chains["PK"]["known"] and chains["SG"]["reaches"] == chains["SG"]["known"]

    # A piece of one country does not pass for one of the other; a site that is away is named.
    for name in (pieces[1], pieces[-1]):
        pk.write(name, whole[name])
    gateway.sites["sg-sin"].write(pieces[2], whole[pieces[2]])
    done = gateway.cli("--json", "index", "rebuild", "--config", str(gateway.config_file), check=False)
    assert [pieces[2] in line for line in json.loads(done.stdout)["report"]["unreadable"]] == [True]
    gateway.sites["sg-sin"].remove(pieces[2])
    pk.stop()
    try:
        away = gateway.cli("index", "rebuild", "--config", str(gateway.config_file), check=False)
        assert away.returncode in (1, 3) and "pk-khi" in away.stderr
    finally:
        pk.start()
    rebuild(gateway)
    gateway.start()
    assert len(client.list_objects_v2(Bucket="media")["Contents"]) == 10
