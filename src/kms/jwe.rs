//! Wrapped keys as JSON Web Encryption (RFC 7516), so that other tools can open them with an exported key.
//!
//! Compact form, `alg` = `dir`, `enc` = `A256GCM`: the country key encrypts directly. The protected header also carries the
//! context, which is thereby authenticated.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::aead::{Aad, Nonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KmsError, SecretKey, WrapContext, WrappedKey};
use crate::{digest, types::KeyId};

pub(super) const NONCE_LEN: usize = 12;
pub(super) const TAG_LEN: usize = 16;

/// Far more than a real one has: a site's name of 64 bytes makes about 500.
const MAX_LEN: usize = 4096;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    kid: String,
    domicile: WrapContext,
}

/// The id of a key's version in a JWK or JWE; a [`KeyId`] has no `/`.
pub(super) fn kid(key: &KeyId, version: u32) -> String {
    format!("{key}/{version}")
}

/// The version in an id that [`kid`] made for the same key.
pub(super) fn version_in(kid: &str, key: &KeyId) -> Option<u32> {
    kid.strip_prefix(key.as_str())?.strip_prefix('/')?.parse().ok()
}

/// Encrypts `key` under `kek`.
pub(super) fn seal(kek: &SecretKey, kid: &str, context: &WrapContext, key: &SecretKey) -> Result<WrappedKey, KmsError> {
    let header = header(kid, context)?;
    let nonce: [u8; NONCE_LEN] = digest::random();
    let mut text = Zeroizing::new(*key.expose());
    let sealing = kek.aes_gcm()?;
    let tag = sealing.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&header), text.as_mut())?;
    Ok(join(&header, &nonce, &text[..], tag.as_ref()))
}

/// The encoded header, which whoever encrypts authenticates as it is.
pub(super) fn header(kid: &str, context: &WrapContext) -> Result<String, KmsError> {
    let header = Header { alg: "dir".into(), enc: "A256GCM".into(), kid: kid.into(), domicile: context.clone() };
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).map_err(|_| KmsError::Crypto)?))
}

/// The whole, from an encoded header and what was encrypted with it.
pub(super) fn join(header: &str, nonce: &[u8], text: &[u8], tag: &[u8]) -> WrappedKey {
    let [nonce, text, tag] = [nonce, text, tag].map(|part| URL_SAFE_NO_PAD.encode(part));
    WrappedKey::new(format!("{header}..{nonce}.{text}.{tag}"))
}

/// What has to be decrypted, for a key that this process does not hold.
#[derive(Debug)]
pub(super) struct Sealed {
    /// The encoded header, to be authenticated as it is.
    pub(super) header: String,
    pub(super) nonce: [u8; NONCE_LEN],
    /// With the tag behind it.
    pub(super) text: Vec<u8>,
}

/// Takes apart what was made under `context`, which is proven only when the text is decrypted with its header.
pub(super) fn split(context: &WrapContext, wrapped: &WrappedKey) -> Result<Sealed, KmsError> {
    let ([header, nonce, text, tag], parsed) = parse(wrapped)?;
    if parsed.domicile != *context {
        return Err(KmsError::WrongContext);
    }
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| KmsError::Corrupt);
    let (nonce, text, tag) = (decode(nonce)?, decode(text)?, decode(tag)?);
    if text.len() != 32 || tag.len() != TAG_LEN {
        return Err(KmsError::Corrupt);
    }
    Ok(Sealed { header: header.to_owned(), nonce: nonce.try_into().map_err(|_| KmsError::Corrupt)?, text: [text, tag].concat() })
}

/// The `kid` of a wrapped key, not yet authenticated.
pub(super) fn key_id(wrapped: &WrappedKey) -> Result<String, KmsError> {
    Ok(parse(wrapped)?.1.kid)
}

/// Decrypts what [`seal`] made under the same key and context.
pub(super) fn open(kek: &SecretKey, context: &WrapContext, wrapped: &WrappedKey) -> Result<SecretKey, KmsError> {
    let Sealed { header, nonce, text } = split(context, wrapped)?;
    let mut buffer = Zeroizing::new(text);
    let (nonce, header) = (Nonce::assume_unique_for_key(nonce), Aad::from(&header));
    let text = kek.aes_gcm()?.open_in_place(nonce, header, &mut buffer).map_err(|_| KmsError::Corrupt)?;
    SecretKey::from_slice(text).ok_or(KmsError::Corrupt)
}

/// The four non-empty fields, still encoded, and the decoded header.
fn parse(wrapped: &WrappedKey) -> Result<([&str; 4], Header), KmsError> {
    if wrapped.as_str().len() > MAX_LEN {
        return Err(KmsError::Corrupt);
    }
    let mut fields = wrapped.as_str().split('.');
    let mut next = || fields.next().ok_or(KmsError::Corrupt);
    let (header, encrypted_key, nonce, text, tag) = (next()?, next()?, next()?, next()?, next()?);
    if !encrypted_key.is_empty() || fields.next().is_some() {
        return Err(KmsError::Corrupt);
    }
    let json = URL_SAFE_NO_PAD.decode(header).map_err(|_| KmsError::Corrupt)?;
    let parsed: Header = serde_json::from_slice(&json).map_err(|_| KmsError::Corrupt)?;
    if parsed.alg != "dir" || parsed.enc != "A256GCM" {
        return Err(KmsError::Corrupt);
    }
    Ok(([header, nonce, text, tag], parsed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kms::KeyOwner,
        types::{Generation, Pseudonym},
    };

    /// Made by Python's `jwcrypto` 1.6.1 from a country key of 32 × 7 and a subject key of 32 × 9.
    const FROM_JWCRYPTO: &str = "\
        eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoicGsvMSIsImRvbWljaWxlIjp7Imluc3RhbGxhdGlvbiI6IjAxMDEw\
        MTAxMDEwMTAxMDEwMTAxMDEwMTAxMDEwMTAxIiwiY291bnRyeSI6IlBLIiwib3duZXIiOnsic3ViamVjdCI6IjAyMDIwMjAyMDIw\
        MjAyMDIwMjAyMDIwMjAyMDIwMjAyIn0sImdlbmVyYXRpb24iOjN9fQ..bplxY06UTnwnTc23.BR8KY8PbllaKlGNz6RRMmZ_qkt6\
        qUOFcgaSmobFeo90.h0kbYpKvNE_3Uvc_V0RcQA";

    fn context() -> WrapContext {
        WrapContext {
            installation: [1; 16],
            country: "PK".parse().unwrap(),
            owner: KeyOwner::Subject(Pseudonym::from_bytes([2; 16])),
            generation: Generation(3),
        }
    }

    #[test]
    fn opens_what_another_implementation_wrote() {
        let kek = SecretKey::take(&mut [7; 32]);
        let wrapped = WrappedKey::new(FROM_JWCRYPTO);
        assert_eq!(key_id(&wrapped).unwrap(), "pk/1");
        assert_eq!(open(&kek, &context(), &wrapped).unwrap().expose(), &[9; 32]);
        let other = WrapContext { generation: Generation(4), ..context() };
        assert!(matches!(open(&kek, &other, &wrapped), Err(KmsError::WrongContext)));
        assert!(matches!(open(&SecretKey::random(), &context(), &wrapped), Err(KmsError::Corrupt)));
    }

    #[test]
    fn what_is_no_jwe_of_ours_is_refused() {
        let kek = SecretKey::random();
        let wrapped = seal(&kek, "pk/1", &context(), &SecretKey::random()).unwrap();
        let (header, rest) = wrapped.as_str().split_once('.').unwrap();
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let long = "A".repeat(MAX_LEN + 1);
        for wrong in [
            "",
            ".",
            "....",
            &long,
            &format!("{header}.x{rest}"),
            &format!("{header}.{rest}."),
            &format!("{}.{rest}", encode("{}")),
        ] {
            assert!(open(&kek, &context(), &WrappedKey::new(wrong)).is_err());
        }
    }
}
