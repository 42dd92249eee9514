"""Killed at random times under sixteen writers, the gateway loses nothing acknowledged and shows nothing half written."""

import concurrent.futures
import random
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

WRITERS = 16
KEYS = 30
GONE = None
SIZES = [0, 1, 100, 4096, 65_480, 65_481, 200_000]


def content(key, generation, size):
    return random.Random(f"{key} {generation}").randbytes(size)


class Writer:
    """Writes, overwrites and deletes keys of its own, and keeps what each may hold."""

    def __init__(self, client, number):
        self.client, self.number = client, number
        self.random = random.Random(number)
        self.possible = {}  # key -> list of (generation, size) or GONE; one alone when it is certain
        self.generation = 0
        self.errors = []
        self.acknowledged = 0

    def run(self, stop):
        while not stop.is_set():
            key = f"users/u{self.number}/{self.random.randrange(KEYS):03}"
            before = self.possible.get(key, [GONE])
            after = GONE
            if self.random.random() < 0.9:
                self.generation += 1
                size = 9 << 20 if self.random.random() < 0.01 else self.random.choice(SIZES)
                after = (self.generation, size)
            self.possible[key] = before + [after]
            try:
                self.write(key, after)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                    self.errors.append(error)
                return
            except (BotoCoreError, HTTPClientError, OSError):
                return  # Killed under way: the outcome is unknown.
            self.possible[key] = [after]
            self.acknowledged += 1

    def write(self, key, state):
        if state is GONE:
            self.client.delete_object(Bucket="media", Key=key)
        else:
            metadata = {"domicile-residence": "PK" if self.number % 2 else "SG"}
            self.client.put_object(Bucket="media", Key=key, Body=content(key, *state), Metadata=metadata)

    def settle(self):
        """Reads every key back: it must hold one of the things that it may hold."""
        for key, states in self.possible.items():
            try:
                body = self.client.get_object(Bucket="media", Key=key)["Body"].read()
            except self.client.exceptions.NoSuchKey:
                body = GONE
            matching = [s for s in states if (body is GONE if s is GONE else body == content(key, *s))]
            held = "nothing" if body is GONE else f"{len(body)} bytes"
            assert matching, f"{key} holds {held}; possible were {states}"
            self.possible[key] = [matching[-1]]


def checkpoint(gateway):
    status, head = gateway.admin("GET", "/v1/ledger/checkpoint")
    assert status == 200
    return f"{head['size']}:{head['root']}"


def listing(client):
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="media")
    return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}


def check(gateway, writers, heads, folder):
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        for settled in [pool.submit(writer.settle) for writer in writers]:
            settled.result()
    expected = {
        key: states[0][1] for writer in writers for key, states in writer.possible.items() if states[0] is not GONE
    }
    assert listing(gateway.client()) == expected

    status, summary = gateway.admin("GET", "/v1/summary")
    assert status == 200
    assert summary["buckets"].get("media", {"objects": 0, "bytes": 0}) == counted(expected)
    for country, parity in (("PK", 1), ("SG", 0)):
        own = {key: size for key, size in expected.items() if int(key.split("/")[1][1:]) % 2 == parity}
        assert summary["countries"].get(country, {"objects": 0, "bytes": 0}) == counted(own)

    export = folder / "ledger"
    export.unlink(missing_ok=True)
    gateway.cli("ledger", "export", "--output", str(export))
    known = [argument for head in heads[-3:] for argument in ("--head", head)]
    gateway.cli("ledger", "verify", *known, str(export))


def counted(objects):
    return {"objects": len(objects), "bytes": sum(objects.values())}


def test_kill_under_writers_loses_nothing_acknowledged(gateway, full, tmp_path):
    rounds = 200 if full else 10
    moments = random.Random()
    writers = [Writer(gateway.client(connect_timeout=5, read_timeout=60), number) for number in range(WRITERS)]
    heads = []
    for _ in range(rounds):
        stop = threading.Event()
        threads = [threading.Thread(target=writer.run, args=(stop,)) for writer in writers]
        for thread in threads:
            thread.start()
        time.sleep(moments.uniform(0.1, 0.6))
        heads.append(checkpoint(gateway))
        time.sleep(moments.uniform(0.0, 0.6))
        gateway.kill()
        stop.set()
        for thread in threads:
            thread.join()
        assert [error for writer in writers for error in writer.errors] == []
        gateway.start()
        check(gateway, writers, heads, tmp_path)
    assert sum(writer.acknowledged for writer in writers) >= rounds * WRITERS, "too little was written to show anything"
    assert "panicked" not in gateway.log()


def test_kill_while_starting(gateway, tmp_path):
    """A start that is itself killed leaves an installation that starts."""
    client = gateway.client()
    body = random.Random(3).randbytes(70_000)
    client.put_object(Bucket="media", Key="users/u1/kept", Body=body, Metadata={"domicile-residence": "PK"})
    gateway.kill()
    moments = random.Random()
    for _ in range(12):
        gateway.start(wait=False)
        time.sleep(moments.uniform(0.0, 0.15))
        gateway.kill()
    gateway.start()
    assert client.get_object(Bucket="media", Key="users/u1/kept")["Body"].read() == body
    assert listing(client) == {"users/u1/kept": len(body)}
