//! Forward: every blob that the index names, where it should lie.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::run::Scrub;
use crate::{
    index::{Class, CopyRow, Finding, FoundRecord, Part, Place, Record, Upload, UploadState},
    kms::{KeyOwner, WrappedSubjectKey},
    objects::{Examined, Fault, Faulty, ObjectError, planned_move},
    policy::Role,
    seal::BlobName,
    types::{Country, KeyId, SiteId},
};

/// Rows of the catalogue looked at in one step.
const PAGE: usize = 256;
/// Records looked at at the same time.
const TOGETHER: usize = 8;

impl Scrub<'_> {
    /// Looks at a page of records; answers with where the next begins.
    pub(super) async fn records(&self, after: Option<Place>) -> Result<Option<Place>, ObjectError> {
        let page = self.objects.index.stock(self.order.stock.clone(), after, PAGE).await?;
        let drawn = page.records.into_iter().filter(|found| {
            let record = found.record.summary.id;
            self.order.sample.is_none_or(|sample| sample.takes(record))
        });
        let drawn: Vec<FoundRecord> = drawn.collect();
        let looked = stream::iter(drawn).map(|found| self.record(found)).buffer_unordered(TOGETHER);
        looked.try_collect::<()>().await?;
        Ok(page.next)
    }

    async fn record(&self, found: FoundRecord) -> Result<(), ObjectError> {
        let id = found.record.summary.id;
        // While it is pinned its blobs stay, whatever becomes of it.
        let _pin = self.objects.index.pin(id);
        let Some((_, found)) = self.objects.as_it_is(&found)? else { return Ok(()) };
        self.counting.record(found.record.summary.size);
        let mut findings = self.placement(&found);
        let mut sound = BTreeSet::new();
        let mut damaged = Vec::new();
        let mut whole = true;
        for copy in found.record.detail.copies.iter().filter(|copy| copy.is_stored()) {
            match self.objects.examine(&found, copy, self.order.depth, &self.gate).await {
                Ok(Examined { blobs, faulty }) => {
                    self.counting.blobs(blobs);
                    if faulty.is_empty() {
                        sound.insert(copy.site.clone());
                    } else {
                        damaged.push(copy.site.clone());
                    }
                    findings.extend(faulty.into_iter().map(|faulty| of_blob(&found, copy, faulty)));
                }
                Err(error) => {
                    whole = false;
                    self.counting.unchecked(&copy.site, &error);
                }
            }
        }
        if findings.is_empty() && (!whole || !self.standing.contains_key(&id)) {
            return Ok(());
        }
        // A record that has just been replaced or moved is not what was looked at.
        let still = self.objects.as_it_is(&found)?.is_some_and(|(_, now)| now.record.detail.copies == found.record.detail.copies);
        if !still {
            return Ok(());
        }
        let mut kept = Vec::with_capacity(findings.len());
        for finding in findings {
            kept.push(self.found(Finding { since: self.objects.clock.now(), ..finding }).await?);
        }
        if whole {
            self.clear_others(&found.record).await?;
        }
        if self.order.repair && !sound.is_empty() {
            for site in damaged {
                self.restore(&found, &site, &mut kept).await?;
            }
        }
        Ok(())
    }

    /// Clears what stood of a record that has been looked at whole and was not found again.
    async fn clear_others(&self, record: &Record) -> Result<(), ObjectError> {
        for finding in self.standing.get(&record.summary.id).into_iter().flatten() {
            let forward = !matches!(finding.class, Class::Superseded | Class::Leftover | Class::Unindexed | Class::Foreign);
            let stray = finding.class == Class::Misplaced && !record.detail.copies.iter().any(|copy| copy.site == finding.site);
            if forward && !stray && self.could_find(finding) && !self.has_seen(finding) {
                self.clear(finding.clone()).await?;
            }
        }
        Ok(())
    }

    /// Whether the record lives where the policy in force wants it.
    fn placement(&self, found: &FoundRecord) -> Vec<Finding> {
        let record = &found.record;
        let placement = &record.detail.placement;
        let stored = || record.detail.copies.iter().filter(|copy| copy.is_stored());
        let policies = self.objects.policies.load();
        let wanted = match self.objects.residency.plan(&policies, placement, &found.bucket, &found.key) {
            Ok(wanted) => wanted,
            Err(refusal) => {
                let at = |copy: &CopyRow| of_record(found, Class::Undecided, &copy.site, copy.country, refusal.to_string());
                return stored().take(1).map(at).collect();
            }
        };
        let Some(moving) = planned_move(record, &wanted) else { return Vec::new() };
        let instruments = wanted.instruments.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let misplaced = stored().filter(|copy| !moving.to.contains(&copy.country)).map(|copy| {
            let detail = format!("wanted in {} ({instruments}): `domicile relocate` moves it", list(&moving.to));
            of_record(found, Class::Misplaced, &copy.site, copy.country, detail)
        });
        let due = wanted.copies.iter().filter(|copy| copy.role != Role::Queued && !moving.from.contains(&copy.country));
        let incomplete = due.map(|copy| {
            let detail = format!("a copy in {} is asked for ({instruments}): `domicile relocate` makes it", copy.country);
            of_record(found, Class::Incomplete, &copy.site, copy.country, detail)
        });
        misplaced.chain(incomplete).collect()
    }

    /// Looks at the parts of every open upload.
    pub(super) async fn uploads(&self) -> Result<(), ObjectError> {
        let mut after = None;
        loop {
            let page = self.objects.index.open_uploads(after.take(), PAGE).await?;
            for upload in &page {
                self.upload(upload).await?;
            }
            after = page.last().filter(|_| page.len() == PAGE).cloned();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn upload(&self, upload: &Upload) -> Result<(), ObjectError> {
        let _pin = self.objects.index.pin(upload.record);
        let mut after = 0;
        loop {
            let (parts, more) = self.objects.index.upload_parts(upload.id, after, PAGE).await?;
            for part in &parts {
                after = part.entry.number;
                for copy in &upload.copies {
                    self.part(upload, copy, part).await?;
                }
            }
            if !more {
                return Ok(());
            }
        }
    }

    async fn part(&self, upload: &Upload, copy: &CopyRow, part: &Part) -> Result<(), ObjectError> {
        let Examined { blobs, faulty } = match self.objects.examine_part(upload, copy, part, self.order.depth, &self.gate).await {
            Ok(examined) => examined,
            Err(error) => {
                self.counting.unchecked(&copy.site, &error);
                return Ok(());
            }
        };
        self.counting.blobs(blobs);
        if faulty.is_empty() {
            return Ok(());
        }
        // The rows of a closed upload's parts go after their blobs.
        let index = &self.objects.index;
        let open = index.upload(upload.bucket, &upload.key, &upload.id)?.is_some_and(|now| now.state == UploadState::Open);
        if !open || index.part(&upload.id, part.entry.number)?.is_none_or(|now| now != *part) {
            return Ok(());
        }
        for Faulty { name, fault } in faulty {
            let (class, detail) = of_fault(fault);
            let finding = Finding {
                record: Some(upload.record),
                key: Some(upload.key.clone()),
                detail: format!("part {} of an open upload: {detail}", part.entry.number),
                ..self.bare(class, (&copy.site, copy.country), name.to_string())
            };
            self.found(finding).await?;
        }
        Ok(())
    }

    /// Looks at the blobs of a page of subject keys; answers with the last of them.
    pub(super) async fn keys(&self, after: Option<(KeyId, KeyOwner)>) -> Result<Option<(KeyId, KeyOwner)>, ObjectError> {
        let page = self.objects.index.subject_keys(after, PAGE).await?;
        for key in &page {
            for site in &key.sites {
                self.key(key, site).await?;
            }
        }
        Ok(page.last().filter(|_| page.len() >= PAGE).map(|last| (last.key.clone(), last.owner.clone())))
    }

    async fn key(&self, key: &WrappedSubjectKey, id: &SiteId) -> Result<(), ObjectError> {
        let Some(site) = self.objects.sites.get(id) else {
            self.counting.unchecked(id, &"the site is not configured");
            return Ok(());
        };
        let fault = match self.objects.examine_key(site, key, &self.gate).await {
            Ok(fault) => fault,
            Err(error) => {
                self.counting.unchecked(id, &error);
                return Ok(());
            }
        };
        self.counting.blobs(1);
        // Whoever changes the key stores it first and enters it into the index then.
        let Some(fault) = fault.filter(|_| !self.objects.is_keeping(&key.key, &key.owner)) else { return Ok(()) };
        let now = self.objects.index.subject_key_of(&key.key, &key.owner, key.generation)?;
        if now.is_none_or(|now| now.wrapped != key.wrapped || !now.sites.contains(id)) {
            return Ok(());
        }
        let (class, detail) = of_fault(fault);
        let name = BlobName::of_subject_key(key).to_string();
        let finding = Finding { detail: format!("a subject key: {detail}"), ..self.bare(class, (id, site.spec().country), name) };
        let finding = self.found(finding).await?;
        if self.order.repair {
            self.restore_key(site, key, finding).await?;
        }
        Ok(())
    }

    /// A finding about a name at a site, with nothing further known.
    pub(super) fn bare(&self, class: Class, (site, country): (&SiteId, Country), name: String) -> Finding {
        Finding {
            class,
            site: site.clone(),
            country,
            name,
            record: None,
            bucket: None,
            key: None,
            version: None,
            detail: String::new(),
            since: self.objects.clock.now(),
        }
    }
}

fn of_blob(found: &FoundRecord, copy: &CopyRow, Faulty { name, fault }: Faulty) -> Finding {
    let (class, detail) = of_fault(fault);
    Finding { name: name.to_string(), ..of_record(found, class, &copy.site, copy.country, detail) }
}

/// A finding about a record as a whole bears the record's id for a name.
fn of_record(found: &FoundRecord, class: Class, site: &SiteId, country: Country, detail: String) -> Finding {
    Finding {
        class,
        site: site.clone(),
        country,
        name: found.record.summary.id.to_string(),
        record: Some(found.record.summary.id),
        bucket: Some(found.bucket.clone()),
        key: Some(found.key.clone()),
        version: Some(found.record.summary.version),
        detail,
        since: Default::default(),
    }
}

fn of_fault(fault: Fault) -> (Class, String) {
    match fault {
        Fault::Missing => (Class::Missing, "it is not there".to_owned()),
        Fault::WrongLength { due, found } => (Class::WrongLength, format!("it has {found} bytes, not {due}")),
        Fault::Unreadable(why) => (Class::Unreadable, why),
        Fault::Tampered(why) => (Class::Tampered, why),
    }
}

fn list(countries: &BTreeSet<Country>) -> String {
    countries.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
