//! All that a bucket is configured to do, and how it changes.

use serde::{Deserialize, Serialize};

use crate::bucket::{Cors, Encryption, Lifecycle, ObjectLock, SettingError, Versioning};

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
    pub fn apply(&mut self, _setting: Setting) -> Result<(), SettingError> {
        todo!()
    }
}
