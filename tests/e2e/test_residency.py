"""A thousand records of mixed subjects: each lives where its person's country says, and no site can read any of it."""

import base64
import concurrent.futures
import random
import urllib.parse

import pytest
from botocore.exceptions import ClientError

BODY = b"body-sentinel-7c1f"
SUBJECT = "subject-sentinel-52aa"
UNNAMED = "unnamed-sentinel-1d8c"  # subjects that stand in no key
NAME = "name-sentinel-e09b"
METADATA = "metadata-sentinel-93d4"
TAG = "tag-sentinel-b7f0"
RECORDS = 1000


def body(seed, size):
    """No 64 bytes of it are without the sentinel."""
    noise = random.Random(seed).randbytes(size)
    pieces = (BODY + noise[at : at + 40] for at in range(0, size, 40))
    return b"".join(pieces)[:size] if size else b""


def person(number, name=SUBJECT):
    """Subject and residence."""
    return f"{name}-{number:03}", "PK" if number % 3 else "SG"


def person_of(number):
    """Whose record it is."""
    return person(number % 90, UNNAMED if number % 2 else SUBJECT)


# Three of them by name: two of Pakistan, one of Singapore.
AMNA, BILAL, WEI = person(2)[0], person(4)[0], person(6)[0]


def request(number):
    """Arguments of one record's PUT, and the country it must live in. Every way of saying so is used, by turns."""
    subject, residence = person_of(number)
    way = number % 4
    if way == 0:  # the subject from the key, the residence from the directory
        key, metadata = f"users/{subject}/{NAME}/{number}", {}
    elif way == 1:  # both from the metadata
        key, metadata = f"{NAME}/{number}", {"domicile-subject": subject, "domicile-residence": residence}
    elif way == 2:  # said twice, and agreeing
        key, metadata = f"users/{subject}/{NAME}/{number}", {"domicile-subject": subject}
    else:  # tags
        key, metadata = f"{NAME}/{number}", {}
    arguments = {"Bucket": "media", "Key": key, "Metadata": {**metadata, "note": f"{METADATA}-{number}"}}
    if way == 3:
        tags = {"subject": subject, "residence": residence, "more": TAG}
        arguments["Tagging"] = urllib.parse.urlencode(tags)
    return arguments, residence


def size_of(number):
    return [0, 1, 333, 4096, 20_000][number % 5]


def sites(gateway):
    return {site.country: site for site in gateway.sites.values()}


@pytest.fixture(scope="module")
def filled(anywhere):
    """The gateway with the thousand records, all subjects in the directory."""
    for subject, residence in {person_of(number) for number in range(RECORDS)}:
        status, answer = anywhere.admin("PUT", f"/v1/subjects/{subject}", {"attributes": {"residence": residence}})
        assert status == 200, answer
    client = anywhere.client()
    marker = {country: set(site.blobs()) for country, site in sites(anywhere).items()}

    def put(number):
        arguments, residence = request(number)
        client.put_object(Body=body(number, size_of(number)), **arguments)
        return arguments["Key"], residence

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        # Those of one country first, so that what the other's site gets meanwhile is nothing.
        pakistani = [number for number in range(RECORDS) if request(number)[1] == "PK"]
        written = dict(pool.map(put, pakistani))
        after_pk = {country: set(site.blobs()) for country, site in sites(anywhere).items()}
        written.update(pool.map(put, sorted(set(range(RECORDS)) - set(pakistani))))
    anywhere.written, anywhere.marker, anywhere.after_pk = written, marker, after_pk
    return anywhere


def subjects_of(country):
    return {subject for subject, residence in map(person_of, range(RECORDS)) if residence == country}


def test_every_record_has_its_blobs_at_its_own_country_alone(filled):
    new_in_pk = filled.after_pk["PK"] - filled.marker["PK"]
    pakistani = [key for key, country in filled.written.items() if country == "PK"]
    assert len(pakistani) > 500
    # One blob a record and one wrapped key a subject.
    assert len(new_in_pk) == len(pakistani) + len(subjects_of("PK"))
    assert filled.after_pk["SG"] == filled.marker["SG"], "a record of Pakistan left something in Singapore"
    assert set(sites(filled)["PK"].blobs()) == filled.after_pk["PK"], "a record of Singapore left something in Pakistan"
    new_in_sg = set(sites(filled)["SG"].blobs()) - filled.after_pk["SG"]
    assert len(new_in_sg) == RECORDS - len(pakistani) + len(subjects_of("SG"))


def test_records_read_back(filled):
    client = filled.client()

    def check(number):
        arguments, residence = request(number)
        got = client.get_object(Bucket="media", Key=arguments["Key"])
        assert got["Body"].read() == body(number, size_of(number))
        headers = got["ResponseMetadata"]["HTTPHeaders"]
        assert headers["x-domicile-country"] == residence
        assert headers["x-domicile-instruments"] == {"PK": "pk-cpoh-2020", "SG": "sg-users-contract"}[residence]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(check, range(0, RECORDS, 7)))


def pk_arguments(name):
    return {"Bucket": "media", "Key": f"users/{AMNA}/{NAME}/{name}"}


def test_overwrites_copies_and_multiparts_stay_in_the_country(filled):
    client, elsewhere = filled.client(), sites(filled)["SG"]
    before, before_pk = set(elsewhere.blobs()), set(sites(filled)["PK"].blobs())
    part = body("part", 5 << 20)
    for number in range(10):
        arguments = pk_arguments("overwritten")
        client.put_object(Body=body(number, 3000), Metadata={"note": METADATA}, **arguments)
    for number in range(10):
        source = {"Bucket": "media", "Key": pk_arguments("overwritten")["Key"]}
        client.copy_object(CopySource=source, **pk_arguments(f"copy-{number}"))

    done, aborted, open_ended = pk_arguments("completed"), pk_arguments("aborted"), pk_arguments("open")
    for arguments in (done, aborted, open_ended):
        upload = client.create_multipart_upload(Metadata={"note": METADATA}, **arguments)["UploadId"]
        tags = [client.upload_part(UploadId=upload, PartNumber=n, Body=part, **arguments)["ETag"] for n in (1, 2)]
        copied = client.upload_part_copy(
            UploadId=upload, PartNumber=3, CopySource={"Bucket": "media", "Key": source["Key"]}, **arguments
        )
        tags.append(copied["CopyPartResult"]["ETag"])
        if arguments is done:
            parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
            client.complete_multipart_upload(UploadId=upload, MultipartUpload={"Parts": parts}, **arguments)
        elif arguments is aborted:
            client.abort_multipart_upload(UploadId=upload, **arguments)
    assert client.get_object(**done)["Body"].read() == part + part + body(9, 3000)
    assert set(elsewhere.blobs()) == before, "a record of Pakistan left something in Singapore"
    # They all had to be written somewhere: 10 overwrites, 10 copies, 3 × 3 parts and a manifest at the least.
    assert len(set(sites(filled)["PK"].blobs()) - before_pk) >= 30
    with pytest.raises(ClientError):
        client.get_object(**aborted)


def spellings(text):
    """The text, and how it would look in hexadecimal and base64 wherever it stood."""
    raw = text if isinstance(text, bytes) else text.encode()
    found = [raw, raw.hex().encode(), raw.hex().upper().encode(), raw.decode().encode("utf-16-le")]
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        found.append(encoded[4 if shift else 0 : -4])
    return found


def assert_absent(files, texts):
    assert files
    for name, data in files.items():
        for text in texts:
            for spelling in spellings(text):
                assert spelling not in data, f"{text!r} can be read in {name} as {spelling!r}"
                assert spelling not in name.encode()


def test_no_site_holds_anything_readable(filled):
    secrets = [BODY, SUBJECT, UNNAMED, NAME, METADATA, TAG]
    for site in sites(filled).values():
        assert_absent(site.blobs(), secrets)
        raw = site.raw()
        assert sum(len(data) for data in raw.values()) > 500_000, "the search would prove nothing"
        assert_absent(raw, secrets)


def test_the_index_and_the_log_hold_no_body_subject_or_metadata(filled):
    folder = filled.folder / "data"
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    # Object keys are in the clear there, by design: they show that the search finds what is there.
    assert any(NAME.encode() in data for data in files.values())
    assert_absent(files, [BODY, UNNAMED, METADATA, TAG])
    assert_absent({"gateway.log": filled.log().encode()}, [BODY, SUBJECT, UNNAMED, NAME, METADATA, TAG])


def refusal(call, **arguments):
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    error = raised.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]


def recorded(gateway, code):
    return sum(code in str(entry["outcome"]) for entry in gateway.ledger())


def test_what_is_unknown_or_contradictory_is_refused_and_recorded(filled):
    client = filled.client()
    stranger = {"domicile-subject": "nobody-knows"}
    cases = [
        ("ResidencyUnknown", {"Key": "of-nobody"}),
        ("ResidencyUnknown", {"Key": "of-a-stranger", "Metadata": stranger}),
        ("ResidencyConflict", {"Key": f"users/{AMNA}/x", "Metadata": {"domicile-subject": BILAL}}),
        ("ResidencyConflict", {"Key": f"users/{AMNA}/x", "Metadata": {"domicile-residence": "SG"}}),
        ("ResidencyConflict", {"Key": f"users/{AMNA}/x", "Tagging": f"subject={BILAL}"}),
    ]
    blobs = {country: set(site.blobs()) for country, site in sites(filled).items()}
    for code, arguments in cases:
        before = recorded(filled, code)
        assert refusal(client.put_object, Bucket="media", Body=BODY * 10, **arguments) == (403, code), arguments
        assert refusal(client.create_multipart_upload, Bucket="media", **arguments) == (403, code), arguments
        assert recorded(filled, code) == before + 2
    assert {country: set(site.blobs()) for country, site in sites(filled).items()} == blobs


def test_a_copy_cannot_carry_a_record_to_another_country(filled):
    client, elsewhere = filled.client(), sites(filled)["SG"]
    source = {"Bucket": "media", "Key": pk_arguments("laundered")["Key"]}
    client.put_object(Body=body("laundered", 5000), **pk_arguments("laundered"))
    before = set(elsewhere.blobs())
    client.create_bucket(Bucket="static-site")
    attempts = [
        {"Key": f"users/{WEI}/stolen"},
        {"Key": "stolen", "MetadataDirective": "REPLACE", "Metadata": {"domicile-subject": WEI}},
        {"Key": "stolen", "MetadataDirective": "REPLACE", "Metadata": {"domicile-residence": "SG"}},
        {"Key": "stolen", "TaggingDirective": "REPLACE", "Tagging": f"subject={WEI}&residence=SG"},
    ]
    for attempt in attempts:
        assert refusal(client.copy_object, Bucket="media", CopySource=source, **attempt) == (403, "ResidencyConflict")
    # Nobody's bucket in Singapore: still that person's data, decided anew, in Pakistan.
    copied = client.copy_object(Bucket="static-site", Key="page", CopySource=source)
    assert copied["ResponseMetadata"]["HTTPHeaders"]["x-domicile-country"] == "PK"
    # By parts: the upload is Singapore's, the source is not.
    target = {"Bucket": "media", "Key": f"users/{WEI}/by-parts"}
    upload = client.create_multipart_upload(**target)["UploadId"]
    during = set(elsewhere.blobs())
    outcome = refusal(client.upload_part_copy, UploadId=upload, PartNumber=1, CopySource=source, **target)
    assert outcome == (403, "ResidencyConflict")
    client.abort_multipart_upload(UploadId=upload, **target)
    # The wrapped key of a person of Singapore may come into being with the upload; nothing of the source may.
    assert len(during - before) <= 1 and set(elsewhere.blobs()) == during
    status, answer = filled.admin("GET", "/v1/record?bucket=static-site&key=page")
    assert status == 200 and answer["versions"][0]["subject"] == AMNA


def records(gateway, query):
    found, cursor = [], ""
    while True:
        status, page = gateway.admin("GET", f"/v1/records?limit=300&{query}{cursor}", role="auditor")
        assert status == 200, page
        found += page["records"]
        if not page.get("cursor"):
            return found
        cursor = f"&cursor={urllib.parse.quote(page['cursor'], safe='')}"


def test_the_audit_api_agrees_with_itself_and_with_the_listing(filled):
    client = filled.client()
    listed = {}
    for bucket in client.list_buckets()["Buckets"]:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
            listed.update({(bucket["Name"], item["Key"]): item["Size"] for item in page.get("Contents", [])})
    by_country = {country: records(filled, f"country={country}") for country in ("PK", "SG")}
    found = {(r["bucket"], r["key"]): r["size"] for page in by_country.values() for r in page}
    assert found == listed and sum(len(page) for page in by_country.values()) == len(listed)
    for country, page in by_country.items():
        written = {key for key, lives_in in filled.written.items() if lives_in == country}
        assert written <= {record["key"] for record in page}

    status, summary = filled.admin("GET", "/v1/summary", role="auditor")
    assert status == 200
    for country, page in by_country.items():
        expected = {"objects": len(page), "bytes": sum(record["size"] for record in page)}
        assert summary["countries"][country] == expected
        assert summary["sites"][sites(filled)[country].name] == expected
        instrument = {"PK": "pk-cpoh-2020", "SG": "sg-users-contract"}[country]
        assert summary["instruments"][instrument] == expected
        assert len(records(filled, f"instrument={instrument}")) == len(page)
        assert len(records(filled, f"site={sites(filled)[country].name}")) == len(page)

    own = records(filled, f"subject={AMNA}")
    assert own and {record["subject"] for record in own} == {AMNA}
    assert len(own) == sum(record["subject"] == AMNA for page in by_country.values() for record in page)
    for record in own[:5]:
        query = urllib.parse.urlencode({"bucket": record["bucket"], "key": record["key"]})
        status, answer = filled.admin("GET", f"/v1/record?{query}", role="auditor")
        assert status == 200
        newest = answer["versions"][0]
        assert {name: newest[name] for name in ("version", "etag", "countries")} == {
            name: record[name] for name in ("version", "etag", "countries")
        }
        assert {copy["country"] for copy in newest["copies"]} == {"PK"}
        assert {copy["key"] for copy in newest["copies"]} == {"pk"}


def test_an_auditor_reads_but_changes_nothing_and_is_recorded(filled):
    before = len(filled.ledger())
    status, _ = filled.admin("GET", "/v1/summary", role="auditor")
    assert status == 200
    asked = filled.ledger()[before:]
    assert any(entry["kind"] == "audit-query" and "auditor" in str(entry["actor"]) for entry in asked), asked
    paths = [
        ("GET", "/v1/records?bucket=static-site&country=SG", {"bucket", "countries"}),
        ("GET", "/v1/record?bucket=static-site&key=absent", {"bucket", "key"}),
        ("GET", f"/v1/subjects/{AMNA}", {"subject"}),
        ("GET", "/v1/subjects/nobody-at-all", {"subject"}),
        ("GET", "/v1/policies", set()),
        ("GET", "/v1/sites", set()),
        ("GET", "/v1/keys", set()),
        ("GET", "/v1/ledger/checkpoint", set()),
    ]
    before = len(filled.ledger())
    for method, path, _ in paths:
        filled.admin(method, path, role="auditor")
    asked = [entry for entry in filled.ledger()[before:] if "auditor" in str(entry["actor"])]
    for (method, path, fields), entry in zip(paths, asked, strict=True):
        route = f"{method} {path.split('?')[0]}"
        assert entry["query"]["route"].split("{")[0] in route, entry
        assert fields <= entry.keys(), entry
    subjects = [entry["subject"] for entry in asked if "subject" in entry]
    assert len(set(subjects)) == 2 and AMNA not in str(asked)
    before = len(filled.ledger())
    assert filled.admin("DELETE", "/v1/subjects/nobody-at-all")[0] == 404
    removed = [entry for entry in filled.ledger()[before:] if entry["kind"] == "subject-removed"]
    assert [(entry["subject"], entry["outcome"]) for entry in removed] == [
        (subjects[1], {"refused": {"code": "NoSuchSubject"}})
    ]
    for method, path, text in [
        ("PUT", "/v1/subjects/somebody", {"attributes": {"residence": "PK"}}),
        ("DELETE", f"/v1/subjects/{AMNA}", None),
        ("POST", "/v1/policies/reload", None),
    ]:
        assert filled.admin(method, path, text, role="auditor")[0] == 403
        assert filled.admin(method, path, text, role=None)[0] == 401


def test_the_command_line_says_where_a_record_lives(filled):
    key = next(key for key, country in filled.written.items() if country == "PK")
    shown = filled.cli("where", f"s3://media/{key}").stdout
    assert "PK" in shown and sites(filled)["PK"].name in shown and "pk-cpoh-2020" in shown
