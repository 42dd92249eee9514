//! Which buckets a principal may name: globs with `*`.

use std::{fmt, str::FromStr};

use crate::types::BucketName;

/// A bucket name in which `*` stands for any run of characters, also an empty one: `media-*`.
#[derive(Clone, PartialEq, Eq)]
pub struct BucketPattern(Box<str>);

/// A pattern that no bucket name could match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a bucket pattern: use 1 to 63 of a-z, 0-9, `-`, `.` and `*`")]
pub struct InvalidBucketPattern(String);

impl BucketPattern {
    /// The one that covers every bucket.
    pub fn all() -> Self {
        Self("*".into())
    }

    /// Whether the pattern covers all of `bucket`. Takes time linear in pattern × name at the worst.
    pub fn matches(&self, bucket: &BucketName) -> bool {
        glob(self.0.as_bytes(), bucket.as_str().as_bytes())
    }
}

impl FromStr for BucketPattern {
    type Err = InvalidBucketPattern;

    fn from_str(text: &str) -> Result<Self, InvalidBucketPattern> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'*');
        if text.is_empty() || text.len() > 63 || !text.bytes().all(allowed) {
            return Err(InvalidBucketPattern(text.chars().take(80).collect()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for BucketPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for BucketPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Matches by remembering only the last `*`: a later star makes going back to an earlier one pointless.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&byte) = name.get(n) {
        match (pattern.get(p), retry) {
            (Some(b'*'), _) => {
                retry = Some((p + 1, n));
                p += 1;
            }
            (Some(&want), _) if want == byte => {
                p += 1;
                n += 1;
            }
            (_, Some((after_star, from))) => {
                retry = Some((after_star, from + 1));
                p = after_star;
                n = from + 1;
            }
            (_, None) => return false,
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|&b| b == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run() {
        let matches = |pattern: &str, name: &str| glob(pattern.as_bytes(), name.as_bytes());
        for (pattern, name) in
            [("*", "abc"), ("a*", "a"), ("*c", "abc"), ("a*c", "abbc"), ("a*b*c", "axbxxc"), ("abc", "abc"), ("*a*a*", "aa")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "a"), ("a", "ab"), ("a*", "ba"), ("*c", "cb"), ("a*c", "acb"), ("*a*a*", "a")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn refuses_what_no_bucket_could_match() {
        for wrong in ["", "A*", "a/b", "a?"] {
            assert!(wrong.parse::<BucketPattern>().is_err(), "{wrong}");
        }
    }
}
