//! Everything that a stopped installation holds: each blob at its sites, and what names it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use domicile::{
    audit::note::Signer,
    backend::{Backend, FsBackend},
    clock::SystemClock,
    index::{Index, IndexKeys, Layout, Record, RecordsQuery, SledEngine, StoredLedger, UploadsQuery},
    kms::{Keyring, Pseudonyms},
    seal::{BlobKind, BlobName, EXTENT_SIZE, ExtentId, blob_kind, parse_head, parse_subject_key_blob},
    types::{SiteId, SubjectId, Timestamp},
};
use futures_util::TryStreamExt;

use crate::harness::Data;

/// Between two looks at a lock.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

type Named = BTreeSet<(SiteId, BlobName)>;

/// The blobs that are there, by what names them.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// Named by rows of garbage.
    pub(crate) garbage: Named,
    /// Whose attempts have an intent of an earlier run.
    pub(crate) intended: Named,
    /// Wrapped keys that no row holds.
    pub(crate) keys: Named,
    /// Named by nothing.
    pub(crate) unnamed: Named,
    /// Named by a stored copy of a record or a part, and not there.
    pub(crate) missing: Named,
    /// Rows of garbage.
    pub(crate) rows_of_garbage: usize,
    /// Copies that are not stored yet, subjects that moved and have not been followed, and erasures that are not complete.
    pub(crate) queued: usize,
    /// Whether entries of the ledger can still be told to be about the subject that is erased.
    pub(crate) told: bool,
}

impl Inventory {
    /// Takes it, and checks what must hold at any time: ledger and counters.
    pub(crate) async fn of(data: &Data) -> Self {
        let engine = engine(&data.data_dir()).await;
        let index = open(&data.data_dir(), &engine);
        assert_eq!(index.recount().await.unwrap(), index.summary(), "the counters are those of a recount");
        let mut inventory = Self::default();
        let live = inventory.live(&index).await;
        inventory.queued += index.unsettled(None, 100).await.unwrap().len() + index.pending_erasures().len();
        inventory.told = is_told_of(&index, "erased").await;
        let garbage = inventory.named_as_garbage(&index).await;
        // The attempts of a move's blobs are derived from that of the intent, so it is the record that names them.
        let intents: BTreeSet<_> = index.leftover_intents().unwrap().into_iter().map(|intent| intent.record).collect();
        let mut there = Named::new();
        for (site, path) in data.sites() {
            let site = SiteId::new(site).unwrap();
            let backend = FsBackend::open(site.clone(), path).unwrap();
            for blob in backend.list(None, usize::MAX).await.unwrap().blobs {
                if blob.name.journal_number().is_some() {
                    continue;
                }
                let at = (site.clone(), blob.name);
                there.insert(at.clone());
                if live.contains_key(&at) {
                    continue;
                }
                if garbage.contains(&at) {
                    inventory.garbage.insert(at);
                    continue;
                }
                let bytes: Vec<_> = backend.get(&blob.name, None).await.unwrap().body.try_collect().await.unwrap();
                let bytes = bytes.concat();
                match blob_kind(&bytes).unwrap() {
                    BlobKind::Marker => {}
                    BlobKind::SubjectKey => {
                        let key = parse_subject_key_blob(&bytes).unwrap();
                        // The row alone says at which sites the blob is.
                        let row = index.subject_key(&key.key, &key.owner).unwrap();
                        if row.is_none_or(|row| (row.generation, &row.wrapped) != (key.generation, &key.wrapped)) {
                            inventory.keys.insert(at);
                        }
                    }
                    BlobKind::Extent => {
                        let id = *parse_head(&bytes).unwrap().id();
                        let to = if intents.contains(&id.record) { &mut inventory.intended } else { &mut inventory.unnamed };
                        to.insert(at);
                    }
                }
            }
        }
        inventory.missing = live.into_iter().filter(|(at, stored)| *stored && !there.contains(at)).map(|(at, _)| at).collect();
        close(index, engine).await;
        inventory
    }

    /// Every blob that a record or an open upload names, and whether it must be there.
    async fn live(&mut self, index: &Index) -> BTreeMap<(SiteId, BlobName), bool> {
        let mut live = BTreeMap::new();
        let page = index.search(RecordsQuery { limit: 10_000, ..RecordsQuery::default() }).await.unwrap();
        assert_eq!(page.next, None);
        for found in page.records {
            let record: Record = found.record;
            self.queued += record.queued().count();
            let parts = match record.detail.layout {
                Layout::Parts { table, .. } => index.parts_of(table).unwrap().to_vec(),
                Layout::Whole { .. } | Layout::Extents { .. } => Vec::new(),
            };
            let stored = |site: &SiteId| record.detail.copies.iter().any(|copy| copy.site == *site && copy.is_stored());
            live.extend(record.blobs(&parts).map(|blob| {
                let stored = stored(&blob.site);
                ((blob.site, blob.name), stored)
            }));
        }
        for bucket in index.buckets().unwrap() {
            let query = UploadsQuery {
                bucket: bucket.id,
                prefix: String::new(),
                delimiter: None,
                key_marker: None,
                id_marker: None,
                limit: 1000,
            };
            for upload in index.uploads(query).await.unwrap().uploads {
                for part in index.all_parts(upload.id).await.unwrap() {
                    let part = part.entry;
                    for extent in 0..u32::try_from(part.size.div_ceil(EXTENT_SIZE as u64)).unwrap().max(1) {
                        let id = ExtentId { record: upload.record, part: part.number, attempt: part.attempt, extent };
                        let blobs = upload.copies.iter().map(|copy| ((copy.site.clone(), BlobName::of(copy.country, &id)), true));
                        live.extend(blobs);
                    }
                }
            }
        }
        live
    }

    async fn named_as_garbage(&mut self, index: &Index) -> Named {
        let mut named = Named::new();
        let far = Timestamp::from_seconds(1 << 40);
        for (_, garbage) in index.garbage(far, None, 10_000).await.unwrap() {
            self.rows_of_garbage += 1;
            let blobs = index.garbage_blobs(&garbage).await.unwrap().unwrap();
            named.extend(blobs.into_iter().map(|blob| (blob.site, blob.name)));
        }
        named
    }
}

/// Whether whoever has keyring and index can tell of any entry that it is about `subject`.
async fn is_told_of(index: &Index, subject: &str) -> bool {
    let names = index.ledger_names_of_subject(&SubjectId::new(subject).unwrap()).unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let leaves = index.ledger_entries(0, usize::MAX).await.unwrap();
    leaves.iter().any(|leaf| names.iter().any(|name| leaf.windows(name.len()).any(|text| text == name.as_bytes())))
}

/// Opens the index of a gateway that has just stopped: its last reads may still hold it for a moment.
async fn engine(data_dir: &Path) -> Arc<SledEngine> {
    let folder = data_dir.join("index");
    for _ in 0..1000 {
        match SledEngine::open(&folder, 16 << 20) {
            Ok(engine) => return Arc::new(engine),
            Err(error) if error.to_string().contains("lock") => tokio::time::sleep(PAUSE).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the index stays locked")
}

fn open(data_dir: &Path, engine: &Arc<SledEngine>) -> Index {
    let clock = Arc::new(SystemClock);
    let keyring =
        Keyring::open(&data_dir.join("keyring.age"), &data_dir.join("operator.identity"), Arc::clone(&clock) as _).unwrap();
    let pseudonyms = Arc::new(Pseudonyms::new(keyring.pseudonym_key()));
    let keys = IndexKeys {
        index_key: keyring.index_key(),
        ledger_key: keyring.ledger_key(),
        log: Signer::new("domicile/test", keyring.ledger_signing_key().expose()).unwrap(),
        pseudonyms,
    };
    Index::open(Arc::clone(engine) as _, keys, clock).unwrap()
}

/// Writes an export of the index of a stopped gateway.
pub(crate) async fn export(data_dir: &Path, file: &Path) {
    let engine = engine(data_dir).await;
    let index = open(data_dir, &engine);
    let keyring = data_dir.join("keyring.age");
    let keyring = Keyring::open(&keyring, &data_dir.join("operator.identity"), Arc::new(SystemClock)).unwrap();
    let mut export = index.export(keyring.installation_id()).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = export.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    std::fs::write(file, bytes).unwrap();
    drop(export);
    close(index, engine).await;
}

/// Closes the index and verifies its ledger; afterwards nothing holds the engine.
async fn close(index: Index, engine: Arc<SledEngine>) {
    drop(index);
    while Arc::strong_count(&engine) > 1 {
        tokio::time::sleep(PAUSE).await;
    }
    StoredLedger::open(engine.as_ref()).unwrap().verify(&[], true).unwrap().unwrap();
}
