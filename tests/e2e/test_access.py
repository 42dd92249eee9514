"""Who may do what: accounts, prefixes, bucket policies, ACLs and the public access block, as boto3 meets them."""

import http.client
import json
import urllib.error
import urllib.request

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import fs_sites
from gateway import SECRET_KEY, Gateway

KEY = "users/ayesha/letter"
PRINCIPAL = """
[[principal]]
id = "{id}"
account = "{account}"
access-key-id = "{key}"
secret-file = "{secret}"
buckets = {buckets}
prefixes = {prefixes}
allow = ["read", "write", "list"]
country = "SG"
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("access")
    secret = folder / "gateway" / "secret"
    clinic = PRINCIPAL.format(id="clinic", account="clinic", key="CLINIC", secret=secret, buckets='["*"]', prefixes="[]")
    feed = PRINCIPAL.format(
        id="feed", account="domicile", key="FEED", secret=secret, buckets='["media*"]', prefixes='["users/ayesha/"]'
    )
    gateway = Gateway(folder / "gateway", fs_sites(folder / "sites"), extra=clinic + feed).start()
    yield gateway
    gateway.stop()


def code(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"]


def anonymous(gateway):
    config = Config(signature_version=UNSIGNED, retries={"max_attempts": 0}, s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=gateway.endpoint, region_name="us-east-1", config=config)


def filled(gateway, bucket, **more):
    s3 = gateway.client()
    s3.create_bucket(Bucket=bucket, **more)
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"salaam", Metadata={"domicile-residence": "PK"}, Tagging="team=health")
    return s3


def statement(bucket, actions, effect="Allow", principal="*", **condition):
    resource = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    one = {"Effect": effect, "Principal": principal, "Action": actions, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**one, **({"Condition": condition} if condition else {})}]})


def test_another_account_gets_nothing_until_a_policy_says_so(gateway):
    s3, clinic = filled(gateway, "media-policy"), gateway.client("CLINIC", SECRET_KEY)
    name = {"Bucket": "media-policy"}
    for call, more in [
        (clinic.get_object, {"Key": KEY}),
        (clinic.get_object, {"Key": "users/nobody"}),
        (clinic.put_object, {"Key": KEY, "Body": b"x"}),
        (clinic.delete_object, {"Key": KEY}),
        (clinic.list_objects_v2, {}),
        (clinic.get_bucket_policy, {}),
        (clinic.create_multipart_upload, {"Key": KEY}),
        (clinic.delete_bucket, {}),
    ]:
        assert code(call, **name, **more) == "AccessDenied"
    refused = clinic.delete_objects(**name, Delete={"Objects": [{"Key": KEY}]})
    assert [error["Code"] for error in refused["Errors"]] == ["AccessDenied"]
    assert "media-policy" not in [bucket["Name"] for bucket in clinic.list_buckets()["Buckets"]]
    assert code(clinic.create_bucket, **name) == "BucketAlreadyExists"

    account = {"AWS": "arn:aws:iam::clinic:root"}
    health = {"StringEquals": {"s3:ExistingObjectTag/team": "health"}}
    s3.put_bucket_policy(**name, Policy=statement("media-policy", "s3:GetObject", principal=account, **health))
    assert clinic.get_object(**name, Key=KEY)["Body"].read() == b"salaam"
    assert code(clinic.list_objects_v2, **name) == "AccessDenied"
    # Who may not list learns nothing of what is not there.
    assert code(clinic.get_object, **name, Key="users/nobody") == "AccessDenied"
    s3.put_object_tagging(**name, Key=KEY, Tagging={"TagSet": [{"Key": "team", "Value": "finance"}]})
    assert code(clinic.get_object, **name, Key=KEY) == "AccessDenied"
    assert s3.get_bucket_policy_status(**name)["PolicyStatus"] == {"IsPublic": False}

    s3.put_bucket_policy(**name, Policy=statement("media-policy", "s3:DeleteObject", effect="Deny"))
    assert code(s3.delete_object, **name, Key=KEY) == "AccessDenied"
    s3.delete_bucket_policy(**name)
    assert code(s3.get_bucket_policy, **name) == "NoSuchBucketPolicy"
    assert code(s3.put_bucket_policy, **name, Policy="{}") == "MalformedPolicy"


def test_a_copy_needs_both_ends(gateway):
    filled(gateway, "media-source")
    clinic = gateway.client("CLINIC", SECRET_KEY)
    clinic.create_bucket(Bucket="clinic-copies")
    source = {"Bucket": "media-source", "Key": KEY}
    assert code(clinic.copy_object, Bucket="clinic-copies", Key=KEY, CopySource=source) == "AccessDenied"
    clinic.put_object(Bucket="clinic-copies", Key=KEY, Body=b"own", Metadata={"domicile-residence": "PK"})
    theirs = {"Bucket": "clinic-copies", "Key": KEY}
    assert code(clinic.copy_object, Bucket="media-source", Key=KEY, CopySource=theirs) == "AccessDenied"


def test_the_expected_owner_is_checked(gateway):
    s3 = filled(gateway, "media-owner")
    assert s3.head_bucket(Bucket="media-owner", ExpectedBucketOwner="domicile")
    assert code(s3.get_object, Bucket="media-owner", Key=KEY, ExpectedBucketOwner="clinic") == "AccessDenied"
    assert code(s3.delete_object, Bucket="media-owner", Key=KEY, ExpectedBucketOwner="clinic") == "AccessDenied"
    source = {"Bucket": "media-owner", "Key": KEY}
    refused = code(s3.copy_object, Bucket="media-owner", Key="users/ayesha/b", CopySource=source, ExpectedSourceBucketOwner="clinic")
    assert refused == "AccessDenied"


def test_prefixes_bound_a_principal(gateway):
    s3, feed = filled(gateway, "media-prefixes"), gateway.client("FEED", SECRET_KEY)
    name, theirs = {"Bucket": "media-prefixes"}, "users/bilal/letter"
    s3.put_object(**name, Key=theirs, Body=b"other", Metadata={"domicile-residence": "PK"})
    assert feed.get_object(**name, Key=KEY)["Body"].read() == b"salaam"
    assert [item["Key"] for item in feed.list_objects_v2(**name, Prefix="users/ayesha/")["Contents"]] == [KEY]
    for call, more in [
        (feed.get_object, {"Key": theirs}),
        (feed.delete_object, {"Key": theirs}),
        (feed.list_objects_v2, {}),
        (feed.list_objects_v2, {"Prefix": "users/"}),
        (feed.list_object_versions, {"Prefix": "users/b"}),
        (feed.copy_object, {"Key": KEY, "CopySource": {**name, "Key": theirs}}),
        (feed.put_bucket_versioning, {"VersioningConfiguration": {"Status": "Enabled"}}),
        (feed.delete_bucket, {}),
    ]:
        assert code(call, **name, **more) == "AccessDenied"
    assert code(feed.create_bucket, Bucket="media-other") == "AccessDenied"
    mixed = feed.delete_objects(**name, Delete={"Objects": [{"Key": theirs}, {"Key": KEY}]})
    assert [error["Key"] for error in mixed["Errors"]] == [theirs]
    assert [deleted["Key"] for deleted in mixed["Deleted"]] == [KEY]


def test_nothing_is_public_unless_the_owner_takes_the_block_away(gateway):
    s3, nobody = filled(gateway, "media-public"), anonymous(gateway)
    name = {"Bucket": "media-public"}
    assert s3.get_public_access_block(**name)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"]
    for call, more in [(nobody.get_object, {"Key": KEY}), (nobody.list_objects_v2, {}), (nobody.put_object, {"Key": KEY})]:
        assert code(call, **name, **more) == "AccessDenied"
    assert code(nobody.list_buckets) == "AccessDenied"
    assert code(nobody.create_bucket, Bucket="nobodys") == "AccessDenied"
    public = statement("media-public", "s3:GetObject")
    assert code(s3.put_bucket_policy, **name, Policy=public) == "AccessDenied"
    s3.delete_public_access_block(**name)
    s3.put_bucket_policy(**name, Policy=public)
    assert s3.get_bucket_policy_status(**name)["PolicyStatus"] == {"IsPublic": True}
    found = nobody.get_object(**name, Key=KEY)
    assert found["Body"].read() == b"salaam"
    # Not where it lives, nor why, nor whose it is.
    assert not [header for header in found["ResponseMetadata"]["HTTPHeaders"] if "domicile-" in header]
    assert code(nobody.list_objects_v2, **name) == "AccessDenied"
    # Nobody in particular gets no say in how a browser takes the answer.
    url = f"{gateway.endpoint}/media-public/{KEY}?response-content-type=text/html"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url)
    assert refused.value.code == 400
    everything = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
    s3.put_public_access_block(**name, PublicAccessBlockConfiguration=everything)
    assert code(nobody.get_object, **name, Key=KEY) == "AccessDenied"


def test_acls_are_off_until_the_bucket_turns_them_on(gateway):
    s3, clinic = filled(gateway, "media-acls"), gateway.client("CLINIC", SECRET_KEY)
    name = {"Bucket": "media-acls"}
    assert s3.get_bucket_ownership_controls(**name)["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    s3.put_object_acl(**name, Key=KEY, ACL="private")
    assert code(s3.put_object_acl, **name, Key=KEY, GrantRead='id="clinic"') == "AccessControlListNotSupported"
    assert code(s3.put_object, **name, Key=KEY, ACL="public-read") == "AccessControlListNotSupported"
    assert code(s3.create_bucket, Bucket="media-refused", ACL="public-read") == "InvalidBucketAclWithObjectOwnership"
    [grant] = s3.get_object_acl(**name, Key=KEY)["Grants"]
    assert (grant["Grantee"]["ID"], grant["Permission"]) == ("domicile", "FULL_CONTROL")

    s3.put_bucket_ownership_controls(**name, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_object_acl(**name, Key=KEY, GrantRead='id="clinic"')
    assert clinic.get_object(**name, Key=KEY)["Body"].read() == b"salaam"
    assert code(clinic.get_object_acl, **name, Key=KEY) == "AccessDenied"
    assert code(s3.put_object_acl, **name, Key=KEY, ACL="public-read") == "AccessDenied"
    # A writer's object is the writer's: the bucket's owner reads it only when the writer lets it.
    s3.put_bucket_acl(**name, GrantFullControl='id="domicile"', GrantWrite='id="clinic"')
    clinic.put_object(**name, Key="users/bilal/scan", Body=b"scan", Metadata={"domicile-residence": "PK"})
    assert code(s3.get_object, **name, Key="users/bilal/scan") == "AccessDenied"
    clinic.put_object_acl(**name, Key="users/bilal/scan", ACL="bucket-owner-full-control")
    assert s3.get_object(**name, Key="users/bilal/scan")["Body"].read() == b"scan"


def test_refusals_are_in_the_ledger(gateway):
    before = len(gateway.ledger())
    assert code(gateway.client("CLINIC", SECRET_KEY).get_object, Bucket="media-policy", Key=KEY) == "AccessDenied"
    assert code(anonymous(gateway).get_object, Bucket="media-policy", Key=KEY) == "AccessDenied"
    refused = [entry for entry in gateway.ledger()[before:] if "AccessDenied" in json.dumps(entry)]
    assert len(refused) == 2


def test_who_writes_does_not_give_access_away(make_gateway):
    secret = make_gateway(start=False).folder / "secret"
    writer = PRINCIPAL.format(id="writer", account="domicile", key="WRITER", secret=secret, buckets='["*"]', prefixes="[]")
    gateway = make_gateway(extra=writer.replace('["read", "write", "list"]', '["write"]'))
    filled(gateway, "media")
    writer = gateway.client("WRITER", SECRET_KEY)
    name = {"Bucket": "media"}
    for call, more in [
        (writer.delete_public_access_block, {}),
        (writer.put_bucket_policy, {"Policy": statement("media", "s3:GetObject")}),
        (writer.put_bucket_ownership_controls, {"OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}}),
        (writer.put_bucket_acl, {"ACL": "public-read"}),
        (writer.put_object_acl, {"Key": KEY, "ACL": "public-read"}),
        # Nor does it learn what it cannot read.
        (writer.put_object, {"Key": KEY, "Body": b"x", "IfMatch": "00000000000000000000000000000000"}),
        (writer.delete_object, {"Key": KEY, "IfMatch": "00000000000000000000000000000000"}),
    ]:
        assert code(call, **name, **more) == "AccessDenied"
    assert writer.list_buckets()["Buckets"] == []
    writer.put_object(**name, Key="users/ayesha/b", Body=b"b", Metadata={"domicile-residence": "PK"})


def test_another_account_never_gets_at_the_policy(gateway):
    s3, clinic = filled(gateway, "media-hold"), gateway.client("CLINIC", SECRET_KEY)
    name = {"Bucket": "media-hold"}
    account = {"AWS": "arn:aws:iam::clinic:root"}
    s3.put_bucket_policy(**name, Policy=statement("media-hold", "s3:*", principal=account))
    assert clinic.get_object(**name, Key=KEY)["Body"].read() == b"salaam"
    for call, more in [
        (clinic.get_bucket_policy, {}),
        (clinic.put_bucket_policy, {"Policy": statement("media-hold", "s3:*", effect="Deny")}),
        (clinic.delete_bucket_policy, {}),
    ]:
        assert code(call, **name, **more) == "AccessDenied"


def test_conditions_ask_about_what_is_done_not_what_headers_say(gateway):
    s3, name = gateway.client(), {"Bucket": "media-conditions"}
    s3.create_bucket(**name, ObjectLockEnabledForBucket=True)
    record = {"Key": KEY, "Metadata": {"domicile-residence": "PK"}}
    first = s3.put_object(**name, **record, Body=b"first", Tagging="class=secret")["VersionId"]

    def deny(actions, **condition):
        s3.put_bucket_policy(**name, Policy=statement("media-conditions", actions, effect="Deny", **condition))

    # Retention and legal hold stand in documents.
    deny("s3:PutObjectRetention", NumericGreaterThan={"s3:object-lock-remaining-retention-days": "10"})
    long = {"Mode": "GOVERNANCE", "RetainUntilDate": "2090-01-01T00:00:00Z"}
    assert code(s3.put_object_retention, **name, Key=KEY, Retention=long) == "AccessDenied"
    deny("s3:PutObjectLegalHold", StringEquals={"s3:object-lock-legal-hold": "ON"})
    assert code(s3.put_object_legal_hold, **name, Key=KEY, LegalHold={"Status": "ON"}) == "AccessDenied"
    s3.put_object_legal_hold(**name, Key=KEY, LegalHold={"Status": "OFF"})

    # A version is a version, also as a copy's source or one of many to delete.
    deny(["s3:GetObjectVersion", "s3:DeleteObjectVersion"], StringEquals={"s3:VersionId": first})
    source = {**name, "Key": KEY, "VersionId": first}
    assert code(s3.copy_object, **name, Key="users/ayesha/copy", CopySource=source) == "AccessDenied"
    refused = s3.delete_objects(**name, Delete={"Objects": [{"Key": KEY, "VersionId": first}]})
    assert [error["Code"] for error in refused["Errors"]] == ["AccessDenied"]

    # Tags that a copy keeps are not those of its headers.
    deny("s3:PutObject", StringNotEquals={"s3:RequestObjectTag/class": "open"})
    source = {**name, "Key": KEY}
    kept = {"TaggingDirective": "COPY", "Tagging": "class=open"}
    assert code(s3.copy_object, **name, Key="users/ayesha/copy", CopySource=source, **kept) == "AccessDenied"

    # However the source is spelled.
    copied = {"StringEquals": {"s3:x-amz-copy-source": f"media-conditions/{KEY}"}}
    deny("s3:PutObject", **copied)
    for spelled in (source, f"/media-conditions/{KEY}?versionId={first}"):
        assert code(s3.copy_object, **name, Key="users/ayesha/copy", CopySource=spelled) == "AccessDenied"

    # A policy against overwriting is not satisfied by any tag, and completing an upload writes an object.
    only_new = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
    deny("s3:PutObject", **only_new)
    assert code(s3.put_object, **name, **record, Body=b"x", IfNoneMatch="00000000000000000000000000000000") == "AccessDenied"
    upload = s3.create_multipart_upload(**name, **record)["UploadId"]
    part = s3.upload_part(**name, Key=KEY, UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    assert code(s3.complete_multipart_upload, **name, Key=KEY, UploadId=upload, MultipartUpload=parts) == "AccessDenied"

    # What no signature covers is unsigned, whether a header says so or not.
    deny("s3:PutObject", StringEquals={"s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    presigner = gateway.client(signature_version="s3v4")
    url = presigner.generate_presigned_url("put_object", Params={**name, "Key": KEY})
    with pytest.raises(urllib.error.HTTPError) as unsigned:
        urllib.request.urlopen(urllib.request.Request(url, data=b"x", method="PUT"))
    assert unsigned.value.code == 403


def test_strangers_lock_nothing_and_hold_no_memory(gateway):
    s3, clinic = gateway.client(), gateway.client("CLINIC", SECRET_KEY)
    name = {"Bucket": "media-strangers"}
    s3.create_bucket(**name, ObjectLockEnabledForBucket=True)
    account = {"AWS": "arn:aws:iam::clinic:root"}
    s3.put_bucket_policy(**name, Policy=statement("media-strangers", "s3:PutObject", principal=account))
    record = {"Key": KEY, "Body": b"x", "Metadata": {"domicile-residence": "PK"}}
    assert code(clinic.put_object, **name, **record, ObjectLockLegalHoldStatus="ON") == "AccessDenied"
    clinic.put_object(**name, **record)
    # Nobody in particular is refused before the body.
    s3.create_bucket(Bucket="media-closed")
    for bucket, wanted in [("media-closed", 403), ("nothere", 404)]:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.s3_port, timeout=10)
        connection.putrequest("POST", f"/{bucket}?delete")
        connection.putheader("Content-Length", "1000000")
        connection.endheaders(b"<Delete>")
        assert connection.getresponse().status == wanted
        connection.close()


def test_policies_that_take_long_to_ask_are_refused(gateway):
    s3, name = filled(gateway, "media-costly"), {"Bucket": "media-costly"}
    agent = {"StringLike": {"aws:UserAgent": "*" + "?" * 1000 + "x*"}}
    assert code(s3.put_bucket_policy, **name, Policy=statement("media-costly", "s3:GetObject", "Deny", **agent)) == "MalformedPolicy"
    # A value that is too long to be compared is denied.
    agent = {"StringLike": {"aws:UserAgent": "robot*"}}
    s3.put_bucket_policy(**name, Policy=statement("media-costly", "s3:GetObject", "Deny", **agent))
    assert s3.get_object(**name, Key=KEY)["Body"].read() == b"salaam"
    assert code(gateway.client(user_agent="a" * 5000).get_object, **name, Key=KEY) == "AccessDenied"


def test_nothing_that_a_stranger_can_say_makes_a_policy_private(gateway):
    s3, name = filled(gateway, "media-said"), {"Bucket": "media-said"}
    for said in [
        {"StringEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "k"}},
        {"StringLike": {"aws:UserAgent": "robot"}},
        {"StringEquals": {"s3:prefix": ""}},
    ]:
        assert code(s3.put_bucket_policy, **name, Policy=statement("media-said", "s3:*", **said)) == "AccessDenied"
    for account in ({"aws:PrincipalAccount": "anonymous"}, {"aws:userid": "anonymous"}):
        s3.put_bucket_policy(**name, Policy=statement("media-said", "s3:*", StringEquals=account))
        assert code(anonymous(gateway).get_object, **name, Key=KEY) == "AccessDenied"
