"""The index leaves as a sealed file while it is written, and comes back from it with what the sites were told since."""

import json
import random
import shutil
import threading
import time

from botocore.exceptions import ClientError

from gateway import FsSite, Gateway
from test_rebuild import PK, SG, burn, fill, pieces, rebuild, settle, subject, world


def export(gateway, to, check=True):
    return gateway.cli("index", "export", "-o", str(to), check=check)


def load(gateway, file, *more, check=True):
    done = gateway.cli(
        "--json", "index", "import", str(file), "--config", str(gateway.config_file), *more, check=check
    )
    return json.loads(done.stdout) if check else done


def read(client, bucket, key):
    try:
        return client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "NoSuchKey", error
        return None


class Writers:
    """Eight clients that write, overwrite and delete; what was answered is known."""

    def __init__(self, gateway, bucket):
        self.answered, self.unsure, self.stopped, self.writes = {}, set(), threading.Event(), 0
        self.threads = [threading.Thread(target=self.write, args=(gateway, bucket, n)) for n in range(8)]
        [thread.start() for thread in self.threads]

    def write(self, gateway, bucket, worker):
        choose, client = random.Random(worker), gateway.client()
        while not self.stopped.is_set():
            key = f"{worker}-{choose.randrange(20)}"
            body = choose.randbytes(choose.randrange(1, 5000))
            self.unsure.add(key)
            try:
                if choose.random() < 0.3:
                    client.delete_object(Bucket=bucket, Key=key)
                    self.answered[key] = None
                else:
                    client.put_object(Bucket=bucket, Key=key, Body=body, Metadata=choose.choice([PK, SG]))
                    self.answered[key] = body
            except Exception:
                return
            self.unsure.discard(key)
            self.writes += 1

    def stop(self):
        self.stopped.set()
        [thread.join() for thread in self.threads]

    def check(self, client, bucket):
        assert len(self.answered) > 50
        for key, body in self.answered.items():
            if key not in self.unsure:
                assert read(client, bucket, key) == body, key


def test_what_is_exported_while_writers_write_comes_back_with_all_that_came_after(make_gateway, tmp_path, full):
    gateway = make_gateway()
    client = gateway.client()
    gateway.admin("PUT", "/v1/subjects/u-9", {"attributes": {"residence": "PK"}})
    gateway.admin("PUT", "/v1/subjects/u-10", {"attributes": {"residence": "SG"}})
    client.create_bucket(Bucket="media")
    fill(client, "all", 3000 if full else 150)
    settle(gateway)
    file = tmp_path / "yesterday.domicile"
    writers = Writers(gateway, "media")
    time.sleep(1)
    before = writers.writes
    printed = export(gateway, file).stdout
    assert "SHA-256" in printed and not file.with_suffix(".domicile.part").exists()
    assert file.stat().st_mode & 0o077 == 0
    time.sleep(1)
    writers.stop()
    assert writers.writes > before
    # Sealed: no bucket, subject or word of the ledger in it.
    content = file.read_bytes()
    assert not any(word in content for word in (b"all-plain", b"person-1", b"u-pk", b"pk-khi", b"put-object"))

    # Today goes on: what yesterday's export holds is deleted, overwritten, described and moved on.
    client.put_object(Bucket="all-plain", Key="of today", Body=b"today", Metadata=SG)
    client.put_object_tagging(Bucket="all-plain", Key="twelve", Tagging={"TagSet": [{"Key": "today", "Value": "1"}]})
    client.delete_object(Bucket="all-plain", Key="large")
    client.put_bucket_tagging(Bucket="all-plain", Tagging={"TagSet": [{"Key": "changed", "Value": "today"}]})
    client.create_bucket(Bucket="all-today")
    client.put_object(Bucket="all-today", Key="k", Body=b"k", Metadata=subject(99, "PK"))
    gateway.admin("PUT", "/v1/subjects/u-9", {"attributes": {"residence": "SG"}})
    time.sleep(2.5)
    settle(gateway)
    seen, ledger = world(gateway, "all"), gateway.ledger()
    time.sleep(2.5)
    settle(gateway)
    gateway.kill()
    burn(gateway)
    dry = load(gateway, file, "--dry-run")
    assert not (gateway.folder / "data" / "index").exists()
    found = load(gateway, file)
    report = found["report"]
    assert not found["gap"], found
    assert (report["records"], report["adopted"]["records"]) == (dry["report"]["records"], 0)
    gateway.start()
    after = world(gateway, "all")
    assert after.keys() == seen.keys()
    for bucket in seen:
        assert after[bucket] == seen[bucket], bucket
    writers.check(client, "media")
    assert gateway.admin("GET", "/v1/subjects/u-9")[1]["attributes"] == {"residence": "SG"}
    now = gateway.ledger()
    assert now[: len(ledger)] == ledger
    assert [entry["actor"]["token"]["role"] for entry in ledger if entry["kind"] == "index-exported"] == ["operator"]
    (entry,) = [entry for entry in now[len(ledger) :] if entry["kind"] == "index-imported"]
    assert entry["export"]["number"] == report["exported"]["number"]
    exported = tmp_path / "ledger.ndjson"
    gateway.cli("ledger", "export", "-o", str(exported))
    gateway.cli("ledger", "verify", str(exported))

    # The new index tells everything again; once the pieces of before are gone, the export says what the journal no longer contradicts.
    told = pieces(gateway)
    deadline = time.monotonic() + 60
    while min(pieces(gateway)) <= max(told) and time.monotonic() < deadline:
        time.sleep(0.5)
    gateway.stop()
    late = load(gateway, file, check=False)
    assert late.returncode == 1 and "compacted" in late.stderr and "index rebuild" in late.stderr
    assert not rebuild(gateway)["gap"]
    gateway.start()
    after = world(gateway, "all")
    for bucket in seen:
        assert after[bucket] == seen[bucket], bucket
    writers.check(client, "media")


def test_another_machine_with_the_keyring_and_the_sites_goes_on_from_an_export(make_gateway, tmp_path):
    gateway = make_gateway()
    client = gateway.client()
    client.create_bucket(Bucket="media")
    fill(client, "all", 60)
    settle(gateway)
    file = tmp_path / "index.domicile"
    export(gateway, file)
    seen, ledger = world(gateway, "all"), gateway.ledger()
    gateway.stop()
    sites = [FsSite(site.name, site.country, site.folder) for site in gateway.sites.values()]
    other = Gateway(tmp_path / "other", sites)
    (tmp_path / "other" / "data").mkdir()
    for name in ("keyring.age", "operator.identity"):
        shutil.copy(gateway.folder / "data" / name, tmp_path / "other" / "data" / name)
    load(other, file)
    other.start()
    try:
        after = world(other, "all")
        for bucket in seen:
            assert after[bucket] == seen[bucket], bucket
        assert other.ledger()[: len(ledger)] == ledger
        newest = other.client().put_object(Bucket="all-kept", Key="large", Body=b"new", Metadata=PK)["VersionId"]
        assert other.client().list_object_versions(Bucket="all-kept", Prefix="large")["Versions"][0]["VersionId"] == newest
    finally:
        other.stop()


def test_only_a_whole_file_of_this_installation_is_read(make_gateway, tmp_path):
    gateway, stranger = make_gateway(), make_gateway()
    client = gateway.client()
    client.create_bucket(Bucket="media")
    for number in range(50):
        client.put_object(Bucket="media", Key=f"k-{number}", Body=b"x", Metadata=PK)
    file = tmp_path / "index.domicile"
    export(gateway, file)
    for role in ("auditor", "policy-admin", "legal"):
        assert gateway.admin("GET", "/v1/index/export", role=role)[0] == 403
    refused = export(gateway, tmp_path, check=False)
    assert refused.returncode == 2
    running = load(gateway, file, check=False)
    assert running.returncode == 1 and "another gateway uses" in running.stderr
    gateway.stop()
    stranger.stop()
    whole = bytearray(file.read_bytes())
    kept = (gateway.folder / "data" / "index" / "db").stat().st_ino

    def fails(bytes_, code, *words, by=gateway):
        bad = tmp_path / "bad"
        bad.write_bytes(bytes_)
        done = load(by, bad, check=False)
        assert done.returncode == code and all(word in done.stderr for word in words), done

    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    fails(flipped, 1, "altered or cut off")
    fails(whole[:-1], 1, "altered or cut off")
    fails(whole[: 26 + 65536], 1, "altered or cut off")
    fails(whole + b"x", 1, "altered or cut off")
    fails(whole, 1, "is of installation", by=stranger)
    newer = bytearray(whole)
    newer[9] = 2
    fails(newer, 1, "format 2")
    fails(b"something else entirely, of some length", 2, "no export")
    fails(b"", 2, "no export")
    assert (gateway.folder / "data" / "index" / "db").stat().st_ino == kept, "the index stays where it is"
    gateway.start()
    assert len(client.list_objects_v2(Bucket="media")["Contents"]) == 50


def test_an_index_that_lacks_a_site_is_not_served_unless_that_is_accepted(make_gateway, tmp_path):
    gateway = make_gateway()
    client = gateway.client()
    client.create_bucket(Bucket="media")
    client.put_object(Bucket="media", Key="pk", Body=b"yesterday", Metadata=PK)
    client.put_object(Bucket="media", Key="sg", Body=b"yesterday", Metadata=SG)
    time.sleep(1.5)
    settle(gateway)
    file = tmp_path / "index.domicile"
    export(gateway, file)
    client.put_object(Bucket="media", Key="pk-today", Body=b"today", Metadata=PK)
    client.put_object(Bucket="media", Key="sg-today", Body=b"today", Metadata=SG)
    time.sleep(1.5)
    settle(gateway)
    gateway.stop()
    burn(gateway)
    pk = gateway.sites["pk-khi"]
    pk.stop()
    away = load(gateway, file, check=False)
    assert away.returncode in (1, 3) and "pk-khi" in away.stderr
    without = load(gateway, file, "--without", "pk-khi", check=False)
    assert without.returncode == 1 and json.loads(without.stdout)["gap"]
    pk.start()
    gateway.start(wait=False)
    assert gateway.process.wait(30) == 1
    assert "`pk-khi`" in gateway.log() and "--accept-imported" in gateway.log()

    # Accepted, it serves what it knows, takes nothing for unneeded and gives no export.
    config = str(gateway.config_file)
    gateway.launcher = ["sh", "-c", f'exec "$0" serve --config "{config}" --accept-imported']
    gateway.start()
    assert (read(client, "media", "pk"), read(client, "media", "pk-today")) == (b"yesterday", None)
    assert read(client, "media", "sg-today") == b"today"
    assert [entry for entry in gateway.ledger() if entry["kind"] == "started" and "export" in entry]
    told = pieces(gateway)
    assert export(gateway, tmp_path / "no", check=False).returncode == 1
    client.put_object(Bucket="media", Key="while behind", Body=b"kept", Metadata=SG)
    time.sleep(4)
    assert told <= pieces(gateway), "the journal is not compacted"
    gateway.stop()
    gateway.launcher = []

    # With every site there it is whole again, and so is a rebuild.
    burn(gateway)
    assert not load(gateway, file)["gap"]
    burn(gateway)
    assert not rebuild(gateway)["gap"]
    gateway.start()
    for key, body in (("pk-today", b"today"), ("sg-today", b"today"), ("while behind", b"kept"), ("pk", b"yesterday")):
        assert read(client, "media", key) == body, key
