//! An export is the index at one commit, whatever is written meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    journal::{Listener, Told, head, held, retell, rows},
    *,
};

const INSTALLATION: [u8; 16] = [4; 16];

pub(super) async fn exported(index: &Index) -> Vec<u8> {
    let mut export = index.export(INSTALLATION).await.unwrap();
    let mut file = Vec::new();
    while let Some(bytes) = export.next().await.unwrap() {
        file.extend_from_slice(&bytes);
    }
    file
}

fn load(engine: Arc<dyn Engine>, file: &[u8]) -> Result<(Replay, Exported), ExportError> {
    let mut replay = Replay::begin(engine, index_keys()).unwrap();
    let exported = replay.load(file, INSTALLATION, |_| {})?;
    Ok((replay, exported))
}

fn failure(file: &[u8]) -> ExportError {
    load(Arc::new(MemoryEngine::new()), file).map(drop).unwrap_err()
}

/// The index that a file holds, and what the file says of itself.
pub(super) fn imported(engine: Arc<dyn Engine>, file: &[u8]) -> (Index, Exported) {
    let (replay, exported) = load(Arc::clone(&engine), file).unwrap();
    let replayed = replay.finish(Timestamp::from_seconds(9), &BTreeSet::new()).unwrap();
    assert_eq!((replayed.entries_lost, replayed.without_parts), (0, 0));
    (open(engine), exported)
}

/// The index at one commit, as the journal tells it.
fn at(number: u64, told: &Told) -> Index {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let mut replay = Replay::begin(Arc::clone(&engine), index_keys()).unwrap();
    told.lock().iter().filter(|group| group.number <= number).for_each(|group| replay.take(group).unwrap());
    replay.finish(Timestamp::from_seconds(9), &BTreeSet::new()).unwrap();
    open(engine)
}

/// Writes, overwrites and deletes until it is told to stop.
async fn write(index: Index, bucket: Arc<Bucket>, worker: usize, stop: Arc<AtomicBool>) -> usize {
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let at = format!("{}-{}", worker, done % 37);
        match done % 5 {
            3 => drop(index.commit(delete(&bucket, &at, index.ticket().unwrap()), event()).await.unwrap()),
            4 => drop(multipart(&index, &bucket, &at, 9, worker.is_multiple_of(2)).await),
            _ => drop(index.commit(put(&bucket, &at, record(&index, 10, SITES[worker % 2], "ayesha")), event()).await.unwrap()),
        }
        done += 1;
    }
    done
}

async fn while_writers_write(engine: Arc<dyn Engine>, into: Arc<dyn Engine>) {
    let (index, bucket) = prepared(engine).await;
    let told = Told::default();
    let listener = Listener::of(&index, &told);
    retell(&index).await;
    for n in 0..2000 {
        index.commit(put(&bucket, &format!("stock-{n}"), record(&index, 1, SITES[n % 2], "ayesha")), event()).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..8).map(|worker| tokio::spawn(write(index.clone(), Arc::clone(&bucket), worker, Arc::clone(&stop)))).collect();
    let mut export = index.export(INSTALLATION).await.unwrap();
    assert!(matches!(index.export(INSTALLATION).await, Err(IndexError::Exporting)));
    let (mut file, before) = (Vec::new(), index.ledger_head().size);
    while let Some(bytes) = export.next().await.unwrap() {
        file.extend_from_slice(&bytes);
        // As slow as a network.
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    // One that has ended holds up none that has begun since.
    let second = index.export(INSTALLATION).await.unwrap();
    drop(export);
    assert!(matches!(index.export(INSTALLATION).await, Err(IndexError::Exporting)));
    drop(second);
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        assert!(writer.await.unwrap() > 0);
    }
    held(&index).await;
    let (again, of) = imported(into, &file);
    assert!(of.ledger.size > before, "it was written meanwhile");
    let then = at(of.number, &told);
    assert_eq!(rows(&again), rows(&then));
    assert_eq!(again.summary(), then.summary());
    assert_eq!(head(&again), (of.ledger.size, of.ledger.root));
    assert_eq!(head(&then), head(&again));
    assert_eq!(again.imported().unwrap(), None);
    assert!(again.ticket().unwrap().0 > index.ticket().unwrap().0, "no number is issued twice");
    check_whole(&again).await;

    // Yesterday's export and what the journal says since is today.
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let (mut replay, _) = load(Arc::clone(&engine), &file).unwrap();
    told.lock().iter().rev().for_each(|group| replay.take(group).unwrap());
    replay.finish(Timestamp::from_seconds(9), &BTreeSet::new()).unwrap();
    let today = open(engine);
    assert_eq!(rows(&today), rows(&index));
    assert_eq!((today.summary(), head(&today)), (index.summary(), head(&index)));
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_export_is_the_index_at_one_commit_while_writers_write() {
    while_writers_write(Arc::new(MemoryEngine::new()), Arc::new(MemoryEngine::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_export_is_the_index_at_one_commit_on_sled_and_moves_between_engines() {
    let folder = tempfile::tempdir().unwrap();
    let engine = || Arc::new(SledEngine::open(&folder.path().join("one"), 8 << 20).unwrap());
    let other = || Arc::new(SledEngine::open(&folder.path().join("other"), 8 << 20).unwrap());
    while_writers_write(engine(), Arc::new(MemoryEngine::new())).await;
    while_writers_write(Arc::new(MemoryEngine::new()), other()).await;
}

#[tokio::test]
async fn a_file_that_is_not_what_was_written_is_refused() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    index.commit(put(&bucket, "k", record(&index, 1, SITES[0], "ayesha")), event()).await.unwrap();
    let file = exported(&index).await;
    let foreign = Replay::begin(Arc::new(MemoryEngine::new()), index_keys()).unwrap().load(&file[..], [5; 16], |_| {});
    assert!(matches!(foreign, Err(ExportError::Foreign { .. })), "{foreign:?}");
    let other = IndexKeys { index_key: SecretKey::random(), ..index_keys() };
    let other = Replay::begin(Arc::new(MemoryEngine::new()), other).unwrap().load(&file[..], INSTALLATION, |_| {});
    assert!(matches!(other, Err(ExportError::Altered)), "{other:?}");
    let mut newer = file.clone();
    newer[9] += 1;
    assert!(matches!(failure(&newer), ExportError::Format(2)));
    assert!(matches!(failure(b"DOMICILE and so on, for more than the prelude"), ExportError::NotAnExport));
    assert!(matches!(failure(&file[..20]), ExportError::NotAnExport));
    for cut in [26, 60, file.len() / 2, file.len() - 1] {
        assert!(matches!(failure(&file[..cut]), ExportError::Altered), "{cut}");
    }
    for at in [30, 70, file.len() / 2, file.len() - 1] {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert!(matches!(failure(&changed), ExportError::Altered), "{at}");
    }
    assert!(matches!(failure(&[&file[..], b"x"].concat()), ExportError::Altered));
    // Names and subjects leave sealed only.
    for name in [&b"bucket"[..], b"ayesha", b"pk-khi", b"put-object"] {
        assert!(!file.windows(name.len()).any(|window| window == name));
    }
}

#[tokio::test]
async fn an_export_that_nobody_takes_is_called_off() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    drop(index.export(INSTALLATION).await.unwrap());
    let mut export = index.export(INSTALLATION).await.unwrap();
    index.inner.tap.add((0..70_000u32).map(|n| [&n.to_be_bytes()[..], &[b'r'; 1024]].concat()).collect());
    let failed = loop {
        match export.next().await {
            Ok(bytes) => assert!(bytes.is_some(), "it must not end as if it were whole"),
            Err(error) => break error,
        }
    };
    assert!(matches!(failed, IndexError::ExportTooSlow), "{failed}");
    index.commit(put(&bucket, "k", record(&index, 1, SITES[0], "ayesha")), event()).await.unwrap();
    drop(export);
    imported(Arc::new(MemoryEngine::new()), &exported(&index).await);
}

#[tokio::test]
async fn what_sites_say_of_another_history_is_not_taken_for_the_continuation() {
    let (index, _) = prepared(Arc::new(MemoryEngine::new())).await;
    let file = exported(&index).await;
    // A second index goes on from the same place, and its journal has another entry where the export's last one was.
    let (mut replay, of) = load(Arc::new(MemoryEngine::new()), &file).unwrap();
    let row = keys::ledger(of.ledger.size - 1);
    let fact = crate::index::journal::Fact { row, body: Some(serde_bytes::ByteBuf::from(&b"{}"[..])), went: None };
    replay.take(&crate::index::journal::Group { number: of.number + 5, facts: vec![Arc::new(fact)] }).unwrap();
    assert!(matches!(replay.finish(Timestamp::from_seconds(9), &BTreeSet::new()), Err(IndexError::OtherLedger)));
}

#[tokio::test]
async fn an_index_that_is_behind_its_sites_says_so() {
    let (index, _) = prepared(Arc::new(MemoryEngine::new())).await;
    let file = exported(&index).await;
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let (mut replay, of) = load(Arc::clone(&engine), &file).unwrap();
    let imported = ImportedIndex {
        number: of.number,
        entries: of.ledger.size,
        exported: of.ended,
        imported: Timestamp::from_seconds(9),
        without: vec![SiteId::new("pk-khi").unwrap()],
    };
    replay.leave_behind(imported.clone());
    replay.finish(Timestamp::from_seconds(9), &BTreeSet::new()).unwrap();
    let behind = open(engine);
    assert_eq!(behind.imported().unwrap(), Some(imported));
    // An export of it would not be asked for what it lacks.
    assert!(matches!(behind.export(INSTALLATION).await, Err(IndexError::Behind)));
}
