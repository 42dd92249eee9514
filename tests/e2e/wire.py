"""Requests written by hand: what no well-behaved client would send, and streams that no SDK would take."""

import datetime
import hashlib
import hmac
import http.client
import re
import socket
import urllib.parse

from gateway import ACCESS_KEY, SECRET_KEY

EMPTY = hashlib.sha256(b"").hexdigest()


def sign(gateway, method, path, headers=None, payload="UNSIGNED-PAYLOAD", key=ACCESS_KEY, secret=SECRET_KEY, at=None):
    """Headers of a request signed with AWS Signature Version 4. `path` stands as it goes over the wire, query and all."""
    at = at or datetime.datetime.now(datetime.timezone.utc)
    stamp, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    path, _, query = path.partition("?")
    fields = urllib.parse.parse_qsl(query, keep_blank_values=True)
    encoded = sorted((urllib.parse.quote(n, safe="-_.~"), urllib.parse.quote(v, safe="-_.~")) for n, v in fields)
    signed = {
        "host": f"127.0.0.1:{gateway.s3_port}",
        "x-amz-date": stamp,
        "x-amz-content-sha256": payload,
        **{name.lower(): value for name, value in (headers or {}).items() if name.lower() != "content-length"},
    }
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        [method, urllib.parse.quote(urllib.parse.unquote_to_bytes(path), safe="/-_.~"), "&".join(f"{n}={v}" for n, v in encoded)]
        + [f"{name}:{' '.join(str(signed[name]).split())}" for name in sorted(signed)]
        + ["", names, payload]
    )
    scope = f"{day}/us-east-1/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    derived = f"AWS4{secret}".encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        derived = hmac.digest(derived, part.encode(), "sha256")
    signature = hmac.digest(derived, text.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**(headers or {}), **{n: signed[n] for n in ("host", "x-amz-date", "x-amz-content-sha256")}, "authorization": credential}


def head(method, path, headers):
    """The bytes of a request up to its body."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def code(self):
        """The `Code` of S3's error document."""
        found = re.search(rb"<Code>([^<]*)</Code>", self.body)
        return found.group(1).decode() if found else None

    def __repr__(self):
        return f"{self.status} {self.code} {self.body[:300]!r}"


def connect(gateway, timeout=60):
    return socket.create_connection(("127.0.0.1", gateway.s3_port), timeout=timeout)


def read_answer(connection, method="GET"):
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return Answer(response)


def send_raw(gateway, data, finish=False):
    """Sends bytes as they are. `finish` says that no more will come."""
    with connect(gateway) as connection:
        connection.sendall(data)
        if finish:
            connection.shutdown(socket.SHUT_WR)
        return read_answer(connection)


def request(gateway, method, path, body=b"", headers=None, **signing):
    """One signed request. A body that breaks off raises `http.client.IncompleteRead` or `OSError`."""
    headers = sign(gateway, method, path, headers, **signing)
    headers.setdefault("content-length", len(body))
    headers["connection"] = "close"
    with connect(gateway) as connection:
        try:
            connection.sendall(head(method, path, headers) + body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before the body was read; the answer is there
        return read_answer(connection, method)
