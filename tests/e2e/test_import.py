"""A plain bucket at a real S3 server is brought under the gateway."""

import hashlib
import json
import random
import subprocess
import time

import pytest

from conftest import fs_sites
from gateway import ACCESS_KEY, BINARY, SECRET_KEY, TOKENS, Gateway

PART = 5 * 1024 * 1024
SECRET = b"do not show this to anybody"


class Source:
    """A bucket of plain objects."""

    def __init__(self, server, bucket):
        self.server, self.bucket, self.client = server, bucket, server.client()
        self.client.create_bucket(Bucket=bucket)
        self.bodies = {}

    def put(self, key, body, **described):
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body, **described)
        self.bodies[key] = body

    def put_parts(self, key, parts, **described):
        named = {"Bucket": self.bucket, "Key": key}
        upload = self.client.create_multipart_upload(**named, **described)["UploadId"]
        stored = [
            {"PartNumber": n, "ETag": self.client.upload_part(PartNumber=n, UploadId=upload, Body=part, **named)["ETag"]}
            for n, part in enumerate(parts, 1)
        ]
        self.client.complete_multipart_upload(UploadId=upload, MultipartUpload={"Parts": stored}, **named)
        self.bodies[key] = b"".join(parts)

    def keys(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {item["Key"] for page in pages for item in page.get("Contents", [])}


@pytest.fixture
def source(seaweeds, tmp_path):
    return Source(seaweeds["SG"], f"plain-{abs(hash(tmp_path)) % 10**8:08}")


@pytest.fixture
def gateway(source, tmp_path, monkeypatch):
    monkeypatch.setenv("OLD_ACCESS_KEY_ID", source.server.access_key)
    monkeypatch.setenv("OLD_SECRET_ACCESS_KEY", source.server.secret_key)
    table = (
        f'[[source]]\nid = "old"\nendpoint = "{source.server.endpoint}"\nregion = "us-east-1"\n'
        f'buckets = ["plain-*", "domicile-*"]\ncredentials-env = "OLD"\n'
    )
    gateway = Gateway(tmp_path / "gateway", fs_sites(tmp_path / "sites"), extra=table, gc_grace="1s").start()
    gateway.client().create_bucket(Bucket="media")
    for person, country in [("ali", "PK"), ("wei", "SG")]:
        status, answer = gateway.admin("PUT", f"/v1/subjects/{person}", {"attributes": {"residence": country}})
        assert status == 200, answer
    yield gateway
    gateway.stop()


def do_import(gateway, source, *arguments, prefix="", to="media"):
    """The exit code, and the job as the command prints it."""
    command = ["--json", "import", f"s3://{source.bucket}/{prefix}", "--source", "old", "--to", to, *arguments]
    done = gateway.cli(*command, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def counts(job):
    names = ("objects", "imported", "present", "refused", "conflicts", "failed", "deleted", "kept")
    found = {name: job["progress"][name]["objects"] for name in names}
    return {name: count for name, count in found.items() if count}


def left(job):
    return {(item["key"], item["why"]) for item in job["progress"]["left"]}


def blobs_hold_no_plaintext(gateway, text):
    for site in gateway.sites.values():
        for name, data in site.raw().items():
            assert text not in data, f"{site.name}: {name}"


def stock(source):
    """Objects of two people, of every kind; and one of nobody."""
    noise = random.Random(7).randbytes(20_000_000)
    source.put("users/ali/text", SECRET, ContentType="text/plain", CacheControl="max-age=7", Metadata={"color": "green"})
    source.put("users/ali/tagged", SECRET, Tagging="a=b&c=d%20e")
    source.put("users/ali/empty", b"")
    source.put("users/ali/پاکستان + ü?%41", SECRET + b"unicode")
    source.put("users/wei/large", noise)
    source.put_parts("users/ali/parts", [noise[:PART], noise[PART : 2 * PART + 17], SECRET * 10], Metadata={"m": "n"})
    source.put("loose/1", SECRET + b"1")
    source.put("loose/2", SECRET + b"2", Metadata={"domicile-subject": "wei"})
    source.put("loose/3", SECRET + b"3", Tagging="subject=ali")


def test_everything_comes_as_it_was_where_it_belongs(gateway, source):
    stock(source)
    code, plan = do_import(gateway, source, "--dry-run")
    assert code == 1 and counts(plan) == {"objects": 9, "imported": 8, "refused": 1}, plan["progress"]
    assert "Contents" not in gateway.client().list_objects_v2(Bucket="media")

    code, job = do_import(gateway, source)
    assert code == 1 and left(job) == {("loose/1", "refused")}, job["progress"]
    assert counts(job) == counts(plan)
    assert job["progress"]["countries"] == plan["progress"]["countries"]
    client = gateway.client()
    for key, body in source.bodies.items():
        if key == "loose/1":
            continue
        got = client.get_object(Bucket="media", Key=key)
        assert hashlib.sha256(got["Body"].read()).digest() == hashlib.sha256(body).digest(), key
        assert got["ETag"] == f'"{hashlib.md5(body).hexdigest()}"', key
        expected = "SG" if key in ("users/wei/large", "loose/2") else "PK"
        assert got["ResponseMetadata"]["HTTPHeaders"]["x-domicile-country"] == expected, key
    got = client.head_object(Bucket="media", Key="users/ali/text")
    assert (got["ContentType"], got["CacheControl"], got["Metadata"]) == ("text/plain", "max-age=7", {"color": "green"})
    assert client.head_object(Bucket="media", Key="users/ali/parts")["Metadata"] == {"m": "n"}
    tags = client.get_object_tagging(Bucket="media", Key="users/ali/tagged")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"a": "b", "c": "d e"}
    blobs_hold_no_plaintext(gateway, SECRET)

    entries = [entry for entry in gateway.ledger() if entry["kind"] == "import-object"]
    assert len([entry for entry in entries if entry["outcome"] == "ok"]) == 8
    assert [entry["outcome"]["refused"]["code"] for entry in entries if entry["outcome"] != "ok"] == ["ResidencyUnknown"]
    assert all(entry["actor"] == {"token": {"role": "operator", "id": "operator-1"}} for entry in entries)
    orders = [entry for entry in gateway.ledger() if entry.get("query", {}).get("route") == "POST /v1/imports"]
    assert [order["kind"] for order in orders] == ["admin-action"] * 2
    assert {entry["request"] for entry in entries} == {orders[-1]["request"]}

    record = gateway.admin("GET", "/v1/record?bucket=media&key=users/ali/text")[1]["versions"][0]
    imported = record["imported"]
    assert (imported["source"], imported["bucket"], imported["key"]) == ("old", source.bucket, "users/ali/text")
    written = source.client.head_object(Bucket=source.bucket, Key="users/ali/text")["LastModified"]
    assert imported["modified"][:19] == written.strftime("%Y-%m-%dT%H:%M:%S")

    # Again: nothing but the one that is refused.
    code, job = do_import(gateway, source)
    assert code == 1 and counts(job) == {"objects": 9, "present": 8, "refused": 1}, job["progress"]


def test_subjects_by_template_and_map(gateway, source, tmp_path):
    for key in ("old-ali.jpg", "old-wei.jpg", "a, quoted \"key\"", "mapped"):
        source.put(key, SECRET)
    source.put("disputed", SECRET, Metadata={"domicile-subject": "ali"})
    rows = tmp_path / "map.csv"
    rows.write_text(
        'key,subject,residence\n"a, quoted ""key""",ali,\nmapped,new-person,PK\ndisputed,wei,\nnot-there,ali,\n'
    )
    arguments = ["--subject-template", "old-{subject}.jpg", "--map", str(rows)]
    code, job = do_import(gateway, source, *arguments, to="media/legacy/")
    assert code == 1 and left(job) == {("disputed", "refused")}, job["progress"]
    records = gateway.admin("GET", "/v1/records?bucket=media")[1]["records"]
    found = {record["key"]: (record["subject"], record["countries"]) for record in records}
    assert found == {
        "legacy/old-ali.jpg": ("ali", ["PK"]),
        "legacy/old-wei.jpg": ("wei", ["SG"]),
        'legacy/a, quoted "key"': ("ali", ["PK"]),
        "legacy/mapped": ("new-person", ["PK"]),
    }
    rows.write_text("key,subject,shoe-size\nmapped,ali,44\n")
    done = gateway.cli("import", f"s3://{source.bucket}/", "--source", "old", "--to", "media", "--map", str(rows), check=False)
    assert done.returncode == 2 and "shoe-size" in done.stderr, done.stderr


def test_what_is_removed_at_the_source_was_proven_before(gateway, source):
    stock(source)
    gateway.client().put_object(Bucket="media", Key="users/ali/text", Body=b"a client was first")
    code, job = do_import(gateway, source, "--delete-source")
    assert code == 1 and left(job) == {("loose/1", "refused"), ("users/ali/text", "conflict")}, job["progress"]
    assert source.keys() == {"loose/1", "users/ali/text"}
    deleted = [entry for entry in gateway.ledger() if entry["kind"] == "source-deleted"]
    assert len(deleted) == 7 and all(entry["outcome"] == "ok" for entry in deleted)
    client = gateway.client()
    assert client.get_object(Bucket="media", Key="users/ali/text")["Body"].read() == b"a client was first"
    for key in set(source.bodies) - source.keys():
        assert client.get_object(Bucket="media", Key=key)["Body"].read() == source.bodies[key], key
    code, job = do_import(gateway, source, "--overwrite", prefix="users/")
    assert code == 0 and counts(job) == {"objects": 1, "imported": 1}, job["progress"]


def test_an_import_that_was_killed_is_ordered_again_and_goes_on(gateway, source):
    for number in range(60):
        source.put(f"users/ali/{number:03}", SECRET + str(number).encode() * 50_000)
    environment = {
        **gateway.environment(),
        "DOMICILE_ADMIN_URL": f"http://127.0.0.1:{gateway.admin_port}",
        "DOMICILE_ADMIN_TOKEN": TOKENS["operator"],
    }
    command = [BINARY, "import", f"s3://{source.bucket}", "--source", "old", "--to", "media", "--requests-per-second", "20"]
    waiting = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while gateway.client().list_objects_v2(Bucket="media").get("KeyCount", 0) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    gateway.kill()
    assert waiting.wait(60) == 3
    gateway.start()
    code, job = do_import(gateway, source, "--delete-source")
    assert code == 0 and job["progress"]["present"]["objects"] >= 10, job["progress"]
    found = counts(job)
    assert found["present"] + found["imported"] == found["deleted"] == 60
    assert source.keys() == set()
    for key, body in source.bodies.items():
        assert gateway.client().get_object(Bucket="media", Key=key)["Body"].read() == body, key
    entries = [entry for entry in gateway.ledger() if entry["kind"] == "import-object"]
    assert len(entries) == 60, "none twice"
    blobs_hold_no_plaintext(gateway, SECRET)


def test_an_import_can_be_called_off_and_bounded(gateway, source):
    for number in range(20):
        source.put(f"users/ali/{number}", SECRET)
    order = {"source": "old", "bucket": source.bucket, "to": "media", "requests_per_second": 2}
    status, job = gateway.admin("POST", "/v1/imports", order)
    assert status == 200 and job["state"] == "waiting", job
    time.sleep(2)
    status, job = gateway.admin("DELETE", f"/v1/imports/{job['id']}")
    deadline = time.monotonic() + 20
    while job["state"] in ("waiting", "running"):
        assert time.monotonic() < deadline
        job = gateway.admin("GET", f"/v1/imports/{job['id']}")[1]
        time.sleep(0.1)
    assert job["state"] == "cancelled" and 0 < job["progress"]["imported"]["objects"] < 12, job
    assert [job["id"] for job in gateway.admin("GET", "/v1/imports")[1]["imports"]] == [1]
    assert gateway.admin("GET", "/v1/imports", role="auditor")[0] == 403
    assert gateway.admin("POST", "/v1/imports", order, role="policy-admin")[0] == 403


def test_what_an_order_may_not_name(gateway, source):
    order = {"source": "old", "bucket": source.bucket, "to": "media"}
    for change, status in [
        ({"source": "other"}, 404),
        ({"to": "absent-bucket"}, 404),
        ({"principal": "nobody"}, 404),
        ({"bucket": "private"}, 400),
        ({"access_key_id": "AK"}, 400),
    ]:
        assert gateway.admin("POST", "/v1/imports", {**order, **change})[0] == status, change
    # A bucket that is a site, of whatever installation, is no bucket to import.
    source.put("domicile-site", b"DOMICILE")
    source.put("users/ali/x", SECRET)
    code, job = do_import(gateway, source)
    assert code == 1 and "is a site" in job["progress"]["stopped"], job
    assert counts(job) == {}
    # Nor is one that is not there.
    source.bucket = "plain-absent"
    code, job = do_import(gateway, source)
    assert code == 1 and job["state"] == "failed" and job["progress"]["stopped"], job


def test_a_gateway_is_a_source_too(make_gateway, monkeypatch):
    """The front's own HEAD of parts, If-Match of reads and deletes, tags and checksums are what an import asks for."""
    monkeypatch.setenv("OLD_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("OLD_SECRET_ACCESS_KEY", SECRET_KEY)
    old = make_gateway()
    table = f'[[source]]\nid = "old"\nendpoint = "{old.endpoint}"\nregion = "us-east-1"\ncredentials-env = "OLD"\n'
    new = make_gateway(extra=table)
    for gateway in (old, new):
        assert gateway.admin("PUT", "/v1/subjects/ali", {"attributes": {"residence": "PK"}})[0] == 200
        gateway.client().create_bucket(Bucket="media")
    source = Source(old, "plain-files")
    noise = random.Random(8).randbytes(2 * PART + 1000)
    source.put("users/ali/checked", SECRET, ChecksumAlgorithm="SHA256", Tagging="a=b")
    source.put_parts("users/ali/parts", [noise[: PART + 1], noise[PART + 1 : 2 * PART + 1], noise[2 * PART + 1 :]])
    code, job = do_import(new, source, "--delete-source")
    assert code == 0 and counts(job) == {"objects": 2, "imported": 2, "deleted": 2}, job["progress"]
    for key, body in source.bodies.items():
        assert new.client().get_object(Bucket="media", Key=key)["Body"].read() == body, key
    head = new.client().head_object(Bucket="media", Key="users/ali/checked", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] and source.keys() == set()
