"""More clients: each does the job of its script in jobs/, which compares what comes back with what it gave.

None of these says whose data it is: the key names the subject, and the directory knows the subject's residence.
"""

import filecmp
import random

import pytest

from clients import CLIENTS, SMALL, program, run, tree
from gateway import ROOT

JOBS = ROOT / "tests/e2e/jobs"
PYTHON = CLIENTS / "venv/bin/python"


@pytest.fixture
def people(anywhere):
    """The gateway, which knows where Amna lives."""
    status, answer = anywhere.admin("PUT", "/v1/subjects/amna", {"attributes": {"residence": "PK"}})
    assert status == 200, answer
    yield anywhere
    stored = [entry for entry in anywhere.ledger() if entry["kind"] in ("put-object", "copy-object", "complete-upload")]
    stored = [entry for entry in stored if entry["outcome"] == "ok"]
    assert stored and all(entry["countries"] == ["PK"] for entry in stored)


@pytest.fixture(scope="module")
def large(tmp_path_factory, full):
    """A file that every client sends in parts."""
    path = tmp_path_factory.mktemp("large") / "file"
    path.write_bytes(random.Random(3).randbytes(((128 if full else 16) << 20) + 12_345))
    return path


def test_sdk_for_javascript(people, large):
    node = program("node", CLIENTS / "venv/bin")
    run([node, JOBS / "sdk_js.mjs", CLIENTS, large], people.aws_environment())


def test_minio_py(people, large):
    run([PYTHON, JOBS / "minio_py.py", large], people.aws_environment())


def test_s3fs(people, large, tmp_path):
    run([PYTHON, JOBS / "s3fs_job.py", large, tmp_path], people.aws_environment())


def test_parquet_with_pyarrow_and_duckdb(people, full):
    rows = 2_000_000 if full else 200_000
    run([PYTHON, JOBS / "parquet_job.py", str(rows)], people.aws_environment())


@pytest.fixture
def s3cmd(people, tmp_path):
    host = people.endpoint.removeprefix("http://")
    access_key, secret = (people.aws_environment()[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    (tmp_path / "s3cfg").write_text(
        f"[default]\naccess_key = {access_key}\nsecret_key = {secret}\nhost_base = {host}\nhost_bucket = {host}\n"
        "use_https = False\nbucket_location = us-east-1\nmultipart_chunk_size_mb = 5\nprogress_meter = False\nmax_retries = 1\n"
    )

    def run_s3cmd(*arguments):
        command = [PYTHON, CLIENTS / "venv/bin/s3cmd", "--config=s3cfg", *arguments]
        return run(command, people.environment(), cwd=tmp_path).decode()

    return run_s3cmd


def test_s3cmd(people, s3cmd, large, tmp_path):
    here, there, remote = tmp_path / "here", tmp_path / "there", "s3://media/users/amna/s3cmd"
    there.mkdir()
    (tmp_path / "small").write_bytes(SMALL)
    s3cmd("put", "small", f"{remote}/one", "--add-header=x-amz-meta-note: plain", "--mime-type=image/x-test")
    s3cmd("get", f"{remote}/one", "back")
    assert (tmp_path / "back").read_bytes() == SMALL
    (tmp_path / "rest").write_bytes(SMALL[:65_000])
    s3cmd("get", "--continue", f"{remote}/one", "rest")
    assert (tmp_path / "rest").read_bytes() == SMALL
    s3cmd("put", str(large), f"{remote}/large")
    s3cmd("get", f"{remote}/large", "large")
    assert filecmp.cmp(large, tmp_path / "large", shallow=False)
    s3cmd("cp", f"{remote}/large", f"{remote}/large copy + more")
    s3cmd("mv", f"{remote}/large copy + more", f"{remote}/moved")
    listed = [line.split(None, 3)[2:] for line in s3cmd("ls", f"{remote}/").splitlines()]
    large_size, small_size = str(large.stat().st_size), str(len(SMALL))
    assert listed == [[large_size, f"{remote}/large"], [large_size, f"{remote}/moved"], [small_size, f"{remote}/one"]]
    assert s3cmd("du", f"{remote}/").split()[0] == str(2 * large.stat().st_size + len(SMALL))
    info = s3cmd("info", f"{remote}/one")
    assert "image/x-test" in info and "plain" in info

    for position, name in enumerate(["a.txt", "sub/b", "sub/deep/اردو نام", "sub/space and + plus & more"]):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(random.Random(position).randbytes(1000 * position + 10))
    s3cmd("sync", "here/", f"{remote}/tree/")
    s3cmd("sync", f"{remote}/tree/", "there/")
    assert tree(there) == tree(here)
    (there / "a.txt").unlink()
    (there / "sub/new").write_bytes(b"new")
    s3cmd("sync", "--delete-removed", "there/", f"{remote}/tree/")
    s3cmd("sync", "--delete-removed", f"{remote}/tree/", "here/")
    assert tree(here) == tree(there)

    s3cmd("del", "--recursive", "--force", f"{remote}/")
    assert s3cmd("ls", "--recursive", f"{remote}/") == ""
