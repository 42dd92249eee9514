"""Signing in with an OpenID provider, a real one: on the API with its tokens, and with a browser."""

import base64
import http.client
import http.cookiejar
import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

import chromium
from clients import CLIENTS, program
from gateway import TARGET, TOKENS, free_port

PROGRAM = pathlib.Path(__file__).with_name("oidc_provider.mjs")
PACKAGE = '{ "private": true, "dependencies": { "oidc-provider": "9.13.3" } }'


def packages():
    """Where the provider's packages are: those of the other clients, or a folder of its own."""
    if (CLIENTS / "node_modules/oidc-provider").is_dir():
        return CLIENTS
    own = TARGET / "oidc"
    if not (own / "node_modules/oidc-provider").is_dir():
        own.mkdir(parents=True, exist_ok=True)
        (own / "package.json").write_text(PACKAGE)
        npm = program("npm", CLIENTS / "venv/bin")
        subprocess.run([npm, "install", "--silent", "--no-audit", "--no-fund"], cwd=own, check=True, timeout=300)
    return own


class Provider:
    def __init__(self, back):
        self.port, self.back, self.process = free_port(), back, None
        self.folder = packages()

    @property
    def issuer(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self, key="k1"):
        # Imports are resolved from where the file lies.
        main = self.folder / "oidc_provider.mjs"
        shutil.copy(PROGRAM, main)
        node = program("node", CLIENTS / "venv/bin")
        command = [node, main, str(self.port), key, self.back]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline() == "ready\n"
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def account(self, name):
        urllib.request.urlopen(f"{self.issuer}/as/{name}", timeout=10).read()

    def token(self, client="machine", resource="urn:rs:domicile"):
        form = {"grant_type": "client_credentials", "resource": resource, "scope": "api"}
        request = urllib.request.Request(f"{self.issuer}/token", urllib.parse.urlencode(form).encode())
        secret = urllib.parse.quote(client[0])
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode())
        return json.load(urllib.request.urlopen(request, timeout=10))["access_token"]


@pytest.fixture
def house(make_gateway):
    """A gateway with a provider; both run."""
    gateway = make_gateway(start=False)
    base = f"http://127.0.0.1:{gateway.admin_port}"
    provider = Provider(f"{base}/console/login/oidc/callback").start()
    secret = gateway.folder / "client-secret"
    secret.write_text("hush: 100% secret\n")
    secret.chmod(0o600)
    text = gateway.config_file.read_text().replace(
        "[index]",
        f"""external-url = "{base}"
[oidc]
issuer = "{provider.issuer}"
client-id = "domicile"
client-secret-file = "{secret}"
authorized-parties = ["domicile", "machine"]
role-claim = "groups"
[oidc.roles]
auditor = ["auditors"]
operator = ["operators"]
[index]""",
        1,
    )
    gateway.config_file.write_text(text)
    gateway.start()
    yield gateway, provider
    provider.stop()


def bearer(gateway, token, path="/v1/summary", method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=30)
    connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    data = answer.read()
    return answer.status, data


class Browser:
    """Keeps cookies and follows redirects; remembers where it has been."""

    def __init__(self):
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def open(self, url):
        try:
            answer = self.opener.open(url, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, answer.geturl(), answer.read().decode(), answer.headers

    def cookie(self, name):
        return next((cookie.value for cookie in self.jar if cookie.name == name), None)


def sign_in(gateway, browser):
    return browser.open(f"http://127.0.0.1:{gateway.admin_port}/console/login/oidc")


def logins(gateway):
    return [entry for entry in gateway.ledger() if entry["kind"] == "login"]


def code(entry):
    return entry["outcome"] if entry["outcome"] == "ok" else entry["outcome"]["refused"]["code"]


def test_tokens_of_the_provider_open_what_their_role_may(house):
    gateway, provider = house
    token = provider.token()
    assert bearer(gateway, token)[0] == 200
    assert bearer(gateway, provider.token(resource="urn:rs:ec:domicile"))[0] == 200, "another algorithm"
    assert bearer(gateway, token, "/v1/config/reload", "POST")[0] == 403, "an auditor"
    assert bearer(gateway, provider.token("stranger"))[0] == 401, "given to another client"
    assert bearer(gateway, provider.token(resource="urn:rs:other"))[0] == 401, "for another service"
    header, payload, signature = token.split(".")
    for forged in (f"{header}.{payload}.", f"{header}.{payload}.{signature[:-8]}AAAAAAAA", f"{header}.e30.{signature}", f"{token}x"):
        assert bearer(gateway, forged)[0] == 401
    asked = [entry for entry in gateway.ledger() if entry["kind"] == "audit-query" and entry["query"]["route"] == "GET /v1/summary"]
    assert [entry["actor"] for entry in asked] == [{"token": {"role": "auditor", "id": "oidc.machine"}}] * 2

    # New keys are found when a token names one; what was signed with the old ones is nothing any more.
    provider.stop()
    provider.start("k2")
    new = provider.token()
    deadline = time.monotonic() + 20
    while bearer(gateway, new)[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert bearer(gateway, token)[0] == 401

    # What is known goes on for a while; a gateway that knows nothing lets nobody in but the holders of tokens.
    provider.stop()
    assert bearer(gateway, new)[0] == 200
    gateway.stop()
    gateway.start()
    assert bearer(gateway, new)[0] == 503
    assert sign_in(gateway, Browser())[0] == 503
    assert bearer(gateway, TOKENS["auditor"])[0] == 200


def test_people_sign_in_with_a_browser(house):
    gateway, provider = house
    provider.account("ann")
    browser = Browser()
    status, url, page, headers = sign_in(gateway, browser)
    assert status == 200 and url.startswith(provider.back), (status, url, page)
    assert "/console" in page and headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "same-origin"
    assert browser.cookie("domicile-session") and not browser.cookie("domicile-sign-in")
    assert [(entry["actor"], entry["login"]) for entry in logins(gateway)] == [({"token": {"role": "auditor", "id": "oidc.ann"}}, "oidc")]

    # The answer is good once, and in the browser that asked.
    assert browser.open(url)[0] == 403
    assert Browser().open(url)[0] == 403
    other = Browser()
    begun = urllib.request.Request(f"http://127.0.0.1:{gateway.admin_port}/console/login/oidc", method="GET")
    other.opener.open(begun, timeout=30)
    assert other.open(url)[0] == 403

    for name, why in (("stranger", "no-role"), ("refused", "provider-denied")):
        provider.account(name)
        browser = Browser()
        assert sign_in(gateway, browser)[0] == 403
        assert not browser.cookie("domicile-session")
        assert code(logins(gateway)[-1]) == why
    provider.account("both")
    assert sign_in(gateway, Browser())[0] == 200
    assert logins(gateway)[-1]["actor"]["token"]["role"] == "auditor", "the role that may less"


@chromium.needed
def test_chromium_signs_in_at_the_provider_and_out_again(house):
    gateway, provider = house
    provider.account("ann")
    order = {"url": f"http://127.0.0.1:{gateway.admin_port}", "provider": provider.issuer}
    said = chromium.drive("sign_in.mjs", {**order, "shots": os.environ.get("DOMICILE_CONSOLE_SHOTS")})
    assert not said["wrong"], "\n".join(said["wrong"])
    assert (said["who"], said["role"]) == ("oidc.ann", "auditor")
    token = {"token": {"role": "auditor", "id": "oidc.ann"}}
    assert [code(entry) for entry in logins(gateway)] == ["wrong-token", "ok"]
    assert [entry["kind"] for entry in gateway.ledger() if entry["actor"] == token and entry["kind"].startswith("log")] == ["login", "logout"]
