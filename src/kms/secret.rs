//! Key bytes that wipe themselves.

use std::fmt;

use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::digest;

/// 32 bytes of key. Wiped on drop, never shown, never serialised, copied only by an explicit `clone`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey(Box<[u8; 32]>);

impl SecretKey {
    /// A fresh random key.
    pub fn random() -> Self {
        let mut bytes = digest::random();
        Self::take(&mut bytes)
    }

    /// Takes key bytes and wipes the place they came from.
    pub fn take(bytes: &mut [u8; 32]) -> Self {
        let key = Self(Box::new(*bytes));
        bytes.zeroize();
        key
    }

    /// Copies key bytes; `None` unless there are 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut copy: [u8; 32] = bytes.try_into().ok()?;
        Some(Self::take(&mut copy))
    }

    /// The key bytes, for the moment of their use.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key for another purpose, derived by HKDF-SHA-256; `info` names the purpose and must be unique to it.
    pub fn derive(&self, salt: &[u8], info: &[&[u8]]) -> Self {
        let mut out = [0; 32];
        digest::hkdf_sha256(self.expose(), salt, info, &mut out);
        Self::take(&mut out)
    }

    /// The AES-256-GCM key schedule. `ring` does not wipe it: keep it no longer than its use.
    pub(crate) fn aes_gcm(&self) -> Result<LessSafeKey, ring::error::Unspecified> {
        UnboundKey::new(&AES_256_GCM, self.expose()).map(LessSafeKey::new)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_not_shown_and_wipes_its_source() {
        let mut bytes = [7; 32];
        let key = SecretKey::take(&mut bytes);
        assert_eq!(bytes, [0; 32]);
        assert_eq!(key.expose(), &[7; 32]);
        assert_eq!(format!("{key:?}"), "SecretKey([redacted])");
        assert!(SecretKey::from_slice(&[0; 31]).is_none());
        assert_ne!(key.derive(b"", &[b"a"]).expose(), key.derive(b"", &[b"b"]).expose());
    }
}
