//! The erasure of a subject, as far as it is the index's and the sites' matter. When its country keys follow is decided in
//! [`crate::erasure`].
//!
//! One commit destroys the subject's keys in every country: from then on nothing of it is opened that has not been opened before. It also
//! ends what was decided before it: a write under way, a part, a queued copy and a move are refused at their commit, since the subject's
//! entry has another generation that says why. What the subject's applications write afterwards is under new keys, and stays. A read
//! that has begun has opened the key of its record, and ends as it would have.

use futures_util::stream::{self, StreamExt};

use crate::audit::{Actor, Event, Kind};
use crate::index::{
    Change, CommitError, CopyRow, Doomed, EraseChange, EraseRecordChange, Erasure, ErasureStep, Finding, Record, Version,
};
use crate::kms::KeyOwner;
use crate::objects::commit::WAIT;
use crate::objects::{ObjectError, Objects};
use crate::types::{RequestId, SubjectId};

/// How often it is looked anew whether something is held, when a hold came meanwhile or another policy.
const ATTEMPTS: usize = 20;
/// Rows looked at in one step.
const PAGE: usize = 256;
/// Changes that wait for the committer together.
const TOGETHER: usize = 16;

/// What became of an erasure that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erasing {
    /// It stands, whatever happens now.
    Accepted(Erasure),
    /// A retention in force, a legal hold or the policy in force keeps something of the subject: nothing was erased.
    Held,
    /// There is nothing of such a subject.
    Unknown,
}

impl Objects {
    /// Accepts the erasure of a subject, or says why not; both are recorded. One that is under way already is answered again.
    ///
    /// # Errors
    /// Those of the index; [`ObjectError::Unconfirmed`] when it stands and no site has confirmed it in the journal.
    pub async fn erase(
        &self,
        request: &RequestId,
        actor: &Actor,
        subject: &SubjectId,
        at_once: bool,
    ) -> Result<Erasing, ObjectError> {
        let pseudonym = self.pseudonyms.subject(subject);
        let event = Event {
            request: Some(request.clone()),
            subject: Some(pseudonym),
            ..Event::new(Kind::ErasureAccepted, actor.clone())
        };
        if !self.index.knows(subject).await? {
            let pending = self.index.pending_erasures().into_iter().rfind(|erasure| erasure.subject == Some(pseudonym));
            if let Some(erasure) = pending {
                return Ok(Erasing::Accepted(erasure));
            }
            // Of nobody there is a name to begin with.
            self.record(Event { subject: None, ..event }.refused("NoSuchSubject")).await?;
            return Ok(Erasing::Unknown);
        }
        for _ in 0..ATTEMPTS {
            let watch = self.index.watch_holds(subject);
            // What was planned before the watch can be seen from now on.
            self.index.fence().await?;
            match self.index.is_held(subject, self.clock.now()).await? {
                Some(false) => {}
                Some(true) => {
                    self.record(event.refused("Held")).await?;
                    return Ok(Erasing::Held);
                }
                None => {
                    tokio::time::sleep(WAIT).await;
                    continue;
                }
            }
            let change = Change::Erase(Box::new(EraseChange { subject: subject.clone(), at_once, watch }));
            let committed = self.index.commit(change, event.clone()).await;
            // Also when no journal has confirmed it: it stands.
            self.hierarchy.evict(&KeyOwner::Subject(pseudonym));
            match committed {
                Ok(committed) => {
                    fail::fail_point!("objects::erasure-accepted", |_| Err(ObjectError::Internal("failpoint".to_owned())));
                    let missing = || ObjectError::Internal("an erasure without a row".to_owned());
                    return committed.erasure.map(Erasing::Accepted).ok_or_else(missing);
                }
                Err(CommitError::Conflict) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(ObjectError::ConditionalConflict)
    }

    /// Takes the rows of an erased subject out of the index and queues their blobs as garbage. Broken off, it goes on where it came to.
    /// Answers with how many it took out.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn sweep_erased(&self, erasure: &Erasure) -> Result<u64, ObjectError> {
        let (mut gone, mut after) = (0, None);
        loop {
            let page = self.index.doomed(erasure, after.take(), PAGE).await?;
            gone += page.doomed.len() as u64;
            let mut done = stream::iter(page.doomed).map(|doomed| self.erase_one(erasure.id, doomed)).buffer_unordered(TOGETHER);
            while let Some(outcome) = done.next().await {
                outcome?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(gone);
            }
        }
    }

    /// Takes the names out of findings about records that are no versions of their keys any more: some of them can be those of an erased
    /// subject, and nobody can tell which.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn unname_findings(&self) -> Result<(), ObjectError> {
        let mut after = None;
        loop {
            let page = self.index.findings(after.take(), PAGE).await?;
            after = page.last().filter(|_| page.len() == PAGE).cloned();
            for finding in page.into_iter().filter(|finding| finding.key.is_some()) {
                if self.found_of(&finding)?.is_none() {
                    self.index.unname_finding(finding).await?;
                }
            }
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// The record that a finding is about, while it is the version of its key that the finding says.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn found_of(&self, finding: &Finding) -> Result<Option<Record>, ObjectError> {
        let (Some(bucket), Some(key), Some(version)) = (&finding.bucket, &finding.key, finding.version) else { return Ok(None) };
        let Some(bucket) = self.index.bucket(bucket)? else { return Ok(None) };
        let record = self.index.version(&bucket, key, version)?.and_then(Version::into_record);
        Ok(record.filter(|record| finding.record == Some(record.summary.id)))
    }

    async fn erase_one(&self, erasure: u64, doomed: Doomed) -> Result<(), ObjectError> {
        let copies = doomed.copies();
        let event = Event {
            countries: copies.iter().map(|copy| copy.country).collect(),
            sites: copies.iter().map(|copy| copy.site.clone()).collect(),
            erasure: Some(erasure),
            ..Event::new(Kind::Erased, Actor::System)
        };
        let change = match doomed {
            Doomed::Record { bucket, key, version, ticket, record, .. } => {
                Change::EraseRecord(Box::new(EraseRecordChange { erasure, bucket, key, version, ticket, record }))
            }
            Doomed::Upload { bucket, key, upload, .. } => Change::EraseUpload { erasure, bucket, key, upload },
        };
        self.index.commit(change, event).await?;
        fail::fail_point!("objects::erased", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        Ok(())
    }

    /// Brings an erasure to its next step, which its entry tells without naming anybody.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn step_erasure(&self, id: u64, step: ErasureStep) -> Result<Erasure, ObjectError> {
        let kind = if matches!(step, ErasureStep::Complete { .. }) { Kind::ErasureComplete } else { Kind::Erased };
        let event = Event::new(kind, Actor::System);
        let committed = self.index.commit(Change::Erasure { id, step }, event).await?;
        committed.erasure.ok_or_else(|| ObjectError::Internal("an erasure without a row".to_owned()))
    }

    /// Whether a record is one of an erased subject: it goes, and nothing else is to be done with it.
    pub fn is_erased(&self, record: &Record) -> bool {
        record.detail.copies.iter().any(|copy: &CopyRow| self.index.is_erased(&copy.key, copy.sk_generation))
    }
}
