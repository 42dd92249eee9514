//! Blobs written by every version of the format so far still open.
//!
//! A fixture is never written again; a new version of the format adds one.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::*;

const PLAIN: &[u8] = b"what version 1 wrote, every later version reads";
const MANIFEST: &[u8] = b"and its manifest";

#[test]
fn opens_blobs_of_version_1() {
    let fixture: Value = serde_json::from_str(include_str!("blob-v1.json")).unwrap();
    let field = |name: &str| STANDARD.decode(fixture[name].as_str().unwrap()).unwrap();
    let blob = field("blob");
    let head = parse_head(&blob).unwrap();
    let key = head.record_key(Dek::from_secret(SecretKey::from_slice(&field("key")).unwrap())).unwrap();
    assert_eq!(head.open_manifest(&key).unwrap().unwrap(), MANIFEST);
    assert_eq!(BlobName::of(head.country(), head.id()).to_string(), fixture["name"]);

    let plan = ReadPlan::new(head.len() as u32, head.plain_len(), 0..head.plain_len());
    plan.check_total(blob.len() as u64).unwrap();
    let mut opener = ExtentOpener::new(*head.id(), head.country(), &key, &plan).unwrap();
    let mut out = Vec::new();
    opener.push(Bytes::from(blob), &mut out).unwrap();
    opener.finish().unwrap();
    assert_eq!(out.concat(), PLAIN);
}
