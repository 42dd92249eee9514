//! Residency proofs: what is known of one version, a look at its sites now, and the ledger's entries that committed it.

mod copies;
mod decision;
mod entries;

use std::time::Duration;

use super::gateway::{AppGateway, internal};
use crate::admin::GatewayError;
use crate::audit::residence::{LIMITS, Names, Proof, RecordStatement, Statement};
use crate::index::{Bucket, FoundRecord, Record, Version};
use crate::types::{BucketName, ObjectKey, VersionId};

/// How often a record that moves under our hands is looked at again.
const TRIES: usize = 3;
/// The pause before that.
const PAUSE: Duration = Duration::from_millis(50);

const NOT_THERE: GatewayError = GatewayError::NotFound(
    "there is no such version now: it was deleted or erased, or never was. What the ledger tells of it is at /v1/ledger/entries",
);

impl AppGateway {
    /// Makes a proof, and with `from` one that its checkpoint continues the ledger of so many entries.
    pub(super) async fn prove(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
        from: Option<u64>,
    ) -> Result<Proof, GatewayError> {
        for _ in 0..TRIES {
            let Some((row, record)) = self.version_to_prove(bucket, key, version)? else { return Err(NOT_THERE) };
            // Nothing of it is removed while it is looked at.
            let _pin = self.objects.index.pin(record.summary.id);
            let found = FoundRecord { bucket: bucket.clone(), key: key.clone(), record };
            let copies = copies::look(&self.objects, &found).await?;
            let now = self.version_to_prove(bucket, key, version)?.map(|(_, record)| record);
            // What is signed is of one moment: the record was so before the look and after it.
            if self.bucket_of(bucket)?.is_some_and(|bucket| bucket.id == row.id)
                && now.as_ref().is_some_and(|now| same(now, &found.record))
            {
                let mut statement = self.statement(&found, copies).await?;
                if entries::add(&self.objects, &mut statement, from).await? {
                    return self.objects.index.prove(&statement).map_err(internal);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(GatewayError::Unavailable("the record is being moved; ask again"))
    }

    fn bucket_of(&self, name: &BucketName) -> Result<Option<std::sync::Arc<Bucket>>, GatewayError> {
        Ok(self.objects.index.bucket(name)?)
    }

    /// The version, or the newest; nothing where that is a delete marker, or of an erased subject.
    fn version_to_prove(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Option<(std::sync::Arc<Bucket>, Record)>, GatewayError> {
        let Some(row) = self.bucket_of(bucket)? else { return Ok(None) };
        let index = &self.objects.index;
        let record = match version {
            Some(version) => index.version(&row, key, version)?.and_then(Version::into_record),
            None => index.current(&row, key)?,
        };
        Ok(record.filter(|record| !self.objects.is_erased(record)).map(|record| (row, record)))
    }

    async fn statement(
        &self,
        found: &FoundRecord,
        copies: Vec<crate::audit::residence::CopyStatement>,
    ) -> Result<Statement, GatewayError> {
        let (summary, detail) = (&found.record.summary, &found.record.detail);
        Ok(Statement {
            v: 1,
            made: self.objects.clock.now().to_rfc3339(),
            origin: String::new(),
            record: RecordStatement {
                bucket: found.bucket.clone(),
                key: found.key.clone(),
                version: summary.version,
                record: summary.id,
                ticket: summary.ticket,
                size: summary.size,
                etag: summary.etag.to_string(),
                // Under a key of the client's own it is masked, and says nothing.
                checksum: detail
                    .checksum
                    .filter(|_| detail.customer.is_none())
                    .map(|checksum| format!("{}:{checksum}", checksum.algorithm().as_str())),
                modified: summary.modified.to_rfc3339(),
                customer_key: detail.customer.is_some(),
            },
            names: Names::default(),
            decision: self.decision(&found.record).await?,
            copies,
            ledger: entries::none(),
            limits: LIMITS.map(str::to_owned).to_vec(),
        })
    }
}

/// Whether nothing has changed of where a record lives and why.
fn same(one: &Record, other: &Record) -> bool {
    one.summary.id == other.summary.id
        && one.detail.copies == other.detail.copies
        && one.detail.placement == other.detail.placement
        && one.detail.entry == other.detail.entry
}
