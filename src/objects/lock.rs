//! Object lock: what a new version is kept for, and changing that later.

use crate::bucket::Lock;
use crate::index::Bucket;
use crate::objects::{ObjectError, Objects};

impl Objects {
    /// The lock of a new version: as asked for, else the bucket's default.
    ///
    /// # Errors
    /// [`ObjectError::Setting`] when a lock is asked for in a bucket without object lock; [`ObjectError::InvalidArgument`] when it would
    /// end in the past.
    pub(super) fn lock_of_new(&self, bucket: &Bucket, asked: Lock) -> Result<Lock, ObjectError> {
        let Some(object_lock) = &bucket.settings.object_lock else {
            return if asked.is_empty() { Ok(asked) } else { Err(ObjectError::ObjectLockMissing) };
        };
        let now = self.clock.now();
        if asked.retention.is_some_and(|retention| retention.until <= now) {
            return Err(ObjectError::InvalidArgument {
                name: "x-amz-object-lock-retain-until-date",
                message: "the retain until date must be in the future".to_owned(),
            });
        }
        Ok(Lock { retention: asked.retention.or_else(|| object_lock.default_for(now)), ..asked })
    }
}
