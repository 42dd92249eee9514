"""Roles and routes on the real binary, signing in with a browser, and how much one token may ask for."""

import concurrent.futures
import http.client
import json
import re
import socket
import time
import urllib.parse

import pytest
from botocore.exceptions import ClientError

from gateway import ACCESS_KEY, SECRET_KEY, TOKENS
from roles import ANYBODY, MATRIX, ROLES, row

HERE = {"Metadata": {"domicile-residence": "PK"}}
SECRET = b"what only the application may read"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    from conftest import fs_sites
    from gateway import Gateway

    folder = tmp_path_factory.mktemp("roles")
    running = Gateway(folder, fs_sites(folder / "sites")).start()
    running.client().create_bucket(Bucket="media")
    running.client().put_object(Bucket="media", Key="users/ali/a", Body=SECRET, **HERE)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def cookie(house):
    """A session of an operator."""
    status, cookie = sign_in(house, TOKENS["operator"])
    assert status == 303
    return cookie


def ask(gateway, method, path, body=None, port=None, **headers):
    """Status, headers and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port or gateway.admin_port, timeout=60)
    if isinstance(body, dict):
        body, headers["Content-Type"] = json.dumps(body), "application/json"
    connection.request(method, path, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, answer.headers, data


def sign_in(gateway, token, origin=None):
    """Status, and the cookie if there is one."""
    origin = origin or f"http://127.0.0.1:{gateway.admin_port}"
    form = {"Content_Type": "application/x-www-form-urlencoded", "Origin": origin}
    status, headers, _ = ask(gateway, "POST", "/console/login", urllib.parse.urlencode({"token": token}), **form)
    cookie = headers.get("Set-Cookie")
    return status, cookie.split(";")[0] if cookie else None


def metrics(gateway):
    return ask(gateway, "GET", "/metrics")[2].decode()


def test_the_table_is_of_every_route_and_says_what_the_description_says(house):
    document = json.loads(ask(house, "GET", "/openapi.json")[2])
    described = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            roles = re.match(r"Roles: (.*)\.", operation["description"])
            described[method.upper(), path] = set(roles[1].split(", ")) if roles else ANYBODY
    table = {(method, path): roles if roles == ANYBODY else set(roles) for method, path, roles, *_ in map(row, MATRIX)}
    assert len(table) == len(MATRIX)
    assert table == described, "a new route needs a row in roles.py"


@pytest.mark.parametrize("entry", MATRIX, ids=lambda entry: " ".join(entry[:2]))
def test_each_role_gets_exactly_what_the_table_says(house, cookie, entry):
    method, path, allowed, status, body, concrete = row(entry)
    outside = status if allowed == ANYBODY else 401
    operator = TOKENS["operator"]
    strangers = [{}, {"Authorization": "Bearer no-such-token"}, {"Authorization": "Bearer "}, {"Authorization": f"Basic {operator}"}]
    strangers += [{"Authorization": operator}, {"Authorization": f"Bearer {SECRET_KEY}"}, {"Authorization": f"Bearer {ACCESS_KEY}"}]
    # A session of the console, and one that is made up, open no route of the API.
    strangers += [{"Cookie": cookie}, {"Cookie": "domicile-session=" + "A" * 43}]
    for headers in strangers:
        assert ask(house, method, concrete, body, **headers)[0] == outside, headers
    for role in ROLES:
        if allowed != ANYBODY and role not in allowed:
            assert ask(house, method, concrete, body, Authorization=f"Bearer {TOKENS[role]}")[0] == 403, role
    for role in ROLES:
        if allowed == ANYBODY or role in allowed:
            got, _, data = ask(house, method, concrete, body, Authorization=f"Bearer {TOKENS[role]}")
            assert got == status, (role, data[:500])
            assert SECRET not in data


def test_every_question_of_an_auditor_is_in_the_ledger(house):
    asked = [row(entry) for entry in MATRIX if entry[0] == "GET" and "auditor" in entry[2] and entry[3] != 501]
    for method, path, _, status, _, concrete in asked:
        assert ask(house, method, concrete, Authorization=f"Bearer {TOKENS['auditor']}")[0] == status
    routes = {
        entry["query"]["route"].replace("{*", "{")
        for entry in house.ledger()
        if entry["kind"] == "audit-query" and entry["actor"] == {"token": {"role": "auditor", "id": "auditor-1"}}
    }
    assert {f"{method} {path}" for method, path, *_ in asked} <= routes


def test_an_auditor_changes_nothing(house):
    before = json.loads(ask(house, "GET", "/v1/summary", Authorization=f"Bearer {TOKENS['operator']}")[2])
    for entry in MATRIX:
        method, path, allowed, _, body, concrete = row(entry)
        if method != "GET" and "auditor" not in allowed:
            assert ask(house, method, concrete, body, Authorization=f"Bearer {TOKENS['auditor']}")[0] == 403, entry
    assert ask(house, "GET", "/v1/summary", Authorization="Bearer guess")[0] == 401
    counted = dict(re.findall(r'domicile_admin_refused_total\{code="(\w+)"\} (\d+)', metrics(house)))
    assert int(counted["forbidden"]) >= 10 and int(counted["unauthorized"]) >= 1
    assert ask(house, "POST", "/v1/scrubs", {"repair": True}, Authorization=f"Bearer {TOKENS['auditor']}")[0] == 403
    assert json.loads(ask(house, "GET", "/v1/summary", Authorization=f"Bearer {TOKENS['operator']}")[2]) == before


def test_no_admin_token_opens_s3_and_no_s3_key_the_admin_port(house):
    for role in ROLES:
        token = TOKENS[role]
        for headers in ({"Authorization": f"Bearer {token}"}, {"Authorization": f"AWS {token}:x"}, {"X_Amz_Security_Token": token}):
            for method, path in (("GET", "/"), ("GET", "/media"), ("GET", "/media/users/ali/a"), ("PUT", "/media/b"), ("DELETE", "/media/users/ali/a")):
                status, _, data = ask(house, method, path, port=house.s3_port, **headers)
                assert status in (400, 403) and SECRET not in data, (method, path, status)
        for pair in ((token, token), (ACCESS_KEY, token), (f"{role}-1", token)):
            with pytest.raises(ClientError) as refused:
                house.client(*pair).get_object(Bucket="media", Key="users/ali/a")
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    signed = house.client().generate_presigned_url("get_object", Params={"Bucket": "media", "Key": "users/ali/a"}).split("?")[1]
    for method, path, allowed, *_ in map(row, MATRIX):
        if allowed != ANYBODY:
            assert ask(house, method, f"{path.split('?')[0].replace('{id}', '1').replace('{path}', '0')}?{signed}")[0] == 401
    assert house.client().get_object(Bucket="media", Key="users/ali/a")["Body"].read() == SECRET


def test_signing_in_is_for_pages_of_the_gateway_and_in_the_ledger(make_gateway):
    gateway = make_gateway()
    status, cookie = sign_in(gateway, TOKENS["auditor"])
    assert status == 303 and cookie.startswith("domicile-session=")
    assert sign_in(gateway, "no-such-token") == (401, None)
    assert sign_in(gateway, TOKENS["auditor"], origin="https://evil.example") == (403, None)
    attempts = [sign_in(gateway, f"guess-{number}")[0] for number in range(12)]
    assert attempts.count(429) >= 2 and sign_in(gateway, TOKENS["auditor"]) == (429, None)
    entries = [entry for entry in gateway.ledger() if entry["kind"] == "login"]
    assert [(entry["actor"], entry["login"]) for entry in entries if entry["outcome"] == "ok"] == [
        ({"token": {"role": "auditor", "id": "auditor-1"}}, "token")
    ]
    refused = [entry["outcome"]["refused"]["code"] for entry in entries if entry["outcome"] != "ok"]
    assert refused[:2] == ["wrong-token", "cross-origin"] and "too-many-logins" in refused
    assert "guess" not in json.dumps(entries)
    assert f'domicile_admin_throttled_total{{limit="sign-in"}} {refused.count("too-many-logins")}\n' in metrics(gateway)


def test_a_session_that_is_over_or_made_up_is_none(make_gateway):
    house = make_gateway(admin='sessions = { idle = "1s" }')
    form = {"Content_Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{house.admin_port}"}

    def leave(cookie):
        return ask(house, "POST", "/console/logout", "csrf=guessed", Cookie=cookie, **form)[0]

    _, cookie = sign_in(house, TOKENS["legal"])
    assert leave(cookie) == 403, "a session, and a form that was not meant"
    time.sleep(1.1)
    assert leave(cookie) == 401, "nobody was there"
    assert leave("domicile-session=" + "A" * 43) == 401
    _, cookie = sign_in(house, TOKENS["legal"])
    assert leave(f"{cookie}; {cookie}") == 401, "one of the two was planted"
    assert leave(cookie.replace("domicile-session", "__Host-domicile-session")) == 401


def test_one_token_cannot_keep_others_from_asking(make_gateway):
    gateway = make_gateway(admin="requests-per-second = 5")
    bearer = {"Authorization": f"Bearer {TOKENS['auditor']}"}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(gateway, "GET", "/v1/sites", **bearer), range(40)))
    assert 5 <= sum(status == 200 for status, *_ in answers) < 40
    throttled = [headers for status, headers, _ in answers if status == 429]
    assert throttled and all(headers["Retry-After"] == "1" for headers in throttled)
    assert ask(gateway, "GET", "/v1/sites", Authorization=f"Bearer {TOKENS['legal']}")[0] == 200
    assert f'domicile_admin_throttled_total{{limit="rate"}} {len(throttled)}\n' in metrics(gateway)


def test_strangers_who_send_no_body_keep_nobody_waiting(make_gateway):
    gateway = make_gateway()

    def begin(method, path):
        """What is answered to a request whose body does not come, and after how long."""
        head = f"{method} {path} HTTP/1.1\r\nHost: gate\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ntoken"
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", gateway.admin_port), timeout=40) as connection:
            connection.sendall(head.encode())
            return int(connection.recv(4096).split()[1]), time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(320) as pool:
        login = [pool.submit(begin, "POST", "/console/login") for _ in range(300)]
        time.sleep(1)
        for path in ("/healthz", "/metrics", "/openapi.json"):
            status, took = begin("GET", path)
            assert status == 200 and took < 5, path
        assert begin("GET", "/v1/summary")[0] == 401
        assert ask(gateway, "GET", "/v1/sites", Authorization=f"Bearer {TOKENS['legal']}")[0] == 200
        answers = [one.result() for one in login]
    assert sorted({status for status, _ in answers}) == [408, 503]
    assert sum(status == 408 for status, _ in answers) == 256 and all(took < 30 for _, took in answers)
    assert sign_in(gateway, TOKENS["auditor"])[0] == 303
