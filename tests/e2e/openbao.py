"""OpenBao servers on loopback with a Transit key each: unsealed, sealed, stopped, killed and started again."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

from gateway import ROOT, free_ports

POLICY = (ROOT / "docs/transit-policy.hcl").read_text()


def program():
    beside = pathlib.Path(sys.executable).with_name("bao")
    return os.environ.get("DOMICILE_OPENBAO") or (str(beside) if beside.exists() else shutil.which("bao"))


class OpenBao:
    """One server. What it stores survives its death; a restarted one is sealed until it is unsealed."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "raft").mkdir(parents=True)
        self.port, cluster = free_ports(2)
        (self.folder / "bao.hcl").write_text(
            f"""storage "raft" {{
  path = "{self.folder}/raft"
  node_id = "one"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{self.port}"
  tls_disable = true
}}
api_addr = "{self.address}"
cluster_addr = "http://127.0.0.1:{cluster}"
"""
        )
        self.process = None
        self.root = None
        self.start_process()
        try:
            status, made = self.ask("POST", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
            assert status == 200, made
            self.root, self.unseal_key = made["root_token"], made["keys"][0]
            self.unseal()
            self.do("sys/mounts/transit", {"type": "transit"})
        except BaseException:
            self.stop()
            raise

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def start_process(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [program(), "server", f"-config={self.folder}/bao.hcl"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                self.ask("GET", "sys/health")
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"OpenBao did not come up: {(self.folder / 'log').read_text()[-3000:]}")

    def ask(self, method, path, body=None, token=None, namespace=None):
        """Status and parsed answer."""
        request = urllib.request.Request(
            f"{self.address}/v1/{path}", method=method, data=None if body is None else json.dumps(body).encode()
        )
        if token or self.root:
            request.add_header("X-Vault-Token", token or self.root)
        if namespace:
            request.add_header("X-Vault-Namespace", namespace)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                data = answer.read()
                return answer.status, json.loads(data) if data else None
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def do(self, path, body=None, method="POST", namespace=None):
        """What must succeed; its answer's data."""
        status, answer = self.ask(method, path, body if body is not None else {}, namespace=namespace)
        assert status in (200, 204), (path, status, answer)
        return (answer or {}).get("data") or (answer or {}).get("auth")

    def seal(self):
        self.do("sys/seal")

    def unseal(self):
        status, answer = self.ask("POST", "sys/unseal", {"key": self.unseal_key})
        assert status == 200, answer
        deadline = time.monotonic() + 60
        # Until it leads: a standby answers with another status.
        while self.ask("GET", "sys/health")[0] != 200 or self.ask("GET", "sys/mounts")[0] != 200:
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.05)

    def hang(self):
        """It keeps its connections and takes new ones, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.start_process()
        self.unseal()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()

    def make_key(self, name, **settings):
        self.do(f"transit/keys/{name}", {"type": "aes256-gcm96", "derived": True, **settings})

    def token(self, key):
        """A token that may do what the documentation says."""
        self.do(f"sys/policies/acl/{key}", {"policy": POLICY.replace("domicile-pk", key)})
        return self.do("auth/token/create", {"policies": [key], "ttl": "1h", "no_parent": True})["client_token"]
