"""Sites over TLS under an authority of one's own, and buckets named by the host: on a real server, and refused where they must be."""

import shutil
import subprocess

import pytest
from botocore.exceptions import ClientError

from authority import Authority
from gateway import FsSite, Gateway, S3Site
from seaweed import Seaweed

PK = {"domicile-subject": "amna", "domicile-residence": "PK"}
DOMAIN, BUCKET = "s3.site.test", "domicile-virtual"
BODIES = {"empty": b"", "small": b"over TLS " * 100, "large": bytes(range(256)) * 4096 * 9}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def server(tmp_path_factory, authority):
    pair = authority.issue("site", f"DNS:localhost,DNS:*.{DOMAIN}")
    running = Seaweed(tmp_path_factory.mktemp("tls-seaweed"), pair, DOMAIN)
    yield running
    running.stop()


@pytest.fixture
def gateway_over(tmp_path, server):
    """Starts a gateway whose site in Pakistan is a bucket of the server, reached over TLS with these settings."""
    running = []

    def make(bucket, more, host="localhost", launcher=()):
        site = S3Site("pk-tls", "PK", server, bucket, f"https://{host}:{server.tls_port}", more)
        gateway = Gateway(tmp_path / f"gateway-{bucket}", [site, FsSite("sg-sin", "SG", tmp_path / "sg-sin")])
        gateway.launcher = list(launcher)
        running.append(gateway)
        return gateway.start()

    yield make
    for gateway in running:
        gateway.stop()


@pytest.fixture
def resolving(tmp_path):
    """A command that runs another one where the bucket's name under the domain is this machine's."""
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {BUCKET}.{DOMAIN}\n")
    mount = f'mount --bind "{hosts}" /etc/hosts && exec "$@"'
    launcher = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if not shutil.which("unshare") or subprocess.run([*launcher, "true"], capture_output=True).returncode != 0:
        pytest.skip("nothing may be mounted here, so no name can be made to resolve")
    return launcher


def assert_serves(gateway):
    site, client = gateway.sites["pk-tls"], gateway.client()
    client.create_bucket(Bucket="media")
    for key, body in BODIES.items():
        client.put_object(Bucket="media", Key=key, Body=body, Metadata=PK)
    for key, body in BODIES.items():
        assert client.get_object(Bucket="media", Key=key)["Body"].read() == body
    part = client.get_object(Bucket="media", Key="large", Range="bytes=8388600-8388620")["Body"].read()
    assert part == BODIES["large"][8388600:8388621]
    # The bucket that was named holds it all.
    assert len([name for name in site.blobs() if name.startswith("d1/")]) >= len(BODIES) + 1
    shown = gateway.admin("GET", "/v1/sites")[1]["sites"][0]
    assert {name: shown[name] for name in ("id", "country", "key", "up", "takes_records")} == {
        "id": "pk-tls", "country": "PK", "key": "pk", "up": True, "takes_records": True,
    }  # fmt: skip


def assert_out_of_service(gateway, *words):
    """Nothing reached the server, a write is refused, and the log says why."""
    client = gateway.client()
    client.create_bucket(Bucket="media")
    with pytest.raises(ClientError) as refused:
        client.put_object(Bucket="media", Key="key", Body=b"x", Metadata=PK)
    assert refused.value.response["Error"]["Code"] == "ResidencyUnavailable"
    client.put_object(Bucket="media", Key="at-home", Body=b"x", Metadata={"domicile-subject": "wei", "domicile-residence": "SG"})
    site = gateway.sites["pk-tls"]
    assert site.blobs() == {}
    lines = [line for line in gateway.log().splitlines() if "pk-tls" in line and all(word in line for word in words)]
    assert lines, f"no line says {words}:\n{gateway.log()}"


def test_a_site_behind_a_private_authority(gateway_over, authority):
    assert_serves(gateway_over("trusted", f'ca = "{authority.certificate}"\n'))


def test_a_bucket_in_the_host(gateway_over, authority, resolving):
    settings = f'ca = "{authority.certificate}"\naddressing = "virtual"\n'
    # The domain itself does not resolve: a request that names the bucket in its path goes nowhere.
    assert_serves(gateway_over(BUCKET, settings, DOMAIN, resolving))


def test_a_site_behind_another_authority_is_refused(gateway_over, tmp_path):
    other = Authority(tmp_path, "other")
    gateway = gateway_over("other-authority", f'ca = "{other.certificate}"\n')
    assert_out_of_service(gateway, "invalid peer certificate", "UnknownIssuer")


def test_a_private_authority_is_not_trusted_unasked(gateway_over):
    gateway = gateway_over("public-authorities", "")
    assert_out_of_service(gateway, "invalid peer certificate", "UnknownIssuer")


def test_a_certificate_of_another_host_is_refused(gateway_over, authority):
    gateway = gateway_over("another-host", f'ca = "{authority.certificate}"\n', host="127.0.0.1")
    assert_out_of_service(gateway, "invalid peer certificate", "not valid for name")


def test_an_authority_that_is_none_keeps_the_gateway_from_starting(gateway_over, tmp_path):
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate\n")
    with pytest.raises(RuntimeError) as ended:
        gateway_over("broken-authority", f'ca = "{broken}"\n')
    assert "private authority" in str(ended.value), ended.value
