//! ACLs: what a write asks for, and those of buckets and objects that are there.

use std::sync::Arc;

use crate::access::{Acl, Action, CannedAcl, Grant, InvalidAcl};
use crate::audit::Kind;
use crate::authn::Scope;
use crate::bucket::SettingError;
use crate::index::{Bucket, Record, RecordUpdate};
use crate::objects::authorize::On;
use crate::objects::{ObjectError, Objects, Request, VersionName};
use crate::types::{AccountId, BucketName, ObjectKey, VersionId};

/// The ACL that a request wants something to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AclRequest {
    /// Nothing is said: the owner's alone.
    #[default]
    Unsaid,
    /// One that has a name.
    Canned(CannedAcl),
    /// These grants.
    Grants(Vec<Grant>),
}

impl AclRequest {
    /// The ACL of a bucket.
    ///
    /// # Errors
    /// [`InvalidAcl::TooManyGrants`].
    pub fn for_bucket(self, owner: &AccountId) -> Result<Option<Acl>, InvalidAcl> {
        match self {
            Self::Unsaid => Ok(None),
            Self::Canned(canned) => Ok(Some(canned.for_bucket(owner))),
            Self::Grants(grants) => Acl::new(owner.clone(), grants).map(Some),
        }
    }

    /// The ACL of an object.
    ///
    /// # Errors
    /// [`InvalidAcl::TooManyGrants`].
    pub fn for_object(&self, owner: &AccountId, bucket_owner: &AccountId) -> Result<Option<Acl>, InvalidAcl> {
        match self {
            Self::Unsaid => Ok(None),
            Self::Canned(canned) => Ok(Some(canned.for_object(owner, bucket_owner))),
            Self::Grants(grants) => Acl::new(owner.clone(), grants.clone()).map(Some),
        }
    }

    const fn canned(&self) -> Option<CannedAcl> {
        match self {
            Self::Canned(canned) => Some(*canned),
            Self::Unsaid | Self::Grants(_) => None,
        }
    }
}

/// Whose a new object is, and its ACL where one was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Belonging {
    pub(super) owner: AccountId,
    pub(super) acl: Option<Acl>,
}

impl Objects {
    /// Whose an object will be that the caller writes to `key`, and with which ACL.
    ///
    /// # Errors
    /// [`ObjectError::Setting`] where ACLs are off or the public access block refuses it; [`ObjectError::Denied`] where a policy
    /// denies setting ACLs.
    pub(super) async fn belonging_of_new(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        key: &ObjectKey,
        asked: &AclRequest,
    ) -> Result<Belonging, ObjectError> {
        let ownership = bucket.settings.ownership();
        let owner = ownership.owner_of_new_object(&bucket.owner, request.account(), asked.canned()).clone();
        if *asked == AclRequest::Unsaid {
            return Ok(Belonging { owner, acl: None });
        }
        if !ownership.acls_enabled() {
            // Some clients say `private` with every write; of the owner's own account it changes nothing.
            let own = request.account() == Some(&bucket.owner);
            let accepted =
                asked.canned().is_some_and(|canned| ownership.accepts_canned(canned) || (own && canned == CannedAcl::Private));
            return if accepted { Ok(Belonging { owner, acl: None }) } else { Err(SettingError::AclsOff.into()) };
        }
        // Whoever gives rights away needs more than to write.
        let (name, scope) = ((&bucket.name, Some(key)), Scope::Keys(key.as_str()));
        self.check_boundary(request, Kind::Refused, name, Action::PutObjectAcl, scope).await?;
        self.check_not_denied(request, bucket, Action::PutObjectAcl, On::New(key, &owner)).await?;
        let acl = asked.for_object(&owner, &bucket.owner)?;
        if let Some(acl) = &acl {
            self.check_acl(request, bucket, Some(key), acl).await?;
        }
        Ok(Belonging { owner, acl })
    }

    /// The ACL of a bucket.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchBucket`] and refusals.
    pub async fn bucket_acl(&self, request: &Request<'_>, name: &BucketName) -> Result<Acl, ObjectError> {
        let bucket = self.authorize(request, name, Action::GetBucketAcl, On::Bucket).await?;
        Ok(match &bucket.settings.acl {
            Some(acl) if bucket.settings.ownership().acls_enabled() => acl.clone(),
            _ => Acl::private(bucket.owner.clone()),
        })
    }

    /// The version whose ACL a request names, with the ACL.
    ///
    /// # Errors
    /// Those of [`Objects::head`].
    pub async fn object_acl(&self, request: &Request<'_>, name: VersionName<'_>) -> Result<(Acl, VersionId), ObjectError> {
        let action = name.action(Action::GetObjectAcl, Action::GetObjectVersionAcl);
        let (bucket, record) = self.find(request, name, &Default::default(), action).await?;
        let acl = if bucket.settings.ownership().acls_enabled() { record.acl() } else { Acl::private(bucket.owner.clone()) };
        Ok((acl, record.summary.version))
    }

    /// The bucket and the version whose ACL the caller may replace.
    ///
    /// # Errors
    /// Those of [`Objects::head`].
    pub async fn object_for_acl(
        &self,
        request: &Request<'_>,
        name: VersionName<'_>,
    ) -> Result<(Arc<Bucket>, Record), ObjectError> {
        let action = name.action(Action::PutObjectAcl, Action::PutObjectVersionAcl);
        self.find(request, name, &Default::default(), action).await
    }

    /// Replaces the ACL of a version that [`Objects::object_for_acl`] gave.
    ///
    /// # Errors
    /// [`ObjectError::Setting`] where the public access block refuses it, or where ACLs are off and it gives others anything.
    pub async fn set_object_acl(
        &self,
        request: &Request<'_>,
        (bucket, key): (&Bucket, &ObjectKey),
        record: &Record,
        acl: Acl,
    ) -> Result<(), ObjectError> {
        if !bucket.settings.ownership().acls_enabled() {
            // What everything has there may be set: some clients set a copy's ACL to that of its source.
            let own = request.account() == Some(&bucket.owner);
            return if own && acl == Acl::private(bucket.owner.clone()) { Ok(()) } else { Err(SettingError::AclsOff.into()) };
        }
        self.check_acl(request, bucket, Some(key), &acl).await?;
        debug_assert_eq!(acl.owner, record.summary.owner);
        Ok(self.update(request, bucket, key, record, RecordUpdate::Acl(acl), None).await?)
    }
    /// Refuses, and records the refusal of, an ACL that the bucket does not let be set.
    async fn check_acl(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        key: Option<&ObjectKey>,
        acl: &Acl,
    ) -> Result<(), ObjectError> {
        let Err(refused) = bucket.settings.check_acl(acl) else { return Ok(()) };
        self.record_refusal(request, Kind::Refused, &bucket.name, key, refused.code()).await?;
        Err(refused.into())
    }
}
