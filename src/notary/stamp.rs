//! Asks a time-stamping authority when a checkpoint was there (RFC 3161).
//!
//! The whole answer is kept, and is proof by itself: `openssl ts -verify` holds it against the authority's certificate. Here it is only looked
//! at whether it answers the question.

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};

use super::{
    MOST_BYTES, PATIENCE, causes,
    der::{GENERALIZED_TIME, INTEGER, OCTET_STRING, SEQUENCE, TAGGED_0, Values, value},
};
use crate::{
    digest::{random, sha256},
    index::{KeptCheckpoint, TimeStamp},
    outbound::{HttpClient, client},
    types::Timestamp,
};

/// SHA-256, as an algorithm with no parameters: OID 2.16.840.1.101.3.4.2.1, NULL.
const SHA_256: [u8; 13] = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00];

/// A time-stamping authority.
pub struct Authority {
    http: HttpClient,
    url: String,
}

impl Authority {
    pub(super) fn new(url: String) -> Result<Self, String> {
        Ok(Self { http: client(url.starts_with("https:"), None)?, url })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn has_stamped(&self, kept: &KeptCheckpoint) -> bool {
        kept.stamps.iter().any(|stamp| stamp.by == self.url)
    }

    /// Has the text of a checkpoint stamped: its three lines, without the signatures.
    pub(super) async fn stamp(&self, text: &str) -> Result<TimeStamp, String> {
        let hash = sha256(text.as_bytes());
        let mut nonce: [u8; 8] = random();
        // A positive number in its shortest form.
        nonce[0] = (nonce[0] & 0x7F) | 0x40;
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(header::CONTENT_TYPE, "application/timestamp-query")
            .body(Full::new(Bytes::from(query(&hash, &nonce))))
            .map_err(|error| causes(&error))?;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| causes(&error))?;
            if !response.status().is_success() {
                return Err(format!("the authority answers with {}", response.status()));
            }
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
            Ok(body.map_err(|error| error.to_string())?.to_bytes())
        };
        let late = |_| format!("no answer within {} s", PATIENCE.as_secs());
        let answer = tokio::time::timeout(PATIENCE, exchange).await.map_err(late)??;
        let time = read(&answer, &hash, &nonce).ok_or("the authority's answer is no time stamp of this checkpoint")?;
        Ok(TimeStamp { by: self.url.clone(), time, answer: answer.to_vec() })
    }
}

/// `TimeStampReq`: version 1, the hash, a nonce, and that the certificate is wanted.
fn query(hash: &[u8; 32], nonce: &[u8; 8]) -> Vec<u8> {
    let imprint = value(SEQUENCE, &[value(SEQUENCE, &SHA_256), value(OCTET_STRING, hash)].concat());
    let version = value(INTEGER, &[1]);
    value(SEQUENCE, &[version, imprint, value(INTEGER, nonce), vec![0x01, 0x01, 0xFF]].concat())
}

/// The time that a `TimeStampResp` says, when it is about this hash and answers this query.
fn read(answer: &[u8], hash: &[u8; 32], nonce: &[u8; 8]) -> Option<Timestamp> {
    let mut response = Values(answer).enter(SEQUENCE)?;
    let status = response.enter(SEQUENCE)?.take(INTEGER)?;
    // Granted, or granted with modifications.
    if !matches!(status, [0 | 1]) {
        return None;
    }
    let mut content = response.enter(SEQUENCE)?;
    content.next()?;
    let mut signed = content.enter(TAGGED_0)?.enter(SEQUENCE)?;
    signed.next()?;
    signed.next()?;
    let mut inner = signed.enter(SEQUENCE)?;
    inner.next()?;
    let info = inner.enter(TAGGED_0)?.take(OCTET_STRING)?;
    let mut info = Values(info).enter(SEQUENCE)?;
    info.take(INTEGER)?;
    info.next()?;
    let mut imprint = info.enter(SEQUENCE)?;
    imprint.next()?;
    if imprint.take(OCTET_STRING)? != hash {
        return None;
    }
    info.take(INTEGER)?;
    let time = time(info.take(GENERALIZED_TIME)?)?;
    // What may stand before the nonce is of other kinds.
    loop {
        match info.next()? {
            (INTEGER, found) => return (found == nonce).then_some(time),
            (0x30 | 0x01, _) => {}
            _ => return None,
        }
    }
}

/// `YYYYMMDDhhmmss[.f…]Z`
fn time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if whole.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let (date, clock) = whole.split_at(8);
    let written =
        format!("{}-{}-{}T{}:{}:{}.{fraction}Z", &date[..4], &date[4..6], &date[6..], &clock[..2], &clock[2..4], &clock[4..]);
    Timestamp::parse_rfc3339(&written)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_is_the_one_that_openssl_makes() {
        // `openssl ts -query -digest 00…1f -sha256 -cert`, with the nonce below.
        let hash: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let made = hex::encode(query(&hash, &[0x41, 2, 3, 4, 5, 6, 7, 8]));
        let wanted = "3043020101\
                      3031300d060960864801650304020105000420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\
                      02084102030405060708\
                      0101ff";
        assert_eq!(made, wanted);
    }

    #[test]
    fn times_are_read() {
        assert_eq!(time(b"20261129090000Z"), Timestamp::parse_rfc3339("2026-11-29T09:00:00Z"));
        assert_eq!(time(b"20261129090000.5Z"), Timestamp::parse_rfc3339("2026-11-29T09:00:00.500Z"));
        for wrong in [&b"20261129090000"[..], b"2026112909Z", b"2026-11-29T0900Z", b"20261329090000Z", b"", b"Z"] {
            assert_eq!(time(wrong), None);
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_ends_the_program(bytes: Vec<u8>, nested in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&bytes, &[0; 32], &[0; 8]);
            let _ = read(&value(SEQUENCE, &value(SEQUENCE, &nested)), &[0; 32], &[0; 8]);
        }
    }
}
