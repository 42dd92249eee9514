//! What a wrapped key is bound to.

use serde::{Deserialize, Serialize};

use crate::types::{Country, Generation, Pseudonym, SiteId};

/// Whose key a subject key is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyOwner {
    /// The records of one subject.
    Subject(Pseudonym),
    /// The records of one bucket that belong to no subject.
    Bucket(Pseudonym),
    /// What the gateway itself keeps at a site: its journal and marker.
    Site(SiteId),
}

impl KeyOwner {
    /// Bytes that no two owners share: a letter for the kind, then the pseudonym or name. The end is the reader's to know.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let (kind, name): (u8, &[u8]) = match self {
            Self::Subject(pseudonym) => (b's', pseudonym.as_bytes()),
            Self::Bucket(pseudonym) => (b'b', pseudonym.as_bytes()),
            Self::Site(site) => (b'i', site.as_str().as_bytes()),
        };
        [&[kind], name].concat()
    }

    /// Reads [`KeyOwner::canonical_bytes`].
    pub fn from_canonical_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, name) = bytes.split_first()?;
        let pseudonym = || name.try_into().ok().map(Pseudonym::from_bytes);
        match kind {
            b's' => pseudonym().map(Self::Subject),
            b'b' => pseudonym().map(Self::Bucket),
            b'i' => SiteId::new(std::str::from_utf8(name).ok()?).ok().map(Self::Site),
            _ => None,
        }
    }
}

/// What a wrapped key is bound to: a key wrapped under one context does not unwrap under another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrapContext {
    /// The installation, so that two that share a key service cannot be confused.
    #[serde(with = "crate::digest::as_hex")]
    pub installation: [u8; 16],
    /// The country whose key wraps.
    pub country: Country,
    /// Whose key is wrapped.
    pub owner: KeyOwner,
    /// Tells the owner's keys apart: a subject that comes back after its erasure gets another.
    pub generation: Generation,
}

impl WrapContext {
    /// Bytes that no two contexts share, for providers that bind a wrapping to bytes. Never changes: what is wrapped depends on it.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let (country, generation) = (self.country.as_str().as_bytes(), self.generation.0.to_be_bytes());
        [&b"domicile wrap context v1"[..], &self.installation, country, &generation, &self.owner.canonical_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_share_no_bytes_and_never_change() {
        let context = WrapContext {
            installation: [1; 16],
            country: "PK".parse().unwrap(),
            owner: KeyOwner::Subject(Pseudonym::from_bytes([7; 16])),
            generation: Generation(258),
        };
        let expected = [&b"domicile wrap context v1"[..], &[1; 16], b"PK", &[0, 0, 0, 0, 0, 0, 1, 2], b"s", &[7; 16]].concat();
        assert_eq!(context.canonical_bytes(), expected);
        for other in [
            WrapContext { installation: [2; 16], ..context.clone() },
            WrapContext { country: "SG".parse().unwrap(), ..context.clone() },
            WrapContext { owner: KeyOwner::Bucket(Pseudonym::from_bytes([7; 16])), ..context.clone() },
            WrapContext { generation: Generation(259), ..context.clone() },
        ] {
            assert_ne!(other.canonical_bytes(), expected, "{other:?}");
        }
    }

    #[test]
    fn owners_round_trip_and_share_no_bytes() {
        let pseudonym = Pseudonym::from_bytes([7; 16]);
        let owners = [KeyOwner::Subject(pseudonym), KeyOwner::Bucket(pseudonym), KeyOwner::Site("pk-khi".parse().unwrap())];
        for (index, owner) in owners.iter().enumerate() {
            assert_eq!(KeyOwner::from_canonical_bytes(&owner.canonical_bytes()).as_ref(), Some(owner));
            assert!(owners[..index].iter().all(|other| other.canonical_bytes() != owner.canonical_bytes()));
        }
        for wrong in [&b""[..], b"s", b"x0123456789abcdef", b"s0123456789abcde", b"i", b"i/"] {
            assert_eq!(KeyOwner::from_canonical_bytes(wrong), None);
        }
    }
}
