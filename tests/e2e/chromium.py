"""The system's Chromium, driven by a script of tests/e2e/console."""

import json
import os
import shutil
import subprocess

import pytest

from clients import CLIENTS, program
from gateway import ROOT, TARGET

SCRIPTS = ROOT / "tests/e2e/console"
PACKAGES = os.environ.get("DOMICILE_TEST_CONSOLE", str(TARGET / "console"))
BINARY = shutil.which("chromium") or shutil.which("chromium-browser")

needed = pytest.mark.skipif(not BINARY, reason="Chromium is not installed and ./test could not install it")


def drive(script, order):
    """Runs the script with `order` as its one argument; what it says, parsed."""
    node = program("node", CLIENTS / "venv/bin")
    environment = {**os.environ, "DOMICILE_TEST_CONSOLE": PACKAGES, "DOMICILE_TEST_CHROMIUM": BINARY}
    done = subprocess.run([node, SCRIPTS / script, json.dumps(order)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
