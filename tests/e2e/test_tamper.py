"""Whatever is done to a blob at its site, a GET is an error and never wrong data."""

import http.client
import itertools
import random

import pytest

import wire

PK = {"x-amz-meta-domicile-subject": "amna", "x-amz-meta-domicile-residence": "PK"}
WHOLE, SEGMENTS, EXTENTS = 300, 200_000, 9 << 20
ABORTED = "aborted"


class Stored:
    """One object, and the blobs that hold it at its site."""

    def __init__(self, gateway, key, size, seed=0):
        self.gateway, self.path, self.body = gateway, f"/media/{key}", random.Random(f"{key} {seed}").randbytes(size)
        self.site = gateway.sites["pk-khi"]
        before = self.site.blobs()
        self.put(self.body)
        added = {name: data for name, data in self.site.blobs().items() if name not in before}
        # The first write of a person also makes a blob of the wrapped key. What a GET reads holds the data: a manifest apart from its
        # data is for a rebuild.
        self.blobs = {name: data for name, data in added.items() if len(data) > min(size, 8192)}
        self.others = {name: data for name, data in added.items() if name not in self.blobs}

    def put(self, body):
        answer = wire.request(self.gateway, "PUT", self.path, body, PK)
        assert answer.status == 200, answer

    def get(self):
        """Status, error code and body; a connection cut off in the middle is `ABORTED`."""
        try:
            answer = wire.request(self.gateway, "GET", self.path)
        except (http.client.IncompleteRead, ConnectionError):
            return ABORTED, None, None
        return answer.status, answer.code, answer.body

    def assert_intact(self):
        status, _, body = self.get()
        assert status == 200 and body == self.body

    def assert_refused(self, what):
        status, code, body = self.get()
        if status == ABORTED:
            return
        assert body != self.body, f"{what} went unnoticed"
        assert status in (500, 502, 503), f"{what}: {status} {len(body)} bytes"
        assert code in ("InternalError", "ServiceUnavailable"), f"{what}: {code}"


def flipped(data, position, mask=0x01):
    return data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]


@pytest.fixture
def stored(gateway, request):
    Stored(gateway, "first", 10)  # so that the person's wrapped key is there already
    return Stored(gateway, "tampered", request.param)


def each(stored):
    assert stored.blobs
    return stored.blobs.items()


@pytest.mark.parametrize("stored", [WHOLE], indirect=True)
def test_every_flipped_byte_of_a_small_record(stored):
    for name, data in each(stored):
        for position in range(len(data)):
            stored.site.write(name, flipped(data, position, 1 << position % 8))
            stored.assert_refused(f"a flip at {position} of {len(data)}")
        stored.site.write(name, data)
    stored.assert_intact()


@pytest.mark.parametrize("stored", [SEGMENTS, EXTENTS], indirect=True)
def test_flipped_bytes_of_larger_records(stored):
    chosen = random.Random(7)
    for name, data in each(stored):
        head = range(0, min(600, len(data)), 13)
        borders = [at + near for at in range(65_536, len(data), 65_536) for near in (-16, -1, 0, 1)]
        inside = [chosen.randrange(len(data)) for _ in range(40)]
        positions = [*head, *chosen.sample(borders, min(40, len(borders))), *inside, *range(len(data) - 17, len(data))]
        for position in positions:
            if position < len(data):
                stored.site.write(name, flipped(data, position))
                stored.assert_refused(f"a flip at {position} of {len(data)}")
        stored.site.write(name, data)
    stored.assert_intact()


@pytest.mark.parametrize("stored", [WHOLE, SEGMENTS, EXTENTS], indirect=True)
def test_truncation_extension_and_loss(stored):
    for name, data in each(stored):
        cuts = {0, 1, 8, 14, 100, len(data) // 2, len(data) - 65_536, len(data) - 16, len(data) - 1}
        for length in sorted(cut for cut in cuts if 0 <= cut < len(data)):
            stored.site.write(name, data[:length])
            stored.assert_refused(f"a cut to {length} of {len(data)}")
        for tail in (b"\0", b"x" * 16, data[-65_536:], data):
            stored.site.write(name, data + tail)
            stored.assert_refused(f"{len(tail)} more bytes")
        for tail in (b"\0", b"x" * 16):
            stored.site.write(name, tail + data)
            stored.assert_refused(f"{len(tail)} bytes in front")
        (stored.site.folder / name).unlink()
        stored.assert_refused("a lost blob")
        stored.site.write(name, data)
    stored.assert_intact()


@pytest.mark.parametrize("stored", [SEGMENTS], indirect=True)
def test_segments_exchanged_dropped_and_doubled(stored):
    for name, data in each(stored):
        # The stream ends the blob; its segments but the first and the last are 64 KiB of ciphertext each.
        size = 65_536
        start = len(data) - size * 3
        for first, second in itertools.combinations(range(3), 2):
            pieces = [data[start + at * size :][:size] for at in range(3)]
            pieces[first], pieces[second] = pieces[second], pieces[first]
            stored.site.write(name, data[:start] + b"".join(pieces))
            stored.assert_refused(f"segments {first} and {second} exchanged")
        stored.site.write(name, data[:start] + data[start + size :])
        stored.assert_refused("a segment dropped")
        stored.site.write(name, data[:start] + data[start : start + size] + data[start:])
        stored.assert_refused("a segment doubled")
        stored.site.write(name, data)


def test_blobs_of_two_records_exchanged(gateway):
    Stored(gateway, "first", 10)
    one, two = Stored(gateway, "one", SEGMENTS), Stored(gateway, "two", SEGMENTS)
    (name_one, data_one), (name_two, data_two) = [next(iter(each(stored))) for stored in (one, two)]
    assert len(data_one) == len(data_two)
    one.site.write(name_one, data_two)
    one.site.write(name_two, data_one)
    for stored in (one, two):
        stored.assert_refused("an exchange of two records' blobs")


def test_extents_of_one_record_exchanged(gateway):
    Stored(gateway, "first", 10)
    stored = Stored(gateway, "large", 16 << 20)
    (name_one, data_one), (name_two, data_two) = each(stored)
    assert len(data_one) == len(data_two)
    stored.site.write(name_one, data_two)
    stored.site.write(name_two, data_one)
    stored.assert_refused("an exchange of extents")


def test_an_old_blob_put_back(gateway):
    """What an overwritten version left does not open as the new one."""
    Stored(gateway, "first", 10)
    old, new = Stored(gateway, "key", SEGMENTS, seed=1), Stored(gateway, "key", SEGMENTS, seed=2)
    new.assert_intact()
    (_, old_data), (new_name, new_data) = next(iter(each(old))), next(iter(each(new)))
    new.site.write(new_name, old_data)
    new.assert_refused("an old blob")
    new.site.write(new_name, new_data)
    new.assert_intact()


def test_what_a_read_does_not_need_cannot_make_it_wrong(gateway):
    """Manifests apart from their data, wrapped keys, the marker: broken or gone, a GET is right or an error."""
    stored = Stored(gateway, "tampered", EXTENTS)
    assert stored.others, "a record of many extents has a manifest of its own"
    untouched = {name: data for name, data in stored.site.blobs().items() if name not in stored.blobs}
    for name, data in untouched.items():
        for broken in (b"", data[:-1], flipped(data, len(data) // 2) if data else b"x"):
            stored.site.write(name, broken)
            status, _, body = stored.get()
            assert status != 200 or body == stored.body, f"wrong data with {name} broken"
        stored.site.write(name, data)
    stored.assert_intact()


def test_ranges_of_a_tampered_record_are_right_or_refused(gateway):
    stored = Stored(gateway, "tampered", SEGMENTS)
    name, data = next(iter(each(stored)))
    chosen = random.Random(11)
    refused = 0
    for _ in range(60):
        stored.site.write(name, flipped(data, chosen.randrange(len(data))))
        first = chosen.randrange(SEGMENTS)
        last = chosen.randrange(first, SEGMENTS)
        try:
            answer = wire.request(gateway, "GET", stored.path, headers={"range": f"bytes={first}-{last}"})
        except (http.client.IncompleteRead, ConnectionError):
            refused += 1
            continue
        if answer.status == 206:
            assert answer.body == stored.body[first : last + 1]
        else:
            assert answer.code in ("InternalError", "ServiceUnavailable")
            refused += 1
    assert refused, "no range touched a flipped byte: the test shows nothing"


def test_a_tampered_source_is_not_copied(gateway):
    Stored(gateway, "first", 10)
    stored = Stored(gateway, "source", SEGMENTS)
    name, data = next(iter(each(stored)))
    stored.site.write(name, flipped(data, len(data) - 5))
    answer = wire.request(gateway, "PUT", "/media/target", headers={**PK, "x-amz-copy-source": "/media/source"})
    assert answer.code in ("InternalError", "ServiceUnavailable"), answer
    assert wire.request(gateway, "GET", "/media/target").status == 404
