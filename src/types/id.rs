//! Opaque identifiers. All are random or derived by a hash; none tells anything about the data it names.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A text that is not the identifier it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind} ({bytes} bytes as lower-case hex)")]
pub struct InvalidId {
    kind: &'static str,
    bytes: usize,
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Takes the identifier's bytes as they are.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The identifier's bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let mut bytes = [0; $bytes];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidId { kind: $kind, bytes: $bytes })?;
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                hex::encode(id.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

hex_id!(
    /// Names one record: one object version with its bytes. Never shown to S3 clients, never reused.
    RecordId, 16, "record id"
);
hex_id!(
    /// Names one attempt at storing one part of a record, so that a retry never shares a blob name, salt or nonce with the attempt
    /// before it.
    AttemptId, 16, "attempt id"
);
hex_id!(
    /// Names one multipart upload.
    UploadId, 16, "upload id"
);
hex_id!(
    /// A keyed hash (HMAC-SHA-256, cut to 16 bytes) that stands for a name in the ledger and in index keys. Meaningless without the
    /// installation's pseudonym key.
    Pseudonym, 16, "pseudonym"
);
hex_id!(
    /// SHA-256 of the normalised policy set.
    PolicyRevision, 32, "policy revision"
);

/// An S3 version id. `Null` is the version that a bucket without versioning holds. Any other begins with the version's ticket, so that
/// the index finds it without a search; the rest is random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum VersionId {
    /// S3's `null` version.
    Null,
    /// A version of a bucket with versioning on.
    Id([u8; 16]),
}

impl VersionId {
    /// The id of a version with this ticket.
    pub fn new(ticket: Ticket, random: [u8; 8]) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&ticket.0.to_be_bytes());
        bytes[8..].copy_from_slice(&random);
        Self::Id(bytes)
    }

    /// The ticket that the id claims; `None` for the `null` version.
    pub fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::Null => None,
            Self::Id(bytes) => bytes.first_chunk().map(|ticket| Ticket(u64::from_be_bytes(*ticket))),
        }
    }
}

impl FromStr for VersionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text == "null" {
            return Ok(Self::Null);
        }
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidId { kind: "version id", bytes: 16 })?;
        Ok(Self::Id(bytes))
    }
}

impl TryFrom<String> for VersionId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<VersionId> for String {
    fn from(version: VersionId) -> Self {
        version.to_string()
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.pad("null"),
            Self::Id(bytes) => f.pad(&hex::encode(bytes)),
        }
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VersionId({self})")
    }
}

/// The monotone number that orders versions, in the index and in a rebuild from the sites. Issued by the committer before a
/// manifest is sealed; never issued twice, also across crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub u64);

/// Counts the lives of something that can be replaced under the same name: a bucket deleted and created again, a subject's
/// attributes, a country's keys. A decision taken under one generation does not commit under another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_round_trip_through_text() {
        let id = RecordId::from_bytes([7; 16]);
        assert_eq!(id.to_string().parse::<RecordId>().unwrap(), id);
        assert_eq!("null".parse::<VersionId>().unwrap(), VersionId::Null);
        let version = VersionId::Id([9; 16]);
        assert_eq!(version.to_string().parse::<VersionId>().unwrap(), version);
        let issued = VersionId::new(Ticket(u64::MAX - 5), [3; 8]);
        assert_eq!(issued.to_string().parse::<VersionId>().unwrap().ticket(), Some(Ticket(u64::MAX - 5)));
        assert_eq!(VersionId::Null.ticket(), None);
        assert!("zz".parse::<RecordId>().is_err());
    }
}
