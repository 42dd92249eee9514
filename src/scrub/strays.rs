//! Backward: what lies at the sites and no row of the index names.
//!
//! A name is called a stray with care, since a repair may remove it. The sites are listed first and the index is read afterwards, so what
//! was stored in between is named by then. What is left over is looked at: when somebody is writing its record it is left alone; if
//! not, whatever had to be committed is, and the index is read once more for just these names. Only what is still there afterwards,
//! and still unnamed, is a stray.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{evidence::Evidence, run::Scrub};
use crate::{
    backend::{BackendError, BlobInfo, Site, SiteState},
    index::{BlobNames, Class, Finding, Intent},
    kms::WrappedSubjectKey,
    objects::{Manifest, ObjectError},
    seal::{BlobKind, BlobName, HEAD_LEN, Head, RecordKey, SealError, blob_kind, parse_head, parse_subject_key_blob},
    types::{AttemptId, BucketName, Country, ObjectKey, RecordId, SiteId, VersionId},
};

/// Names of one site held in memory at a time, about.
const HELD: usize = if cfg!(test) { 3 } else { 500_000 };
/// Names asked for at a time.
const PAGE: usize = if cfg!(test) { 2 } else { 1000 };
/// Strays told apart in one look at the index and the ledger.
const AT_ONCE: usize = 20_000;
/// Heads read at the same time.
const TOGETHER: usize = 8;
/// The longest head that is read of a stray: that of a record of ten thousand parts is shorter.
const LONGEST_HEAD: u64 = 16 * 1024 * 1024;

/// A blob that no row names.
pub(super) struct Stray {
    pub(super) blob: BlobInfo,
    pub(super) origin: Origin,
    /// Another site where a row names a blob of this name.
    pub(super) belongs: Option<SiteId>,
}

/// What a stray says of itself.
pub(super) enum Origin {
    /// A blob of a record.
    Record(OfRecord),
    /// A subject key.
    Key(Box<WrappedSubjectKey>),
    /// Nothing that this installation has sealed, and why that is thought.
    Foreign(String),
}

/// What the head of a record's blob says.
pub(super) struct OfRecord {
    pub(super) record: RecordId,
    attempt: AttemptId,
    country: Country,
    /// Whether it opens with the keys that the index knows.
    opens: bool,
    /// Whose bytes they are, when its manifest says so.
    about: Option<(BucketName, ObjectKey, VersionId)>,
}

impl Scrub<'_> {
    /// Looks at the names behind `after` at every site, as many as are held at a time; answers with the last of them.
    pub(super) async fn strays(&self, after: Option<BlobName>) -> Result<Option<BlobName>, ObjectError> {
        let mut listed: HashMap<SiteId, HashMap<BlobName, BlobInfo>> = HashMap::new();
        // Where the fullest site fills its share ends the round of all of them.
        let mut last = None;
        for site in self.objects.sites.iter() {
            match self.list(site, after, &mut last).await {
                Ok(blobs) => drop(listed.insert(site.spec().id.clone(), blobs)),
                Err(error) => self.counting.unchecked(&site.spec().id, &error),
            }
        }
        let is_in_round = move |name: &BlobName| {
            name.number().is_some() && after.is_none_or(|after| *name > after) && last.is_none_or(|last| *name <= last)
        };
        listed.values_mut().for_each(|blobs| blobs.retain(|name, _| is_in_round(name)));
        drop_named(&mut listed, &self.objects.index.named_blobs(move |_, name| is_in_round(name)).await?);
        let mut candidates: Vec<(Arc<Site>, BlobInfo)> = listed
            .into_iter()
            .filter_map(|(site, blobs)| Some((Arc::clone(self.objects.sites.get(&site)?), blobs)))
            .flat_map(|(site, blobs)| blobs.into_values().map(move |blob| (Arc::clone(&site), blob)))
            .collect();
        while !candidates.is_empty() {
            let some = candidates.split_off(candidates.len().saturating_sub(AT_ONCE));
            let looked = stream::iter(some).map(|(site, blob)| async move {
                let origin = self.origin(&site, &blob).await?;
                Ok::<_, ObjectError>(origin.map(|origin| (site, Stray { blob, origin, belongs: None })))
            });
            let strays: Vec<_> = looked.buffer_unordered(TOGETHER).try_collect().await?;
            let strays: Vec<_> = strays.into_iter().flatten().filter(|(_, stray)| !self.is_in_flight(stray)).collect();
            self.judge(strays).await?;
        }
        Ok(last)
    }

    /// The blobs of records and keys at a site behind `after` and up to `last`, which moves forward when there are too many. What has no
    /// blob's name is a finding at once.
    async fn list(
        &self,
        site: &Arc<Site>,
        mut after: Option<BlobName>,
        last: &mut Option<BlobName>,
    ) -> Result<HashMap<BlobName, BlobInfo>, ListError> {
        if !matches!(site.state(), SiteState::Up | SiteState::Down) {
            return Err(ListError::NotInService);
        }
        let mut blobs = HashMap::new();
        loop {
            let page = site.list(after.as_ref(), PAGE).await?;
            let full = page.blobs.len() == PAGE;
            after = page.blobs.last().map(|blob| blob.name);
            self.counting.names(page.blobs.len() as u64);
            for stranger in page.strangers {
                self.stranger(site, stranger).await?;
            }
            blobs.extend(page.blobs.into_iter().filter(|blob| blob.name.number().is_some()).map(|blob| (blob.name, blob)));
            let past = last.is_some_and(|last| after.is_some_and(|after| after >= last));
            if past || !full {
                return Ok(blobs);
            }
            if blobs.len() >= HELD {
                *last = after;
                return Ok(blobs);
            }
        }
    }

    async fn stranger(&self, site: &Site, name: String) -> Result<(), ObjectError> {
        let spec = site.spec();
        let detail = "this is no name of a blob: somebody else put it there".to_owned();
        self.found(Finding { detail, ..self.bare(Class::Foreign, (&spec.id, spec.country), name) }).await?;
        Ok(())
    }

    /// What a blob says of itself; `None` when it is gone by now, or cannot be read.
    async fn origin(&self, site: &Site, blob: &BlobInfo) -> Result<Option<Origin>, ObjectError> {
        self.gate.pass(HEAD_LEN as u64).await;
        let head = match self.head(site, blob).await {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.counting.unchecked(&site.spec().id, &error);
                return Ok(None);
            }
        };
        self.counting.blobs(1);
        Ok(Some(match self.understand(&head).await? {
            Ok(origin) => origin,
            Err(error) => Origin::Foreign(error.to_string()),
        }))
    }

    /// The head of a blob, whole, as far as it can be one; `None` when the blob is gone.
    async fn head(&self, site: &Site, blob: &BlobInfo) -> Result<Option<Vec<u8>>, ObjectError> {
        let unread = |error| ObjectError::from_backend(site.spec().country, &error);
        let Some(head) = start_of(site, blob, HEAD_LEN as u64).await.map_err(unread)? else { return Ok(None) };
        let need = match parse_head(&head) {
            Err(SealError::Short { need, .. }) if need as u64 <= blob.len.min(LONGEST_HEAD) => need as u64,
            Err(SealError::Mismatch(_)) => 64 * 1024,
            _ => return Ok(Some(head)),
        };
        // Whoever can write to the site says how long it is.
        let _memory = self.objects.memory.stream(need).await?;
        start_of(site, blob, need).await.map_err(unread)
    }

    async fn understand(&self, blob: &[u8]) -> Result<Result<Origin, SealError>, ObjectError> {
        let parsed = blob_kind(blob).and_then(|kind| match kind {
            BlobKind::SubjectKey => parse_subject_key_blob(blob).map(|key| Parsed::Key(Box::new(key))),
            BlobKind::Extent => parse_head(blob).map(|head| Parsed::Extent(Box::new(head))),
            BlobKind::Marker => Err(SealError::Mismatch("a marker under the name of a blob")),
        });
        let head = match parsed {
            Ok(Parsed::Extent(head)) => head,
            Ok(Parsed::Key(key)) => return Ok(Ok(Origin::Key(key))),
            Err(error) => return Ok(Err(error)),
        };
        let opened = self.open(&head).await?;
        Ok(Ok(Origin::Record(OfRecord {
            record: head.id().record,
            attempt: head.id().attempt,
            country: head.country(),
            opens: opened.is_some(),
            about: opened.flatten().map(|manifest| (manifest.bucket, manifest.key, manifest.summary.version)),
        })))
    }

    /// The manifest in a head that opens, if it has one; `None` when it does not open.
    async fn open(&self, head: &Head) -> Result<Option<Option<Manifest>>, ObjectError> {
        let wrapped = self.objects.index.subject_key_of(head.key(), head.owner(), head.generation())?;
        let Some(wrapped) = wrapped else { return Ok(None) };
        let Ok(key) = self.objects.hierarchy.open_subject_key(&wrapped).await else { return Ok(None) };
        let opened =
            RecordKey::open(&key, head.id().record, head.country(), head.wrapped_dek()).and_then(|key| head.open_manifest(&key));
        Ok(opened.ok().map(|text| text.and_then(|text| Manifest::decode(&text).ok())))
    }

    /// Whether somebody is writing what the stray belongs to: it may be named in a moment.
    pub(super) fn is_in_flight(&self, stray: &Stray) -> bool {
        match &stray.origin {
            Origin::Record(of) => self.objects.index.is_written(of.record),
            Origin::Key(key) => self.objects.is_keeping(&key.key, &key.owner),
            Origin::Foreign(_) => false,
        }
    }

    /// Tells what the strays are, after one more look at the index and at the sites.
    async fn judge(&self, strays: Vec<(Arc<Site>, Stray)>) -> Result<(), ObjectError> {
        let names: HashSet<BlobName> = strays.iter().map(|(_, stray)| stray.blob.name).collect();
        let named = self.objects.index.named_blobs(move |_, name| names.contains(name)).await?;
        let is_named = |site: &SiteId, stray: &Stray| named.get(site).is_some_and(|names| names.contains(&stray.blob.name));
        let mut strays: Vec<_> = strays.into_iter().filter(|(site, stray)| !is_named(&site.spec().id, stray)).collect();
        if strays.is_empty() {
            return Ok(());
        }
        for (_, stray) in &mut strays {
            stray.belongs = named.keys().find(|site| is_named(site, stray)).cloned();
        }
        let records: HashSet<RecordId> = strays.iter().filter_map(|(_, stray)| stray.record()).collect();
        let young = self.index_is_young().await?;
        let evidence = match strays.iter().all(|(_, stray)| matches!(stray.origin, Origin::Foreign(_))) {
            true => Evidence::default(),
            false => Evidence::of(self.objects, &records).await?,
        };
        let left: HashSet<(RecordId, AttemptId)> =
            self.objects.index.leftover_intents()?.iter().map(|Intent { record, attempt, .. }| (*record, *attempt)).collect();
        for (site, stray) in strays {
            match start_of(&site, &stray.blob, 1).await {
                Ok(Some(_)) => {}
                // It has been collected meanwhile.
                Ok(None) => continue,
                Err(error) => {
                    self.counting.unchecked(&site.spec().id, &error);
                    continue;
                }
            }
            let (class, detail) = self.class(&site, &stray, young, &evidence, &left);
            let spec = site.spec();
            let bare = self.bare(class, (&spec.id, spec.country), stray.blob.name.to_string());
            let finding = self.found(stray.described(Finding { detail, ..bare })).await?;
            if self.order.repair {
                self.remove(&site, &stray, finding).await?;
            }
        }
        Ok(())
    }

    fn class(
        &self,
        site: &Site,
        stray: &Stray,
        young: bool,
        evidence: &Evidence,
        left: &HashSet<(RecordId, AttemptId)>,
    ) -> (Class, String) {
        let country = site.spec().country;
        let unindexed = || (Class::Unindexed, "it is not certain that the index is as young as this blob".to_owned());
        match (&stray.origin, &stray.belongs) {
            // A subject key is at every site with records under it, abroad too where a policy has put them there: a blob that its row does not
            // name is what a crash left, unless the row was lost.
            (Origin::Key(_), _) if !young => return unindexed(),
            (Origin::Key(_), Some(kept)) => {
                return (Class::Leftover, format!("a subject key that the index has at `{kept}` and not here"));
            }
            (_, Some(belongs)) => return (Class::Misplaced, format!("the blob of this name belongs at `{belongs}`")),
            (_, None) => {}
        }
        match &stray.origin {
            Origin::Foreign(why) => (Class::Foreign, why.clone()),
            Origin::Key(_) if evidence.doubts_keys() => {
                (Class::Unindexed, "a subject key that no row names; the index has been rebuilt without it".to_owned())
            }
            Origin::Key(_) => (Class::Leftover, "a subject key that no row names".to_owned()),
            Origin::Record(of) => {
                let known = evidence.knows(of.record);
                let begun = left.iter().any(|(record, _)| *record == of.record);
                if !young {
                    // Also one that nothing opens: its key can be as new as it is.
                    unindexed()
                } else if evidence.doubts(of.record) {
                    (Class::Unindexed, "its record was acknowledged, and the rebuild of the index did not find it".to_owned())
                } else if !of.opens && !known && !begun {
                    (Class::Foreign, "no key that is known opens it, and the ledger does not know its record".to_owned())
                } else if of.country != country {
                    (Class::Misplaced, format!("it was sealed for {}", of.country))
                } else if known && !left.contains(&(of.record, of.attempt)) {
                    (Class::Superseded, "its record has been replaced, deleted or moved away".to_owned())
                } else {
                    (Class::Leftover, "of a write that never became a record".to_owned())
                }
            }
        }
    }
}

impl Stray {
    fn record(&self) -> Option<RecordId> {
        match &self.origin {
            Origin::Record(of) => Some(of.record),
            Origin::Key(_) | Origin::Foreign(_) => None,
        }
    }

    /// The finding, with whose blob it is as far as the blob itself says so.
    fn described(&self, finding: Finding) -> Finding {
        let Origin::Record(of) = &self.origin else { return finding };
        let about = of.about.as_ref();
        Finding {
            record: Some(of.record),
            bucket: about.map(|(bucket, ..)| bucket.clone()),
            key: about.map(|(_, key, _)| key.clone()),
            version: about.map(|(.., version)| *version),
            ..finding
        }
    }
}

/// A blob, read as what its prefix says that it is.
enum Parsed {
    Extent(Box<Head>),
    Key(Box<WrappedSubjectKey>),
}

/// Why the names at a site are not known.
#[derive(Debug, thiserror::Error)]
enum ListError {
    #[error("the site is not in service")]
    NotInService,
    #[error(transparent)]
    Site(#[from] BackendError),
    #[error(transparent)]
    Index(#[from] ObjectError),
}

/// The first bytes of a blob; `None` when it is gone.
async fn start_of(site: &Site, blob: &BlobInfo, most: u64) -> Result<Option<Vec<u8>>, BackendError> {
    if blob.len == 0 {
        return Ok(Some(Vec::new()));
    }
    let read = match site.read(&blob.name, Some(0..most.min(blob.len))).await {
        Ok(read) => read,
        Err(BackendError::NotFound { .. }) => return Ok(None),
        // It is shorter than it was a moment ago.
        Err(BackendError::Corrupt { .. }) => return Ok(Some(Vec::new())),
        Err(error) => return Err(error),
    };
    let bytes = read.body.try_fold(Vec::new(), |mut all, bytes| async move {
        all.extend_from_slice(&bytes);
        Ok(all)
    });
    bytes.await.map(Some)
}

/// Takes out of what is listed what is named.
fn drop_named(listed: &mut HashMap<SiteId, HashMap<BlobName, BlobInfo>>, named: &BlobNames) {
    for (site, names) in named {
        if let Some(listed) = listed.get_mut(site) {
            listed.retain(|name, _| !names.contains(name));
        }
    }
}
