"""Slips of those who run a gateway: each is told, at the place where it was made, and costs nothing."""

import signal
import subprocess
import time
import urllib.error
import urllib.request

import policy_folder
from gateway import BINARY


def run(folder, *arguments):
    return subprocess.run([BINARY, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=60)


def test_an_attribute_that_nobody_asks_for_is_named(gateway, tmp_path):
    said = gateway.cli("subject", "set", "slip", "residance=PK", role="operator")
    assert "no policy in force asks for `residance`" in said.stdout
    assert "warning" not in gateway.cli("subject", "set", "slip", "residence=PK", role="operator").stdout
    people = tmp_path / "people.csv"
    people.write_text("subject,residance,residence\nslip,PK,\nother,,PK\n")
    said = gateway.cli("subject", "import", str(people), role="operator")
    assert said.stdout.count("no policy in force asks for `residance`;") == 1
    status, body = gateway.admin("GET", "/v1/subjects/slip")
    assert status == 200 and body["unasked"] == ["residance"]
    assert "unasked" not in gateway.admin("GET", "/v1/subjects/other")[1]


def test_a_check_reads_the_policies_too_and_makes_nothing(gateway, tmp_path):
    nothing = run(tmp_path, "serve", "--check")
    assert nothing.returncode == 2 and "--config" in nothing.stderr and not (tmp_path / "domicile-data").exists()
    text = gateway.config_file.read_text()
    assert run(tmp_path, "serve", "--check", "--config", gateway.config_file).returncode == 0
    elsewhere = tmp_path / "elsewhere"
    policy_folder.write(elsewhere, fr=('residence = ["FR"]', 'copies = "only"\ncountries = ["FR"]'))
    for policies, word in (("nowhere", "nowhere"), ("elsewhere", "fr/policy.toml")):
        lines = [line for line in text.splitlines() if not line.startswith("policies = ")]
        other = gateway.folder / "other.toml"
        other.write_text("\n".join([lines[0], f'policies = "{tmp_path / policies}"', *lines[1:]]))
        checked = run(tmp_path, "serve", "--check", "--config", other)
        assert checked.returncode == 2 and word in checked.stdout + checked.stderr, checked


def test_what_is_wrong_with_policies_is_in_the_log_after_a_signal(make_gateway, tmp_path):
    folder = tmp_path / "policies"
    policy_folder.write(folder, pk=('residence = ["PK"]', 'copies = "only"\ncountries = ["PK"]'))
    gateway = make_gateway(policies=folder)
    (folder / "gateway.toml").write_text("version = 1\nspelt-wrong = true\n")
    gateway.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while "policies not reloaded" not in gateway.log():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "gateway.toml:2:" in gateway.log() and "spelt-wrong" in gateway.log()


def test_the_address_of_the_admin_port_leads_to_the_console(gateway):
    class Stays(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    try:
        urllib.request.build_opener(Stays).open(f"http://127.0.0.1:{gateway.admin_port}/")
        raise AssertionError("it does not lead anywhere")
    except urllib.error.HTTPError as answer:
        assert answer.code == 307 and answer.headers["location"] == "/console"


def test_an_address_that_is_taken_and_a_folder_that_is_used_say_what_to_do(gateway, tmp_path):
    used = run(tmp_path, "serve", "--config", gateway.config_file)
    assert used.returncode == 1 and "name another folder" in used.stderr
    taken = run(tmp_path, "serve", "--s3", f"127.0.0.1:{gateway.s3_port}", "--admin", "127.0.0.1:0")
    assert taken.returncode == 1 and "choose another address" in taken.stderr
    twice = run(tmp_path, "serve", "--s3", "127.0.0.1:9", "--admin", "0.0.0.0:9")
    assert twice.returncode == 1 and "also at" in twice.stderr
    # Nothing was made: the next start is the first one, which shows the secret.
    assert not (tmp_path / "domicile-data").exists()


def test_a_bucket_that_is_not_there_is_no_bucket_without_records(gateway):
    missing = gateway.cli("where", "s3://medai/*", role="auditor", check=False)
    assert missing.returncode != 0 and "no such bucket" in missing.stderr
    for path in ("/v1/population?format=csv&bucket=medai", "/v1/sample?seed=1&n=5&bucket=medai"):
        assert gateway.admin_raw("GET", path, role="auditor")[0] == 404
    assert "0 records" in gateway.cli("where", "s3://media/*", role="auditor").stdout


def test_an_import_with_nothing_to_resume_says_so_and_begins_its_list_of_bad_lines_anew(gateway, tmp_path):
    people, bad = tmp_path / "people.csv", tmp_path / "bad.csv"
    people.write_text("subject,residence\nfirst,PK\n,PK\n")
    bad.write_text("of another import\n")
    said = gateway.cli("subject", "import", str(people), "--resume", "--bad", str(bad), role="operator", check=False)
    assert "no import of this file was broken off" in said.stdout
    assert bad.read_text() == "subject,residence\n,PK\n"
    same = gateway.cli("subject", "import", str(bad), "--bad", str(bad), role="operator", check=False)
    assert same.returncode == 2 and "name another file" in same.stderr
    assert bad.read_text() == "subject,residence\n,PK\n"
