"""The console's pages of the ledger: what they show is what the API answers, and what they let somebody take away verifies without the gateway."""

import base64
import html
import json
import re
import urllib.parse

import pytest
from botocore.exceptions import ClientError

import test_proofs
from conftest import fs_sites
from gateway import Gateway
from test_console import Browser, kinds_since
from test_ledger_log import export, settings, verify, vouched
from vouchers import TimeStamps, Witness

SANA = {"domicile-subject": "sana", "domicile-residence": "PK"}
KEY = "users/sana/عید & <b>.txt"
PAGE = 100


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    folder = tmp_path_factory.mktemp("console-ledger")
    witness, away, stamps = Witness("witness.example/w1"), Witness("witness.example/away"), TimeStamps(folder / "tsa")
    away.stop()
    extra = settings(witness, stamps) + f'[[ledger.witness]]\nurl = "{away.url}"\nkey = "{away.vkey}"\n'
    gateway = Gateway(folder / "gateway", fs_sites(folder / "sites"), extra=extra).start()
    try:
        s3 = gateway.client()
        s3.create_bucket(Bucket="media")
        s3.put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Enabled"})
        for body in (b"first", b"second"):
            s3.put_object(Bucket="media", Key=KEY, Body=body, Metadata=SANA)
        for number in range(3):
            with pytest.raises(ClientError):
                s3.put_object(Bucket="media", Key=f"nobody-{number}", Body=b"x", Metadata={"domicile-subject": "nobody-knows"})
        # More than a page.
        for _ in range(PAGE + 20):
            assert gateway.admin("GET", "/v1/summary")[0] == 200
        vouched(gateway)
        gateway.stamps = stamps
        yield gateway
    finally:
        gateway.stop()
        witness.stop()
        stamps.stop()


@pytest.fixture
def browser(console):
    return Browser(console).sign_in("auditor")


def page(browser, path, status=200):
    answer = browser.ask("GET", path.split("#")[0])
    assert answer.status == status, answer.text
    return answer.text


def attached(text, name):
    """The file that a link of a page has in it."""
    data = re.search(rf'href="data:text/plain;charset=utf-8,([^"]*)" download="{name}"', text)
    return urllib.parse.unquote(data[1])


def link(text, label):
    """Where a link of this label leads to."""
    found = re.search(rf'href="([^"]*)"[^>]*>{label}', text)
    return html.unescape(found[1]) if found else None


def numbers(text):
    return [int(number) for number in re.findall(r'href="/console/ledger/entries/(\d+)">Inclusion', text)]


def test_the_checkpoint_that_is_shown_verifies_an_export(console, browser, tmp_path):
    text = page(browser, "/console/ledger")
    note = attached(text, r"domicile-checkpoint-\d+\.txt")
    assert note in html.unescape(text)
    vkey = console.admin("GET", "/v1/ledger/checkpoint")[1]["key"]
    assert vkey in html.unescape(text)
    size, _ = test_proofs.checkpoint_of(note, vkey)
    (tmp_path / f"domicile-checkpoint-{size}.txt").write_text(note)
    export(console, tmp_path / "ledger")
    # As the page says it, but for where the files are.
    command = html.unescape(re.search(r"<code>(domicile ledger verify ledger/ .*?)</code>", text)[1])
    words = command.replace("'", "").split()[3:]
    assert words == ["ledger/", "--checkpoint", f"domicile-checkpoint-{size}.txt", "--vkey", vkey]
    code, said = verify(tmp_path / "ledger", "--checkpoint", tmp_path / words[2], "--vkey", vkey)
    assert code == 0, said
    for name, state in {"witness.example/w1": "Up to date|Behind", "witness.example/away": "Fails", console.stamps.url: "Up to date|Behind"}.items():
        assert re.search(rf'{re.escape(name)}[^<]*</th>\s*<td class="word">[^<]*</td>\s*<td><span class="state \w+">({state})<', text), name
    # What is said of them is what the API says.
    said = console.admin("GET", "/v1/ledger/checkpoints?limit=1", role="auditor")[1]
    [good, bad] = said["witnesses"]
    assert good["last"] and good["failing"] is None and bad["last"] is None
    assert bad["behind"] >= said["checkpoints"][0]["size"] > 0 and bad["failing"]["why"].startswith("no answer")
    assert [one["name"] for one in said["authorities"]] == [console.stamps.url + "/tsr"]


def test_kept_checkpoints_and_their_time_stamps_can_be_taken_away(console, browser, tmp_path):
    text = page(browser, "/console/ledger/checkpoints")
    kept = vouched(console)
    stamp, note = (f"/console/ledger/checkpoints/{kept['size']}/{name}" for name in ("1.tsr", "note.txt"))
    assert kept["root"] in text and stamp in text and note in text
    answer = browser.ask("GET", note)
    assert answer.text == kept["note"] and f'domicile-checkpoint-{kept["size"]}.txt"' in answer.getheader("content-disposition")
    (tmp_path / "stamp.tsr").write_bytes(base64.b64decode(kept["time_stamps"][0]["answer"]))
    lines = "".join(line + "\n" for line in kept["note"].split("\n")[:3])
    assert console.stamps.verify(lines.encode(), tmp_path / "stamp.tsr")
    assert browser.ask("GET", stamp).getheader("content-type") == "application/timestamp-reply"
    for none in ("2.tsr", "0.tsr", "note", "../x"):
        assert browser.ask("GET", f"/console/ledger/checkpoints/{kept['size']}/{none}").status == 404, none


def test_an_entry_is_proven_against_the_newest_and_a_kept_checkpoint(console, browser):
    vkey = console.admin("GET", "/v1/ledger/checkpoint")[1]["key"]
    against = ["", f"?size={vouched(console)['size']}"]
    for size in against:
        text = page(browser, f"/console/ledger/entries/3{size}")
        assert ">Leads to the root<" in text
        leaf, note = attached(text, "domicile-entry-3.json"), attached(text, r"domicile-checkpoint-\d+\.txt")
        tree, root = test_proofs.checkpoint_of(note, vkey)
        proof = json.loads(browser.ask("GET", link(text, "Download the proof")).text)
        assert proof["size"] == tree and json.loads(leaf)["seq"] == proof["entry"] == 3
        test_proofs.check_inclusion(leaf, proof, root)
        assert proof == console.admin("GET", f"/v1/ledger/proof?entry=3&size={tree}", role="auditor")[1]
    assert browser.ask("GET", "/console/ledger/entries/9999999").status == 404
    assert browser.ask("GET", "/console/ledger/entries/3?size=1").status == 404
    assert browser.ask("GET", "/console/ledger/entries/x").status == 400


def test_filters_find_what_the_api_finds_on_every_page(console, browser):
    def of_api(query):
        _, body = console.admin_raw("GET", f"/v1/ledger/entries?limit=1000&{query}", role="auditor")
        return [json.loads(line)["seq"] for line in body.decode().splitlines()]

    named = f"bucket=media&key={urllib.parse.quote(KEY, safe='')}"
    for query in ("class=refusals", "kind=put-object", "class=queries", named, "subject=sana", "class=queries&since=2020-01-01T00:00:00Z"):
        expected = of_api(query)
        path, found, pages = f"/console/ledger?{query}", [], 0
        while path:
            text = page(browser, path)
            found += numbers(text)
            path, pages = link(text, "Older"), pages + 1
            assert not path or all(part.split("=")[0] + "=" in path for part in query.split("&")), path
        # Questions that came meanwhile, those of this test, are at the newer end.
        assert found == sorted(found, reverse=True) and len(set(found)) == len(found), query
        assert found[len(found) - len(expected) :] == expected[::-1] and expected, query
        assert pages > 1 or "queries" not in query
    assert numbers(page(browser, "/console/ledger?until=2020-01-01")) == []
    assert "No entry is so." in page(browser, "/console/ledger?since=2090-01-01")
    # The writes of a key lead to the proofs of their records.
    text = page(browser, f"/console/ledger?{named}")
    assert len(re.findall(r">Residency<", text)) == 2


def test_every_question_of_a_page_is_recorded_and_what_cannot_be_asked_is_told_at_its_field(console, browser):
    before = len(console.ledger())
    page(browser, "/console/ledger?class=refusals&subject=sana&until=2099-01-01")
    # Read by whoever has the least to do with it: this reading is a question, too.
    asked = [entry for entry in console.ledger()[before:] if entry.get("query", {}).get("class") == "refusals"]
    [question] = asked
    assert question["query"]["route"] == "GET /v1/ledger/entries" and question["query"]["until"] == "2099-01-01T00:00:00.000Z"
    assert question["query"]["before"] > before and "from" not in question["query"] and "sana" not in json.dumps(question)
    assert question["actor"] == {"token": {"role": "auditor", "id": "auditor-1"}}

    before = len(console.ledger())
    text = page(browser, "/console/ledger?since=yesterday&bucket=media&class=no-such", status=400)
    for field in ("since", "key", "class"):
        assert f'aria-describedby="{field}-wrong"' in text and f'id="{field}-wrong"' in text, field
    assert 'value="yesterday"' in text and 'value="media"' in text
    routes = kinds_since(console, before)
    assert routes.count("GET /v1/ledger/entries") == 1, "that of reading the ledger alone"


def test_a_residency_proof_is_taken_from_the_page_of_its_record(console, browser, tmp_path):
    text = page(browser, "/console/record?bucket=media&key=" + urllib.parse.quote(KEY, safe=""))
    assert len(re.findall(r'>Residency proof<', text)) == 2, "one of each version"
    answer = browser.ask("GET", link(text, "Residency proof"))
    assert answer.status == 200 and answer.getheader("content-disposition").startswith("attachment")
    vkey = console.admin("GET", "/v1/ledger/checkpoint")[1]["key"]
    said, _, _ = test_proofs.check(answer.text, vkey)
    assert said["record"]["key"] == KEY and said["record"]["size"] == len("second")
    (tmp_path / "proof.json").write_text(answer.text)
    code, out = verify("--proof", tmp_path / "proof.json", "--vkey", vkey)
    assert code == 0, out
    assert browser.ask("GET", "/console/record/proof.json?bucket=media&key=none").status == 404


def test_a_report_has_the_checkpoints_of_its_period(console, browser):
    everything = "since=2020-01-01&until=2099-01-01"
    report = console.admin("GET", f"/v1/report?{everything}", role="auditor")[1]["checkpoints"]
    kept = console.admin("GET", "/v1/ledger/checkpoints?limit=1000", role="auditor")[1]["checkpoints"]
    until = [one for one in kept if one["size"] <= report["last"]["size"]]
    assert report["count"] == len(until) and report["first"]["size"] == kept[-1]["size"] and report["first"]["note"]
    assert 0 < report["witnessed"] <= report["count"] and report["witnesses"] == {"witness.example/w1": report["witnessed"]}
    assert report["authorities"] == {console.stamps.url + "/tsr": report["stamped"]}
    part = console.admin("GET", f"/v1/report?since=2020-01-01&until={kept[-1]['time']}", role="auditor")[1]["checkpoints"]
    assert part["count"] == 0 and part["first"] is None
    text = page(browser, f"/console/report?{everything}")
    assert report["first"]["root"] in text and "witness.example/w1" in text


def test_other_roles_see_the_ledger_as_the_api_lets_them(console):
    policy_admin = Browser(console).sign_in("policy-admin")
    paths = ["ledger", "ledger/checkpoints", "ledger/checkpoints/1/note.txt", "ledger/entries/3", "ledger/entries/3/proof.json"]
    for path in paths + ["record/proof.json?bucket=media&key=a", "ledger?since=soon"]:
        assert policy_admin.ask("GET", f"/console/{path}").status == 403, path
    for role in ("operator", "legal"):
        assert Browser(console).sign_in(role).ask("GET", "/console/ledger/entries/3").status == 200
