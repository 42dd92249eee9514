//! Stand-ins for names in the ledger and in index keys.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::SecretKey;
use crate::{
    digest,
    types::{BucketName, InstrumentId, ObjectKey, PrincipalId, Pseudonym, SiteId, SubjectId},
};

/// Makes pseudonyms: HMAC-SHA-256 under the installation's pseudonym key, cut to 16 bytes. Different kinds of name never share
/// one, even when their texts are equal.
pub struct Pseudonyms(SecretKey);

impl Pseudonyms {
    /// Uses `key`, which must stay the same for the life of the installation.
    pub const fn new(key: SecretKey) -> Self {
        Self(key)
    }

    /// For a subject.
    pub fn subject(&self, subject: &SubjectId) -> Pseudonym {
        self.of("subject", &[subject.as_str()])
    }

    /// For an object key in a bucket.
    pub fn key(&self, bucket: &BucketName, key: &ObjectKey) -> Pseudonym {
        self.of("key", &[bucket.as_str(), key.as_str()])
    }

    /// For a bucket.
    pub fn bucket(&self, bucket: &BucketName) -> Pseudonym {
        self.of("bucket", &[bucket.as_str()])
    }

    /// For the beginning of object keys in a bucket.
    pub fn prefix(&self, bucket: &BucketName, prefix: &str) -> Pseudonym {
        self.of("prefix", &[bucket.as_str(), prefix])
    }

    /// For a site that somebody asks about, known or not.
    pub fn site(&self, site: &SiteId) -> Pseudonym {
        self.of("site", &[site.as_str()])
    }

    /// For an instrument that somebody asks about, known or not.
    pub fn instrument(&self, instrument: &InstrumentId) -> Pseudonym {
        self.of("instrument", &[instrument.as_str()])
    }

    /// For a principal.
    pub fn principal(&self, principal: &PrincipalId) -> Pseudonym {
        self.of("principal", &[principal.as_str()])
    }

    /// For an access key id that a request named, known or not.
    pub fn access_key(&self, access_key_id: &str) -> Pseudonym {
        self.of("access-key", &[access_key_id])
    }

    /// What the ledger calls `name` under the salt of whom it belongs to.
    pub fn in_ledger(&self, salt: &LedgerSalt, name: &Pseudonym) -> Pseudonym {
        self.cut(&[b"domicile ledger name v1", &salt.0, name.as_bytes()])
    }

    fn of(&self, kind: &str, names: &[&str]) -> Pseudonym {
        let mut message = Vec::with_capacity(128);
        for part in std::iter::once(&kind).chain(names) {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        self.cut(&[b"domicile pseudonym v1", &message])
    }

    fn cut(&self, message: &[&[u8]]) -> Pseudonym {
        let hash = digest::hmac_sha256(self.0.expose(), message);
        let mut cut = [0; 16];
        cut.copy_from_slice(&hash[..16]);
        Pseudonym::from_bytes(cut)
    }
}

/// What the ledger's names of one subject are made with, random and kept in one row of the index. Once it is gone, nobody can tell any more
/// whose they were, whatever keys they have. Wiped on drop and never shown.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct LedgerSalt([u8; 16]);

impl LedgerSalt {
    /// A new one.
    pub fn random() -> Self {
        Self(digest::random())
    }
}

impl fmt::Debug for LedgerSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LedgerSalt")
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn kinds_and_borders_of_names_matter_and_so_does_the_key() {
        let (one, two) = (Pseudonyms::new(SecretKey::random()), Pseudonyms::new(SecretKey::random()));
        let bucket = |name: &str| BucketName::new(name).unwrap();
        let all = BTreeSet::from([
            one.subject(&SubjectId::new("media").unwrap()),
            two.subject(&SubjectId::new("media").unwrap()),
            one.bucket(&bucket("media")),
            one.principal(&PrincipalId::new("media").unwrap()),
            one.access_key("media"),
            one.site(&SiteId::new("media").unwrap()),
            one.instrument(&InstrumentId::new("media").unwrap()),
            one.prefix(&bucket("media"), "xy"),
            one.key(&bucket("media"), &ObjectKey::new("xy").unwrap()),
            one.key(&bucket("mediax"), &ObjectKey::new("y").unwrap()),
        ]);
        assert_eq!(all.len(), 10);
        assert_eq!(one.bucket(&bucket("media")), one.bucket(&bucket("media")));
    }

    #[test]
    fn a_name_of_the_ledger_is_made_of_key_salt_and_name_alone() {
        let (one, two) = (Pseudonyms::new(SecretKey::random()), Pseudonyms::new(SecretKey::random()));
        let (salt, later) = (LedgerSalt::random(), LedgerSalt::random());
        let [amna, ali] = ["amna", "ali"].map(|id| one.subject(&SubjectId::new(id).unwrap()));
        let names = BTreeSet::from([
            amna,
            one.in_ledger(&salt, &amna),
            one.in_ledger(&salt, &ali),
            one.in_ledger(&later, &amna),
            two.in_ledger(&salt, &amna),
        ]);
        assert_eq!(names.len(), 5);
        assert_eq!(one.in_ledger(&salt.clone(), &amna), one.in_ledger(&salt, &amna));
        assert_eq!(format!("{salt:?}"), "LedgerSalt");
    }
}
