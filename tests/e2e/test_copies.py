"""`also` stores every required copy before it answers; `first` stores its primary and the others follow."""

import shutil
import time

import pytest

from conftest import fs_sites
from gateway import ROOT, Gateway


@pytest.fixture(params=["also", "first"])
def placed(request, tmp_path):
    policies = tmp_path / "policies"
    policies.mkdir()
    shutil.copy(ROOT / "policies/gateway.toml", policies / "gateway.toml")
    (policies / "pk-cpoh-2020").mkdir()
    text = (ROOT / "policies/pk-cpoh-2020/policy.toml").read_text()
    assert 'copies = "only"' in text
    (policies / "pk-cpoh-2020/policy.toml").write_text(text.replace('copies = "only"', f'copies = "{request.param}"'))
    gateway = Gateway(tmp_path / "gateway", fs_sites(tmp_path / "sites"), policies=policies).start()
    gateway.client().create_bucket(Bucket="media-files")
    yield request.param, gateway
    gateway.stop()


def put(gateway, key, body):
    return gateway.client().put_object(Bucket="media-files", Key=key, Body=body, Metadata={"domicile-residence": "PK"})


def countries(gateway, key):
    status, page = gateway.admin("GET", f"/v1/record?bucket=media-files&key={key}")
    assert status == 200, page
    record = (page.get("versions") or page.get("records") or [page])[0]
    return sorted(copy["country"] for copy in record["copies"] if copy.get("stored"))


def all_up(gateway):
    return all(site["up"] for site in gateway.admin("GET", "/v1/sites")[1]["sites"])


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def test_both_copies_hold_the_record(placed):
    kind, gateway = placed
    bodies = {"users/a/small": b"small" * 100, "users/a/empty": b"", "users/a/large": bytes(range(256)) * 4096 * 20}
    for key, body in bodies.items():
        put(gateway, key, body)
        if kind == "also":
            assert countries(gateway, key) == ["PK", "SG"]
    for key, body in bodies.items():
        wait_for(lambda key=key: countries(gateway, key) == ["PK", "SG"])
        # Each copy alone is the record.
        for site in gateway.sites.values():
            site.stop()
            try:
                assert gateway.client().get_object(Bucket="media-files", Key=key)["Body"].read() == body
            finally:
                site.start()
            wait_for(lambda: all_up(gateway))


def test_an_outage_abroad_stops_also_but_not_first(placed):
    kind, gateway = placed
    put(gateway, "users/a/before", b"x")
    abroad = gateway.sites["sg-sin"]
    abroad.stop()
    try:
        if kind == "also":
            with pytest.raises(gateway.client().exceptions.ClientError) as refused:
                put(gateway, "users/a/during", b"y")
            assert refused.value.response["Error"]["Code"] == "ResidencyUnavailable"
        else:
            put(gateway, "users/a/during", b"y")
            assert countries(gateway, "users/a/during") == ["PK"]
    finally:
        abroad.start()
    wait_for(lambda: all_up(gateway))
    if kind == "also":
        put(gateway, "users/a/during", b"y")
    wait_for(lambda: countries(gateway, "users/a/during") == ["PK", "SG"])
