"""Lifecycle rules through boto3, with days of a second: what is due goes, from the catalogue and from the sites."""

import datetime
import time

import pytest
from botocore.exceptions import ClientError

RESIDENCE = {"Metadata": {"domicile-residence": "PK"}}
QUICK = '[lifecycle]\ninterval = "300ms"\nday = "1s"\n'


def until(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.1)


def keys(s3, **more):
    return [item["Key"] for item in s3.list_objects_v2(Bucket="media", **more).get("Contents", [])]


def rule(**more):
    return {"ID": "quick", "Status": "Enabled", "Filter": {"Prefix": "users/old/"}, **more}


def test_rules_are_kept_shown_and_removed(gateway):
    s3 = gateway.client()
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket="media")
    rules = [rule(Expiration={"Days": 30}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 2})]
    s3.put_bucket_lifecycle_configuration(Bucket="media", LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket="media")["Rules"] == rules
    stored = s3.put_object(Bucket="media", Key="users/old/a", Body=b"x", **RESIDENCE)
    day = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=31)
    assert day.strftime("%d %b %Y 00:00:00 GMT") in stored["Expiration"] and 'rule-id="quick"' in stored["Expiration"]
    assert s3.head_object(Bucket="media", Key="users/old/a")["Expiration"] == stored["Expiration"]
    assert "Expiration" not in s3.put_object(Bucket="media", Key="users/new/a", Body=b"x", **RESIDENCE)
    moved = [rule(Transitions=[{"Days": 1, "StorageClass": "GLACIER"}])]
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.put_bucket_lifecycle_configuration(Bucket="media", LifecycleConfiguration={"Rules": moved})
    s3.delete_bucket_lifecycle(Bucket="media")
    assert "Expiration" not in s3.head_object(Bucket="media", Key="users/old/a")


def test_what_is_due_goes_and_leaves_the_sites(make_gateway):
    gateway = make_gateway(extra=QUICK, gc_grace="1s")
    s3 = gateway.client()
    s3.create_bucket(Bucket="media")
    site = gateway.sites["pk-khi"]
    for name in ("users/old/a", "users/old/b", "users/new/c"):
        s3.put_object(Bucket="media", Key=name, Body=b"x" * 4096, **RESIDENCE)
    upload = s3.create_multipart_upload(Bucket="media", Key="users/old/parts", **RESIDENCE)["UploadId"]
    s3.upload_part(Bucket="media", Key="users/old/parts", UploadId=upload, PartNumber=1, Body=b"p" * (1 << 20))
    before = len(site.blobs())
    rules = [rule(Expiration={"Days": 1}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})]
    s3.put_bucket_lifecycle_configuration(Bucket="media", LifecycleConfiguration={"Rules": rules})
    until(lambda: keys(s3) == ["users/new/c"])
    until(lambda: "Uploads" not in s3.list_multipart_uploads(Bucket="media"))
    until(lambda: len(site.blobs()) <= before - 3, seconds=60)
    assert [entry["kind"] for entry in gateway.ledger()].count("expired") == 3
    assert s3.get_object(Bucket="media", Key="users/new/c")["Body"].read() == b"x" * 4096


def test_versions_go_one_kind_after_the_other(make_gateway):
    gateway = make_gateway(extra=QUICK)
    s3 = gateway.client()
    s3.create_bucket(Bucket="media")
    s3.put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket="media", Key="users/old/a", Body=body, Tagging="keep=no", **RESIDENCE)
    s3.put_object(Bucket="media", Key="users/old/b", Body=b"3", Tagging="keep=yes", **RESIDENCE)
    tagged = {"And": {"Prefix": "users/old/", "Tags": [{"Key": "keep", "Value": "no"}]}}
    rules = [{"ID": "quick", "Status": "Enabled", "Filter": tagged, "Expiration": {"Days": 1}}]
    s3.put_bucket_lifecycle_configuration(Bucket="media", LifecycleConfiguration={"Rules": rules})
    until(lambda: keys(s3) == ["users/old/b"])
    listed = s3.list_object_versions(Bucket="media", Prefix="users/old/a")
    assert (len(listed["Versions"]), len(listed["DeleteMarkers"])) == (2, 1)
    rules = [
        rule(NoncurrentVersionExpiration={"NoncurrentDays": 1}),
        rule(ID="markers", Expiration={"ExpiredObjectDeleteMarker": True}),
    ]
    s3.put_bucket_lifecycle_configuration(Bucket="media", LifecycleConfiguration={"Rules": rules})
    until(lambda: "Versions" not in s3.list_object_versions(Bucket="media", Prefix="users/old/a"))
    until(lambda: "DeleteMarkers" not in s3.list_object_versions(Bucket="media", Prefix="users/old/a"))
    assert keys(s3) == ["users/old/b"]
