//! Every principal of the configuration, and who may act as one.

use std::{collections::HashMap, sync::Arc};

use super::{
    principal::{AccessKey, Authenticated, Principal},
    signing_key::SigningKeys,
    token::{Role, TokenIdentity},
};
use crate::types::{AccountId, PrincipalId};

/// Every principal, found by access key. Replaced as a whole when the configuration changes, and the signing keys derived from the
/// old secrets with it.
#[derive(Debug, Default)]
pub struct Principals {
    principals: Vec<Arc<Principal>>,
    by_id: HashMap<PrincipalId, Arc<Principal>>,
    by_access_key: HashMap<String, Entry>,
    emails: HashMap<String, AccountId>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) principal: Arc<Principal>,
    pub(super) access_key: Arc<AccessKey>,
    pub(super) signing_keys: SigningKeys,
}

/// Two key pairs share an access key id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an access key id of `{first}` is there again at `{second}`; give each key pair its own")]
pub struct DuplicateAccessKey {
    /// The one seen first.
    pub first: PrincipalId,
    /// The one that repeats it.
    pub second: PrincipalId,
}

impl Principals {
    /// Takes all principals; no two may share an access key id.
    pub fn new(principals: impl IntoIterator<Item = Principal>) -> Result<Self, DuplicateAccessKey> {
        let principals: Vec<_> = principals.into_iter().map(Arc::new).collect();
        let mut by_access_key = HashMap::<String, Entry>::new();
        for principal in &principals {
            for access_key in &principal.access_keys {
                let (principal, access_key) = (Arc::clone(principal), Arc::new(access_key.clone()));
                let id = access_key.id.clone();
                let entry = Entry { principal, access_key, signing_keys: SigningKeys::default() };
                if let Some(first) = by_access_key.get(&id) {
                    return Err(DuplicateAccessKey { first: first.principal.id.clone(), second: entry.principal.id.clone() });
                }
                by_access_key.insert(id, entry);
            }
        }
        let by_id = principals.iter().map(|principal| (principal.id.clone(), Arc::clone(principal))).collect();
        Ok(Self { principals, by_id, by_access_key, emails: HashMap::new() })
    }

    /// The principal of that name.
    pub fn get(&self, id: &PrincipalId) -> Option<&Arc<Principal>> {
        self.by_id.get(id)
    }

    /// Lends a principal's rights to an operator, for work that a token orders and nobody signs: it may do what the principal may, and no
    /// more, and the ledger names the token. Nothing for an unknown principal, and for bearers of other roles.
    ///
    /// An operator can make a session of any principal anyway; this needs no secret to travel, and hides nobody behind the principal.
    /// To be asked anew for each step of long work, so that a principal that is taken out of the configuration ends it.
    pub fn lend(&self, id: &PrincipalId, to: &TokenIdentity) -> Option<Authenticated> {
        let principal = self.get(id).filter(|_| to.role == Role::Operator)?;
        Some(Authenticated::lent(Arc::clone(principal), to.clone()))
    }

    pub(super) fn entry(&self, access_key_id: &str) -> Option<&Entry> {
        self.by_access_key.get(access_key_id)
    }

    /// All principals, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Principal> {
        self.principals.iter().map(|principal| &**principal)
    }

    /// With the addresses that accounts go by in grants.
    pub fn with_emails(self, emails: HashMap<String, AccountId>) -> Self {
        Self { emails, ..self }
    }

    /// The account that goes by that address.
    pub fn account_by_email(&self, address: &str) -> Option<&AccountId> {
        self.emails.get(&address.to_ascii_lowercase())
    }

    /// Whether a principal belongs to that account.
    pub fn has_account(&self, account: &AccountId) -> bool {
        self.principals.iter().any(|principal| principal.account == *account)
    }

    /// How many key pairs they have.
    pub fn access_keys(&self) -> usize {
        self.by_access_key.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        authn::{Action, Permissions, Scope},
        types::BucketName,
    };

    fn principal(id: &str, access_key_id: &str) -> Principal {
        Principal {
            buckets: vec!["media-*".parse().unwrap()],
            allow: Permissions::from_words(["read", "write"]).unwrap(),
            ..Principal::unrestricted(id, vec![AccessKey::new(access_key_id, "hush".to_owned().into())]).unwrap()
        }
    }

    #[test]
    fn rights_are_lent_to_operators_as_they_are_and_not_hidden() {
        let principals = Principals::new([principal("feed", "AK")]).unwrap();
        let bearer = |role| TokenIdentity { id: PrincipalId::new("ann").unwrap(), role };
        let feed = PrincipalId::new("feed").unwrap();
        for role in [Role::Auditor, Role::PolicyAdmin, Role::Legal] {
            assert!(principals.lend(&feed, &bearer(role)).is_none());
        }
        assert!(principals.lend(&PrincipalId::new("other").unwrap(), &bearer(Role::Operator)).is_none());
        let lent = principals.lend(&feed, &bearer(Role::Operator)).unwrap();
        assert_eq!(lent.operator(), Some(&bearer(Role::Operator)));
        assert!(!lent.is_anonymous() && lent.access_key_id().is_empty());
        let own = Authenticated::for_test(principal("feed", "AK"));
        assert!(own.operator().is_none());
        for bucket in ["media-1", "other"].map(|name| BucketName::new(name).unwrap()) {
            for action in [Action::Read, Action::Write, Action::List, Action::Delete, Action::Share] {
                assert_eq!(lent.permits(action, &bucket, Scope::Bucket), own.permits(action, &bucket, Scope::Bucket));
            }
        }
    }

    #[test]
    fn an_access_key_belongs_to_one_principal() {
        let error = Principals::new([principal("a", "AK"), principal("b", "AK")]).unwrap_err();
        assert_eq!((error.first.as_str(), error.second.as_str()), ("a", "b"));
        let mut twice = principal("a", "AK");
        twice.access_keys.push(AccessKey::new("AK", "other".to_owned().into()));
        assert!(Principals::new([twice]).is_err());
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        assert!(!format!("{:?}", Principals::new([principal("a", "AK")]).unwrap()).contains("hush"));
    }
}
