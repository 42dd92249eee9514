"""A gateway of two countries, one of whose keys somebody else than the keyring holds."""

import contextlib
import time

from botocore.exceptions import ClientError

from gateway import FsSite, Gateway

PEOPLE = {"PK": "amna", "SG": "wei"}
# A second is what is promised; the rest is for a busy machine.
AT_ONCE = 1.0 + 0.5


class World:
    """`country` has its key where `table` says, the other one in the keyring."""

    def __init__(self, folder, country, table):
        self.country, self.other = country, next(one for one in PEOPLE if one != country)
        sites = [FsSite("pk-khi", "PK", folder / "pk-khi"), FsSite("sg-sin", "SG", folder / "sg-sin")]
        self.gateway = Gateway(folder / "gateway", sites, keys={country: table})

    def put(self, key, country, who=None, body=b"secret"):
        metadata = {"domicile-subject": who or PEOPLE[country], "domicile-residence": country}
        self.gateway.client().put_object(Bucket="media", Key=key, Body=body, Metadata=metadata)

    def get(self, key):
        return self.gateway.client().get_object(Bucket="media", Key=key)["Body"].read()

    def refusal(self, work, *arguments):
        """Status and code of what must fail; none where it succeeds."""
        try:
            work(*arguments)
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        return None

    def key(self):
        return next(key for key in self.gateway.admin("GET", "/v1/keys")[1]["keys"] if key["country"] == self.country)

    def states(self):
        return {version["id"]: version["state"] for version in self.key()["versions"]}

    def is_up(self):
        _, ready = self.gateway.admin("GET", "/readyz")
        return next(part for part in ready["components"] if part["name"] == f"key:{self.country.lower()}")["up"]

    def wait(self, up, seconds):
        deadline = time.monotonic() + seconds
        while self.is_up() != up:
            assert time.monotonic() < deadline, self.gateway.log()[-4000:]
            time.sleep(0.05)

    def is_stopped_alone(self):
        """The country takes nothing new, and the other one does not notice."""
        assert self.refusal(self.put, f"new-{time.monotonic_ns()}", self.country, "nobody-yet") == (503, "ResidencyUnavailable")
        began = time.monotonic()
        assert self.get(self.other.lower()) == b"secret"
        self.put(f"other-{time.monotonic_ns()}", self.other, f"person-{time.monotonic_ns()}")
        assert time.monotonic() - began < AT_ONCE

    def restart(self):
        self.gateway.stop()
        self.gateway.start()


@contextlib.contextmanager
def serving(folder, country, table):
    world = World(folder, country, table)
    try:
        world.gateway.start()
        world.gateway.client().create_bucket(Bucket="media")
        for one in PEOPLE:
            world.put(one.lower(), one)
        yield world
    finally:
        world.gateway.stop()
