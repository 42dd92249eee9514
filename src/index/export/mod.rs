//! The index as one file: every row that cannot be derived from others, as all of them were at one commit.
//!
//! An export reads while the gateway serves. It walks through the rows ([`walk`]) while the committer notes the keys of those that it writes
//! ([`tap`]), reads these again, and once few are left the committer reads the last of them itself, between two commits: that is the moment
//! that the file is of. In the file a later line about a row counts more than an earlier one, as a fact with a higher number does in the
//! journal, and what the journal says since then can be told on top of it ([`super::Replay`]).

mod file;
mod tap;
mod walk;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

#[cfg(any(test, feature = "test-util"))]
pub use self::file::read_sealed;
pub(super) use self::{file::read, tap::Tap, walk::Last};
pub use self::{
    file::{EXPORT_VERSION, ExportError},
    walk::Export,
};
use super::{Index, IndexError, keys};
use crate::{
    audit::{FromExport, LedgerHead},
    types::{Country, RecordId, SiteId, Timestamp},
};

/// What an export says of itself, at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Every commit with a lower number is in it, and none with a higher one.
    pub number: u64,
    /// When it was begun.
    pub began: Timestamp,
    /// When it was at its end.
    pub ended: Timestamp,
    /// Its lines: rows, and those that were written meanwhile once more.
    pub lines: u64,
    /// The ledger's head.
    pub ledger: LedgerHead,
    /// The countries whose journals were told of what it holds.
    pub chains: BTreeSet<Country>,
    /// The records that were being written, as in [`super::journal::Segment::open`].
    pub open: Vec<RecordId>,
}

/// What is known of an index that was read from an export while not all sites could be asked what came after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedIndex {
    /// [`Exported::number`].
    pub number: u64,
    /// How many ledger entries the export holds.
    pub entries: u64,
    /// When the export was made.
    pub exported: Timestamp,
    /// When it was read.
    pub imported: Timestamp,
    /// The sites that were not asked: what only they know has been missing since the export.
    pub without: Vec<SiteId>,
}

impl ImportedIndex {
    /// What the ledger says of it.
    pub fn entry(&self) -> FromExport {
        FromExport { number: self.number, ended: self.exported.to_rfc3339(), entries: self.entries }
    }
}

impl Index {
    /// Whether the index is behind its sites: it was read from an export, and some of them were left out. Nothing at the sites may be
    /// taken for unneeded then, journal and blobs alike, before a rebuild or a whole import has taken its place.
    ///
    /// # Errors
    /// Those of the index.
    pub fn imported(&self) -> Result<Option<ImportedIndex>, IndexError> {
        self.inner.row(keys::IMPORTED)
    }
}
