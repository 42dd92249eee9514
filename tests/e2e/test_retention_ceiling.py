"""What the policies let be kept only so long, on a gateway whose clock a month passes for."""

import glob

import pytest

from test_lifecycle import until
from test_policy_enforcement import heads, policies, put, start  # noqa: F401: fixtures

BRIEF = """
[require]
copies = "only"
countries = ["{country}"]
[retention]
at-most = "{period}"
"""
OFTEN = '[lifecycle]\ninterval = "300ms"\n'
FAKETIME = glob.glob("/usr/lib*/faketime/libfaketimeMT.so.1") + glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


def restart(gateway, days):
    """The same gateway, so many days on. Requests to S3 are signed by today's clock: only the admin API answers then."""
    gateway.stop()
    gateway.start(LD_PRELOAD=FAKETIME[0], FAKETIME=f"+{days}d", FAKETIME_DONT_FAKE_MONOTONIC="1")


def known(gateway, bucket="media"):
    status, found = gateway.admin("GET", f"/v1/records?bucket={bucket}", role="auditor")
    assert status == 200, found
    return {item["key"] for item in found["records"]}


def heads_by_name(site):
    """The blobs of records at a site."""
    return [name for name, data in site.blobs().items() if data[:8] == b"DOMICILE" and data[10] == 1]


@pytest.mark.skipif(not FAKETIME, reason="libfaketime is not there")
def test_what_is_too_old_goes_from_the_catalogue_and_from_the_site(start, policies):  # noqa: F811
    policies.say("PK", BRIEF.format(country="PK", period="30d")).say("DE", BRIEF.format(country="DE", period="1w"))
    gateway = start(extra=OFTEN)
    for key, residence in [("ayesha/1", "PK"), ("wei/1", "SG"), ("jonas/1", "DE")]:
        put(gateway, key, residence)
    s3 = gateway.client()
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    held = {"Bucket": "locked", "Key": "users/bilal/1"}
    s3.put_object(**held, Body=b"evidence", Metadata={"domicile-residence": "PK"})
    s3.put_object_legal_hold(**held, LegalHold={"Status": "ON"})
    pakistan = gateway.sites["pk-khi"]
    records = set(heads_by_name(pakistan))
    assert len(records) == 2

    restart(gateway, 29)
    until(lambda: known(gateway) == {"users/ayesha/1", "users/wei/1"})
    restart(gateway, 31)
    until(lambda: known(gateway) == {"users/wei/1"})
    until(lambda: len(records & set(heads_by_name(pakistan))) == 1)
    assert heads(gateway.sites["sg-sin"]), "no law is about what lies in Singapore"
    assert known(gateway, "locked") == {"users/bilal/1"}, "a hold comes before the ceiling"
    gone = [entry for entry in gateway.ledger() if entry["kind"] == "expired"]
    assert [entry["instruments"] for entry in gone] == [["law-de"], ["law-pk"]]
