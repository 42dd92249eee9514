"""TLS, certificates that change, draining, and what the log says and does not say."""

import http.client
import json
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import wire
from authority import Authority
from gateway import ACCESS_KEY, SECRET_KEY, TOKENS

PK = {"domicile-subject": "subject-in-no-log", "domicile-residence": "PK"}


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "authority")


def tls_gateway(make_gateway, certificate, key, client_ca=None):
    authority = f', client-ca = "{client_ca}"' if client_ca else ""
    tls = f'tls = {{ cert = "{certificate}", key = "{key}"{authority} }}'
    gateway = make_gateway(start=False, s3=tls, admin=tls)
    gateway.start(wait=False)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and gateway.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", gateway.s3_port), timeout=1).close()
            socket.create_connection(("127.0.0.1", gateway.admin_port), timeout=1).close()
            return gateway
        except OSError:
            time.sleep(0.1)
    raise AssertionError(gateway.log())


def context(authority, pair=None):
    made = ssl.create_default_context(cafile=authority.certificate)
    if pair:
        made.load_cert_chain(*pair)
    return made


def secure_client(gateway, authority, pair=None):
    return boto3.client(
        "s3",
        endpoint_url=f"https://127.0.0.1:{gateway.s3_port}",
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        verify=str(authority.certificate),
        config=Config(
            s3={"addressing_style": "path"},
            retries={"max_attempts": 0},
            client_cert=tuple(map(str, pair)) if pair else None,
        ),
    )


def admin_summary(gateway, tls):
    request = urllib.request.Request(
        f"https://127.0.0.1:{gateway.admin_port}/v1/summary", headers={"Authorization": f"Bearer {TOKENS['auditor']}"}
    )
    with urllib.request.urlopen(request, context=tls) as answer:
        return json.load(answer)


def test_tls_on_both_listeners(make_gateway, authority):
    gateway = tls_gateway(make_gateway, *authority.issue("server"))
    client = secure_client(gateway, authority)
    client.create_bucket(Bucket="media")
    body = b"over TLS" * 10_000
    client.put_object(Bucket="media", Key="key", Body=body, Metadata=PK)
    assert client.get_object(Bucket="media", Key="key")["Body"].read() == body
    assert admin_summary(gateway, context(authority))["countries"]["PK"] == {"objects": 1, "bytes": len(body)}
    for port in (gateway.s3_port, gateway.admin_port):
        with pytest.raises((http.client.HTTPException, OSError)):
            plain = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            plain.request("GET", "/")
            plain.getresponse()


def test_client_certificates(make_gateway, authority, tmp_path):
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "stranger")
    gateway = tls_gateway(make_gateway, *authority.issue("server"), client_ca=authority.certificate)
    known = authority.issue("client")
    client = secure_client(gateway, authority, known)
    client.create_bucket(Bucket="media")
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["media"]
    assert admin_summary(gateway, context(authority, known))["countries"] == {}
    for pair in (None, stranger.issue("intruder")):
        with pytest.raises((BotoCoreError, OSError)):
            secure_client(gateway, authority, pair).list_buckets()
        with pytest.raises(OSError):
            admin_summary(gateway, context(authority, pair))


def served_certificate(gateway):
    """The serial number of the certificate that a new connection is shown."""
    accept_any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    accept_any.check_hostname, accept_any.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", gateway.s3_port), timeout=20) as connection:
        with accept_any.wrap_socket(connection) as secured:
            return secured.getpeercert(binary_form=True)


def test_certificates_change_without_dropping_connections(make_gateway, authority):
    certificate, key = authority.issue("server")
    gateway = tls_gateway(make_gateway, certificate, key)
    first = served_certificate(gateway)
    # A connection that stays open, in the middle of a request.
    open_connection = http.client.HTTPSConnection("127.0.0.1", gateway.s3_port, context=context(authority), timeout=120)
    open_connection.request("GET", "/", headers=wire.sign(gateway, "GET", "/"))
    assert open_connection.getresponse().read()
    held = open_connection.sock

    next_certificate, next_key = authority.issue("next")
    key.write_bytes(next_key.read_bytes())
    certificate.write_bytes(next_certificate.read_bytes())
    deadline = time.monotonic() + 60
    while served_certificate(gateway) == first:
        assert time.monotonic() < deadline, "the new certificate is not served"
        time.sleep(0.3)
    assert served_certificate(gateway) == ssl.PEM_cert_to_DER_cert(next_certificate.read_text())
    open_connection.request("GET", "/", headers=wire.sign(gateway, "GET", "/"))
    assert open_connection.getresponse().status == 200
    assert open_connection.sock is held

    # A pair that does not fit is not taken over: the good one stays.
    certificate.write_text("not a certificate")
    time.sleep(12)
    assert served_certificate(gateway) == ssl.PEM_cert_to_DER_cert(next_certificate.read_text())


def test_a_stop_signal_lets_uploads_finish(gateway):
    body = b"drained " * 100_000
    headers = wire.sign(gateway, "PUT", "/media/drained", {f"x-amz-meta-{n}": v for n, v in PK.items()})
    headers["content-length"] = len(body)
    with wire.connect(gateway) as connection:
        connection.sendall(wire.head("PUT", "/media/drained", headers) + body[: len(body) // 2])
        time.sleep(0.3)
        gateway.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        while True:  # No new connection is served while the old one goes on.
            try:
                wire.request(gateway, "GET", "/media/none")
            except (OSError, http.client.HTTPException):
                break
            assert time.monotonic() < deadline, "the gateway goes on accepting"
            time.sleep(0.05)
        assert gateway.process.poll() is None
        connection.sendall(body[len(body) // 2 :])
        answer = wire.read_answer(connection)
    assert answer.status == 200, answer
    assert gateway.process.wait(60) == 0
    gateway.start()
    assert gateway.client().get_object(Bucket="media", Key="drained")["Body"].read() == body


def test_an_idle_gateway_stops_at_once_and_cleanly(gateway):
    gateway.client().list_buckets()  # leaves an idle kept-alive connection
    assert gateway.stop() == 0


def test_request_ids_join_answers_log_and_ledger(make_gateway):
    gateway = make_gateway(extra='[log]\nformat = "json"\n')
    client = gateway.client()
    client.create_bucket(Bucket="media")
    put = client.put_object(Bucket="media", Key="key", Body=b"x", Metadata=PK)
    refused = wire.request(gateway, "PUT", "/media/of-nobody", b"x")
    ids = [put["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"], refused.headers["x-amz-request-id"]]
    assert ids[0] != ids[1] and ids[1].encode() in refused.body
    lines = [json.loads(line) for line in gateway.log().splitlines() if line.startswith("{")]
    entries = [json.dumps(entry) for entry in gateway.ledger()]
    for request_id in ids:
        assert any(request_id in json.dumps(line) for line in lines), "the log does not name the request"
        assert any(request_id in entry for entry in entries), "the ledger does not name the request"


@pytest.mark.parametrize("form", ["human", "json"])
def test_the_log_names_no_secret_subject_key_or_body(make_gateway, form):
    gateway = make_gateway(extra=f'[log]\nformat = "{form}"\nlevel = "info"\n')
    client = gateway.client(signature_version="s3v4")
    client.create_bucket(Bucket="media")
    told = ["subject-in-no-log", "key-in-no-log", "body-in-no-log", "metadata-in-no-log", "subject-in-path"]
    key, body = "users/subject-in-path/key-in-no-log", b"body-in-no-log" * 100
    metadata = {"domicile-residence": "PK", "note": "metadata-in-no-log"}
    client.put_object(Bucket="media", Key=key, Body=body, Metadata=metadata)
    client.get_object(Bucket="media", Key=key)["Body"].read()
    client.copy_object(Bucket="media", Key=f"{key}-copy", CopySource={"Bucket": "media", "Key": key})
    client.list_objects_v2(Bucket="media", Prefix="users/subject-in-path/")
    wire.request(gateway, "PUT", "/media/key-in-no-log", b"body-in-no-log")
    wire.request(gateway, "PUT", "/media/key-in-no-log", b"x", {"x-amz-meta-domicile-subject": "subject-in-no-log"})
    wire.request(gateway, "GET", "/media/key-in-no-log?absent", secret="wrong")
    gateway.admin("PUT", "/v1/subjects/subject-in-no-log", {"attributes": {"residence": "PK"}})
    gateway.admin("GET", "/v1/records?subject=subject-in-no-log")
    gateway.admin("GET", "/v1/record?bucket=media&key=key-in-no-log")
    url = client.generate_presigned_url("get_object", {"Bucket": "media", "Key": key})
    with urllib.request.urlopen(url) as answer:
        answer.read()
    site = gateway.sites["pk-khi"]
    for name, data in site.blobs().items():  # errors name nothing either
        if len(data) > len(body):
            site.write(name, data[:-1])
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url)
    client.delete_object(Bucket="media", Key=key)
    gateway.stop()
    log = gateway.log()
    assert len(log.splitlines()) > 5, "a log that says nothing shows nothing"
    for secret in [*told, SECRET_KEY, *TOKENS.values(), "X-Amz-Signature", "Signature="]:
        assert secret not in log, f"`{secret}` stands in the log"


def test_slow_heads_are_cut_off(make_gateway):
    gateway = make_gateway(extra="")
    text = gateway.config_file.read_text()
    gateway.stop()
    gateway.config_file.write_text(text.replace("[limits]\n", '[limits]\nheader-timeout = "1s"\n'))
    gateway.start()
    with wire.connect(gateway) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert connection.recv(1000)[:12] in (b"", b"HTTP/1.1 408")


def test_readiness_and_metrics(gateway):
    gateway.client().put_object(Bucket="media", Key="key", Body=b"x", Metadata=PK)
    status, ready = gateway.admin("GET", "/readyz", role=None)
    assert status == 200 and ready == {"ready": True}
    status, ready = gateway.admin("GET", "/readyz", role="auditor")
    assert status == 200 and any(part["name"].startswith("site:") for part in ready["components"]), ready
    status, text = gateway.admin("GET", "/metrics", role=None)
    assert status == 200 and "# TYPE" in text
    assert "subject-in-no-log" not in text and "media/key" not in text
    status, document = gateway.admin("GET", "/openapi.json", role=None)
    assert status == 200 and "/v1/records" in document["paths"]


def other_client(gateway, access_key):
    return boto3.client(
        "s3",
        endpoint_url=gateway.endpoint,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=SECRET_KEY,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )


def refused(client):
    try:
        client.list_buckets()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def test_keys_rotate_without_a_restart(gateway):
    """Old and new overlap; a wrong file changes nothing; SIGHUP does what the admin API does."""
    text = gateway.config_file.read_text()
    pair = f'access-key-id = "{ACCESS_KEY}"\nsecret-file = "{gateway.folder}/secret"\n'
    assert pair in text
    bare = text.replace(pair, "")
    head, tokens = bare.split("[[token]]", 1)

    def credentials(*ids):
        tables = "".join(
            f'[[principal.credential]]\naccess-key-id = "{name}"\nsecret-file = "{gateway.folder}/secret"\n{end}\n'
            for name, end in ids
        )
        return f"{head}{tables}[[token]]{tokens}"

    old, new = gateway.client(), other_client(gateway, "SUCCESSOR")
    assert refused(old) is None and refused(new) == "InvalidAccessKeyId"

    gateway.config_file.write_text(credentials((ACCESS_KEY, ""), ("SUCCESSOR", "")))
    status, _ = gateway.admin("POST", "/v1/config/reload", role="auditor")
    assert status == 403 and refused(new) == "InvalidAccessKeyId"
    status, view = gateway.admin("POST", "/v1/config/reload", role="operator")
    assert status == 200 and view["access_keys"] == 2
    assert refused(old) is None and refused(new) is None

    gateway.config_file.write_text(credentials((ACCESS_KEY, "not-after = 2020-01-01T00:00:00Z"), ("SUCCESSOR", "colour = 1")))
    status, problem = gateway.admin("POST", "/v1/config/reload", role="operator")
    assert status == 422 and "colour" in str(problem["diagnostics"])
    assert refused(old) is None and refused(new) is None

    gateway.config_file.write_text(credentials((ACCESS_KEY, "not-after = 2020-01-01T00:00:00Z"), ("SUCCESSOR", "")))
    gateway.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while refused(old) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert refused(old) == "InvalidAccessKeyId" and refused(new) is None
    assert SECRET_KEY not in gateway.log()


def test_unsigned_bodies_may_be_wanted_over_tls_only(make_gateway):
    for setting, wanted in [("", 200), ('unsigned-payload = "tls-only"', 403)]:
        gateway = make_gateway(s3=setting)
        client = gateway.client()
        client.create_bucket(Bucket="media")
        url = other_client(gateway, ACCESS_KEY).generate_presigned_url("put_object", Params={"Bucket": "media", "Key": "key", "Metadata": PK})
        headers = {f"x-amz-meta-{name}": value for name, value in PK.items()}
        request = urllib.request.Request(url, data=b"x", method="PUT", headers=headers)
        try:
            status = urllib.request.urlopen(request).status
        except urllib.error.HTTPError as error:
            status = error.code
        assert status == wanted
        client.put_object(Bucket="media", Key="signed", Body=b"x", Metadata=PK)
        assert client.get_object(Bucket="media", Key="signed")["Body"].read() == b"x"
