//! Residency proofs: what the gateway says of one version of a record, signed, with the ledger's entries that committed it.
//!
//! A proof is a signed note of two lines, [`CONTEXT`] and a [`Statement`] as JSON, carried in a JSON document of its own. The key is the
//! one of checkpoints. Neither can pass for the other: no ledger's name has spaces, as the first line of a proof does, and the second line
//! of a checkpoint is a number. `docs/proofs.md` describes the form for those who verify it with means of their own.

mod statement;
#[cfg(test)]
mod tests;
mod verify;
mod words;

use serde::{Deserialize, Serialize};

use super::note::{Note, NoteError, Signer, Verifier};

pub use statement::{
    BlobFault, Blobs, CheckedCopy, CopyState, CopyStatement, DecisionStatement, EntryStatement, ExceptionStatement,
    InstrumentStatement, LedgerStatement, Names, Outcome, RecordStatement, SiteVerdict, Statement,
};
pub use verify::{Held, ProofFault, Verified};
pub use words::LIMITS;

/// The first line of what is signed.
pub const CONTEXT: &str = "domicile residency proof v1";
/// What the document says that it is.
pub const FORMAT: &str = "domicile-residency-proof/1";
/// The bytes of a proof at the most.
pub const MOST_BYTES: usize = 1 << 20;

/// A proof, as its document carries it: nothing of it counts before [`Proof::verify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// [`FORMAT`].
    format: String,
    /// The signed note.
    note: String,
}

impl Proof {
    /// Signs a statement.
    ///
    /// # Errors
    /// [`NoteError::Form`] when it cannot be written as one line, or is too long.
    pub fn sign(statement: &Statement, signer: &Signer) -> Result<Self, NoteError> {
        let line = serde_json::to_string(statement).map_err(|_| NoteError::Form("the statement cannot be written"))?;
        let note = Note::sign(format!("{CONTEXT}\n{line}\n"), signer)?.to_string();
        if note.len() > MOST_BYTES {
            return Err(NoteError::Form("it is too long"));
        }
        Ok(Self { format: FORMAT.to_owned(), note })
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`ProofFault::Form`].
    pub fn parse(text: &str) -> Result<Self, ProofFault> {
        let proof: Self = serde_json::from_str(text).map_err(|error| ProofFault::Form(error.to_string()))?;
        if proof.format == FORMAT { Ok(proof) } else { Err(ProofFault::Form(format!("its format is not `{FORMAT}`"))) }
    }

    /// What it says, once the key's signature holds. That the ledger bears it out is not looked at.
    ///
    /// # Errors
    /// [`ProofFault::Form`] and [`ProofFault::Signature`].
    pub fn open(&self, key: &Verifier) -> Result<Statement, ProofFault> {
        let note: Note = self.note.parse().map_err(ProofFault::Signature)?;
        // One signature, so that every byte of the document counts.
        if note.signatures().len() != 1 {
            return Err(ProofFault::Form("it has more than one signature".to_owned()));
        }
        note.verify([key]).map_err(ProofFault::Signature)?;
        let lines: Vec<&str> = note.text().split_terminator('\n').collect();
        let [CONTEXT, line] = lines.as_slice() else {
            return Err(ProofFault::Form(format!("what is signed is not `{CONTEXT}` and one line")));
        };
        let statement: Statement = serde_json::from_str(line).map_err(|error| ProofFault::Form(error.to_string()))?;
        if statement.v != statement::VERSION {
            return Err(ProofFault::Form(format!("version {} of the statement is not known", statement.v)));
        }
        Ok(statement)
    }
}
