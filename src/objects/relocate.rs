//! Moves one record to where it belongs now.
//!
//! The record is decided anew under the policy in force and what is known of its subject. Copies that are missing are written beside those
//! that are there, under keys and names of their own, and read back; then one commit switches the record to them and queues what it
//! leaves as garbage. It is readable all the time: before the switch at the old places, after it at the new ones, and a reader that
//! began before has the old blobs pinned. A write or a delete that comes between wins, and what was written for the move is garbage.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::audit::{Actor, Event, Kind};
use crate::digest::{ETag, Md5};
use crate::index::{Bucket, Change, CommitError, CopyRow, FoundRecord, Intent, Layout, Record, RelocateChange, Version};
use crate::objects::copying::{Copying, Names};
use crate::objects::customer::Unlocked;
use crate::objects::record_keys::new_attempt_id;
use crate::objects::standing::Standing;
use crate::objects::{ObjectError, Objects};
use crate::policy::Role;
use crate::residency::{Placement, PlacementRecord, PlannedCopy};
use crate::types::{Country, SiteId};

use futures_util::StreamExt;

/// What became of a record that was to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relocated {
    /// It lives where it belongs.
    Stays,
    /// It has been replaced, deleted or moved by somebody else meanwhile.
    Gone,
    /// It lives elsewhere now.
    Moved(Move),
}

/// How a record moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The countries that it leaves; with those of `to` the same where only sites or keys change.
    pub from: BTreeSet<Country>,
    /// The countries that hold it then.
    pub to: BTreeSet<Country>,
    /// Its plaintext bytes.
    pub bytes: u64,
}

/// What lies between the copies that a record has and those that it is to have.
pub(super) struct Difference<'a> {
    /// Copies that are to be durable and are not.
    pub(super) missing: Vec<&'a PlannedCopy>,
    /// Copies that it keeps, with the part that they play from now on.
    pub(super) kept: Vec<CopyRow>,
    /// Whether it has others.
    pub(super) leaves: bool,
}

impl<'a> Difference<'a> {
    pub(super) fn new(copies: &[CopyRow], wanted: &'a [PlannedCopy]) -> Self {
        let of = |planned: &PlannedCopy| {
            let same = |copy: &&CopyRow| copy.site == planned.site && copy.country == planned.country && copy.key == planned.key;
            copies.iter().find(same)
        };
        let missing =
            wanted.iter().filter(|planned| planned.role != Role::Queued && !of(planned).is_some_and(CopyRow::is_stored));
        let missing: Vec<_> = missing.collect();
        let kept = wanted.iter().filter(|planned| !missing.iter().any(|other| other.site == planned.site));
        let kept: Vec<_> = kept.filter_map(|planned| Some(CopyRow { role: planned.role, ..of(planned)?.clone() })).collect();
        let leaves = kept.len() < copies.len();
        Self { missing, kept, leaves }
    }

    pub(super) const fn is_none(&self) -> bool {
        self.missing.is_empty() && !self.leaves
    }
}

/// How `record` moves when it is placed so; `None` when it stays.
pub fn planned_move(record: &Record, placement: &PlacementRecord) -> Option<Move> {
    let copies = &record.detail.copies;
    if Difference::new(copies, &placement.copies).is_none() && same_places(&record.detail.placement.copies, &placement.copies) {
        return None;
    }
    Some(Move {
        from: copies.iter().filter(|copy| copy.is_stored()).map(|copy| copy.country).collect(),
        to: placement.copies.iter().map(|copy| copy.country).collect(),
        bytes: record.summary.size,
    })
}

/// Whether both plans are for the same copies, those that only follow included.
fn same_places(one: &[PlannedCopy], other: &[PlannedCopy]) -> bool {
    let places = |copies: &'_ [PlannedCopy]| -> BTreeSet<_> {
        copies.iter().map(|copy| (copy.site.clone(), copy.country, copy.key.clone())).collect()
    };
    places(one) == places(other)
}

impl Objects {
    /// Moves a record to where it belongs, if it lives elsewhere.
    ///
    /// # Errors
    /// [`ObjectError::Residency`] when nobody may put it anywhere or a site is down; those of reads and writes. The record is as it was then.
    pub async fn relocate(&self, found: &FoundRecord) -> Result<Relocated, ObjectError> {
        let _pin = self.index.pin(found.record.summary.id);
        let Some((bucket, found)) = self.as_it_is(found)? else { return Ok(Relocated::Gone) };
        let record = &found.record;
        if self.is_erased(record) {
            return Ok(Relocated::Gone);
        }
        let placement = self.residency.relocate(&record.detail.placement, &found.bucket, &found.key)?;
        let Some(planned) = planned_move(record, placement.record()) else { return Ok(Relocated::Stays) };
        let switched = self.move_to(&found, &record.detail.copies, &bucket, placement).await?;
        Ok(if switched { Relocated::Moved(planned) } else { Relocated::Gone })
    }

    /// The record as it is by now, with its bucket; `None` when it is gone. Pin it first.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn as_it_is(&self, found: &FoundRecord) -> Result<Option<(Arc<Bucket>, FoundRecord)>, ObjectError> {
        let Ok(bucket) = self.bucket(&found.bucket) else { return Ok(None) };
        let version = self.index.version(&bucket, &found.key, found.record.summary.version)?;
        let record = version.and_then(Version::into_record).filter(|record| record.summary.id == found.record.summary.id);
        Ok(record.map(|record| (bucket, FoundRecord { record, ..found.clone() })))
    }

    /// Writes what is missing, read from the copies that are `sound`, and switches to these and the new ones; `false` when the record changed
    /// meanwhile.
    pub(super) async fn move_to(
        &self,
        found: &FoundRecord,
        sound: &[CopyRow],
        bucket: &Arc<Bucket>,
        placement: Placement,
    ) -> Result<bool, ObjectError> {
        let record = &found.record;
        let id = record.summary.id;
        let Difference { missing, kept, .. } = Difference::new(sound, placement.copies());
        let owner = self.key_owner(placement.subject(), &bucket.name);
        let mut targets = Vec::with_capacity(missing.len());
        for copy in &missing {
            targets.push(self.new_target(None, &placement, copy, &owner, id).await?);
        }
        let moved = new_attempt_id();
        let mut intent = self.index.intent(Intent {
            record: id,
            attempt: moved,
            sites: targets.iter().map(|target| target.seal.site().clone()).collect(),
            started: self.clock.now(),
        });
        fail::fail_point!("objects::move-begun", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        let names = Names::new(record.detail.layout, Some(moved));
        let described = described(record, &placement);
        let mut standing = Standing::of_copy((self, bucket, &found.key), placement.clone());
        let (mut rows, mut receipts) = (kept, Vec::new());
        if !targets.is_empty() {
            let to = Copying { bucket, described: &described, targets: &targets, names };
            let mut source = found.clone();
            source.record.detail.copies = sound.to_vec();
            let written = self.write_copies(&source, to, &mut standing, Some(&mut intent)).await?;
            fail::fail_point!("objects::move-written", |_| Err(ObjectError::Internal("failpoint".to_owned())));
            let now = self.clock.now();
            for target in &targets {
                let row = written.row(target, names, now)?;
                self.read_back(&described, &row).await?;
                rows.push(row);
            }
            receipts = written.into_receipts();
        }
        standing.check().await?;
        let switched = self.switch(found, bucket, standing.placement(), rows, receipts).await?;
        drop(intent);
        Ok(switched)
    }

    async fn switch(
        &self,
        found: &FoundRecord,
        bucket: &Bucket,
        placement: &Placement,
        mut after: Vec<CopyRow>,
        receipts: Vec<crate::backend::Receipt>,
    ) -> Result<bool, ObjectError> {
        let record = &found.record;
        let place = |copy: &CopyRow| placement.copies().iter().position(|planned| planned.site == copy.site);
        after.sort_by_key(place);
        let event = Event {
            bucket: Some(self.pseudonyms.bucket(&found.bucket)),
            key: Some(self.pseudonyms.key(&found.bucket, &found.key)),
            left: record
                .detail
                .copies
                .iter()
                .map(|copy| copy.site.clone())
                .filter(|site| !after.iter().any(|copy| copy.site == *site))
                .collect(),
            ..record.summary.describe(Event::new(Kind::Relocated, Actor::System))
        };
        let stored: BTreeSet<SiteId> = after.iter().filter(|copy| copy.is_stored()).map(|copy| copy.site.clone()).collect();
        let change = RelocateChange {
            bucket: bucket.id,
            key: found.key.clone(),
            record: record.summary.id,
            ticket: record.summary.ticket,
            before: record.detail.copies.clone(),
            after,
            placement: placement.record().clone(),
            receipts,
            basis: placement.basis(),
        };
        fail::fail_point!("objects::before-switch", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        let mut event = self.with_placement(event, placement.record());
        for copy in &mut event.copies {
            copy.pending = !stored.contains(&copy.site);
        }
        match self.index.commit(Change::Relocate(Box::new(change)), event).await {
            Ok(_) => Ok(true),
            Err(CommitError::NoSuchKey | CommitError::Conflict) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// Reads a copy from its site and holds it against the entity tag.
    pub(super) async fn read_back(&self, described: &Record, row: &CopyRow) -> Result<(), ObjectError> {
        let mut copy = described.clone();
        copy.detail.copies = vec![row.clone()];
        let ranges: Vec<(u64, ETag)> = match copy.detail.layout {
            Layout::Parts { table, .. } => self.index.parts_of(table)?.iter().map(|part| (part.size, part.etag)).collect(),
            Layout::Whole { .. } | Layout::Extents { .. } => vec![(copy.summary.size, copy.summary.etag)],
        };
        let mut start = 0;
        for (size, etag) in ranges {
            let mut body = self.open_record(&copy, start..start + size, &Unlocked::as_stored()).await?;
            let mut hasher = Md5::new();
            while let Some(bytes) = body.next().await {
                hasher.update(&bytes.map_err(|error| ObjectError::Internal(format!("reading a copy back: {error}")))?);
            }
            if ETag::single(hasher.finish()) != etag {
                tracing::error!(record = %copy.summary.id, site = %row.site, "a copy does not read back as it was written");
                return Err(ObjectError::BadDigest("entity tag"));
            }
            start += size;
        }
        Ok(())
    }
}

/// The record as it will be, but for its copies.
fn described(record: &Record, placement: &Placement) -> Record {
    let mut described = record.clone();
    described.detail.placement = placement.record().clone();
    described.detail.moves = record.detail.moves.saturating_add(1);
    described
}
