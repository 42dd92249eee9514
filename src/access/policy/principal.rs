//! Whom a statement speaks of. IAM User Guide, "AWS JSON policy elements: Principal" and "NotPrincipal".

use super::{MalformedPolicy, json::Json};
use crate::{access::Caller, types::AccountId};

const KINDS: [&str; 4] = ["AWS", "CanonicalUser", "Service", "Federated"];

/// The principals of a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Principals {
    named: Vec<Named>,
    /// `NotPrincipal`.
    negated: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Named {
    /// `*`: also whoever does not sign.
    Everyone,
    /// All principals of an account.
    Account(AccountId),
    /// One principal.
    Arn(String),
    /// A principal of a kind that no caller of a gateway can be, such as an AWS service.
    Elsewhere,
}

impl Principals {
    /// Reads `"*"` or `{"AWS": …, "CanonicalUser": …}`.
    pub(super) fn read(value: &Json, negated: bool, place: &str) -> Result<Self, MalformedPolicy> {
        let wrong =
            || MalformedPolicy::at(place, "invalid principal in policy: use `\"*\"` or an object such as `{\"AWS\": \"…\"}`");
        let members = match value {
            Json::Text(text) if text == "*" => return Ok(Self { named: vec![Named::Everyone], negated }),
            Json::Object(members) if !members.is_empty() => members,
            _ => return Err(wrong()),
        };
        let mut named = Vec::new();
        for (kind, values) in members {
            let place = if KINDS.contains(&kind.as_str()) { format!("{place}.{kind}") } else { place.to_owned() };
            let values = values.one_or_many();
            if values.is_empty() {
                return Err(MalformedPolicy::at(place, "the list of principals is empty"));
            }
            for value in values {
                let Json::Text(text) = value else {
                    return Err(MalformedPolicy::at(place, format!("a principal is a string, not {}", value.kind())));
                };
                named.push(Named::read(kind, text, &place)?);
            }
        }
        Ok(Self { named, negated })
    }

    /// Whether the statement speaks of the caller.
    ///
    /// An account stands for all its principals. What `NotPrincipal` leaves out is narrower, as in AWS: a principal is left out only
    /// when both it and its account are named.
    pub(super) fn cover(&self, caller: &Caller) -> bool {
        if self.named.contains(&Named::Everyone) {
            return !self.negated;
        }
        let Caller::Account { account, arn, .. } = caller else { return self.negated };
        let account_named = self.named.iter().any(|named| matches!(named, Named::Account(one) if one == account));
        let itself_named = self.named.iter().any(|named| matches!(named, Named::Arn(one) if one == arn));
        if self.negated { !(account_named && itself_named) } else { account_named || itself_named }
    }

    /// Whether it speaks of everybody there is.
    pub(super) fn include_everyone(&self) -> bool {
        self.negated || self.named.contains(&Named::Everyone)
    }
}

impl Named {
    fn read(kind: &str, text: &str, place: &str) -> Result<Self, MalformedPolicy> {
        let shown: String = text.chars().take(128).collect();
        let wrong = |hint| MalformedPolicy::at(place, format!("invalid principal in policy: `{shown}` is not {hint}"));
        match kind {
            "AWS" if text == "*" => Ok(Self::Everyone),
            "AWS" => Self::of_aws(text)
                .ok_or_else(|| wrong("`*`, an account, or an ARN such as `arn:aws:iam::account:user/name` without wildcards")),
            "CanonicalUser" => AccountId::new(text).map(Self::Account).map_err(|_| wrong("a canonical user id")),
            "Service" if text != "*" && text.contains('.') => Ok(Self::Elsewhere),
            "Service" => Err(wrong("a service such as `logging.s3.amazonaws.com`")),
            "Federated" if text != "*" && !text.is_empty() => Ok(Self::Elsewhere),
            "Federated" => Err(wrong("an identity provider")),
            _ => Err(MalformedPolicy::at(place, format!("unknown kind of principal; there are {}", KINDS.join(", ")))),
        }
    }

    fn of_aws(text: &str) -> Option<Self> {
        let Some(arn) = text.strip_prefix("arn:aws:") else {
            return AccountId::new(text).ok().map(Self::Account);
        };
        let (service, rest) = arn.split_once("::")?;
        let (account, name) = rest.split_once(':')?;
        let account = AccountId::new(account).ok()?;
        match service {
            "iam" if name == "root" => Some(Self::Account(account)),
            "iam" | "sts" if name.contains('/') && !name.ends_with('/') && !name.contains(['*', '?']) => {
                Some(Self::Arn(text.to_owned()))
            }
            _ => None,
        }
    }
}
