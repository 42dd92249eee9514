//! What is kept of a key that AWS KMS wrapped, and what it is bound to there.
//!
//! `aws1.<version>.<key id>.<ciphertext>`, the ciphertext in unpadded base64url. Version and key id are no secrets and prove nothing: the
//! provider looks them up before it asks, and the version is part of what the ciphertext is bound to.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::kms::{KeyIdentity, KeyOwner, KmsError, WrapContext, WrappedKey};

const FORMAT: &str = "aws1";
/// KMS's longest ciphertext is 6,144 bytes.
const MAX_LEN: usize = 8192 + 128;

/// A wrapped key's parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'t> {
    pub(super) version: u32,
    pub(super) key_id: &'t str,
    pub(super) ciphertext: Vec<u8>,
}

pub(super) fn write(version: u32, key_id: &str, ciphertext: &[u8]) -> WrappedKey {
    WrappedKey::new(format!("{FORMAT}.{version}.{key_id}.{}", URL_SAFE_NO_PAD.encode(ciphertext)))
}

/// Reads what [`write()`] wrote, and nothing that is merely like it.
pub(super) fn read(wrapped: &WrappedKey) -> Result<Parts<'_>, KmsError> {
    let text = wrapped.as_str();
    if text.len() > MAX_LEN {
        return Err(KmsError::Corrupt);
    }
    let mut fields = text.split('.');
    let mut next = || fields.next().ok_or(KmsError::Corrupt);
    let (format, number, key_id, ciphertext) = (next()?, next()?, next()?, next()?);
    let version: u32 = number.parse().map_err(|_| KmsError::Corrupt)?;
    let ciphertext = URL_SAFE_NO_PAD.decode(ciphertext).map_err(|_| KmsError::Corrupt)?;
    let canonical = format == FORMAT && fields.next().is_none() && version > 0 && version.to_string() == number;
    if canonical && is_key_id(key_id) && !ciphertext.is_empty() {
        Ok(Parts { version, key_id, ciphertext })
    } else {
        Err(KmsError::Corrupt)
    }
}

/// Key ids are UUIDs. Multi-region keys, which begin otherwise, are not used.
pub(super) fn is_key_id(text: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { hex(byte) })
}

/// KMS's encryption context: names and values that it authenticates, and shows in its own log. They name no person.
pub(super) fn encryption_context(identity: &KeyIdentity, version: u32, context: &WrapContext) -> HashMap<String, String> {
    let owner = match &context.owner {
        KeyOwner::Subject(pseudonym) => format!("subject:{}", hex::encode(pseudonym.as_bytes())),
        KeyOwner::Bucket(pseudonym) => format!("bucket:{}", hex::encode(pseudonym.as_bytes())),
        KeyOwner::Site(site) => format!("site:{site}"),
    };
    [
        ("domicile-installation", hex::encode(context.installation)),
        ("domicile-country", context.country.to_string()),
        ("domicile-key", identity.id.to_string()),
        ("domicile-version", version.to_string()),
        ("domicile-owner", owner),
        ("domicile-generation", context.generation.0.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123abcd-89ab-4def-8123-456789abcdef";

    #[test]
    fn one_text_for_one_key() {
        let wrapped = write(12, ID, b"sealed");
        assert_eq!(read(&wrapped).unwrap(), Parts { version: 12, key_id: ID, ciphertext: b"sealed".to_vec() });
        let text = wrapped.as_str();
        let mrk = format!("mrk-{}", "0".repeat(32));
        for wrong in [
            "",
            "aws1",
            &text.replace("aws1", "aws2"),
            &text.replace(".12.", ".0."),
            &text.replace(".12.", ".012."),
            &text.replace(".12.", ".+12."),
            &text.replace(".12.", ".4294967296."),
            &text.replace(ID, &ID.to_uppercase()),
            &text.replace(ID, &mrk),
            &text.replace(ID, "alias"),
            &format!("aws1.12.{ID}."),
            &format!("{text}."),
            &format!("{text}="),
            &format!("{text}{}", "A".repeat(MAX_LEN)),
        ] {
            assert!(read(&WrappedKey::new(wrong)).is_err(), "{wrong}");
        }
    }
}
