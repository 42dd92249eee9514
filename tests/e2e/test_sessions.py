"""Temporary credentials: what they may, how they end, and that nothing about them can be changed."""

import json
import time
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError


HERE = {"Metadata": {"domicile-residence": "PK"}}


def create(gateway, principal="tests", seconds=600, **more):
    status, body = gateway.admin("POST", "/v1/sessions", {"principal": principal, "seconds": seconds, **more})
    assert status == 200, body
    return body


def client(gateway, session, **config):
    return boto3.client(
        "s3",
        endpoint_url=gateway.endpoint,
        region_name="us-east-1",
        aws_access_key_id=session["access_key_id"],
        aws_secret_access_key=session["secret_access_key"],
        aws_session_token=session["session_token"],
        config=Config(signature_version="s3v4", retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **config),
    )


def code(call, *arguments, **named):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_session_does_what_its_principal_may(gateway):
    s3 = client(gateway, create(gateway))
    s3.put_object(Bucket="media", Key="users/ayesha/a", Body=b"x" * 100_000, **HERE)
    assert s3.get_object(Bucket="media", Key="users/ayesha/a")["Body"].read() == b"x" * 100_000
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["media"]
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "media", "Key": "users/ayesha/a"}, ExpiresIn=60)
    assert fetch(url)[0] == 200
    s3.delete_object(Bucket="media", Key="users/ayesha/a")


def test_a_session_survives_a_restart(gateway):
    s3 = client(gateway, create(gateway))
    gateway.stop()
    gateway.start()
    assert s3.list_objects_v2(Bucket="media")["KeyCount"] == 0


def test_a_narrower_session_may_less_and_never_more(gateway):
    owner = gateway.client()
    owner.create_bucket(Bucket="other")
    for key in ("users/ali/1", "users/bob/1"):
        owner.put_object(Bucket="media", Key=key, Body=b"x", **HERE)
    s3 = client(gateway, create(gateway, buckets=["med*"], prefixes=["users/ali/"], allow=["read", "list"]))
    assert s3.get_object(Bucket="media", Key="users/ali/1")["Body"].read() == b"x"
    assert s3.list_objects_v2(Bucket="media", Prefix="users/ali/")["KeyCount"] == 1
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["media"]
    for call, named in [
        (s3.get_object, {"Bucket": "media", "Key": "users/bob/1"}),
        (s3.list_objects_v2, {"Bucket": "media"}),
        (s3.put_object, {"Bucket": "media", "Key": "users/ali/2", "Body": b"x"}),
        (s3.delete_object, {"Bucket": "media", "Key": "users/ali/1"}),
        (s3.list_objects_v2, {"Bucket": "other"}),
        (s3.create_bucket, {"Bucket": "media-2"}),
    ]:
        assert code(call, **named) == ("AccessDenied", 403), named


def test_a_session_and_its_urls_end_with_the_token(gateway):
    gateway.client().put_object(Bucket="media", Key="users/ayesha/a", Body=b"x", **HERE)
    s3 = client(gateway, create(gateway, seconds=3))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "media", "Key": "users/ayesha/a"}, ExpiresIn=3600)
    assert fetch(url)[0] == 200
    time.sleep(3.5)
    assert code(s3.get_object, Bucket="media", Key="users/ayesha/a") == ("ExpiredToken", 400)
    status, body = fetch(url)
    assert status == 400 and "<Code>ExpiredToken</Code>" in body


def test_a_form_may_be_signed_by_a_session(gateway):
    session = create(gateway)
    key = "users/ayesha/form"
    fields = {"x-amz-meta-domicile-residence": "PK"}
    conditions = [{name: value} for name, value in fields.items()]
    form = client(gateway, session).generate_presigned_post("media", key, Fields=fields, Conditions=conditions, ExpiresIn=60)
    other = {**form["fields"], "x-amz-security-token": create(gateway)["session_token"]}

    def post(values):
        parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in values.items()]
        parts.append('--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhello\r\n--x--\r\n')
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        request = urllib.request.Request(form["url"], "".join(parts).encode(), headers, method="POST")
        return fetch(request)

    assert post(form["fields"])[0] == 204
    assert gateway.client().get_object(Bucket="media", Key=key)["Body"].read() == b"hello"
    status, body = post(other)
    assert status == 400 and "<Code>InvalidToken</Code>" in body


def test_no_part_of_the_credentials_can_be_changed(gateway):
    session, other = create(gateway), create(gateway)

    def refused(**changed):
        return code(client(gateway, {**session, **changed}).list_buckets)

    token = session["session_token"]
    for at in range(0, len(token), 7):
        wrong = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert refused(session_token=wrong) == ("InvalidToken", 400), at
    assert refused(session_token=other["session_token"]) == ("InvalidToken", 400)
    assert refused(access_key_id=other["access_key_id"]) == ("InvalidToken", 400)
    assert refused(secret_access_key=other["secret_access_key"]) == ("SignatureDoesNotMatch", 403)
    assert refused(session_token=None) == ("InvalidAccessKeyId", 403)
    assert refused(session_token="not a token") == ("InvalidToken", 400)
    client(gateway, session).list_buckets()

    url = client(gateway, session).generate_presigned_url("list_objects_v2", Params={"Bucket": "media"}, ExpiresIn=60)
    assert fetch(url)[0] == 200
    assert fetch(url.replace(token, other["session_token"]))[0] == 400
    without = url.replace(f"&X-Amz-Security-Token={token}", "")
    assert without != url and fetch(without)[0] == 403


def test_what_a_reload_takes_from_a_principal_its_sessions_lose_at_once(gateway):
    s3 = client(gateway, create(gateway))
    s3.put_object(Bucket="media", Key="users/ayesha/a", Body=b"x", **HERE)
    text = gateway.config_file.read_text()
    gateway.config_file.write_text(text.replace('allow = ["read", "write", "list"]', 'allow = ["read"]'))
    assert gateway.admin("POST", "/v1/config/reload")[0] == 200
    assert s3.get_object(Bucket="media", Key="users/ayesha/a")["Body"].read() == b"x"
    assert code(s3.put_object, Bucket="media", Key="users/ayesha/a", Body=b"x", **HERE) == ("AccessDenied", 403)
    gateway.config_file.write_text(text.replace('id = "tests"', 'id = "others"'))
    assert gateway.admin("POST", "/v1/config/reload")[0] == 200
    assert code(s3.get_object, Bucket="media", Key="users/ayesha/a") == ("InvalidAccessKeyId", 403)
    gateway.config_file.write_text(text)
    assert gateway.admin("POST", "/v1/config/reload")[0] == 200
    s3.get_object(Bucket="media", Key="users/ayesha/a")


def test_only_operators_make_sessions_and_each_is_in_the_ledger(gateway):
    wanted = {"principal": "tests", "seconds": 60}
    for role in ("auditor", "policy-admin", "legal", None):
        assert gateway.admin("POST", "/v1/sessions", wanted, role=role)[0] in (401, 403)
    assert gateway.admin("POST", "/v1/sessions", {**wanted, "principal": "nobody"})[0] == 404
    for wrong in [{"seconds": 0}, {"seconds": 10**9}, {"allow": []}, {"allow": ["admin"]}, {"prefixes": ["x" * 5000]}]:
        assert gateway.admin("POST", "/v1/sessions", {**wanted, **wrong})[0] == 400, wrong
    session = create(gateway)
    client(gateway, session).put_object(Bucket="media", Key="users/ayesha/a", Body=b"x", **HERE)
    entries = gateway.ledger()
    created = [entry for entry in entries if entry["kind"] == "session-created"]
    assert len(created) == 1 and created[0]["actor"] == {"token": {"role": "operator", "id": "operator-1"}}
    put = next(entry for entry in entries if entry["kind"] == "put-object")
    assert put["actor"] == {"principal": created[0]["query"]["principal"]}
    everything = json.dumps(entries) + gateway.log()
    assert session["secret_access_key"] not in everything and session["session_token"] not in everything


def test_the_command_prints_what_clients_read(gateway):
    lines = gateway.cli("session", "create", "--principal", "tests", "--for", "10m", "--allow", "read,list").stdout.splitlines()
    values = dict(line.split("=", 1) for line in lines if line.startswith("AWS_"))
    session = {
        "access_key_id": values["AWS_ACCESS_KEY_ID"],
        "secret_access_key": values["AWS_SECRET_ACCESS_KEY"],
        "session_token": values["AWS_SESSION_TOKEN"],
    }
    s3 = client(gateway, session)
    s3.list_buckets()
    assert code(s3.put_object, Bucket="media", Key="users/ayesha/a", Body=b"x", **HERE) == ("AccessDenied", 403)
    document = json.loads(gateway.cli("--json", "session", "create", "--principal", "tests").stdout)
    assert document["Version"] == 1 and set(document) == {
        "Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration",
    }  # fmt: skip
