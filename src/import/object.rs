//! One object: whether it has to be brought, what it says of itself, the way of a PUT, and its removal at the source.

use std::sync::Arc;

use super::{
    progress::Why,
    verify::{self, Report, Trouble},
    walk::{PAUSE, Walk},
};
use crate::{
    access::NoContext,
    backend::{SourceEntry, SourceError, SourceObject},
    bucket::{Lock, LockMode, Retention},
    index::{Imported, Record},
    objects::{Before, CustomerKeys, Description, ExpectedChecksum, ImportRequest, ObjectError, Request},
    types::{ObjectKey, Timestamp, decode_words},
};

/// Why an object is not brought.
#[derive(Debug)]
pub(super) struct Reason {
    why: Why,
    text: String,
    /// Whether it may go better later.
    again: bool,
}

impl Reason {
    fn refused(text: impl ToString) -> Self {
        Self { why: Why::Refused, text: text.to_string(), again: false }
    }

    fn conflict(text: &str) -> Self {
        Self { why: Why::Conflict, text: text.to_owned(), again: false }
    }
}

impl From<SourceError> for Reason {
    fn from(error: SourceError) -> Self {
        Self { why: Why::Failed, text: error.to_string(), again: error.is_retryable() }
    }
}

impl From<Trouble> for Reason {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Source(error) => error.into(),
            Trouble::Mismatch => Self { why: Why::Failed, text: trouble.to_string(), again: true },
        }
    }
}

impl From<ObjectError> for Reason {
    fn from(error: ObjectError) -> Self {
        let (why, again) = match &error {
            ObjectError::Residency(refusal) if refusal.is_retryable() => (Why::Failed, true),
            ObjectError::PreconditionFailed { .. } | ObjectError::NoSuchKey => {
                return Self::conflict("a client wrote to its key meanwhile");
            }
            ObjectError::BadDigest(_) => return Trouble::Mismatch.into(),
            ObjectError::ConditionalConflict
            | ObjectError::SiteUnavailable { .. }
            | ObjectError::KeysUnavailable { .. }
            | ObjectError::Unconfirmed
            | ObjectError::Overloaded
            | ObjectError::Body(_)
            | ObjectError::Internal(_) => (Why::Failed, true),
            ObjectError::Tampered(_) => (Why::Failed, false),
            _ => (Why::Refused, false),
        };
        let text = match &error {
            ObjectError::Internal(message) => {
                tracing::warn!(message, "an object cannot be imported");
                "the gateway failed; its log says why".to_owned()
            }
            ObjectError::ObjectLockMissing => {
                "it is under retention or a legal hold at the source, and the bucket has no object lock".to_owned()
            }
            ObjectError::MetadataTooLarge { .. } | ObjectError::InvalidTag { .. } => {
                format!("it cannot be stored as it is: {error}")
            }
            _ => error.to_string(),
        };
        Self { why, text, again }
    }
}

impl Walk<'_> {
    /// Brings an object and counts what became of it.
    pub(super) async fn object(&self, entry: &SourceEntry) {
        self.counting.looked(entry.size);
        let mut pause = PAUSE;
        for tried in 0.. {
            match self.bring(entry).await {
                Ok(()) => return,
                Err(reason) if reason.again && tried < self.order.retries => {
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                Err(Reason { why, text, .. }) => {
                    tracing::info!(request = %self.order.request, reason = text, "an object is not imported");
                    return self.counting.left(&entry.key, entry.size, why, text);
                }
            }
        }
    }

    async fn bring(&self, entry: &SourceEntry) -> Result<(), Reason> {
        let order = self.order;
        let key = order.target(&entry.key).map_err(Reason::refused)?;
        // The listing alone tells of most objects of an import that is ordered again.
        if let Before::Imported(record) = self.objects.before_import(&order.to, &key, &self.imported(entry))? {
            self.counting.present(entry.size);
            self.remove(&key, &record, entry, None).await;
            return Ok(());
        }
        let object = Arc::new(self.source.look(&entry.key).await?);
        let before = self.objects.before_import(&order.to, &key, &self.imported(&object.entry))?;
        match &before {
            Before::Imported(record) => {
                self.counting.present(object.entry.size);
                self.remove(&key, record, &object.entry, None).await;
                return Ok(());
            }
            Before::SameBytes => {
                self.counting.present(object.entry.size);
                if order.delete_source && !order.dry_run {
                    self.kept(
                        &object.entry,
                        "a client wrote the same bytes to its key: whether all is there that the source has, is not known",
                    );
                }
                return Ok(());
            }
            Before::Deleted if !order.overwrite => return Err(Reason::conflict("a client deleted what was at its key")),
            Before::Other(_) if !order.overwrite => return Err(Reason::conflict("something else is at its key")),
            Before::Deleted | Before::Other(_) | Before::Absent => {}
        }
        let import = ImportRequest {
            bucket: order.to.clone(),
            key: key.clone(),
            description: description(&object, self.objects.clock.now()),
            content_md5: None,
            checksum: object.checksum.map(|value| ExpectedChecksum { algorithm: value.algorithm(), value: Some(value) }),
            condition: before.condition(),
            stated: order.stated(&entry.key, &self.map),
            imported: self.imported(&object.entry),
        };
        self.store(import, &object).await
    }

    /// Plans or stores the object.
    async fn store(&self, import: ImportRequest, object: &Arc<SourceObject>) -> Result<(), Reason> {
        let order = self.order;
        let lent = self.principals.load().lend(&order.principal, &order.who);
        let auth = lent.ok_or_else(|| Reason::refused(format!("there is no principal `{}` any more", order.principal)))?;
        let request = Request {
            id: &order.request,
            auth: &auth,
            now: self.objects.clock.now(),
            facts: &NoContext,
            expected_owner: None,
            keys: CustomerKeys::none(),
        };
        let size = object.entry.size;
        if order.dry_run {
            self.counting.imported(self.objects.plan_import(&request, &import)?, size);
            return Ok(());
        }
        self.gate.pass(size).await;
        let proof = verify::proof(&self.source, object).await?;
        let import = ImportRequest { content_md5: proof.md5, ..import };
        let (key, imported) = (import.key.clone(), import.imported.clone());
        let report = Report::default();
        let body = verify::body(&self.source, object, proof, report.clone());
        let stored = match self.objects.import(&request, import, body).await {
            Ok(stored) => stored,
            Err(error @ ObjectError::Body(_)) => return Err(report.take().map_or_else(|| error.into(), Into::into)),
            Err(error) => return Err(error.into()),
        };
        self.counting.imported(stored.residence.countries, size);
        if order.delete_source {
            match self.objects.before_import(&order.to, &key, &imported) {
                Ok(Before::Imported(record)) => self.remove(&key, &record, &object.entry, Some(object)).await,
                _ => self.kept(&object.entry, "a client wrote to its key meanwhile"),
            }
        }
        Ok(())
    }

    /// Removes at the source, if that is ordered, what `record` was imported from. `seen` is what was imported, where that was just now.
    async fn remove(&self, key: &ObjectKey, record: &Record, entry: &SourceEntry, seen: Option<&SourceObject>) {
        if !self.order.delete_source || self.order.dry_run {
            return;
        }
        let mut pause = PAUSE;
        for tried in 0.. {
            match self.try_remove(key, record, entry, seen).await {
                Ok(()) => return self.counting.deleted(entry.size),
                Err(reason) if reason.again && tried < self.order.retries => {
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                Err(reason) => return self.kept(entry, &reason.text),
            }
        }
    }

    /// In this order: every copy is read back, the source is looked at again, the ledger is told, the object is removed.
    async fn try_remove(
        &self,
        key: &ObjectKey,
        record: &Record,
        entry: &SourceEntry,
        seen: Option<&SourceObject>,
    ) -> Result<(), Reason> {
        let to = &self.order.to;
        if !self.objects.prove(to, key, record.summary.id).await? {
            return Err(Reason::conflict("its record was replaced, or does not read back as it was stored"));
        }
        let now = match self.source.look(&entry.key).await {
            // An earlier try removed it, or somebody else did.
            Err(SourceError::Gone) => return Ok(()),
            looked => looked?,
        };
        if now.entry != *entry || seen.is_some_and(|seen| *seen != now) {
            return Err(Reason::conflict("it changed at the source since it was imported"));
        }
        let lent = self.principals.load().lend(&self.order.principal, &self.order.who);
        let auth = lent.ok_or_else(|| Reason::refused("there is no such principal any more"))?;
        let request = Request {
            id: &self.order.request,
            auth: &auth,
            now: self.objects.clock.now(),
            facts: &NoContext,
            expected_owner: None,
            keys: CustomerKeys::none(),
        };
        self.objects.record_source_deletion(&request, (to, key), record, None).await?;
        if let Err(error) = self.source.remove(&now).await {
            let code = if matches!(error, SourceError::Changed) { "SourceChanged" } else { "SourceUnavailable" };
            self.objects.record_source_deletion(&request, (to, key), record, Some(code)).await?;
            return Err(error.into());
        }
        Ok(())
    }

    fn kept(&self, entry: &SourceEntry, reason: &str) {
        self.counting.left(&entry.key, entry.size, Why::Kept, reason.to_owned());
    }

    fn imported(&self, entry: &SourceEntry) -> Imported {
        Imported {
            source: self.order.source.clone(),
            bucket: self.order.bucket.clone(),
            key: entry.key.clone(),
            etag: entry.etag.clone(),
            size: entry.size,
            modified: entry.modified,
        }
    }
}

/// What the object says of itself. Retention that is over is left behind.
fn description(object: &SourceObject, now: Timestamp) -> Description {
    let retention = object.retention.filter(|(_, until)| *until > now).map(|(compliance, until)| Retention {
        mode: if compliance { LockMode::Compliance } else { LockMode::Governance },
        until,
    });
    Description {
        content: object.content.clone(),
        metadata: object.metadata.iter().map(|(name, value)| (name.clone(), decode_words(value))).collect(),
        tags: object.tags.clone(),
        lock: Lock { retention, legal_hold: object.legal_hold.then_some(true) },
    }
}
