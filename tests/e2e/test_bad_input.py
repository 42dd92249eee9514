"""Whatever comes in is answered with the right error, or a message that says what to do; nothing panics."""

import base64
import datetime
import hashlib
import pathlib
import random
import shutil
import subprocess
import urllib.parse

import pytest

import wire
from gateway import BINARY, ROOT

PK = {"x-amz-meta-domicile-subject": "amna", "x-amz-meta-domicile-residence": "PK"}


@pytest.fixture
def gateway(gateway):
    """Whatever a test does, the gateway is healthy after it and has not panicked."""
    yield gateway
    assert gateway.process.poll() is None
    assert gateway.admin("GET", "/healthz")[0] == 200
    assert wire.request(gateway, "PUT", "/media/after", b"fine", PK).status == 200
    assert wire.request(gateway, "GET", "/media/after").body == b"fine"
    assert "panicked" not in gateway.log()


# Configuration and policies


def serve(gateway):
    done = subprocess.run(
        [BINARY, "serve", "--config", gateway.config_file], env=gateway.environment(), capture_output=True, text=True, timeout=30
    )
    assert "panicked" not in done.stderr
    return done.returncode, done.stderr + done.stdout


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('data-dir = "', 'dota-dir = "x"\ndata-dir = "', ["dota-dir", "data-dir"]),
        ("version = 1\n", "version = 7\n", ["version"]),
        ("version = 1\n", "", ["version"]),
        ('country = "PK"', 'country = "Pakistan"', ["Pakistan"]),
        ('key = "pk"', 'key = "kp"', ["kp"]),
        ('backend = "fs"', 'backend = "ftp"', ["ftp", "fs"]),
        ('role = "auditor"', 'role = "auditer"', ["auditer", "auditor"]),
        ('allow = ["read", "write", "list"]', 'allow = ["raed"]', ["raed", "read"]),
        ('memory = "256MiB"', 'memory = "lots"', ["lots"]),
        ('listen = "127.0.0.1:', 'listen = "nowhere:', ["listen"]),
        ('engine = "sled"', 'engine = "postgres"', ["postgres", "sled"]),
        ("[gateway]", "[gateway", ["domicile.toml"]),
        ("/secret", "/no-such-secret", ["no-such-secret"]),
        ('id = "sg-sin"', 'id = "pk-khi"', ["pk-khi"]),
    ],
)
def test_a_bad_configuration_is_refused_with_its_place_and_a_hint(make_gateway, before, after, expected):
    gateway = make_gateway(start=False)
    text = gateway.config_file.read_text()
    assert before in text
    gateway.config_file.write_text(text.replace(before, after, 1))
    status, said = serve(gateway)
    assert status not in (0, None) and "domicile.toml:" in said, said
    for word in expected:
        assert word in said, said


def test_all_mistakes_are_reported_at_once(make_gateway):
    gateway = make_gateway(start=False)
    text = gateway.config_file.read_text()
    text = text.replace('country = "PK"', 'country = "XXL"').replace('engine = "sled"', 'engine = "paper"')
    gateway.config_file.write_text(text.replace("[gateway]\n", '[gateway]\nflag = "green"\n'))
    status, said = serve(gateway)
    assert status != 0
    assert all(word in said for word in ("XXL", "paper", "flag")), said


@pytest.mark.parametrize(
    ("file", "before", "after", "expected"),
    [
        ("gateway.toml", "[subject]", "[subjects]", ["subjects", "subject"]),
        ("gateway.toml", '"metadata:domicile-subject"', '"metadate:domicile-subject"', ["metadate"]),
        ("gateway.toml", 'countries = ["SG"]', 'countries = ["ZZ9"]', ["ZZ9"]),
        ("pk-cpoh-2020/policy.toml", 'copies = "only"', 'copies = "onyl"', ["onyl", "only"]),
        ("pk-cpoh-2020/policy.toml", 'enforcement = "on"', 'enforcement = "maybe"', ["maybe"]),
        ("pk-cpoh-2020/policy.toml", "effective = 2020-01-21", "effective = 2020-13-21", ["policy.toml"]),
        ("pk-cpoh-2020/policy.toml", "[require]", "[require", ["policy.toml"]),
    ],
)
def test_a_bad_policy_is_refused_and_the_old_one_stays(gateway_with_policies, file, before, after, expected):
    gateway, policies = gateway_with_policies
    revision = gateway.admin("GET", "/v1/policies")[1]["revision"]
    path = policies / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))

    checked = gateway.cli("policy", "check", str(policies), check=False)
    said = checked.stdout + checked.stderr
    assert checked.returncode == 1 and all(word in said for word in expected), said
    status, problem = gateway.admin("POST", "/v1/policies/reload")
    assert 400 <= status < 500 and all(word in str(problem) for word in expected), problem
    assert gateway.admin("GET", "/v1/policies")[1]["revision"] == revision
    assert wire.request(gateway, "PUT", "/media/key", b"x", PK).headers["x-domicile-country"] == "PK"

    gateway.stop()
    status, said = serve(gateway)
    assert status != 0 and all(word in said for word in expected), said


@pytest.fixture
def gateway_with_policies(make_gateway, tmp_path):
    policies = pathlib.Path(shutil.copytree(ROOT / "policies", tmp_path / "policies"))
    gateway = make_gateway(policies=policies)
    gateway.client().create_bucket(Bucket="media")
    return gateway, policies


# Who asks


def test_wrong_secrets_clocks_and_regions(gateway):
    now = datetime.datetime.now(datetime.timezone.utc)

    def code(path="/media/key", **signing):
        answer = wire.request(gateway, "GET", path, **signing)
        return answer.status, answer.code

    assert code(secret="wrong") == (403, "SignatureDoesNotMatch")
    assert code(key="NOBODYNOBODYNOBODY00") == (403, "InvalidAccessKeyId")
    for minutes in (-16, 16, -100_000, 100_000):
        assert code(at=now + datetime.timedelta(minutes=minutes)) == (403, "RequestTimeTooSkewed"), minutes
    assert code(at=now - datetime.timedelta(minutes=10)) == (404, "NoSuchKey")
    anonymous = wire.send_raw(gateway, wire.head("GET", "/media/key", {"host": "127.0.0.1", "connection": "close"}))
    assert (anonymous.status, anonymous.code) == (403, "AccessDenied")
    refused = {"SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestTimeTooSkewed"}
    assert refused <= {code for entry in gateway.ledger() for code in refused if code in str(entry["outcome"])}


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("AWS4-HMAC-SHA256", "AuthorizationHeaderMalformed"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=00", "AuthorizationHeaderMalformed"),
        ("AWS4-HMAC-SHA256 " + "x" * 5000, "AuthorizationHeaderMalformed"),
        ("AWS AKIDEXAMPLE:c2lnbmF0dXJl", None),
        ("Basic dXNlcjpwYXNz", None),
        ("Bearer token", None),
    ],
)
def test_malformed_authorization(gateway, authorization, code):
    headers = wire.sign(gateway, "GET", "/media/key") | {"authorization": authorization, "connection": "close"}
    answer = wire.send_raw(gateway, wire.head("GET", "/media/key", headers))
    assert answer.status in (400, 403) and answer.code is not None, answer
    assert code in (None, answer.code)


def test_a_body_other_than_the_signed_one(gateway):
    payload = hashlib.sha256(b"signed").hexdigest()
    answer = wire.request(gateway, "PUT", "/media/key", b"forged", PK, payload=payload)
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    for name, value, code in [
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==", "BadDigest"),
        ("content-md5", "not base64", "InvalidDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
    ]:
        answer = wire.request(gateway, "PUT", "/media/key", b"body", {**PK, name: value})
        assert (answer.status, answer.code) == (400, code), name
    assert wire.request(gateway, "GET", "/media/key").status == 404


# What is asked


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<Delete>",
        b"<Delete><Object></Delete>",
        b"<Delete></Delete>",
        b"<Other><Object><Key>a</Key></Object></Other>",
        b"<Delete><Object><Key>a</Key></Object></Delete><Delete/>",
        b"\xff\xfe<Delete/>",
        b"<Delete><Object><Key>\xc3\x28</Key></Object></Delete>",
        b'<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>',
        b"<Delete>" + b"<a>" * 10_000,
        b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
    ],
    ids=lambda document: document[:24].decode(errors="replace"),
)
def test_malformed_documents(gateway, document):
    digest = base64.b64encode(hashlib.md5(document).digest()).decode()
    answer = wire.request(gateway, "POST", "/media?delete=", document, {"content-md5": digest})
    assert answer.status == 400 and answer.code in ("MalformedXML", "MissingRequestBodyError"), answer
    assert b"root:" not in answer.body


def test_malformed_completions(gateway):
    client = gateway.client()
    metadata = {name.removeprefix("x-amz-meta-"): value for name, value in PK.items()}
    upload = client.create_multipart_upload(Bucket="media", Key="key", Metadata=metadata)["UploadId"]
    tag = client.upload_part(Bucket="media", Key="key", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    part = "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>"
    cases = [
        ("<CompleteMultipartUpload/>", "MalformedXML"),
        (part.format(0, tag), ("InvalidArgument", "MalformedXML", "InvalidPart")),
        (part.format(10_001, tag), ("InvalidArgument", "MalformedXML", "InvalidPart")),
        (part.format(-1, tag), "MalformedXML"),
        (part.format("one", tag), "MalformedXML"),
        (part.format(99999999999999999999, tag), "MalformedXML"),
        (part.format(2, tag), "InvalidPart"),
        (part.format(1, '"00000000000000000000000000000000"'), "InvalidPart"),
        (part.format(1, tag) + part.format(1, tag), "InvalidPartOrder"),
    ]
    for document, codes in cases:
        if not document.startswith("<Complete"):
            document = f"<CompleteMultipartUpload>{document}</CompleteMultipartUpload>"
        answer = wire.request(gateway, "POST", f"/media/key?uploadId={upload}", document.encode())
        assert answer.status == 400 and answer.code in ([codes] if isinstance(codes, str) else codes), (document, answer)
    for wrong in ("nonsense", "00", "../../etc/passwd", "%00", upload[:-1]):
        answer = wire.request(gateway, "PUT", f"/media/key?partNumber=1&uploadId={urllib.parse.quote(wrong, safe='')}", b"x")
        assert (answer.status, answer.code) == (404, "NoSuchUpload"), answer
    for number in ("0", "10001", "-1", "x", "", "4294967297"):
        answer = wire.request(gateway, "PUT", f"/media/key?partNumber={number}&uploadId={upload}", b"x")
        assert (answer.status, answer.code) == (400, "InvalidArgument"), answer


ABSURD = [
    ("range", "bytes=9-1"),
    ("range", "bytes=" + "9" * 400 + "-"),
    ("range", "lines=1-2"),
    ("range", "bytes=1-2,4-5,-"),
    ("if-modified-since", "yesterday"),
    ("if-none-match", '"' * 500),
    ("x-amz-copy-source-range", "bytes=0-" + "9" * 40),
    ("x-amz-meta-" + "n" * 500, "v"),
    ("x-amz-checksum-mode", "SOMETIMES"),
    ("accept-encoding", "gzip;q=" + "9" * 2000),
    ("expect", "the-unexpected"),
    ("content-type", "\x7f-strange"),
]


@pytest.mark.parametrize(("name", "value"), ABSURD, ids=lambda text: text[:20])
def test_absurd_headers_of_a_read(gateway, name, value):
    assert wire.request(gateway, "PUT", "/media/key", b"body", PK).status == 200
    answer = wire.request(gateway, "GET", "/media/key", headers={name: value})
    assert answer.status in (200, 206, 304, 400, 412, 416, 417), answer
    if answer.status == 200:
        assert answer.body == b"body"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"x-amz-meta-big": "v" * 2100}, 400, "MetadataTooLarge"),
        ({"x-amz-tagging": "&".join(f"k{n}=v" for n in range(11))}, 400, None),
        ({"x-amz-tagging": "k=1&k=2"}, 400, "InvalidTag"),
        ({"x-amz-tagging": "%zz=%"}, 400, None),
        ({"x-amz-storage-class": "GLACIER_ABYSS"}, 400, "InvalidStorageClass"),
        ({"x-amz-checksum-sha256": "short"}, 400, None),
        ({"if-match": '"00000000000000000000000000000000"'}, None, None),
        ({"x-amz-server-side-encryption": "rot13"}, 400, "InvalidArgument"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_absurd_headers_of_a_write(gateway, headers, status, code):
    answer = wire.request(gateway, "PUT", "/media/key", b"body", {**PK, **headers})
    assert 400 <= answer.status < 500 and status in (None, answer.status), answer
    assert answer.code is not None and code in (None, answer.code), answer
    assert wire.request(gateway, "GET", "/media/key").status == 404


def test_endless_heads_are_cut_off(gateway):
    for head in (
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"a" * 2_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(5000)) + b"\r\n",
    ):
        try:
            answer = wire.send_raw(gateway, head)
        except OSError:
            continue  # cut off while we were still sending
        assert answer.status in (400, 413, 414, 431), answer


def test_bytes_that_are_not_http(gateway):
    chosen = random.Random(5)
    for junk in [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] + [
        chosen.randbytes(300) + b"\r\n\r\n" for _ in range(30)
    ]:
        try:
            assert wire.send_raw(gateway, junk, finish=True).status >= 400
        except (OSError, wire.http.client.HTTPException):
            pass


AWKWARD = [
    "..",
    "../up",
    "a/../../b",
    "./here",
    "a/./b",
    "//",
    "/leading",
    "trailing/",
    "a//b",
    " space ",
    "plus+plus",
    "per%cent%2F",
    "question?mark&amp=1",
    "hash#tag",
    "semi;colon",
    "quote'\"`",
    "<xml>&amp;",
    "back\\slash",
    "tab\tnewline\nreturn\r",
    "nul\0byte",
    "\x01\x1f\x7f",
    "é and e\u0301",
    "\u202ertl\u202c",
    "zero\u200bwidth\u200d",
    "\ufeffbom",
    "اردو میں نام",
    "漢字/かな",
    "👩‍👩‍👧‍👦",
    "\U0010ffff\uffff",
    "ﬀ ligature ℌ",
    "k" * 1024,
    "ڈ" * 512,
]


def test_every_awkward_key_is_its_own(gateway):
    """Kept as it is, or refused; never another key's name, never a path."""
    kept = {}
    for number, key in enumerate(AWKWARD):
        path = "/media/" + urllib.parse.quote(key, safe="")
        answer = wire.request(gateway, "PUT", path, f"body {number}".encode(), PK)
        assert answer.status in (200, 400), (key, answer)
        if answer.status == 200:
            kept[key] = f"body {number}".encode()
    must_work = [key for key in AWKWARD if all(c >= " " and c != "\x7f" for c in key)]
    assert set(must_work) <= set(kept), f"refused: {set(must_work) - set(kept)}"
    for key, body in kept.items():
        assert wire.request(gateway, "GET", "/media/" + urllib.parse.quote(key, safe="")).body == body, key
    # The SDK decodes `encoding-type=url`, which it asks for by itself.
    listed = [item["Key"] for item in gateway.client().list_objects_v2(Bucket="media")["Contents"]]
    assert listed == sorted(kept, key=lambda key: key.encode())
    for key in kept:
        assert wire.request(gateway, "DELETE", "/media/" + urllib.parse.quote(key, safe="")).status == 204
    outside = [str(path) for path in gateway.folder.parent.rglob("*") if path.name in ("up", "b", "here", "leading")]
    assert outside == []


@pytest.mark.parametrize("name", ["..", "...", "a", "A" * 10, "a..b", "-ab", "ab-", "x" * 64, "1.2.3.4", "xn--a", "%2e%2e", "a%00b", "اردو"])
def test_bad_bucket_names(gateway, name):
    path = "/" + urllib.parse.quote(name, safe="%")
    answer = wire.request(gateway, "PUT", path)
    assert (answer.status, answer.code) == (400, "InvalidBucketName"), answer


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/media/%ff%fe", "InvalidURI"),
        ("/media/%zz", None),
        ("/media/" + "k" * 1025, "KeyTooLongError"),
        ("/media/key?versionId=nonsense", None),
        ("/media?max-keys=-1", "InvalidArgument"),
        ("/media?max-keys=many", "InvalidArgument"),
        ("/media?list-type=2&continuation-token=forged", "InvalidArgument"),
        ("/media?encoding-type=rot13", "InvalidArgument"),
    ],
)
def test_bad_paths_and_parameters(gateway, path, code):
    answer = wire.request(gateway, "GET", path)
    assert 400 <= answer.status < 500, answer
    assert answer.code is not None and code in (None, answer.code), answer


# Bodies


def test_missing_and_absurd_lengths(gateway):
    def put(headers, body=b""):
        signed = wire.sign(gateway, "PUT", "/media/key", PK) | {"connection": "close"} | headers
        return wire.send_raw(gateway, wire.head("PUT", "/media/key", signed) + body)

    missing = put({})
    assert missing.status == 411 and missing.code == "MissingContentLength", missing
    for absurd in ("-1", "many", "1e9", "0x10", "99999999999999999999999999"):
        assert put({"content-length": absurd}).status == 400, absurd
    both = put({"content-length": "5", "transfer-encoding": "chunked"}, b"0\r\n\r\n")
    assert 400 <= both.status < 500
    large = put({"content-length": str((5 << 30) + 1)})
    assert (large.status, large.code) == (400, "EntityTooLarge")


def test_a_body_that_breaks_off_leaves_nothing(gateway):
    headers = wire.sign(gateway, "PUT", "/media/key", PK) | {"content-length": "100000"}
    with wire.connect(gateway) as connection:
        connection.sendall(wire.head("PUT", "/media/key", headers) + b"x" * 50_000)
    assert wire.request(gateway, "GET", "/media/key").status == 404
    assert gateway.client().list_objects_v2(Bucket="media")["KeyCount"] == 0


FRAMED = {"x-amz-decoded-content-length": "5", "content-encoding": "aws-chunked", "x-amz-trailer": "x-amz-checksum-crc32"}
UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@pytest.mark.parametrize(
    ("body", "good"),
    [
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", True),
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", False),
        (b"5\r\nhello\r\n0\r\n\r\n", False),
        (b"5\r\nhello\r\n", False),
        (b"4\r\nhell\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", False),
        (b"6\r\nhello!\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", False),
        (b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n", False),
        (b"-5\r\nhello\r\n0\r\n\r\n", False),
        (b"5;" + b"x" * 100_000 + b"\r\nhello\r\n0\r\n\r\n", False),
        (b"5\r\nhelloXX0\r\n\r\n", False),
        (b"", False),
    ],
)
def test_framed_bodies(gateway, body, good):
    answer = wire.request(gateway, "PUT", "/media/key", body, {**PK, **FRAMED}, payload=UNSIGNED)
    if good:
        assert answer.status == 200, answer
        assert wire.request(gateway, "GET", "/media/key").body == b"hello"
    else:
        assert answer.status == 400 and answer.code is not None, answer
        assert wire.request(gateway, "GET", "/media/key").status == 404


def test_a_refusal_comes_before_the_body(gateway):
    """A client that waits for `100 Continue` never sends a body that will be refused."""
    headers = wire.sign(gateway, "PUT", "/media/of-nobody") | {"content-length": "1000000", "expect": "100-continue"}
    with wire.connect(gateway) as connection:
        connection.sendall(wire.head("PUT", "/media/of-nobody", headers))
        answer = wire.read_answer(connection)
    assert (answer.status, answer.code) == (403, "ResidencyUnknown")
    # And one that sends it all the same gets its answer, not a reset.
    answer = wire.request(gateway, "PUT", "/media/of-nobody", b"x" * 300_000)
    assert (answer.status, answer.code) == (403, "ResidencyUnknown")


# The admin API


def test_the_admin_api_survives_nonsense(gateway):
    cases = [
        ("PUT", "/v1/subjects/x", "not json", 415),
        ("PUT", "/v1/subjects/x", '{"attributes": {"residence": "Atlantis"}}', None),
        ("PUT", "/v1/subjects/x", '{"attributes": 7}', None),
        ("PUT", "/v1/subjects/" + "x" * 300, '{"attributes": {}}', None),
        ("PUT", "/v1/subjects/%00", '{"attributes": {}}', None),
        ("GET", "/v1/records?limit=0", None, 400),
        ("GET", "/v1/records?limit=9999999999999999999999", None, 400),
        ("GET", "/v1/records?country=Pakistan", None, 400),
        ("GET", "/v1/records?cursor=forged", None, 400),
        ("GET", "/v1/records?cursor=" + "00" * 40, None, 400),
        ("GET", "/v1/records?colour=red", None, 400),
        ("GET", "/v1/record?bucket=..&key=x", None, 400),
        ("GET", "/v1/ledger/entries?from=-1", None, 400),
        ("POST", "/v1/explain", '{"bucket": "media"}', None),
        ("POST", "/v1/subjects:import", "{}\nnot json\n", None),
        ("GET", "/v1/nowhere", None, 404),
        ("PATCH", "/v1/summary", None, 405),
    ]
    for method, path, body, status in cases:
        got, answer = gateway.admin(method, path, body)
        assert got < 500 and status in (None, got), (method, path, got, answer)
