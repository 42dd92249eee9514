//! The versions of a country's key. Each is a KMS key of its own, since KMS cannot destroy a part of one.
//!
//! The alias leads to the primary one, whose tags tell the rest: whose key it is, which version, and of every earlier version the key id
//! and date. They come with the key in one call, so there is never a primary version that does not know those before it. Whether an
//! earlier one still exists is asked by its key id: what an alias or tag no longer says is not taken for destroyed.

use std::collections::BTreeMap;

use aws_sdk_kms::types::{KeyManagerType, KeyMetadata, KeySpec, KeyUsageType, OriginType};

use super::text;
use crate::{
    kms::{KeyIdentity, KmsError},
    types::Timestamp,
};

pub(super) const INSTALLATION: &str = "domicile-installation";
const KEY: &str = "domicile-key";
const COUNTRY: &str = "domicile-country";
const VERSION: &str = "domicile-version";
const EARLIER: &str = "domicile-earlier-";
/// On a version whose destruction this program has ordered; anybody else's order destroys nothing that is known to be dispensable.
pub(super) const DESTROYING: &str = "domicile-destroying";

/// Earlier versions that fit into the tags, of which there are 50, beside everything else and some of the operator's own.
pub(super) const MOST_EARLIER: usize = 40;

/// One version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) version: u32,
    pub(super) key_id: String,
    pub(super) created: Option<Timestamp>,
}

/// Every version that may still exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) primary: Member,
    /// Oldest first. Those that were destroyed long ago are left out in the end.
    pub(super) earlier: Vec<Member>,
}

impl Chain {
    /// The member of a version, primary or not.
    pub(super) fn member(&self, version: u32) -> Option<&Member> {
        self.earlier.iter().chain([&self.primary]).find(|member| member.version == version)
    }

    /// Reads the tags of a primary version. `Ok(None)` when they are right but for the installation, which nobody has claimed yet.
    pub(super) fn read(
        identity: &KeyIdentity,
        key: &KeyMetadata,
        tags: &BTreeMap<String, String>,
    ) -> Result<Option<Self>, KmsError> {
        let unsuitable = |reason: String| KmsError::Unsuitable { key: identity.id.clone(), reason };
        let tag = |name: &str| tags.get(name).map(String::as_str);
        for (name, ours) in [(KEY, identity.id.as_str()), (COUNTRY, identity.country.as_str())] {
            match tag(name) {
                Some(value) if value == ours => {}
                Some(other) => return Err(unsuitable(format!("the tag `{name}` of KMS key `{}` says `{other}`", key.key_id()))),
                None => {
                    let reason = format!("KMS key `{}` is not meant for it: give it the tag `{name}` = `{ours}`", key.key_id());
                    return Err(unsuitable(reason));
                }
            }
        }
        let Some(version) = tag(VERSION).and_then(|text| text.parse().ok()).filter(|version| *version > 0) else {
            return Err(unsuitable(format!(
                "KMS key `{}` has no version: a first one has the tag `{VERSION}` = `1`",
                key.key_id()
            )));
        };
        let installation = hex::encode(identity.installation);
        match tag(INSTALLATION) {
            Some(value) if value == installation => {}
            None if version == 1 => return Ok(None),
            other => {
                let other = other.unwrap_or("nobody");
                return Err(unsuitable(format!(
                    "KMS key `{}` belongs to installation {other}, not to {installation}",
                    key.key_id()
                )));
            }
        }
        let earlier = tags.iter().filter_map(|(name, value)| Some((name.strip_prefix(EARLIER)?, value)));
        let earlier = earlier.map(|(number, value)| {
            let (key_id, created) = value.split_once(' ').unwrap_or((value, ""));
            let number = number.parse().ok().filter(|number| (1..version).contains(number));
            match number.filter(|_| text::is_key_id(key_id)) {
                Some(version) => Ok(Member { version, key_id: key_id.to_owned(), created: Timestamp::parse_rfc3339(created) }),
                None => Err(unsuitable(format!("a tag of KMS key `{}` names no earlier version: `{value}`", key.key_id()))),
            }
        });
        let mut earlier = earlier.collect::<Result<Vec<_>, _>>()?;
        earlier.sort_by_key(|member| member.version);
        Ok(Some(Self { primary: member(version, key), earlier }))
    }

    /// The tags of the version that follows, when `kept` of the earlier ones are still told.
    pub(super) fn next_tags(&self, identity: &KeyIdentity, kept: &[Member]) -> BTreeMap<String, String> {
        let mut tags = BTreeMap::from([
            (INSTALLATION.to_owned(), hex::encode(identity.installation)),
            (KEY.to_owned(), identity.id.to_string()),
            (COUNTRY.to_owned(), identity.country.to_string()),
            (VERSION.to_owned(), self.primary.version.saturating_add(1).to_string()),
        ]);
        tags.extend(kept.iter().chain([&self.primary]).map(|member| {
            let created = member.created.map(Timestamp::to_rfc3339).unwrap_or_default();
            (format!("{EARLIER}{}", member.version), format!("{} {created}", member.key_id).trim_end().to_owned())
        }));
        tags
    }
}

/// A version by what KMS says of its key.
pub(super) fn member(version: u32, key: &KeyMetadata) -> Member {
    let created = key.creation_date().and_then(|date| date.to_millis().ok()).map(Timestamp::from_millis);
    Member { version, key_id: key.key_id().to_owned(), created }
}

/// Refuses a key that could be used elsewhere, that somebody else has a copy of, or that cannot do what is needed.
pub(super) fn check(identity: &KeyIdentity, region: &str, key: &KeyMetadata) -> Result<(), KmsError> {
    let unsuitable = |what: &str| {
        let reason = format!("KMS key `{}` {what}", key.key_id());
        Err(KmsError::Unsuitable { key: identity.id.clone(), reason })
    };
    if key.multi_region() == Some(true) {
        return unsuitable("is a multi-region key, which can be copied to another country: make a single-region key");
    }
    if key.arn().and_then(|arn| arn.split(':').nth(3)).is_some_and(|held| held != region) || key.arn().is_none() {
        return unsuitable(&format!("is not in region `{region}`: it is `{}`", key.arn().unwrap_or("nowhere")));
    }
    if !text::is_key_id(key.key_id()) {
        return unsuitable("has no id of a single-region key");
    }
    if key.key_spec() != Some(&KeySpec::SymmetricDefault) || key.key_usage() != Some(&KeyUsageType::EncryptDecrypt) {
        return unsuitable("cannot wrap keys: make one of spec SYMMETRIC_DEFAULT and usage ENCRYPT_DECRYPT");
    }
    match key.origin() {
        Some(OriginType::AwsKms | OriginType::AwsCloudhsm) => {}
        Some(OriginType::External) => return unsuitable("has imported material, of which others have a copy: let KMS make it"),
        Some(OriginType::ExternalKeyStore) => {
            return unsuitable("is in an external key store, and nobody can tell in which country that stands: let KMS make it");
        }
        _ => return unsuitable("does not say where its material comes from"),
    }
    if key.key_manager() == Some(&KeyManagerType::Aws) {
        return unsuitable("is managed by AWS, who alone can destroy it: make a customer managed key");
    }
    Ok(())
}
