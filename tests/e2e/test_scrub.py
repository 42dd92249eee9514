"""What is wrong at the sites is found, called by its name, and put right where that is safe."""

import json
import random
import shutil
import threading
import time

import pytest

from test_rebuild import PK, SG, fill, rebuild, settle

LONG = 9 << 20


def verify(gateway, *arguments, role="operator", code=None):
    """The outcome of a scrub: `(class, site)` of every finding, and all that was said."""
    done = gateway.cli("--json", "verify", *arguments, role=role, check=False)
    job = json.loads(done.stdout)
    progress = job["progress"]
    found = sorted((finding["class"], finding["site"]) for finding in progress["listed"])
    assert len(found) == sum(progress["findings"].values())
    assert progress["unchecked"] == 0, progress
    assert done.returncode == (1 if found else 0) if code is None else code, done.stderr
    return found, job


def blobs_of(gateway, site, key=None):
    """The blobs of records at a site, largest first."""
    blobs = gateway.sites[site].blobs()
    return sorted(
        (name for name, blob in blobs.items() if blob[:8] == b"DOMICILE" and blob[10] == 1),
        key=lambda name: -len(blobs[name]),
    )


def entries(gateway, kind):
    return [entry for entry in gateway.ledger() if entry["kind"] == kind]


def test_a_healthy_store_has_no_findings_and_each_fault_has_its_name(anywhere):
    client = anywhere.client()
    fill(client, "scrub", 60)
    for arguments in ((), ("--deep",), ("--deep", "--repair")):
        found, job = verify(anywhere, *arguments)
        assert found == []
    assert job["progress"]["blobs"] > 60 and job["progress"]["records"]["objects"] > 20
    text = anywhere.cli("verify").stdout
    assert "nothing is wrong" in text and "heads and lengths" in text

    client.put_object(Bucket="media", Key="faulty", Body=random.Random(1).randbytes(LONG), Metadata=PK)
    name = next(site for site in anywhere.sites.values() if site.country == "PK").name
    site = anywhere.sites[name]
    largest, second, *_ = blobs_of(anywhere, name)
    blobs = site.blobs()
    original, other = blobs[largest], blobs[second]
    flipped = bytearray(original)
    flipped[len(flipped) // 2] ^= 1
    in_head = bytearray(original)
    in_head[200] ^= 1
    faults = [
        (lambda: site.remove(largest), (), "missing"),
        (lambda: site.write(largest, original[:-1]), (), "wrong-length"),
        (lambda: site.write(largest, original + b"\0"), (), "wrong-length"),
        (lambda: site.write(largest, bytes(in_head)), (), "unreadable"),
        (lambda: site.write(largest, bytes(flipped)), ("--deep",), "tampered"),
        (lambda: site.write(largest, other), (), "unreadable"),
    ]
    for fault, arguments, expected in faults:
        fault()
        found, job = verify(anywhere, *arguments)
        assert found == [(expected, name)], (expected, job)
        listed = job["progress"]["listed"][0]
        assert listed["name"] == largest and (listed["bucket"] is not None)
        standing = json.loads(anywhere.cli("--json", "verify", "--findings", check=False).stdout)["findings"]
        assert [(finding["class"], finding["name"]) for finding in standing] == [(expected, largest)]
        site.write(largest, original)
        assert verify(anywhere, "--deep")[0] == []
    site.write(largest, other)
    site.write(second, original)
    assert verify(anywhere)[0] == [("unreadable", name)] * 2
    site.write(largest, original)
    site.write(second, other)
    assert verify(anywhere, "--deep")[0] == []
    # Each stood once and is cleared; nothing was put right that nobody asked for.
    assert len(entries(anywhere, "found")) == len(entries(anywhere, "cleared")) == len(faults) + 2
    assert entries(anywhere, "repaired") == []
    assert all("finding" in entry and "name" not in entry for entry in entries(anywhere, "found"))


def test_what_nobody_needs_is_told_apart_and_only_that_is_removed(make_gateway):
    gateway = make_gateway(gc_grace="1s")
    client = gateway.client()
    client.create_bucket(Bucket="media")
    client.put_object(Bucket="media", Key="k", Body=b"the first", Metadata=PK)
    (old,) = blobs_of(gateway, "pk-khi")
    kept = gateway.sites["pk-khi"].blobs()[old]
    client.put_object(Bucket="media", Key="k", Body=b"the second", Metadata=PK)
    deadline = time.monotonic() + 30
    while len(blobs_of(gateway, "pk-khi")) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert verify(gateway, "--deep")[0] == []

    pk, sg = gateway.sites["pk-khi"], gateway.sites["sg-sin"]
    pk.write(old, kept)
    pk.write("notes.txt", b"what is this doing here")
    foreign = "d1/00/" + "0" * 32
    (pk.folder / "d1" / "00").mkdir(exist_ok=True)
    pk.write(foreign, b"DOMICILE, but not really")
    (sg.folder / old).parent.mkdir(parents=True, exist_ok=True)
    sg.write(old, kept)
    expected = [("foreign", "pk-khi"), ("foreign", "pk-khi"), ("misplaced", "sg-sin"), ("superseded", "pk-khi")]
    found, job = verify(gateway)
    assert found == expected
    listed = {finding["class"]: finding for finding in job["progress"]["listed"]}
    assert (listed["superseded"]["bucket"], listed["superseded"]["key"]) == ("media", "k")

    # An auditor may look, not touch.
    assert gateway.admin("POST", "/v1/scrubs", {"repair": True}, role="auditor")[0] == 403
    assert verify(gateway, "--one-in", "2", "--seed", "7", role="auditor")[0] == []
    assert gateway.cli("verify", "--findings", role="auditor", check=False).returncode == 1

    found, job = verify(gateway, "--repair")
    assert found == expected[:2] and job["progress"]["repaired"] == 2
    assert old not in pk.blobs() and old not in sg.blobs()
    assert pk.blobs()["notes.txt"] and pk.blobs()[foreign], "what is not ours stays"
    assert client.get_object(Bucket="media", Key="k")["Body"].read() == b"the second"
    assert sorted(entry["finding"] for entry in entries(gateway, "repaired")) == ["misplaced", "superseded"]
    summary = entries(gateway, "scrubbed")[-1]["scrubbed"]
    assert summary["findings"] == {"foreign": 2} and summary["repaired"] == 2


def test_what_a_kill_left_behind_is_found_and_removed(make_gateway, full):
    gateway = make_gateway(gc_grace="1s")
    gateway.client().create_bucket(Bucket="media")
    kept = {}
    for turn in range(8 if full else 3):
        done = threading.Event()

        def write(worker):
            client, choose = gateway.client(), random.Random(turn * 100 + worker)
            number = 0
            while not done.is_set():
                number += 1
                key, body = f"{turn}/{worker}/{number}", choose.randbytes(choose.choice([900, LONG, 3 * LONG]))
                try:
                    client.put_object(Bucket="media", Key=key, Body=body, Metadata=PK if worker % 2 else SG)
                except Exception:  # noqa: BLE001: killed under way
                    return
                kept[key] = body

        writers = [threading.Thread(target=write, args=(worker,)) for worker in range(6)]
        for writer in writers:
            writer.start()
        time.sleep(2.5)
        gateway.kill()
        done.set()
        for writer in writers:
            writer.join()
        gateway.start()
    found, _ = verify(gateway)
    assert found and {kind for kind, _ in found} == {"leftover"}, found
    found, job = verify(gateway, "--repair")
    assert found == [] and job["progress"]["repaired"] > 0
    assert verify(gateway, "--deep")[0] == []
    client = gateway.client()
    for key, body in kept.items():
        assert client.get_object(Bucket="media", Key=key)["Body"].read() == body, key
    listed = client.get_paginator("list_objects_v2").paginate(Bucket="media")
    sizes = {item["Key"]: item["Size"] for page in listed for item in page.get("Contents", [])}
    assert kept.keys() <= sizes.keys()


def test_an_index_older_than_the_sites_removes_nothing(make_gateway):
    """Yesterday's index put back: what was acknowledged since is neither garbage nor lost."""
    gateway = make_gateway(gc_grace="1h")
    client = gateway.client()
    client.create_bucket(Bucket="media")
    yesterday = {f"old/{number}": f"old {number}".encode() for number in range(10)}
    for key, body in yesterday.items():
        client.put_object(Bucket="media", Key=key, Body=body, Metadata=PK)
    gateway.stop()
    index = gateway.folder / "data" / "index"
    shutil.copytree(index, gateway.folder / "yesterday")
    gateway.start()
    today = {f"new/{number}": random.Random(number).randbytes(LONG if number == 3 else 2000) for number in range(6)}
    for key, body in today.items():
        client.put_object(Bucket="media", Key=key, Body=body, Metadata=SG if key.endswith("1") else PK)
    client.put_object(Bucket="media", Key="old/0", Body=b"changed today", Metadata=PK)
    upload = client.create_multipart_upload(Bucket="media", Key="open", Metadata=PK)["UploadId"]
    client.upload_part(Bucket="media", Key="open", UploadId=upload, PartNumber=1, Body=b"a part of today")
    settle(gateway)
    gateway.kill()
    shutil.rmtree(index)
    (gateway.folder / "yesterday").rename(index)
    gateway.start()

    before = {name: set(site.blobs()) for name, site in gateway.sites.items()}
    for arguments in ((), ("--repair",), ("--deep", "--repair")):
        found, job = verify(gateway, *arguments)
        assert {kind for kind, _ in found} == {"unindexed"}, found
        assert job["progress"]["repaired"] == 0
        assert "older than the journal" in job["progress"]["behind"]
    for name, site in gateway.sites.items():
        assert set(site.blobs()) >= before[name]
    gateway.stop()
    rebuild(gateway, check=False)
    gateway.start()
    for key, body in {**yesterday, **today, "old/0": b"changed today"}.items():
        assert client.get_object(Bucket="media", Key=key)["Body"].read() == body
    assert client.list_parts(Bucket="media", Key="open", UploadId=upload)["Parts"][0]["Size"] == 15


def test_a_repair_after_the_import_of_an_export_deletes_nothing_of_today(make_gateway, tmp_path):
    gateway = make_gateway(gc_grace="1h")
    client = gateway.client()
    client.create_bucket(Bucket="media")
    for key, place in (("a", PK), ("b", SG), ("c", PK)):
        client.put_object(Bucket="media", Key=key, Body=f"{key} of yesterday".encode(), Metadata=place)
    settle(gateway)
    gateway.cli("index", "export", "-o", str(tmp_path / "yesterday"))
    today = {"a": b"a of today", "d": random.Random(4).randbytes(LONG), "e": b"e of today"}
    for key, body in today.items():
        client.put_object(Bucket="media", Key=key, Body=body, Metadata=PK)
    client.put_object(Bucket="media", Key="f", Body=b"f of today", Metadata=SG)
    client.delete_object(Bucket="media", Key="c")
    settle(gateway)
    whole = {**today, "b": b"b of yesterday", "f": b"f of today"}
    blobs = {name: set(site.blobs()) for name, site in gateway.sites.items()}

    def load(*more):
        gateway.stop()
        done = gateway.cli(
            "index", "import", str(tmp_path / "yesterday"), "--config", str(gateway.config_file), *more, check=False
        )
        assert done.returncode in (0, 1), done.stderr

    # Without the site in Pakistan the index lacks what came after: nothing may be taken for unneeded.
    load("--without", "pk-khi")
    gateway.launcher = ["sh", "-c", f'exec "$0" serve --config "{gateway.config_file}" --accept-imported']
    gateway.start()
    found, job = verify(gateway, "--repair", code=1)
    assert job["progress"]["repaired"] == 0 and "what lies at pk-khi" in job["progress"]["behind"]
    assert {kind for kind, _ in found} == {"unindexed"}
    assert all(set(site.blobs()) >= blobs[name] for name, site in gateway.sites.items())
    # With all sites yesterday's export gives today's index.
    gateway.launcher = []
    load()
    gateway.start()
    assert verify(gateway, "--deep", "--repair")[0] == []
    for key, body in whole.items():
        assert client.get_object(Bucket="media", Key=key)["Body"].read() == body
    assert {item["Key"] for item in client.list_objects_v2(Bucket="media")["Contents"]} == set(whole)


def test_a_copy_is_put_back_from_the_other(make_gateway, tmp_path):
    policies = tmp_path / "policies"
    shutil.copytree("policies", policies)
    policy = policies / "pk-cpoh-2020" / "policy.toml"
    text = policy.read_text()
    assert 'copies = "only"' in text
    policy.write_text(text.replace('copies = "only"', 'copies = "also"').replace('keys = ["PK"]\n', ""))
    gateway = make_gateway(policies=policies, gc_grace="1s")
    client = gateway.client()
    client.create_bucket(Bucket="media")
    bodies = {"short": b"a short one" * 50, "long": random.Random(5).randbytes(LONG)}
    for key, body in bodies.items():
        client.put_object(Bucket="media", Key=key, Body=body, Metadata=PK)
    for site in ("pk-khi", "sg-sin"):
        names = blobs_of(gateway, site)
        assert len(names) == 4
        for name in names:
            gateway.sites[site].remove(name)
        found, _ = verify(gateway)
        assert found == [("missing", site)] * 4
        found, job = verify(gateway, "--repair")
        assert found == [] and job["progress"]["repaired"] == 4
        assert verify(gateway, "--deep")[0] == []
    for key, body in bodies.items():
        assert client.get_object(Bucket="media", Key=key)["Body"].read() == body


@pytest.fixture
def scrubbing(make_gateway):
    scrub = '[scrub]\npause = "1s"\nrequests-per-second = 100\n'
    gateway = make_gateway(extra=scrub)
    gateway.client().create_bucket(Bucket="media")
    return gateway


def test_the_background_finds_it_by_itself(scrubbing):
    scrubbing.client().put_object(Bucket="media", Key="k", Body=b"bytes", Metadata=PK)
    (name,) = blobs_of(scrubbing, "pk-khi")
    scrubbing.sites["pk-khi"].remove(name)
    deadline = time.monotonic() + 60
    while not entries(scrubbing, "found"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    metrics = scrubbing.admin_raw("GET", "/metrics")[1].decode()
    assert 'domicile_scrub_findings_total{class="missing"} 1' in metrics
    findings = scrubbing.admin("GET", "/v1/findings", role="auditor")[1]["findings"]
    assert [(finding["class"], finding["name"], finding["key"]) for finding in findings] == [("missing", name, "k")]


def put_index_back(gateway, kept):
    index = gateway.folder / "data" / "index"
    shutil.rmtree(index)
    shutil.copytree(kept, index)


def test_of_two_histories_neither_removes_what_the_other_acknowledged(make_gateway):
    """Yesterday's index put back, at work for a while, and today's put back again: that one has seen later pieces of the journal before."""
    gateway = make_gateway(gc_grace="1h")
    client = gateway.client()
    client.create_bucket(Bucket="media")
    client.put_object(Bucket="media", Key="old", Body=b"old", Metadata=PK)
    gateway.stop()
    index = gateway.folder / "data" / "index"
    shutil.copytree(index, gateway.folder / "yesterday")
    for turn in range(2):
        gateway.start()
        client.put_object(Bucket="media", Key=f"today/{turn}", Body=b"today", Metadata=PK)
        settle(gateway)
        assert verify(gateway, "--repair")[0] == []
        gateway.stop()
    shutil.copytree(index, gateway.folder / "today")
    put_index_back(gateway, gateway.folder / "yesterday")
    gateway.start()
    for number in range(3):
        client.put_object(Bucket="media", Key=f"meanwhile/{number}", Body=b"meanwhile", Metadata=PK)
    settle(gateway)
    gateway.stop()
    put_index_back(gateway, gateway.folder / "today")
    gateway.start()
    before = set(gateway.sites["pk-khi"].everything())
    found, job = verify(gateway, "--repair")
    assert found == [("unindexed", "pk-khi")] * 3 and job["progress"]["repaired"] == 0
    assert "older than the journal" in job["progress"]["behind"]
    assert set(gateway.sites["pk-khi"].everything()) >= before, "nor is the journal compacted"

    gateway.stop()
    rebuild(gateway, check=False)
    gateway.start()
    for key in ("old", "today/0", "today/1", "meanwhile/0", "meanwhile/2"):
        assert client.get_object(Bucket="media", Key=key)["Body"].read().decode() == key.split("/")[0]
    # What both histories have become is not held against the index for ever.
    assert verify(gateway, "--deep", "--repair")[0] == []


def test_what_a_rebuild_left_out_is_not_removed(make_gateway):
    """The journal of one country holds every entry of the ledger, so only the rebuild itself knows what it did without."""
    gateway = make_gateway(gc_grace="1s")
    client = gateway.client()
    client.create_bucket(Bucket="media")
    for number in range(4):
        client.put_object(Bucket="media", Key=f"pk/{number}", Body=b"pk", Metadata=PK)
        client.put_object(Bucket="media", Key=f"sg/{number}", Body=b"sg", Metadata=SG)
    settle(gateway)
    gateway.stop()
    rebuild(gateway, "--without", "sg-sin", check=False)
    gateway.start()
    before = set(gateway.sites["sg-sin"].everything())
    found, job = verify(gateway, "--repair")
    assert found and set(found) == {("unindexed", "sg-sin")}, found
    assert "without what lies at sg-sin" in job["progress"]["behind"]
    time.sleep(3)
    assert set(gateway.sites["sg-sin"].everything()) >= before, "neither a blob nor a piece of the journal is gone"
    gateway.stop()
    # Even who gives up what was left out does not remove it.
    rebuild(gateway, "--without", "sg-sin", "--accept-loss", check=False)
    gateway.start()
    found, _ = verify(gateway, "--repair")
    assert ("unindexed", "sg-sin") in found and set(found) <= {("unindexed", "sg-sin")}, found
