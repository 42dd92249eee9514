//! Looking through the blobs that no row names, for what was written after the journal's end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::{Journals, Progress, RecoveryError, sites};
use crate::audit::{Actor, Event, Kind};
use crate::backend::{BackendError, BlobInfo, Site, Sites};
use crate::index::{AdoptChange, Change, CommitError, CopyRow, CopyState, Departed, Index, Record};
use crate::kms::{Hierarchy, KmsError, WrappedSubjectKey};
use crate::objects::Manifest;
use crate::policy::Role;
use crate::seal::{BlobKind, BlobName, HEAD_LEN, Head, RecordKey, SealError, blob_kind, parse_head, parse_subject_key_blob};
use crate::types::{RecordId, SiteId, Timestamp};

/// Heads read at a time.
const AT_ONCE: usize = 32;

/// What lay at the sites beside what the journal tells of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Adopted {
    /// Records that were taken in.
    pub records: u64,
    /// Subject keys that were.
    pub subject_keys: u64,
    /// Blobs that stay where they are, unnamed: of writes that never ended, or of what was deleted.
    pub leftovers: u64,
    /// Blobs that are none of this installation's, or do not open: `site/name: why`.
    pub unreadable: Vec<String>,
}

/// A manifest that no row names, with the head that it was in.
struct Found {
    site: Arc<Site>,
    head: Head,
    manifest: Manifest,
    stored: Timestamp,
}

/// A blob that no row names.
enum Unnamed {
    Manifest(Box<Found>),
    Key(Box<WrappedSubjectKey>, Arc<Site>),
    Other,
}

/// Takes in what the journals do not tell of: records with a ticket behind their country's end, that were being written at it, or that came
/// to the country behind it.
///
/// # Errors
/// When a site cannot be read, or the index fails.
pub async fn adopt(
    index: &Index,
    sites: &Sites,
    hierarchy: &Hierarchy,
    (journals, departed): (&Journals, &Departed),
    progress: &dyn Progress,
) -> Result<Adopted, RecoveryError> {
    let mut adopted = Adopted::default();
    let unnamed = unnamed(index, sites, progress).await?;
    let present: HashMap<SiteId, HashSet<BlobName>> =
        unnamed.iter().fold(HashMap::new(), |mut present: HashMap<_, HashSet<_>>, (site, blob)| {
            present.entry(site.spec().id.clone()).or_default().insert(blob.name);
            present
        });
    progress.begin("reading what the journals do not name", Some(unnamed.len() as u64));
    let total = unnamed.len() as u64;
    // Keys first: they open the manifests.
    let mut later = Vec::new();
    let read = unnamed.into_iter().map(|(site, blob)| async move {
        let head = prefix(&site, &blob).await;
        (site, blob, head)
    });
    let mut read = stream::iter(read).buffer_unordered(AT_ONCE);
    while let Some((site, blob, head)) = read.next().await {
        progress.advance(1);
        match head {
            Ok(head) => match look(&head) {
                Ok(Some(kind)) => later.push((site, blob, head, kind)),
                Ok(None) => {}
                Err(error) => adopted.unreadable.push(format!("{}/{}: {error}", site.spec().id, blob.name)),
            },
            Err(error) => return Err(RecoveryError::backend(&site.spec().id, &error)),
        }
    }
    later.sort_by_key(|(_, _, _, kind)| *kind != BlobKind::SubjectKey);
    let mut found: BTreeMap<RecordId, Vec<Found>> = BTreeMap::new();
    let mut more: Vec<(WrappedSubjectKey, Arc<Site>)> = Vec::new();
    let mut taken = 0;
    for (site, blob, head, _) in later {
        match understand(index, hierarchy, &site, &blob, &head).await {
            Ok(Unnamed::Key(key, at)) => {
                if adopt_key(index, hierarchy, &key, &at).await? {
                    adopted.subject_keys += 1;
                    taken += 1;
                } else {
                    more.push((*key, at));
                }
            }
            Ok(Unnamed::Manifest(manifest)) if is_newer(&manifest, journals, departed) => {
                found.entry(manifest.head.id().record).or_default().push(*manifest);
            }
            Ok(Unnamed::Manifest(_) | Unnamed::Other) => {}
            Err(error) => adopted.unreadable.push(format!("{}/{}: {error}", site.spec().id, blob.name)),
        }
    }
    for (key, site) in more {
        // In its own country it does no harm; elsewhere it is only where something has to be opened with it.
        let is_needed = |copy: &Found| {
            copy.site.spec().id == site.spec().id && (copy.head.key(), copy.head.owner()) == (&key.key, &key.owner)
        };
        if (key.country == site.spec().country || found.values().flatten().any(is_needed)) && keep_key(index, &key, &site).await?
        {
            taken += 1;
        }
    }
    let mut found: Vec<Vec<Found>> = found.into_values().collect();
    found.sort_by_key(|copies| copies.first().map(|copy| copy.manifest.summary.ticket));
    for copies in found {
        if let Some(blobs) = adopt_record(index, &present, copies).await? {
            adopted.records += 1;
            taken += blobs;
        }
    }
    adopted.leftovers = total.saturating_sub(taken + adopted.unreadable.len() as u64);
    Ok(adopted)
}

/// The blobs that no row names.
async fn unnamed(index: &Index, sites: &Sites, progress: &dyn Progress) -> Result<Vec<(Arc<Site>, BlobInfo)>, RecoveryError> {
    let named = index.named_blobs(|_, _| true).await?;
    progress.begin("listing the sites", None);
    let mut unnamed = Vec::new();
    for site in sites.iter() {
        let known = named.get(&site.spec().id);
        sites::list(site, None, |page| {
            progress.advance(page.len() as u64);
            let page = page.into_iter().filter(|blob| {
                let ours = blob.name == BlobName::marker() || blob.name.journal_number().is_some();
                !ours && known.is_none_or(|known| !known.contains(&blob.name))
            });
            unnamed.extend(page.map(|blob| (Arc::clone(site), blob)));
        })
        .await?;
    }
    Ok(unnamed)
}

/// The head of a blob, whole. Empty when the blob is gone by now.
async fn prefix(site: &Site, blob: &BlobInfo) -> Result<Vec<u8>, BackendError> {
    let read = async |most: u64| match sites::read(site, &blob.name, Some(most.min(blob.len.max(1)))).await {
        Err(BackendError::NotFound { .. } | BackendError::Corrupt { .. }) => Ok(Vec::new()),
        other => other,
    };
    let head = read(HEAD_LEN as u64).await?;
    match parse_head(&head) {
        Err(SealError::Short { need, .. }) if need > head.len() => read(need as u64).await,
        Err(SealError::Mismatch(_)) => read(blob.len.min(64 * 1024)).await,
        _ => Ok(head),
    }
}

/// What a blob is that may have to be taken in; `None` for one that carries no manifest.
fn look(head: &[u8]) -> Result<Option<BlobKind>, SealError> {
    match blob_kind(head)? {
        BlobKind::Extent => Ok(parse_head(head)?.has_manifest().then_some(BlobKind::Extent)),
        kind => Ok(Some(kind)),
    }
}

async fn understand(
    index: &Index,
    hierarchy: &Hierarchy,
    site: &Arc<Site>,
    blob: &BlobInfo,
    head: &[u8],
) -> Result<Unnamed, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    match blob_kind(head).map_err(|error| text(&error))? {
        BlobKind::SubjectKey => {
            let key = parse_subject_key_blob(head).map_err(|error| text(&error))?;
            // It opens, so it is the installation's.
            return match hierarchy.open_subject_key(&key).await {
                Ok(_) if index.is_erased(&key.key, key.generation) => Ok(Unnamed::Other),
                Ok(_) => Ok(Unnamed::Key(Box::new(key), Arc::clone(site))),
                // An earlier wrapping, or the key of who was erased.
                Err(KmsError::Destroyed { .. }) => Ok(Unnamed::Other),
                Err(error) => Err(text(&error)),
            };
        }
        BlobKind::Marker => return Ok(Unnamed::Other),
        BlobKind::Extent => {}
    }
    let head = parse_head(head).map_err(|error| text(&error))?;
    let key = index.subject_key_of(head.key(), head.owner(), head.generation()).map_err(|error| text(&error))?;
    let Some(key) = key else {
        if index.is_erased(head.key(), head.generation()) {
            return Ok(Unnamed::Other);
        }
        return Err("its subject key is none that is known".to_owned());
    };
    let key = hierarchy.open_subject_key(&key).await.map_err(|error| text(&error))?;
    let key = RecordKey::open(&key, head.id().record, head.country(), head.wrapped_dek()).map_err(|error| text(&error))?;
    let Some(manifest) = head.open_manifest(&key).map_err(|error| text(&error))? else { return Ok(Unnamed::Other) };
    let manifest = Manifest::decode(&manifest)?;
    Ok(Unnamed::Manifest(Box::new(Found { site: Arc::clone(site), head, manifest, stored: blob.modified })))
}

/// Whether the journal could not know of a record.
fn is_newer(found: &Found, journals: &Journals, departed: &Departed) -> bool {
    let (country, record) = (found.head.country(), found.head.id().record);
    let reaches = journals.chains.get(&country).map_or(0, |chain| chain.reaches);
    let open = journals.open.get(&country).is_some_and(|open| open.contains(&record));
    let came = departed.get(&record).is_some_and(|(number, to)| *number > reaches && to.contains(&country));
    found.manifest.summary.ticket.0 > reaches || open || came
}

/// Takes in a subject key: of an owner that has none, or wrapped again after the journal's end, when nothing opens the wrapping that the
/// journal knows.
async fn adopt_key(index: &Index, hierarchy: &Hierarchy, key: &WrappedSubjectKey, site: &Site) -> Result<bool, RecoveryError> {
    let known = index.subject_key_of(&key.key, &key.owner, key.generation)?.map(Arc::unwrap_or_clone);
    if let Some(known) = &known
        && !matches!(hierarchy.open_subject_key(known).await, Err(KmsError::Destroyed { .. }))
    {
        return Ok(false);
    }
    // Made in the moment that the journal did not reach, in the place of the one it knows: records of that moment are under it.
    let retired = known.is_none() && index.subject_key(&key.key, &key.owner)?.is_some();
    commit_key(index, key, site, known.map(Box::new), retired).await
}

/// Notes that a site holds the blob of a subject key, where the index knows the key by the same wrapping.
async fn keep_key(index: &Index, key: &WrappedSubjectKey, site: &Site) -> Result<bool, RecoveryError> {
    let known = index.subject_key_of(&key.key, &key.owner, key.generation)?;
    if known.is_none_or(|known| known.wrapped != key.wrapped) {
        return Ok(false);
    }
    commit_key(index, key, site, None, false).await
}

async fn commit_key(
    index: &Index,
    key: &WrappedSubjectKey,
    site: &Site,
    replaces: Option<Box<WrappedSubjectKey>>,
    retired: bool,
) -> Result<bool, RecoveryError> {
    let spec = site.spec();
    let event =
        Event { countries: vec![spec.country], sites: vec![spec.id.clone()], ..Event::new(Kind::KeyStored, Actor::System) };
    let mut kept = key.nowhere();
    kept.kept_at(&spec.id, spec.country);
    let key = Box::new(kept);
    let change = if retired { Change::RetiredSubjectKey(key) } else { Change::SubjectKey { key, replaces } };
    match index.commit(change, event).await {
        Ok(_) => Ok(true),
        Err(CommitError::KeyExists(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes in a record from the manifests of its copies; `None` when it is not whole, or not of a bucket that there is. Otherwise the
/// number of its blobs.
async fn adopt_record(
    index: &Index,
    present: &HashMap<SiteId, HashSet<BlobName>>,
    copies: Vec<Found>,
) -> Result<Option<u64>, RecoveryError> {
    let Some(manifest) = copies.iter().map(|copy| &copy.manifest).max_by_key(|manifest| manifest.detail.moves).cloned() else {
        return Ok(None);
    };
    let bucket = index.bucket(&manifest.bucket)?.filter(|bucket| bucket.id == manifest.bucket_id);
    let id = manifest.summary.id;
    if bucket.is_none() || index.has_record(manifest.bucket_id, &manifest.key, manifest.summary.ticket, id)? {
        return Ok(None);
    }
    let rows = copies.iter().filter(|copy| copy.manifest.detail.moves == manifest.detail.moves).filter_map(copy_row).collect();
    let mut record = Record { summary: manifest.summary.clone(), detail: manifest.detail.clone() };
    record.detail.copies = rows;
    let whole = |copy: &CopyRow| {
        let alone =
            Record { detail: crate::index::Detail { copies: vec![copy.clone()], ..record.detail.clone() }, ..record.clone() };
        alone.blobs(&manifest.parts).all(|blob| present.get(&blob.site).is_some_and(|names| names.contains(&blob.name)))
    };
    let rows: Vec<CopyRow> = record.detail.copies.iter().filter(|copy| whole(copy)).cloned().collect();
    // One that was acknowledged has all the copies that had to be there first.
    let required: BTreeSet<&SiteId> =
        record.detail.placement.copies.iter().filter(|copy| copy.role != Role::Queued).map(|copy| &copy.site).collect();
    if !required.iter().all(|site| rows.iter().any(|row| row.site == **site)) {
        return Ok(None);
    }
    record.detail.copies = rows;
    let blobs = record.blobs(&manifest.parts).count() as u64;
    let names = index.pseudonyms();
    // As the entry of its own commit says it, which was lost: those that were queued are told of when they are stored.
    let decided = &record.detail.placement;
    let event = Event {
        bucket: Some(names.bucket(&manifest.bucket)),
        key: Some(names.key(&manifest.bucket, &manifest.key)),
        subject: decided.subject.as_ref().map(|subject| names.subject(subject)),
        instruments: decided.instruments.clone(),
        shadow: decided.shadow.clone(),
        revision: Some(decided.revision),
        countries: decided.copies.iter().map(|copy| copy.country).collect(),
        sites: decided.copies.iter().map(|copy| copy.site.clone()).collect(),
        ..record.summary.describe(Event::new(Kind::PutObject, Actor::System))
    };
    let change = AdoptChange { bucket: manifest.bucket_id, key: manifest.key, record, parts: manifest.parts };
    index.commit(Change::Adopt(Box::new(change)), event).await?;
    Ok(Some(blobs))
}

/// The row of a copy, from the head of its manifest.
fn copy_row(found: &Found) -> Option<CopyRow> {
    let site = found.site.spec();
    let planned = found.manifest.detail.placement.copies.iter().find(|copy| copy.site == site.id)?;
    Some(CopyRow {
        site: site.id.clone(),
        country: found.head.country(),
        key: found.head.key().clone(),
        owner: found.head.owner().clone(),
        sk_generation: found.head.generation(),
        dek: *found.head.wrapped_dek(),
        role: planned.role,
        state: CopyState::Stored { at: found.stored },
        manifest_head_len: u32::try_from(found.head.len()).ok()?,
        manifest_attempt: found.head.id().attempt,
        moved: found.manifest.moved,
        entry: None,
    })
}
