"""Opens our streams with PyPI `tink`.

    cargo test --lib seal::tests::interop     # writes target/tink-vectors/*.json
    pytest tests/tink_interop.py              # opens them

`python tests/tink_interop.py write` makes the streams that the Rust test opens (tests/tink_interop.json).
"""

import base64
import hashlib
import io
import json
import os
import pathlib
import sys

import pytest
import tink
from tink import cleartext_keyset_handle, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = pathlib.Path(os.environ.get("DOMICILE_TINK_VECTORS", HERE.parent / "target" / "tink-vectors"))
SEGMENT = 64 * 1024

streaming_aead.register()


def primitive(key: bytes):
    """AES256_GCM_HKDF over `key` with HKDF-SHA-256 and 64 KiB ciphertext segments."""
    params = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=SEGMENT, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
    )
    value = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, params=params, key_value=key)
    data = tink_pb2.KeyData(
        type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
        value=value.SerializeToString(),
        key_material_type=tink_pb2.KeyData.SYMMETRIC,
    )
    entry = tink_pb2.Keyset.Key(key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
    keyset = tink_pb2.Keyset(primary_key_id=1, key=[entry])
    handle = cleartext_keyset_handle.read(tink.BinaryKeysetReader(keyset.SerializeToString()))
    return handle.primitive(streaming_aead.StreamingAead)


def opened(vector: dict, stream: bytes) -> bytes:
    key, data = base64.b64decode(vector["key"]), base64.b64decode(vector["associated_data"])
    with primitive(key).new_decrypting_stream(io.BytesIO(stream), data) as reader:
        return reader.read()


def vectors() -> list[pathlib.Path]:
    return sorted(VECTORS.glob("*.json"), key=lambda path: int(path.stem))


def test_there_are_vectors():
    assert len(vectors()) >= 10, f"run `cargo test --lib seal::tests::interop` first: nothing in {VECTORS}"


@pytest.mark.parametrize("path", vectors(), ids=lambda path: path.stem)
def test_tink_opens_our_stream(path):
    vector = json.loads(path.read_text())
    stream = base64.b64decode(vector["stream"])
    assert opened(vector, stream) == base64.b64decode(vector["plain"])
    altered = stream[:-1] + bytes([stream[-1] ^ 1])
    with pytest.raises(Exception):
        opened(vector, altered)


def write() -> None:
    """One segment, exactly one full segment, two: enough to meet every rule of the format."""
    fixture = []
    for size in (0, 1, 65_480, 65_481):
        key, data, plain = os.urandom(32), b"associated %d" % size, bytes(i * 7 % 251 for i in range(size))
        sealed = io.BytesIO()
        sealed.close = lambda: None
        with primitive(key).new_encrypting_stream(sealed, data) as writer:
            writer.write(plain)
        fields = {"key": key, "associated_data": data, "plain_sha256": hashlib.sha256(plain).digest(), "stream": sealed.getvalue()}
        fixture.append({name: base64.b64encode(value).decode() for name, value in fields.items()})
    (HERE / "tink_interop.json").write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__" and sys.argv[1:] == ["write"]:
    write()
