"""What the policies say beyond where copies are: under whose key, read from where, kept how long, and by which exception."""

import json
import shutil
import textwrap
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from gateway import FsSite, Gateway
from test_rebuild import settle

GATEWAY = """
version = 1
[groups]
home = ["PK", "SG"]
[subject]
from = ["metadata:domicile-subject", "key:users/{subject}/**"]
[attributes.residence]
from = ["directory", "metadata:domicile-residence"]
unknown = "omit"
[no-subject]
buckets = { "media" = ["SG"] }
[default]
countries = ["SG"]
"""

INSTRUMENT = """
version = 1
id = "{id}"
title = "For this test"
enforcement = "on"
legal-status = "in-force"
sources = ["the test"]
[when]
residence = ["{residence}"]
{rules}
"""

ABROAD = '''
[require]
copies = "only"
countries = ["SG"]
keys = ["PK"]
'''
READERS = '''
[require]
copies = "only"
countries = ["PK"]
processing = ["@home"]
'''
CONSENT = '''
[require]
copies = "only"
countries = ["PK"]
[[exception]]
basis = "consent"
reference = "form 7, 2026"
countries = ["SG"]
'''
KEPT = '''
[require]
copies = "only"
countries = ["SG"]
[retention]
at-least = "1d"
'''

# Who processes elsewhere than where the gateway is.
READER = """
[[principal]]
id = "reader-{country}"
access-key-id = "READER{country}0000000001"
secret-file = "{folder}/secret"
buckets = ["*"]
allow = ["read", "write", "list"]
country = "{country}"
"""
SECRET = "a-secret-for-tests-of-forty-characters-x"


class Policies:
    """A policy folder of the test's own: instruments by the residence that they bind."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        (folder / "gateway.toml").write_text(GATEWAY)

    def say(self, residence, rules, name=None):
        folder = self.folder / (name or f"law-{residence.lower()}")
        folder.mkdir(exist_ok=True)
        text = INSTRUMENT.format(id=folder.name, residence=residence, rules=textwrap.dedent(rules))
        (folder / "policy.toml").write_text(text)
        return self

    def drop(self, name):
        shutil.rmtree(self.folder / name)


@pytest.fixture
def policies(tmp_path):
    return Policies(tmp_path / "policies")


@pytest.fixture
def start(tmp_path, policies):
    """Starts a gateway over folders in Pakistan, Singapore and Germany."""
    running = []

    def make(**settings):
        folder = tmp_path / "gateway"
        sites = [
            FsSite(name, country, folder / "sites" / name)
            for name, country in [("pk-khi", "PK"), ("sg-sin", "SG"), ("de-fra", "DE")]
        ]
        readers = "".join(READER.format(country=country, folder=folder) for country in ("PK", "DE"))
        settings.setdefault("gc_grace", "1s")
        extra = readers + settings.pop("extra", "")
        gateway = Gateway(folder, sites, policies=policies.folder, extra=extra, **settings)
        running.append(gateway)
        gateway.start()
        gateway.client().create_bucket(Bucket="media")
        return gateway

    yield make
    for gateway in running:
        gateway.stop()


def reload(gateway):
    gateway.cli("policy", "reload", role="policy-admin")


def put(gateway, key, residence, body=b"content", **more):
    metadata = {"domicile-residence": residence}
    return gateway.client().put_object(Bucket="media", Key=f"users/{key}", Body=body, Metadata=metadata, **more)


def read(client, key, **more):
    return client.get_object(Bucket="media", Key=f"users/{key}", **more)["Body"].read()


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def record(gateway, key):
    status, found = gateway.admin("GET", f"/v1/record?bucket=media&key=users/{key}", role="auditor")
    assert status == 200, found
    return found["versions"][0]


def heads(site):
    """Country and key in the clear in the heads of a site's records."""
    found = set()
    for data in site.blobs().values():
        if data[:8] == b"DOMICILE" and data[10] == 1:
            length = data[17]
            found.add((data[15:17].decode(), data[18 : 18 + length].decode()))
    return found


def subject_keys(site):
    """The wrapped subject keys at a site."""
    blobs = [data for data in site.blobs().values() if data[:8] == b"DOMICILE" and data[10] == 2]
    return [json.loads(data[15:]) for data in blobs]


def test_a_copy_abroad_opens_by_the_key_at_home_alone(start, policies):
    policies.say("PK", ABROAD)
    gateway = start()
    pakistan, singapore = gateway.sites["pk-khi"], gateway.sites["sg-sin"]
    before = set(pakistan.blobs())
    large = bytes(range(256)) * (40 << 10)
    put(gateway, "ayesha/small", "PK")
    put(gateway, "ayesha/large", "PK", large)
    put(gateway, "wei/1", "SG")
    assert set(pakistan.blobs()) <= before, "nothing of it is in Pakistan"
    assert heads(singapore) == {("SG", "pk"), ("SG", "sg")}
    assert sorted(key["key"] for key in subject_keys(singapore)) == ["pk", "sg"]
    s3 = gateway.client()
    assert read(s3, "ayesha/large") == large and read(s3, "ayesha/large", Range="bytes=9000000-9000010") == large[9000000:9000011]
    copy = record(gateway, "ayesha/small")["copies"][0]
    assert (copy["site"], copy["country"], copy["key"]) == ("sg-sin", "SG", "pk")
    assert gateway.cli("verify", "--deep").returncode == 0

    # A renewal reaches the wrapped key abroad, and so does an erasure.
    gateway.cli("keys", "rotate", "pk", "--destroy-old")
    gateway.stop()
    gateway.start()
    assert read(s3, "ayesha/small") == b"content" and read(s3, "wei/1") == b"content"
    put(gateway, "bilal/1", "PK")
    gateway.cli("subject", "erase", "ayesha", "--yes", "--now", "--wait")
    assert refused(lambda: read(s3, "ayesha/small"))[1] == "NoSuchKey"
    assert read(s3, "bilal/1") == b"content"
    assert gateway.cli("verify", "--deep").returncode == 0


def test_a_rebuild_finds_the_keys_of_other_countries_where_they_lie(start, policies):
    policies.say("PK", ABROAD)
    gateway = start()
    put(gateway, "ayesha/1", "PK")
    gateway.cli("keys", "rotate", "pk", "--destroy-old")
    put(gateway, "ayesha/2", "PK", b"after")
    gateway.stop()
    shutil.rmtree(gateway.folder / "data" / "index")
    # Pakistan's site is gone for good; its key is not.
    gateway.sites["pk-khi"].stop()
    rebuilt = gateway.cli("index", "rebuild", "--config", str(gateway.config_file), "--without", "pk-khi", check=False)
    assert "restored 1 buckets, 2 records" in rebuilt.stdout, rebuilt.stdout + rebuilt.stderr
    gateway.sites["pk-khi"].start()
    gateway.start()
    s3 = gateway.client()
    assert read(s3, "ayesha/1") == b"content" and read(s3, "ayesha/2") == b"after"
    assert gateway.cli("verify", "--deep").returncode == 0


def test_a_generation_abroad_that_no_journal_knows_is_found_where_it_lies(start, policies):
    """The key of another country than the site's gets a new generation, and the machine dies before the journal was told of it."""
    policies.say("PK", ABROAD)
    gateway = start()
    put(gateway, "ayesha/1", "PK")
    put(gateway, "bilal/1", "PK")
    settle(gateway)
    told = {site: set(gateway.sites[site].everything()) for site in gateway.sites}
    gateway.cli("subject", "rotate-key", "ayesha")
    put(gateway, "ayesha/2", "PK", b"under the new one")
    assert len([key for key in subject_keys(gateway.sites["sg-sin"]) if key["key"] == "pk"]) == 3
    assert set(gateway.sites["pk-khi"].blobs()) == {name for name in told["pk-khi"] if not name.startswith("j1/")}, "nothing at home"
    gateway.stop()
    for name, site in gateway.sites.items():
        for piece in set(site.everything()) - told[name]:
            if piece.startswith("j1/"):
                site.remove(piece)
    shutil.rmtree(gateway.folder / "data" / "index")
    done = gateway.cli("--json", "index", "rebuild", "--config", str(gateway.config_file), check=False)
    adopted = json.loads(done.stdout)["report"]["adopted"]
    assert (adopted["records"], adopted["subject-keys"], adopted["unreadable"]) == (1, 1, []), adopted
    gateway.start()
    s3 = gateway.client()
    assert read(s3, "ayesha/1") == b"content" and read(s3, "ayesha/2") == b"under the new one"
    # Both generations go on: wrapped again where they lie, and destroyed together.
    gateway.cli("keys", "rotate", "pk", "--destroy-old")
    gateway.stop()
    gateway.start()
    assert read(s3, "ayesha/1") == b"content" and read(s3, "ayesha/2") == b"under the new one"
    put(gateway, "ayesha/3", "PK")
    assert read(s3, "ayesha/3") == b"content"
    gateway.cli("subject", "erase", "ayesha", "--yes", "--now", "--wait")
    assert refused(lambda: read(s3, "ayesha/1"))[1] == refused(lambda: read(s3, "ayesha/2"))[1] == "NoSuchKey"
    assert read(s3, "bilal/1") == b"content"
    assert len([key for key in subject_keys(gateway.sites["sg-sin"]) if key["key"] == "pk"]) == 1, "his"


def test_moving_between_keys_of_countries(start, policies):
    policies.say("PK", ABROAD.replace('keys = ["PK"]\n', ""))
    gateway = start()
    put(gateway, "ayesha/1", "PK")
    assert record(gateway, "ayesha/1")["copies"][0]["key"] == "sg"
    policies.say("PK", ABROAD)
    reload(gateway)
    gateway.cli("relocate")
    moved = record(gateway, "ayesha/1")["copies"]
    assert [(copy["site"], copy["key"]) for copy in moved] == [("sg-sin", "pk")]
    assert read(gateway.client(), "ayesha/1") == b"content"


def test_content_is_read_from_the_countries_that_the_law_names(start, policies):
    policies.say("PK", READERS)
    gateway = start()
    put(gateway, "ayesha/1", "PK")
    here = gateway.client(signature_version="s3v4")
    readers = {
        country: gateway.client(f"READER{country}0000000001", SECRET, signature_version="s3v4") for country in ("PK", "DE")
    }
    assert read(here, "ayesha/1") == read(readers["PK"], "ayesha/1") == b"content"
    germany, about = readers["DE"], {"Bucket": "media", "Key": "users/ayesha/1"}
    assert germany.head_object(**about)["ContentLength"] == 7
    assert germany.get_object_attributes(ObjectAttributes=["ObjectSize"], **about)["ObjectSize"] == 7
    assert germany.list_objects_v2(Bucket="media")["KeyCount"] == 1
    to = {"Bucket": "media", "Key": "users/ayesha/copy"}
    upload = here.create_multipart_upload(Metadata={"domicile-residence": "PK"}, **to)["UploadId"]
    calls = [
        lambda: germany.get_object(**about),
        lambda: germany.get_object(Range="bytes=0-1", **about),
        lambda: germany.copy_object(CopySource=about, **to),
        lambda: germany.upload_part_copy(CopySource=about, UploadId=upload, PartNumber=1, **to),
    ]
    for call in calls:
        status, code, message = refused(call)
        assert (status, code) == (403, "ResidencyConflict")
        assert "`law-pk`" in message and "DE" in message and "ayesha" not in message
    entries = [entry for entry in gateway.ledger() if entry["outcome"] == {"refused": {"code": "ResidencyConflict"}}]
    assert len(entries) == len(calls)
    # Who presigns reads; of who does not sign at all nobody knows where they are.
    assert urllib.request.urlopen(here.generate_presigned_url("get_object", Params=about)).read() == b"content"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(germany.generate_presigned_url("get_object", Params=about))
    assert caught.value.code == 403 and b"ResidencyConflict" in caught.value.read()
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    here.delete_public_access_block(Bucket="media")
    here.put_bucket_policy(Bucket="media", Policy=json.dumps(policy))
    put(gateway, "wei/1", "SG")
    assert urllib.request.urlopen(f"{gateway.endpoint}/media/users/wei/1").read() == b"content"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{gateway.endpoint}/media/users/ayesha/1")
    assert caught.value.code == 403 and b"law-pk" not in caught.value.read()

    # Where the gateway itself may not process nothing could be served: such a set does not come into force, and the one that is stays.
    policies.say("PK", READERS.replace("@home", "PK"))
    done = gateway.cli("policy", "reload", role="policy-admin", check=False)
    assert done.returncode == 1 and "lets nothing be processed in" in done.stdout + done.stderr
    assert read(readers["PK"], "ayesha/1") == b"content"


def test_an_exception_that_is_leant_on_is_kept_and_told(start, policies):
    policies.say("PK", CONSENT)
    gateway = start()
    put(gateway, "ayesha/1", "PK")
    found = record(gateway, "ayesha/1")
    used = {"instrument": "law-pk", "basis": "consent", "reference": "form 7, 2026", "countries": ["SG"]}
    assert (found["countries"], found["exceptions"]) == (["SG"], [used])
    entry = next(entry for entry in gateway.ledger() if entry["kind"] == "put-object")
    assert entry["exceptions"] == [used]
    put(gateway, "wei/1", "SG")
    assert "exceptions" not in record(gateway, "wei/1")
    # Without it the record has to go home.
    policies.say("PK", CONSENT.split("[[exception]]")[0])
    reload(gateway)
    gateway.cli("relocate")
    found = record(gateway, "ayesha/1")
    assert found["countries"] == ["PK"] and "exceptions" not in found


def test_what_the_law_keeps_stays(start, policies):
    policies.say("SG", KEPT)
    gateway = start()
    s3, about = gateway.client(), {"Bucket": "media", "Key": "users/wei/1"}
    put(gateway, "wei/1", "SG")
    put(gateway, "free/1", "DE")
    for call in (
        lambda: s3.delete_object(**about),
        lambda: s3.delete_object(VersionId="null", **about),
        lambda: put(gateway, "wei/1", "SG", b"other"),
        lambda: put(gateway, "wei/1", "SG", b"x" * (20 << 20)),
    ):
        status, code, message = refused(call)
        assert (status, code) == (403, "AccessDenied") and "keeps the version until" in message
    many = s3.delete_objects(Bucket="media", Delete={"Objects": [{"Key": "users/wei/1"}, {"Key": "users/free/1"}]})
    assert [error["Key"] for error in many["Errors"]] == ["users/wei/1"] and many["Errors"][0]["Code"] == "AccessDenied"
    assert [deleted["Key"] for deleted in many["Deleted"]] == ["users/free/1"]
    erased = gateway.cli("subject", "erase", "wei", "--yes", check=False)
    assert erased.returncode == 1 and "hold or retention" in erased.stderr
    assert read(s3, "wei/1") == b"content"

    s3.put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Enabled"})
    version = put(gateway, "wei/2", "SG")["VersionId"]
    assert s3.delete_object(Bucket="media", Key="users/wei/2")["DeleteMarker"]
    assert refused(lambda: s3.delete_object(Bucket="media", Key="users/wei/2", VersionId=version))[1] == "AccessDenied"
    policies.drop("law-sg")
    reload(gateway)
    s3.delete_object(Bucket="media", Key="users/wei/2", VersionId=version)
    s3.delete_object(VersionId="null", **about)
