"""Records follow their subjects and the policies: readable all the time, and nothing of them stays where it may not be."""

import hashlib
import json
import shutil
import threading
import time

import pytest

from conftest import fs_sites
from gateway import ROOT, Gateway

BUCKET = "media-files"
PART = 5 * 1024 * 1024


@pytest.fixture
def policies(tmp_path):
    folder = tmp_path / "policies"
    shutil.copytree(ROOT / "policies", folder)
    return folder


@pytest.fixture
def gateway(tmp_path, policies):
    settings = {"policies": policies, "gc_grace": "1s", "s3": "customer-keys-over-http = true"}
    gateway = Gateway(tmp_path / "gateway", fs_sites(tmp_path / "sites"), **settings).start()
    gateway.client().create_bucket(Bucket=BUCKET)
    yield gateway
    gateway.stop()


def resides(gateway, subject, country):
    body = {"attributes": {"residence": country}}
    status, answer = gateway.admin("PUT", f"/v1/subjects/{subject}", body)
    assert status == 200, answer


def records_at(gateway, site):
    """The blobs at a site that hold data of records: kind 1 in the head."""
    return [name for name, blob in gateway.sites[site].blobs().items() if blob[:8] == b"DOMICILE" and blob[10] == 1]


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


def plan(gateway, *arguments):
    return json.loads(gateway.cli("--json", "policy", "plan", *arguments).stdout)


def stock(gateway, subject):
    """Records of every layout, and their bytes."""
    client = gateway.client()
    bodies = {f"users/{subject}/{number}": f"{subject} {number}".encode() * 100 for number in range(40)}
    bodies[f"users/{subject}/large"] = bytes(range(256)) * 4096 * 9
    for key, body in bodies.items():
        client.put_object(Bucket=BUCKET, Key=key, Body=body)
    parts = [b"a" * PART, b"b" * PART, b"the end"]
    key = f"users/{subject}/parts"
    upload = client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    named = {"Bucket": BUCKET, "Key": key, "UploadId": upload}
    stored = [
        {"PartNumber": number, "ETag": client.upload_part(PartNumber=number, Body=part, **named)["ETag"]}
        for number, part in enumerate(parts, 1)
    ]
    client.complete_multipart_upload(MultipartUpload={"Parts": stored}, **named)
    bodies[key] = b"".join(parts)
    return bodies


class Reader(threading.Thread):
    """Reads everything over and over; an outage of the gateway itself does not count."""

    def __init__(self, gateway, bodies):
        super().__init__(daemon=True)
        self.gateway, self.bodies = gateway, {key: hashlib.sha256(body).digest() for key, body in bodies.items()}
        self.done, self.reads, self.wrong = threading.Event(), 0, []

    def run(self):
        client = self.gateway.client()
        while not self.done.is_set():
            for key, expected in self.bodies.items():
                try:
                    body = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                except Exception as error:  # noqa: BLE001: every failure is a finding
                    self.wrong.append((key, repr(error)))
                    continue
                self.reads += 1
                if hashlib.sha256(body).digest() != expected:
                    self.wrong.append((key, "other bytes"))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()


def test_the_records_of_a_person_who_moves_follow_while_they_are_read(gateway):
    resides(gateway, "amna", "PK")
    resides(gateway, "bilal", "PK")
    bodies = stock(gateway, "amna")
    gateway.client().put_object(Bucket=BUCKET, Key="users/bilal/stays", Body=b"stays")
    staying = len(records_at(gateway, "pk-khi"))
    assert records_at(gateway, "sg-sin") == []
    for country, home, away in [("SG", "sg-sin", "pk-khi"), ("PK", "pk-khi", "sg-sin")]:
        with Reader(gateway, bodies) as reader:
            resides(gateway, "amna", country)
            left = 1 if away == "pk-khi" else 0
            wait_for(lambda away=away, left=left: len(records_at(gateway, away)) == left)
            wait_for(lambda seen=reader.reads: reader.reads > seen + len(bodies))
        assert reader.wrong == []
        assert len(records_at(gateway, home)) == (staying if home == "pk-khi" else staying - 1)
        assert plan(gateway)["moving"]["objects"] == 0
    kinds = [entry["kind"] for entry in gateway.ledger()]
    assert kinds.count("relocated") == 2 * len(bodies)
    assert "domicile_relocation_queue 0" in gateway.admin_raw("GET", "/metrics")[1].decode()


def test_a_move_that_is_killed_goes_on_after_the_start(gateway):
    resides(gateway, "amna", "PK")
    bodies = stock(gateway, "amna")
    resides(gateway, "amna", "SG")
    for _ in range(3):
        wait_for(lambda: records_at(gateway, "sg-sin"))
        gateway.kill()
        gateway.start()
    wait_for(lambda: plan(gateway)["moving"]["objects"] == 0)
    wait_for(lambda: records_at(gateway, "pk-khi") == [])
    client = gateway.client()
    for key, body in bodies.items():
        assert client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body


def test_what_a_changed_policy_is_planned_to_move_is_what_relocate_moves(gateway, policies, tmp_path):
    resides(gateway, "amna", "PK")
    bodies = stock(gateway, "amna")
    changed = tmp_path / "changed"
    shutil.copytree(policies, changed)
    law = changed / "pk-cpoh-2020/policy.toml"
    text = law.read_text().replace('countries = ["PK"]\nkeys = ["PK"]', 'countries = ["SG"]\nkeys = ["SG"]')
    assert text != law.read_text()
    law.write_text(text)
    (changed / "pk-cpoh-2020/cases.toml").unlink()

    thought_of = plan(gateway, "--policies", str(changed))
    total = {"objects": len(bodies), "bytes": sum(map(len, bodies.values()))}
    assert thought_of["moving"] == total
    [way] = thought_of["moves"]
    assert (way["from"], way["to"], way["instruments"]) == (["PK"], ["SG"], ["pk-cpoh-2020"])
    assert way["deadline"] == "2021-01-21"
    assert plan(gateway)["moving"]["objects"] == 0
    status, mistakes = gateway.admin("POST", "/v1/policies/plan", {"policies": {"gateway.toml": "version = 2"}})
    assert status == 422 and mistakes["diagnostics"], mistakes

    shutil.rmtree(policies)
    shutil.copytree(changed, policies)
    gateway.cli("policy", "reload")
    assert plan(gateway) == thought_of
    dry = json.loads(gateway.cli("--json", "relocate", "--dry-run").stdout)
    assert dry["plan"] == thought_of and records_at(gateway, "sg-sin") == []
    one = json.loads(gateway.cli("--json", "relocate", "--bucket", BUCKET, "--prefix", "users/amna/large").stdout)
    rest = json.loads(gateway.cli("--json", "relocate", "--requests-per-second", "50").stdout)
    assert one["progress"]["moved"]["objects"] == 1
    moved = {name: sum(job["progress"]["moved"][name] for job in (one, rest)) for name in total}
    assert moved == total and rest["progress"]["failed"] == 0
    assert plan(gateway)["moving"]["objects"] == 0
    wait_for(lambda: records_at(gateway, "pk-khi") == [])
    client = gateway.client()
    for key, body in bodies.items():
        assert client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
    assert "42 objects" in gateway.cli("policy", "plan").stdout


def test_a_relocation_can_be_called_off(gateway, policies):
    resides(gateway, "amna", "PK")
    stock(gateway, "amna")
    law = policies / "pk-cpoh-2020/policy.toml"
    law.write_text(law.read_text().replace('countries = ["PK"]\nkeys = ["PK"]', 'countries = ["SG"]\nkeys = ["SG"]'))
    (policies / "pk-cpoh-2020/cases.toml").unlink()
    gateway.cli("policy", "reload")
    status, job = gateway.admin("POST", "/v1/relocations", {"requests_per_second": 1})
    assert status == 200, job
    status, job = gateway.admin("DELETE", f"/v1/relocations/{job['id']}")
    assert status == 200, job
    wait_for(lambda: gateway.admin("GET", "/v1/relocations")[1]["relocations"][0]["state"] == "cancelled")
    assert plan(gateway)["moving"]["objects"] > 30
    assert gateway.admin("GET", "/v1/relocations/99")[0] == 404
    assert gateway.admin("POST", "/v1/relocations", {"prefix": "a"})[0] == 400
    assert gateway.admin("POST", "/v1/relocations", {}, role="auditor")[0] == 403


def test_records_under_a_key_of_the_client_move_without_it(gateway):
    resides(gateway, "amna", "PK")
    client, body = gateway.client(), bytes(range(256)) * 4096 * 9
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
    named = {"Bucket": BUCKET, **key}
    client.put_object(Key="users/amna/large", Body=body, **named)
    client.put_object(Key="users/amna/small", Body=b"small", ChecksumAlgorithm="CRC32", **named)
    upload = client.create_multipart_upload(Key="users/amna/parts", **named)["UploadId"]
    part = client.upload_part(Key="users/amna/parts", UploadId=upload, PartNumber=1, Body=body, **named)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(Key="users/amna/parts", UploadId=upload, MultipartUpload=parts, **named)
    for country, away in [("SG", "pk-khi"), ("PK", "sg-sin"), ("SG", "pk-khi")]:
        resides(gateway, "amna", country)
        wait_for(lambda away=away: records_at(gateway, away) == [])
        for name, expected in [("large", body), ("parts", body), ("small", b"small")]:
            found = client.get_object(Key=f"users/amna/{name}", **named)
            assert found["Body"].read() == expected
        ranged = client.get_object(Key="users/amna/large", Range="bytes=8388600-8388700", **named)
        assert ranged["Body"].read() == body[8388600:8388701]
