"""A Ceph Object Gateway on loopback with its monitor and one store in memory."""

import os
import pathlib
import shutil
import subprocess
import time
import urllib.request
import uuid

import boto3
from botocore.config import Config

from gateway import free_port

ACCESS_KEY = "SITETESTKEY000000002"
SECRET_KEY = "a-secret-of-the-sites-of-forty-characters"
PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")


def installed():
    return all(shutil.which(program) for program in PROGRAMS)


class Rgw:
    access_key, secret_key = ACCESS_KEY, SECRET_KEY

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        for name in ("mon", "osd", "rgw", "run"):
            (self.folder / name).mkdir(parents=True)
        self.port = free_port()
        self.processes = {}
        self.config = self.folder / "ceph.conf"
        monitors = f"[v2:127.0.0.1:{free_port()},v1:127.0.0.1:{free_port()}]"
        cluster = str(uuid.uuid4())
        self.config.write_text(self._settings(cluster, monitors))
        self._form_cluster(cluster, monitors)
        self.start()

    def _settings(self, cluster, monitors):
        return f"""[global]
fsid = {cluster}
mon_host = {monitors}
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_warn = 5
mon_data_avail_crit = 1
osd_objectstore = memstore
memstore_device_bytes = {4 << 30}
run_dir = {self.folder}/run
admin_socket = {self.folder}/run/$name.asok
log_file =
log_to_stderr = true
err_to_stderr = true
[mon.a]
mon_data = {self.folder}/mon
[osd.0]
osd_data = {self.folder}/osd
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
[client.rgw]
rgw_data = {self.folder}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{self.port}
rgw_crypt_require_ssl = false
ms_mon_client_mode = crc
"""

    def _form_cluster(self, cluster, monitors):
        monmap = self.folder / "monmap"
        self._run("monmaptool", "--create", "--clobber", "--fsid", cluster, "--addv", "a", monitors, monmap)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "-c", self.config)
        self._spawn("mon", "ceph-mon", "-f", "-i", "a", "-c", self.config)
        store = str(uuid.uuid4())
        self._run("ceph", "-c", self.config, "osd", "new", store, "0")
        self._run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", store, "-c", self.config)
        self._spawn("osd", "ceph-osd", "-f", "-i", "0", "-c", self.config)
        deadline = time.monotonic() + 90
        while "1 up" not in self._run("ceph", "-c", self.config, "osd", "stat"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the store did not come up: {self.log('osd')}")
            time.sleep(0.2)
        self._run(
            "radosgw-admin", "-c", self.config, "-n", "client.rgw", "user", "create", "--uid", "gateway",
            "--display-name", "gateway", "--access-key", ACCESS_KEY, "--secret", SECRET_KEY,
        )  # fmt: skip

    def _run(self, *command):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def _spawn(self, name, *command):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ}
            )

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]

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
            config=Config(
                s3={"addressing_style": "path"},
                retries={"max_attempts": 10},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def raw(self):
        """Nothing: the store is in memory. Its objects are looked at through S3."""
        return {}

    def start(self):
        """Starts the S3 server; monitor and store run on while it is stopped, so that what it holds stays."""
        self._spawn("rgw", "radosgw", "-f", "-n", "client.rgw", "-c", self.config)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.processes["rgw"].poll() is not None:
                break
            try:
                with urllib.request.urlopen(self.endpoint, timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.2)
        raise RuntimeError(f"the S3 server did not come up: {self.log('rgw')}")

    def stop_server(self):
        self._end("rgw")

    def stop(self):
        for name in ("rgw", "osd", "mon"):
            self._end(name)

    def _end(self, name):
        process = self.processes.pop(name, None)
        if process and process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
