//! Bytes as lower-case hex in serialised forms: `#[serde(with = "digest::as_hex")]`.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes `bytes` as hex.
pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

/// Reads exactly `N` bytes of hex.
pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut bytes = [0; N];
    hex::decode_to_slice(&text, &mut bytes).map_err(|_| D::Error::custom(format_args!("expected {N} bytes as hex")))?;
    Ok(bytes)
}
