//! The streams are Tink's: PyPI `tink` opens ours (`tests/tink_interop.py` reads what the first test writes) and we open its.

use std::{env, fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use serde_json::{Value, json};

use super::*;
use crate::seal::stream::{HEADER_LEN, SEGMENT_LEN, StreamKey};

/// `DOMICILE_TINK_VECTORS`, or `target/tink-vectors` in the package.
fn folder() -> PathBuf {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tink-vectors");
    env::var_os("DOMICILE_TINK_VECTORS").map_or_else(default, PathBuf::from)
}

#[test]
fn writes_streams_for_tink() {
    let world = world();
    fs::create_dir_all(folder()).unwrap();
    for size in SIZES {
        let plain = pattern(size);
        let id = ExtentId { extent: size as u32, ..world.id() };
        let blob = world.seal(id, &plain, None);
        let vector = json!({
            "key": STANDARD.encode(world.key.dek().secret().expose()),
            "associated_data": STANDARD.encode(id.associated_data(world.key.country())),
            "plain": STANDARD.encode(&plain),
            "stream": STANDARD.encode(&blob.pieces()[1]),
        });
        fs::write(folder().join(format!("{size}.json")), vector.to_string()).unwrap();
    }
}

/// The fixture was written by PyPI `tink` 1.16.1: `tests/tink_interop.py write`.
#[test]
fn opens_streams_that_tink_wrote() {
    let fixture: Vec<Value> = serde_json::from_str(include_str!("../../../tests/tink_interop.json")).unwrap();
    assert!(fixture.len() >= 4);
    for vector in fixture {
        let field = |name: &str| STANDARD.decode(vector[name].as_str().unwrap()).unwrap();
        let (dek, data, stream) = (SecretKey::from_slice(&field("key")).unwrap(), field("associated_data"), field("stream"));
        let segments = stream.len().div_ceil(SEGMENT_LEN);
        let key = StreamKey::from_header(&dek, &data, stream[..HEADER_LEN].try_into().unwrap()).unwrap();
        let mut opened = Vec::new();
        for (number, segment) in stream.chunks(SEGMENT_LEN).enumerate() {
            let mut segment = BytesMut::from(if number == 0 { &segment[HEADER_LEN..] } else { segment });
            key.open(&mut segment, number as u64, number + 1 == segments).unwrap();
            opened.extend_from_slice(&segment);
        }
        assert_eq!(stream.len() as u64, stream_len(opened.len() as u64));
        assert_eq!(crate::digest::sha256(&opened), field("plain_sha256")[..], "{} bytes", opened.len());
    }
}
