//! Row values at rest: AES-256-GCM under a key of the session that wrote them.
//!
//! `version (1) | session (4) | counter (8) | ciphertext and tag`, with the row's key as associated data, so that a value moved to
//! another row does not open. Each opening of the index draws a fresh salt and so a fresh key; the counter is the nonce and unique
//! in a session.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::IndexError;
use crate::{digest, kms::SecretKey};

const VERSION: u8 = 1;
const HEAD: usize = 1 + 4 + 8;

/// Seals and opens row values.
pub(super) struct Sealing {
    sessions: HashMap<u32, LessSafeKey>,
    current: u32,
    counter: AtomicU64,
}

thread_local! {
    /// Where values are opened, so that a read allocates only what it returns.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Sealing {
    /// `salts` of all sessions so far, of which `current` is the one that has just been added.
    pub(super) fn new(index_key: &SecretKey, salts: &[(u32, [u8; 32])], current: u32) -> Result<Self, IndexError> {
        let mut sessions = HashMap::with_capacity(salts.len());
        for (id, salt) in salts {
            let mut key = [0; 32];
            digest::hkdf_sha256(index_key.expose(), salt, &[b"domicile index rows v1"], &mut key);
            let key = SecretKey::take(&mut key);
            let key = UnboundKey::new(&AES_256_GCM, key.expose()).map_err(|_| IndexError::Crypto)?;
            sessions.insert(*id, LessSafeKey::new(key));
        }
        Ok(Self { sessions, current, counter: AtomicU64::new(0) })
    }

    pub(super) fn seal(&self, row: &[u8], plain: &[u8]) -> Result<Vec<u8>, IndexError> {
        let key = self.sessions.get(&self.current).ok_or(IndexError::Crypto)?;
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        let mut out = Vec::with_capacity(HEAD + plain.len() + AES_256_GCM.tag_len());
        out.push(VERSION);
        out.extend_from_slice(&self.current.to_be_bytes());
        out.extend_from_slice(&counter.to_be_bytes());
        out.extend_from_slice(plain);
        let body = out.get_mut(HEAD..).ok_or(IndexError::Crypto)?;
        let tag = key.seal_in_place_separate_tag(nonce(counter), Aad::from(row), body).map_err(|_| IndexError::Crypto)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens a value and shows its plaintext to `read`.
    pub(super) fn open<T>(
        &self,
        row: &[u8],
        sealed: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        let corrupt = || IndexError::Corrupt { kind: row.first().copied().map_or('?', char::from) };
        let (head, body) = sealed.split_first_chunk::<HEAD>().ok_or_else(corrupt)?;
        let [VERSION, head @ ..] = head else { return Err(corrupt()) };
        let (session, counter) = head.split_first_chunk::<4>().ok_or_else(corrupt)?;
        let counter = u64::from_be_bytes(counter.try_into().map_err(|_| corrupt())?);
        let key = self.sessions.get(&u32::from_be_bytes(*session)).ok_or_else(corrupt)?;
        let mut scratch = SCRATCH.take();
        scratch.clear();
        scratch.extend_from_slice(body);
        let result = match key.open_in_place(nonce(counter), Aad::from(row), &mut scratch) {
            Ok(plain) => read(plain),
            Err(_) => Err(corrupt()),
        };
        // One large part table must not stay with every thread.
        if scratch.capacity() <= 64 * 1024 {
            SCRATCH.replace(scratch);
        }
        result
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_in_its_own_row_only_and_unchanged_only() {
        let sealing = Sealing::new(&SecretKey::random(), &[(0, [1; 32]), (1, [2; 32])], 1).unwrap();
        let sealed = sealing.seal(b"row", b"value").unwrap();
        let open = |row: &[u8], sealed: &[u8]| sealing.open(row, sealed, |plain| Ok(plain.to_vec()));
        assert_eq!(open(b"row", &sealed).unwrap(), b"value");
        assert!(open(b"raw", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(b"row", &changed).is_err(), "byte {at}");
            assert!(open(b"row", &sealed[..at]).is_err(), "cut at {at}");
        }
        assert_ne!(sealing.seal(b"row", b"value").unwrap(), sealed);
    }
}
