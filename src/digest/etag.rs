//! ETags as S3 computes them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Md5;

/// An S3 ETag: the MD5 of a body, or for a multipart upload the MD5 of its parts' MD5s and their number. Written without the
/// quotes that the HTTP header adds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ETag {
    /// The hash.
    pub md5: [u8; 16],
    /// The number of parts; `None` for a body stored in one request.
    pub parts: Option<u32>,
}

/// A text that is not an ETag of S3's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ETag of the form S3 gives: 32 hex digits, for a multipart upload `-` and the number of parts")]
pub struct InvalidETag;

impl ETag {
    /// The ETag of a body stored in one request.
    pub const fn single(md5: [u8; 16]) -> Self {
        Self { md5, parts: None }
    }

    /// The ETag of an object completed from `parts`, in order.
    pub fn multipart(parts: &[ETag]) -> Self {
        let mut md5 = Md5::new();
        for part in parts {
            md5.update(&part.md5);
        }
        Self { md5: md5.finish(), parts: Some(u32::try_from(parts.len()).unwrap_or(u32::MAX)) }
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.md5))?;
        self.parts.map_or(Ok(()), |parts| write!(f, "-{parts}"))
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ETag({self})")
    }
}

impl FromStr for ETag {
    type Err = InvalidETag;

    /// Accepts either case and one pair of surrounding quotes, which clients send or leave out as they please.
    fn from_str(text: &str) -> Result<Self, InvalidETag> {
        let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let (hash, parts) = match bare.split_once('-') {
            Some((hash, parts)) => (hash, Some(part_count(parts)?)),
            None => (bare, None),
        };
        let mut md5 = [0; 16];
        hex::decode_to_slice(hash, &mut md5).map_err(|_| InvalidETag)?;
        Ok(Self { md5, parts })
    }
}

fn part_count(text: &str) -> Result<u32, InvalidETag> {
    match text.as_bytes() {
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => text.parse().map_err(|_| InvalidETag),
        _ => Err(InvalidETag),
    }
}

impl TryFrom<String> for ETag {
    type Error = InvalidETag;

    fn try_from(text: String) -> Result<Self, InvalidETag> {
        text.parse()
    }
}

impl From<ETag> for String {
    fn from(etag: ETag) -> Self {
        etag.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipart_is_the_md5_of_md5s() {
        let mut md5 = Md5::new();
        md5.update(b"abc");
        let part = ETag::single(md5.finish());
        assert_eq!(part.to_string(), "900150983cd24fb0d6963f7d28e17f72");
        // printf abc | md5sum | xxd -r -p, twice, into md5sum
        assert_eq!(ETag::multipart(&[part, part]).to_string(), "043a916d6cfeecedf5e04f0312ba762d-2");
    }

    #[test]
    fn text_round_trips_with_and_without_quotes() {
        for text in ["900150983cd24fb0d6963f7d28e17f72", "900150983cd24fb0d6963f7d28e17f72-10000"] {
            assert_eq!(text.parse::<ETag>().unwrap().to_string(), text);
            assert_eq!(format!("\"{text}\"").parse::<ETag>().unwrap().to_string(), text);
        }
        let hash = "900150983cd24fb0d6963f7d28e17f72";
        for wrong in
            ["", "\"", "abc", &format!("{hash}-"), &format!("{hash}-0"), &format!("{hash}-+1"), &format!("{hash}-99999999999")]
        {
            assert!(wrong.parse::<ETag>().is_err(), "{wrong}");
        }
    }
}
