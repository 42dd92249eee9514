"""How a policy set comes into force: kept, compared, approved by a second person, put back; by the real binary and its commands."""

import json
import signal
import time

import pytest

import policy_folder

STRICT = {"pk_law": ('residence = ["PK"]', 'copies = "only"\ncountries = ["PK"]')}
LOOSE = {"pk_law": ('residence = ["PK"]', 'copies = "only"\ncountries = ["PK", "SG"]')}
APPROVAL = '[policy-approval]\nrequire = "loosening"\n'


@pytest.fixture
def policies(tmp_path):
    return policy_folder.write(tmp_path / "policies", **STRICT)


@pytest.fixture
def gateway(make_gateway, policies):
    gateway = make_gateway(policies=policies, extra=APPROVAL)
    gateway.client().create_bucket(Bucket="media")
    body = {"attributes": {"residence": "PK"}}
    assert gateway.admin("PUT", "/v1/subjects/amna", body)[0] == 200
    return gateway


def standing(gateway, role="auditor"):
    status, view = gateway.admin("GET", "/v1/policies", role=role)
    assert status == 200, view
    return view


def ledger(gateway):
    """Kind, actor and step of every entry about policies."""
    entries = [entry for entry in gateway.ledger() if entry["kind"].startswith("policy-")]
    return [(entry["kind"], entry["actor"], entry.get("policy", {}), entry["outcome"]) for entry in entries]


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def put_and_find(gateway, key):
    gateway.client().put_object(Bucket="media", Key=key, Body=b"x")
    return gateway.admin("GET", f"/v1/record?bucket=media&key={key}")[1]["versions"][0]["revision"]


def test_a_second_person_approves_what_allows_more(gateway, policies):
    strict = standing(gateway)["revision"]
    policy_folder.write(policies, **LOOSE)
    told = gateway.cli("policy", "reload", role="operator").stdout
    assert "waits for approval" in told and "proposed by operator-1" in told
    view = standing(gateway)
    loose = view["proposal"]["revision"]
    assert (view["revision"], view["approval"], view["proposal"]["allows_more"]) == (strict, "loosening", True)
    assert put_and_find(gateway, "users/amna/1") == strict, "the old set decides"
    assert "domicile_policy_proposals 1" in gateway.admin_raw("GET", "/metrics")[1].decode()
    detail = [part["detail"] for part in gateway.admin("GET", "/readyz")[1]["components"] if part["name"] == "policies"]
    assert f"{loose} waits for approval" in detail[0]

    # What would change, by example: without arguments, what is in force against what is proposed.
    compared = gateway.cli("policy", "diff", check=False)
    assert compared.returncode == 1 and "the second set allows more" in compared.stderr
    assert "residence" in compared.stdout and "only PK, SG" in compared.stdout
    answer = json.loads(gateway.cli("--json", "policy", "diff", strict, loose[:12], check=False).stdout)
    assert answer["allows_more"] and answer["exhaustive"] and len(answer["changes"]) >= 1
    back = json.loads(gateway.cli("--json", "policy", "diff", loose, strict, check=False).stdout)
    assert not back["allows_more"]
    assert gateway.cli("policy", "diff", strict, strict).returncode == 0

    # Only a policy admin approves, and not who proposed.
    assert gateway.admin("POST", f"/v1/policies/proposals/{loose}/approve", role="operator")[0] == 403
    assert gateway.admin("POST", f"/v1/policies/proposals/{loose}/approve", role="auditor")[0] == 403
    assert gateway.admin("POST", f"/v1/policies/proposals/{strict}/approve", role="policy-admin")[0] == 404
    told = gateway.cli("policy", "approve", loose[:16], "--comment", "DPA 2026/12", role="policy-admin").stdout
    assert f"in force: revision {loose}" in told
    assert standing(gateway)["revision"] == loose
    assert put_and_find(gateway, "users/amna/2") == loose
    assert "domicile_policy_proposals 0" in gateway.admin_raw("GET", "/metrics")[1].decode()

    # The same person both times.
    policy_folder.write(policies, **STRICT)
    gateway.cli("policy", "reload", role="policy-admin")
    assert standing(gateway)["revision"] == strict, "what allows no more needs nobody else"
    policy_folder.write(policies, **LOOSE)
    gateway.cli("policy", "reload", role="policy-admin")
    refused = gateway.cli("policy", "approve", loose, role="policy-admin", check=False)
    assert refused.returncode == 1 and "somebody else" in refused.stderr
    gateway.cli("policy", "reject", loose, "--comment", "not yet", role="operator")
    assert standing(gateway)["revision"] == strict

    history = json.loads(gateway.cli("--json", "policy", "history").stdout)["entries"]
    assert [entry["state"] for entry in history] == ["rejected", "in-force", "superseded", "superseded"]
    assert history[0]["decided"]["comment"] == "not yet"
    approved = history[2]
    assert (approved["asked"]["by"], approved["decided"]["by"]) == ({"token": "operator-1"}, {"token": "policy-admin-1"})
    assert "DPA 2026/12" in gateway.cli("policy", "history").stdout
    entries = ledger(gateway)
    [(_, actor, step, _)] = [entry for entry in entries if entry[0] == "policy-approved" and entry[3] == "ok"]
    assert actor == {"token": {"role": "policy-admin", "id": "policy-admin-1"}}
    assert step["proposed-by"] == {"token": "operator-1"} and step["before"] == strict
    assert [entry[3] for entry in entries if entry[0] == "policy-approved"][-1] == {"refused": {"code": "same-person"}}
    assert "not yet" not in json.dumps(entries) and "DPA" not in json.dumps(entries)


def test_neither_a_signal_nor_a_restart_goes_around_the_approval(gateway, policies):
    strict = standing(gateway)["revision"]
    policy_folder.write(policies, **LOOSE)
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "proposal" in standing(gateway))
    proposal = standing(gateway)["proposal"]
    assert proposal["asked"]["by"] == "signal"
    for end in (gateway.stop, gateway.kill):
        end()
        gateway.start()
        view = standing(gateway)
        assert (view["revision"], view["proposal"]["number"]) == (strict, proposal["number"])
    # The files are the gateway's own by now: what the folder holds since does not matter.
    policy_folder.write(policies, **STRICT)
    gateway.cli("policy", "approve", proposal["revision"], role="policy-admin")
    view = standing(gateway)
    assert view["revision"] == proposal["revision"]
    gateway.stop()
    # Stricter again, and so without anybody.
    gateway.start()
    assert standing(gateway)["revision"] == strict


def test_an_earlier_set_is_put_back_and_its_files_can_be_had(make_gateway, policies, tmp_path):
    gateway = make_gateway(policies=policies)
    strict = standing(gateway)["revision"]
    policy_folder.write(policies, **LOOSE)
    gateway.cli("policy", "reload")
    loose = standing(gateway)["revision"]
    told = gateway.cli("policy", "rollback", strict[:10], "--comment", "too early", role="policy-admin").stdout
    assert f"in force: revision {strict}" in told and f"the folder holds revision {loose}, which is put aside" in told
    gateway.kill()
    gateway.start()
    view = standing(gateway)
    assert view["revision"] == strict and view["folder"] == {"revision": loose, "in_force": False, "put_aside": True}
    entries = ledger(gateway)
    assert [kind for kind, _, _, _ in entries][-3:] == ["policy-rolled-back", "policy-activated", "policy-activated"]
    assert entries[-3][2]["rollback"] is True

    # The kept files are the way back into the folder.
    gateway.cli("policy", "show", strict, "--write", str(tmp_path / "kept"))
    assert (tmp_path / "kept/gateway.toml").read_text() == policy_folder.GATEWAY
    same = gateway.cli("policy", "diff", strict, "--policies", str(tmp_path / "kept"))
    assert "no decision changes" in same.stdout
    offline = gateway.cli("policy", "diff", str(tmp_path / "kept"), str(policies), check=False)
    assert offline.returncode == 1 and "allows more" in offline.stderr
    assert gateway.cli("policy", "show", "abcdef", check=False).returncode == 2
    assert gateway.cli("policy", "show", "abcdef00", check=False).returncode == 1
    gateway.cli("policy", "reload")
    assert standing(gateway)["revision"] == loose, "a reload is ordered"


def test_history_and_files_come_back_with_a_rebuilt_index(gateway, policies):
    strict = standing(gateway)["revision"]
    policy_folder.write(policies, **LOOSE)
    gateway.cli("policy", "reload")
    loose = standing(gateway)["proposal"]["revision"]
    gateway.cli("policy", "approve", loose, role="policy-admin")
    policy_folder.write(policies, **STRICT, more=('residence = ["AE"]', 'copies = "only"\ncountries = ["PK"]'))
    gateway.cli("policy", "reload")
    before = gateway.admin("GET", "/v1/policies/history")[1]["entries"]
    assert len(before) == 3
    gateway.stop()
    data = gateway.folder / "data"
    (data / "index").rename(data / "index.lost")
    gateway.cli("index", "rebuild", "--config", str(gateway.config_file))
    gateway.start()
    assert gateway.admin("GET", "/v1/policies/history")[1]["entries"] == before
    for revision in (strict, loose):
        status, kept = gateway.admin("GET", f"/v1/policies/revisions/{revision}", role="policy-admin")
        assert status == 200 and kept["files"]["gateway.toml"] == policy_folder.GATEWAY
