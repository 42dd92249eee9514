//! All that a bucket is configured to do, and how it changes.

use serde::{Deserialize, Serialize};

use crate::access::{Acl, BucketPolicy, ObjectOwnership, PublicAccessBlock};
use crate::bucket::{Cors, Encryption, Lifecycle, ObjectLock, SettingError, Versioning, check_bucket_tags};

/// A bucket's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BucketSettings {
    /// Whether it keeps what is replaced.
    pub versioning: Versioning,
    /// Object lock, where it was turned on.
    pub object_lock: Option<ObjectLock>,
    /// What it lets go of by itself.
    pub lifecycle: Option<Lifecycle>,
    /// Which web pages may use it.
    pub cors: Option<Cors>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Encryption, where it was set; without, it is [`Encryption::default`].
    pub encryption: Option<Encryption>,
    /// Its policy.
    pub policy: Option<BucketPolicy>,
    /// Its ACL, where one was set; without, it is the owner's alone.
    pub acl: Option<Acl>,
    /// Object ownership, where it was set; see [`BucketSettings::ownership`].
    pub ownership: Option<ObjectOwnership>,
    /// The public access block, where it was set; see [`BucketSettings::public_access`].
    pub public_access: Option<PublicAccessBlock>,
}

/// One change of a bucket's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Setting {
    /// PutBucketVersioning. [`Versioning::Off`] is refused.
    Versioning(Versioning),
    /// PutObjectLockConfiguration, which also turns object lock on. Needs versioning enabled; there is no way back.
    ObjectLock(ObjectLock),
    /// PutBucketLifecycleConfiguration, or its deletion.
    Lifecycle(Option<Lifecycle>),
    /// PutBucketCors, or its deletion.
    Cors(Option<Cors>),
    /// PutBucketTagging; empty is its deletion.
    Tags(Vec<(String, String)>),
    /// PutBucketEncryption, or its deletion.
    Encryption(Option<Encryption>),
    /// PutBucketPolicy, or its deletion. A public policy is refused where the public access block says so.
    Policy(Option<BucketPolicy>),
    /// PutBucketAcl. Refused where ACLs are off, or where it is public and the public access block says so.
    Acl(Acl),
    /// PutBucketOwnershipControls, or their deletion. ACLs can be turned off only while the bucket's is private.
    Ownership(Option<ObjectOwnership>),
    /// PutPublicAccessBlock, or its deletion.
    PublicAccess(Option<PublicAccessBlock>),
}

impl BucketSettings {
    /// Those of a new bucket in AWS since 2023: ACLs are off, and nothing can be made public.
    pub fn closed() -> Self {
        let (ownership, public_access) = (ObjectOwnership::BucketOwnerEnforced, PublicAccessBlock::ALL);
        Self { ownership: Some(ownership), public_access: Some(public_access), ..Self::default() }
    }

    /// Those of a bucket that is created with object lock: versioning is enabled with it.
    pub fn with_object_lock() -> Self {
        Self { versioning: Versioning::Enabled, object_lock: Some(ObjectLock::default()), ..Self::default() }
    }

    /// The object ownership in force: a bucket without the setting is as S3's were before there was one.
    pub fn ownership(&self) -> ObjectOwnership {
        self.ownership.unwrap_or(ObjectOwnership::ObjectWriter)
    }

    /// The public access block in force: none without the setting.
    pub fn public_access(&self) -> PublicAccessBlock {
        self.public_access.unwrap_or(PublicAccessBlock::NONE)
    }

    /// Sets the ACL that a bucket is created with. Where ACLs are off there can only be the owner's own.
    pub fn apply_acl(&mut self, acl: Option<Acl>) -> Result<(), SettingError> {
        match acl {
            None => Ok(()),
            Some(acl) if self.ownership().acls_enabled() => self.apply(Setting::Acl(acl)),
            Some(acl) if acl.is_private() => Ok(()),
            Some(_) => Err(SettingError::AclNotPrivate),
        }
    }

    /// Makes the change, or says why the other settings do not allow it and changes nothing.
    pub fn apply(&mut self, setting: Setting) -> Result<(), SettingError> {
        match setting {
            Setting::Versioning(versioning) => {
                self.check_versioning(versioning)?;
                self.versioning = versioning;
            }
            Setting::ObjectLock(lock) => {
                self.check_object_lock(lock)?;
                self.object_lock = Some(lock);
            }
            Setting::Lifecycle(lifecycle) => self.lifecycle = lifecycle,
            Setting::Cors(cors) => self.cors = cors,
            Setting::Tags(tags) => {
                check_bucket_tags(&tags)?;
                self.tags = tags;
            }
            Setting::Encryption(encryption) => self.encryption = encryption,
            Setting::Policy(policy) => {
                self.check_policy(policy.as_ref())?;
                self.policy = policy;
            }
            Setting::Acl(acl) => {
                self.check_acl(&acl)?;
                self.acl = Some(acl);
            }
            Setting::Ownership(ownership) => {
                self.check_ownership(ownership)?;
                self.ownership = ownership;
            }
            Setting::PublicAccess(block) => self.public_access = block,
        }
        Ok(())
    }

    fn check_versioning(&self, versioning: Versioning) -> Result<(), SettingError> {
        match versioning {
            Versioning::Off => {
                Err(SettingError::IllegalVersioning("Versioning cannot be turned off again; it can be suspended.".into()))
            }
            Versioning::Suspended if self.object_lock.is_some() => Err(SettingError::InvalidBucketState(
                "The bucket has an Object Lock configuration, so its versioning cannot be suspended.".into(),
            )),
            Versioning::Enabled | Versioning::Suspended => Ok(()),
        }
    }

    fn check_object_lock(&self, lock: ObjectLock) -> Result<(), SettingError> {
        if self.versioning != Versioning::Enabled {
            return Err(SettingError::InvalidBucketState(
                "Versioning must be `Enabled` on the bucket to apply an Object Lock configuration.".into(),
            ));
        }
        lock.default.map_or(Ok(()), |default| default.period.check())
    }

    fn check_policy(&self, policy: Option<&BucketPolicy>) -> Result<(), SettingError> {
        match policy {
            Some(policy) if self.public_access().refuses_policy(policy) => {
                Err(SettingError::AccessDenied("The bucket's public access block refuses public policies.".into()))
            }
            _ => Ok(()),
        }
    }

    /// Checks that ACLs count here and that the public access block lets this one be set, on the bucket or on an object in it.
    ///
    /// # Errors
    /// [`SettingError::AclsOff`], [`SettingError::AccessDenied`].
    pub fn check_acl(&self, acl: &Acl) -> Result<(), SettingError> {
        if !self.ownership().acls_enabled() {
            return Err(SettingError::AclsOff);
        }
        if self.public_access().refuses_acl(acl) {
            return Err(SettingError::AccessDenied("The bucket's public access block refuses public ACLs.".into()));
        }
        Ok(())
    }

    fn check_ownership(&self, ownership: Option<ObjectOwnership>) -> Result<(), SettingError> {
        let off = ownership.is_some_and(|ownership| !ownership.acls_enabled());
        if off && self.acl.as_ref().is_some_and(|acl| !acl.is_private()) {
            return Err(SettingError::AclNotPrivate);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::CannedAcl;
    use crate::bucket::{DefaultRetention, LockMode, Period};
    use crate::types::AccountId;

    fn refused(settings: &BucketSettings, setting: Setting) -> &'static str {
        let mut changed = settings.clone();
        let code = changed.apply(setting).unwrap_err().code();
        assert_eq!(changed, *settings, "a refused setting changed something");
        code
    }

    #[test]
    fn versioning_is_enabled_and_suspended_but_never_turned_off() {
        let mut settings = BucketSettings::default();
        for versioning in [Versioning::Suspended, Versioning::Enabled, Versioning::Enabled, Versioning::Suspended] {
            settings.apply(Setting::Versioning(versioning)).unwrap();
            assert_eq!(settings.versioning, versioning);
            assert_eq!(refused(&settings, Setting::Versioning(Versioning::Off)), "IllegalVersioningConfigurationException");
        }
    }

    #[test]
    fn object_lock_needs_versioning_enabled() {
        let lock = Setting::ObjectLock(ObjectLock::default());
        let mut settings = BucketSettings::default();
        assert_eq!(refused(&settings, lock.clone()), "InvalidBucketState");
        settings.apply(Setting::Versioning(Versioning::Suspended)).unwrap();
        assert_eq!(refused(&settings, lock.clone()), "InvalidBucketState");
        settings.apply(Setting::Versioning(Versioning::Enabled)).unwrap();
        settings.apply(lock).unwrap();
        assert_eq!(settings, BucketSettings::with_object_lock());
    }

    #[test]
    fn versioning_stays_enabled_under_object_lock() {
        let mut settings = BucketSettings::with_object_lock();
        assert_eq!(refused(&settings, Setting::Versioning(Versioning::Suspended)), "InvalidBucketState");
        settings.apply(Setting::Versioning(Versioning::Enabled)).unwrap();
    }

    #[test]
    fn a_default_retention_can_be_replaced_and_removed_but_must_be_one() {
        let lock = |period| ObjectLock { default: Some(DefaultRetention { mode: LockMode::Compliance, period }) };
        let mut settings = BucketSettings::with_object_lock();
        settings.apply(Setting::ObjectLock(lock(Period::Years(1)))).unwrap();
        assert_eq!(refused(&settings, Setting::ObjectLock(lock(Period::Days(0)))), "InvalidRetentionPeriod");
        settings.apply(Setting::ObjectLock(ObjectLock::default())).unwrap();
        assert_eq!(settings.object_lock, Some(ObjectLock::default()));
    }

    #[test]
    fn tags_are_checked() {
        let tags = |count: usize| Setting::Tags((0..count).map(|n| (n.to_string(), String::new())).collect());
        let mut settings = BucketSettings::default();
        settings.apply(tags(50)).unwrap();
        assert_eq!(refused(&settings, tags(51)), "InvalidTag");
        settings.apply(tags(0)).unwrap();
        assert!(settings.tags.is_empty());
    }

    fn acl(canned: CannedAcl) -> Acl {
        canned.for_bucket(&AccountId::new("owner").unwrap())
    }

    #[test]
    fn acls_are_refused_where_they_are_off() {
        let mut settings = BucketSettings { ownership: Some(ObjectOwnership::BucketOwnerEnforced), ..BucketSettings::default() };
        assert_eq!(refused(&settings, Setting::Acl(acl(CannedAcl::Private))), "AccessControlListNotSupported");
        settings.apply(Setting::Ownership(None)).unwrap();
        settings.apply(Setting::Acl(acl(CannedAcl::PublicRead))).unwrap();
        let enforced = Setting::Ownership(Some(ObjectOwnership::BucketOwnerEnforced));
        assert_eq!(refused(&settings, enforced.clone()), "InvalidBucketAclWithObjectOwnership");
        settings.apply(Setting::Ownership(Some(ObjectOwnership::BucketOwnerPreferred))).unwrap();
        settings.apply(Setting::Acl(acl(CannedAcl::Private))).unwrap();
        settings.apply(enforced).unwrap();
    }

    #[test]
    fn the_public_access_block_refuses_public_acls() {
        let mut settings = BucketSettings::default();
        assert_eq!(settings.public_access(), PublicAccessBlock::NONE);
        settings.apply(Setting::PublicAccess(Some(PublicAccessBlock::ALL))).unwrap();
        assert_eq!(refused(&settings, Setting::Acl(acl(CannedAcl::PublicReadWrite))), "AccessDenied");
        settings.apply(Setting::Acl(acl(CannedAcl::Private))).unwrap();
        settings.apply(Setting::PublicAccess(None)).unwrap();
        settings.apply(Setting::Acl(acl(CannedAcl::PublicReadWrite))).unwrap();
    }

    #[test]
    fn settings_are_read_back_and_from_rows_that_lack_them() {
        let settings = BucketSettings {
            object_lock: Some(ObjectLock {
                default: Some(DefaultRetention { mode: LockMode::Governance, period: Period::Days(3) }),
            }),
            tags: vec![("a".to_owned(), "b".to_owned())],
            encryption: Some(Encryption::default()),
            acl: Some(acl(CannedAcl::PublicRead)),
            ownership: Some(ObjectOwnership::ObjectWriter),
            public_access: Some(PublicAccessBlock::ALL),
            ..BucketSettings::with_object_lock()
        };
        let stored = rmp_serde::to_vec_named(&settings).unwrap();
        assert_eq!(rmp_serde::from_slice::<BucketSettings>(&stored).unwrap(), settings);
        let empty = rmp_serde::to_vec_named(&std::collections::BTreeMap::<String, String>::new()).unwrap();
        assert_eq!(rmp_serde::from_slice::<BucketSettings>(&empty).unwrap(), BucketSettings::default());
    }
}
