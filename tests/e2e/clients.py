"""What the tests of the clients share: their data, and how a client's program is found and run."""

import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import sys

import pytest

from gateway import TARGET

SMALL = random.Random(1).randbytes(100_000)
LARGE = random.Random(2).randbytes(64 << 20)
METADATA = {"domicile-subject": "amna", "domicile-residence": "PK"}

# Clients that bring an SDK older than the newest, or none of Python: see ./test.
CLIENTS = pathlib.Path(os.environ.get("DOMICILE_TEST_CLIENTS", TARGET / "clients"))


def program(name, *folders):
    """The program of that name beside this Python, in one of the folders, or on the path."""
    places = [pathlib.Path(sys.executable).parent, *folders]
    found = next((str(place / name) for place in places if (place / name).exists()), None) or shutil.which(name)
    if not found:
        pytest.fail(f"`{name}` is not installed; ./test installs it")
    return found


def run(command, env, **options):
    done = subprocess.run(command, env=env, capture_output=True, timeout=options.pop("timeout", 300), **options)
    assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr).decode(errors='replace')[-3000:]}"
    return done.stdout


def sha(data):
    return hashlib.sha256(data).hexdigest()


def tree(folder):
    """Name and bytes of every file under the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
