"""Forms that browsers post: signed by boto3 and by hand, by nobody, and such as no gateway should take."""

import base64
import datetime
import hashlib
import hmac
import json
import random
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree

import pytest
from botocore.exceptions import ClientError

from conftest import fs_sites
from gateway import ACCESS_KEY, SECRET_KEY, Gateway

BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
PK = {"x-amz-meta-domicile-subject": "amna", "x-amz-meta-domicile-residence": "PK"}
LARGE = random.Random(3).randbytes(20 << 20)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forms")
    gateway = Gateway(folder / "gateway", fs_sites(folder / "sites"), s3="post-signature-v2 = true").start()
    gateway.client().create_bucket(Bucket="media")
    yield gateway
    gateway.stop()


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def post(gateway, fields, file, filename="cat.txt", bucket="media", after=(), headers=None):
    """Status, headers and body of the answer to a form."""
    body = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )
    disposition = f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: x/y\r\n\r\n'
    body += f"--{BOUNDARY}\r\n{disposition}".encode() + file
    for name, value in after:
        body += f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
    body += f"\r\n--{BOUNDARY}--\r\n".encode()
    return send(gateway, body, bucket=bucket, headers=headers)


def send(gateway, body, bucket="media", headers=None):
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **(headers or {})}
    request = urllib.request.Request(f"{gateway.endpoint}/{bucket}", data=body, headers=headers, method="POST")
    try:
        with urllib.request.build_opener(Stay).open(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read()


def code(answer):
    return answer[0], ElementTree.fromstring(answer[2]).findtext("Code")


def signed(gateway, key="forms/${filename}", fields=(), conditions=(), **more):
    """The fields of a form as boto3 signs it."""
    fields = {**PK, **dict(fields)}
    conditions = [*({name: value} for name, value in fields.items()), *conditions]
    form = gateway.client(signature_version="s3v4").generate_presigned_post("media", key, Fields=fields, Conditions=conditions, **more)
    assert form["url"] == f"{gateway.endpoint}/media"
    return form["fields"]


def signed_by_version_2(conditions, secret=SECRET_KEY, **fields):
    expiration = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    document = {"expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"), "conditions": [{"bucket": "media"}, *conditions]}
    policy = base64.b64encode(json.dumps(document).encode())
    signature = base64.b64encode(hmac.new(secret.encode(), policy, hashlib.sha1).digest()).decode()
    return {"AWSAccessKeyId": ACCESS_KEY, "policy": policy.decode(), "signature": signature, **fields}


def stored(gateway, key):
    found = gateway.client().get_object(Bucket="media", Key=key)
    return found, found["Body"].read()


def test_a_form_that_boto3_signs_stores_what_its_fields_say(gateway):
    say = {
        "acl": "bucket-owner-full-control",
        "Content-Type": "text/plain",
        "Cache-Control": "no-store",
        "x-amz-meta-note": "پیارا",
        "x-amz-storage-class": "STANDARD",
        "tagging": "<Tagging><TagSet><Tag><Key>team</Key><Value>a b</Value></Tag></TagSet></Tagging>",
    }
    answer = post(gateway, signed(gateway, fields=say), b"meow", filename="C:\\pictures\\cat.txt", after=[("submit", "Go")])
    assert (answer[0], answer[2]) == (204, b"")
    assert answer[1]["x-domicile-country"] == "PK"
    assert answer[1]["Location"] == f"{gateway.endpoint}/media/forms/cat.txt"
    found, data = stored(gateway, "forms/cat.txt")
    assert data == b"meow" and found["ETag"] == answer[1]["ETag"]
    assert (found["ContentType"], found["CacheControl"]) == ("text/plain", "no-store")
    assert found["ResponseMetadata"]["HTTPHeaders"]["x-domicile-country"] == "PK"
    tags = gateway.client().get_object_tagging(Bucket="media", Key="forms/cat.txt")["TagSet"]
    assert tags == [{"Key": "team", "Value": "a b"}]


NEAR = f"\r\n--{BOUNDARY}x\r\n--{BOUNDARY[:-1]}--\r\n{BOUNDARY}--\r\n\r\n--".encode()
EXTENT = 8 << 20


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"\r\n", NEAR, NEAR * 1000, LARGE, LARGE[:EXTENT], LARGE[: EXTENT - 1], LARGE[: EXTENT + 1]],
    ids=["none", "one", "line", "near", "nears", "large", "extent", "extent-1", "extent+1"],
)
@pytest.mark.parametrize("after", [[], [("submit", "x" * 5000)]], ids=["last", "followed"])
def test_files_of_any_size_come_back(gateway, data, after):
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    fields = {**signed(gateway, key="sized"), "x-amz-checksum-sha256": checksum}
    answer = post(gateway, fields, data, after=after)
    assert answer[0] == 204, answer
    assert answer[1]["x-amz-checksum-sha256"] == checksum
    found, read = stored(gateway, "sized")
    assert read == data and found["ContentLength"] == len(data)
    assert found["ETag"].strip('"') == hashlib.md5(data).hexdigest()
    part = gateway.client().get_object(Bucket="media", Key="sized", Range="bytes=-3") if data else None
    assert part is None or part["Body"].read() == data[-3:]


def test_what_a_form_wants_to_be_told(gateway):
    def told(**fields):
        return post(gateway, signed(gateway, key="told a", fields=fields), b"x")

    status, _, body = told(success_action_status="201")
    document = ElementTree.fromstring(body)
    expected = {"Location": f"{gateway.endpoint}/media/told%20a", "Bucket": "media", "Key": "told a"}
    assert status == 201 and {name: document.findtext(name) for name in expected} == expected
    assert document.findtext("ETag") == f'"{hashlib.md5(b"x").hexdigest()}"'
    assert told(success_action_status="200")[0] == 200
    assert told(success_action_status="404")[0] == 204
    status, headers, _ = told(success_action_redirect="https://app.example/done?step=2")
    etag = hashlib.md5(b"x").hexdigest()
    assert status == 303
    assert headers["Location"] == f"https://app.example/done?step=2&bucket=media&key=told%20a&etag=%22{etag}%22"
    assert told(redirect="http://app.example/")[0] == 303
    assert told(success_action_redirect="javascript:alert(1)")[0] == 204


def test_a_form_is_held_to_its_policy(gateway):
    good = signed(gateway, conditions=[["content-length-range", 2, 4]])
    assert post(gateway, good, b"meow")[0] == 204
    assert code(post(gateway, good, b"meows")) == (400, "EntityTooLarge")
    assert code(post(gateway, good, LARGE)) == (400, "EntityTooLarge")
    assert code(post(gateway, good, b"m")) == (400, "EntityTooSmall")
    for change in [{"key": "other"}, {"x-amz-meta-domicile-residence": "SG"}, {"acl": "public-read"}, {"x-amz-meta-more": "1"}]:
        assert code(post(gateway, {**good, **change}, b"meow")) == (403, "AccessDenied"), change
    gateway.client().create_bucket(Bucket="elsewhere")
    assert code(post(gateway, good, b"meow", bucket="elsewhere")) == (403, "AccessDenied")
    expired = signed(gateway, ExpiresIn=-1)
    assert code(post(gateway, expired, b"meow")) == (403, "AccessDenied")
    forged = {**good, "x-amz-signature": "0" * 64}
    assert code(post(gateway, forged, b"meow")) == (403, "SignatureDoesNotMatch")
    unknown = {**good, "x-amz-credential": good["x-amz-credential"].replace(ACCESS_KEY, "NOBODY")}
    assert code(post(gateway, unknown, b"meow")) == (403, "InvalidAccessKeyId")
    assert code(post(gateway, {**good, "x-amz-checksum-crc32": "AAAAAA=="}, b"meow")) == (400, "BadDigest")
    # A header is covered by no policy.
    assert code(post(gateway, good, b"meow", headers={"x-amz-acl": "public-read"})) == (400, "InvalidArgument")
    with pytest.raises(ClientError):
        gateway.client().head_object(Bucket="media", Key="other")


def test_the_older_signature_is_taken_where_it_is_wanted(gateway, make_gateway):
    starts = ["starts-with", "$key", "old/"]
    residence = {"x-amz-meta-domicile-residence": "PK"}
    subject = ["eq", "$x-amz-meta-domicile-subject", "amna"]
    form = signed_by_version_2([starts, residence, subject], key="old/a", **PK)
    assert post(gateway, form, b"meow")[0] == 204
    assert stored(gateway, "old/a")[1] == b"meow"
    forged = signed_by_version_2([starts, residence, subject], secret="wrong", key="old/a", **PK)
    assert code(post(gateway, forged, b"meow")) == (403, "SignatureDoesNotMatch")
    other = make_gateway()
    other.client().create_bucket(Bucket="media")
    assert code(post(other, form, b"meow")) == (400, "InvalidRequest")


def test_nobody_may_post_where_the_bucket_lets_everybody_write(gateway):
    s3, form = gateway.client(), {"key": "open/a", **PK}
    assert code(post(gateway, form, b"meow")) == (403, "AccessDenied")
    s3.create_bucket(Bucket="open")
    s3.delete_public_access_block(Bucket="open")
    only_forms = {"StringEquals": {"s3:authType": "POST"}}
    one = {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::open/open/*"}
    deny = {**one, "Effect": "Deny", "Condition": only_forms}
    s3.put_bucket_policy(Bucket="open", Policy=json.dumps({"Version": "2012-10-17", "Statement": [one]}))
    assert post(gateway, form, b"meow", bucket="open")[0] == 204
    assert s3.get_object(Bucket="open", Key="open/a")["Body"].read() == b"meow"
    assert code(post(gateway, {**form, "key": "else"}, b"meow", bucket="open")) == (403, "AccessDenied")
    # A form that is signed is one; a form of nobody has no kind of authentication.
    s3.put_bucket_policy(Bucket="open", Policy=json.dumps({"Version": "2012-10-17", "Statement": [one, deny]}))
    assert post(gateway, form, b"meow", bucket="open")[0] == 204
    conditions = [["starts-with", "$key", ""], *({name: value} for name, value in PK.items())]
    mine = gateway.client(signature_version="s3v4").generate_presigned_post("open", "open/a", Fields=PK, Conditions=conditions)["fields"]
    assert code(post(gateway, mine, b"meow", bucket="open")) == (403, "AccessDenied")


def test_residency_is_decided_from_the_fields(gateway):
    policy = {"Fields": {}, "Conditions": []}
    form = gateway.client(signature_version="s3v4").generate_presigned_post("media", "unknown", **policy)["fields"]
    assert code(post(gateway, form, b"meow")) == (403, "ResidencyUnknown")
    # A field says nothing by another name.
    stray = {**form, "x-ignore-amz-meta-domicile-subject": "amna", "x-amz-checksum-domicile-subject": "amna"}
    assert code(post(gateway, stray, b"meow")) == (403, "ResidencyUnknown")


def test_what_is_no_form_is_refused(gateway):
    good = signed(gateway)
    assert code(send(gateway, b"hello")) == (400, "MalformedPOSTRequest")
    assert code(send(gateway, b"hello", headers={"Content-Type": "text/plain"})) == (400, "RequestIsNotMultiPartContent")
    empty = f"--{BOUNDARY}--\r\n".encode()
    assert code(send(gateway, empty)) == (400, "IncorrectNumberOfFilesInPostRequest")
    assert code(post(gateway, {**good, "x-ignore-a": "x" * 20480}, b"")) == (400, "MaxPostPreDataLengthExceededError")
    without = {name: value for name, value in good.items() if name != "x-amz-signature"}
    assert code(post(gateway, without, b"meow")) == (400, "InvalidArgument")
    assert code(post(gateway, good, b"meow", after=[("a", "x" * 70_000)])) == (400, "MalformedPOSTRequest")
