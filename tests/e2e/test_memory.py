"""Bodies of any size, and many at once, stay within the memory that is configured."""

import concurrent.futures
import hashlib
import http.client

import wire

MIB = 1 << 20
BUDGET, INDEX_CACHE, REST = 128 * MIB, 256 * MIB, 200 * MIB
METADATA = {"x-amz-meta-domicile-subject": "amna", "x-amz-meta-domicile-residence": "PK"}


def pieces(size, seed):
    """`size` bytes, a MiB at a time, no two MiB alike."""
    block = bytearray(hashlib.shake_256(str(seed).encode()).digest(MIB))
    for number in range(size // MIB):
        block[:8] = number.to_bytes(8, "big")
        yield bytes(block)


def digest(stream):
    state, length = hashlib.sha256(), 0
    for piece in stream:
        state.update(piece)
        length += len(piece)
    return length, state.hexdigest()


def exchange(gateway, method, path, headers, body=None):
    """One request on a connection of its own, its body streamed; the answer is not read yet."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.s3_port, timeout=600)
    connection.request(method, path, body=body, headers=wire.sign(gateway, method, path, headers))
    return connection, connection.getresponse()


def put(gateway, path, size, seed):
    headers = {**METADATA, "content-length": str(size)}
    connection, answer = exchange(gateway, "PUT", path, headers, pieces(size, seed))
    assert answer.status == 200, answer.read()
    connection.close()


def assert_reads_back(gateway, path, size, seed):
    connection, answer = exchange(gateway, "GET", path, {})
    assert answer.status == 200
    assert digest(iter(lambda: answer.read(MIB), b"")) == digest(pieces(size, seed))
    connection.close()


def assert_within_bounds(gateway):
    peak = gateway.peak_memory()
    print(f"peak resident memory: {peak / MIB:.0f} MiB of {(BUDGET + INDEX_CACHE + REST) / MIB:.0f}")
    assert peak <= BUDGET + INDEX_CACHE + REST


def test_a_body_larger_than_memory(make_gateway, full):
    gateway = make_gateway(memory="128MiB")
    gateway.client().create_bucket(Bucket="media")
    size = 5 << 30 if full else 1 << 30
    put(gateway, "/media/large", size, 1)
    assert_reads_back(gateway, "/media/large", size, 1)
    assert_within_bounds(gateway)


def test_many_uploads_and_downloads_at_once(make_gateway, full):
    gateway = make_gateway(memory="128MiB")
    gateway.client().create_bucket(Bucket="media")
    count, size = (32, 256 * MIB) if full else (16, 64 * MIB)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda number: put(gateway, f"/media/{number}", size, number), range(count)))
        assert_within_bounds(gateway)
        list(pool.map(lambda number: assert_reads_back(gateway, f"/media/{number}", size, number), range(count)))
    assert_within_bounds(gateway)


def test_clients_that_read_nothing_hold_no_memory(make_gateway):
    gateway = make_gateway(memory="128MiB")
    gateway.client().create_bucket(Bucket="media")
    size = 64 * MIB
    put(gateway, "/media/large", size, 1)
    idle = [exchange(gateway, "GET", "/media/large", {}) for _ in range(12)]
    assert all(answer.status == 200 for _, answer in idle)
    assert_within_bounds(gateway)
    for connection, _ in idle:
        connection.close()
    assert_reads_back(gateway, "/media/large", size, 1)
    assert_within_bounds(gateway)
