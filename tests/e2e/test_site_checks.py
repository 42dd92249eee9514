"""How a site's bucket is set up: found, named right, recorded, and kept from getting records where it must not."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from gateway import FsSite, Gateway, S3Site
from moto import Moto

PK = {"domicile-subject": "amna", "domicile-residence": "PK"}
SG = {"domicile-subject": "wei", "domicile-residence": "SG"}
BLOCK = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
EVERY_SECOND = '[site-checks]\nevery = "1s"\n'
ABROAD = "an-archive-in-another-country"


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    server = Moto(tmp_path_factory.mktemp("moto"))
    yield server
    server.stop()


@pytest.fixture
def make(moto, tmp_path):
    """Starts gateways over two buckets of which nothing is to be said; `pk` is more lines of the first site."""
    running = []
    number = abs(hash(tmp_path)) % 10**8

    def make(pk="", extra=EVERY_SECOND, start=True, block=True):
        sites = [S3Site("pk-khi", "PK", moto, f"pk-{number}", more=pk), S3Site("sg-sin", "SG", moto, f"sg-{number}")]
        for site in sites if block else ():
            site.client.put_public_access_block(Bucket=site.bucket, PublicAccessBlockConfiguration=BLOCK)
        gateway = Gateway(tmp_path / f"gateway-{len(running)}", sites, extra=extra)
        running.append(gateway)
        if start:
            gateway.start()
            gateway.client().create_bucket(Bucket="media")
        return gateway

    yield make
    for gateway in running:
        gateway.stop()


def settled(gateway):
    """Once a new journal has been begun anew and its first pieces are gone: what is removed from a bucket with versions stays as an old one."""
    eventually(lambda: "the journal has been compacted" in gateway.log(), 90)


def eventually(what, seconds=30):
    deadline = time.monotonic() + seconds
    while not (result := what()):
        assert time.monotonic() < deadline, "does not come"
        time.sleep(0.1)
    return result


def site(gateway, name="pk-khi"):
    status, body = gateway.admin("GET", "/v1/sites")
    assert status == 200, body
    return next(one for one in body["sites"] if one["id"] == name)


def found(gateway, name="pk-khi"):
    """What was found at a site: check and state. What its server does not tell, its region, is left out."""
    checks = {check["check"]: check["state"] for check in site(gateway, name)["checks"]}
    assert checks.pop("region") == "unknown"
    return {check: state for check, state in checks.items() if state != "ok"}


def detail(gateway, check):
    return next(one["detail"] for one in site(gateway)["checks"] if one["check"] == check)


def recorded(gateway):
    """Each finding in the ledger, in order: kind, site, check, severity, accepted."""
    entries = [entry for entry in gateway.ledger() if entry["kind"] in ("site-alarm", "site-clear")]
    assert all(entry["actor"] == "system" and entry["outcome"] == "ok" for entry in entries)
    return [
        (
            entry["kind"],
            *entry["sites"],
            entry["check"]["name"],
            entry["check"]["severity"],
            entry["check"].get("accepted", False),
        )
        for entry in entries
    ]


def metric(gateway, check, name="pk-khi"):
    text = gateway.admin_raw("GET", "/metrics")[1].decode()
    line = f'domicile_site_alarm{{site="{name}",check="{check}"}} '
    return next(float(one.removeprefix(line)) for one in text.splitlines() if one.startswith(line))


def refusal(client, key, metadata):
    with pytest.raises(ClientError) as raised:
        client.put_object(Bucket="media", Key=key, Body=b"x" * 5000, Metadata=metadata)
    return raised.value.response["ResponseMetadata"]["HTTPStatusCode"], raised.value.response["Error"]["Code"]


def set_versioning(site, status):
    site.client.put_bucket_versioning(Bucket=site.bucket, VersioningConfiguration={"Status": status})


def replicate(site):
    target = f"{ABROAD}-{site.bucket}"
    site.client.create_bucket(Bucket=target)
    site.client.put_bucket_versioning(Bucket=target, VersioningConfiguration={"Status": "Enabled"})
    set_versioning(site, "Enabled")
    rule = {
        "ID": "copy", "Status": "Enabled", "Priority": 1, "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"}, "Destination": {"Bucket": f"arn:aws:s3:::{target}"},
    }  # fmt: skip
    configuration = {"Role": "arn:aws:iam::123456789012:role/r", "Rules": [rule]}
    site.client.put_bucket_replication(Bucket=site.bucket, ReplicationConfiguration=configuration)


def do_not_replicate(site):
    site.client.delete_bucket_replication(Bucket=site.bucket)
    set_versioning(site, "Suspended")


def open_policy(site):
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{site.bucket}/*"}
    site.client.delete_public_access_block(Bucket=site.bucket)
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    site.client.put_bucket_policy(Bucket=site.bucket, Policy=policy)


def close_policy(site):
    site.client.delete_bucket_policy(Bucket=site.bucket)
    site.client.put_public_access_block(Bucket=site.bucket, PublicAccessBlockConfiguration=BLOCK)


def open_acl(site):
    site.client.delete_public_access_block(Bucket=site.bucket)
    site.client.put_bucket_acl(Bucket=site.bucket, ACL="public-read")


def close_acl(site):
    site.client.put_bucket_acl(Bucket=site.bucket, ACL="private")
    site.client.put_public_access_block(Bucket=site.bucket, PublicAccessBlockConfiguration=BLOCK)


def rule(what):
    def apply(site):
        rules = [{"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}, **what}]
        site.client.put_bucket_lifecycle_configuration(Bucket=site.bucket, LifecycleConfiguration={"Rules": rules})

    return apply


def no_rule(site):
    site.client.delete_bucket_lifecycle(Bucket=site.bucket)


WITH_VERSIONS = {"replication": "alarm", "versioning": "warning"}
WITHOUT_BLOCK = {"public-access-block": "warning"}
ALARMS = {
    "replication": (replicate, do_not_replicate, WITH_VERSIONS, ABROAD),
    "public-policy": (open_policy, close_policy, {"public-policy": "alarm", **WITHOUT_BLOCK}, "everybody"),
    "public-acl": (open_acl, close_acl, {"public-acl": "alarm", **WITHOUT_BLOCK}, "READ to everybody"),
    "lifecycle": (rule({"Expiration": {"Days": 3}}), no_rule, {"lifecycle": "alarm"}, "`tidy`"),
}


@pytest.mark.parametrize("check", ALARMS)
def test_an_alarm_is_found_stops_writes_and_goes(make, check):
    on, off, expected, words = ALARMS[check]
    gateway = make()
    pk = gateway.sites["pk-khi"]
    client = gateway.client()
    assert found(gateway) == {} and recorded(gateway) == []
    assert metric(gateway, check) == 0 and gateway.cli("site", "check").returncode == 0
    client.put_object(Bucket="media", Key="before", Body=b"before", Metadata=PK)

    settled(gateway)
    on(pk)
    eventually(lambda: metric(gateway, check) == 1)
    assert found(gateway) == expected and found(gateway, "sg-sin") == {}
    assert words in detail(gateway, check)
    before = set(pk.blobs())
    assert refusal(client, "during", PK) == (503, "ResidencyUnavailable")
    with pytest.raises(ClientError) as raised:
        client.create_multipart_upload(Bucket="media", Key="upload", Metadata=PK)
    assert raised.value.response["Error"]["Code"] == "ResidencyUnavailable"
    client.put_object(Bucket="media", Key="elsewhere", Body=b"sg", Metadata=SG)
    assert client.get_object(Bucket="media", Key="before")["Body"].read() == b"before"
    assert set(pk.blobs()) == before, "something was written to a bucket that must get nothing"

    listed = gateway.cli("site", "check", check=False)
    assert listed.returncode == 1 and "1 alarms stand" in listed.stderr
    row = next(line for line in listed.stdout.splitlines() if line.startswith("pk-khi") and f" {check} " in line)
    assert "alarm" in row and words in row
    status, ready = gateway.admin("GET", "/readyz")
    part = next(one for one in ready["components"] if one["name"] == "site:pk-khi")
    assert status == 200 and part["up"] and "takes no new records" in part["detail"] and f"alarm {check}" in part["detail"]
    assert not site(gateway)["takes_records"] and site(gateway, "sg-sin")["takes_records"]
    raised = {one[2:4] for one in recorded(gateway)}
    assert raised == set(expected.items()) and ("site-alarm", "pk-khi", check, "alarm", False) in recorded(gateway)
    status, ledger = gateway.admin_raw("GET", "/v1/ledger/entries?limit=1000")
    assert ABROAD not in ledger.decode() and "tidy" not in ledger.decode(), "text of a bucket is in the ledger"

    off(pk)
    eventually(lambda: metric(gateway, check) == 0)
    eventually(lambda: found(gateway) == {} and site(gateway)["takes_records"])
    client.put_object(Bucket="media", Key="after", Body=b"after", Metadata=PK)
    assert gateway.cli("site", "check").returncode == 0
    entries = recorded(gateway)
    assert sorted(one[1:] for one in entries if one[0] == "site-alarm") == sorted(one[1:] for one in entries if one[0] == "site-clear")
    assert len(entries) == 2 * len(expected)


WARNINGS = {
    "versioning": (lambda site: set_versioning(site, "Enabled"), "old versions"),
    "public-access-block": (lambda site: site.client.delete_public_access_block(Bucket=site.bucket), "the bucket has none"),
    "lifecycle": (rule({"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}), "another storage class"),
}


@pytest.mark.parametrize("check", WARNINGS)
def test_a_warning_is_found_and_stops_nothing(make, check):
    on, words = WARNINGS[check]
    gateway = make()
    on(gateway.sites["pk-khi"])
    eventually(lambda: found(gateway) == {check: "warning"})
    assert words in detail(gateway, check)
    assert recorded(gateway) == [("site-alarm", "pk-khi", check, "warning", False)]
    gateway.client().put_object(Bucket="media", Key="k", Body=b"x", Metadata=PK)
    assert metric(gateway, check) == 0 and gateway.cli("site", "check").returncode == 0


def test_rules_that_only_remove_what_nobody_needs_are_fine(make):
    gateway = make(extra='[site-checks]\nevery = "1h"\n')
    pk = gateway.sites["pk-khi"]
    rule({"NoncurrentVersionExpiration": {"NoncurrentDays": 2}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})(pk)
    gateway.cli("site", "check", "--now")
    assert found(gateway) == {}
    set_versioning(pk, "Enabled")
    gateway.cli("site", "check", "--now")
    assert found(gateway) == {"versioning": "warning"} and "for 2 days" in detail(gateway, "versioning")


def test_what_is_accepted_stops_nothing_and_is_recorded_as_that(make):
    gateway = make()
    client = gateway.client()
    replicate(gateway.sites["pk-khi"])
    eventually(lambda: metric(gateway, "replication") == 1)
    assert refusal(client, "k", PK) == (503, "ResidencyUnavailable")

    gateway.stop()
    text = gateway.config_file.read_text()
    accepted = text.replace('backend = "s3"\n', 'backend = "s3"\naccept = ["replication", "versioning"]\n', 1)
    gateway.config_file.write_text(accepted)
    gateway.start()
    assert found(gateway) == {"replication": "accepted", "versioning": "accepted"}
    client.put_object(Bucket="media", Key="k", Body=b"x", Metadata=PK)
    assert metric(gateway, "replication") == 0 and gateway.cli("site", "check").returncode == 0
    assert set(recorded(gateway)[-2:]) == {
        ("site-alarm", "pk-khi", "replication", "alarm", True),
        ("site-alarm", "pk-khi", "versioning", "warning", True),
    }
    entries = len(recorded(gateway))

    gateway.kill()
    gateway.config_file.write_text(text)
    gateway.start()
    assert refusal(client, "k", PK) == (503, "ResidencyUnavailable"), "before the first check of this run"
    assert len(recorded(gateway)) == entries + 2


def test_an_alarm_may_be_reported_alone(make):
    gateway = make(extra='[site-checks]\nevery = "1s"\non-alarm = "report"\n')
    open_policy(gateway.sites["pk-khi"])
    eventually(lambda: metric(gateway, "public-policy") == 1)
    gateway.client().put_object(Bucket="media", Key="k", Body=b"x", Metadata=PK)
    assert gateway.cli("site", "check", check=False).returncode == 1
    assert site(gateway)["takes_records"]


def test_a_lost_marker_is_an_alarm_of_its_own(make):
    gateway = make()
    pk = gateway.sites["pk-khi"]
    marker = pk.everything()["domicile-site"]
    pk.remove("domicile-site")
    looked = gateway.cli("site", "check", "--now", check=False)
    assert looked.returncode == 1 and "no marker" in looked.stdout
    assert metric(gateway, "marker") == 1
    assert recorded(gateway) == [("site-alarm", "pk-khi", "marker", "alarm", False)]
    pk.write("domicile-site", marker)
    gateway.stop()
    gateway.start()
    assert recorded(gateway)[1:] == [("site-clear", "pk-khi", "marker", "alarm", False)]
    assert metric(gateway, "marker") == 0


def test_site_init_takes_a_bucket_into_service_that_was_created_late(make):
    gateway = make(start=False)
    pk = gateway.sites["pk-khi"]
    pk.client.delete_bucket(Bucket=pk.bucket)
    gateway.start()
    gateway.client().create_bucket(Bucket="media")
    early = gateway.cli("site", "init", "pk-khi", check=False)
    assert early.returncode == 1 and "create it" in early.stderr, early
    assert gateway.cli("site", "init", "nowhere", check=False).returncode == 1
    pk.client.create_bucket(Bucket=pk.bucket)
    done = json.loads(gateway.cli("--json", "site", "init", "pk-khi").stdout)
    assert done["site"] == "pk-khi" and done["epoch"] == 1
    assert "domicile-site" in pk.everything()
    gateway.client().put_object(Bucket="media", Key="k", Body=b"x", Metadata=PK)
    again = gateway.cli("site", "init", "pk-khi")
    assert "in service" in again.stdout
    actions = [entry["query"]["route"] for entry in gateway.ledger() if entry["kind"] == "admin-action"]
    assert actions == ["POST /v1/sites/{id}/init"] * 4


def test_only_operators_have_sites_looked_at(make):
    gateway = make()
    for route in ("/v1/sites/check", "/v1/sites/pk-khi/init"):
        assert gateway.admin("POST", route, role="auditor")[0] == 403
    assert gateway.admin("GET", "/v1/sites", role="auditor")[0] == 200


def test_what_a_service_does_not_support_is_said_and_is_no_alarm(seaweeds, tmp_path):
    number = abs(hash(tmp_path)) % 10**8
    sites = [S3Site(f"pk-{number}", "PK", seaweeds["PK"]), FsSite("sg-sin", "SG", tmp_path / "sg")]
    gateway = Gateway(tmp_path / "gateway", sites, extra=EVERY_SECOND)
    try:
        gateway.start()
        gateway.client().create_bucket(Bucket="media")
        name = sites[0].name
        checks = {check["check"]: check for check in site(gateway, name)["checks"]}
        unknown = {check for check, said in checks.items() if said["state"] == "unknown"}
        assert unknown == {"region", "public-access-block"}
        assert "not supported" in checks["public-access-block"]["detail"] and checks["region"]["detail"]
        assert all(said["state"] == "ok" for check, said in checks.items() if check not in unknown)
        shown = gateway.cli("site", "check")
        assert "not supported by the service" in shown.stdout
        assert [one for one in recorded(gateway) if one[1] == name] == []
        gateway.client().put_object(Bucket="media", Key="k", Body=b"x", Metadata=PK)

        # What it does support is found here as well.
        open_to_all = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{sites[0].bucket}/*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [open_to_all]})
        sites[0].client.put_bucket_policy(Bucket=sites[0].bucket, Policy=policy)
        eventually(lambda: metric(gateway, "public-policy", name) == 1)
        assert refusal(gateway.client(), "j", PK) == (503, "ResidencyUnavailable")
        sites[0].client.delete_bucket_policy(Bucket=sites[0].bucket)
        eventually(lambda: metric(gateway, "public-policy", name) == 0)

        folder = next(check for check in site(gateway, "sg-sin")["checks"] if check["check"] == "folder-mode")
        assert folder["state"] == "warning" and "755" in folder["detail"]
        sites[1].folder.chmod(0o700)
        eventually(lambda: all(check["state"] == "ok" for check in site(gateway, "sg-sin")["checks"]))
    finally:
        gateway.stop()
