//! What Transit's ciphertexts look like: `vault:v3:` and Base64.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::kms::{KmsError, WrappedKey};

/// Nonce, a key of 32 bytes, tag.
const SEALED: usize = 12 + 32 + 16;

/// The version that a wrapped key names. Anything but what the engine itself writes is refused here: it would take a version written
/// as `v01`, or line breaks in the Base64, for the same text, and two texts of one wrapping are one too many.
pub(super) fn version(wrapped: &WrappedKey) -> Result<u32, KmsError> {
    let parts = wrapped.as_str().strip_prefix("vault:v").and_then(|rest| rest.split_once(':'));
    let (number, sealed) = parts.ok_or(KmsError::Corrupt)?;
    let version: u32 = number.parse().map_err(|_| KmsError::Corrupt)?;
    let right = version > 0 && number == version.to_string() && STANDARD.decode(sealed).is_ok_and(|bytes| bytes.len() == SEALED);
    if right { Ok(version) } else { Err(KmsError::Corrupt) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_engine_writes_is_read() {
        let sealed = "SGlmaRfC3yTtnIKr4L4btr9sgCXDyJWZQ/neE4uaFyaApFAeVmerXkkvCL/jxzYMmXluzxAZOJ6/l4Sw";
        let of = |text: String| version(&WrappedKey::new(text));
        assert_eq!(of(format!("vault:v1:{sealed}")).unwrap(), 1);
        assert_eq!(of(format!("vault:v4294967295:{sealed}")).unwrap(), u32::MAX);
        for wrong in
            ["vault:v0:", "vault:v01:", "vault:v+1:", "vault:v:", "vault:v4294967296:", "vault:1:", "Vault:v1:", "vault:v1", ""]
        {
            assert!(of(format!("{wrong}{sealed}")).is_err(), "{wrong}");
        }
        assert!(of(format!("vault:v1:{}", &sealed[4..])).is_err());
        assert!(of(format!("vault:v1:{}\n{}", &sealed[..40], &sealed[40..])).is_err());
        assert!(of(format!("vault:v1:{sealed}AAAA")).is_err());
    }
}
