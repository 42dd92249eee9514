//! What a policy's conditions can ask about beyond the request: the bucket's tags and the object's.

use std::borrow::Cow;

use crate::access::{Context, Key, Value};
use crate::types::Timestamp;

/// A request's facts with those that only the index knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// What the request itself says.
    pub(super) request: &'a dyn Context,
    /// The tags of the bucket.
    pub(super) bucket_tags: &'a [(String, String)],
    /// The tags of the object, once it is known.
    pub(super) object_tags: &'a [(String, String)],
    /// The keys that are listed begin with this.
    pub(super) prefix: Option<&'a str>,
}

impl Context for Facts<'_> {
    fn now(&self) -> Timestamp {
        self.request.now()
    }

    fn value(&self, key: &Key) -> Value<'_> {
        match (key, self.prefix) {
            (Key::Prefix, Some(prefix)) => Value::One(Cow::Borrowed(prefix)),
            (Key::BucketTag(name), _) => tag(self.bucket_tags, name),
            (Key::ExistingObjectTag(name), _) => tag(self.object_tags, name),
            _ => self.request.value(key),
        }
    }
}

/// A request's facts with the tags that its document sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retagging<'a> {
    /// What the request itself says.
    pub(super) request: &'a dyn Context,
    /// The tags in its document.
    pub(super) tags: &'a [(String, String)],
}

impl Context for Retagging<'_> {
    fn now(&self) -> Timestamp {
        self.request.now()
    }

    fn value(&self, key: &Key) -> Value<'_> {
        match key {
            Key::RequestObjectTag(name) => tag(self.tags, name),
            Key::RequestObjectTagKeys if self.tags.is_empty() => Value::Absent,
            Key::RequestObjectTagKeys => Value::Many(self.tags.iter().map(|(key, _)| Cow::Borrowed(key.as_str())).collect()),
            _ => self.request.value(key),
        }
    }
}

fn tag<'a>(tags: &'a [(String, String)], name: &str) -> Value<'a> {
    Value::maybe(tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()))
}
