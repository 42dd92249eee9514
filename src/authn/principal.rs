//! Application backends, what they may do, and the proof that one of them asks.

use std::{
    str::FromStr,
    sync::{Arc, LazyLock},
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{error::AuthnError, pattern::BucketPattern, quota::Quota, session::Narrowing, token::TokenIdentity};
use crate::types::{AccountId, Attributes, BucketName, Country, InvalidName, PrincipalId, Timestamp};

/// An application backend.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The name in the configuration and the ledger.
    pub id: PrincipalId,
    /// Whose it is: the owner of the buckets it creates.
    pub account: AccountId,
    /// Its S3 key pairs: one, or several while a new one takes over from an old one.
    pub access_keys: Vec<AccessKey>,
    /// The buckets it may name; none means none.
    pub buckets: Vec<BucketPattern>,
    /// What the keys it may name begin with; all keys when there is none.
    pub prefixes: Vec<String>,
    /// What it may do in them.
    pub allow: Permissions,
    /// Where it processes what it reads. Says nothing about whose data it writes.
    pub country: Option<Country>,
    /// What is known of every subject it speaks for: the signal source `principal`.
    pub attributes: Attributes,
    /// How much of the gateway it may use.
    pub quota: Quota,
}

/// The account of a principal whose configuration names none.
pub const DEFAULT_ACCOUNT: &str = "domicile";

/// The name of whoever does not sign: no principal and no account may have it.
pub const ANONYMOUS: &str = "anonymous";

impl Principal {
    /// One of the default account that may do everything in every bucket, and of whom nothing else is known.
    ///
    /// # Errors
    /// When `id` is not a name.
    pub fn unrestricted(id: &str, access_keys: Vec<AccessKey>) -> Result<Self, InvalidName> {
        Ok(Self {
            id: PrincipalId::new(id)?,
            account: AccountId::new(DEFAULT_ACCOUNT)?,
            access_keys,
            buckets: vec![BucketPattern::all()],
            prefixes: Vec::new(),
            allow: Permissions::ALL,
            country: None,
            attributes: Attributes::new(),
            quota: Quota::default(),
        })
    }
}

/// One S3 key pair of a principal.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: SecretString,
    /// Until when it is accepted, URLs presigned with it included; for good when absent.
    pub not_after: Option<Timestamp>,
}

impl AccessKey {
    /// A key pair without an end.
    pub fn new(id: impl Into<String>, secret: SecretString) -> Self {
        Self { id: id.into(), secret, not_after: None }
    }
}

/// What a principal may do in its buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
                // Not a word of the configuration.
                Action::Share => {}
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
            Action::Share => self.read && self.write && self.list && self.delete,
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
    /// Give others access: policies, ACLs, and what bounds them. Takes every permission, since whoever gives rights away must have
    /// them.
    Share,
}

impl Action {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Share => "share",
        }
    }
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
    #[error(
        "the principal may not use this bucket; its `buckets` in the configuration, or those of its session, say which it may"
    )]
    Bucket,
    /// None of its prefixes covers the keys.
    #[error(
        "the principal may not use these keys; its `prefixes` in the configuration, or those of its session, say which it may"
    )]
    Keys,
    /// Its `allow` does not name the action.
    #[error(
        "the principal may not {0}; its `allow` in the configuration, or that of its session, says what it may; to share takes all"
    )]
    Action(&'static str),
}

/// What of a bucket a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The bucket as a whole.
    Bucket,
    /// All keys that begin with this text; one key is the text whole.
    Keys(&'a str),
}

/// Proof of who sent a request: the principal whose valid signature it carries, or nobody when it carries none at all. Made by
/// [`super::S3Authenticator::verify`] and [`super::S3Authenticator::verify_form`], and by [`super::Principals::lend`] for work that an
/// operator orders.
#[derive(Debug, Clone)]
pub struct Authenticated {
    principal: Arc<Principal>,
    access_key: Arc<AccessKey>,
    narrowing: Option<Arc<Narrowing>>,
    anonymous: bool,
    operator: Option<TokenIdentity>,
}

/// Of whoever does not sign.
static NO_KEY: LazyLock<Arc<AccessKey>> = LazyLock::new(|| Arc::new(AccessKey::new("", String::new().into())));

impl Authenticated {
    pub(super) const fn new(principal: Arc<Principal>, access_key: Arc<AccessKey>) -> Self {
        Self { principal, access_key, narrowing: None, anonymous: false, operator: None }
    }

    /// By a session's key pair.
    pub(super) fn by_session(principal: Arc<Principal>, access_key: AccessKey, narrowing: Narrowing) -> Self {
        Self { narrowing: Some(Arc::new(narrowing)), ..Self::new(principal, Arc::new(access_key)) }
    }

    /// Nobody: bounded by nothing in the configuration, allowed only what a bucket's policy or an ACL allows to everybody.
    pub(super) fn anonymous() -> Result<Self, InvalidName> {
        static NOBODY: LazyLock<Result<Arc<Principal>, InvalidName>> = LazyLock::new(|| {
            let nobody = Principal::unrestricted(ANONYMOUS, Vec::new())?;
            Ok(Arc::new(Principal { account: AccountId::new(ANONYMOUS)?, ..nobody }))
        });
        let principal = LazyLock::force(&NOBODY).clone()?;
        Ok(Self { anonymous: true, ..Self::new(principal, Arc::clone(&NO_KEY)) })
    }

    /// By an operator's order.
    pub(super) fn lent(principal: Arc<Principal>, to: TokenIdentity) -> Self {
        Self { operator: Some(to), ..Self::new(principal, Arc::clone(&NO_KEY)) }
    }

    /// A proof without a signature, by the first of the principal's keys if it has one.
    #[cfg(test)]
    pub(crate) fn for_test(principal: Principal) -> Self {
        let access_key =
            principal.access_keys.first().cloned().unwrap_or_else(|| AccessKey::new("none", "none".to_owned().into()));
        Self::new(Arc::new(principal), Arc::new(access_key))
    }

    /// Nobody.
    #[cfg(test)]
    pub(crate) fn anonymous_for_test() -> Self {
        Self::anonymous().unwrap()
    }

    /// Who asks; of an anonymous request somebody without a key, named [`ANONYMOUS`], of whom nothing is known.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether nobody signed.
    pub const fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// The bearer of the token by whose order the principal's rights are used; `None` when the principal itself asks.
    pub const fn operator(&self) -> Option<&TokenIdentity> {
        self.operator.as_ref()
    }

    /// The access key that signed; empty when none did.
    pub fn access_key_id(&self) -> &str {
        &self.access_key.id
    }

    /// Refuses an access key, or with a `token` a session, whose time is over.
    pub(super) fn check_end(&self, token: Option<&str>, now: Timestamp) -> Result<(), AuthnError> {
        if self.access_key.not_after.is_none_or(|end| now <= end) {
            return Ok(());
        }
        let access_key_id = self.access_key.id.clone();
        Err(match token {
            Some(_) => AuthnError::ExpiredToken { access_key_id },
            None => AuthnError::ExpiredAccessKey { access_key_id },
        })
    }

    /// Whether who asks may name `bucket`, existing or not.
    pub fn may_name(&self, bucket: &BucketName) -> bool {
        let narrowed = self.narrowing.as_ref().is_none_or(|narrowing| narrowing.covers(bucket));
        narrowed && self.principal.buckets.iter().any(|pattern| pattern.matches(bucket))
    }

    /// Whether the configuration lets who asks do `action` to `scope` of `bucket`, existing or not. A principal with prefixes may
    /// look at a bucket as a whole, but not change it. What a session's principal may not, the session may not.
    pub fn permits(&self, action: Action, bucket: &BucketName, scope: Scope<'_>) -> Result<(), Forbidden> {
        if !self.may_name(bucket) {
            return Err(Forbidden::Bucket);
        }
        let narrowing = self.narrowing.as_deref();
        let covered = |prefixes: &[String]| {
            prefixes.is_empty()
                || match scope {
                    Scope::Bucket => matches!(action, Action::Read | Action::List),
                    Scope::Keys(keys) => prefixes.iter().any(|prefix| keys.starts_with(prefix.as_str())),
                }
        };
        if !covered(&self.principal.prefixes) || narrowing.is_some_and(|narrowing| !covered(&narrowing.prefixes)) {
            return Err(Forbidden::Keys);
        }
        let allowed = narrowing.is_none_or(|narrowing| narrowing.allow.include(action));
        if !allowed || !self.principal.allow.include(action) {
            return Err(Forbidden::Action(action.as_str()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn principal(id: &str, access_key_id: &str) -> Principal {
        Principal {
            buckets: vec!["media-*".parse().unwrap()],
            allow: Permissions::from_words(["read", "write"]).unwrap(),
            ..Principal::unrestricted(id, vec![AccessKey::new(access_key_id, "hush".to_owned().into())]).unwrap()
        }
    }

    #[test]
    fn permission_needs_bucket_and_action() {
        let who = Authenticated::for_test(principal("feed", "AK"));
        let media = BucketName::new("media-1").unwrap();
        let permits = |action, bucket| who.permits(action, bucket, Scope::Bucket);
        assert_eq!(permits(Action::Read, &media), Ok(()));
        assert_eq!(permits(Action::Delete, &media), Ok(()));
        assert_eq!(permits(Action::List, &media), Err(Forbidden::Action("list")));
        assert_eq!(permits(Action::Read, &BucketName::new("other").unwrap()), Err(Forbidden::Bucket));
    }

    #[test]
    fn prefixes_bound_keys_and_listings_and_keep_the_bucket_as_it_is() {
        let bounded = Principal { prefixes: vec!["ali/".to_owned(), "shared/".to_owned()], ..principal("feed", "AK") };
        let who = Authenticated::for_test(Principal { allow: Permissions::ALL, ..bounded });
        let media = BucketName::new("media-1").unwrap();
        let permits = |action, scope| who.permits(action, &media, scope).is_ok();
        assert!(permits(Action::Write, Scope::Keys("ali/a")) && permits(Action::List, Scope::Keys("shared/x/")));
        for (action, keys) in [(Action::Read, "bob/a"), (Action::Read, "ali"), (Action::List, ""), (Action::List, "al")] {
            assert!(!permits(action, Scope::Keys(keys)), "{keys}");
        }
        assert!(permits(Action::Read, Scope::Bucket) && permits(Action::List, Scope::Bucket));
        assert!(!permits(Action::Write, Scope::Bucket) && !permits(Action::Delete, Scope::Bucket));
    }

    #[test]
    fn nobody_is_told_apart_from_every_principal() {
        let nobody = Authenticated::anonymous().unwrap();
        assert!(nobody.is_anonymous() && !Authenticated::for_test(principal("feed", "AK")).is_anonymous());
        assert_eq!(nobody.principal().id.as_str(), ANONYMOUS);
    }

    #[test]
    fn delete_alone_does_not_write() {
        let granted = Permissions::from_words(["delete"]).unwrap();
        assert!(granted.delete && !granted.write && !granted.read);
        assert!(Permissions::from_words(["admin"]).is_err());
    }

    fn permissions() -> impl Strategy<Value = Permissions> {
        any::<(bool, bool, bool, bool)>().prop_map(|(read, write, list, delete)| Permissions { read, write, list, delete })
    }

    fn patterns(least: usize) -> impl Strategy<Value = Vec<BucketPattern>> {
        proptest::collection::vec("[ab]{1,2}x\\*|\\*b|abc|\\*".prop_map(|text| text.parse().unwrap()), least..3)
    }

    fn prefixes() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[ab]{0,2}/?", 0..3)
    }

    proptest! {
        /// A session may do what both its principal and its narrowing allow: never more than the principal may by itself.
        #[test]
        fn a_session_is_never_wider_than_its_principal(
            (buckets, key_prefixes, allow) in (patterns(0), prefixes(), permissions()),
            (narrow_buckets, narrow_prefixes, narrow_allow) in (patterns(0), prefixes(), permissions()),
            bucket in "abc|abx|bb1|bbx", keys in "[ab/]{0,3}", whole in any::<bool>(), action in 0..4usize,
        ) {
            let action = [Action::Read, Action::Write, Action::List, Action::Delete][action];
            let bucket = BucketName::new(&bucket).unwrap();
            let scope = if whole { Scope::Bucket } else { Scope::Keys(&keys) };
            let bounded = Principal { buckets, prefixes: key_prefixes, allow, ..principal("feed", "AK") };
            let everything = Principal::unrestricted("feed", Vec::new()).unwrap();
            let narrowing = Narrowing { buckets: narrow_buckets, prefixes: narrow_prefixes, allow: narrow_allow };
            let session = |of: &Principal, narrowing: &Narrowing| {
                Authenticated::by_session(Arc::new(of.clone()), AccessKey::new("S", String::new().into()), narrowing.clone())
            };
            let permits = |who: &Authenticated| who.permits(action, &bucket, scope).is_ok();
            let lent = session(&bounded, &narrowing);
            let own = Authenticated::for_test(bounded.clone());
            prop_assert_eq!(permits(&lent), permits(&own) && permits(&session(&everything, &narrowing)));
            prop_assert!(!lent.may_name(&bucket) || own.may_name(&bucket));
            prop_assert_eq!(permits(&session(&bounded, &Narrowing::NONE)), permits(&own));
        }
    }
}
