"""A country whose site is down is refused; nothing spills over, nobody else notices, and it comes back by itself."""

import time

import pytest
from botocore.exceptions import ClientError

PK = {"domicile-subject": "amna", "domicile-residence": "PK"}
SG = {"domicile-subject": "wei", "domicile-residence": "SG"}


def refused(client, key, metadata):
    """Writes and returns the refusal."""
    with pytest.raises(ClientError) as raised:
        client.put_object(Bucket="media", Key=key, Body=b"x" * 5000, Metadata=metadata)
    return raised.value.response


def test_a_stopped_site_stops_its_country_alone(anywhere):
    client = anywhere.client()
    pk, sg = (next(site for site in anywhere.sites.values() if site.country == country) for country in ("PK", "SG"))
    client.put_object(Bucket="media", Key="pk-before", Body=b"before", Metadata=PK)
    client.put_object(Bucket="media", Key="sg-before", Body=b"before", Metadata=SG)
    held = set(sg.blobs())
    process = anywhere.process.pid

    pk.stop()
    try:
        codes = []
        for number in range(30):
            answer = refused(client, f"pk-during-{number}", PK)
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503, answer
            assert int(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) > 0
            codes.append(answer["Error"]["Code"])
            time.sleep(0.05)
        # The first may still find the site believed up; once seen down, it is the decision that refuses.
        assert set(codes) <= {"ServiceUnavailable", "ResidencyUnavailable"} and codes[-1] == "ResidencyUnavailable"

        upload_error = None
        try:
            client.create_multipart_upload(Bucket="media", Key="pk-upload", Metadata=PK)
        except ClientError as error:
            upload_error = error.response["Error"]["Code"]
        assert upload_error == "ResidencyUnavailable"
        with pytest.raises(ClientError) as raised:
            client.get_object(Bucket="media", Key="pk-before")["Body"].read()
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        # What the index knows is still answered, and others go on.
        assert client.head_object(Bucket="media", Key="pk-before")["ContentLength"] == 6
        assert set(sg.blobs()) == held, "something of Pakistan's was written in Singapore"
        client.put_object(Bucket="media", Key="sg-during", Body=b"during", Metadata=SG)
        assert client.get_object(Bucket="media", Key="sg-during")["Body"].read() == b"during"
        assert len(set(sg.blobs()) - held) == 1
        keys = [item["Key"] for item in client.list_objects_v2(Bucket="media")["Contents"]]
        assert keys == ["pk-before", "sg-before", "sg-during"]
        refusals = [entry for entry in anywhere.ledger() if "ResidencyUnavailable" in str(entry["outcome"])]
        assert refusals
    finally:
        pk.start()

    deadline = time.monotonic() + 90
    while True:
        try:
            client.put_object(Bucket="media", Key="pk-after", Body=b"after", Metadata=PK)
            break
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert time.monotonic() < deadline, "the site is up and the gateway does not see it"
            time.sleep(0.2)
    for key in ("before", "after"):
        assert client.get_object(Bucket="media", Key=f"pk-{key}")["Body"].read() == key.encode()
    assert anywhere.process.pid == process and anywhere.process.poll() is None
    assert len(set(sg.blobs()) - held) == 1
