//! What the sites are told of the index, so that it can be built anew from them: every change of every row that cannot be derived.
//!
//! Each group commit has a number, and of each row that it wrote one fact: the row as it is now, or that it is gone. The facts of a row
//! go to the countries that may know it ([`audience`]), each of which has a chain of its own; that a row is gone goes everywhere, by a
//! hash that tells no key, but where a version only has another row now: who is not told of that one hears of neither. Of two facts about
//! a row the one with the higher number counts, and of two under one number the one that has it, whichever chain they are in; so chains can
//! be read in any order, and twice.
//!
//! A country that a row leaves is told, under the same number, where it went: a rebuild without the country that it came to does not bring
//! back what it was, and one that finds that that country's chain ends before takes it in from its blobs.
//!
//! A number stays in the outbox, a row of the same batch, until every chain of its facts is durable at a site. Writing the chains is the
//! business of `objects`, which has the keys; `recovery` reads them.

mod audience;
mod chain;
mod feed;
mod retell;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

pub(super) use self::{
    audience::{Audiences, Chains, of_copies},
    chain::{Entry, Journal, Told},
    feed::Outgoing,
    retell::Again,
};
pub use chain::{Due, Taken};
pub use feed::Checked;
pub use retell::{Base, Retold};

use crate::{
    digest,
    types::{Country, RecordId},
};

/// The version of the format of segments; a reader refuses a higher one.
pub const SEGMENT_VERSION: u16 = 2;

/// What a commit did to one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The row's key; only its hash ([`row_hash`]) when the row is gone.
    #[serde(with = "serde_bytes")]
    pub row: Vec<u8>,
    /// The row's plaintext; `None` when it is gone.
    pub body: Option<serde_bytes::ByteBuf>,
    /// When the row is gone from this chain's country alone: the countries whose chains are told, under the same number, what it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub went: Option<BTreeSet<Country>>,
}

impl Fact {
    /// That a row is there.
    pub(super) fn put(row: &[u8], body: &[u8]) -> Self {
        Self { row: row.to_vec(), body: Some(serde_bytes::ByteBuf::from(body)), went: None }
    }

    /// That a row is gone.
    pub(super) fn gone(row: &[u8]) -> Self {
        Self { row: row_hash(row).to_vec(), body: None, went: None }
    }

    /// That a row is not to be known here any more.
    pub(super) fn went(row: &[u8], to: &BTreeSet<Country>) -> Self {
        Self { went: Some(to.clone()), ..Self::gone(row) }
    }

    /// What tells the row apart from all others, there or gone.
    pub fn hash(&self) -> Option<[u8; 16]> {
        match self.body {
            Some(_) => Some(row_hash(&self.row)),
            None => self.row.as_slice().try_into().ok(),
        }
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        self.row.len() + self.body.as_ref().map_or(0, |body| body.len()) + 16
    }
}

/// Half of SHA-256 of a row's key.
pub fn row_hash(row: &[u8]) -> [u8; 16] {
    let hash = digest::sha256(row);
    std::array::from_fn(|at| hash[at])
}

/// The facts of one group commit that one chain is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The commit's number.
    pub number: u64,
    /// Its facts.
    pub facts: Vec<Arc<Fact>>,
}

/// A piece of one country's chain, as it lies sealed at a site of that country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Version of this format.
    pub version: u16,
    /// Whose chain.
    pub country: Country,
    /// The number that the chain reaches with it.
    pub number: u64,
    /// Whether the facts of `number` end here; the next piece goes on with them otherwise.
    pub complete: bool,
    /// The highest number of each chain when this was written: what a chain must reach to be whole.
    pub latest: BTreeMap<Country, u64>,
    /// The records that were being written when `number` was committed: their manifests can lie at a site under lower tickets without
    /// being known to the index yet.
    pub open: Vec<RecordId>,
    /// The facts, in the order of their numbers.
    pub groups: Vec<Group>,
}

impl Segment {
    /// The bytes to seal.
    ///
    /// # Errors
    /// Says what cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        rmp_serde::to_vec(self).map_err(|error| error.to_string())
    }

    /// Reads what [`Segment::encode`] wrote.
    ///
    /// # Errors
    /// Says what cannot be read, or that a newer gateway wrote it.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let segment: Self = rmp_serde::from_slice(bytes).map_err(|error| error.to_string())?;
        if segment.version > SEGMENT_VERSION {
            return Err(format!(
                "version {} of the journal's format is newer than this gateway's {SEGMENT_VERSION}",
                segment.version
            ));
        }
        Ok(segment)
    }
}
