"""Subjects move to another country and back while everything of theirs is read, written and deleted, and the gateway is killed again and again."""

import json
import random
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

BUCKET = "media"
SUBJECTS = 20
WRITERS = 8
GONE = None


def content(key, generation):
    choose = random.Random(f"{key} {generation}")
    return choose.randbytes(choose.choice([0, 900, 900, 4096, 70_000]))


class Worker(threading.Thread):
    """Reads, overwrites and deletes keys that nobody else writes, and knows what each of them may hold."""

    def __init__(self, gateway, number, keys):
        super().__init__(daemon=True)
        self.gateway, self.random = gateway, random.Random(number)
        self.possible = {key: [0] for key in keys}
        self.generation, self.reads, self.writes, self.wrong = 0, 0, 0, []
        self.done = threading.Event()

    def run(self):
        client = self.gateway.client()
        keys = sorted(self.possible)
        while not self.done.is_set():
            key = self.random.choice(keys)
            roll = self.random.random()
            if roll < 0.7:
                self.read(client, key)
            else:
                self.write(client, key, GONE if roll < 0.75 else self.next())

    def next(self):
        self.generation += 1
        return self.generation

    def read(self, client, key):
        try:
            answer = client.get_object(Bucket=BUCKET, Key=key)
        except client.exceptions.NoSuchKey:
            if GONE not in self.possible[key]:
                self.wrong.append((key, "is gone"))
            return
        except ClientError as error:
            self.wrong.append((key, error.response["Error"]["Code"]))
            return
        except (BotoCoreError, HTTPClientError, OSError):
            return  # There is no gateway just now.
        try:
            body = answer["Body"].read()
        except (BotoCoreError, HTTPClientError, OSError) as error:
            # It breaks off when the gateway is killed, and only then.
            if self.gateway.is_meant_to_run:
                self.wrong.append((key, repr(error)))
            return
        self.reads += 1
        if body not in [content(key, state) for state in self.possible[key] if state is not GONE]:
            self.wrong.append((key, f"{len(body)} other bytes"))

    def write(self, client, key, state):
        self.possible[key] = [*self.possible[key], state]
        try:
            if state is GONE:
                client.delete_object(Bucket=BUCKET, Key=key)
            else:
                client.put_object(Bucket=BUCKET, Key=key, Body=content(key, state))
        except (BotoCoreError, HTTPClientError, OSError):
            return  # Killed under way, or refused since its subject is moving.
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                self.wrong.append((key, error.response["Error"]["Code"]))
            return
        self.possible[key] = [state]
        self.writes += 1


def resides(gateway, country):
    for number in range(SUBJECTS):
        body = {"attributes": {"residence": country}}
        assert gateway.admin("PUT", f"/v1/subjects/person-{number}", body)[0] == 200


def plan(gateway):
    return json.loads(gateway.cli("--json", "policy", "plan").stdout)


def records_at(gateway, site):
    """The blobs at a site that hold data of records: kind 1 in the head."""
    return [name for name, blob in gateway.sites[site].blobs().items() if blob[:8] == b"DOMICILE" and blob[10] == 1]


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.5)


def test_nothing_is_lost_left_behind_or_misread(make_gateway, full):
    gateway = make_gateway(gc_grace="1s")
    gateway.is_meant_to_run = True
    client = gateway.client()
    client.create_bucket(Bucket=BUCKET)
    resides(gateway, "PK")
    records = 10_000 if full else 600
    keys = [f"users/person-{number % SUBJECTS}/{number:05}" for number in range(records)]
    workers = [Worker(gateway, number, keys[number::WRITERS]) for number in range(WRITERS)]
    for worker in workers:
        for key in worker.possible:
            client.put_object(Bucket=BUCKET, Key=key, Body=content(key, 0))
    assert records_at(gateway, "pk-khi") and not records_at(gateway, "sg-sin")
    # When nobody writes, each moves once, and nothing is left to do.
    assert (plan(gateway)["records"]["objects"], plan(gateway)["moving"]["objects"]) == (records, 0)
    resides(gateway, "SG")
    wait_for(lambda: plan(gateway)["moving"]["objects"] == 0)
    wait_for(lambda: not records_at(gateway, "pk-khi"))
    assert len([entry for entry in gateway.ledger() if entry["kind"] == "relocated"]) == records
    for worker in workers:
        worker.start()

    try:
        for turn, (country, away, home) in enumerate(
            [("PK", "sg-sin", "pk-khi"), ("SG", "pk-khi", "sg-sin")]
        ):
            resides(gateway, country)
            for _ in range(12 if full else 3):
                time.sleep(random.Random(turn).uniform(1.5, 4))
                gateway.is_meant_to_run = False
                gateway.kill()
                gateway.start()
                gateway.is_meant_to_run = True
            wait_for(lambda: plan(gateway)["moving"]["objects"] == 0)
            wait_for(lambda: not records_at(gateway, away) or leftovers(gateway, away))
            assert records_at(gateway, home)
            assert not [worker.wrong[:3] for worker in workers if worker.wrong]
    finally:
        for worker in workers:
            worker.done.set()
        for worker in workers:
            worker.join()
    assert sum(worker.reads for worker in workers) > 100 and sum(worker.writes for worker in workers) > 50
    for worker in workers:
        for key, states in worker.possible.items():
            try:
                body = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            except client.exceptions.NoSuchKey:
                body = GONE
            assert body in [state if state is GONE else content(key, state) for state in states], key
    # Nothing is wrong at any site but what the kills left of unfinished work, and that goes when it is told to.
    wait_for(lambda: plan(gateway)["moving"]["objects"] == 0)
    gateway.cli("verify", "--repair")
    gateway.cli("verify", "--deep")
    wait_for(lambda: not records_at(gateway, "pk-khi"))
    summary = gateway.admin("GET", "/v1/summary")[1]
    assert set(summary["countries"]) == {"SG"}


def leftovers(gateway, site):
    """Whether all that is left at a site is what kills left of unfinished work."""
    job = json.loads(gateway.cli("--json", "verify", check=False).stdout)
    strays = {finding["name"] for finding in job["progress"]["listed"] if finding["class"] in ("leftover", "superseded")}
    return set(records_at(gateway, site)) <= strays
