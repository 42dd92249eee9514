"""Versions, tags and object lock as boto3 uses them; noncurrent versions stay in the country of their record."""

import datetime

import boto3
import pytest
from botocore.exceptions import ClientError

from conftest import fs_sites
from gateway import Gateway

KEY = "users/ayesha/letter"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions")
    gateway = Gateway(folder / "gateway", fs_sites(folder / "sites")).start()
    yield gateway
    gateway.stop()


def code(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"]


def put(s3, bucket, body, **more):
    return s3.put_object(Bucket=bucket, Key=KEY, Body=body, Metadata={"domicile-residence": "PK"}, **more)


def read(s3, bucket, **more):
    return s3.get_object(Bucket=bucket, Key=KEY, **more)["Body"].read()


def test_versions_are_kept_listed_and_restored(gateway):
    s3, bucket = gateway.client(), "media-versions"
    s3.create_bucket(Bucket=bucket)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    put(s3, bucket, b"before versioning")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    first = put(s3, bucket, b"first")["VersionId"]
    second = put(s3, bucket, b"second" * 3_000_000)["VersionId"]
    assert read(s3, bucket) == b"second" * 3_000_000
    assert read(s3, bucket, VersionId=first) == b"first"
    assert read(s3, bucket, VersionId="null") == b"before versioning"

    deleted = s3.delete_object(Bucket=bucket, Key=KEY)
    assert deleted["DeleteMarker"] and deleted["VersionId"] not in (first, second)
    assert code(s3.get_object, Bucket=bucket, Key=KEY) == "NoSuchKey"
    assert code(s3.get_object, Bucket=bucket, Key=KEY, VersionId=deleted["VersionId"]) == "MethodNotAllowed"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert code(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"

    page = s3.list_object_versions(Bucket=bucket)
    assert [version["VersionId"] for version in page["Versions"]] == [second, first, "null"]
    assert page["DeleteMarkers"][0]["IsLatest"] and not any(version["IsLatest"] for version in page["Versions"])
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    assert [version["VersionId"] for page in pages for version in page.get("Versions", [])] == [second, first, "null"]

    # Every version is where its record must be, and the auditor sees each.
    status, story = gateway.admin("GET", f"/v1/record?bucket={bucket}&key={KEY}")
    assert status == 200 and [version["version"] for version in story["versions"]] == [second, first, "null"]
    assert {copy["country"] for version in story["versions"] for copy in version["copies"]} == {"PK"}

    s3.delete_object(Bucket=bucket, Key=KEY, VersionId=deleted["VersionId"])
    assert read(s3, bucket) == b"second" * 3_000_000
    s3.delete_object(Bucket=bucket, Key=KEY, VersionId=second)
    assert read(s3, bucket) == b"first"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    put(s3, bucket, b"suspended")
    assert read(s3, bucket, VersionId="null") == b"suspended"
    assert read(s3, bucket, VersionId=first) == b"first"
    boto3.resource("s3", **gateway_arguments(s3)).Bucket(bucket).object_versions.delete()
    s3.delete_bucket(Bucket=bucket)


def gateway_arguments(s3):
    credentials = s3._request_signer._credentials
    return {
        "endpoint_url": s3.meta.endpoint_url,
        "region_name": s3.meta.region_name,
        "aws_access_key_id": credentials.access_key,
        "aws_secret_access_key": credentials.secret_key,
    }


def test_tags_change_unless_they_would_move_the_record(gateway):
    s3, bucket = gateway.client(), "media-tags"
    s3.create_bucket(Bucket=bucket)
    put(s3, bucket, b"x", Tagging="colour=red")
    tags = lambda: s3.get_object_tagging(Bucket=bucket, Key=KEY)["TagSet"]
    assert tags() == [{"Key": "colour", "Value": "red"}]
    s3.put_object_tagging(Bucket=bucket, Key=KEY, Tagging={"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]})
    assert tags() == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    other = {"TagSet": [{"Key": "residence", "Value": "SG"}]}
    assert code(s3.put_object_tagging, Bucket=bucket, Key=KEY, Tagging=other) == "ResidencyConflict"
    other = {"TagSet": [{"Key": "subject", "Value": "somebody-else"}]}
    assert code(s3.put_object_tagging, Bucket=bucket, Key=KEY, Tagging=other) == "ResidencyConflict"
    assert len(tags()) == 2
    s3.delete_object_tagging(Bucket=bucket, Key=KEY)
    assert tags() == []
    assert code(s3.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "feed"}]})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "team", "Value": "feed"}]
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_a_locked_version_stays(gateway):
    s3, bucket = gateway.client(), "media-lock"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=rule)
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == rule
    suspend = {"Status": "Suspended"}
    assert code(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=suspend) == "InvalidBucketState"
    version = put(s3, bucket, b"kept")["VersionId"]
    one = {"Bucket": bucket, "Key": KEY, "VersionId": version}
    assert s3.head_object(**one)["ObjectLockMode"] == "GOVERNANCE"
    assert code(s3.delete_object, **one) == "AccessDenied"
    many = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": KEY, "VersionId": version}]})
    assert many["Errors"][0]["Code"] == "AccessDenied"
    # A delete without a version only hides it.
    marker = s3.delete_object(Bucket=bucket, Key=KEY)["VersionId"]
    s3.delete_object(Bucket=bucket, Key=KEY, VersionId=marker)
    later = datetime.datetime(2199, 1, 1, tzinfo=datetime.timezone.utc)
    s3.put_object_retention(**one, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": later})
    assert s3.get_object_retention(**one)["Retention"]["RetainUntilDate"] == later
    sooner = {"Mode": "GOVERNANCE", "RetainUntilDate": later - datetime.timedelta(days=9)}
    assert code(s3.put_object_retention, **one, Retention=sooner) == "AccessDenied"
    s3.put_object_legal_hold(**one, LegalHold={"Status": "ON"})
    assert code(s3.delete_object, **one, BypassGovernanceRetention=True) == "AccessDenied"
    s3.put_object_legal_hold(**one, LegalHold={"Status": "OFF"})
    assert read(s3, bucket) == b"kept"
    s3.delete_object(**one, BypassGovernanceRetention=True)
    s3.delete_bucket(Bucket=bucket)
