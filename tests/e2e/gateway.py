"""Starts the real binary on loopback with a configuration of its own, and stops, kills and restarts it."""

import contextlib
import hashlib
import http.client
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = pathlib.Path(os.environ.get("DOMICILE_BINARY", TARGET / "debug/domicile"))
ACCESS_KEY = "DOMICILETESTKEY00001"
SECRET_KEY = "a-secret-for-tests-of-forty-characters-x"
KEYRING = 'provider = "keyring"\n'
TOKENS = {role: f"{role}-token-for-tests" for role in ("auditor", "policy-admin", "operator", "legal")}


def own_ports():
    """Ports for this process of the test run alone, again and again: below those that a system gives to connections on their way out, since
    what is started on a port takes it later than it was found free."""
    size, worker = 2000, int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 12000 + worker % 8 * size
    return (first + at % size for at in itertools.count(os.getpid()))


PORTS = own_ports()


def is_free(port):
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count):
    """Ports that nobody listens on; none twice in a long time."""
    return list(itertools.islice(filter(is_free, PORTS), count))


def free_port():
    return free_ports(1)[0]


def without_journal(blobs):
    return {name: data for name, data in blobs.items() if not name.startswith("j1/")}


class FsSite:
    """A site in a folder. Stopping it takes the folder away."""

    def __init__(self, name, country, folder):
        self.name, self.country, self.folder = name, country, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def config(self):
        return f'backend = "fs"\npath = "{self.folder}"\n'

    def env(self):
        return {}

    def blobs(self):
        """Name and bytes of what the site stores, read past the gateway, without the journal."""
        return without_journal(self.everything())

    def everything(self):
        """The same with the journal. What the gateway removes while it is looked at is left out."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    found[str(path.relative_to(self.folder))] = path.read_bytes()
        return found

    def raw(self):
        """Every byte that the storage behind the site holds, file by file."""
        return self.everything()

    def remove(self, name):
        (self.folder / name).unlink()

    def write(self, name, data):
        (self.folder / name).write_bytes(data)

    def stop(self):
        self.folder.rename(self.folder.with_suffix(".away"))
        self.folder.write_bytes(b"")

    def start(self):
        self.folder.unlink()
        self.folder.with_suffix(".away").rename(self.folder)


class S3Site:
    """A site in a bucket of a real S3 server. `endpoint` is another address of the server, `more` is more settings."""

    def __init__(self, name, country, server, bucket=None, endpoint=None, more=""):
        self.name, self.country, self.server, self.more = name, country, server, more
        self.bucket = bucket or f"domicile-{name}"
        self.endpoint = endpoint or server.endpoint
        self.client = server.client()
        self.client.create_bucket(Bucket=self.bucket)

    def config(self):
        return (
            f'backend = "s3"\nendpoint = "{self.endpoint}"\nregion = "us-east-1"\n'
            f'bucket = "{self.bucket}"\ncredentials-env = "{self._env_name()}"\n{self.more}'
        )

    def _env_name(self):
        return self.name.upper().replace("-", "_")

    def env(self):
        name = self._env_name()
        return {f"{name}_ACCESS_KEY_ID": self.server.access_key, f"{name}_SECRET_ACCESS_KEY": self.server.secret_key}

    def blobs(self):
        return without_journal(self.everything())

    def everything(self):
        found = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for item in page.get("Contents", []):
                found[item["Key"]] = self.client.get_object(Bucket=self.bucket, Key=item["Key"])["Body"].read()
        return found

    def raw(self):
        """Every byte that the storage behind the site holds, file by file."""
        return self.server.raw() or self.everything()

    def remove(self, name):
        self.client.delete_object(Bucket=self.bucket, Key=name)

    def write(self, name, data):
        self.client.put_object(Bucket=self.bucket, Key=name, Body=data)

    def stop(self):
        self.server.stop_server()

    def start(self):
        self.server.start()


class Gateway:
    """One `domicile serve` over the given sites.

    `s3` and `admin` are more lines of those tables, `extra` is more tables; `launcher` is a command that runs the binary. `keys` is, for each
    country, what its key's table says of its provider: a keyring where it says nothing.
    """

    def __init__(self, folder, sites, memory="256MiB", s3="", admin="", extra="", policies=None, gc_grace="1h", keys=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sites = {site.name: site for site in sites}
        self.s3_port, self.admin_port = free_ports(2)
        self.process = None
        self.launcher = []
        (self.folder / "secret").write_text(SECRET_KEY)
        os.chmod(self.folder / "secret", 0o600)
        countries = sorted({site.country for site in sites})
        keys = "".join(
            f'[[key]]\nid = "{country.lower()}"\ncountry = "{country}"\n{(keys or {}).get(country) or KEYRING}'
            for country in countries
        )
        site_tables = "".join(
            f'[[site]]\nid = "{site.name}"\ncountry = "{site.country}"\nkey = "{site.country.lower()}"\n{site.config()}'
            for site in sites
        )
        tokens = ""
        for role, token in TOKENS.items():
            path = self.folder / f"{role}.hash"
            path.write_text(hashlib.sha256(token.encode()).hexdigest())
            os.chmod(path, 0o600)
            tokens += f'[[token]]\nid = "{role}-1"\nrole = "{role}"\nhash-file = "{path}"\n'
        self.config_file = self.folder / "domicile.toml"
        self.config_file.write_text(
            f"""version = 1
data-dir = "{self.folder}/data"
policies = "{policies or ROOT / 'policies'}"
[gateway]
country = "SG"
[limits]
memory = "{memory}"
[gc]
grace = "{gc_grace}"
[s3]
listen = "127.0.0.1:{self.s3_port}"
region = "us-east-1"
{s3}
[admin]
listen = "127.0.0.1:{self.admin_port}"
{admin}
{extra}
[index]
engine = "sled"
{keys}{site_tables}
[[principal]]
id = "tests"
access-key-id = "{ACCESS_KEY}"
secret-file = "{self.folder}/secret"
buckets = ["*"]
allow = ["read", "write", "list"]
country = "SG"
{tokens}"""
        )

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.s3_port}"

    def environment(self):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DOMICILE_"))}
        for site in self.sites.values():
            env.update(site.env())
        return env

    def start(self, wait=True, **env):
        log = open(self.folder / "gateway.log", "ab")
        self.process = subprocess.Popen(
            [*self.launcher, BINARY, "serve", "--config", self.config_file],
            env={**self.environment(), **env},
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        log.close()
        if wait:
            self.wait()
        return self

    def wait(self, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the gateway ended with {self.process.returncode}:\n{self.log()[-4000:]}")
            try:
                if self.admin("GET", "/healthz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"the gateway did not come up:\n{self.log()[-4000:]}")

    def wait_for_sites(self, seconds=60):
        """Until every site takes records: real servers answer late when the machine is busy."""
        deadline = time.monotonic() + seconds
        while not all(site["takes_records"] for site in self.admin("GET", "/v1/sites")[1]["sites"]):
            assert time.monotonic() < deadline, self.log()[-4000:]
            time.sleep(0.2)
        return self

    def log(self):
        return (self.folder / "gateway.log").read_text(errors="replace")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode if self.process else None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def peak_memory(self):
        """The most resident memory that the process ever had, in bytes."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmHWM")

    def client(self, access_key=ACCESS_KEY, secret=SECRET_KEY, **config):
        config.setdefault("retries", {"max_attempts": 0})
        config.setdefault("s3", {"addressing_style": "path"})
        config.setdefault("max_pool_connections", 64)
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            config=Config(**config),
        )

    def aws_environment(self):
        """What the AWS command line needs to reach the gateway with the tests' key pair."""
        return {
            **self.environment(),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def admin(self, method, path, body=None, role="operator"):
        """One request to the admin API: status and parsed body."""
        status, data = self.admin_raw(method, path, body, role)
        try:
            return status, json.loads(data) if data else None
        except ValueError:
            return status, data.decode(errors="replace")

    def admin_raw(self, method, path, body=None, role="operator", accept="application/json"):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=60)
        headers = {"Accept": accept, **({"Authorization": f"Bearer {TOKENS[role]}"} if role else {})}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data

    def ledger(self):
        """Every ledger entry, parsed."""
        entries = []
        while True:
            status, body = self.admin_raw("GET", f"/v1/ledger/entries?from={len(entries)}&limit=1000")
            assert status == 200, body
            page = [json.loads(line) for line in body.decode().splitlines()]
            entries += page
            if len(page) < 1000:
                return entries

    def cli(self, *arguments, role="operator", check=True):
        """Runs a command of the binary against this gateway's admin API."""
        env = self.environment()
        env["DOMICILE_ADMIN_URL"] = f"http://127.0.0.1:{self.admin_port}"
        env["DOMICILE_ADMIN_TOKEN"] = TOKENS[role]
        done = subprocess.run([BINARY, *arguments], env=env, capture_output=True, text=True, timeout=120)
        if check and done.returncode != 0:
            raise AssertionError(f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done
