"""Keys of the client's own (SSE-C) as boto3 uses them: nothing is read without the key, and nothing of the key is kept."""

import base64
import hashlib
import io
import os
import shutil
import time
import urllib.request
import zlib

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from authority import Authority
from conftest import fs_sites
from gateway import ROOT, Gateway
from test_serving import secure_client, tls_gateway

OVER_HTTP = "customer-keys-over-http = true"
BUCKET = "media-keys"
PK = {"domicile-residence": "PK"}
MIB = 1024 * 1024
ONE, OTHER = os.urandom(32), os.urandom(32)


def under(key):
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


def from_under(key):
    return {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": key}


def encoded(key):
    return base64.b64encode(key).decode()


def md5(key):
    return encoded(hashlib.md5(key).digest())


def crc32(body):
    return encoded(zlib.crc32(body).to_bytes(4, "big"))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("customer-keys")
    gateway = Gateway(folder / "gateway", fs_sites(folder / "sites"), s3=OVER_HTTP).start()
    gateway.client().create_bucket(Bucket=BUCKET)
    yield gateway
    gateway.stop()


@pytest.fixture
def s3(gateway):
    return gateway.client()


def refused(call, **arguments):
    """Status and code of an error; HEAD has the status alone."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def put(s3, name, body, key=None, **more):
    arguments = {"Bucket": BUCKET, "Key": f"users/a/{name}", "Body": body, "Metadata": PK, **more}
    return s3.put_object(**arguments, **(under(key) if key else {}))


def get(s3, name, key=None, **more):
    arguments = {"Bucket": BUCKET, "Key": f"users/a/{name}", **more}
    return s3.get_object(**arguments, **(under(key) if key else {}))


def read(s3, name, key=None, **more):
    return get(s3, name, key, **more)["Body"].read()


def test_objects_and_ranges_are_read_with_the_key(s3):
    for name, size in [("empty", 0), ("small", 1000), ("segments", 200_000), ("extents", 9 * MIB)]:
        body = os.urandom(size)
        stored = put(s3, name, body, ONE)
        assert (stored["SSECustomerAlgorithm"], stored["SSECustomerKeyMD5"]) == ("AES256", md5(ONE))
        assert "ServerSideEncryption" not in stored
        assert size == 0 or stored["ETag"].strip('"') != hashlib.md5(body).hexdigest()
        found = get(s3, name, ONE, ChecksumMode="ENABLED")
        assert found["Body"].read() == body and found["ETag"] == stored["ETag"]
        assert found["SSECustomerKeyMD5"] == md5(ONE) and "ServerSideEncryption" not in found
        assert found["ChecksumCRC32"] == stored["ChecksumCRC32"]
        head = s3.head_object(Bucket=BUCKET, Key=f"users/a/{name}", **under(ONE))
        assert (head["ContentLength"], head["SSECustomerAlgorithm"]) == (size, "AES256")
        for first, last in [(0, 0), (65_479, 65_480), (100, 131_000), (8 * MIB - 1, 8 * MIB), (size - 1, size - 1)]:
            if 0 <= first <= last < size:
                assert read(s3, name, ONE, Range=f"bytes={first}-{last}") == body[first : last + 1]


def test_no_key_and_another_key_open_nothing(s3):
    put(s3, "locked", b"secret", ONE)
    put(s3, "plain", b"open")
    where = {"Bucket": BUCKET, "Key": "users/a/locked"}
    assert refused(s3.get_object, **where) == (400, "InvalidRequest")
    assert refused(s3.get_object, **where, **under(OTHER)) == (403, "AccessDenied")
    assert refused(s3.head_object, **where)[0] == 400
    assert refused(s3.head_object, **where, **under(OTHER))[0] == 403
    plain = {"Bucket": BUCKET, "Key": "users/a/plain"}
    assert refused(s3.get_object, **plain, **under(ONE)) == (400, "InvalidRequest")
    assert refused(s3.head_object, **plain, **under(ONE))[0] == 400
    assert read(s3, "plain") == b"open"
    # What needs no bytes needs no key.
    s3.put_object_tagging(**where, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object(**where)
    assert refused(s3.get_object, **where, **under(ONE)) == (404, "NoSuchKey")


def test_headers_that_do_not_fit_are_refused(s3):
    put(s3, "kept", b"as it was")
    where = {"Bucket": BUCKET, "Key": "users/a/kept", "Body": b"never stored", "Metadata": PK}
    assert refused(s3.put_object, **where, **under(b"short")) == (400, "InvalidArgument")
    mismatched = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": encoded(ONE), "SSECustomerKeyMD5": md5(OTHER)}
    assert refused(s3.put_object, **where, **mismatched) == (400, "InvalidArgument")
    assert refused(s3.put_object, **where, SSECustomerKey=ONE) == (400, "InvalidArgument")
    assert refused(s3.put_object, **where, SSECustomerAlgorithm="AES256") == (400, "InvalidArgument")
    wrong = {**under(ONE), "SSECustomerAlgorithm": "AES128"}
    assert refused(s3.put_object, **where, **wrong) == (400, "InvalidEncryptionAlgorithmError")
    assert refused(s3.put_object, **where, **under(ONE), ServerSideEncryption="AES256") == (400, "InvalidArgument")
    assert refused(s3.put_object, **where, ServerSideEncryption="aws:kms") == (501, "NotImplemented")
    assert read(s3, "kept") == b"as it was"


def test_parts_are_under_the_key_of_their_upload(s3):
    where = {"Bucket": BUCKET, "Key": "users/a/parts"}
    upload = s3.create_multipart_upload(**where, Metadata=PK, **under(ONE))
    assert upload["SSECustomerKeyMD5"] == md5(ONE) and "ServerSideEncryption" not in upload
    where["UploadId"] = upload["UploadId"]
    bodies = [os.urandom(5 * MIB), os.urandom(100_000)]
    assert refused(s3.upload_part, **where, PartNumber=1, Body=b"x") == (400, "InvalidRequest")
    assert refused(s3.upload_part, **where, PartNumber=1, Body=b"x", **under(OTHER)) == (400, "InvalidRequest")
    parts = []
    for number, body in enumerate(bodies, 1):
        part = s3.upload_part(**where, PartNumber=number, Body=body, **under(ONE))
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    # boto3 encodes no key for this operation.
    raw = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": encoded(ONE), "SSECustomerKeyMD5": md5(ONE)}
    assert "ChecksumCRC32" not in s3.list_parts(**where)["Parts"][0]
    listed = s3.list_parts(**where, **raw)["Parts"]
    assert [part["ChecksumCRC32"] for part in listed] == [crc32(body) for body in bodies]
    complete = {**where, "MultipartUpload": {"Parts": parts}}
    assert refused(s3.complete_multipart_upload, **complete, **under(OTHER)) == (400, "InvalidRequest")
    s3.complete_multipart_upload(**complete, **under(ONE))
    whole = b"".join(bodies)
    assert read(s3, "parts", ONE) == whole
    second = get(s3, "parts", ONE, PartNumber=2, ChecksumMode="ENABLED")
    assert second["Body"].read() == bodies[1] and second["ChecksumCRC32"] == listed[1]["ChecksumCRC32"]
    about = {"Bucket": BUCKET, "Key": "users/a/parts", "ObjectAttributes": ["ObjectParts", "ObjectSize"]}
    attributes = s3.get_object_attributes(**about, **raw)
    assert attributes["ObjectSize"] == len(whole)
    assert [part["ChecksumCRC32"] for part in attributes["ObjectParts"]["Parts"]] == [part["ChecksumCRC32"] for part in listed]
    assert refused(s3.get_object_attributes, **about) == (400, "InvalidRequest")
    assert read(s3, "parts", ONE, Range=f"bytes={5 * MIB - 10}-{5 * MIB + 9}") == whole[5 * MIB - 10 : 5 * MIB + 10]
    assert refused(s3.get_object, Bucket=BUCKET, Key="users/a/parts") == (400, "InvalidRequest")

    plain = s3.create_multipart_upload(Bucket=BUCKET, Key="users/a/plain-parts", Metadata=PK)["UploadId"]
    part = {"Bucket": BUCKET, "Key": "users/a/plain-parts", "UploadId": plain, "PartNumber": 1, "Body": b"x"}
    assert refused(s3.upload_part, **part, **under(ONE)) == (400, "InvalidRequest")


def test_the_transfer_manager_and_presigned_urls(gateway, s3):
    body = os.urandom(20 * MIB)
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=6 * MIB)
    extra = under(ONE)
    s3.upload_fileobj(io.BytesIO(body), BUCKET, "users/a/managed", ExtraArgs={**extra, "Metadata": PK}, Config=config)
    back = io.BytesIO()
    s3.download_fileobj(BUCKET, "users/a/managed", back, ExtraArgs=extra, Config=config)
    assert back.getvalue() == body

    presigner = gateway.client(signature_version="s3v4")
    url = presigner.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "users/a/managed", **under(ONE)})
    prefix = "x-amz-server-side-encryption-customer-"
    headers = {f"{prefix}algorithm": "AES256", f"{prefix}key": encoded(ONE), f"{prefix}key-MD5": md5(ONE)}
    assert urllib.request.urlopen(urllib.request.Request(url, headers=headers)).read() == body


def test_copies_change_keys(s3):
    body = os.urandom(300_000)
    put(s3, "source", body, ONE)

    def copy(source, target, **more):
        return s3.copy_object(
            Bucket=BUCKET, Key=f"users/a/{target}", CopySource={"Bucket": BUCKET, "Key": f"users/a/{source}"}, **more
        )

    assert copy("source", "rekeyed", **from_under(ONE), **under(OTHER))["SSECustomerKeyMD5"] == md5(OTHER)
    assert read(s3, "rekeyed", OTHER) == body
    assert copy("rekeyed", "bare", **from_under(OTHER))["ServerSideEncryption"] == "AES256"
    assert read(s3, "bare") == body
    copy("bare", "again", **under(ONE))
    assert read(s3, "again", ONE) == body
    copy("again", "again", **from_under(ONE), **under(OTHER))
    assert read(s3, "again", OTHER) == body
    where = {"Bucket": BUCKET, "Key": "users/a/never", "CopySource": {"Bucket": BUCKET, "Key": "users/a/source"}}
    assert refused(s3.copy_object, **where) == (400, "InvalidRequest")
    assert refused(s3.copy_object, **where, **from_under(OTHER)) == (403, "AccessDenied")

    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="users/a/never", Metadata=PK, **under(OTHER))["UploadId"]
    part = {**where, "UploadId": upload, "PartNumber": 1, "CopySourceRange": "bytes=1000-99999"}
    assert refused(s3.upload_part_copy, **part, **from_under(ONE)) == (400, "InvalidRequest")
    done = s3.upload_part_copy(**part, **from_under(ONE), **under(OTHER))
    parts = [{"PartNumber": 1, "ETag": done["CopyPartResult"]["ETag"]}]
    target = {"Bucket": BUCKET, "Key": "users/a/never", "UploadId": upload, "MultipartUpload": {"Parts": parts}}
    s3.complete_multipart_upload(**target, **under(OTHER))
    assert read(s3, "never", OTHER) == body[1000:100_000]


def test_auditors_see_it_and_nobody_sees_the_key(gateway, s3):
    put(s3, "seen", b"seen", ONE)
    put(s3, "unseen", b"unseen")
    for name, expected in [("seen", True), ("unseen", False)]:
        status, page = gateway.admin("GET", f"/v1/record?bucket={BUCKET}&key=users/a/{name}", role="auditor")
        assert status == 200 and page["versions"][0]["customer_key"] is expected
    secrets = [ONE, ONE.hex().encode(), base64.b64encode(ONE), hashlib.md5(ONE).digest(), md5(ONE).encode()]
    for path in gateway.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(secret in data for secret in secrets), path


def test_keys_come_over_tls_alone_unless_the_operator_says_otherwise(make_gateway, tmp_path):
    plain = make_gateway().client()
    plain.create_bucket(Bucket=BUCKET)
    where = {"Bucket": BUCKET, "Key": "users/a/key"}
    assert refused(plain.put_object, **where, Body=b"x", Metadata=PK, **under(ONE)) == (400, "InvalidRequest")
    assert refused(plain.get_object, **where) == (404, "NoSuchKey")

    authority = Authority(tmp_path, "authority")
    secure = secure_client(tls_gateway(make_gateway, *authority.issue("server")), authority)
    secure.create_bucket(Bucket=BUCKET)
    put(secure, "key", b"over TLS", ONE)
    assert read(secure, "key", ONE) == b"over TLS"


def test_copies_in_another_country_follow_without_the_key(tmp_path):
    policies = tmp_path / "policies"
    (policies / "pk-cpoh-2020").mkdir(parents=True)
    shutil.copy(ROOT / "policies/gateway.toml", policies / "gateway.toml")
    text = (ROOT / "policies/pk-cpoh-2020/policy.toml").read_text()
    (policies / "pk-cpoh-2020/policy.toml").write_text(text.replace('copies = "only"', 'copies = "first"'))
    gateway = Gateway(tmp_path / "gateway", fs_sites(tmp_path / "sites"), s3=OVER_HTTP, policies=policies).start()
    try:
        s3 = gateway.client()
        s3.create_bucket(Bucket=BUCKET)
        bodies = {"small": os.urandom(1000), "large": os.urandom(9 * MIB)}
        for name, body in bodies.items():
            put(s3, name, body, ONE)

        def stored(name):
            record = gateway.admin("GET", f"/v1/record?bucket={BUCKET}&key=users/a/{name}")[1]["versions"][0]
            return sum(1 for copy in record["copies"] if copy.get("stored"))

        deadline = time.monotonic() + 60
        while not all(stored(name) == 2 for name in bodies):
            assert time.monotonic() < deadline, "the copies did not follow"
            time.sleep(0.1)
        gateway.sites["pk-khi"].stop()
        for name, body in bodies.items():
            assert read(s3, name, ONE) == body
            assert refused(s3.get_object, Bucket=BUCKET, Key=f"users/a/{name}", **under(OTHER)) == (403, "AccessDenied")
    finally:
        gateway.stop()
