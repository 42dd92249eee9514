//! What can go wrong in the index.

use super::EngineError;
use crate::audit::note::NoteError;

/// The index failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IndexError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A row cannot be opened or read: it was changed, or the index key is another.
    #[error("a row of kind `{kind}` does not open: the index was changed, or its key is not the one that wrote it")]
    Corrupt {
        /// The letter of the row's kind.
        kind: char,
    },
    /// A row could not be written as MessagePack.
    #[error("a row cannot be encoded: {0}")]
    Encode(String),
    /// The cryptographic library refused.
    #[error("a row cannot be sealed")]
    Crypto,
    /// The ledger's head does not fit its key or its entries.
    #[error("the ledger's head does not hold: run `domicile ledger verify`")]
    LedgerHead,
    /// The ledger has a name that cannot be one.
    #[error("the ledger cannot be signed: {0}")]
    Log(#[from] NoteError),
    /// A cursor of a search is damaged, forged, or of another question.
    #[error("`cursor` is not one that this query was answered with: begin again without it")]
    Cursor,
    /// A format that this program does not know.
    #[error("the index has format {0}, which this version does not know: use a newer one")]
    Format(u32),
    /// One export at a time.
    #[error("another export of the index is under way")]
    Exporting,
    /// It was imported without all of its sites.
    #[error("the index lacks what some sites know: rebuild it, or import it with all of them")]
    Behind,
    /// The reader of an export lets it wait while the index changes.
    #[error("the export is taken too slowly for what is written meanwhile")]
    ExportTooSlow,
    /// The sites' journals do not go on from an export.
    #[error(
        "the ledger at the sites is not the continuation of the export's: since then another index was in use that did not have all of it"
    )]
    OtherLedger,
    /// The committer's thread could not be started.
    #[error("cannot start the committer: {0}")]
    Thread(String),
    /// The committer's thread met a defect of this program.
    #[error("the committer has ended by a panic")]
    Panicked,
    /// A commit failed earlier, or the index is shutting down.
    #[error("the index is stopped; restart the gateway")]
    Stopped,
}
