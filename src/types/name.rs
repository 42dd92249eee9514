//! Names that people and policies give to things.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// A name that breaks the rules for its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {kind}: {rule}")]
pub struct InvalidName {
    /// What the name was for, such as `bucket name`.
    pub kind: &'static str,
    /// The rule it breaks, in words a client can act on.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr, $debug:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the rules and takes the name.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                let text = text.as_ref();
                let check: fn(&str) -> Result<(), &'static str> = $check;
                check(text).map_err(|rule| InvalidName { kind: $kind, rule })?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let show: fn(&str, &mut fmt::Formatter<'_>) -> fmt::Result = $debug;
                show(&self.0, f)
            }
        }
    };
}

/// Shown in full: the name says nothing about a person.
fn open(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{text:?}")
}

/// Never shown by `Debug`, so that no log line can carry it by accident.
fn redacted(_: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("[redacted]")
}

/// Names in configuration and policy files.
fn identifier(text: &str) -> Result<(), &'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
        return Err("use 1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`");
    }
    Ok(())
}

/// The rules of "General purpose bucket naming rules" in the Amazon S3 User Guide.
fn bucket(text: &str) -> Result<(), &'static str> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !(3..=63).contains(&text.len()) {
        return Err("use 3 to 63 characters");
    }
    if !text.bytes().all(allowed) {
        return Err("use only a-z, 0-9, `-` and `.`");
    }
    if !edge(text.as_bytes().first()) || !edge(text.as_bytes().last()) {
        return Err("begin and end with a letter or digit");
    }
    if text.contains("..") {
        return Err("do not put two dots side by side");
    }
    if text.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err("do not use the form of an IP address");
    }
    if text.starts_with("xn--") || text.ends_with("-s3alias") {
        return Err("the prefix `xn--` and the suffix `-s3alias` are reserved");
    }
    Ok(())
}

fn key(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("a key has at least one character");
    }
    if text.len() > ObjectKey::MAX_BYTES {
        return Err("a key has at most 1024 bytes of UTF-8");
    }
    Ok(())
}

fn subject(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > 256 {
        return Err("a subject id has 1 to 256 bytes");
    }
    if text.chars().any(char::is_control) {
        return Err("a subject id has no control characters");
    }
    // A signature makes runs of spaces one (SigV4's canonical headers): two subjects must not differ by that alone.
    if text.contains("  ") {
        return Err("a subject id has no two spaces side by side");
    }
    Ok(())
}

name!(
    /// An S3 bucket.
    BucketName, "bucket name", bucket, open
);
name!(
    /// An S3 object key: 1 to 1024 bytes of UTF-8. May name a person, so `Debug` does not show it.
    ObjectKey, "object key", key, redacted
);
name!(
    /// The person whose data a record holds, as the application names them. `Debug` does not show it.
    SubjectId, "subject", subject, redacted
);
name!(
    /// A storage location, as the configuration names it: `pk-khi`.
    SiteId, "site id", identifier, open
);
name!(
    /// A foreign service that objects are imported from, as the configuration names it.
    SourceId, "source id", identifier, open
);
name!(
    /// A country's key, as the configuration names it: `pk`.
    KeyId, "key id", identifier, open
);
name!(
    /// A law or contract, as its policy file names it: `pk-cpoh-2020`.
    InstrumentId, "instrument id", identifier, open
);
name!(
    /// An application backend or a person, as the configuration names it.
    PrincipalId, "principal id", identifier, open
);
name!(
    /// Whom principals, buckets and objects belong to: what S3 calls the canonical user id.
    AccountId, "account id", identifier, open
);
name!(
    /// One request, in every log line, response and ledger entry.
    RequestId, "request id", identifier, open
);

impl ObjectKey {
    /// The longest key S3 allows, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 1024;
}

macro_rules! shown {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}
// Keys and subjects have no `Display`: whoever shows one has to write `as_str` and mean it.
shown!(AccountId, BucketName, SiteId, SourceId, KeyId, InstrumentId, PrincipalId, RequestId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_s3_rules() {
        for right in ["abc", "media-1", "a.b.c", "0ab"] {
            assert!(BucketName::new(right).is_ok(), "{right}");
        }
        for wrong in ["ab", "Abc", "a_b", "-ab", "ab-", "a..b", "192.168.1.1", "xn--abc", &"a".repeat(64), "a/b", "ab\0"] {
            assert!(BucketName::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn keys_are_bounded_in_bytes_not_characters() {
        assert!(ObjectKey::new("گ".repeat(512)).is_ok());
        assert!(ObjectKey::new("گ".repeat(513)).is_err());
        assert!(ObjectKey::new("").is_err());
        assert!(SubjectId::new("a b").is_ok() && SubjectId::new("a  b").is_err());
        assert!(ObjectKey::new("../../etc/passwd").is_ok());
    }

    #[test]
    fn what_may_name_a_person_is_not_shown_by_debug() {
        assert_eq!(format!("{:?}", SubjectId::new("ayesha").unwrap()), "[redacted]");
        assert_eq!(format!("{:?}", ObjectKey::new("users/ayesha/cv").unwrap()), "[redacted]");
    }
}
