"""The clients that people use each do the whole job through the gateway, and get back the bytes that they gave."""

import filecmp
import hashlib
import json
import os
import random

import pytest
from boto3.s3.transfer import TransferConfig

from clients import LARGE, METADATA, SMALL, program, run, sha, tree

AWS_METADATA = ",".join(f"{name}={value}" for name, value in METADATA.items())


def test_boto3(anywhere, tmp_path):
    client = anywhere.client()
    put = client.put_object(Bucket="media", Key="boto3/one", Body=SMALL, Metadata=METADATA, ContentType="image/x-test")
    got = client.get_object(Bucket="media", Key="boto3/one")
    assert got["Body"].read() == SMALL
    assert (got["ETag"], got["ContentLength"], got["ContentType"]) == (put["ETag"], len(SMALL), "image/x-test")
    assert got["ETag"] == f'"{hashlib.md5(SMALL).hexdigest()}"'
    assert got["Metadata"] == METADATA
    assert got["ResponseMetadata"]["HTTPHeaders"]["x-domicile-country"] == "PK"

    for first, last in [(0, 0), (0, 99), (65_480, 65_600), (99_999, 99_999)]:
        part = client.get_object(Bucket="media", Key="boto3/one", Range=f"bytes={first}-{last}")
        assert part["Body"].read() == SMALL[first : last + 1]
        assert part["ContentRange"] == f"bytes {first}-{last}/{len(SMALL)}"
    assert client.get_object(Bucket="media", Key="boto3/one", Range="bytes=-7")["Body"].read() == SMALL[-7:]

    client.copy_object(Bucket="media", Key="boto3/copy", CopySource={"Bucket": "media", "Key": "boto3/one"})
    assert client.get_object(Bucket="media", Key="boto3/copy")["Body"].read() == SMALL

    source = tmp_path / "large"
    source.write_bytes(LARGE)
    config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=9 << 20, max_concurrency=4)
    client.upload_file(str(source), "media", "boto3/large", ExtraArgs={"Metadata": METADATA}, Config=config)
    large = client.get_object(Bucket="media", Key="boto3/large")
    assert large["ETag"].endswith('-8"')
    assert sha(large["Body"].read()) == sha(LARGE)
    # Over the end of a part, and over the end of an extent within one.
    for middle in (9 << 20, 8 << 20, 17 << 20):
        cut = client.get_object(Bucket="media", Key="boto3/large", Range=f"bytes={middle - 70_000}-{middle + 70_000}")
        assert cut["Body"].read() == LARGE[middle - 70_000 : middle + 70_001]

    listed = client.list_objects_v2(Bucket="media", Prefix="boto3/")["Contents"]
    expected = [("boto3/copy", len(SMALL)), ("boto3/large", len(LARGE)), ("boto3/one", len(SMALL))]
    assert [(item["Key"], item["Size"]) for item in listed] == expected
    prefixes = client.list_objects_v2(Bucket="media", Delimiter="/")["CommonPrefixes"]
    assert {"Prefix": "boto3/"} in prefixes
    assert [item["Key"] for item in client.list_objects(Bucket="media", Prefix="boto3/", MaxKeys=2)["Contents"]] == [
        "boto3/copy",
        "boto3/large",
    ]

    client.delete_object(Bucket="media", Key="boto3/one")
    rest = [{"Key": "boto3/copy"}, {"Key": "boto3/large"}, {"Key": "boto3/never-there"}]
    deleted = client.delete_objects(Bucket="media", Delete={"Objects": rest})
    assert len(deleted["Deleted"]) == 3 and "Errors" not in deleted
    assert client.list_objects_v2(Bucket="media", Prefix="boto3/")["KeyCount"] == 0
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(Bucket="media", Key="boto3/one")


def test_boto3_presigned_urls(anywhere):
    import urllib.request

    client = anywhere.client(signature_version="s3v4")
    address = {"Bucket": "media", "Key": "users/amna/presigned"}
    put = client.generate_presigned_url("put_object", {**address, "Metadata": {"domicile-residence": "PK"}})
    headers = {"x-amz-meta-domicile-residence": "PK"}
    with urllib.request.urlopen(urllib.request.Request(put, SMALL, headers, method="PUT")) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(client.generate_presigned_url("get_object", address)) as answer:
        assert answer.read() == SMALL
    client.delete_object(**address)


def test_aws_cli(anywhere, tmp_path):
    env = anywhere.aws_environment()

    def aws(*arguments):
        return run([program("aws"), *arguments], env, cwd=tmp_path)

    (tmp_path / "small").write_bytes(SMALL)
    (tmp_path / "large").write_bytes(LARGE)
    aws("s3", "cp", "--no-progress", "small", "s3://media/aws/one", "--metadata", AWS_METADATA)
    aws("s3", "cp", "--no-progress", "s3://media/aws/one", "back")
    assert (tmp_path / "back").read_bytes() == SMALL
    aws("s3api", "get-object", "--bucket", "media", "--key", "aws/one", "--range", "bytes=1000-70000", "range")
    assert (tmp_path / "range").read_bytes() == SMALL[1000:70_001]
    aws("s3", "cp", "--no-progress", "s3://media/aws/one", "s3://media/aws/copy")
    aws("s3", "cp", "--no-progress", "large", "s3://media/aws/large", "--metadata", AWS_METADATA)
    aws("s3", "cp", "--no-progress", "s3://media/aws/large", "large-back")
    assert filecmp.cmp(tmp_path / "large", tmp_path / "large-back", shallow=False)

    listing = json.loads(aws("s3api", "list-objects-v2", "--bucket", "media", "--prefix", "aws/", "--output", "json"))
    sizes = {item["Key"]: item["Size"] for item in listing["Contents"]}
    assert sizes == {"aws/one": len(SMALL), "aws/copy": len(SMALL), "aws/large": len(LARGE)}
    facts = json.loads(aws("s3api", "head-object", "--bucket", "media", "--key", "aws/large", "--output", "json"))
    assert facts["Metadata"] == METADATA and facts["ETag"].endswith('-8"')

    aws("s3", "rm", "s3://media/aws/", "--recursive")
    assert anywhere.client().list_objects_v2(Bucket="media", Prefix="aws/")["KeyCount"] == 0


@pytest.fixture
def rclone(anywhere, tmp_path):
    env = anywhere.aws_environment()
    env |= {
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_GW_TYPE": "s3",
        "RCLONE_CONFIG_GW_PROVIDER": "Other",
        "RCLONE_CONFIG_GW_ENV_AUTH": "true",
        "RCLONE_CONFIG_GW_REGION": "us-east-1",
        "RCLONE_CONFIG_GW_ENDPOINT": anywhere.endpoint,
        "RCLONE_CONFIG_GW_FORCE_PATH_STYLE": "true",
    }

    def run_rclone(*arguments):
        return run([program("rclone"), "--retries=1", *arguments], env, cwd=tmp_path)

    return run_rclone


UPLOAD = [f"--header-upload=x-amz-meta-{name}: {value}" for name, value in METADATA.items()]


def test_rclone(anywhere, rclone, tmp_path):
    (tmp_path / "small").write_bytes(SMALL)
    (tmp_path / "large").write_bytes(LARGE)
    rclone("copyto", "small", "gw:media/users/amna/rclone/one", *UPLOAD)
    assert rclone("cat", "gw:media/users/amna/rclone/one") == SMALL
    assert rclone("cat", "--offset=65000", "--count=1000", "gw:media/users/amna/rclone/one") == SMALL[65_000:66_000]
    rclone("copyto", "gw:media/users/amna/rclone/one", "gw:media/users/amna/rclone/copy")
    multipart = ["--s3-upload-cutoff=8M", "--s3-chunk-size=8M"]
    rclone("copyto", *multipart, "large", "gw:media/users/amna/rclone/large", *UPLOAD)
    rclone("copyto", "gw:media/users/amna/rclone/large", "large-back")
    assert filecmp.cmp(tmp_path / "large", tmp_path / "large-back", shallow=False)
    head = anywhere.client().head_object(Bucket="media", Key="users/amna/rclone/large")
    assert head["ETag"].endswith('-8"')

    listed = {item["Path"]: item["Size"] for item in json.loads(rclone("lsjson", "gw:media/users/amna/rclone"))}
    assert listed == {"one": len(SMALL), "copy": len(SMALL), "large": len(LARGE)}
    rclone("delete", "gw:media/users/amna/rclone")
    assert json.loads(rclone("lsjson", "gw:media/users/amna/rclone") or "[]") == []


def test_rclone_sync_both_ways(anywhere, rclone, tmp_path):
    here, there, remote = tmp_path / "here", tmp_path / "there", "gw:media/users/amna/tree"
    names = ["a.txt", "empty", "sub/b.bin", "sub/deep/c", "sub/اردو نام.txt", "sub/space and + plus & more"]
    for position, name in enumerate(names):
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "empty" else random.Random(position).randbytes(1000 * position + 10))
    rclone("sync", "here", remote, *UPLOAD)
    rclone("check", "here", remote)

    # Nothing to do the second time: sizes, sums and times are those that rclone knows.
    before = [entry for entry in anywhere.ledger() if entry["kind"] == "put-object"]
    rclone("sync", "here", remote, *UPLOAD)
    assert [entry for entry in anywhere.ledger() if entry["kind"] == "put-object"] == before

    (here / "sub/b.bin").write_bytes(b"changed")
    (here / "a.txt").unlink()
    rclone("sync", "here", remote, *UPLOAD)
    rclone("sync", remote, "there")
    assert tree(there) == tree(here)

    # And the other way round: what changed there arrives here.
    (there / "sub/deep/c").write_bytes(b"changed there")
    (there / "sub/new").write_bytes(b"new")
    (there / "empty").unlink()
    rclone("sync", "there", remote, *UPLOAD)
    rclone("sync", remote, "here")
    assert tree(here) == tree(there)
    rclone("check", "--download", "here", remote)
    rclone("purge", remote)


def test_rclone_sync_of_a_large_tree(anywhere, rclone, tmp_path, full):
    """Thousands of small files and some that go in parts, several at a time."""
    count, size = (2000, 96 << 20) if full else (200, 9 << 20)
    here, there, remote = tmp_path / "here", tmp_path / "there", "gw:media/users/amna/large-tree"
    for position in range(count):
        path = here / f"{position % 17}/{position % 5}/file {position}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(position).randbytes(position * 37 % 5000))
    for position in range(3):
        (here / f"in parts {position}").write_bytes(random.Random(position).randbytes(size + position))
    several = ["--transfers=8", "--s3-upload-cutoff=8M", "--s3-chunk-size=5M"]
    rclone("sync", "here", remote, *several, *UPLOAD)
    rclone("sync", remote, "there", *several)
    assert {name: sha(data) for name, data in tree(there).items()} == {name: sha(data) for name, data in tree(here).items()}
    rclone("purge", remote)
