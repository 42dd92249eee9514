"""A country's key at AWS KMS, as moto plays it. It enforces the context and the keys' tags; the states of keys the gateway looks at itself."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from gateway import ROOT
from held_keys import serving
from moto import ACCESS_KEY, SECRET_KEY, Moto, program

REGION = "ap-southeast-1"

pytestmark = pytest.mark.skipif(program() is None, reason="moto is not there")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    command = [sys.executable, ROOT / "tests/e2e/servers/moto_kms.py"]
    running = Moto(tmp_path_factory.mktemp("moto-kms"), command)
    yield running
    running.go_on()
    running.stop()


def make_key(server, name, key="sg", **settings):
    """As an operator makes it: a key with its tags, and the alias."""
    kms = server.kms(REGION)
    tags = {"domicile-key": key, "domicile-country": "SG", "domicile-version": "1"}
    # What KMS takes for granted, and moto does not.
    settings = {"KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", **settings}
    made = kms.create_key(Tags=[{"TagKey": tag, "TagValue": value} for tag, value in tags.items()], **settings)
    kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=made["KeyMetadata"]["KeyId"])
    return made["KeyMetadata"]["KeyId"]


def table(server, name, folder, region=REGION):
    secret = pathlib.Path(folder) / "kms.secret"
    secret.write_text(SECRET_KEY)
    return (
        f'provider = "aws-kms"\nregion = "{region}"\nalias = "{name}"\nendpoint = "{server.endpoint}"\n'
        f'access-key-id = "{ACCESS_KEY}"\nsecret-file = "{secret}"\n'
    )


@pytest.fixture
def world(tmp_path, server):
    name = tmp_path.name.replace("_", "-")
    first = make_key(server, name)
    with serving(tmp_path, "SG", table(server, name, tmp_path)) as running:
        running.kms, running.first, running.alias = server.kms(REGION), first, f"alias/{name}"
        yield running


def test_the_provider_conforms(server):
    make_key(server, "conformance")
    settings = {
        "ENDPOINT": server.endpoint,
        "ALIAS": "alias/conformance",
        "ACCESS_KEY_ID": server.access_key,
        "SECRET_ACCESS_KEY": server.secret_key,
    }
    done = subprocess.run(
        ["cargo", "test", "--quiet", "--all-features", "--lib", "kms::aws::tests::conforms_before_a_service"],
        cwd=ROOT,
        env={**os.environ, **{f"DOMICILE_TEST_KMS_{name}": value for name, value in settings.items()}},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_key_is_renewed_and_its_old_version_destroyed_at_kms(world):
    world.restart()
    assert world.get("sg") == b"secret" and world.get("pk") == b"secret"
    done = world.gateway.cli("keys", "rotate", "sg", "--destroy-old")
    assert "destroying: 1" in done.stdout, done
    assert world.states() == {"2": "primary", "1": "destroying"}
    facts = world.kms.describe_key(KeyId=world.first)["KeyMetadata"]
    assert facts["KeyState"] == "PendingDeletion", "seven days are the least that KMS waits"
    second = world.kms.describe_key(KeyId=world.alias)["KeyMetadata"]["KeyId"]
    tags = {tag["TagKey"]: tag["TagValue"] for tag in world.kms.list_resource_tags(KeyId=second)["Tags"]}
    assert tags["domicile-version"] == "2" and tags["domicile-earlier-1"].split()[0] == world.first, tags
    world.restart()
    assert world.get("sg") == b"secret" and world.states() == {"2": "primary", "1": "destroying"}


def test_an_erasure_is_pending_while_kms_could_still_keep_the_key(world):
    world.put("sg-other", "SG", "mei")
    done = world.gateway.cli("--json", "subject", "erase", "mei", "--yes", "--now", check=False)
    erasure = json.loads(done.stdout)
    deadline = time.monotonic() + 30
    while world.states().get("1") != "destroying":
        assert time.monotonic() < deadline, world.gateway.log()[-4000:]
        time.sleep(0.1)
    found = world.gateway.admin("GET", f"/v1/erasures/{erasure['id']}")[1]
    assert (found["state"], found["step"]) == ("pending", "keys"), found
    assert world.refusal(world.get, "sg-other")[0] == 404
    assert world.get("sg") == b"secret"
    # Somebody brings the key back: the order is given again.
    world.kms.cancel_key_deletion(KeyId=world.first)
    world.restart()
    deadline = time.monotonic() + 30
    while world.kms.describe_key(KeyId=world.first)["KeyMetadata"]["KeyState"] != "PendingDeletion":
        assert time.monotonic() < deadline, world.gateway.log()[-4000:]
        time.sleep(0.1)
    assert world.gateway.admin("GET", f"/v1/erasures/{erasure['id']}")[1]["state"] == "pending"


def test_an_erasure_is_complete_when_kms_has_deleted_the_key_and_not_before(world, server):
    world.put("sg-other", "SG", "mei")
    sites = world.gateway.folder.parent / "sg-sin"
    shutil.copytree(sites, sites.with_name("copy-of-before"))
    erasure = json.loads(world.gateway.cli("--json", "subject", "erase", "mei", "--yes", "--now", check=False).stdout)["id"]
    state = lambda: world.gateway.admin("GET", f"/v1/erasures/{erasure}")[1]["state"]  # noqa: E731
    wait(lambda: world.states().get("1") == "destroying", world)
    world.restart()
    assert state() == "pending"
    ended = lambda: [entry for entry in world.gateway.ledger() if entry["kind"] == "erasure-complete"]  # noqa: E731
    server.process.send_signal(signal.SIGUSR1)
    # It looks each minute, and when anything is ordered.
    wait(lambda: world.states().get("1") == "destroyed", world)
    world.gateway.cli("subject", "erase", "nobody", "--yes", check=False)
    wait(lambda: state() == "complete", world)
    assert world.states() == {"2": "primary", "1": "destroyed"}
    assert world.get("sg") == b"secret" and world.refusal(world.get, "sg-other")[0] == 404
    world.restart()
    assert world.get("sg") == b"secret" and state() == "complete"
    assert [entry["erasure"] for entry in ended()] == [erasure] and "subject" not in ended()[0]
    # What was wrapped before is in the copy of the site, and KMS has nothing that opens it.
    wrapped = [path.read_bytes()[15:] for path in sites.with_name("copy-of-before").rglob("*") if path.is_file()]
    texts = [json.loads(text)["wrapped"] for text in wrapped if text.startswith(b'{"owner"') and b'"subject"' in text]
    assert len(texts) == 2, "hers and the other one's"
    for text in texts:
        version, key_id = text.split(".")[1:3]
        assert (version, key_id) == ("1", world.first)
        with pytest.raises(world.kms.exceptions.NotFoundException):
            world.kms.describe_key(KeyId=key_id)


def wait(until, world):
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline, world.gateway.log()[-4000:]
        time.sleep(0.1)


def test_a_service_that_hangs_and_a_key_that_is_disabled_stop_their_country_alone(world, server):
    for happens, put_right in [
        (server.hang, server.go_on),
        (lambda: world.kms.disable_key(KeyId=world.first), lambda: world.kms.enable_key(KeyId=world.first)),
        # moto would still decrypt with it.
        (
            lambda: world.kms.schedule_key_deletion(KeyId=world.first, PendingWindowInDays=7),
            lambda: (world.kms.cancel_key_deletion(KeyId=world.first), world.kms.enable_key(KeyId=world.first)),
        ),
    ]:
        happens()
        try:
            world.wait(up=False, seconds=3)
            world.is_stopped_alone()
        finally:
            put_right()
        world.wait(up=True, seconds=5)
        assert world.get("sg") == b"secret"
        world.put("sg-after", "SG", "somebody-new")
    # Nor does the other country need it at the start.
    server.hang()
    try:
        world.restart()
        world.is_stopped_alone()
        assert world.refusal(world.get, "sg") == (503, "ResidencyUnavailable")
    finally:
        server.go_on()
    world.wait(up=True, seconds=10)
    assert world.get("sg") == b"secret"


def test_keys_that_could_leave_their_country_keep_the_gateway_from_starting(tmp_path, server):
    wrong = [
        ("multi", {"MultiRegion": True}, "multi-region"),
        ("imported", {"Origin": "EXTERNAL"}, "imported material"),
        ("signing", {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}, "cannot wrap keys"),
        ("alien", {"key": "de"}, "the tag `domicile-key`"),
    ]
    for name, settings, says in wrong:
        make_key(server, name, **settings)
        (tmp_path / name).mkdir()
        with pytest.raises(RuntimeError, match=says), serving(tmp_path / name, "SG", table(server, name, tmp_path)):
            pass
    (tmp_path / "region").mkdir()
    elsewhere = table(server, "multi", tmp_path, region="eu-central-1")
    with pytest.raises(RuntimeError, match="is in DE, but the key is of SG"), serving(tmp_path / "region", "SG", elsewhere):
        pass
