//! What every installation holds before something fails: acknowledged, and to be found again.

use aws_sdk_s3::{Client, error::ProvideErrorMetadata};
use domicile::digest::Md5;

use crate::acts::Act;

pub(crate) const BUCKET: &str = "media";
/// A bucket without records.
pub(crate) const EMPTY: &str = "empty";
/// Larger than an extent of 8 MiB, so that it is cut into two.
pub(crate) const LARGE: usize = (8 << 20) + 100_000;
const KEPT: &[(&str, usize)] = &[("users/kept/small", 1000), ("users/kept/large", LARGE)];
/// Where copies are queued, only what the test itself writes shall have any.
const KEPT_WITHOUT_QUEUE: &[(&str, usize)] = &[("users/abroad/small", 1000)];
/// The record that is overwritten and deleted.
pub(crate) const DOOMED: &str = "users/kept/doomed";
/// The record of the subject that moves.
pub(crate) const MOVED: &str = "users/abroad/large";
/// The keys of the subject that is erased begin so.
pub(crate) const ERASED: &str = "users/erased/";
/// The key of the one open upload, which has its part 1.
pub(crate) const UPLOAD: &str = "users/kept/upload";
pub(crate) const PART: usize = 5 << 20;

/// Buckets, records and an upload, for `act` to work on.
pub(crate) async fn prepare(client: &Client, act: Act) {
    for bucket in [BUCKET, EMPTY] {
        client.create_bucket().bucket(bucket).send().await.unwrap();
    }
    for (key, len) in kept(act) {
        put(client, key, *len, 0).await.unwrap();
    }
    if act == Act::Queue {
        return;
    }
    put(client, DOOMED, 5000, 0).await.unwrap();
    if act == Act::Move {
        put(client, MOVED, LARGE, 0).await.unwrap();
    }
    if act == Act::Erase {
        for number in 0..3 {
            put(client, &format!("{ERASED}{number}"), if number == 0 { LARGE } else { 100 }, 0).await.unwrap();
        }
        create_upload(client, &format!("{ERASED}upload")).await.unwrap();
    }
    let upload = create_upload(client, UPLOAD).await.unwrap();
    let part = client.upload_part().bucket(BUCKET).key(UPLOAD).upload_id(upload).part_number(1);
    part.body(body(UPLOAD, PART, 1).into()).send().await.unwrap();
}

/// Everything that nothing was done to is as it was.
pub(crate) async fn check(client: &Client, act: Act) {
    for (key, len) in kept(act) {
        assert!(read(client, key).await.unwrap() == body(key, *len, 0), "{key} is not what it was");
    }
}

fn kept(act: Act) -> &'static [(&'static str, usize)] {
    if act == Act::Queue { KEPT_WITHOUT_QUEUE } else { KEPT }
}

/// Keys as a listing shows them.
pub(crate) async fn keys(client: &Client) -> Vec<String> {
    let listed = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
}

/// Writes a record; the error is its code.
pub(crate) async fn put(client: &Client, key: &str, len: usize, seed: u8) -> Result<(), String> {
    let put = client.put_object().bucket(BUCKET).key(key).metadata("domicile-residence", residence(key));
    put.body(body(key, len, seed).into()).send().await.map(drop).map_err(code)
}

pub(crate) async fn create_upload(client: &Client, key: &str) -> Result<String, String> {
    let create = client.create_multipart_upload().bucket(BUCKET).key(key).metadata("domicile-residence", residence(key));
    Ok(create.send().await.map_err(code)?.upload_id().unwrap().to_owned())
}

/// The record's bytes; `None` when there is none.
pub(crate) async fn read(client: &Client, key: &str) -> Option<Vec<u8>> {
    match client.get_object().bucket(BUCKET).key(key).send().await {
        Ok(got) => Some(got.body.collect().await.unwrap().to_vec()),
        Err(error) if error.code() == Some("NoSuchKey") => None,
        Err(error) => panic!("reading {key}: {error:?}"),
    }
}

pub(crate) fn code<E: ProvideErrorMetadata + std::fmt::Debug>(error: E) -> String {
    error.code().map_or_else(|| format!("{error:?}"), str::to_owned)
}

/// Bytes of which no 8 in a row come twice, others for each key and seed.
pub(crate) fn body(key: &str, len: usize, seed: u8) -> Vec<u8> {
    let start = key.bytes().fold(u64::from(seed), |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))) << 24;
    let words = (0..len.div_ceil(8) as u64).map(|n| (start | n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_be_bytes).take(len).collect()
}

fn residence(key: &str) -> &'static str {
    if key.starts_with("users/abroad/") { "SG" } else { "PK" }
}

/// The entity tag of those bytes.
pub(crate) fn etag(key: &str, len: usize, seed: u8) -> String {
    let mut md5 = Md5::new();
    md5.update(&body(key, len, seed));
    hex::encode(md5.finish())
}
