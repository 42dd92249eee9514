//! Building an index from what the journal says, alone or since an export: the facts first, then what derives from them.

mod derive;
mod resume;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Read,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

pub(super) use self::derive::{page, secondary_rows};
pub use self::resume::Earlier;
use super::{
    Engine, ExportError, Exported, ImportedIndex, IndexError, IndexKeys,
    engine::Batch,
    export,
    journal::{Audiences, Group},
    keys::kind,
    sealing::Sealing,
    session::start_session,
};
use crate::types::{Country, RecordId};

/// Rows written at a time.
const BATCH: usize = 300;
/// How far the numbers jump: further than a lost end of the journal can have used them.
const JUMP: u64 = 1 << 40;

/// The commit by which a row went from a country, and the countries that it went to.
type Went = (u64, BTreeSet<Country>);

/// Records that went from a country.
pub type Departed = BTreeMap<RecordId, (u64, BTreeSet<Country>)>;

/// An index that is being built in an empty engine.
pub struct Replay {
    engine: Arc<dyn Engine>,
    sealing: Sealing,
    keys: IndexKeys,
    /// Which commit said the last word about a row, and whether the row is there by it. The greater word counts.
    words: HashMap<[u8; 16], (u64, bool)>,
    /// Which commit took a row from a country last, and the countries that it went to.
    went: HashMap<[u8; 16], Went>,
    /// What was found to have gone, when the rows were swept.
    departed: Departed,
    /// The words since the last piece ended.
    said: Vec<([u8; 16], u64, bool)>,
    /// The same of [`Replay::went`].
    said_went: Vec<([u8; 16], Went)>,
    batch: Batch,
    highest: u64,
    /// The export that the facts are told on top of.
    base: Option<Exported>,
    imported: Option<ImportedIndex>,
    /// What an earlier try found to be lost, and has removed.
    entries_lost: u64,
}

/// What a replay came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// Versions with bytes.
    pub records: u64,
    /// Delete markers.
    pub markers: u64,
    /// Entries of the ledger.
    pub entries: u64,
    /// Entries that are missing, or there behind a missing one: the ledger ends before them.
    pub entries_lost: u64,
    /// Records whose part table is missing: they cannot be read.
    pub without_parts: u64,
    /// Records that are not there because they went from a country to others whose sites are, by the commit of this number.
    #[serde(default)]
    pub departed: Departed,
}

impl Replay {
    /// Begins in an empty engine.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn begin(engine: Arc<dyn Engine>, keys: IndexKeys) -> Result<Self, IndexError> {
        let (sealing, _) = start_session(engine.as_ref(), &keys.index_key)?;
        Ok(Self {
            engine,
            sealing,
            keys,
            words: HashMap::new(),
            went: HashMap::new(),
            departed: Departed::new(),
            said: Vec::new(),
            said_went: Vec::new(),
            batch: Batch::default(),
            highest: 0,
            base: None,
            imported: None,
            entries_lost: 0,
        })
    }

    /// Takes the rows of an export, before any fact: what commits up to its number did is in it and told nobody again. Shows the bytes of
    /// each line.
    ///
    /// # Errors
    /// Those of the file and the engine; nothing may be made of what was read then.
    pub fn load(
        &mut self,
        source: impl Read,
        installation: [u8; 16],
        mut seen: impl FnMut(u64),
    ) -> Result<Exported, ExportError> {
        let index_key = self.keys.index_key.clone();
        let exported = export::read(source, &index_key, installation, |row, body| {
            seen((row.len() + body.as_ref().map_or(0, Vec::len)) as u64);
            if !Audiences::is_journalled(&row) {
                return Err(IndexError::Corrupt { kind: row.first().copied().map_or('?', char::from) });
            }
            match body {
                Some(body) => self.put(row, &body),
                None => self.write(row, None),
            }
        })?;
        self.highest = self.highest.max(exported.number);
        self.base = Some(exported.clone());
        Ok(exported)
    }

    /// Leaves in the index that it lacks what only some sites know since its export.
    pub fn leave_behind(&mut self, imported: ImportedIndex) {
        self.imported = Some(imported);
    }

    /// Takes the facts of a commit. Order does not matter, nor does it when they come twice. They are written when the piece that they stand in
    /// ends ([`Replay::end_piece`]).
    ///
    /// # Errors
    /// Those of the engine, or that a fact is about no row that the journal tells of.
    pub fn take(&mut self, group: &Group) -> Result<(), IndexError> {
        self.highest = self.highest.max(group.number);
        if self.base.as_ref().is_some_and(|base| group.number <= base.number) {
            return Ok(());
        }
        for fact in &group.facts {
            let letter = fact.row.first().copied().map_or('?', char::from);
            let hash = fact.hash().ok_or(IndexError::Corrupt { kind: 'j' })?;
            if fact.body.is_some() && !Audiences::is_journalled(&fact.row) {
                return Err(IndexError::Corrupt { kind: letter });
            }
            if let Some(to) = &fact.went {
                let went = (group.number, to.clone());
                self.take_went(hash, went.clone());
                self.said_went.push((hash, went));
                continue;
            }
            let word = (group.number, fact.body.is_some());
            if self.words.get(&hash).is_some_and(|known| *known >= word) {
                continue;
            }
            self.words.insert(hash, word);
            self.said.push((hash, word.0, word.1));
            if let Some(body) = &fact.body {
                let value = self.value(&fact.row, body)?;
                self.batch.writes.push((fact.row.clone(), Some(value)));
            }
        }
        Ok(())
    }

    fn take_went(&mut self, row: [u8; 16], went: Went) {
        let known = self.went.entry(row).or_default();
        if went.0 > known.0 {
            *known = went;
        }
    }

    fn put(&mut self, row: Vec<u8>, body: &[u8]) -> Result<(), IndexError> {
        let value = self.value(&row, body)?;
        self.write(row, Some(value))
    }

    fn value(&self, row: &[u8], body: &[u8]) -> Result<Vec<u8>, IndexError> {
        match row.first() {
            Some(&kind::LEDGER) => Ok(body.to_vec()),
            _ => Ok(self.sealing.seal(row, body)?),
        }
    }

    fn write(&mut self, row: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), IndexError> {
        self.batch.writes.push((row, value));
        if self.batch.writes.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), IndexError> {
        Ok(self.engine.apply(std::mem::take(&mut self.batch))?)
    }
}
