"""s3fs: a file system over the bucket, with folders, random access, appending, moving and copying whole trees.

Run as `s3fs_job.py FILE FOLDER`: a large file, and a folder for what comes back.
"""

import os
import pathlib
import sys

import s3fs

ROOT = "media/users/amna/s3fs"
LARGE = pathlib.Path(sys.argv[1]).read_bytes()
SMALL = LARGE[:100_000]
HERE = pathlib.Path(sys.argv[2])

fs = s3fs.S3FileSystem(
    endpoint_url=os.environ["AWS_ENDPOINT_URL"], key=os.environ["AWS_ACCESS_KEY_ID"], secret=os.environ["AWS_SECRET_ACCESS_KEY"]
)


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


fs.pipe(f"{ROOT}/one", SMALL)
assert fs.cat(f"{ROOT}/one") == SMALL
assert fs.cat_file(f"{ROOT}/one", start=65_000, end=66_000) == SMALL[65_000:66_000]
info = fs.info(f"{ROOT}/one")
assert (info["type"], info["size"]) == ("file", len(SMALL)), info
assert fs.exists(f"{ROOT}/one") and not fs.exists(f"{ROOT}/never there")
assert fs.isdir(ROOT) and not fs.isdir(f"{ROOT}/one")
fs.touch(f"{ROOT}/empty")
assert fs.cat(f"{ROOT}/empty") == b""

# Written block by block, read here and there.
with fs.open(f"{ROOT}/large", "wb", block_size=5 << 20) as file:
    for start in range(0, len(LARGE), 1 << 20):
        file.write(LARGE[start : start + (1 << 20)])
with fs.open(f"{ROOT}/large", "rb", block_size=1 << 20) as file:
    for position in (len(LARGE) - 10, 0, (8 << 20) - 5, (5 << 20) - 5):
        file.seek(position)
        assert file.read(10) == LARGE[position : position + 10], position
    file.seek(0)
    assert file.read() == LARGE
# Appending to a large object copies it as a part on the server.
with fs.open(f"{ROOT}/large", "ab", block_size=5 << 20) as file:
    file.write(SMALL)
assert fs.cat(f"{ROOT}/large") == LARGE + SMALL
with fs.open(f"{ROOT}/lines", "w") as file:
    file.write("اردو\nEnglish\n")
with fs.open(f"{ROOT}/lines") as file:
    assert file.read().decode().splitlines() == ["اردو", "English"]

up = HERE / "up"
for name in ("a.txt", "sub/b", "sub/deep/c d + e", "sub/deep/اردو"):
    (up / name).parent.mkdir(parents=True, exist_ok=True)
    (up / name).write_bytes(name.encode() * 100)
fs.put(str(up), f"{ROOT}/tree", recursive=True)
fs.get(f"{ROOT}/tree", str(HERE / "down"), recursive=True)
assert tree(HERE / "down") == tree(up)
assert sorted(fs.find(f"{ROOT}/tree")) == sorted(f"{ROOT}/tree/{name}" for name in tree(up))
assert fs.du(f"{ROOT}/tree") == sum(map(len, tree(up).values()))
fs.copy(f"{ROOT}/tree", f"{ROOT}/tree2", recursive=True)
# A file only: with any S3, moving a tree fails at its folders, which are no objects.
fs.mv(f"{ROOT}/tree2/a.txt", f"{ROOT}/tree2/moved")
fs.invalidate_cache()
assert fs.cat(f"{ROOT}/tree2/moved") == (up / "a.txt").read_bytes()
assert fs.cat(f"{ROOT}/tree2/sub/deep/c d + e") == (up / "sub/deep/c d + e").read_bytes()
assert [path.rsplit("/", 1)[-1] for path in fs.ls(f"{ROOT}/tree2", detail=False)] == ["moved", "sub"]
assert len(fs.glob(f"{ROOT}/tree2/**/*")) >= 4

try:
    fs.cat(f"{ROOT}/never there")
except FileNotFoundError:
    pass
else:
    raise AssertionError("an object that is not there was read")
fs.rm(ROOT, recursive=True)
fs.invalidate_cache()
assert not fs.exists(ROOT)
