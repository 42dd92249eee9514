//! A source in memory, and imports from it into a gateway in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream};
use parking_lot::Mutex;

use super::*;
use crate::{
    authn::{Principal, Principals, Role, TokenIdentity},
    backend::{Source, SourceEntry, SourceError, SourceObject, SourcePart, SourceStream},
    digest::{ETag, Md5},
    jobs::Task,
    objects::{Pace, tests::World},
    types::{Attributes, BucketName, PrincipalId, RequestId, SourceId, Timestamp},
};

/// Entries of a listing at a time: few, so that every test goes on behind a page.
const PAGE: usize = 3;

#[derive(Default)]
pub(super) struct MemorySource {
    held: Mutex<BTreeMap<String, Held>>,
    written: Mutex<i64>,
    pub(super) faults: Mutex<Faults>,
}

#[derive(Clone)]
struct Held {
    object: SourceObject,
    bytes: Bytes,
    parts: Vec<u64>,
}

/// What goes wrong.
#[derive(Default)]
pub(super) struct Faults {
    /// The next reads break off at these positions.
    pub(super) breaks: VecDeque<usize>,
    /// What happens when the next reads begin.
    pub(super) meanwhile: VecDeque<BoxFuture<'static, ()>>,
    /// The same behind an answer's headers.
    pub(super) behind: VecDeque<BoxFuture<'static, ()>>,
    /// Every read gives other bytes.
    pub(super) fickle: bool,
    /// Nothing can be removed.
    pub(super) sticky: bool,
    /// How long parts are is not told.
    pub(super) hides_parts: bool,
    /// Listings that fail.
    pub(super) unlisted: usize,
    /// How many reads there were.
    pub(super) reads: usize,
}

pub(super) fn md5(bytes: &[u8]) -> ETag {
    let mut md5 = Md5::new();
    md5.update(bytes);
    ETag::single(md5.finish())
}

impl MemorySource {
    /// Writes an object, with what `change` says of it besides.
    pub(super) fn put(&self, key: &str, bytes: &[u8], change: impl FnOnce(&mut SourceObject)) {
        let modified = {
            let mut written = self.written.lock();
            *written += 1;
            Timestamp::from_seconds(1_700_000_000 + *written)
        };
        let entry = SourceEntry { key: key.to_owned(), etag: md5(bytes).to_string(), size: bytes.len() as u64, modified };
        let mut object = SourceObject {
            entry,
            content: BTreeMap::from([("content-type".to_owned(), "text/plain".to_owned())]),
            metadata: BTreeMap::new(),
            tags: Vec::new(),
            checksum: None,
            opaque_etag: false,
            retention: None,
            legal_hold: false,
        };
        change(&mut object);
        let held = Held { object, bytes: Bytes::copy_from_slice(bytes), parts: Vec::new() };
        self.held.lock().insert(key.to_owned(), held);
    }

    /// Writes an object in parts.
    pub(super) fn put_parts(&self, key: &str, parts: &[&[u8]]) {
        let etag = ETag::multipart(&parts.iter().map(|part| md5(part)).collect::<Vec<_>>()).to_string();
        self.put(key, &parts.concat(), |object| object.entry.etag = etag);
        let sizes = parts.iter().map(|part| part.len() as u64).collect();
        self.held.lock().get_mut(key).unwrap().parts = sizes;
    }

    pub(super) fn change(&self, key: &str, change: impl FnOnce(&mut SourceObject)) {
        change(&mut self.held.lock().get_mut(key).unwrap().object);
    }

    pub(super) fn held_remove(&self, key: &str) {
        self.held.lock().remove(key);
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.held.lock().keys().cloned().collect()
    }

    fn held(&self, key: &str) -> Result<Held, SourceError> {
        self.held.lock().get(key).cloned().ok_or(SourceError::Gone)
    }
}

fn broken() -> SourceError {
    SourceError::Unavailable { reason: "it broke off".to_owned(), cause: None }
}

#[async_trait]
impl Source for MemorySource {
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<SourceEntry>, SourceError> {
        {
            let mut faults = self.faults.lock();
            if faults.unlisted > 0 {
                faults.unlisted -= 1;
                return Err(broken());
            }
        }
        let held = self.held.lock();
        let entries = held.values().map(|held| held.object.entry.clone());
        let wanted = entries.filter(|entry| entry.key.starts_with(prefix) && after.is_none_or(|after| *entry.key > *after));
        Ok(wanted.take(PAGE).collect())
    }

    async fn look(&self, key: &str) -> Result<SourceObject, SourceError> {
        Ok(self.held(key)?.object)
    }

    async fn part(&self, object: &SourceObject, number: u32) -> Result<Option<SourcePart>, SourceError> {
        let parts = self.held(&object.entry.key)?.parts;
        if self.faults.lock().hides_parts {
            return Ok(None);
        }
        let size = parts.get(number as usize - 1).copied();
        Ok(size.map(|size| SourcePart { size, count: parts.len() as u32 }))
    }

    async fn read(&self, object: &SourceObject, from: u64) -> Result<SourceStream, SourceError> {
        let meanwhile = self.faults.lock().meanwhile.pop_front();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        let held = self.held(&object.entry.key)?;
        if held.object.entry != object.entry {
            return Err(SourceError::Changed);
        }
        let mut faults = self.faults.lock();
        faults.reads += 1;
        let mut bytes = held.bytes.to_vec();
        if faults.fickle {
            bytes[0] = faults.reads as u8;
        }
        let broken_at = faults.breaks.pop_front();
        let from = from as usize;
        let end = broken_at.map_or(bytes.len(), |at| at.clamp(from, bytes.len()));
        let mut pieces: Vec<_> = bytes[from..end].chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        if broken_at.is_some() {
            pieces.push(Err(broken()));
        }
        let behind = stream::iter(faults.behind.pop_front()).then(|behind| behind).filter_map(|()| async { None });
        Ok(behind.chain(stream::iter(pieces)).boxed())
    }

    async fn remove(&self, object: &SourceObject) -> Result<(), SourceError> {
        if self.faults.lock().sticky {
            return Err(SourceError::Refused("it is locked".to_owned()));
        }
        if self.held(&object.entry.key)?.object.entry != object.entry {
            return Err(SourceError::Changed);
        }
        self.held.lock().remove(&object.entry.key);
        Ok(())
    }
}

/// The gateway's principals: one that may write to `media` and speaks for people in Pakistan.
pub(super) fn principals() -> Arc<ArcSwap<Principals>> {
    let feed = Principal {
        attributes: Attributes::from([("residence".to_owned(), "PK".to_owned())]),
        buckets: vec!["media".parse().unwrap()],
        ..Principal::unrestricted("feed", Vec::new()).unwrap()
    };
    Arc::new(ArcSwap::from_pointee(Principals::new([feed]).unwrap()))
}

/// Everything, as it is.
pub(super) fn order() -> Order {
    Order {
        request: RequestId::new("an-import").unwrap(),
        who: TokenIdentity { id: PrincipalId::new("ann").unwrap(), role: Role::Operator },
        principal: PrincipalId::new("feed").unwrap(),
        source: SourceId::new("old").unwrap(),
        bucket: "plain".to_owned(),
        prefix: String::new(),
        to: BucketName::new("media").unwrap(),
        to_prefix: None,
        template: None,
        delete_source: false,
        overwrite: false,
        dry_run: false,
        pace: Pace::default(),
        concurrency: 2,
        retries: 2,
    }
}

pub(super) fn map(rows: &[(&str, &str)]) -> SubjectMap {
    let mut map = SubjectMap::default();
    for (key, subject) in rows {
        let row = MapRow { key: (*key).to_owned(), subject: Some((*subject).to_owned()), attributes: Attributes::new() };
        map.add(row).unwrap();
    }
    map
}

/// Does an import to its end.
pub(super) async fn import(world: &World, source: &Arc<MemorySource>, order: Order, map: SubjectMap) -> Progress {
    let counting = Counting::default();
    let import = Import::new(order, Arc::clone(source) as _, principals(), map);
    import.work(&world.objects, &counting).await.unwrap();
    counting.progress()
}
