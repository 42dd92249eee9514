//! The chain of signatures inside an aws-chunked body ("Signature Calculations for the Authorization Header: Transferring Payload
//! in Multiple Chunks").

use std::{fmt, sync::Arc};

use ring::{
    digest::{Context, SHA256, digest},
    hmac::{Key, verify},
};

use super::authorization::Signature;

/// A chunk or trailer whose signature is not the one that the request's signing key gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature of a chunk or trailer does not match")]
pub struct SignatureMismatch;

/// Checks chunk after chunk; each signature covers the one before it, the first that of the request. Hand it the data of a chunk as
/// it comes, then the chunk's signature.
#[derive(Clone)]
pub struct ChunkSigner {
    key: Arc<Key>,
    /// The date and scope lines, which all strings to sign share.
    scope: Vec<u8>,
    previous: Signature,
    /// Boxed because it is large, and the signer is moved from hand to hand.
    data: Box<Context>,
}

/// SHA-256 of nothing, in hex: the place in a chunk's string to sign where headers could have been.
const EMPTY_SHA256: &[u8] = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl ChunkSigner {
    pub(super) fn new(key: Arc<Key>, scope: Vec<u8>, seed: Signature) -> Self {
        Self { key, scope, previous: seed, data: Box::new(Context::new(&SHA256)) }
    }

    /// Takes the next bytes of the current chunk's data.
    pub fn update(&mut self, data: &[u8]) {
        self.data.update(data);
    }

    /// Ends the current chunk and begins the next.
    pub fn verify_chunk(&mut self, signature: &Signature) -> Result<(), SignatureMismatch> {
        let data = std::mem::replace(&mut *self.data, Context::new(&SHA256)).finish();
        self.verify(b"AWS4-HMAC-SHA256-PAYLOAD\n", &[EMPTY_SHA256, b"\n"], data.as_ref(), signature)
    }

    /// Checks the trailers, after the last chunk. `canonical` is `name:value\n` of each in the order sent, names in lower case.
    pub fn verify_trailer(&mut self, canonical: &[u8], signature: &Signature) -> Result<(), SignatureMismatch> {
        self.verify(b"AWS4-HMAC-SHA256-TRAILER\n", &[], digest(&SHA256, canonical).as_ref(), signature)
    }

    fn verify(&mut self, kind: &[u8], middle: &[&[u8]], hash: &[u8], signature: &Signature) -> Result<(), SignatureMismatch> {
        verify(&self.key, &self.string_to_sign(kind, middle, hash), &signature.0).map_err(|_| SignatureMismatch)?;
        self.previous = *signature;
        Ok(())
    }

    fn string_to_sign(&self, kind: &[u8], middle: &[&[u8]], hash: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(320);
        text.extend_from_slice(kind);
        text.extend_from_slice(&self.scope);
        push_hex(&mut text, &self.previous.0);
        text.push(b'\n');
        middle.iter().for_each(|part| text.extend_from_slice(part));
        push_hex(&mut text, hash);
        text
    }
}

/// The client's side of the chain, for tests of decoders.
#[cfg(test)]
impl ChunkSigner {
    pub(crate) fn for_test() -> Self {
        let key = Key::new(ring::hmac::HMAC_SHA256, b"test");
        Self::new(Arc::new(key), b"20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n".to_vec(), Signature([7; 32]))
    }

    pub(crate) fn sign_chunk(&mut self, data: &[u8]) -> String {
        let hash = digest(&SHA256, data);
        self.sign(b"AWS4-HMAC-SHA256-PAYLOAD\n", &[EMPTY_SHA256, b"\n"], hash.as_ref())
    }

    pub(crate) fn sign_trailer(&mut self, canonical: &[u8]) -> String {
        self.sign(b"AWS4-HMAC-SHA256-TRAILER\n", &[], digest(&SHA256, canonical).as_ref())
    }

    fn sign(&mut self, kind: &[u8], middle: &[&[u8]], hash: &[u8]) -> String {
        let tag = ring::hmac::sign(&self.key, &self.string_to_sign(kind, middle, hash));
        self.previous.0.copy_from_slice(tag.as_ref());
        hex::encode(tag)
    }
}

impl fmt::Debug for ChunkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkSigner")
    }
}

/// Appends lower-case hex.
pub(super) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]));
}
