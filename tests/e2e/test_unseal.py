"""The way out: what lies at the sites opens with keys alone, by `domicile unseal` and by the recipe of docs/unseal.md with stock tools."""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

import pyrage
import pytest

from gateway import BINARY, ROOT
from test_rebuild import settle

PK = {"domicile-subject": "amna", "domicile-residence": "PK"}
SG = {"domicile-subject": "bo", "domicile-residence": "SG"}
MIB = 1 << 20
KEY = bytes(range(32))
RANGES = [(0, 0), (65_479, 65_480), (100, 70_000)]


def content(name, size):
    return random.Random(name).randbytes(size)


class Stock:
    """Objects of every layout, and the keys that open them."""

    def __init__(self, gateway, tmp_path):
        self.gateway, self.tmp = gateway, tmp_path
        self.blobs = {}
        client = gateway.client()
        for key, size, metadata in (
            ("users/amna/empty", 0, PK),
            ("users/amna/small", 300, PK),
            ("users/amna/segments", 200_000, PK),
            ("users/amna/extents", 17 * MIB + 5, PK),
            ("users/bo/small", 5000, SG),
        ):
            self.put(client, key, size, Metadata=metadata)
        self.put(client, "users/amna/sse", 9 * MIB, Metadata=PK, SSECustomerAlgorithm="AES256", SSECustomerKey=KEY)
        self.parts(client, "users/amna/parts", [8 * MIB + 1, 5 * MIB, 70_000], PK)
        self.parts(client, "users/amna/sse-parts", [5 * MIB, 1], PK, SSECustomerAlgorithm="AES256", SSECustomerKey=KEY)
        settle(gateway)
        data = gateway.folder / "data"
        keyring = next(data.rglob("keyring.age"))
        self.keyring, self.identity = keyring, keyring.with_name("operator.identity")
        self.key_files = ["--keyring", keyring, "--identity", self.identity]
        self.customer = tmp_path / "customer"
        self.customer.write_bytes(KEY)

    def put(self, client, key, size, **more):
        self.blobs[key] = content(key, size)
        client.put_object(Bucket="media", Key=key, Body=self.blobs[key], ChecksumAlgorithm="CRC32", **more)

    def parts(self, client, key, sizes, metadata, **sse):
        body = content(key, sum(sizes))
        self.blobs[key] = body
        where = {"Bucket": "media", "Key": key}
        upload = client.create_multipart_upload(**where, Metadata=metadata, ChecksumAlgorithm="SHA256", **sse)["UploadId"]
        done, at = [], 0
        for number, size in enumerate(sizes, 1):
            part = client.upload_part(
                **where, UploadId=upload, PartNumber=number, Body=body[at : at + size], ChecksumAlgorithm="SHA256", **sse
            )
            done.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]})
            at += size
        client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": done}, **sse)

    @property
    def sites(self):
        return next(iter(self.gateway.sites.values())).folder.parent

    def run(self, *arguments, check=True):
        """Without a gateway: nothing of its configuration or tokens is in the environment."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DOMICILE_"))}
        done = subprocess.run([BINARY, *map(str, arguments)], env=env, capture_output=True, timeout=120)
        if check:
            assert done.returncode == 0, done.stderr.decode()
        return done

    def unseal(self, key, *more, blobs=None, keys=None, check=True):
        keys = self.key_files if keys is None else keys
        return self.run("unseal", f"s3://media/{key}", "--blobs", blobs or self.sites, *keys, *more, check=check)

    def export(self, name, *more):
        path = self.tmp / name
        self.run("keys", "export", *self.key_files, "--blobs", self.sites, "--output", path, *more)
        assert path.stat().st_mode & 0o777 == 0o600
        return path


@pytest.fixture
def stock(make_gateway, tmp_path):
    gateway = make_gateway(s3="customer-keys-over-http = true")
    gateway.client().create_bucket(Bucket="media")
    made = Stock(gateway, tmp_path)
    gateway.stop()
    return made


def sse(key):
    return "sse" in key


def test_every_record_comes_out_of_a_folder_as_it_lies(stock, tmp_path):
    for key, body in stock.blobs.items():
        more = ["--customer-key", stock.customer] if sse(key) else []
        assert stock.unseal(key, *more).stdout == body, key
        # By the file of its manifest, to a file.
    listed = json.loads(stock.run("--json", "unseal", "--list", "--blobs", stock.sites, *stock.key_files).stdout)
    assert {one["key"] for one in listed["records"]} == set(stock.blobs)
    assert not listed["unopened"] and not any(one["missing"] for one in listed["records"])
    manifests = {one["key"]: one["manifest"] for one in listed["records"]}
    to = tmp_path / "out.bin"
    stock.run("unseal", manifests["users/amna/parts"], "--blobs", stock.sites, *stock.key_files, "--output", to)
    assert to.read_bytes() == stock.blobs["users/amna/parts"] and to.stat().st_mode & 0o777 == 0o600
    again = stock.run("unseal", manifests["users/amna/small"], "--blobs", stock.sites, *stock.key_files, "-o", to, check=False)
    assert again.returncode == 2 and b"already" in again.stderr and to.stat().st_size == len(stock.blobs["users/amna/parts"])


def test_a_customer_key_is_asked_for_and_checked(stock, tmp_path):
    asked = stock.unseal("users/amna/sse", check=False)
    assert asked.returncode == 2 and b"--customer-key" in asked.stderr and not asked.stdout
    other = tmp_path / "other"
    other.write_bytes(b"x" * 32)
    wrong = stock.unseal("users/amna/sse", "--customer-key", other, check=False)
    assert wrong.returncode == 1 and b"not that of record" in wrong.stderr and not wrong.stdout


def test_exported_keys_open_what_they_are_for_and_nothing_else(stock):
    amna = stock.export("amna.json", "--subject", "amna")
    keys = ["--subject-key", amna]
    assert stock.unseal("users/amna/parts", keys=keys).stdout == stock.blobs["users/amna/parts"]
    refused = stock.unseal("users/bo/small", keys=keys, check=False)
    assert refused.returncode == 1 and b"not among the exported keys" in refused.stderr and not refused.stdout
    listed = json.loads(stock.run("--json", "unseal", "--list", "--blobs", stock.sites, "--subject-key", amna).stdout)
    small = next(one["manifest"] for one in listed["records"] if one["key"] == "users/amna/small")

    one = stock.export("one.json", "--manifest", small)
    assert stock.run("unseal", small, "--blobs", stock.sites, "--subject-key", one).stdout == stock.blobs["users/amna/small"]
    refused = stock.unseal("users/amna/segments", keys=["--subject-key", one], check=False)
    assert refused.returncode == 1 and not refused.stdout
    text = one.read_text()
    assert len(json.loads(text)["keys"]) == 1

    where = ["--keyring", stock.keyring, "--identity", stock.identity, "--blobs", stock.sites]
    nobody = stock.run("keys", "export", *where, "--subject", "nobody", "-o", stock.tmp / "n", check=False)
    assert nobody.returncode == 1 and not (stock.tmp / "n").exists()
    abroad = stock.run("keys", "export", *where, "--subject", "amna", "--country", "SG", "-o", stock.tmp / "n", check=False)
    assert abroad.returncode == 1
    there = stock.run("keys", "export", *where, "--subject", "amna", "--output", amna, check=False)
    assert there.returncode == 2 and b"exists" in there.stderr


def test_an_export_of_keys_is_in_the_ledger_of_the_gateway(stock):
    stock.export("amna.json", "--subject", "amna")
    listed = json.loads(stock.run("--json", "unseal", "--list", "--blobs", stock.sites, *stock.key_files).stdout)
    small = next(one["manifest"] for one in listed["records"] if one["key"] == "users/bo/small")
    # With a copy of the keyring, elsewhere: its note is brought to the gateway's.
    away = stock.tmp / "away"
    away.mkdir()
    for name in ("keyring.age", "operator.identity"):
        shutil.copy(stock.keyring.with_name(name), away / name)
    where = ["--keyring", away / "keyring.age", "--identity", away / "operator.identity", "--blobs", stock.sites]
    stock.run("keys", "export", *where, "--manifest", small, "--output", stock.tmp / "one.json")
    notes = stock.keyring.with_name("keyring.age.exports")
    assert notes.stat().st_mode & 0o777 == 0o600 and len(notes.read_text().splitlines()) == 1 and "amna" not in notes.read_text()
    with open(notes, "a") as file:
        file.write((away / notes.name).read_text())
        file.write("0" * 64 + ' {"made":"up"}\n')

    # No note, no key.
    (away / notes.name).unlink()
    (away / notes.name).mkdir()
    refused = stock.run("keys", "export", *where, "--subject", "amna", "--output", stock.tmp / "none.json", check=False)
    assert refused.returncode == 2 and not (stock.tmp / "none.json").exists()
    # Neither does one that fails anyway leave a note.
    again = [*stock.key_files, "--blobs", stock.sites, "--output", stock.tmp / "one.json"]
    assert stock.run("keys", "export", *again, "--subject", "amna", check=False).returncode == 2

    gateway = stock.gateway
    gateway.start()

    def told(count):
        deadline = time.monotonic() + 30
        while True:
            entries = [entry for entry in gateway.ledger() if entry["kind"] == "key-exported"]
            if len(entries) >= count and notes.read_text() == "":
                return entries
            assert time.monotonic() < deadline, gateway.log()[-4000:]
            time.sleep(0.2)

    hers, one = told(2)
    assert hers["actor"] == "keyholder" and hers["countries"] == ["PK"] and hers["key-export"]["keys"] == 1
    assert "subject" in hers and "record" not in hers and one["countries"] == ["SG"] and "record" in one and "subject" in one
    assert hers["subject"] != one["subject"]
    # While it serves, too.
    stock.export("later.json", "--subject", "amna")
    later = told(3)[2]
    assert later["subject"] == hers["subject"] and later["key-export"]["id"] != hers["key-export"]["id"]
    gateway.stop()


def test_what_is_missing_or_damaged_is_said_and_nothing_comes_out(stock, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(stock.sites / "pk-khi", copy)
    listed = json.loads(stock.run("--json", "unseal", "--list", "--blobs", copy, *stock.key_files).stdout)
    known = {one["manifest"] for one in listed["records"]}
    extents = [path for path in copy.rglob("*") if path.is_file() and path.stat().st_size > 5 * MIB and str(path) not in known]
    keys = ["users/amna/extents", "users/amna/parts"]
    for path in extents:
        body = path.read_bytes()
        path.unlink()
        missing = [stock.unseal(key, blobs=copy, check=False) for key in keys]
        said = [done for done in missing if done.returncode]
        for done in said:
            assert done.returncode == 1 and not done.stdout
            assert re.search(rf"extent \d of (part \d|the body): blob d1/../{path.name} is not in".encode(), done.stderr), done.stderr
        for damaged in (body[:-1], body + b"x", body[:1000] + bytes([body[1000] ^ 1]) + body[1001:]):
            path.write_bytes(damaged)
            for key, done in zip(keys, missing):
                now = stock.unseal(key, "--output", tmp_path / "never", blobs=copy, check=False)
                assert now.returncode == done.returncode and now.returncode in (0, 1)
                if now.returncode:
                    assert not (tmp_path / "never").exists() and path.name.encode() in now.stderr
                else:
                    (tmp_path / "never").unlink()
        path.write_bytes(body)
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert not left, "unfinished files"
    # One copy's blob is as good as another's.
    shutil.copytree(copy, tmp_path / "both" / "second")
    shutil.copytree(copy, tmp_path / "both" / "first")
    for number, path in enumerate(extents):
        lost = tmp_path / "both" / ("first", "second")[number % 2] / path.relative_to(copy)
        lost.unlink() if number % 3 else lost.write_bytes(b"damaged")
    assert stock.unseal(keys[0], blobs=tmp_path / "both").stdout == stock.blobs[keys[0]]
    assert stock.unseal(keys[1], blobs=tmp_path / "both").stdout == stock.blobs[keys[1]]


def test_everything_is_restored_by_safe_names(gateway, tmp_path):
    client = gateway.client()
    client.put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Enabled"})
    keys = ["../../up", "/etc/passwd", "a", "a/b", "a/", "d//e", "..", "nul\x00", "per%cent", "گ" * 200, "x" * 900, "c:\\w?", "tail. "]
    bodies = {}
    for key in keys:
        for turn in ("old", "new"):
            bodies[key] = f"{turn} {key}".encode()
            client.put_object(Bucket="media", Key=key, Body=bodies[key], Metadata=PK, Tagging="t=1", ContentType="text/x")
    settle(gateway)
    gateway.stop()
    keyring = next((gateway.folder / "data").rglob("keyring.age"))
    sites, output = gateway.folder / "sites", tmp_path / "deep" / "er" / "restored"
    ask = [BINARY, "--json", "unseal", "--all", "--blobs", sites, "--keyring", keyring]
    ask += ["--identity", keyring.with_name("operator.identity"), "--output", output]
    done = subprocess.run(ask, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["written"] == len(keys)
    lines = [json.loads(line) for line in (output / "_records.ndjson").read_text().splitlines()]
    assert {line["key"]: (output / line["path"]).read_bytes() for line in lines} == bodies
    assert all(line["tags"] == [["t", "1"]] and line["content"]["content-type"] == "text/x" for line in lines)
    assert sorted(path.name for path in output.iterdir()) == ["_records.ndjson", "media"]
    assert not (tmp_path / "deep" / "up").exists()
    again = subprocess.run(ask, capture_output=True, timeout=120)
    assert again.returncode == 2 and b"not empty" in again.stderr
    one = output / lines[0]["path"]
    one.unlink()
    resumed = json.loads(subprocess.run([*ask, "--resume", "--versions"], capture_output=True, timeout=120).stdout)
    assert (resumed["written"], resumed["already-there"]) == (1 + len(keys), len(keys) - 1), resumed
    old = [path for path in (output / "media").rglob("*%v-*")]
    assert len(old) == len(keys) and all(path.read_bytes().startswith(b"old ") for path in old)


def recipe():
    """The code of the page itself."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "unseal.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    return blocks[0]


def test_the_recipe_of_the_page_opens_what_the_binary_wrote(stock, tmp_path):
    script = tmp_path / "recipe.py"
    script.write_text(recipe())
    identity = pyrage.x25519.Identity.from_str(stock.identity.read_text().splitlines()[-1])
    keyring = tmp_path / "keyring.json"
    keyring.write_bytes(pyrage.decrypt(stock.keyring.read_bytes(), [identity]))
    exported = stock.export("amna.json", "--subject", "amna")

    def run(keys, key, *more):
        if sse(key):
            more = [*more, "--customer-key", stock.customer]
        command = [sys.executable, script, keys, stock.sites, "media", key, *more]
        done = subprocess.run(command, capture_output=True, timeout=120)
        assert done.returncode == 0, (key, more, done.stderr.decode())
        return done.stdout

    for key, body in stock.blobs.items():
        for keys in (keyring, exported):
            if keys == exported and "/bo/" in key:
                continue
            assert run(keys, key) == body, key
        edge = 8 * MIB
        for first, last in [*RANGES, (edge - 1, edge), (len(body) - 10, len(body) - 1), (edge - 70_000, edge + 70_000)]:
            if 0 <= first and last < len(body):
                assert run(keyring, key, "--range", f"{first}-{last}") == body[first : last + 1], (key, first, last)
    assert "domicile" not in re.sub(r'b?"[^"]*"', "", recipe()).replace("domicile-site", ""), "no code of ours"


def test_what_is_fetched_from_a_bucket_opens_too(seaweeds, tmp_path):
    """As `aws s3 sync` and `rclone` leave it, and flat, as some tools do."""
    from gateway import Gateway, S3Site

    sites = [S3Site(f"{country.lower()}-unseal", country, seaweeds[country]) for country in ("PK", "SG")]
    gateway = Gateway(tmp_path / "gateway", sites)
    try:
        gateway.start().wait_for_sites()
        client = gateway.client()
        client.create_bucket(Bucket="media")
        body = content("fetched", 9 * MIB)
        client.put_object(Bucket="media", Key="users/amna/x", Body=body, Metadata=PK)
    finally:
        gateway.stop()
    keyring = next((gateway.folder / "data").rglob("keyring.age"))
    aws = pathlib.Path(sys.executable).with_name("aws")
    env = {**os.environ, "AWS_ACCESS_KEY_ID": seaweeds["PK"].access_key, "AWS_SECRET_ACCESS_KEY": seaweeds["PK"].secret_key}
    env |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": seaweeds["PK"].endpoint}
    synced, flat = tmp_path / "synced", tmp_path / "flat"
    subprocess.run([aws, "s3", "sync", f"s3://{sites[0].bucket}", synced], env=env, check=True, capture_output=True, timeout=120)
    flat.mkdir()
    for path in synced.rglob("*"):
        if path.is_file():
            shutil.copy(path, flat / path.name)
    for folder in (synced, flat):
        ask = [BINARY, "unseal", "s3://media/users/amna/x", "--blobs", folder, "--keyring", keyring]
        done = subprocess.run([*ask, "--identity", keyring.with_name("recovery.identity")], capture_output=True, timeout=120)
        assert done.returncode == 0 and done.stdout == body, done.stderr
