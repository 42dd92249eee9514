"""A country's key in a security module, as SoftHSM 2 plays it."""

import os
import pathlib
import shutil
import subprocess

import pytest

from gateway import ROOT
from held_keys import serving

MODULES = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so"]
MODULE = next((path for path in MODULES if pathlib.Path(path).exists()), None)
PIN = "1234"

pytestmark = pytest.mark.skipif(
    not (MODULE and shutil.which("softhsm2-util") and shutil.which("pkcs11-tool")), reason="SoftHSM 2 or OpenSC is not there"
)


class Hsm:
    """Tokens in a folder of their own. Taking the folder away is taking the tokens out."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.tokens, self.config = self.folder / "tokens", self.folder / "softhsm2.conf"
        self.tokens.mkdir()
        self.config.write_text(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
        (self.folder / "pin").write_text(PIN + "\n")

    def run(self, *command):
        done = subprocess.run(command, env=self.env(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def env(self):
        return {**os.environ, "SOFTHSM2_CONF": str(self.config)}

    def tool(self, *arguments):
        return self.run("pkcs11-tool", "--module", MODULE, "--token-label", "domicile", "--login", "--pin", PIN, *arguments)

    def make(self, label="pk", *more):
        """A token, and as an operator makes it the first version of a key."""
        self.run("softhsm2-util", "--init-token", "--free", "--label", "domicile", "--so-pin", "5678", "--pin", PIN)
        self.tool("--keygen", "--key-type", "AES:32", "--label", f"{label}-v1", *(more or ["--sensitive"]))

    def table(self, label="pk"):
        return (
            f'provider = "pkcs11"\nmodule = "{MODULE}"\ntoken-label = "domicile"\nlabel = "{label}"\npin-file = "{self.folder / "pin"}"\n'
        )

    def take_out(self):
        self.tokens.rename(self.folder / "away")
        self.tokens.mkdir()

    def put_in(self):
        self.tokens.rmdir()
        (self.folder / "away").rename(self.tokens)


@pytest.fixture
def hsm(tmp_path, monkeypatch):
    (tmp_path / "hsm").mkdir()
    made = Hsm(tmp_path / "hsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.config))
    return made


@pytest.fixture
def world(tmp_path, hsm):
    hsm.make()
    with serving(tmp_path, "PK", hsm.table()) as running:
        yield running


def test_the_provider_conforms(hsm):
    done = subprocess.run(
        ["cargo", "test", "--quiet", "--all-features", "--lib", "kms::pkcs11"],
        cwd=ROOT,
        env={**hsm.env(), "DOMICILE_TEST_SOFTHSM": MODULE},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "7 passed" in done.stdout, done.stdout + done.stderr


def test_a_key_is_renewed_in_the_module_and_its_old_version_destroyed_there(world, hsm):
    for number in range(5):
        world.put(f"pk-{number}", "PK", f"person-{number}")
    world.restart()
    assert world.get("pk") == b"secret" and world.get("sg") == b"secret"
    done = world.gateway.cli("keys", "rotate", "pk", "--destroy-old")
    assert "destroyed: 1" in done.stdout, done
    assert world.states() == {"2": "primary", "1": "destroyed"}
    keys = hsm.tool("--list-objects", "--type", "secrkey")
    assert "pk-v2" in keys and "pk-v1" not in keys, keys
    world.restart()
    assert world.states() == {"2": "primary", "1": "destroyed"}
    for number in range(5):
        assert world.get(f"pk-{number}") == b"secret"
    # With nothing left that waits, an erasure is complete at once.
    erased = world.gateway.cli("subject", "erase", "person-0", "--yes", "--now", "--wait")
    assert "complete" in erased.stdout and world.states()["2"] == "destroyed", erased


def test_a_token_that_is_taken_out_stops_its_country_alone(world, hsm):
    process = world.gateway.process.pid
    hsm.take_out()
    try:
        world.wait(up=False, seconds=5)
        world.is_stopped_alone()
        world.restart()
        world.is_stopped_alone()
        assert world.refusal(world.get, "pk") == (503, "ResidencyUnavailable")
        process = world.gateway.process.pid
    finally:
        hsm.put_in()
    world.wait(up=True, seconds=30)
    assert world.get("pk") == b"secret"
    world.put("pk-after", "PK", "somebody-new")
    assert world.gateway.process.pid == process


def test_keys_that_could_leave_the_module_keep_the_gateway_from_starting(tmp_path, hsm):
    hsm.make("readable", "--extractable")
    hsm.tool("--keygen", "--key-type", "AES:16", "--label", "short-v1", "--sensitive")
    (tmp_path / "key").write_bytes(os.urandom(32))
    hsm.tool("--write-object", str(tmp_path / "key"), "--type", "secrkey", "--key-type", "AES:32", "--label", "imported-v1", "--sensitive")
    for label, says in [("readable", "must not be used"), ("short", "has not 256 bits"), ("imported", "must not be used")]:
        (tmp_path / label).mkdir()
        with pytest.raises(RuntimeError, match=says), serving(tmp_path / label, "PK", hsm.table(label)):
            pass
