//! What a policy's conditions can ask about beyond the request: the bucket's tags and the object's.

use std::borrow::Cow;

use crate::access::{Context, Key, Value};
use crate::bucket::Retention;
use crate::objects::authorize::On;
use crate::types::Timestamp;

/// A request's facts with those that only the index knows, and of what exactly is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// What the request itself says.
    pub(super) request: &'a dyn Context,
    /// The tags of the bucket.
    pub(super) bucket_tags: &'a [(String, String)],
    /// The tags of the object, once it is known.
    pub(super) object_tags: &'a [(String, String)],
    /// What is asked for.
    pub(super) on: On<'a>,
}

impl Context for Facts<'_> {
    fn now(&self) -> Timestamp {
        self.request.now()
    }

    fn value(&self, key: &Key) -> Value<'_> {
        match (key, self.on) {
            // Whether there is an empty prefix or none is for the request to say.
            (Key::Prefix, On::Listing(prefix)) if !prefix.is_empty() => Value::One(Cow::Borrowed(prefix)),
            // Of the very thing: one request may read one version and write another.
            (Key::VersionId, On::Object(_, Some(version)) | On::Found(_, Some(version), _)) => version.to_string().into(),
            (Key::VersionId, _) => Value::Absent,
            (Key::BucketTag(name), _) => tag(self.bucket_tags, name),
            (Key::ExistingObjectTag(name), _) => tag(self.object_tags, name),
            _ => self.request.value(key),
        }
    }
}

/// A request's facts with what it sets, where that is not in its headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    /// What the request itself says.
    pub(super) request: &'a dyn Context,
    /// What it sets.
    pub(super) what: What<'a>,
}

/// What a request sets.
#[derive(Debug, Clone, Copy)]
pub(super) enum What<'a> {
    /// An object's tags.
    Tags(&'a [(String, String)]),
    /// Until when a version is kept.
    Retention(Option<Retention>),
    /// Whether it is kept until further notice.
    LegalHold(bool),
}

impl Context for Setting<'_> {
    fn now(&self) -> Timestamp {
        self.request.now()
    }

    fn value(&self, key: &Key) -> Value<'_> {
        match (key, self.what) {
            (Key::RequestObjectTag(name), What::Tags(tags)) => tag(tags, name),
            (Key::RequestObjectTagKeys, What::Tags([])) => Value::Absent,
            (Key::RequestObjectTagKeys, What::Tags(tags)) => {
                Value::Many(tags.iter().map(|(key, _)| Cow::Borrowed(key.as_str())).collect())
            }
            (Key::LockMode, What::Retention(Some(retention))) => retention.mode.as_str().into(),
            (Key::LockRetainUntilDate, What::Retention(Some(retention))) => retention.until.to_rfc3339().into(),
            (Key::LockRemainingRetentionDays, What::Retention(Some(retention))) => {
                retention.remaining_days(self.now()).to_string().into()
            }
            (Key::LockLegalHold, What::LegalHold(on)) => if on { "ON" } else { "OFF" }.into(),
            (
                Key::LockMode | Key::LockRetainUntilDate | Key::LockRemainingRetentionDays | Key::LockLegalHold,
                What::Retention(_) | What::LegalHold(_),
            ) => Value::Absent,
            _ => self.request.value(key),
        }
    }
}

fn tag<'a>(tags: &'a [(String, String)], name: &str) -> Value<'a> {
    Value::maybe(tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()))
}
