"""The console, as people see it: real Chromium walks every page as every role, and axe looks for what keeps somebody out.

`DOMICILE_CONSOLE_SHOTS` names a folder for screenshots at 360, 1440 and 3840 px, light and dark, for whoever wants to look.
"""

import csv
import hashlib
import http.client
import io
import json
import os
import urllib.parse

import pytest

import chromium
import console_scene
from gateway import TOKENS

# Which pages each role's navigation has: as docs/console.md says, and no more than the table of the API's routes gives it.
READ = "records subject policies exceptions refusals ledger report population sample sites keys findings relocations erasures".split()
SEEN = {"auditor": READ, "operator": READ, "legal": READ, "policy-admin": ["subject", "policies"]}

RECORD = "/console/record?bucket=media&key=" + urllib.parse.quote(console_scene.URDU, safe="")
PAGES = [
    "/console/records?all=yes",
    "/console/records?subject=nobody",
    RECORD,
    RECORD + "&at=2020-01-01",
    "/console/record?bucket=media&key=" + urllib.parse.quote(console_scene.HOSTILE, safe=""),
    "/console/subject?id=sana",
    "/console/policies/diff",
    "/console/sample?seed=a%20die&n=5",
    "/console/ledger?class=refusals",
    "/console/ledger?since=yesterday&bucket=media",
    "/console/ledger?bucket=media&key=" + urllib.parse.quote(console_scene.URDU, safe=""),
    "/console/ledger/checkpoints",
    "/console/ledger/entries/30",
    "/console/relocations/1",
    "/console/report?since=2020-01-01&until=2099-01-01",
    "/console/records?country=Pakistan",
    "/console/nowhere",
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    gateway = console_scene.stage(tmp_path_factory.mktemp("console"))
    yield gateway
    gateway.stop()


class Browser:
    """As much of one as a form needs."""

    def __init__(self, gateway):
        self.gateway, self.cookie = gateway, None

    def ask(self, method, path, form=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.admin_port, timeout=60)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            headers["Cookie"] = self.cookie
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            headers.setdefault("Sec-Fetch-Site", "same-origin")
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        answer.text = answer.read().decode(errors="replace")
        connection.close()
        return answer

    def sign_in(self, role):
        answer = self.ask("POST", "/console/login", {"token": TOKENS[role]})
        assert answer.status == 303 and answer.getheader("location") == "/console", answer.text
        said = answer.getheader("set-cookie")
        assert "HttpOnly" in said and "SameSite=Strict" in said
        self.cookie = said.split(";")[0]
        return self


def kinds_since(gateway, before):
    return [entry.get("query", {}).get("route") for entry in gateway.ledger()[before:] if entry["kind"] == "audit-query"]


def by_token(gateway, since, token):
    """The ledger's entries from number `since` on that came of a token; the gateway's own may stand between them."""
    entries = [entry for entry in gateway.ledger()[since:] if entry["actor"] != "system"]
    return [entry for entry in entries if entry["actor"].get("token", {}).get("id") == token]


def test_every_page_is_asked_for_in_the_words_of_the_api_and_recorded(scene):
    browser = Browser(scene).sign_in("auditor")
    asked = {
        "/console/records?subject=sana": ["GET /v1/records"],
        RECORD: ["GET /v1/record", "GET /v1/record/history"],
        "/console/subject?id=sana": ["GET /v1/subjects/{id}", "GET /v1/records"],
        "/console/keys": ["GET /v1/keys"],
        "/console/refusals": ["GET /v1/ledger/checkpoint", "GET /v1/ledger/entries"],
        "/console/report?since=2020-01-01&until=2099-01-01": ["GET /v1/report"],
        "/console/population": ["GET /v1/ledger/checkpoint", "GET /v1/ledger/entries"],
        "/console/population/export": ["GET /v1/population"],
        "/console/sample?seed=x&n=3": ["GET /v1/sample"],
        "/console/policies/diff": [
            "GET /v1/policies",
            "GET /v1/policies/history",
            *["GET /v1/policies/revisions/{id}"] * 2,
            "POST /v1/policies/diff",
        ],
    }
    for path, routes in asked.items():
        before = len(scene.ledger())
        answer = browser.ask("GET", path)
        assert answer.status == 200, answer.text
        # The ledger is read with questions of its own.
        found = [route for route in kinds_since(scene, before) if route]
        for _ in range(found.count("GET /v1/ledger/entries") - routes.count("GET /v1/ledger/entries")):
            found.remove("GET /v1/ledger/entries")
        assert sorted(found) == sorted(routes), path
    actors = [entry["actor"] for entry in scene.ledger() if entry.get("query", {}).get("route") == "GET /v1/report"]
    assert actors == [{"token": {"role": "auditor", "id": "auditor-1"}}]


def test_a_role_sees_what_the_api_shows_it(scene):
    policy_admin = Browser(scene).sign_in("policy-admin")
    assert policy_admin.ask("GET", "/console").status == 200
    assert "Records by" not in policy_admin.ask("GET", "/console").text
    subject = policy_admin.ask("GET", "/console/subject?id=sana")
    assert subject.status == 200 and "passport seen" in subject.text and "photo-" not in subject.text
    before = len(scene.ledger())
    pages = ["records?all=yes", "records", "ledger", "refusals", "report", "report.json?since=2020-01-01&until=2099-01-01", "keys"]
    pages += ["population", "population/export", "sample", "sample?seed=x", "sample.json?seed=x"]
    for page in pages:
        assert policy_admin.ask("GET", f"/console/{page}").status == 403, page
    assert not by_token(scene, before, "policy-admin-1")


def test_pages_say_how_browsers_are_to_treat_them(scene):
    browser = Browser(scene).sign_in("auditor")
    for path, status in [("/console", 200), ("/console/login", 200), ("/console/nowhere", 404)]:
        answer = browser.ask("GET", path)
        assert answer.status == status
        policy = answer.getheader("content-security-policy")
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "*" not in policy and "http" not in policy
        assert answer.getheader("cache-control") == "no-store"
        assert answer.getheader("x-content-type-options") == "nosniff"
        assert "frame-ancestors 'none'" in policy and answer.getheader("x-frame-options") == "DENY"
        assert "<style" not in answer.text and " style=" not in answer.text and "<script>" not in answer.text
    assert "<img src=x" not in browser.ask("GET", "/console/records?all=yes").text
    strangers = Browser(scene).ask("GET", "/console/records?subject=sana")
    assert strangers.status == 303 and strangers.getheader("location").startswith("/console/login?next=")
    away = Browser(scene).ask("POST", "/console/login", {"token": TOKENS["legal"], "next": "//evil.example/"})
    assert away.getheader("location") == "/console"
    elsewhere = Browser(scene).ask("POST", "/console/login", {"token": TOKENS["legal"]}, Sec_Fetch_Site="cross-site")
    assert elsewhere.status == 403 and not elsewhere.getheader("set-cookie")
    assert browser.ask("POST", "/console/logout", {"csrf": "guessed"}).status == 403
    assert browser.ask("GET", "/console/keys").status == 200


def test_the_report_is_what_the_ledger_says(scene):
    status, report = scene.admin("GET", "/v1/report?since=2020-01-01&until=2099-01-01", role="auditor")
    assert status == 200
    entries = scene.ledger()[: report["period"]["entries"]]
    placed = [entry for entry in entries if entry["kind"] == "put-object" and entry["outcome"] == "ok"]
    assert report["period"]["placements"]["total"] == {"objects": len(placed), "bytes": sum(entry["size"] for entry in placed)}
    refused = [entry for entry in entries if entry["outcome"] != "ok"]
    assert report["period"]["refusals"]["count"] == sum(1 + entry.get("suppressed", 0) for entry in refused) >= 2
    assert report["period"]["exceptions"]["count"] == 1
    assert report["ledger"]["size"] == report["period"]["entries"] == report["period"]["last"] + 1
    assert report["standing"] and report["population"]["countries"]["PK"]["objects"] > 0
    midnight = placed[3]["time"]
    status, part = scene.admin("GET", f"/v1/report?since={midnight}&until=2099-01-01", role="auditor")
    assert status == 200 and part["period"]["first"] == next(entry["seq"] for entry in entries if entry["time"] >= midnight)
    assert scene.admin("GET", "/v1/report?since=2027-01-01&until=2026-01-01", role="auditor")[0] == 400
    assert scene.admin("GET", "/v1/report?since=2026-01-01&until=2027-01-01", role="policy-admin")[0] == 403


def test_two_policy_sets_are_held_against_each_other(scene):
    """The scene's second set adds an instrument for the Emirates, whose data was in Singapore before."""
    admin = Browser(scene).sign_in("policy-admin")
    history = scene.admin("GET", "/v1/policies/history", role="auditor")[1]["entries"]
    new, old = (entry["revision"] for entry in history)
    page = admin.ask("GET", "/console/policies/diff")
    assert page.status == 200 and f"from={new}&amp;to={old}" in page.text, "what is in force, and what was before"
    assert "ae-health/policy.toml" in page.text and "+copies = &#34;only&#34;" in page.text
    assert "residence = AE" in page.text and "<strong>ae-health</strong>" in page.text and "SG primary" in page.text
    diff = scene.admin("POST", "/v1/policies/diff", {"from": old, "to": new}, role="auditor")[1]
    assert f"by example: {len(diff['changes'])}<" in page.text
    more = page.text.count("Allows more") - (1 if diff["allows_more"] else 0)
    assert more == sum(change["allows_more"] for change in diff["changes"])

    assert scene.admin("GET", "/v1/policies")[1]["approval"] == "never"
    back = admin.ask("GET", f"/console/policies/diff?from={new[:8]}&to={old[:8]}")
    assert "Here no set waits" in back.text and "-copies = &#34;only&#34;" in back.text
    assert "is not the one in force" in page.text
    alone = admin.ask("GET", f"/console/policies/diff?from={new}&to={new}")
    assert alone.status == 200 and "the same set" in alone.text
    assert admin.ask("GET", "/console/policies/diff?from=00000000").status == 404
    assert admin.ask("GET", "/console/policies/diff?to=%3Cb%3E").status == 400

    before = len(scene.ledger())
    legal = Browser(scene).sign_in("legal").ask("GET", "/console/policies/diff")
    assert legal.status == 200 and "ae-health/policy.toml" in legal.text and "residence = AE" not in legal.text
    asked = by_token(scene, before, "legal-1")
    assert asked and "POST /v1/policies/diff" not in [entry.get("query", {}).get("route") for entry in asked]


def test_the_population_is_exported_and_the_ledger_has_its_root(scene):
    browser = Browser(scene).sign_in("legal")
    answer = browser.ask("GET", "/console/population/export?format=csv&country=PK")
    assert answer.status == 200 and answer.getheader("content-type").startswith("text/csv")
    assert answer.getheader("content-disposition").startswith('attachment; filename="domicile-population-2')
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    totals = json.loads(rows.pop()["key"])
    assert rows and totals["rows"] == len(rows) and all("PK" in json.loads(row["countries"]) for row in rows)
    [entry] = [one for one in scene.ledger() if one["seq"] == totals["entry"]]
    assert entry["actor"] == {"token": {"role": "legal", "id": "legal-1"}} and entry["population"]["root"] == totals["root"]
    page = browser.ask("GET", "/console/population").text
    assert page.index(totals["root"]) and "legal-1 (legal)" in page
    assert totals["root"] not in browser.ask("GET", f"/console/population?before={totals['entry']}").text
    assert browser.ask("GET", "/console/population/export?format=xlsx").status == 400


def test_a_sample_is_what_anybody_draws_from_the_population(scene):
    browser = Browser(scene).sign_in("auditor")
    page = browser.ask("GET", "/console/sample?seed=a%20die&n=7").text
    said = browser.ask("GET", "/console/sample.json?seed=a%20die&n=7")
    assert said.getheader("content-disposition") == 'attachment; filename="domicile-sample.json"'
    drawn = [one["record"]["record"] for one in json.loads(said.text)["records"]]
    rows = [json.loads(line) for line in browser.ask("GET", "/console/population/export").text.splitlines()][:-1]
    again = sorted((row["record"] for row in rows), key=lambda record: hashlib.sha256(f"a die:{record}".encode()).digest())
    assert drawn == again[:7]
    assert all(record in page for record in drawn) and page.count(">Proven</span>") == 7 and "7 of 7" in page
    assert browser.ask("GET", "/console/sample?seed=x&n=1001").status == 400


@chromium.needed
def test_chromium_walks_every_page_as_every_role(scene):
    order = {
        "url": f"http://127.0.0.1:{scene.admin_port}",
        "tokens": TOKENS,
        "pages": PAGES,
        "shots": os.environ.get("DOMICILE_CONSOLE_SHOTS"),
    }
    said = chromium.drive("walk.mjs", order)
    assert not said["wrong"], "\n".join(said["wrong"])
    for role, pages in SEEN.items():
        assert said["seen"][role] == ["/console"] + [f"/console/{page}" for page in pages], role
    assert said["looked"] > 100
