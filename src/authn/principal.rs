//! Application backends, what they may do, and the proof that one of them asks.

use std::{collections::HashMap, str::FromStr, sync::Arc};

use secrecy::SecretString;

use super::{pattern::BucketPattern, signing_key::SigningKeys};
use crate::types::{Attributes, BucketName, Country, PrincipalId};

/// An application backend with one S3 key pair.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The name in the configuration and the ledger.
    pub id: PrincipalId,
    /// The public half of its key pair.
    pub access_key_id: String,
    /// The secret half of its key pair.
    pub secret: SecretString,
    /// The buckets it may name; none means none.
    pub buckets: Vec<BucketPattern>,
    /// What it may do in them.
    pub allow: Permissions,
    /// Where it processes what it reads. Says nothing about whose data it writes.
    pub country: Option<Country>,
    /// What is known of every subject it speaks for: the signal source `principal`.
    pub attributes: Attributes,
}

/// What a principal may do in its buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    /// Read objects and what describes them.
    pub read: bool,
    /// Create and replace objects; create and configure buckets.
    pub write: bool,
    /// List keys, versions, uploads and buckets.
    pub list: bool,
    /// Delete objects, versions and buckets.
    pub delete: bool,
}

/// A word in `allow` that is none of `read`, `write`, `list`, `delete`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a permission: use `read`, `write`, `list` or `delete`")]
pub struct InvalidPermission(String);

impl Permissions {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, list: true, delete: true };

    /// Takes the words of `allow` in the configuration. `write` brings `delete` with it, since whoever may replace an object can
    /// destroy it anyway; `delete` alone is for clean-up jobs.
    pub fn from_words<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Result<Self, InvalidPermission> {
        let mut granted = Self::default();
        for word in words {
            match word.as_ref().parse()? {
                Action::Read => granted.read = true,
                Action::Write => (granted.write, granted.delete) = (true, true),
                Action::List => granted.list = true,
                Action::Delete => granted.delete = true,
            }
        }
        Ok(granted)
    }

    /// Whether `action` is among them.
    pub const fn include(&self, action: Action) -> bool {
        match action {
            Action::Read => self.read,
            Action::Write => self.write,
            Action::List => self.list,
            Action::Delete => self.delete,
        }
    }
}

/// What a request wants to do, as coarse as [`Permissions`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// See [`Permissions::read`].
    Read,
    /// See [`Permissions::write`].
    Write,
    /// See [`Permissions::list`].
    List,
    /// See [`Permissions::delete`].
    Delete,
}

impl FromStr for Action {
    type Err = InvalidPermission;

    fn from_str(text: &str) -> Result<Self, InvalidPermission> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            "list" => Ok(Self::List),
            "delete" => Ok(Self::Delete),
            other => Err(InvalidPermission(other.chars().take(32).collect())),
        }
    }
}

/// The principal may not do this. S3 code `AccessDenied`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// None of its patterns covers the bucket.
    #[error("the principal may not use this bucket; its `buckets` in the configuration say which it may")]
    Bucket,
    /// Its `allow` does not name the action.
    #[error("the principal may not {0}; its `allow` in the configuration says what it may")]
    Action(&'static str),
}

/// Proof that a request carries a principal's valid signature. Made by [`super::S3Authenticator::verify`] alone.
#[derive(Debug, Clone)]
pub struct Authenticated(Arc<Principal>);

impl Authenticated {
    pub(super) fn new(principal: Arc<Principal>) -> Self {
        Self(principal)
    }

    /// A proof without a signature.
    #[cfg(test)]
    pub(crate) fn for_test(principal: Principal) -> Self {
        Self(Arc::new(principal))
    }

    /// Who asks.
    pub fn principal(&self) -> &Principal {
        &self.0
    }

    /// The access key that signed.
    pub fn access_key_id(&self) -> &str {
        &self.0.access_key_id
    }

    /// Whether who asks may do `action` in `bucket`, existing or not.
    pub fn permits(&self, action: Action, bucket: &BucketName) -> Result<(), Forbidden> {
        if !self.0.buckets.iter().any(|pattern| pattern.matches(bucket)) {
            return Err(Forbidden::Bucket);
        }
        if !self.0.allow.include(action) {
            return Err(Forbidden::Action(match action {
                Action::Read => "read",
                Action::Write => "write",
                Action::List => "list",
                Action::Delete => "delete",
            }));
        }
        Ok(())
    }
}

/// Every principal, found by access key. Replaced as a whole when the configuration changes, and the signing keys derived from the
/// old secrets with it.
#[derive(Debug, Default)]
pub struct Principals(HashMap<String, Entry>);

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) principal: Arc<Principal>,
    pub(super) signing_keys: SigningKeys,
}

/// Two principals share an access key id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("principals `{first}` and `{second}` have the same access key id; give each its own")]
pub struct DuplicateAccessKey {
    /// The one seen first.
    pub first: PrincipalId,
    /// The one that repeats it.
    pub second: PrincipalId,
}

impl Principals {
    /// Takes all principals; no two may share an access key id.
    pub fn new(principals: impl IntoIterator<Item = Principal>) -> Result<Self, DuplicateAccessKey> {
        let mut entries = HashMap::<String, Entry>::new();
        for principal in principals {
            if let Some(first) = entries.get(&principal.access_key_id) {
                return Err(DuplicateAccessKey { first: first.principal.id.clone(), second: principal.id });
            }
            let entry = Entry { principal: Arc::new(principal), signing_keys: SigningKeys::default() };
            entries.insert(entry.principal.access_key_id.clone(), entry);
        }
        Ok(Self(entries))
    }

    pub(super) fn entry(&self, access_key_id: &str) -> Option<&Entry> {
        self.0.get(access_key_id)
    }

    /// All principals, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Principal> {
        self.0.values().map(|entry| &*entry.principal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(id: &str, access_key_id: &str) -> Principal {
        Principal {
            id: PrincipalId::new(id).unwrap(),
            access_key_id: access_key_id.to_owned(),
            secret: "hush".to_owned().into(),
            buckets: vec!["media-*".parse().unwrap()],
            allow: Permissions::from_words(["read", "write"]).unwrap(),
            country: None,
            attributes: Attributes::new(),
        }
    }

    #[test]
    fn permission_needs_bucket_and_action() {
        let who = Authenticated::for_test(principal("feed", "AK"));
        let media = BucketName::new("media-1").unwrap();
        assert_eq!(who.permits(Action::Read, &media), Ok(()));
        assert_eq!(who.permits(Action::Delete, &media), Ok(()));
        assert_eq!(who.permits(Action::List, &media), Err(Forbidden::Action("list")));
        assert_eq!(who.permits(Action::Read, &BucketName::new("other").unwrap()), Err(Forbidden::Bucket));
    }

    #[test]
    fn delete_alone_does_not_write() {
        let granted = Permissions::from_words(["delete"]).unwrap();
        assert!(granted.delete && !granted.write && !granted.read);
        assert!(Permissions::from_words(["admin"]).is_err());
    }

    #[test]
    fn an_access_key_belongs_to_one_principal() {
        let error = Principals::new([principal("a", "AK"), principal("b", "AK")]).unwrap_err();
        assert_eq!((error.first.as_str(), error.second.as_str()), ("a", "b"));
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        assert!(!format!("{:?}", Principals::new([principal("a", "AK")]).unwrap()).contains("hush"));
    }
}
