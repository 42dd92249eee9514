//! The reference: what an index should hold, as plain maps and lists.

use super::super::*;
use crate::{bucket::Versioning, seal::BlobName};

pub(super) const KEYS: [&str; 4] = ["a", "a/b", "a/c\0", "b"];
pub(super) const SUBJECTS: [&str; 2] = ["ayesha", "bilal"];

/// A version of a key, or a delete marker.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    pub(super) version: VersionId,
    pub(super) ticket: Ticket,
    pub(super) live: Option<Live>,
}

/// What is known of a version with bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Live {
    pub(super) id: RecordId,
    pub(super) size: u64,
    pub(super) tags: Vec<(String, String)>,
    pub(super) site: String,
    pub(super) moves: u32,
    pub(super) subject: usize,
}

/// An upload that is open.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) upload: Upload,
    pub(super) subject: usize,
    pub(super) parts: BTreeMap<u32, PartEntry>,
}

/// An entry of the directory.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Known {
    pub(super) generation: u64,
    pub(super) attributes: Attributes,
    /// Whether anything is known.
    pub(super) is_known: bool,
    /// The generation that its records have not been held against.
    pub(super) unsettled: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Reference {
    pub(super) versioning: Versioning,
    /// The newest first.
    pub(super) versions: [Vec<Kept>; KEYS.len()],
    pub(super) uploads: Vec<Open>,
    pub(super) subjects: [Known; SUBJECTS.len()],
    /// Every blob of every commit.
    pub(super) written: BTreeSet<(SiteId, BlobName)>,
}

/// What can be seen of an index.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    versioning: Versioning,
    versions: Vec<Vec<Kept>>,
    listed: Vec<&'static str>,
    uploads: BTreeMap<[u8; 16], Vec<PartEntry>>,
    subjects: Vec<Known>,
}

impl Reference {
    /// Adds a version where its ticket puts it. A `null` version takes the place of the `null` version, unless that is newer.
    pub(super) fn add(&mut self, key: usize, new: Kept) {
        let versions = &mut self.versions[key];
        if new.version == VersionId::Null
            && let Some(at) = versions.iter().position(|old| old.version == VersionId::Null)
        {
            if versions[at].ticket > new.ticket {
                return;
            }
            versions.remove(at);
        }
        let at = versions.partition_point(|old| old.ticket > new.ticket);
        versions.insert(at, new);
    }

    /// Deletes a key.
    pub(super) fn delete(&mut self, key: usize, ticket: Ticket, marker: VersionId) {
        let version = match self.versioning {
            Versioning::Off => return self.versions[key].retain(|old| old.ticket > ticket),
            Versioning::Enabled => marker,
            Versioning::Suspended => VersionId::Null,
        };
        self.add(key, Kept { version, ticket, live: None });
    }

    /// Sets what is known of a subject.
    pub(super) fn know(&mut self, subject: usize, said: Option<Attributes>) {
        let has_records =
            self.versions.iter().flatten().any(|kept| kept.live.as_ref().is_some_and(|live| live.subject == subject));
        let known = &mut self.subjects[subject];
        let (is_known, attributes) = (said.is_some(), said.unwrap_or_default());
        if known.is_known == is_known && known.attributes == attributes {
            return;
        }
        known.is_known = is_known;
        known.generation += 1;
        if known.attributes != attributes && has_records {
            known.unsettled = Some(known.generation);
        }
        known.attributes = attributes;
    }

    /// What should be seen.
    pub(super) fn seen(&self) -> Seen {
        let live = |key: &usize| self.versions[*key].first().is_some_and(|kept| kept.live.is_some());
        let parts = |open: &Open| (*open.upload.id.as_bytes(), open.parts.values().copied().collect());
        Seen {
            versioning: self.versioning,
            versions: self.versions.to_vec(),
            listed: (0..KEYS.len()).filter(live).map(|key| KEYS[key]).collect(),
            uploads: self.uploads.iter().map(parts).collect(),
            subjects: self.subjects.to_vec(),
        }
    }
}

impl Seen {
    /// What is.
    pub(super) async fn of(index: &Index, bucket: &Bucket) -> Self {
        let unsettled = index.unsettled(None, 10).await.unwrap();
        let known = |name: &&str| {
            let subject = SubjectId::new(*name).unwrap();
            let entry = index.lookup(&subject).unwrap();
            let name = index.inner.keys.pseudonyms.subject(&subject);
            let unsettled = unsettled.iter().find(|row| row.subject == name).map(|row| row.generation.0);
            let is_known = index.subject(&subject).unwrap().is_some_and(|row| !row.removed);
            let (generation, attributes) = entry.map(|entry| (entry.generation.0, entry.attributes)).unwrap_or_default();
            Known { generation, attributes, is_known, unsettled }
        };
        let mut versions = Vec::new();
        for name in KEYS {
            let found = index.versions_of(bucket, &key(name)).await.unwrap();
            let current = index.current(bucket, &key(name)).unwrap().map(|record| record.summary.id);
            let first = found.first().and_then(|first| (!first.summary().delete_marker).then(|| first.summary().id));
            assert_eq!(current, first, "what is current is the newest, unless that is a marker");
            versions.push(found.into_iter().map(kept).collect());
        }
        let listed = list_all(index, bucket, "", None, 100).await.into_iter().map(|item| match item {
            ListItem::Object { key, .. } => *KEYS.iter().find(|name| **name == key).unwrap(),
            ListItem::Prefix(_) => panic!("no delimiter"),
        });
        let query = UploadsQuery {
            bucket: bucket.id,
            prefix: String::new(),
            delimiter: None,
            key_marker: None,
            id_marker: None,
            limit: 100,
        };
        let mut uploads = BTreeMap::new();
        for upload in index.uploads(query).await.unwrap().uploads {
            let parts = index.all_parts(upload.id).await.unwrap();
            uploads.insert(*upload.id.as_bytes(), parts.into_iter().map(|part| part.entry).collect());
        }
        Self {
            versioning: index.bucket(&bucket.name).unwrap().unwrap().settings.versioning,
            versions,
            listed: listed.collect(),
            uploads,
            subjects: SUBJECTS.iter().map(known).collect(),
        }
    }
}

fn kept(version: Version) -> Kept {
    let summary = version.summary().clone();
    let live = version.into_record().map(|record| Live {
        id: record.summary.id,
        size: record.summary.size,
        moves: record.detail.moves,
        site: record.detail.copies[0].site.to_string(),
        subject: SUBJECTS
            .iter()
            .position(|name| record.detail.placement.subject.as_ref().is_some_and(|subject| subject.as_str() == *name))
            .unwrap(),
        tags: record.detail.tags,
    });
    Kept { version: summary.version, ticket: summary.ticket, live }
}
