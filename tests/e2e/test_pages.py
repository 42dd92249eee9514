"""Web pages (CORS) and what objects say of themselves: the parts of S3 that browsers and tools look at."""

import http.client

import pytest
from botocore.exceptions import ClientError

KEY = "users/ayesha/letter"
RESIDENCE = {"Metadata": {"domicile-residence": "PK"}}


def code(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"]


def ask(gateway, method, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.s3_port, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_a_page_reads_what_the_rules_let_it(gateway):
    s3 = gateway.client()
    assert code(s3.get_bucket_cors, Bucket="media") == "NoSuchCORSConfiguration"
    assert ask(gateway, "OPTIONS", "/media/a").status == 400
    wanted = {"Origin": "https://app.example.com", "Access_Control_Request_Method": "PUT"}
    assert ask(gateway, "OPTIONS", "/media/a", **wanted).status == 403
    rule = {
        "AllowedOrigins": ["https://*.example.com"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedHeaders": ["x-amz-*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 600,
    }
    s3.put_bucket_cors(Bucket="media", CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket="media")["CORSRules"] == [rule]

    allowed = ask(gateway, "OPTIONS", "/media/a", Access_Control_Request_Headers="x-amz-date", **wanted)
    assert allowed.status == 200
    assert allowed.getheader("access-control-allow-origin") == "https://app.example.com"
    assert allowed.getheader("access-control-allow-headers") == "x-amz-date"
    assert allowed.getheader("access-control-max-age") == "600"
    assert "Origin" in allowed.getheader("vary")
    for other in [
        {**wanted, "Origin": "https://example.org"},
        {**wanted, "Access_Control_Request_Method": "DELETE"},
        {**wanted, "Access_Control_Request_Headers": "authorization"},
    ]:
        refused = ask(gateway, "OPTIONS", "/media/a", **other)
        assert refused.status == 403 and refused.getheader("access-control-allow-origin") is None

    # The page may read the refusal, too.
    refused = ask(gateway, "GET", f"/media/{KEY}", Origin="https://app.example.com")
    assert (refused.status, refused.getheader("access-control-expose-headers")) == (403, "ETag")
    assert ask(gateway, "GET", f"/media/{KEY}").getheader("access-control-allow-origin") is None
    # Whether there is a bucket is not told.
    assert ask(gateway, "OPTIONS", "/nothere/a", **wanted).status == 403

    s3.delete_bucket_cors(Bucket="media")
    assert ask(gateway, "OPTIONS", "/media/a", **wanted).status == 403


def test_attributes_and_parts_carry_their_checksums(gateway):
    s3 = gateway.client()
    name = {"Bucket": "media", "Key": KEY}
    upload = s3.create_multipart_upload(**name, ChecksumAlgorithm="SHA256", **RESIDENCE)["UploadId"]
    parts = []
    for number, size in [(2, 5 << 20), (5, 3)]:
        part = s3.upload_part(**name, UploadId=upload, PartNumber=number, Body=b"p" * size, ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]})
    done = s3.complete_multipart_upload(**name, UploadId=upload, MultipartUpload={"Parts": parts})

    wanted = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    found = s3.get_object_attributes(**name, ObjectAttributes=wanted, MaxParts=1)
    assert (found["ETag"], found["ObjectSize"]) == (done["ETag"].strip('"'), (5 << 20) + 3)
    assert found["Checksum"]["ChecksumSHA256"] == done["ChecksumSHA256"]
    page = found["ObjectParts"]
    assert (page["TotalPartsCount"], page["IsTruncated"], page["NextPartNumberMarker"]) == (2, True, 2)
    rest = s3.get_object_attributes(**name, ObjectAttributes=["ObjectParts"], PartNumberMarker=2)["ObjectParts"]
    assert [part["ChecksumSHA256"] for part in rest["Parts"]] == [parts[1]["ChecksumSHA256"]]
    assert code(s3.get_object_attributes, **name, ObjectAttributes=["Colour"]) == "InvalidArgument"

    second = s3.get_object(**name, PartNumber=2, ChecksumMode="ENABLED")
    assert (second["Body"].read(), second["ChecksumSHA256"]) == (b"ppp", parts[1]["ChecksumSHA256"])
    assert code(s3.get_object, **name, PartNumber=3) == "InvalidPart"


def test_writes_are_conditional_on_any_tag(gateway):
    s3 = gateway.client()
    name = {"Bucket": "media", "Key": KEY, **RESIDENCE}
    first = s3.put_object(**name, Body=b"one", IfNoneMatch="*")["ETag"]
    assert code(s3.put_object, **name, Body=b"two", IfNoneMatch=first) == "PreconditionFailed"
    second = s3.put_object(**name, Body=b"two", IfNoneMatch='"00000000000000000000000000000000"')["ETag"]
    s3.put_object(**name, Body=b"three", IfNoneMatch=first)
    assert code(s3.put_object, **name, Body=b"four", IfMatch=second) == "PreconditionFailed"
    assert s3.get_object(Bucket="media", Key=KEY)["Body"].read() == b"three"
