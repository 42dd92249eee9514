"""The subject directory: people come in files, move on days that are said before or after, and their records follow."""

import csv
import datetime
import json
import subprocess
import threading
import time

import pytest

from conftest import fs_sites
from gateway import BINARY, Gateway
from test_relocation import records_at, wait_for
from test_rebuild import rebuild

BUCKET = "media-files"


@pytest.fixture
def gateway(tmp_path):
    gateway = Gateway(tmp_path / "gateway", fs_sites(tmp_path / "sites"), gc_grace="1s").start()
    gateway.client().create_bucket(Bucket=BUCKET)
    yield gateway
    gateway.stop()


def day(seconds=0, days=0):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days, seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def put(gateway, subject, name, **more):
    return gateway.client().put_object(Bucket=BUCKET, Key=f"users/{subject}/{name}", Body=name.encode(), **more)


def country_of(answer):
    return answer["ResponseMetadata"]["HTTPHeaders"]["x-domicile-country"]


def known(gateway, subject, query=""):
    status, answer = gateway.admin("GET", f"/v1/subjects/{subject}{query}", role="auditor")
    assert status == 200, answer
    return answer


def run_import(gateway, *arguments, check=True, **more):
    done = gateway.cli("--json", "subject", "import", *map(str, arguments), check=check, **more)
    return done, json.loads(done.stdout)


def test_people_come_in_a_file_and_move_with_the_next_one(gateway, tmp_path):
    people = {f"ident-{number}": ("PK" if number % 2 else "SG") for number in range(2500)}
    table = tmp_path / "people.csv"
    with open(table, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["residence", "subject", "reason", "nick"])
        for name, country in people.items():
            writer.writerow([country, name, "census, 2026", 'says "hi", and goes'])
    rehearsed = run_import(gateway, table, "--dry-run")[1]
    assert (rehearsed["imported"], rehearsed["unchanged"]) == (2500, 0)
    assert gateway.admin("GET", "/v1/subjects/ident-1")[0] == 404
    assert run_import(gateway, table)[1]["imported"] == 2500
    one = known(gateway, "ident-1")
    assert one["attributes"] == {"residence": "PK", "nick": 'says "hi", and goes'}
    assert one["history"][0]["reason"] == "census, 2026"
    for name in ("ident-1", "ident-2", "ident-3"):
        assert country_of(put(gateway, name, "a")) == people[name]
    assert len(records_at(gateway, "pk-khi")) == 2

    # The next file moves one, knows another already, and has lines that are wrong.
    entries = len(gateway.ledger())
    lines = [
        {"id": "ident-1", "attributes": {"residence": "SG"}},
        {"id": "ident-2", "attributes": one["attributes"] | {"residence": "SG"}, "reason": "again"},
        {"id": "ident-secret", "attributes": {"residence": "Atlantis"}},
        "no line",
        {"id": "ident-new", "attributes": {"residence": "PK"}, "effective": "2020-01-01"},
    ]
    changes = tmp_path / "changes"
    changes.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    bad = tmp_path / "bad"
    done, said = run_import(gateway, changes, "--bad", bad, check=False)
    assert done.returncode == 1
    assert (said["imported"], said["unchanged"], said["failed"]) == (2, 1, 2)
    assert [error["line"] for error in said["errors"]] == [3, 4]
    assert bad.read_text().splitlines() == [json.dumps(lines[2]), "no line"]
    assert known(gateway, "ident-2")["generation"] == 1
    wait_for(lambda: len(records_at(gateway, "pk-khi")) == 1)
    assert len(records_at(gateway, "sg-sin")) == 2
    kinds = [entry["kind"] for entry in gateway.ledger()[entries:]]
    assert kinds.count("subject-set") == 2, "what changes nothing is not in the ledger"
    assert "ident-" not in gateway.log() and "Atlantis" not in gateway.log()


def test_a_move_of_a_later_day_comes_by_itself_also_while_nobody_serves(gateway):
    gateway.cli("subject", "set", "amna", "residence=PK", "--reason", "registered")
    put(gateway, "amna", "a")
    comes = day(seconds=4)
    gateway.cli("subject", "set", "amna", "residence=SG", "--effective", comes, "--reason", "announced")
    assert country_of(put(gateway, "amna", "b")) == "PK"
    assert known(gateway, "amna")["attributes"] == {"residence": "PK"}
    assert known(gateway, "amna", f"?at={comes}")["attributes"] == {"residence": "SG"}
    states = [statement["state"] for statement in known(gateway, "amna")["history"]]
    assert states == ["holds", "coming"]
    wait_for(lambda: known(gateway, "amna")["attributes"] == {"residence": "SG"}, 10)
    assert country_of(put(gateway, "amna", "c")) == "SG"
    wait_for(lambda: records_at(gateway, "pk-khi") == [])
    assert [entry["kind"] for entry in gateway.ledger()].count("subject-due") == 1

    gateway.cli("subject", "set", "amna", "residence=PK", "--effective", day(seconds=2))
    gateway.stop()
    time.sleep(2)
    gateway.start()
    assert country_of(put(gateway, "amna", "d")) == "PK"
    wait_for(lambda: records_at(gateway, "sg-sin") == [])
    for name in "abcd":
        body = gateway.client().get_object(Bucket=BUCKET, Key=f"users/amna/{name}")["Body"].read()
        assert body == name.encode()
    table = gateway.cli("subject", "get", "amna").stdout
    assert "announced" in table and "operator-1" in table and "holds" in table


def test_what_is_learned_late_moves_records_and_leaves_what_was_known(gateway):
    gateway.cli("subject", "set", "bilal", "residence=PK", "--effective", "2020-01-01")
    put(gateway, "bilal", "a")
    then = day()
    time.sleep(0.01)
    gateway.cli("subject", "set", "bilal", "residence=SG", "--effective", "2026-01-15", "--reason", "learned late")
    wait_for(lambda: records_at(gateway, "pk-khi") == [])
    assert len(records_at(gateway, "sg-sin")) == 1
    march = "2026-03-01"
    assert known(gateway, "bilal", f"?at={march}")["attributes"] == {"residence": "SG"}
    assert known(gateway, "bilal", f"?at={march}&known-at={then}")["attributes"] == {"residence": "PK"}
    assert known(gateway, "bilal", "?at=2021-06-01")["attributes"] == {"residence": "PK"}
    assert not known(gateway, "bilal", "?at=2019-12-31")["known"]
    # It survives the loss of the index, and goes with an erasure.
    before = known(gateway, "bilal")
    gateway.cli("subject", "set", "bilal", "residence=PK", "--effective", "2090-01-01")
    coming = known(gateway, "bilal")
    assert coming["attributes"] == before["attributes"]
    time.sleep(1.5)
    gateway.stop()
    (gateway.folder / "data/index").rename(gateway.folder / "index-that-burned")
    rebuild(gateway)
    gateway.start()
    assert known(gateway, "bilal") == coming
    assert gateway.admin("POST", "/v1/subjects/bilal/erase", {"now": True})[0] in (200, 202)
    assert gateway.admin("GET", "/v1/subjects/bilal")[0] == 404
    assert gateway.admin("GET", f"/v1/subjects/bilal?at={march}")[0] == 404


def test_an_import_that_is_killed_is_resumed(gateway, tmp_path):
    count = 30_000
    table = tmp_path / "many.csv"
    table.write_text("subject,residence\n" + "".join(f"p-{number},{'PK' if number % 3 else 'SG'}\n" for number in range(count)))
    state = tmp_path / "many.csv.import-state"
    failed = {}

    def first():
        failed["done"] = gateway.cli("--json", "subject", "import", str(table), check=False)

    importing = threading.Thread(target=first)
    importing.start()
    wait_for(state.exists)
    gateway.kill()
    importing.join()
    said = json.loads(failed["done"].stdout)
    assert failed["done"].returncode == 3 and said["stopped"] is not None and said["imported"] < count
    gateway.start()
    kept = json.loads(state.read_text())
    _, said = run_import(gateway, table, "--resume")
    assert said["imported"] + said["unchanged"] == count and said["failed"] == 0
    assert said["imported"] >= kept["imported"]
    assert not state.exists()
    _, again = run_import(gateway, table)
    assert (again["imported"], again["unchanged"]) == (0, count)
    changed = known(gateway, "p-29999")
    assert (changed["attributes"], changed["generation"]) == ({"residence": "PK"}, 1)


def test_lines_stream_through_one_request_of_any_length(gateway):
    """More than any body may be, in one request, and the gateway's memory stays as it is."""
    count = 40_000
    before = gateway.peak_memory()
    lines = "".join(
        json.dumps({"id": f"s-{number}", "attributes": {"residence": "PK", "note": "x" * 200}, "reason": "y" * 200}) + "\n"
        for number in range(count)
    )
    status, answer = gateway.admin("POST", "/v1/subjects:import?dry-run=true", lines)
    assert (status, answer["imported"], answer["failed"]) == (200, count, 0)
    assert gateway.peak_memory() < before + (64 << 20)


def test_a_directory_can_keep_no_ids(tmp_path):
    extra = '[directory]\nids = "hashed"\n'
    gateway = Gateway(tmp_path / "gateway", fs_sites(tmp_path / "sites"), gc_grace="1s", extra=extra).start()
    try:
        gateway.client().create_bucket(Bucket=BUCKET)
        gateway.cli("subject", "set", "amna", "residence=PK")
        put(gateway, "amna", "a")
        gateway.cli("subject", "set", "amna", "residence=SG", "--effective", day(seconds=1))
        wait_for(lambda: records_at(gateway, "pk-khi") == [])
        assert country_of(put(gateway, "amna", "b")) == "SG"
        assert known(gateway, "amna")["attributes"] == {"residence": "SG"}
        found = json.loads(gateway.cli("--json", "where", "--subject", "amna").stdout)
        assert len(found["records"]) == 2
        assert gateway.admin("POST", "/v1/subjects/amna/erase", {"now": True})[0] in (200, 202)
        assert gateway.admin("GET", "/v1/subjects/amna")[0] == 404
    finally:
        gateway.stop()


def test_a_file_of_bad_columns_is_refused_before_anything_is_sent(gateway, tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("name,residence\nali,PK\n")
    done = subprocess.run(
        [BINARY, "subject", "import", table, "--url", "http://127.0.0.1:1", "--token", "none"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "names the columns" in done.stderr
