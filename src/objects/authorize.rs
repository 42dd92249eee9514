//! Whether a request may do what it asks. The configuration is a boundary around everything; inside it, the bucket's own settings
//! decide: its policy, its ACL and those of its objects, object ownership and the public access block.

use std::sync::Arc;

use crate::access::{self, Acl, Action, BucketAccess, Caller, Denial, ObjectAccess, Verdict, evaluate};
use crate::audit::Kind;
use crate::authn::Scope;
use crate::index::{Bucket, Upload, Version};
use crate::objects::facts::Facts;
use crate::objects::{ObjectError, Objects, Request};
use crate::types::{AccountId, BucketName, ObjectKey, VersionId};

/// What of a bucket a request is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum On<'a> {
    /// The bucket itself.
    Bucket,
    /// A list of the keys that begin so.
    Listing(&'a str),
    /// An object that is there, or is believed to be.
    Object(&'a ObjectKey, Option<VersionId>),
    /// The same, when it has been looked up: what was found.
    Found(&'a ObjectKey, Option<VersionId>, Option<&'a Version>),
    /// An object to be written, which will be that account's.
    New(&'a ObjectKey, &'a AccountId),
    /// An upload.
    Upload(&'a Upload),
}

impl<'a> On<'a> {
    fn scope(self) -> Scope<'a> {
        match self {
            Self::Bucket => Scope::Bucket,
            Self::Listing(prefix) => Scope::Keys(prefix),
            Self::Object(..) | Self::Found(..) | Self::New(..) | Self::Upload(_) => {
                self.key().map_or(Scope::Bucket, |key| Scope::Keys(key.as_str()))
            }
        }
    }

    fn key(self) -> Option<&'a ObjectKey> {
        match self {
            Self::Bucket | Self::Listing(_) => None,
            Self::Object(key, _) | Self::Found(key, ..) | Self::New(key, _) => Some(key),
            Self::Upload(upload) => Some(&upload.key),
        }
    }
}

/// What an object says of access to it, taken out of its row.
struct Known {
    acl: Acl,
    tags: Vec<(String, String)>,
}

impl Known {
    fn of(version: &Version) -> Self {
        match version {
            Version::Record(record) => Self { acl: record.acl(), tags: record.detail.tags.clone() },
            Version::Marker(marker) => Self { acl: Acl::private(marker.owner.clone()), tags: Vec::new() },
        }
    }
}

impl Objects {
    /// The bucket, if the caller may do `action` on it or what is in it. The configuration is asked first: a caller that it does not
    /// let name the bucket cannot tell whether there is one.
    ///
    /// # Errors
    /// [`ObjectError::Forbidden`], [`ObjectError::NoSuchBucket`], [`ObjectError::WrongOwner`], [`ObjectError::Denied`]. Refusals are
    /// recorded.
    pub(super) async fn authorize(
        &self,
        request: &Request<'_>,
        name: &BucketName,
        action: Action,
        on: On<'_>,
    ) -> Result<Arc<Bucket>, ObjectError> {
        let bucket = self.reach(request, name, action, on).await?;
        self.authorize_in(request, &bucket, action, on).await?;
        self.check_expected_owner(request, &bucket).await?;
        Ok(bucket)
    }

    /// The bucket, if the configuration lets the caller do `action` there; whether the bucket does remains to be asked.
    pub(super) async fn reach(
        &self,
        request: &Request<'_>,
        name: &BucketName,
        action: Action,
        on: On<'_>,
    ) -> Result<Arc<Bucket>, ObjectError> {
        self.check_boundary(request, Kind::Refused, (name, on.key()), action, on.scope()).await?;
        self.bucket(name)
    }

    /// Refuses nobody in particular before a byte of the body is read, where the bucket lets no stranger do anything.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchBucket`], [`ObjectError::NotAllowed`].
    pub async fn check_stranger(&self, request: &Request<'_>, name: &BucketName) -> Result<(), ObjectError> {
        if !request.auth.is_anonymous() {
            return Ok(());
        }
        let bucket = self.bucket(name)?;
        if bucket.settings.policy.is_some() || bucket.settings.ownership().acls_enabled() {
            return Ok(());
        }
        Err(self.deny(request, &bucket, None, Denial::NotGranted).await?)
    }

    /// As [`Objects::authorize`], in a bucket that is known, whose expected owner has been checked.
    pub(super) async fn authorize_in(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        action: Action,
        on: On<'_>,
    ) -> Result<(), ObjectError> {
        self.check_boundary(request, Kind::Refused, (&bucket.name, on.key()), action, on.scope()).await?;
        match self.verdict(request, bucket, action, on)? {
            None => Ok(()),
            Some(denial) => Err(self.deny(request, bucket, on.key(), denial).await?),
        }
    }

    /// As [`Objects::authorize_in`], asked by somebody who only plans: nothing is recorded.
    pub(super) fn may(&self, request: &Request<'_>, bucket: &Bucket, action: Action, on: On<'_>) -> Result<(), ObjectError> {
        request.auth.permits(action.class(), &bucket.name, on.scope())?;
        self.verdict(request, bucket, action, on)?.map_or(Ok(()), |denial| Err(denial.into()))
    }

    /// Refuses what a policy denies by name, for something that comes along with an action that has been allowed.
    pub(super) async fn check_not_denied(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        action: Action,
        on: On<'_>,
    ) -> Result<(), ObjectError> {
        match self.verdict(request, bucket, action, on)? {
            Some(denial @ Denial::Policy { .. }) => Err(self.deny(request, bucket, on.key(), denial).await?),
            _ => Ok(()),
        }
    }

    /// Whether the bucket's policy or ACL lets strangers in: what GetBucketPolicyStatus answers.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchBucket`] and refusals.
    pub async fn is_public(&self, request: &Request<'_>, name: &BucketName) -> Result<bool, ObjectError> {
        let bucket = self.authorize(request, name, Action::GetBucketPolicyStatus, On::Bucket).await?;
        let private = Acl::private(bucket.owner.clone());
        Ok(access_of(&bucket, &private).is_public())
    }

    /// Whether the caller may list `key`: only then it may learn that there is no such object.
    pub(super) fn may_list(&self, request: &Request<'_>, bucket: &Bucket, key: &ObjectKey) -> Result<bool, ObjectError> {
        let action = Action::ListBucket;
        let scope = Scope::Keys(key.as_str());
        Ok(request.auth.permits(action.class(), &bucket.name, scope).is_ok()
            && self.verdict(request, bucket, action, On::Listing(key.as_str()))?.is_none())
    }

    /// Refuses, and records the refusal of, what the configuration does not let the caller do.
    pub(super) async fn check_boundary(
        &self,
        request: &Request<'_>,
        kind: Kind,
        (name, key): (&BucketName, Option<&ObjectKey>),
        action: Action,
        scope: Scope<'_>,
    ) -> Result<(), ObjectError> {
        let Err(forbidden) = request.auth.permits(action.class(), name, scope) else { return Ok(()) };
        self.record_refusal(request, kind, name, key, "AccessDenied").await?;
        Err(forbidden.into())
    }

    /// The denial as an error, once it is recorded. Why it was denied is told to the owner's account alone: to others it could tell what
    /// there is.
    pub(super) async fn deny(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        key: Option<&ObjectKey>,
        denial: Denial,
    ) -> Result<ObjectError, ObjectError> {
        self.record_refusal(request, Kind::Refused, &bucket.name, key, "AccessDenied").await?;
        tracing::debug!(request = %request.id, bucket = %bucket.name, %denial, "denied");
        Ok(if request.account() == Some(&bucket.owner) { denial.into() } else { ObjectError::NotAllowed })
    }

    /// `x-amz-expected-bucket-owner`.
    pub(super) async fn check_expected_owner(&self, request: &Request<'_>, bucket: &Bucket) -> Result<(), ObjectError> {
        if request.expected_owner.is_none_or(|expected| expected == bucket.owner.as_str()) {
            return Ok(());
        }
        self.record_refusal(request, Kind::Refused, &bucket.name, None, "AccessDenied").await?;
        Err(ObjectError::WrongOwner)
    }

    /// Whether the bucket has more to ask than whose it is: its policy or ACLs may look at what an object says of itself.
    pub(super) fn asks_object(&self, request: &Request<'_>, bucket: &Bucket) -> bool {
        let own = request.account() == Some(&bucket.owner);
        !own || bucket.settings.policy.is_some() || bucket.settings.ownership().acls_enabled()
    }

    /// Why the bucket's settings do not let the request pass; `None` when they do.
    fn verdict(&self, request: &Request<'_>, bucket: &Bucket, action: Action, on: On<'_>) -> Result<Option<Denial>, ObjectError> {
        let settings = &bucket.settings;
        // The way of nearly every request: it needs neither the object nor an allocation.
        if !self.asks_object(request, bucket) {
            return Ok(None);
        }
        let caller = request.caller();
        let asked = access::Request { caller: &caller, action, bucket: &bucket.name, key: on.key() };
        let private = Acl::private(bucket.owner.clone());
        let access = access_of(bucket, &private);
        let facts = Facts { request: request.facts, bucket_tags: &settings.tags, object_tags: &[], on };
        let verdict = evaluate(&asked, &access, None, &facts);
        let verdict = match verdict {
            Verdict::NeedsObject => match self.known(bucket, on)? {
                Some(known) => {
                    let object = ObjectAccess { owner: &known.acl.owner, acl: &known.acl };
                    evaluate(&asked, &access, Some(&object), &Facts { object_tags: &known.tags, ..facts })
                }
                None => return self.verdict_on_absence(request, bucket, action, on),
            },
            other => other,
        };
        Ok(match verdict {
            Verdict::Allow => None,
            Verdict::Deny(denial) => Some(denial),
            Verdict::NeedsObject => Some(Denial::NotGranted),
        })
    }

    /// Whoever may list the key learns that it is not there. Deleting it takes being its owner, and it has none.
    fn verdict_on_absence(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        action: Action,
        on: On<'_>,
    ) -> Result<Option<Denial>, ObjectError> {
        let listed = match on.key() {
            Some(_) if matches!(action, Action::DeleteObject | Action::DeleteObjectVersion) => false,
            Some(key) => self.may_list(request, bucket, key)?,
            None => false,
        };
        Ok(if listed { None } else { Some(Denial::NotGranted) })
    }

    /// What is known of the thing that a request is about; `None` when it is not there.
    fn known(&self, bucket: &Bucket, on: On<'_>) -> Result<Option<Known>, ObjectError> {
        Ok(match on {
            On::Bucket | On::Listing(_) => None,
            On::New(_, owner) => Some(Known { acl: Acl::private(owner.clone()), tags: Vec::new() }),
            On::Upload(upload) => Some(Known { acl: Acl::private(upload.initiator.clone()), tags: Vec::new() }),
            On::Object(key, version) => {
                let found = match version {
                    Some(version) => self.index.version(bucket, key, version)?,
                    None => self.newest(bucket, key)?,
                };
                found.as_ref().map(Known::of)
            }
            On::Found(_, _, found) => found.map(Known::of),
        })
    }
}

/// What a bucket says about access to it; `private` is its ACL where it has none.
fn access_of<'a>(bucket: &'a Bucket, private: &'a Acl) -> BucketAccess<'a> {
    let settings = &bucket.settings;
    BucketAccess {
        owner: &bucket.owner,
        policy: settings.policy.as_ref(),
        acl: settings.acl.as_ref().unwrap_or(private),
        public_access: settings.public_access(),
        ownership: settings.ownership(),
    }
}

impl Request<'_> {
    /// Who asks, as policies and ACLs see it.
    fn caller(&self) -> Caller {
        if self.auth.is_anonymous() {
            return Caller::Anonymous;
        }
        let principal = self.auth.principal();
        Caller::principal(principal.account.clone(), principal.id.clone())
    }

    /// The account of the caller; `None` for nobody.
    pub(super) fn account(&self) -> Option<&AccountId> {
        (!self.auth.is_anonymous()).then(|| &self.auth.principal().account)
    }
}
