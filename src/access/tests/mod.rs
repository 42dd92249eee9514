//! Tables of cases: from AWS's documentation, and from what the public S3 test suite of Ceph expects.

mod acls;
mod conditions;
mod documents;
mod evaluation;
mod public;

use std::{borrow::Cow, collections::HashMap};

use super::*;
use crate::types::{AccountId, BucketName, ObjectKey, PrincipalId, Timestamp};

pub(super) fn account(id: &str) -> AccountId {
    AccountId::new(id).unwrap()
}

pub(super) fn caller(account_id: &str, principal: &str) -> Caller {
    Caller::principal(account(account_id), PrincipalId::new(principal).unwrap())
}

/// A policy with one statement for the bucket `media`.
pub(super) fn policy(statement: &str) -> BucketPolicy {
    policies(&[statement])
}

pub(super) fn policies(statements: &[&str]) -> BucketPolicy {
    let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(","));
    BucketPolicy::for_bucket(&text, &BucketName::new("media").unwrap()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A request that says what a test lets it say, at noon on 23 November 2026.
#[derive(Debug, Default)]
pub(super) struct Facts(HashMap<String, Vec<String>>);

impl Facts {
    /// `key=value`, several values separated by `|`, none at all as `key=`.
    pub(super) fn of(facts: &[&str]) -> Self {
        let fact = |fact: &&str| {
            let (key, values) = fact.split_once('=').unwrap();
            let values = values.split('|').filter(|value| !value.is_empty()).map(|value| value.replace("<empty>", "")).collect();
            (key.to_owned(), values)
        };
        Self(facts.iter().map(fact).collect())
    }
}

impl Context for Facts {
    fn now(&self) -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-23T12:00:00Z").unwrap()
    }

    fn value(&self, key: &Key) -> Value<'_> {
        let name = match key {
            Key::ExistingObjectTag(tag) | Key::RequestObjectTag(tag) => format!("{}{tag}", key.name()),
            other => other.name().to_owned(),
        };
        match self.0.get(&name).map(Vec::as_slice) {
            None => Value::Absent,
            Some([one]) => Value::One(Cow::Borrowed(one)),
            Some(many) => Value::Many(many.iter().map(|value| Cow::Borrowed(value.as_str())).collect()),
        }
    }
}

/// The bucket `media` of `owner`, without a policy, its ACL private.
pub(super) struct Bucket {
    pub(super) owner: AccountId,
    pub(super) policy: Option<BucketPolicy>,
    pub(super) acl: Acl,
    pub(super) public_access: PublicAccessBlock,
    pub(super) ownership: ObjectOwnership,
}

impl Bucket {
    pub(super) fn new() -> Self {
        Self {
            owner: account("main"),
            policy: None,
            acl: Acl::private(account("main")),
            public_access: PublicAccessBlock::NONE,
            ownership: ObjectOwnership::BucketOwnerEnforced,
        }
    }

    pub(super) fn with(statement: &str) -> Self {
        Self { policy: Some(policy(statement)), ..Self::new() }
    }

    pub(super) fn access(&self) -> BucketAccess<'_> {
        BucketAccess {
            owner: &self.owner,
            policy: self.policy.as_ref(),
            acl: &self.acl,
            public_access: self.public_access,
            ownership: self.ownership,
        }
    }

    /// Asks for the object `docs/a`, or for the bucket.
    pub(super) fn ask(&self, caller: &Caller, action: Action, object: Option<&Acl>, facts: &Facts) -> Verdict {
        let (bucket, key) = (BucketName::new("media").unwrap(), ObjectKey::new("docs/a").unwrap());
        let key = (action.resource() == Resource::Object).then_some(&key);
        let object = object.map(|acl| ObjectAccess { owner: &acl.owner, acl });
        evaluate(&Request { caller, action, bucket: &bucket, key }, &self.access(), object.as_ref(), facts)
    }
}

pub(super) const NOT_GRANTED: Verdict = Verdict::Deny(Denial::NotGranted);
