"""An auditor's questions: where is it, where was it, why, how much is there, show me all of it, show me some of it, prove it."""

import csv
import datetime
import hashlib
import http.client
import io
import json
import os
import subprocess
import time

import pytest

from clients import CLIENTS
from conftest import fs_sites
from gateway import TOKENS, Gateway
from test_relocation import wait_for

BUCKET = "media-files"
NASTY = ["=1+2", "+cmd|' /C calc'!A0", "-1", "@SUM(A1)", "'quoted", 'a,"b"', "line\nbreak", "tab\tand \u7f8e/\U0001f600"]
JSON_COLUMNS = {"attributes", "countries", "copies", "instruments", "shadow", "signals", "exceptions"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("questions")
    gateway = Gateway(folder / "gateway", fs_sites(folder / "sites"), gc_grace="1s").start()
    gateway.client().create_bucket(Bucket=BUCKET)
    yield gateway
    gateway.stop()


def now():
    time.sleep(0.02)
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ask(gateway, path, role="auditor"):
    status, answer = gateway.admin("GET", path, role=role)
    assert status == 200, answer
    return answer


def resides(gateway, subject, country):
    status, answer = gateway.admin("PUT", f"/v1/subjects/{subject}", {"attributes": {"residence": country}})
    assert status == 200, answer


def put(gateway, key, body=b"hello", **more):
    return gateway.client().put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def history(gateway, key, at=None):
    command = ["--json", "where", f"s3://{BUCKET}/{key}", *(["--at", at] if at else ["--history"])]
    return json.loads(gateway.cli(*command, role="auditor").stdout)


def entries(gateway, query):
    """All entries of a question, page by page, following the header."""
    found, after = [], 0
    while after is not None:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=60)
        path = f"/v1/ledger/entries?limit=5&from={after}&{query}"
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKENS['auditor']}"})
        answer = connection.getresponse()
        body = answer.read().decode()
        assert answer.status == 200, body
        found += [json.loads(line) for line in body.splitlines()]
        following = answer.headers.get("x-domicile-next")
        after = int(following) if following else None
        connection.close()
    return found


def leaf_hash(leaf):
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(hashes):
    """RFC 6962, section 2.1, by its definition."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(root_of(hashes[:split]), root_of(hashes[split:]))


def proves(leaf, index, size, proof, root):
    """RFC 9162, section 2.1.3.2."""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf_hash(leaf)
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def line_of(row):
    """The line of a row, from the columns of any format."""
    text = lambda name, value: value if name in JSON_COLUMNS else json.dumps(value, ensure_ascii=False)
    return ("{" + ",".join(f'"{name}":{text(name, value)}' for name, value in row.items()) + "}").encode()


def test_where_it_is_where_it_was_and_why_also_when_it_is_gone(gateway):
    resides(gateway, "story", "PK")
    before = now()
    key = "users/story/diary"
    put(gateway, key)
    written = now()
    resides(gateway, "story", "SG")
    wait_for(lambda: any(entry["kind"] == "relocated" for entry in entries(gateway, f"bucket={BUCKET}&key={key}")))
    moved = now()
    gateway.client().delete_object(Bucket=BUCKET, Key=key)
    wait_for(lambda: history(gateway, key)["versions"][0]["copies"][-1]["state"] == "removed")
    gone = now()

    status, answer = gateway.admin("GET", f"/v1/record/history?bucket={BUCKET}&key={key}&at={before}", role="auditor")
    assert status == 404, answer
    [version] = history(gateway, key, written)["versions"]
    assert version["state"] == "live"
    [copy] = version["copies"]
    assert (copy["site"], copy["country"], copy["key_country"], copy["state"]) == ("pk-khi", "PK", "PK", "stored")
    [decided] = version["placed"]
    assert "pk-cpoh-2020" in decided["instruments"] and len(decided["revision"]) == 64
    assert decided["decided_by"]["source"] == "instruments"
    assert decided["decided_by"]["signals"]["residence"] == ["directory"]
    assert decided["decided_by"]["signals"]["subject"] == ["key:users/{subject}/**"]

    [version] = history(gateway, key, moved)["versions"]
    here = [copy for copy in version["copies"] if copy["state"] == "stored"]
    assert [(copy["site"], copy["country"]) for copy in here] == [("sg-sin", "SG")]
    assert here[0]["verified"]["kind"] == "relocated", "a move reads back"

    assert history(gateway, key, gone)["versions"] == []
    [version] = history(gateway, key)["versions"]
    assert version["state"] == "gone" and version["gone"]["kind"] == "delete-object"
    assert [copy["state"] for copy in version["copies"]] == ["removed", "removed"]
    for copy in version["copies"]:
        times = [copy[moment]["time"] for moment in ("placed", "stored", "left", "removed")]
        assert times == sorted(times)
    people = gateway.cli("where", f"s3://{BUCKET}/{key}", "--history", role="auditor").stdout
    assert "pk-khi" in people and "residence from directory" in people


def test_a_whole_verification_vouches_for_each_copy(gateway):
    resides(gateway, "checked", "PK")
    put(gateway, "users/checked/a")
    time.sleep(0.01)
    gateway.cli("verify", role="operator")
    [version] = history(gateway, "users/checked/a")["versions"]
    assert version["copies"][0]["verified"]["kind"] == "scrubbed"


def test_entries_by_class_key_subject_and_time(gateway):
    resides(gateway, "facets", "PK")
    since = now()
    put(gateway, "users/facets/a")
    with pytest.raises(gateway.client().exceptions.ClientError):
        put(gateway, "users/facets/a", Metadata={"domicile-subject": "somebody-else"})
    refused = entries(gateway, f"class=refusals&since={since}")
    assert [entry["outcome"]["refused"]["code"] for entry in refused] == ["ResidencyConflict"]
    named = entries(gateway, f"bucket={BUCKET}&key=users/facets/a&since={since}")
    assert [entry["kind"] for entry in named if entry["kind"] != "audit-query"] == ["put-object", "put-object"]
    kinds = {entry["kind"] for entry in entries(gateway, f"subject=facets&since={since}")}
    assert kinds >= {"put-object"}
    assert {entry["kind"] for entry in entries(gateway, f"kind=subject-set&until={since}")} == {"subject-set"}
    for wrong in ("class=unknown", "bucket=media-files", "since=yesterday"):
        assert gateway.admin("GET", f"/v1/ledger/entries?{wrong}", role="auditor")[0] == 400


def test_counts_agree_with_each_other_and_with_the_population(gateway):
    resides(gateway, "counted", "PK")
    for name in NASTY:
        put(gateway, f"users/counted/{name}", body=b"x" * 10)
    summary = ask(gateway, "/v1/summary")
    rows = population(gateway, "ndjson")[0]
    sizes = lambda some: {"objects": len(some), "bytes": sum(row["size"] for row in some)}
    assert summary["total"] == sizes(rows)
    assert summary["buckets"][BUCKET] == sizes(rows)
    for country, count in summary["countries"].items():
        assert count == sizes([row for row in rows if country in row["countries"]])
        for instrument, pair in summary["country_instruments"].get(country, {}).items():
            assert pair == sizes([row for row in rows if country in row["countries"] and instrument in row["instruments"]])
    assert sum(count["objects"] for count in summary["site_buckets"]["pk-khi"].values()) == summary["sites"]["pk-khi"]["objects"]
    # Page by page, and all versions.
    found, cursor = [], ""
    while cursor is not None:
        page = ask(gateway, f"/v1/records?country=PK&limit=3{cursor}")
        found += [record["record"] for record in page["records"]]
        cursor = f"&cursor={page['cursor']}" if "cursor" in page else None
    assert sorted(found) == sorted(row["record"] for row in rows if "PK" in row["countries"])


def population(gateway, form, query=""):
    """Parsed rows in their order, totals, and the whole file."""
    status, body = gateway.admin_raw("GET", f"/v1/population?format={form}{query}", role="auditor")
    assert status == 200, body
    *lines, last = body.split(b"\n")[:-1]
    return [json.loads(line) for line in lines], json.loads(last)["population"], lines


def test_the_population_is_the_same_in_every_format_and_bound_by_its_root(gateway, tmp_path):
    resides(gateway, "exported", "PK")
    for name in NASTY:
        put(gateway, f"users/exported/{name}", body=b"x" * 10)
        put(gateway, name, Metadata={"domicile-subject": "exported"})
    rows, totals, lines = population(gateway, "ndjson")
    assert {row["key"] for row in rows} >= {f"users/exported/{name}" for name in NASTY}
    root = root_of([leaf_hash(line) for line in lines]).hex()
    assert (totals["rows"], totals["bytes"], totals["root"]) == (len(rows), sum(row["size"] for row in rows), root)
    entry = gateway.ledger()[totals["entry"]]
    assert entry["kind"] == "population-exported" and entry["population"]["root"] == root
    assert entry["population"]["ledger"] == totals["ledger"]["size"]

    file = tmp_path / "population.csv"
    gateway.cli("population", "export", "-o", str(file), "--format", "csv", role="auditor")
    text = file.read_bytes().decode()
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    last = table.pop()
    assert last["bucket"] == "#population" and json.loads(last["key"])["root"] == root
    parsed = []
    for row in table:
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        row = {name: cell[1:] if cell.startswith("'") else cell for name, cell in row.items()}
        row |= {"size": int(row["size"]), "subject": row["subject"] or None}
        row |= {name: row[name] == "true" for name in ("current", "customer_key")}
        parsed.append(line_of(row))
    assert parsed == lines

    exported = json.loads(gateway.cli("--json", "population", "export", "-o", str(tmp_path / "p.ndjson"), role="auditor").stdout)
    assert exported["population"]["root"] == root
    assert "ok" in gateway.cli("population", "verify", str(tmp_path / "p.ndjson")).stdout
    content = (tmp_path / "p.ndjson").read_bytes()
    (tmp_path / "cut.ndjson").write_bytes(content[content.index(b"\n") + 1 :])
    assert gateway.cli("population", "verify", str(tmp_path / "cut.ndjson"), check=False).returncode == 1
    # A part of it.
    some, part, _ = population(gateway, "ndjson", "&subject=exported")
    assert part["rows"] == 2 * len(NASTY) and {row["subject"] for row in some} == {"exported"}


def test_parquet_is_read_by_others(gateway, tmp_path):
    python = CLIENTS / "venv" / "bin" / "python"
    if not os.access(python, os.X_OK):
        pytest.skip("pyarrow is not there; ./test installs it")
    put(gateway, "users/story/parquet")
    file = tmp_path / "population.parquet"
    gateway.cli("population", "export", "-o", str(file), "--format", "parquet", role="auditor")
    script = (
        "import json, sys, pyarrow.parquet as pq\n"
        "f = pq.ParquetFile(sys.argv[1])\n"
        "rows = f.read().to_pylist()\n"
        "totals = json.loads(f.metadata.metadata[b'domicile.population'])\n"
        "print(json.dumps({'rows': rows, 'totals': totals}, default=lambda b: b.decode()))\n"
    )
    done = subprocess.run([python, "-c", script, file], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    hashes = [leaf_hash(line_of(row)) for row in read["rows"]]
    assert len(hashes) == read["totals"]["rows"]
    assert root_of(hashes).hex() == read["totals"]["root"]


def test_a_sample_can_be_drawn_again_and_is_proven(gateway):
    resides(gateway, "sampled", "PK")
    for number in range(20):
        put(gateway, f"users/sampled/{number}")
    drawn = json.loads(gateway.cli("--json", "population", "sample", "--seed", "2026-11", "-n", "5", role="auditor").stdout)
    rows = population(gateway, "ndjson")[0]
    assert drawn["population"] == len(rows)
    place = lambda row: hashlib.sha256(f"2026-11:{row['record']}".encode()).hexdigest()
    assert [record["record"] for record in drawn["records"]] == sorted(rows, key=place)[:5]
    size, root = drawn["ledger"]["size"], bytes.fromhex(drawn["ledger"]["root"])
    for record in drawn["records"]:
        proof = [bytes.fromhex(part) for part in record["proof"]]
        assert proves(record["leaf"].encode(), record["entry"], size, proof, root)
        assert not proves(record["leaf"].encode() + b" ", record["entry"], size, proof, root)
        assert json.loads(record["leaf"])["record"] == record["record"]["record"]
    whole = [json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode() for entry in gateway.ledger()[:size]]
    assert root_of([leaf_hash(leaf) for leaf in whole]) == root
    # The questions themselves are in the ledger, and say nothing of the seed.
    asked = [entry["query"]["route"] for entry in entries(gateway, "class=queries") if entry["kind"] == "audit-query"]
    assert "GET /v1/sample" in asked and "GET /v1/population" in asked and "GET /v1/record/history" in asked
