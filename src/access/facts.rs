//! Everything that a statement can ask about a request.

use std::borrow::Cow;

use super::{Action, BucketAccess, Caller, Context, Key, Request, Value, context::Source};

/// A request, its caller and its bucket, as conditions and variables see them.
pub(super) struct Facts<'a> {
    request: &'a Request<'a>,
    bucket: &'a BucketAccess<'a>,
    object_known: bool,
    context: &'a dyn Context,
    /// `bucket` or `bucket/key`.
    resource: Cow<'a, str>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        request: &'a Request<'a>,
        bucket: &'a BucketAccess<'a>,
        object_known: bool,
        context: &'a dyn Context,
    ) -> Self {
        let resource = match request.key {
            Some(key) => Cow::Owned(format!("{}/{}", request.bucket, key.as_str())),
            None => Cow::Borrowed(request.bucket.as_str()),
        };
        Self { request, bucket, object_known, context, resource }
    }

    pub(super) const fn action(&self) -> Action {
        self.request.action
    }

    pub(super) const fn caller(&self) -> &Caller {
        self.request.caller
    }

    /// What is asked for, as an ARN names it after `arn:aws:s3:::`.
    pub(super) fn resource(&self) -> &str {
        &self.resource
    }

    /// Whether the object's tags count for this action and nobody has looked at the object yet.
    pub(super) const fn lacks_object(&self) -> bool {
        !self.object_known && sees_object_tags(self.request.action)
    }

    /// What the request says under a key.
    pub(super) fn value(&self, key: &Key) -> Value<'_> {
        match key.source() {
            Source::Request => self.context.value(key),
            Source::Object if sees_object_tags(self.request.action) => self.context.value(key),
            Source::Object | Source::Nobody => Value::Absent,
            Source::Evaluation => self.own_value(key),
        }
    }

    /// What a policy variable stands for; keys with many values cannot be one.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        match self.value(&Key::parse(name)?) {
            Value::One(value) => Some(value.into_owned()),
            Value::Absent | Value::Many(_) => None,
        }
    }

    fn own_value(&self, key: &Key) -> Value<'_> {
        match (key, self.request.caller) {
            (Key::CurrentTime, _) => self.context.now().to_rfc3339().into(),
            (Key::EpochTime, _) => self.context.now().seconds().to_string().into(),
            (Key::PrincipalIsAwsService | Key::ViaAwsService, _) => false.into(),
            (Key::ResourceAccount | Key::S3ResourceAccount, _) => self.bucket.owner.as_str().into(),
            (Key::PrincipalType, Caller::Anonymous) => "Anonymous".into(),
            (Key::PrincipalType, Caller::Account { .. }) => "User".into(),
            (Key::Username | Key::Userid, Caller::Account { principal, .. }) => principal.as_str().into(),
            (Key::PrincipalArn, Caller::Account { arn, .. }) => arn.as_str().into(),
            (Key::PrincipalAccount, Caller::Account { account, .. }) => account.as_str().into(),
            _ => Value::Absent,
        }
    }
}

/// The actions for which `s3:ExistingObjectTag/<key>` is there, by the Service Authorization Reference.
const fn sees_object_tags(action: Action) -> bool {
    matches!(
        action,
        Action::GetObject
            | Action::GetObjectVersion
            | Action::GetObjectAcl
            | Action::GetObjectVersionAcl
            | Action::GetObjectAttributes
            | Action::GetObjectVersionAttributes
            | Action::GetObjectTagging
            | Action::GetObjectVersionTagging
            | Action::PutObjectAcl
            | Action::PutObjectVersionAcl
            | Action::PutObjectTagging
            | Action::PutObjectVersionTagging
            | Action::DeleteObjectTagging
            | Action::DeleteObjectVersionTagging
    )
}
