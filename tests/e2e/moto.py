"""A moto server on loopback: it knows every bucket setting of AWS. It checks no signature and keeps everything in memory."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import boto3
from botocore.config import Config

from gateway import free_port

ACCESS_KEY = "SITETESTKEY000000003"
SECRET_KEY = "a-secret-of-the-sites-of-forty-characters"


def program():
    beside = pathlib.Path(sys.executable).with_name("moto_server")
    return str(beside) if beside.exists() else shutil.which("moto_server")


class Moto:
    access_key, secret_key = ACCESS_KEY, SECRET_KEY

    def __init__(self, folder, command=None):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        with open(self.folder / "log", "ab") as log:
            environment = {**os.environ, "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
            self.process = subprocess.Popen(
                [*(command or [program()]), "-H", "127.0.0.1", "-p", str(self.port)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment,
            )  # fmt: skip
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.endpoint}/moto-api/", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"moto did not come up: {(self.folder / 'log').read_text()[-3000:]}")

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def client(self):
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}),
        )

    def kms(self, region):
        return boto3.client(
            "kms",
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def raw(self):
        """Nothing: it keeps all in memory. Its objects are looked at through S3."""
        return {}

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
