//! The catalogue: which records there are, where they live and why, committed with the ledger in one durable batch.
//!
//! One committer thread owns every write ([`Index::commit`]); readers never wait for it. Rows are sealed under the index key; their
//! ordering keys (bucket number, object key, site and instrument names) are in the clear, subjects only as pseudonyms.
//!
//! Failpoints, with the feature `failpoints`: `index::before-apply`, `index::after-apply` (before the flush; can `return` an error) and
//! `index::after-sync` (before the answers).

mod catalogue;
mod change;
mod checkpoints;
mod codec;
mod commit;
mod condition;
mod counters;
mod cursor;
mod directory;
pub mod engine;
mod entries;
mod erasures;
mod error;
mod expire;
mod export;
mod facets;
mod findings;
mod garbage;
mod guards;
pub mod journal;
mod keeping;
mod keys;
mod ledger;
mod list;
mod named;
mod names;
mod policies;
mod population;
mod refusal;
mod replay;
mod rows;
mod sealing;
mod search;
mod session;
#[cfg(test)]
pub(crate) mod tests;
mod tree;
mod uploads;
mod versions;
mod walk;

pub use catalogue::{Index, IndexKeys};
pub use change::{
    AddCopyChange, AdoptChange, Change, Committed, DeleteChange, PutChange, PutPartChange, RecordUpdate, RelocateChange, Seen,
    UpdateChange,
};
pub use checkpoints::{KeptCheckpoint, TimeStamp};
pub use condition::WriteCondition;
pub use counters::{Counter, Counters};
pub use directory::{Due, Saying, Statement, SubjectChange, SubjectRow, Unsettled};
pub use engine::{Engine, EngineError, EngineStats, MemoryEngine, SledEngine};
pub use entries::{EntriesPage, EntriesQuery};
pub use erasures::{Doomed, DoomedPage, EraseChange, EraseRecordChange, ErasedKey, Erasure, ErasureStep};
pub use error::IndexError;
pub use expire::{Beside, ExpireChange, Expires};
#[cfg(any(test, feature = "test-util"))]
pub use export::read_sealed as read_sealed_export;
pub use export::{EXPORT_VERSION, Export, ExportError, Exported, ImportedIndex};
pub use findings::{Class, Finding};
pub use garbage::{Blob, Garbage, GarbageKey, GarbageReason, StoredAt, Waste, moved_attempt};
pub use guards::{Busy, HoldWatch, IntentGuard, Pin, Reservation};
pub use keeping::{Keeper, Kept, Term};
pub use ledger::StoredLedger;
pub use list::{ListAfter, ListItem, ListPage, ListQuery};
pub use named::BlobNames;
pub use names::LedgerNames;
pub use policies::{
    FolderSet, MAX_POLICY_TEXTS, PolicyChange, PolicyConflict, PolicyEntry, PolicyOrder, PolicyStanding, PolicyState,
    PolicyTexts, Said,
};
pub use population::{Population, PopulationPage, Taken};
pub use refusal::{CommitError, Stale};
pub use replay::{Departed, Earlier, Replay, Replayed};
pub use rows::{
    Bucket, BucketId, CompletedUpload, CopyRow, CopyState, Detail, Imported, Intent, Layout, Part, PartEntry, Record, SiteRow,
    Summary, Tally, Upload, UploadState, Version,
};
pub use search::{FoundRecord, RecordsPage, RecordsQuery};
pub use uploads::{UploadsPage, UploadsQuery};
pub use versions::{VersionItem, VersionsPage, VersionsQuery};
pub use walk::{Place, Stock, StockPage};
