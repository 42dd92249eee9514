"""Those who vouch for a ledger's checkpoints: a witness (C2SP tlog-witness) and a time-stamping authority (RFC 3161), on loopback.

The witness is written from the specification, with another library's Ed25519; the authority is OpenSSL's.
"""

import base64
import hashlib
import http.server
import struct
import subprocess
import threading

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def consistent(old, old_root, new, new_root, proof):
    """RFC 9162 section 2.1.4.2."""
    if old == 0:
        return not proof
    if old == new:
        return not proof and old_root == new_root
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = path.pop(0)
    for hash in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            first, second = node(hash, first), node(hash, second)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node(second, hash)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and (first, second) == (old_root, new_root)


class Served:
    """Answers POSTs with `answer(path, body)`: status, kind, bytes."""

    def __init__(self):
        served = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, kind, data = served.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Witness(Served):
    """Remembers the last tree of one log and cosigns what continues it."""

    def __init__(self, name):
        self.name, self.size, self.root, self.refused = name, 0, b"", 0
        self.key = Ed25519PrivateKey.generate()
        public = self.key.public_key().public_bytes_raw()
        self.id = hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
        material = base64.b64encode(b"\x04" + public).decode()
        self.vkey = f"{name}+{self.id.hex()}+{material}"
        super().__init__()

    def answer(self, path, body):
        assert path == "/add-checkpoint"
        head, note = body.decode().split("\n\n", 1)
        old, *proof = head.split("\n")
        old = int(old.removeprefix("old "))
        text = note.split("\n\n")[0] + "\n"
        _, size, root = text.split("\n")[:3]
        size, root = int(size), base64.b64decode(root)
        if old != self.size:
            return 409, "text/x.tlog.size", f"{self.size}\n".encode()
        if not consistent(old, self.root, size, root, [base64.b64decode(hash) for hash in proof]):
            self.refused += 1
            return 422, "text/plain", b""
        self.size, self.root = size, root
        time = 1_790_000_000
        signature = self.key.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
        signature = base64.b64encode(self.id + struct.pack(">Q", time) + signature).decode()
        return 200, "text/plain", f"— {self.name} {signature}\n".encode()


CONFIG = """
[tsa]
default_tsa = it
[it]
dir = {folder}
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


class TimeStamps(Served):
    """`openssl ts`."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.certificate = folder / "tsa.pem"
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=tsa",
            "-addext", "extendedKeyUsage=critical,timeStamping", "-keyout", folder / "tsa.key", "-out", self.certificate,
        )  # fmt: skip
        self.lock = threading.Lock()
        super().__init__()

    def _openssl(self, *arguments, check=True):
        return subprocess.run(["openssl", *map(str, arguments)], check=check, capture_output=True, text=True)

    def answer(self, _, body):
        with self.lock:
            (self.folder / "query").write_bytes(body)
            self._openssl(
                "ts", "-reply", "-config", self.folder / "tsa.cnf", "-queryfile", self.folder / "query", "-out", self.folder / "reply"
            )
            return 200, "application/timestamp-reply", (self.folder / "reply").read_bytes()

    def verify(self, text, answer):
        """Whether a stored answer is this authority's word on `text`."""
        (self.folder / "text").write_bytes(text)
        done = self._openssl(
            "ts", "-verify", "-data", self.folder / "text", "-in", answer, "-CAfile", self.certificate, check=False
        )
        return done.returncode == 0
