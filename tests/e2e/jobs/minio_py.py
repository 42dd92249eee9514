"""minio-py: objects, streams of unknown length, parts, composed objects, copies, listing, presigned URLs, errors.

Run as `minio_py.py FILE`; the file is what is uploaded in parts.
"""

import datetime
import io
import os
import pathlib
import sys
import urllib.request

from minio import Minio
from minio.commonconfig import ComposeSource, CopySource, Tags
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

BUCKET, PREFIX = "media", "users/amna/minio/"
LARGE = pathlib.Path(sys.argv[1]).read_bytes()
SMALL = LARGE[:100_000]

client = Minio(
    os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"),
    access_key=os.environ["AWS_ACCESS_KEY_ID"],
    secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    secure=False,
)


def read(name, **more):
    answer = client.get_object(bucket_name=BUCKET, object_name=PREFIX + name, **more)
    try:
        return answer.read()
    finally:
        answer.close()
        answer.release_conn()


def put(name, data, length=None, **more):
    length = len(data) if length is None else length
    return client.put_object(bucket_name=BUCKET, object_name=PREFIX + name, data=io.BytesIO(data), length=length, **more)


def refused(code, action):
    try:
        action()
    except S3Error as error:
        assert error.code == code, error
    else:
        raise AssertionError(f"not refused with {code}")


assert client.bucket_exists(bucket_name=BUCKET) and not client.bucket_exists(bucket_name="never-there")
assert BUCKET in [bucket.name for bucket in client.list_buckets()]

tags = Tags.new_object_tags()
tags["colour"] = "blue + green"
result = put("one", SMALL, content_type="image/x-test", metadata={"note": "plain"}, tags=tags)
stat = client.stat_object(bucket_name=BUCKET, object_name=PREFIX + "one")
assert (stat.size, stat.etag, stat.content_type) == (len(SMALL), result.etag, "image/x-test")
assert stat.metadata["x-amz-meta-note"] == "plain"
assert abs(datetime.datetime.now(datetime.timezone.utc) - stat.last_modified) < datetime.timedelta(minutes=1)
assert read("one") == SMALL
assert read("one", offset=65_000, length=1000) == SMALL[65_000:66_000]

put("empty", b"")
assert read("empty") == b""
# Nobody tells how long it is: the client sends parts until it ends.
put("stream", LARGE, length=-1, part_size=5 << 20)
assert read("stream") == LARGE
client.fput_object(bucket_name=BUCKET, object_name=PREFIX + "file", file_path=sys.argv[1], part_size=5 << 20)
assert client.stat_object(bucket_name=BUCKET, object_name=PREFIX + "file").etag.partition("-")[2]
assert read("file") == LARGE

client.copy_object(bucket_name=BUCKET, object_name=PREFIX + "copy of اردو + more", source=CopySource(bucket_name=BUCKET, object_name=PREFIX + "one"))
assert read("copy of اردو + more") == SMALL
sources = [ComposeSource(bucket_name=BUCKET, object_name=PREFIX + name) for name in ("file", "stream", "one")]
client.compose_object(bucket_name=BUCKET, object_name=PREFIX + "composed", sources=sources)
assert read("composed") == LARGE + LARGE + SMALL

for name in ("tree/a", "tree/b/c", "tree/b/d"):
    put(name, name.encode())
names = [item.object_name for item in client.list_objects(bucket_name=BUCKET, prefix=PREFIX, recursive=True)]
assert names == sorted(names) and len(names) == 9, names
level = [(item.object_name, item.is_dir) for item in client.list_objects(bucket_name=BUCKET, prefix=PREFIX + "tree/")]
assert sorted(level) == [(PREFIX + "tree/a", False), (PREFIX + "tree/b/", True)], level

address = {"bucket_name": BUCKET, "object_name": PREFIX + "presigned"}
put_url = client.presigned_put_object(**address, expires=datetime.timedelta(minutes=5))
with urllib.request.urlopen(urllib.request.Request(put_url, SMALL, method="PUT")) as answer:
    assert answer.status == 200
with urllib.request.urlopen(client.presigned_get_object(**address)) as answer:
    assert answer.read() == SMALL

refused("NoSuchKey", lambda: read("never there"))
refused("NoSuchKey", lambda: client.stat_object(bucket_name=BUCKET, object_name=PREFIX + "never there"))
refused("NoSuchBucket", lambda: list(client.list_objects(bucket_name="never-there")))

listed = client.list_objects(bucket_name=BUCKET, prefix=PREFIX, recursive=True)
errors = list(client.remove_objects(bucket_name=BUCKET, delete_object_list=[DeleteObject(item.object_name) for item in listed]))
assert not errors, errors
assert not list(client.list_objects(bucket_name=BUCKET, prefix=PREFIX, recursive=True))
