"""One gateway a worker, over two folders, with the accounts that the suite works with."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time

# What the suite expects of its surroundings and a production gateway does not have by default. A binary that doesn't know one goes without.
WANTED = {
    "default-object-ownership": '[s3]\ndefault-object-ownership = "ObjectWriter"',
    "default-public-access-block": "[s3]\ndefault-public-access-block = false",
    "post-signature-v2": "[s3]\npost-signature-v2 = true",
    "customer-keys-over-http": "[s3]\ncustomer-keys-over-http = true",
    "account": '[[principal]]\naccount = "{account}"',
    "email": '[[account]]\nid = "{account}"\nemail = "{account}@example.com"',
}

# The suite's sections and the accounts behind them. Its IAM tests don't count here, but it reads their sections before any test.
ACCOUNTS = {
    "s3 main": "main",
    "s3 alt": "alt",
    "s3 tenant": "tenant",
    "iam": "iam",
    "iam root": "root",
    "iam alt root": "altroot",
}

POLICIES = """version = 1

[subject]
from = ["metadata:domicile-subject"]

[attributes.residence]
from = ["directory", "metadata:domicile-residence"]

# The suite says of no object whose data it is: all of it is nobody's.
[no-subject]
otherwise = ["SG"]

[default]
countries = ["SG"]
"""

CONFIG = """version = 1
data-dir = "{folder}/data"
policies = "{folder}/policies"

[gateway]
country = "SG"

[log]
level = "warn"

[limits]
memory = "256MiB"

[s3]
listen = "127.0.0.1:{s3_port}"
region = "us-east-1"
{s3}
[admin]
listen = "127.0.0.1:{admin_port}"

[index]
engine = "sled"

[[key]]
id = "sg"
country = "SG"
provider = "keyring"

[[site]]
id = "sg-1"
country = "SG"
key = "sg"
backend = "fs"
path = "{folder}/sg-1"
"""

PRINCIPAL = """
[[principal]]
id = "{account}"
access-key-id = "{access_key}"
secret-file = "{folder}/secret"
buckets = ["*"]
allow = ["read", "write", "list"]
country = "SG"
{more}"""

SECRET = "a-secret-for-the-suite-of-forty-letters"


def access_key(account):
    return f"S3TESTS{account.upper():0<13}"


class Server:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.s3_port, self.admin_port = free_port(), free_port()
        (folder / "policies").mkdir(parents=True)
        (folder / "policies/gateway.toml").write_text(POLICIES)
        (folder / "sg-1").mkdir()
        (folder / "secret").write_text(SECRET)
        (folder / "secret").chmod(0o600)
        self.process = None

    def configure(self):
        """Writes the configuration with every wanted setting that the binary knows, and returns the names of the others."""
        known = [name for name in WANTED if self.accepts([name])]
        if not self.accepts(known):
            sys.exit(f"{self.binary} does not take the configuration:\n{self.check().stdout}")
        return [name for name in WANTED if name not in known]

    def accepts(self, settings):
        lines = {"[s3]": "", "[[principal]]": "", "[[account]]": ""}
        for name in settings:
            table, _, line = WANTED[name].partition("\n")
            lines[table] += f"{line}\n"
        text = CONFIG.format(folder=self.folder, s3_port=self.s3_port, admin_port=self.admin_port, s3=lines["[s3]"])
        for account in ACCOUNTS.values():
            more = lines["[[principal]]"].format(account=account)
            text += PRINCIPAL.format(folder=self.folder, account=account, access_key=access_key(account), more=more)
            known = lines["[[account]]"].format(account=account)
            text += f"\n[[account]]\n{known}" if known else ""
        (self.folder / "domicile.toml").write_text(text)
        return self.check().returncode == 0

    def check(self):
        return subprocess.run([self.binary, "serve", "--check", "--config", self.folder / "domicile.toml"], capture_output=True, text=True)

    def start(self):
        with open(self.folder / "gateway.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--config", self.folder / "domicile.toml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.write_suite_config()

    def wait(self, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5)
                connection.request("GET", "/healthz")
                if connection.getresponse().status == 200:
                    return
            time.sleep(0.05)
        sys.exit(f"the gateway did not come up:\n{(self.folder / 'gateway.log').read_text()[-3000:]}")

    def write_suite_config(self):
        lines = ["[DEFAULT]", "host = localhost", f"port = {self.s3_port}", "is_secure = False", "ssl_verify = False"]
        lines += ["[fixtures]", "bucket prefix = test-{random}-"]
        for section, account in ACCOUNTS.items():
            lines += [f"[{section}]", f"access_key = {access_key(account)}", f"secret_key = {SECRET}"]
            lines += [f"user_id = {account}", f"display_name = {account}", f"email = {account}@example.com"]
            lines += ["api_name = us-east-1"] * (section == "s3 main") + ["tenant = tenant"] * (section == "s3 tenant")
        (self.folder / "s3tests.conf").write_text("\n".join(lines) + "\n")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(binary, folder, count):
    """Gateways for `count` workers in folders named as pytest-xdist names its workers; gives the settings that they went without."""
    if not os.access(binary, os.X_OK):
        sys.exit(f"there is no gateway at {binary}: cargo build")
    servers = []
    try:
        for number in range(count):
            server = Server(binary, folder / f"gw{number}")
            servers.append(server)
            left_out = server.configure()
            server.start()
        for server in servers:
            server.wait()
        yield left_out
    finally:
        for server in servers:
            server.stop()
