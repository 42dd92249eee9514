"""A country's key is renewed and its old versions destroyed under readers and writers, and the gateway killed in the middle, again and
again: what was acknowledged is read, and in the end one version is left that opens anything."""

import json
import random
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from test_erasure import of, versions
from test_rebuild import burn, settle

WRITERS, READERS, PEOPLE = 4, 4, 12


def content(key):
    return random.Random(key).randbytes(random.Random(f"size {key}").choice([0, 10, 3000, 70_000]))


class Load:
    """Writers of keys that are written once, readers of what was acknowledged."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.acknowledged, self.errors, self.reads, self.reads_while = [], [], 0, 0
        self.stop, self.down = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(n,)) for n in range(WRITERS)]
        self.threads += [threading.Thread(target=self.read, args=(n,)) for n in range(READERS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def call(self, what, work):
        """True when it succeeded. A connection that dies is no failure, and neither is an answer while the gateway is down or coming up."""
        down = self.down.is_set()
        try:
            work()
            return True
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if not (status == 503 and (down or self.down.is_set())):
                self.errors.append((what, status, error.response["Error"]))
        except (BotoCoreError, HTTPClientError, OSError) as error:
            if not (down or self.down.is_set()):
                self.errors.append((what, repr(error)))
            time.sleep(0.05)
        return False

    def write(self, number):
        client, count = self.gateway.client(connect_timeout=5, read_timeout=60), 0
        while not self.stop.is_set():
            count += 1
            key = f"w{number}/{count}"
            body, person = content(key), f"p{(number + count) % PEOPLE}"
            if self.call(key, lambda: client.put_object(Bucket="media", Key=key, Body=body, Metadata=of(person))):
                self.acknowledged.append(key)
            time.sleep(0.01)

    def read(self, number):
        client, draw = self.gateway.client(connect_timeout=5, read_timeout=60), random.Random(number)
        while not self.stop.is_set():
            known = len(self.acknowledged)
            if not known:
                time.sleep(0.05)
                continue
            key = self.acknowledged[draw.randrange(known)]

            def look():
                found = client.get_object(Bucket="media", Key=key)["Body"].read()
                if found != content(key):
                    self.errors.append((key, "other bytes"))

            self.reads += self.call(key, look)

    def kill_and_start(self):
        self.down.set()
        self.gateway.kill()
        self.gateway.start()
        self.gateway.wait_for_sites()
        self.down.clear()


def test_keys_are_renewed_and_destroyed_under_load_and_kills(gateway, full, tmp_path):
    rounds = 60 if full else 5
    moments = random.Random()
    with Load(gateway) as load:
        time.sleep(1)
        for turn in range(rounds):
            # Ordered, not waited for: the kill comes somewhere between the new version and the last destroyed one, or after.
            status, _ = gateway.admin("POST", "/v1/keys/pk/rotate", {"destroy_old": True, "subject_keys": turn % 5 == 4})
            assert status == 200
            time.sleep(moments.choice([moments.uniform(0, 0.05), moments.uniform(0, 0.5), moments.uniform(0, 2)]))
            load.kill_and_start()
            assert not load.errors, load.errors[:5]
        before = load.reads
        done = gateway.cli("--json", "keys", "rotate", "pk", "--destroy-old")
        assert json.loads(done.stdout)["progress"]["failed"] == 0
        time.sleep(1)
        assert load.reads > before, "reads went on"
    assert not load.errors, load.errors[:5]
    assert len(load.acknowledged) > rounds * 10 and load.reads > rounds * 10, "too little happened to show anything"

    states = versions(gateway)["pk"]
    usable = [version for version, state in states.items() if state != "destroyed"]
    assert len(usable) == 1 and states[usable[0]] == "primary" and len(states) > rounds // 2, states
    keys = {key["id"]: key for key in gateway.admin("GET", "/v1/keys")[1]["keys"]}
    assert keys["pk"]["up"] and keys["pk"]["provider"] == "keyring"
    client = gateway.client()
    for key in load.acknowledged:
        assert client.get_object(Bucket="media", Key=key)["Body"].read() == content(key), key
    settle(gateway)
    # What a kill leaves behind of a write that was never answered, and nothing else; once that is removed, nothing at all.
    found = json.loads(gateway.cli("--json", "verify", "--deep", "--repair", check=False).stdout)["progress"]
    assert set(found["findings"]) <= {"leftover"} and found["unchecked"] == 0, found
    gateway.cli("verify", "--deep")
    assert "panicked" not in gateway.log()

    # Also with the sites and the keyring alone.
    gateway.stop()
    data = gateway.folder / "data"
    listed = gateway.cli(
        "--json", "unseal", "--list", "--blobs", str(gateway.folder / "sites"),
        "--keyring", str(data / "keyring.age"), "--identity", str(data / "operator.identity"),
    )  # fmt: skip
    found = {one["key"] for one in json.loads(listed.stdout)["records"] if not one["missing"]}
    assert found >= set(load.acknowledged)


def test_keys_tell_their_age_and_use(gateway):
    client = gateway.client()
    for person in range(3):
        client.put_object(Bucket="media", Key=f"p{person}/1", Body=b"x", Metadata=of(f"p{person}"))
    settle(gateway)
    gateway.cli("keys", "rotate", "pk")
    pk = next(key for key in json.loads(gateway.cli("--json", "keys", "list").stdout)["keys"] if key["id"] == "pk")
    assert [(version["state"], version["age_days"]) for version in pk["versions"]] == [("primary", 0), ("decrypt-only", 0)]
    # The site's own key is one of them.
    assert [version["wraps"] for version in pk["versions"]] == [4, 0]
    shown = gateway.cli("keys", "list").stdout
    assert "PROVIDER" in shown and "keyring" in shown and "SUBJECT KEYS" in shown


def test_a_subject_gets_a_new_key_and_the_old_one_opens_what_it_sealed(gateway):
    client = gateway.client()
    put = lambda key: client.put_object(Bucket="media", Key=key, Body=key.encode(), Metadata=of("amna"))  # noqa: E731
    put("amna/1")
    said = gateway.cli("subject", "rotate-key", "amna").stdout
    assert "1 keys have a new generation" in said
    put("amna/2")
    job = json.loads(gateway.cli("--json", "keys", "rotate", "pk", "--subject-keys", "--destroy-old").stdout)
    assert job["progress"]["subject_keys"] == 1 and job["progress"]["destroyed"] == [1], job
    put("amna/3")
    settle(gateway)
    for restart in (False, True):
        if restart:
            gateway.stop()
            gateway.start()
        for number in (1, 2, 3):
            assert client.get_object(Bucket="media", Key=f"amna/{number}")["Body"].read() == f"amna/{number}".encode()
    assert gateway.cli("subject", "rotate-key", "nobody", check=False).returncode == 1
    assert gateway.admin("POST", "/v1/subjects/amna/rotate-key", role="auditor")[0] == 403
    # All three generations are in the blobs, and an erasure destroys all.
    data = gateway.folder / "data"
    export = ["keys", "export", "--blobs", str(gateway.folder / "sites"), "--subject", "amna", "--keyring", str(data / "keyring.age")]
    export += ["--identity", str(data / "operator.identity"), "--output"]
    gateway.cli(*export, str(gateway.folder / "three.json"))
    assert len(json.loads((gateway.folder / "three.json").read_text())["keys"]) == 3
    gateway.cli("subject", "erase", "amna", "--yes", "--now", "--wait")
    assert gateway.cli(*export, str(gateway.folder / "none.json"), check=False).returncode == 1
    assert client.list_objects_v2(Bucket="media")["KeyCount"] == 0


def test_a_generation_that_the_journal_does_not_know_is_found_at_the_site(gateway):
    """The gateway dies, and its machine with it, right after a record under a new key was acknowledged and before the journal was told."""
    client, pk = gateway.client(), gateway.sites["pk-khi"]
    client.put_object(Bucket="media", Key="amna/1", Body=b"one", Metadata=of("amna"))
    settle(gateway)
    told = set(pk.everything())
    gateway.cli("subject", "rotate-key", "amna")
    client.put_object(Bucket="media", Key="amna/2", Body=b"two", Metadata=of("amna"))
    gateway.stop()
    for name in set(pk.everything()) - told:
        if name.startswith("j1/"):
            pk.remove(name)
    burn(gateway)
    done = gateway.cli("--json", "index", "rebuild", "--config", str(gateway.config_file), check=False)
    adopted = json.loads(done.stdout)["report"]["adopted"]
    assert (adopted["records"], adopted["subject-keys"], adopted["unreadable"]) == (1, 1, []), adopted
    gateway.start()
    for key, body in (("amna/1", b"one"), ("amna/2", b"two")):
        assert client.get_object(Bucket="media", Key=key)["Body"].read() == body
    client.put_object(Bucket="media", Key="amna/3", Body=b"three", Metadata=of("amna"))


def test_recipients_of_a_keyring_are_changed_while_it_is_not_in_use(gateway, tmp_path):
    gateway.client().put_object(Bucket="media", Key="amna/1", Body=b"kept", Metadata=of("amna"))
    gateway.stop()
    data = gateway.folder / "data"
    keyring, operator = data / "keyring.age", data / "operator.identity"

    def recipients(*arguments, identity=operator, check=True):
        done = gateway.cli("--json", "keys", "recipients", *arguments, "--keyring", str(keyring), "--identity", str(identity), check=check)
        return json.loads(done.stdout)["recipients"] if done.returncode == 0 else done

    new = tmp_path / "new.identity"
    old = next(one["recipient"] for one in recipients("list") if one["own"])
    assert len(recipients("add", "--generate", str(new))) == 3
    assert recipients("remove", old, check=False).returncode == 2
    left = recipients("remove", old, identity=new)
    assert len(left) == 2 and old not in {one["recipient"] for one in left}
    assert recipients("list", check=False).returncode == 2, "the old identity opens nothing"
    last = next(one["recipient"] for one in left if not one["own"])
    assert "two recipients" in recipients("remove", last, identity=new, check=False).stderr
    # The gateway goes on with the new identity.
    operator.unlink()
    new.rename(operator)
    gateway.start()
    assert gateway.client().get_object(Bucket="media", Key="amna/1")["Body"].read() == b"kept"
    # What changed the file under a running gateway is not written over by it.
    recipients("add", "--generate", str(tmp_path / "third.identity"))
    job = gateway.cli("--json", "keys", "rotate", "pk", check=False)
    assert job.returncode == 1 and "failed" in job.stdout
    assert versions(gateway)["pk"] == {"1": "primary"}
    gateway.stop()
    gateway.start()
    gateway.cli("keys", "rotate", "pk")
    assert len(recipients("list")) == 3
