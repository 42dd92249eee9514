"""A SeaweedFS server on loopback: the real S3 server behind the sites of the end-to-end tests."""

import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

import boto3
from botocore.config import Config

from gateway import free_ports

ACCESS_KEY = "SITETESTKEY000000001"
SECRET_KEY = "a-secret-of-the-sites-of-forty-characters"


def weed():
    beside = pathlib.Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


class Seaweed:
    access_key, secret_key = ACCESS_KEY, SECRET_KEY

    def __init__(self, folder, certificate=None, domain=None):
        """With a `certificate`, and its key, also over TLS; with a `domain`, buckets are also its subdomains."""
        self.folder = pathlib.Path(folder)
        self.more = [f"-s3.domainName={domain}"] if domain else []
        # Drawn together, so that no two of them are the same.
        *self.ports, self.tls_port = free_ports(9)
        if certificate:
            cert, key = certificate
            self.more += [f"-s3.port.https={self.tls_port}", f"-s3.cert.file={cert}", f"-s3.key.file={key}"]
        (self.folder / "data").mkdir(parents=True)
        (self.folder / "s3.json").write_text(
            '{"identities":[{"name":"gateway","credentials":[{"accessKey":"%s","secretKey":"%s"}],'
            '"actions":["Admin","Read","Write","List","Tagging"]}]}' % (ACCESS_KEY, SECRET_KEY)
        )
        self.process = None
        self.start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.ports[0]}"

    def client(self):
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 10}),
        )

    def start(self):
        s3, s3_grpc, master, master_grpc, filer, filer_grpc, volume, volume_grpc = self.ports
        arguments = [
            "server", f"-dir={self.folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-master.port={master}", f"-master.port.grpc={master_grpc}",
            "-filer", f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}",
            # Each bucket takes volumes of its own: without a number, free disk space says how many there may be.
            f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", "-volume.max=5000",
            "-master.volumeSizeLimitMB=256", "-master.telemetry=false",
            "-s3", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-s3.config={self.folder}/s3.json",
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.ip.bind=127.0.0.1", *self.more,
        ]  # fmt: skip
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [weed(), "-logtostderr=true", "-v=0", *arguments],
            cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            env={**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},
        )  # fmt: skip
        log.close()
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"weed ended: {(self.folder / 'log').read_text()[-3000:]}")
            try:
                with urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=2) as answer:
                    if answer.status == 200 and self._writable():
                        return
            except OSError:
                pass
            time.sleep(0.2)
        raise RuntimeError(f"weed did not come up: {(self.folder / 'log').read_text()[-3000:]}")

    def _writable(self):
        """The filer answers before a volume can be written."""
        client = self.client()
        try:
            client.create_bucket(Bucket="ready")
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in ("BucketAlreadyExists", "BucketAlreadyOwnedByYou"):
                return False
        try:
            client.put_object(Bucket="ready", Key="probe", Body=b"x")
        except client.exceptions.ClientError:
            return False
        return True

    def raw(self):
        """Every byte of its volumes, file by file."""
        return {str(path): path.read_bytes() for path in (self.folder / "data").rglob("*") if path.is_file()}

    def stop_server(self):
        self.stop()

    def stop(self):
        """At once: asked to end, it takes longer than anybody waits for."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
