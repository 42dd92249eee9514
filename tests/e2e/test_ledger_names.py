"""What entries of the ledger call people and their keys, what an erasure leaves of that, and which reads are in it."""

import json

from test_erasure import copy_sites, erase, of, restore_missing
from test_rebuild import burn, rebuild, settle

READ = {"domicile-subject": "lee", "domicile-residence": "SG"}


def names(gateway, subject, *keys):
    """Every name that whoever holds keyring and index can compute of a subject and its keys. The gateway is stopped for it."""
    gateway.stop()
    found, told = set(), 0
    for key in keys:
        where = ["--data-dir", str(gateway.folder / "data"), "--subject", subject, "--bucket", "media", "--key", key]
        said = json.loads(gateway.cli("--json", "ledger", "names", *where).stdout)
        for names in (said["subject"], said["key"]):
            found |= {names["plain"], *names["salted"]}
            told += len(names["salted"])
    gateway.start()
    return found, told


def telling(gateway, computed):
    """The entries that have one of these names, whichever field it stands in."""
    return [entry for entry in gateway.ledger() if any(name in json.dumps(entry) for name in computed)]


def kinds(entries):
    return {entry["kind"] for entry in entries}


def test_nobody_can_tell_any_more_which_entries_were_about_the_erased(make_gateway, tmp_path):
    gateway = make_gateway(extra='[ledger]\nreads = "all"\n')
    client = gateway.client()
    client.create_bucket(Bucket="media")
    gateway.admin("PUT", "/v1/subjects/ali", {"attributes": {"residence": "PK"}})
    for person in ("ali", "amna"):
        client.put_object(Bucket="media", Key=f"{person}/a", Body=b"one", Metadata=of(person))
        client.put_object(Bucket="media", Key=f"{person}/b", Body=b"two", Metadata=of(person))
        assert client.get_object(Bucket="media", Key=f"{person}/a")["Body"].read() == b"one"
        client.put_object_tagging(Bucket="media", Key=f"{person}/a", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
        client.delete_object(Bucket="media", Key=f"{person}/b")
        for question in (f"subjects/{person}", f"records?subject={person}", f"record?bucket=media&key={person}/a"):
            assert gateway.admin("GET", f"/v1/{question}", role="auditor")[0] in (200, 404)
    upload = client.create_multipart_upload(Bucket="media", Key="ali/open", Metadata=of("ali"))["UploadId"]
    client.upload_part(Bucket="media", Key="ali/open", UploadId=upload, PartNumber=1, Body=b"part" * 1000)
    settle(gateway)
    keys = ["ali/a", "ali/b", "ali/open"]
    computed, salted = names(gateway, "ali", *keys)
    assert salted == 6
    before = telling(gateway, computed)
    assert kinds(before) >= {
        *("put-object", "get-object", "describe-object", "delete-object", "create-upload", "upload-part"),
        *("subject-set", "audit-query", "key-used"),
    }, kinds(before)
    of_amna = telling(gateway, names(gateway, "amna", "amna/a", "amna/b")[0])
    assert len(of_amna) >= 9
    settle(gateway)
    copy_sites(gateway, tmp_path / "copy")

    assert erase(gateway, "ali", "--now", "--wait")["state"] == "complete"
    everything = gateway.ledger()
    computed, salted = names(gateway, "ali", *keys)
    assert salted == 0 and telling(gateway, computed) == [], "not even with keyring and index"
    assert [entry["seq"] for entry in before] == [entry["seq"] for entry in everything if entry in before], "entries stay"
    assert telling(gateway, names(gateway, "amna", "amna/a", "amna/b")[0])[: len(of_amna)] == of_amna

    # Nor does a rebuild bring the salt back, from whatever old pieces of the journal lie at the sites again.
    settle(gateway)
    gateway.stop()
    burn(gateway)
    assert restore_missing(gateway, tmp_path / "copy") > 5
    rebuild(gateway, check=False)
    gateway.start()
    computed, salted = names(gateway, "ali", *keys)
    assert salted == 0 and telling(gateway, computed) == []
    assert len(telling(gateway, names(gateway, "amna", "amna/a", "amna/b")[0])) >= len(of_amna)

    # Who comes back is somebody else to the ledger.
    client.put_object(Bucket="media", Key="ali/a", Body=b"new", Metadata=of("ali"))
    settle(gateway)
    computed, salted = names(gateway, "ali", "ali/a")
    assert salted == 2
    assert {entry["seq"] for entry in telling(gateway, computed)}.isdisjoint(entry["seq"] for entry in before)


def test_an_erasure_that_is_killed_leaves_no_names_once_it_is_accepted(make_gateway):
    gateway = make_gateway()
    client = gateway.client()
    client.create_bucket(Bucket="media")
    client.put_object(Bucket="media", Key="ali/a", Body=b"one", Metadata=of("ali"))
    settle(gateway)
    assert len(telling(gateway, names(gateway, "ali", "ali/a")[0])) >= 2
    erase(gateway, "ali")
    gateway.kill()
    gateway.start()
    assert telling(gateway, names(gateway, "ali", "ali/a")[0]) == []
    assert erase(gateway, "ali", check=False)["id"], "asked again it is the same, and its entry names nobody"
    assert telling(gateway, names(gateway, "ali", "ali/a")[0]) == []


def reads(gateway):
    return [entry for entry in gateway.ledger() if entry["kind"] == "get-object"]


def test_reads_across_a_border_are_in_the_ledger_before_their_first_byte(make_gateway):
    gateway = make_gateway()
    client = gateway.client()
    client.create_bucket(Bucket="media")
    put = client.put_object(Bucket="media", Key="ali/a", Body=b"a" * (3 << 20), Metadata=of("ali"))
    client.put_object(Bucket="media", Key="lee/a", Body=b"lee", Metadata=READ)
    # The tests' principal processes in Singapore.
    assert client.get_object(Bucket="media", Key="lee/a")["Body"].read() == b"lee"
    client.head_object(Bucket="media", Key="ali/a")
    assert client.get_object(Bucket="media", Key="lee/a", Range="bytes=0-1")["Body"].read() == b"le"
    assert reads(gateway) == [], "nothing of it crossed a border"
    got = client.get_object(Bucket="media", Key="ali/a", Range="bytes=0-1999999")
    assert got["Body"].read(1) == b"a"
    gateway.kill()
    gateway.start()
    [read] = reads(gateway)
    assert read["request"] == got["ResponseMetadata"]["RequestId"]
    assert (read["reader"], read["countries"], read["size"], read["outcome"]) == ("SG", ["PK"], 2_000_000, "ok")
    [stored] = [entry for entry in gateway.ledger() if entry["kind"] == "put-object" and entry["request"] == put["ResponseMetadata"]["RequestId"]]
    assert [read[field] for field in ("subject", "key", "bucket", "record")] == [stored[field] for field in ("subject", "key", "bucket", "record")]
    # What a copy reads counts, too.
    client.copy_object(Bucket="media", Key="ali/copy", CopySource="media/ali/a")
    assert [entry["key"] for entry in reads(gateway)] == [read["key"]] * 2


def test_a_gateway_can_be_told_to_record_all_reads_or_none(make_gateway):
    for policy, recorded in (("all", 3), ("none", 0)):
        gateway = make_gateway(extra=f'[ledger]\nreads = "{policy}"\n')
        client = gateway.client()
        client.create_bucket(Bucket="media")
        client.put_object(Bucket="media", Key="ali/a", Body=b"ali", Metadata=of("ali"))
        client.put_object(Bucket="media", Key="lee/a", Body=b"lee", Metadata=READ)
        for key in ("ali/a", "lee/a", "lee/a"):
            assert client.get_object(Bucket="media", Key=key)["Body"].read() == key[:3].encode()
        assert len(reads(gateway)) == recorded, policy
