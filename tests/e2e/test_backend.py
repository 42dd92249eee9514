"""The S3 backend keeps its contract on real servers."""

import os
import subprocess

import pytest

import rgw
from gateway import ROOT


@pytest.mark.parametrize("kind", ["seaweed", "rgw"])
def test_the_s3_backend_conforms(request, kind, full):
    if kind == "rgw" and not (full and rgw.installed()):
        pytest.skip("Ceph RGW is for --full, where it is installed")
    server = request.getfixturevalue(f"{kind}s")["PK"]
    server.client().create_bucket(Bucket="conformance")
    settings = {
        "ENDPOINT": server.endpoint,
        "BUCKET": "conformance",
        "REGION": "us-east-1",
        "ACCESS_KEY_ID": server.access_key,
        "SECRET_ACCESS_KEY": server.secret_key,
    }
    done = subprocess.run(
        ["cargo", "test", "--quiet", "--test", "backend_s3"],
        cwd=ROOT,
        env={**os.environ, **{f"DOMICILE_TEST_S3_{name}": value for name, value in settings.items()}},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
