//! What a bucket's answers mean for the blobs in it.

use aws_sdk_s3::{
    operation::{
        get_bucket_acl::GetBucketAclOutput, get_bucket_lifecycle_configuration::GetBucketLifecycleConfigurationOutput,
        get_bucket_location::GetBucketLocationOutput, get_bucket_policy::GetBucketPolicyOutput,
        get_bucket_policy_status::GetBucketPolicyStatusOutput, get_bucket_replication::GetBucketReplicationOutput,
        get_bucket_versioning::GetBucketVersioningOutput, get_public_access_block::GetPublicAccessBlockOutput,
        list_object_versions::ListObjectVersionsOutput,
    },
    types::{BucketVersioningStatus, ExpirationStatus, LifecycleRule, ReplicationRule, ReplicationRuleStatus},
};

use super::{
    Answer,
    policy_text::{self, Openness},
};
use crate::backend::posture::{Unknown, Verdict, told};

/// How the names of blobs begin. A rule for other names does nothing here.
const BLOBS: [&str; 3] = ["d1/", "j1/", "domicile-site"];

/// What the public access block takes the effect of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HeldBack {
    pub(super) policy: bool,
    pub(super) acl: bool,
}

pub(super) fn held_back(block: &Answer<GetPublicAccessBlockOutput>) -> HeldBack {
    let Answer::Told(answer) = block else { return HeldBack::default() };
    let Some(block) = answer.public_access_block_configuration() else { return HeldBack::default() };
    HeldBack { policy: block.restrict_public_buckets().unwrap_or(false), acl: block.ignore_public_acls().unwrap_or(false) }
}

pub(super) fn region(configured: &str, at_aws: bool, answer: Answer<GetBucketLocationOutput>) -> Verdict {
    let answer = match answer {
        Answer::Told(answer) => answer,
        Answer::Absent => return Verdict::Unknown(Unknown::NotSupported),
        Answer::Open(unknown) => return Verdict::Unknown(unknown),
    };
    let region = match answer.location_constraint().map_or("", |region| region.as_str()) {
        // At AWS nothing is the name of the oldest region; elsewhere it says nothing.
        "" if at_aws => "us-east-1",
        "" => return Verdict::Unknown(Unknown::NotSupported),
        "EU" if at_aws => "eu-west-1",
        region => region,
    };
    if region.eq_ignore_ascii_case(configured) {
        return Verdict::Fine;
    }
    Verdict::warning(format!("the bucket is in `{}`, the configuration says `{configured}`", told(region)))
}

pub(super) fn replication(answer: Answer<GetBucketReplicationOutput>) -> Verdict {
    let answer = match answer {
        Answer::Told(answer) => answer,
        Answer::Absent => return Verdict::Fine,
        Answer::Open(unknown) => return Verdict::Unknown(unknown),
    };
    // An answer without a document is that of a service that does not know the question.
    let Some(configuration) = answer.replication_configuration() else { return Verdict::Unknown(Unknown::NotSupported) };
    let rules = configuration.rules();
    let (on, off): (Vec<_>, Vec<_>) =
        rules.iter().filter(|rule| copies_blobs(rule)).partition(|rule| *rule.status() != ReplicationRuleStatus::Disabled);
    let names = |rules: &[&ReplicationRule]| {
        let mut names: Vec<String> = rules.iter().map(|rule| destination(rule)).collect();
        names.sort();
        names.dedup();
        told(&names.join(", "))
    };
    match (on.as_slice(), off.as_slice()) {
        ([], []) => Verdict::Fine,
        ([], off) => Verdict::warning(format!("rules that are switched off would copy blobs to {}", names(off))),
        (on, _) => Verdict::alarm(format!("every blob is copied to {}", names(on))),
    }
}

fn destination(rule: &ReplicationRule) -> String {
    let name = rule.destination().map_or("", |destination| destination.bucket());
    match name.strip_prefix("arn:aws:s3:::").unwrap_or(name) {
        "" => "a bucket that is not named".to_owned(),
        name => format!("bucket `{name}`"),
    }
}

fn copies_blobs(rule: &ReplicationRule) -> bool {
    #[expect(deprecated, reason = "rules of the first version have their prefix here")]
    let first = rule.prefix();
    let filter = rule.filter();
    let and = filter.and_then(|filter| filter.and());
    let prefix = filter.and_then(|filter| filter.prefix()).or(and.and_then(|and| and.prefix())).or(first);
    let tagged = filter.is_some_and(|filter| filter.tag().is_some()) || and.is_some_and(|and| !and.tags().is_empty());
    reaches_blobs(prefix, tagged)
}

/// Whether a rule with this filter is about blobs. They have no tags.
fn reaches_blobs(prefix: Option<&str>, tagged: bool) -> bool {
    let prefix = prefix.unwrap_or_default();
    !tagged && BLOBS.iter().any(|blobs| blobs.starts_with(prefix) || prefix.starts_with(blobs))
}

pub(super) fn public_policy(
    status: Answer<GetBucketPolicyStatusOutput>,
    policy: Answer<GetBucketPolicyOutput>,
    held_back: bool,
) -> Verdict {
    let status = match status {
        Answer::Told(answer) => match answer.policy_status().and_then(|status| status.is_public()) {
            Some(public) => Ok(public),
            None => Err(Unknown::NotSupported),
        },
        Answer::Absent => Ok(false),
        Answer::Open(unknown) => Err(unknown),
    };
    let text = match policy {
        Answer::Told(answer) => policy_text::judge(answer.policy().unwrap_or_default())
            .ok_or_else(|| Unknown::Failed("the policy's text is not understood".to_owned())),
        Answer::Absent => Ok(Openness::Closed),
        Answer::Open(unknown) => Err(unknown),
    };
    match (status, text) {
        // Some services judge by less than AWS: what plainly names everybody is public whatever they say.
        (Ok(true), _) | (_, Ok(Openness::Public)) => public("the bucket's policy lets everybody in", held_back),
        (Ok(false), _) | (Err(_), Ok(Openness::Closed)) => Verdict::Fine,
        (Err(_), Ok(Openness::Conditional)) => {
            Verdict::warning("the bucket's policy lets everybody in under conditions that are not judged here")
        }
        (Err(unknown), Err(_)) => Verdict::Unknown(unknown),
    }
}

pub(super) fn public_acl(answer: Answer<GetBucketAclOutput>, held_back: bool) -> Verdict {
    let answer = match answer {
        Answer::Told(answer) => answer,
        Answer::Absent => return Verdict::Unknown(Unknown::NotSupported),
        Answer::Open(unknown) => return Verdict::Unknown(unknown),
    };
    let grants = answer.grants().iter().filter_map(|grant| {
        let group = grant.grantee()?.uri()?.rsplit('/').next()?;
        let whom = match group {
            "AllUsers" => "everybody",
            "AuthenticatedUsers" => "everybody with an account",
            _ => return None,
        };
        Some(format!("{} to {whom}", grant.permission().map_or("a permission", |permission| permission.as_str())))
    });
    let grants: Vec<String> = grants.collect();
    if grants.is_empty() {
        return Verdict::Fine;
    }
    public(&format!("the bucket's ACL gives {}", told(&grants.join(", "))), held_back)
}

fn public(what: &str, held_back: bool) -> Verdict {
    if held_back {
        Verdict::warning(format!("{what}; only its public access block holds that back"))
    } else {
        Verdict::alarm(what)
    }
}

pub(super) fn public_access_block(answer: Answer<GetPublicAccessBlockOutput>) -> Verdict {
    let answer = match answer {
        Answer::Told(answer) => answer,
        Answer::Absent => return Verdict::warning("the bucket has none, so a policy or an ACL can make it public"),
        Answer::Open(unknown) => return Verdict::Unknown(unknown),
    };
    let Some(block) = answer.public_access_block_configuration() else { return Verdict::Unknown(Unknown::NotSupported) };
    let off: Vec<&str> = [
        ("BlockPublicAcls", block.block_public_acls()),
        ("IgnorePublicAcls", block.ignore_public_acls()),
        ("BlockPublicPolicy", block.block_public_policy()),
        ("RestrictPublicBuckets", block.restrict_public_buckets()),
    ]
    .into_iter()
    .filter_map(|(name, on)| (on != Some(true)).then_some(name))
    .collect();
    if off.is_empty() { Verdict::Fine } else { Verdict::warning(format!("off: {}", off.join(", "))) }
}

/// What a bucket's versioning means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Versions {
    /// It is switched off now: there may be old versions from before.
    Suspended,
    Judged(Verdict),
}

impl Versions {
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::Judged(verdict) => verdict,
            Self::Suspended => Verdict::warning(FROM_BEFORE),
        }
    }
}

const FROM_BEFORE: &str = "switched off; versions from before may still be there";

pub(super) fn versioning(
    answer: Answer<GetBucketVersioningOutput>,
    lifecycle: &Answer<GetBucketLifecycleConfigurationOutput>,
) -> Versions {
    let answer = match answer {
        Answer::Told(answer) => answer,
        Answer::Absent => return Versions::Judged(Verdict::Unknown(Unknown::NotSupported)),
        Answer::Open(unknown) => return Versions::Judged(Verdict::Unknown(unknown)),
    };
    Versions::Judged(match answer.status() {
        None => Verdict::Fine,
        Some(BucketVersioningStatus::Suspended) => return Versions::Suspended,
        Some(_) => match days_of_old_versions(lifecycle) {
            Some(days) => Verdict::warning(format!(
                "on: deleted blobs stay as old versions for {days} days, until a lifecycle rule removes them"
            )),
            None => Verdict::warning("on: deleted blobs stay as old versions"),
        },
    })
}

/// After how many days a rule removes every old version.
fn days_of_old_versions(lifecycle: &Answer<GetBucketLifecycleConfigurationOutput>) -> Option<i32> {
    let Answer::Told(answer) = lifecycle else { return None };
    let whole = |rule: &&LifecycleRule| {
        let (prefix, tagged) = of_lifecycle(rule);
        let sized = rule.filter().is_some_and(|filter| {
            filter.and().is_some() || filter.object_size_greater_than().is_some() || filter.object_size_less_than().is_some()
        });
        *rule.status() == ExpirationStatus::Enabled && prefix.unwrap_or_default().is_empty() && !tagged && !sized
    };
    let expiring = answer.rules().iter().filter(whole).filter_map(|rule| rule.noncurrent_version_expiration());
    expiring.filter(|old| old.newer_noncurrent_versions().unwrap_or(0) == 0).filter_map(|old| old.noncurrent_days()).min()
}

pub(super) fn old_versions(answer: Answer<ListObjectVersionsOutput>) -> Verdict {
    let Answer::Told(page) = answer else { return Verdict::warning(FROM_BEFORE) };
    // Delete markers hold nothing, and a bucket with versioning suspended gets one with every deletion.
    let old = page.versions().iter().any(|version| version.is_latest() == Some(false));
    match (old, page.is_truncated().unwrap_or(false)) {
        (false, false) => Verdict::Fine,
        (false, true) => Verdict::warning(FROM_BEFORE),
        (true, _) => Verdict::warning("switched off, but versions from before are still there"),
    }
}

pub(super) fn lifecycle(answer: Answer<GetBucketLifecycleConfigurationOutput>) -> Verdict {
    let answer = match answer {
        Answer::Told(answer) => answer,
        Answer::Absent => return Verdict::Fine,
        Answer::Open(unknown) => return Verdict::Unknown(unknown),
    };
    let reaching = answer.rules().iter().filter(|rule| {
        let (prefix, tagged) = of_lifecycle(rule);
        *rule.status() != ExpirationStatus::Disabled && reaches_blobs(prefix, tagged)
    });
    let (mut deleting, mut moving) = (Vec::new(), Vec::new());
    for rule in reaching {
        let name = format!("`{}`", rule.id().unwrap_or("without a name"));
        if rule.expiration().is_some_and(|expiration| expiration.days().is_some() || expiration.date().is_some()) {
            deleting.push(name.clone());
        }
        if !rule.transitions().is_empty() {
            moving.push(name);
        }
    }
    match (deleting.as_slice(), moving.as_slice()) {
        ([], []) => Verdict::Fine,
        ([], moving) => Verdict::warning(format!(
            "rules move blobs to another storage class, where they may not be readable: {}",
            told(&moving.join(", "))
        )),
        (deleting, _) => Verdict::alarm(format!("rules delete blobs: {}", told(&deleting.join(", ")))),
    }
}

/// The prefix of a rule, and whether it asks for tags.
fn of_lifecycle(rule: &LifecycleRule) -> (Option<&str>, bool) {
    #[expect(deprecated, reason = "rules of the first version have their prefix here")]
    let first = rule.prefix();
    let filter = rule.filter();
    let and = filter.and_then(|filter| filter.and());
    let prefix = filter.and_then(|filter| filter.prefix()).or(and.and_then(|and| and.prefix())).or(first);
    let tagged = filter.is_some_and(|filter| filter.tag().is_some()) || and.is_some_and(|and| !and.tags().is_empty());
    (prefix, tagged)
}
