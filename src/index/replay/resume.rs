//! How far a replay has come, kept beside its rows: one that is broken off goes on where it was.
//!
//! A piece of the journal is taken in one batch with the row that says so, and with the words that were said in it. So of a piece either
//! everything is here or nothing, and what is here can be gone on with as long as the journal still has every piece that was taken: a
//! compaction, which takes away the fact that a row is gone, removes pieces from the front.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Departed, Replay, Replayed, Went, derive::page};
use crate::index::{
    Engine, Exported, IndexError, IndexKeys,
    codec::{decode, encode},
    keys,
};

/// A word about a row, as bytes: the row's hash, the commit's number, whether the row is there.
const WORD: usize = 16 + 8 + 1;

/// What a replay that was broken off had done.
#[derive(Debug, Clone, Default)]
pub struct Earlier {
    /// What it was to do, as [`Replay::remember`] was told.
    pub order: Vec<u8>,
    /// The export that it had read.
    pub exported: Option<Exported>,
    /// The pieces of the journal that it had taken, and what their reader noted of each.
    pub pieces: BTreeMap<String, Vec<u8>>,
    /// What it had come to, when it was at its end.
    pub replayed: Option<Replayed>,
    /// Whether it had begun to derive: nothing can be added any more.
    pub closed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Begun {
    #[serde(with = "serde_bytes")]
    order: Vec<u8>,
    exported: Option<Exported>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Piece {
    name: String,
    #[serde(with = "serde_bytes")]
    note: Vec<u8>,
    highest: u64,
    #[serde(with = "serde_bytes")]
    words: Vec<u8>,
    #[serde(default)]
    went: Vec<([u8; 16], Went)>,
}

/// What follows the last piece.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Stage {
    /// The rest is being derived; so many entries of the ledger are lost.
    Deriving {
        /// [`Replayed::entries_lost`].
        entries_lost: u64,
        /// [`Replayed::departed`].
        #[serde(default)]
        departed: Departed,
    },
    /// All is there.
    Derived(Replayed),
}

impl Replay {
    /// Goes on in an engine in which a replay was broken off; `None` when nothing of one is there.
    ///
    /// # Errors
    /// Those of the engine, or a row that does not decode.
    pub fn resume(engine: Arc<dyn Engine>, keys: IndexKeys) -> Result<Option<(Self, Earlier)>, IndexError> {
        let mut replay = Self::begin(engine, keys)?;
        let Some(Begun { order, exported }) = replay.kept(keys::REBUILD_BEGUN)? else { return Ok(None) };
        let mut earlier = Earlier { order, exported: exported.clone(), ..Earlier::default() };
        replay.highest = exported.as_ref().map_or(0, |exported| exported.number);
        replay.base = exported;
        let (mut from, to) = (keys::rebuild_piece(""), [keys::kind::REBUILD, b'p' + 1]);
        loop {
            let rows = page(replay.engine.as_ref(), &from, &to)?;
            let Some((last, _)) = rows.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            for (row, value) in &rows {
                let piece: Piece = replay.sealing.open(row, value, |body| decode('R', body))?;
                replay.recall(&piece);
                piece.went.into_iter().for_each(|(row, went)| replay.take_went(row, went));
                earlier.pieces.insert(piece.name, piece.note);
            }
        }
        match replay.kept(keys::REBUILD_STAGE)? {
            Some(Stage::Deriving { entries_lost, departed }) => {
                earlier.closed = true;
                replay.entries_lost = entries_lost;
                replay.departed = departed;
            }
            Some(Stage::Derived(replayed)) => {
                earlier.closed = true;
                earlier.replayed = Some(replayed);
            }
            None => {}
        }
        Ok(Some((replay, earlier)))
    }

    /// Keeps what this replay is to do, and the export that it has read, so that it can be gone on with.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn remember(&mut self, order: &[u8]) -> Result<(), IndexError> {
        let begun = Begun { order: order.to_vec(), exported: self.base.clone() };
        self.put(keys::REBUILD_BEGUN.to_vec(), &encode(&begun)?)?;
        self.flush()
    }

    /// Ends a piece of the journal: makes what was taken since the last durable, and keeps that it was taken with a note of its reader.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn end_piece(&mut self, name: &str, note: Vec<u8>) -> Result<(), IndexError> {
        let mut words = Vec::with_capacity(self.said.len() * WORD);
        for (hash, number, there) in self.said.drain(..) {
            words.extend_from_slice(&hash);
            words.extend_from_slice(&number.to_be_bytes());
            words.push(u8::from(there));
        }
        let went = std::mem::take(&mut self.said_went);
        let piece = Piece { name: name.to_owned(), note, highest: self.highest, words, went };
        let row = keys::rebuild_piece(name);
        let value = self.sealing.seal(&row, &encode(&piece)?)?;
        self.batch.writes.push((row, Some(value)));
        self.flush()
    }

    /// Removes from a finished index what a replay kept of its own way.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn forget(engine: &dyn Engine) -> Result<(), IndexError> {
        loop {
            let rows = page(engine, &[keys::kind::REBUILD], &[keys::kind::REBUILD + 1])?;
            if rows.is_empty() {
                return Ok(());
            }
            let writes = rows.into_iter().map(|(row, _)| (row, None)).collect();
            engine.apply(super::Batch { writes })?;
        }
    }

    pub(super) fn keep_stage(&mut self, stage: &Stage) -> Result<(), IndexError> {
        self.put(keys::REBUILD_STAGE.to_vec(), &encode(stage)?)
    }

    fn kept<T: serde::de::DeserializeOwned>(&self, row: &[u8]) -> Result<Option<T>, IndexError> {
        let Some(value) = self.engine.get(row)? else { return Ok(None) };
        self.sealing.open(row, &value, |body| decode('R', body)).map(Some)
    }

    fn recall(&mut self, piece: &Piece) {
        self.highest = self.highest.max(piece.highest);
        for word in piece.words.chunks_exact(WORD) {
            let (Some(hash), Some(number), Some(there)) = (word.first_chunk::<16>(), word.get(16..24), word.last()) else {
                continue;
            };
            let word = (number.try_into().map_or(0, u64::from_be_bytes), *there == 1);
            let known = self.words.entry(*hash).or_insert(word);
            *known = (*known).max(word);
        }
    }
}
