"""Limits on requests and on slow readers: who exceeds them is told or cut off, and nobody else notices."""

import concurrent.futures
import http.client
import re
import socket
import time
import urllib.parse

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from gateway import SECRET_KEY

HERE = {"Metadata": {"domicile-residence": "PK"}}
KEY = "users/ayesha/a"
FEED = """
[[principal]]
id = "feed"
access-key-id = "FEED"
secret-file = "secret"
buckets = ["*"]
allow = ["read", "write", "list"]
country = "SG"
{limits}
"""


def with_feed(make_gateway, limits, general=""):
    """A gateway with a principal `feed` that has limits, beside that of all tests, which has none."""
    gateway = make_gateway(start=False, extra=FEED.format(limits=limits))
    text = gateway.config_file.read_text()
    gateway.config_file.write_text(text.replace("[limits]\n", f"[limits]\n{general}\n"))
    gateway.start()
    gateway.client().create_bucket(Bucket="media")
    return gateway


def feed(gateway):
    return gateway.client("FEED", SECRET_KEY)


def outcomes(call, count, workers=1):
    """How often each code came."""

    def one(_):
        try:
            call()
            return "ok"
        except ClientError as error:
            response = error.response["ResponseMetadata"]
            code = error.response["Error"]["Code"]
            if code == "SlowDown":
                assert response["HTTPStatusCode"] == 503 and int(response["HTTPHeaders"]["retry-after"]) >= 1
            return code

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        codes = list(pool.map(one, range(count)))
    return {code: codes.count(code) for code in codes}


def metric(gateway, name):
    status, text = gateway.admin_raw("GET", "/metrics")
    assert status == 200
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text.decode(), re.M).group(1))


def eventually(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)


def slow_reader(gateway, key, buffer=4096):
    """A connection that has asked for an object and takes nothing of the answer."""
    client = gateway.client(signature_version="s3v4")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "media", "Key": key}, ExpiresIn=600)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.connect(("127.0.0.1", gateway.s3_port))
    path = url.split(f":{gateway.s3_port}", 1)[1]
    host = urllib.parse.urlsplit(url).netloc
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return connection


def test_one_principal_s_rate_is_not_another_s(make_gateway):
    gateway = with_feed(make_gateway, "requests-per-second = 10")
    limited, free = feed(gateway), gateway.client()
    seen = outcomes(lambda: limited.head_bucket(Bucket="media"), 60, workers=4)
    refused = seen.get("SlowDown", 0) + seen.get("503", 0)
    assert 10 <= seen["ok"] < 40 and refused == 60 - seen["ok"], seen
    assert outcomes(lambda: free.head_bucket(Bucket="media"), 60, workers=4) == {"ok": 60}
    assert metric(gateway, 'domicile_s3_throttled_total{limit="rate"}') == refused
    time.sleep(1.1)
    limited.put_object(Bucket="media", Key=KEY, Body=b"x", **HERE)
    # One line for the flood, and nothing in the ledger.
    assert 1 <= gateway.log().count("throttled") <= 2
    assert not [entry for entry in gateway.ledger() if "SlowDown" in str(entry["outcome"])]


def test_a_rate_survives_a_reload_and_changes_with_it(make_gateway):
    gateway = with_feed(make_gateway, "requests-per-second = 5")
    client = feed(gateway)
    assert outcomes(lambda: client.list_objects_v2(Bucket="media"), 30)["SlowDown"] > 10
    assert gateway.admin("POST", "/v1/config/reload")[0] == 200
    assert outcomes(lambda: client.list_objects_v2(Bucket="media"), 20)["SlowDown"] > 10
    text = gateway.config_file.read_text()
    gateway.config_file.write_text(text.replace("requests-per-second = 5", "requests-per-second = 1000"))
    assert gateway.admin("POST", "/v1/config/reload")[0] == 200
    time.sleep(1)
    assert outcomes(lambda: client.list_objects_v2(Bucket="media"), 30) == {"ok": 30}


def test_a_session_counts_on_its_principal(make_gateway):
    gateway = with_feed(make_gateway, "requests-per-second = 5")
    status, session = gateway.admin("POST", "/v1/sessions", {"principal": "feed", "seconds": 60})
    assert status == 200
    client = boto3.client(
        "s3",
        endpoint_url=gateway.endpoint,
        region_name="us-east-1",
        aws_access_key_id=session["access_key_id"],
        aws_secret_access_key=session["secret_access_key"],
        aws_session_token=session["session_token"],
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )
    outcomes(lambda: client.list_objects_v2(Bucket="media"), 20)
    assert outcomes(lambda: feed(gateway).list_objects_v2(Bucket="media"), 5).get("SlowDown", 0) >= 3


def test_a_principal_has_so_many_requests_at_once_and_others_go_on(make_gateway):
    gateway = with_feed(make_gateway, "concurrent-requests = 2")
    owner, limited = gateway.client(), feed(gateway)
    owner.put_object(Bucket="media", Key=KEY, Body=b"x" * (24 << 20), **HERE)
    # Answers that are not read to their end are under way.
    held = [limited.get_object(Bucket="media", Key=KEY)["Body"] for _ in range(2)]
    assert outcomes(lambda: limited.list_objects_v2(Bucket="media"), 5) == {"SlowDown": 5}
    assert outcomes(lambda: owner.list_objects_v2(Bucket="media"), 5) == {"ok": 5}
    assert metric(gateway, "domicile_s3_requests_under_way") == 2
    assert len(held[0].read()) == 24 << 20
    held[1].close()
    eventually(lambda: metric(gateway, "domicile_s3_requests_under_way") == 0)
    assert outcomes(lambda: limited.list_objects_v2(Bucket="media"), 5) == {"ok": 5}
    assert metric(gateway, 'domicile_s3_throttled_total{limit="concurrency"}') == 5


def test_those_who_do_not_sign_share_a_limit_of_their_own(make_gateway):
    gateway = with_feed(make_gateway, "", general="anonymous-requests-per-second = 5")
    nobody = gateway.client(signature_version=UNSIGNED)
    seen = outcomes(lambda: nobody.list_objects_v2(Bucket="media"), 40, workers=4)
    assert 5 <= seen["AccessDenied"] < 30 and seen["SlowDown"] == 40 - seen["AccessDenied"]
    assert outcomes(lambda: gateway.client().list_objects_v2(Bucket="media"), 5) == {"ok": 5}


def test_a_full_gateway_refuses_before_it_looks_at_anything(make_gateway):
    gateway = with_feed(make_gateway, "", general="concurrent-requests = 2")
    owner = gateway.client()
    owner.put_object(Bucket="media", Key=KEY, Body=b"x" * (24 << 20), **HERE)
    held = [owner.get_object(Bucket="media", Key=KEY)["Body"] for _ in range(2)]
    assert outcomes(lambda: owner.list_objects_v2(Bucket="media"), 3) == {"SlowDown": 3}
    entries = len(gateway.ledger())
    # Neither a wrong signature nor a body that never comes keeps it busy.
    connection = http.client.HTTPConnection("127.0.0.1", gateway.s3_port, timeout=10)
    began = time.monotonic()
    connection.putrequest("PUT", "/media/x")
    connection.putheader("Content-Length", "1000000")
    connection.putheader("Authorization", "AWS4-HMAC-SHA256 nonsense")
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 503 and b"<Code>SlowDown</Code>" in answer.read() and time.monotonic() - began < 2
    assert len(gateway.ledger()) == entries + 1, "the question itself"
    for body in held:
        body.close()
    eventually(lambda: metric(gateway, "domicile_s3_requests_under_way") == 0)
    assert outcomes(lambda: owner.list_objects_v2(Bucket="media"), 3) == {"ok": 3}
    assert metric(gateway, 'domicile_s3_throttled_total{limit="gateway"}') == 4


def silent(gateway, head, body=""):
    """A connection that sends the head of a request, a part of its body, and then nothing more."""
    connection = socket.create_connection(("127.0.0.1", gateway.s3_port))
    lines = "".join(f"{line}\r\n" for line in [*head, "Host: 127.0.0.1", "Content-Length: 1000000", ""])
    connection.sendall((lines + body).encode())
    return connection


def test_strangers_who_send_no_body_keep_nobody_waiting(make_gateway):
    gateway = with_feed(make_gateway, "", general="concurrent-requests = 4\nanonymous-concurrent-requests = 2")
    owner = gateway.client()
    wrong = ["PUT /media/x HTTP/1.1", "Authorization: AWS4-HMAC-SHA256 nonsense"]
    held = [silent(gateway, head) for head in [wrong, ["PUT /media/x HTTP/1.1"]] * 8]
    # Sooner than the gateway gives their bodies up.
    eventually(lambda: metric(gateway, "domicile_s3_requests_under_way") == 0, seconds=2)
    assert outcomes(lambda: owner.list_objects_v2(Bucket="media"), 5) == {"ok": 5}
    form = ["POST /media HTTP/1.1", "Content-Type: multipart/form-data; boundary=b"]
    held += [silent(gateway, form, "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nusers/") for _ in range(8)]
    eventually(lambda: metric(gateway, "domicile_s3_requests_under_way") == 2)
    assert outcomes(lambda: owner.list_objects_v2(Bucket="media"), 5) == {"ok": 5}
    for connection in held:
        connection.close()
    eventually(lambda: metric(gateway, "domicile_s3_requests_under_way") == 0)


def test_a_reader_that_takes_nothing_is_cut_off_and_its_memory_comes_back(make_gateway):
    gateway = with_feed(make_gateway, "", general='body-timeout = "2s"')
    gateway.client().put_object(Bucket="media", Key=KEY, Body=b"x" * (64 << 20), **HERE)
    readers = [slow_reader(gateway, KEY) for _ in range(8)]
    eventually(lambda: metric(gateway, "domicile_s3_requests_under_way") == 8)
    assert metric(gateway, 'domicile_memory_bytes{share="reads"}') > 4 << 20
    eventually(lambda: metric(gateway, "domicile_s3_requests_under_way") == 0)
    assert metric(gateway, 'domicile_memory_bytes{share="reads"}') == 0
    eventually(lambda: metric(gateway, 'domicile_connections{listener="s3"}') <= 1)
    for reader in readers:
        reader.settimeout(10)
        with pytest.raises(ConnectionResetError):
            while reader.recv(1 << 20):
                pass
    assert len(gateway.client().get_object(Bucket="media", Key=KEY)["Body"].read()) == 64 << 20


def test_a_reader_that_takes_a_little_at_a_time_is_not_cut_off(make_gateway):
    gateway = with_feed(make_gateway, "", general='body-timeout = "1s"')
    gateway.client().put_object(Bucket="media", Key=KEY, Body=b"x" * (12 << 20), **HERE)
    reader = slow_reader(gateway, KEY, buffer=1 << 20)
    reader.settimeout(10)
    taken = 0
    while taken < 12 << 20:
        part = reader.recv(1 << 20)
        assert part, "cut off"
        taken += len(part)
        time.sleep(0.1)


def test_thousands_of_idle_connections_keep_nobody_out(make_gateway, full):
    gateway = make_gateway()
    owner = gateway.client()
    owner.create_bucket(Bucket="media")
    idle = []
    try:
        for _ in range(4000 if full else 2000):
            one = socket.socket()
            one.connect(("127.0.0.1", gateway.s3_port))
            idle.append(one)
        began = time.monotonic()
        assert outcomes(lambda: gateway.client().list_objects_v2(Bucket="media"), 20, workers=4) == {"ok": 20}
        assert time.monotonic() - began < 10
    finally:
        for one in idle:
            one.close()
    eventually(lambda: metric(gateway, 'domicile_connections{listener="s3"}') < 50)


def test_more_idle_connections_than_there_may_be_keep_nobody_out(make_gateway):
    gateway = with_feed(make_gateway, "", general="connections = 64")
    idle = []
    try:
        for _ in range(300):
            one = socket.socket()
            one.connect(("127.0.0.1", gateway.s3_port))
            idle.append(one)
            if len(idle) % 60 == 0:
                # Those that came before become the ones to go.
                time.sleep(0.3)
        began = time.monotonic()
        # As SDKs do it: who connects and then is slow to ask may be taken for idle itself.
        client = gateway.client(retries={"max_attempts": 3})
        assert outcomes(lambda: client.list_objects_v2(Bucket="media"), 8, workers=4) == {"ok": 8}
        assert time.monotonic() - began < 25
    finally:
        for one in idle:
            one.close()
