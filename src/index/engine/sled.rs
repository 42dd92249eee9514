//! sled 0.34 as the engine, with what it takes to make its commits durable and its opening safe.
//!
//! sled's `flush` calls `sync_file_range` on Linux, which does not survive a power cut; `File::sync_data` on its `db` file after each
//! flush does. A kill while it opens leaves a `snap.*.generating` file that makes the next open fail; such files hold nothing yet.

use std::{
    fs::File,
    ops::Bound,
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use super::{Batch, Engine, EngineError, EngineStats, Value, Visit, memory::is_empty_range};

/// One sled database with one tree.
#[derive(Debug)]
pub struct SledEngine {
    db: ::sled::Db,
    data: File,
    cache_bytes: u64,
    poisoned: AtomicBool,
    resident: AtomicBool,
    applied: AtomicU32,
    fail_next_sync: AtomicBool,
}

/// How many commits pass between two looks at the size on disk.
const MEASURE_EVERY: u32 = 512;

impl SledEngine {
    /// 256 MB of cache.
    pub const DEFAULT_CACHE_BYTES: u64 = 256 * 1024 * 1024;

    /// Opens the database in `folder`, or creates it; a folder that it makes is for this user alone.
    pub fn open(folder: &Path, cache_bytes: u64) -> Result<Self, EngineError> {
        let failed = |reason: String| EngineError::Open { folder: folder.display().to_string(), reason };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed(error.to_string()))?;
        remove_unfinished_snapshots(folder).map_err(|error| failed(error.to_string()))?;
        let db = ::sled::Config::new()
            .path(folder)
            .cache_capacity(cache_bytes)
            .flush_every_ms(Some(500))
            .open()
            .map_err(|error| failed(error.to_string()))?;
        let data = sync_created(folder).map_err(|error| failed(error.to_string()))?;
        let engine = Self {
            db,
            data,
            cache_bytes,
            poisoned: AtomicBool::new(false),
            resident: AtomicBool::new(true),
            applied: AtomicU32::new(0),
            fail_next_sync: AtomicBool::new(false),
        };
        engine.measure();
        Ok(engine)
    }

    /// Makes the next sync fail, as a failing disk would.
    pub fn fail_next_sync(&self) {
        self.fail_next_sync.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), EngineError> {
        if self.poisoned.load(Ordering::Acquire) { Err(EngineError::Poisoned) } else { Ok(()) }
    }

    fn measure(&self) {
        let disk = self.db.size_on_disk().unwrap_or(u64::MAX);
        self.resident.store(disk <= self.cache_bytes, Ordering::Relaxed);
    }

    fn apply_and_sync(&self, batch: Batch) -> Result<(), EngineError> {
        let mut writes = ::sled::Batch::default();
        for (key, value) in batch.writes {
            match value {
                Some(value) => writes.insert(key, value),
                None => writes.remove(key),
            }
        }
        let failed = |error: ::sled::Error| EngineError::Write(error.to_string());
        self.db.apply_batch(writes).map_err(failed)?;
        fail::fail_point!("index::after-apply", |_| Err(EngineError::Write("failpoint".to_owned())));
        self.db.flush().map_err(failed)?;
        if self.fail_next_sync.swap(false, Ordering::SeqCst) {
            return Err(EngineError::Write("told to fail".to_owned()));
        }
        self.data.sync_data().map_err(|error| EngineError::Write(error.to_string()))
    }
}

/// Deletes what a kill during an earlier open left behind.
fn remove_unfinished_snapshots(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes the files themselves durable, and returns the one that every commit syncs.
fn sync_created(folder: &Path) -> std::io::Result<File> {
    let data = File::options().read(true).write(true).open(folder.join("db"))?;
    data.sync_all()?;
    File::open(folder.join("conf"))?.sync_all()?;
    File::open(folder)?.sync_all()?;
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(data)
}

impl Engine for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, EngineError> {
        self.check()?;
        let value = self.db.get(key).map_err(|error| EngineError::Read(error.to_string()))?;
        Ok(value.map(Value::Sled))
    }

    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
        self.check()?;
        if is_empty_range(from, to) {
            return Ok(());
        }
        for row in self.db.range::<&[u8], _>((from, to)) {
            let (key, value) = row.map_err(|error| EngineError::Read(error.to_string()))?;
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
        self.check()?;
        if is_empty_range(from, to) {
            return Ok(());
        }
        for row in self.db.range::<&[u8], _>((from, to)).rev() {
            let (key, value) = row.map_err(|error| EngineError::Read(error.to_string()))?;
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, batch: Batch) -> Result<(), EngineError> {
        self.check()?;
        let result = self.apply_and_sync(batch);
        if result.is_err() {
            self.poisoned.store(true, Ordering::Release);
        }
        if self.applied.fetch_add(1, Ordering::Relaxed) % MEASURE_EVERY == MEASURE_EVERY - 1 {
            self.measure();
        }
        result
    }

    fn is_resident(&self) -> bool {
        self.resident.load(Ordering::Relaxed)
    }

    fn stats(&self) -> EngineStats {
        EngineStats { disk_bytes: self.db.size_on_disk().unwrap_or(0), cache_bytes: self.cache_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHE: u64 = 8 * 1024 * 1024;

    #[test]
    fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        super::super::conformance::suite(&SledEngine::open(folder.path(), CACHE).unwrap());
    }

    #[test]
    fn reopens_with_what_was_applied_despite_a_leftover_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(folder.path(), CACHE).unwrap();
        let mut batch = Batch::default();
        batch.put(*b"key", *b"value");
        engine.apply(batch).unwrap();
        drop(engine);
        std::fs::write(folder.path().join("snap.0000000000000000.generating"), b"half").unwrap();
        // A process that another test is just starting holds the lock's file for a moment.
        let again = || std::thread::sleep(std::time::Duration::from_millis(50));
        let opened = (0..40).find_map(|_| SledEngine::open(folder.path(), CACHE).inspect_err(|_| again()).ok());
        let engine = opened.unwrap();
        assert_eq!(engine.get(b"key").unwrap().as_deref(), Some(&b"value"[..]));
    }

    #[test]
    fn a_failed_sync_poisons() {
        let folder = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(folder.path(), CACHE).unwrap();
        engine.fail_next_sync();
        super::super::conformance::poisoned(&engine);
    }
}
