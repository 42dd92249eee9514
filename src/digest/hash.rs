//! SHA-256, HMAC, HKDF and MD5.

use md5::Digest;
use ring::{digest, hmac};

/// SHA-256 of `data` (FIPS 180-4).
pub fn sha256(data: &[u8]) -> [u8; 32] {
    to_array(digest::digest(&digest::SHA256, data).as_ref())
}

/// SHA-256 over data that arrives in pieces.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Sha256 {
    /// Starts with no data.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Takes the next piece.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The hash of all pieces.
    pub fn finish(self) -> [u8; 32] {
        to_array(self.0.finish().as_ref())
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

/// HMAC-SHA-256 (RFC 2104) over `parts`, one after the other. The parts are not delimited: a caller that hashes variable-length
/// fields writes their lengths too.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    hmac_parts(&hmac::Key::new(hmac::HMAC_SHA256, key), parts)
}

/// HKDF-SHA-256 (RFC 5869): extract from `ikm` with `salt`, expand with the concatenation of `info`. More than the 8160 bytes
/// that the RFC allows does not compile.
pub fn hkdf_sha256<const N: usize>(ikm: &[u8], salt: &[u8], info: &[&[u8]], out: &mut [u8; N]) {
    const { assert!(N <= 255 * 32, "HKDF-SHA-256 gives at most 8160 bytes") };
    let extracted = hmac::Key::new(hmac::HMAC_SHA256, &hmac_sha256(salt, &[ikm]));
    let mut previous = [0; 32];
    for (index, block) in out.chunks_mut(32).enumerate() {
        let mut context = hmac::Context::with_key(&extracted);
        if index > 0 {
            context.update(&previous);
        }
        for part in info {
            context.update(part);
        }
        context.update(&[u8::try_from(index + 1).unwrap_or(u8::MAX)]);
        previous = to_array(context.sign().as_ref());
        block.copy_from_slice(&previous[..block.len()]);
    }
    zeroize::Zeroize::zeroize(&mut previous);
}

/// Whether two byte strings are equal, in a time that depends on their lengths alone.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (x, y)| std::hint::black_box(differences | (x ^ y))) == 0
}

/// MD5 (RFC 1321) over data that arrives in pieces. For ETags and `Content-MD5` only: it protects nothing.
#[derive(Clone, Default)]
pub struct Md5(md5::Md5);

impl Md5 {
    /// Starts with no data.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The hash of all pieces.
    pub fn finish(self) -> [u8; 16] {
        self.0.finalize().into()
    }
}

fn hmac_parts(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    to_array(context.sign().as_ref())
}

/// `ring` gives digests as slices whose length their algorithm fixes.
fn to_array<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    let length = digest.len().min(N);
    array[..length].copy_from_slice(&digest[..length]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_and_md5_match_their_standards_in_one_piece_and_in_many() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(sha256(b"abc")), expected);
        let mut streaming = Sha256::new();
        streaming.update(b"a");
        streaming.update(b"bc");
        assert_eq!(hex::encode(streaming.finish()), expected);

        let mut md5 = Md5::new();
        md5.update(b"message ");
        md5.update(b"digest");
        assert_eq!(hex::encode(md5.finish()), "f96b697d7cb7938d525a2f31aaf161d0");
        assert_eq!(hex::encode(Md5::new().finish()), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn hmac_matches_rfc_4231_case_2() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"])), expected);
    }

    #[test]
    fn hkdf_matches_rfc_5869_cases_1_and_3() {
        let salt = hex::decode("000102030405060708090a0b0c").unwrap();
        let info = hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap();
        let mut out = [0; 42];
        hkdf_sha256(&[0x0b; 22], &salt, &[&info[..4], &info[4..]], &mut out);
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(hex::encode(out), expected);
        hkdf_sha256(&[0x0b; 22], &[], &[], &mut out);
        let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
        assert_eq!(hex::encode(out), expected);
    }

    #[test]
    fn constant_time_eq_sees_every_difference() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(&[1, 2, 3], &[1, 2, 3]));
        assert!(!constant_time_eq(&[1, 2, 3], &[1, 2, 3, 0]));
        for bit in 0..24 {
            let mut other = [1, 2, 3];
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!constant_time_eq(&[1, 2, 3], &other), "bit {bit}");
        }
    }
}
