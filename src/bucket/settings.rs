//! All that a bucket is configured to do, and how it changes.

use serde::{Deserialize, Serialize};

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
}

impl BucketSettings {
    /// Those of a bucket that is created with object lock: versioning is enabled with it.
    pub fn with_object_lock() -> Self {
        Self { versioning: Versioning::Enabled, object_lock: Some(ObjectLock::default()), ..Self::default() }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::{DefaultRetention, LockMode, Period};

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

    #[test]
    fn settings_are_read_back_and_from_rows_that_lack_them() {
        let settings = BucketSettings {
            object_lock: Some(ObjectLock {
                default: Some(DefaultRetention { mode: LockMode::Governance, period: Period::Days(3) }),
            }),
            tags: vec![("a".to_owned(), "b".to_owned())],
            encryption: Some(Encryption::default()),
            ..BucketSettings::with_object_lock()
        };
        let stored = rmp_serde::to_vec_named(&settings).unwrap();
        assert_eq!(rmp_serde::from_slice::<BucketSettings>(&stored).unwrap(), settings);
        let empty = rmp_serde::to_vec_named(&std::collections::BTreeMap::<String, String>::new()).unwrap();
        assert_eq!(rmp_serde::from_slice::<BucketSettings>(&empty).unwrap(), BucketSettings::default());
    }
}
