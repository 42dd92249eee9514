//! What the directory holds of a subject: what was said of it and from when on each holds, and what holds now.
//!
//! What is said last counts from its date on, also where something else had been said of later days before. Only a change that was
//! still to come then stays to come. So what is said of now or of the past is always what holds now; what is said of a day to come waits in
//! the row, and every reader holds it against the clock: the row need not be written at that moment for it to count.

use std::{
    collections::BTreeSet,
    ops::{Bound, ControlFlow},
    sync::atomic::Ordering,
};

use serde::{Deserialize, Serialize};

use super::{
    Index, IndexError,
    catalogue::Inner,
    codec::decode,
    keys::{self, kind},
    list::Step,
};
use crate::{
    residency::{Directory, DirectoryEntry, DirectoryError},
    types::{Attributes, Country, Generation, PrincipalId, Pseudonym, SubjectId, Timestamp},
};

/// Changes to come that one entry takes.
const MOST_COMING: usize = 16;
/// Statements that an entry keeps besides those to come.
const MOST_PAST: usize = 64;
/// What either may weigh, in bytes.
const MOST_WEIGHT: usize = 16 << 10;

/// What somebody says of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Saying {
    /// What is known; `None`: nothing any more.
    pub attributes: Option<Attributes>,
    /// From when on it holds; `None`: from the moment of its commit.
    pub effective: Option<Timestamp>,
    /// Who says so.
    pub by: Option<PrincipalId>,
    /// Why.
    pub reason: Option<String>,
}

/// Something is said of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectChange {
    /// The subject.
    pub subject: SubjectId,
    /// Whether the directory keeps its id, sealed, or only the keyed hash of it.
    pub keep_id: bool,
    /// What is said.
    pub saying: Saying,
}

impl SubjectChange {
    /// Sets what is known from now on; `None` forgets it.
    pub fn now(subject: SubjectId, attributes: Option<Attributes>) -> Self {
        Self { subject, keep_id: true, saying: Saying { attributes, ..Saying::default() } }
    }
}

/// What was said of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// What is known; `None`: nothing any more.
    pub attributes: Option<Attributes>,
    /// From when on it holds.
    pub effective: Timestamp,
    /// When it was said.
    pub recorded: Timestamp,
    /// The generation of the entry that began with it: tells the order in which things were said.
    pub generation: Generation,
    /// Who said so; unknown of what was said before there was a history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PrincipalId>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Statement {
    fn weight(&self) -> usize {
        let attributes = self.attributes.iter().flatten().map(|(name, value)| name.len() + value.len());
        64 + attributes.sum::<usize>() + self.reason.as_ref().map_or(0, String::len)
    }
}

/// More is to come of a subject than its entry takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// What the subject directory holds. The row's key is a pseudonym; the id, where it is kept, is sealed in here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectRow {
    /// The subject; `None` once it is erased, and where the directory keeps no ids.
    #[serde(default)]
    pub id: Option<SubjectId>,
    /// What is known; empty once removed. The row stays, so that a generation never repeats.
    pub attributes: Attributes,
    /// Counts the changes: what is said, and what comes to hold.
    pub generation: Generation,
    /// When it changed last.
    pub updated: Timestamp,
    /// Whether nothing is known: not yet, or not any more.
    #[serde(default)]
    pub removed: bool,
    /// The generation that its last erasure began: what was decided under an earlier one does not commit any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Generation>,
    /// The countries whose journals have been told of the entry before.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub told: BTreeSet<Country>,
    /// What was to come when the row was written, the soonest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coming: Vec<Statement>,
    /// What else was said, in the order in which it was. None in a row of before there was a history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Statement>,
    /// The history is kept of what was said after this only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Timestamp>,
}

impl SubjectRow {
    /// Of a subject of whom nothing has been said.
    pub(super) fn unknown(generation: Generation) -> Self {
        Self {
            id: None,
            attributes: Attributes::new(),
            generation,
            updated: Timestamp::default(),
            removed: true,
            erased: None,
            told: BTreeSet::new(),
            coming: Vec::new(),
            past: Vec::new(),
            cut: None,
        }
    }

    /// Where the subject lives, as far as its entry says so.
    pub fn residence(&self) -> Option<Country> {
        self.attributes.get("residence").and_then(|value| value.parse().ok())
    }

    /// Whether there is anything that an erasure would forget.
    pub(super) fn says_anything(&self) -> bool {
        self.id.is_some() || !self.removed || !self.past.is_empty() || !self.coming.is_empty()
    }

    /// The countries whose journals have been told of the entry; the gateway's own comes in addition.
    pub(super) fn told_in(&self) -> impl Iterator<Item = Country> + '_ {
        self.told.iter().copied().chain(self.residence())
    }

    /// The row as of `now`: what was to come and whose time has come holds.
    pub(super) fn at(mut self, now: Timestamp) -> Self {
        let due = self.coming.partition_point(|next| next.effective <= now);
        if due == 0 {
            return self;
        }
        for next in self.coming.drain(..due) {
            self.attributes = next.attributes.clone().unwrap_or_default();
            self.removed = next.attributes.is_none();
            self.generation.0 = self.generation.0.saturating_add(1);
            self.updated = next.effective;
            self.past.push(next);
        }
        self.trim();
        self
    }

    /// Takes what is said at `now`, of a row as of then. `false` when that changes nothing, neither now nor for any other day.
    ///
    /// # Errors
    /// Too much is to come.
    pub(super) fn say(&mut self, saying: Saying, now: Timestamp) -> Result<bool, TooMany> {
        // A clock that was set back must not turn the order of what was said.
        let recorded = now.max(self.updated);
        let Saying { attributes, effective, by, reason } = saying;
        let generation = Generation(self.generation.0.saturating_add(1));
        let effective = effective.unwrap_or(recorded);
        let said = Statement { attributes, effective, recorded, generation, by, reason };
        if said.effective > recorded {
            // What is to come is kept also where it is what holds before: it stands when that is changed.
            let is_known = |next: &Statement| next.effective == said.effective && next.attributes == said.attributes;
            if self.coming.iter().any(is_known) {
                return Ok(false);
            }
        } else {
            let mut statements = self.statements();
            let before = values(&timeline(&statements));
            statements.push(said.clone());
            if values(&timeline(&statements)) == before {
                return Ok(false);
            }
        }
        if let Some(first) = self.legacy() {
            self.past.push(first);
        }
        if said.effective > recorded {
            if let Ok(at) = self.coming.binary_search_by_key(&said.effective, |next| next.effective) {
                self.past.push(self.coming.remove(at));
            }
            let at = self.coming.partition_point(|next| next.effective < said.effective);
            self.coming.insert(at, said);
            if self.coming.len() > MOST_COMING || self.coming.iter().map(Statement::weight).sum::<usize>() > MOST_WEIGHT {
                return Err(TooMany);
            }
        } else {
            self.attributes = said.attributes.clone().unwrap_or_default();
            self.removed = said.attributes.is_none();
            self.past.push(said);
        }
        self.generation = generation;
        self.updated = recorded;
        self.trim();
        Ok(true)
    }

    /// Everything that was said and is kept, in the order in which it was.
    pub fn statements(&self) -> Vec<Statement> {
        let mut all: Vec<Statement> = self.legacy().into_iter().chain(self.past.iter().chain(&self.coming).cloned()).collect();
        all.sort_by_key(|statement| statement.generation);
        all
    }

    /// What held at `at` by what had been said until `known`.
    pub fn held(&self, at: Timestamp, known: Timestamp) -> Option<Statement> {
        let mut statements = self.statements();
        statements.retain(|statement| statement.recorded <= known);
        timeline(&statements).into_iter().rfind(|statement| statement.effective <= at).cloned()
    }

    /// What a row of before there was a history says.
    fn legacy(&self) -> Option<Statement> {
        let is_old =
            self.past.is_empty() && self.coming.is_empty() && self.generation.0 > 0 && self.erased != Some(self.generation);
        is_old.then(|| Statement {
            attributes: (!self.removed).then(|| self.attributes.clone()),
            effective: self.updated,
            recorded: self.updated,
            generation: self.generation,
            by: None,
            reason: None,
        })
    }

    /// Keeps the history within its bounds. What holds now stays, whenever it was said.
    fn trim(&mut self) {
        self.past.sort_by_key(|statement| statement.generation);
        let mut weight: usize = self.past.iter().map(Statement::weight).sum();
        while self.past.len() > 1 && (self.past.len() > MOST_PAST || weight > MOST_WEIGHT) {
            let holds = self.held(self.updated, Timestamp::from_millis(i64::MAX)).map(|statement| statement.generation);
            let oldest = usize::from(self.past.first().map(|first| first.generation) == holds);
            let gone = self.past.remove(oldest);
            weight -= gone.weight();
            self.cut = self.cut.max(Some(gone.recorded));
        }
    }
}

/// What holds from when on, by all that was said, in its order.
fn timeline(statements: &[Statement]) -> Vec<&Statement> {
    let mut line: Vec<&Statement> = Vec::new();
    for said in statements {
        let is_to_come = |other: &Statement| other.effective > said.effective && other.effective > said.recorded;
        line.retain(|other| other.effective < said.effective || is_to_come(other));
        let at = line.partition_point(|other| other.effective < said.effective);
        line.insert(at, said);
    }
    line
}

/// The days on which what is known changes, and to what.
fn values(line: &[&Statement]) -> Vec<(Timestamp, Option<Attributes>)> {
    let mut values: Vec<(Timestamp, Option<Attributes>)> = Vec::new();
    for statement in line {
        if values.last().map_or(&None, |last| &last.1) != &statement.attributes {
            values.push((statement.effective, statement.attributes.clone()));
        }
    }
    values
}

/// A subject's row as decisions read it: without its history.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    attributes: Attributes,
    pub(super) generation: Generation,
    #[serde(default)]
    pub(super) erased: Option<Generation>,
    #[serde(default)]
    coming: Vec<Statement>,
}

impl Entry {
    /// As [`SubjectRow::at`].
    pub(super) fn at(mut self, now: Timestamp) -> Self {
        let due = self.coming.partition_point(|next| next.effective <= now);
        if let Some(last) = self.coming.drain(..due).next_back() {
            self.attributes = last.attributes.unwrap_or_default();
            self.generation.0 = self.generation.0.saturating_add(due as u64);
        }
        self
    }
}

impl From<Entry> for DirectoryEntry {
    fn from(entry: Entry) -> Self {
        Self { attributes: entry.attributes, generation: entry.generation }
    }
}

/// A subject whose entry has changed since its records were placed: they are to be held against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The subject.
    pub subject: Pseudonym,
    /// The entry's generation.
    pub generation: Generation,
    /// When it changed.
    pub since: Timestamp,
}

/// The row of [`Unsettled`]; its key names the subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnsettledRow {
    pub(super) generation: Generation,
    pub(super) since: Timestamp,
}

/// Changes of the directory whose time has come, at most so many at once.
pub type Due = Vec<Pseudonym>;

impl Index {
    /// What the directory holds of a subject: something that holds now, or is to come, or was.
    pub fn subject(&self, subject: &SubjectId) -> Result<Option<SubjectRow>, IndexError> {
        let row: Option<SubjectRow> = self.inner.row(&keys::subject(&self.inner.keys.pseudonyms.subject(subject)))?;
        Ok(row.map(|row| row.at(self.inner.clock.now())).filter(SubjectRow::says_anything))
    }

    /// Counts the changes of the subject directory since the start. What was read of a subject after one answer holds for as long as the
    /// answer is the same.
    pub fn directory_changes(&self) -> u64 {
        // Between the time of a change and the commit that says so, nobody may rely on what was read before.
        if self.inner.is_anything_due() {
            return self.inner.directory_changes.fetch_add(1, Ordering::AcqRel) + 1;
        }
        self.inner.directory_changes.load(Ordering::Acquire)
    }

    /// Whether it would change anything, now or on another day, if this were said of a subject.
    ///
    /// # Errors
    /// Those of reading the row.
    pub fn is_news(&self, subject: &SubjectId, saying: &Saying) -> Result<bool, IndexError> {
        let now = self.inner.clock.now();
        let row: Option<SubjectRow> = self.inner.row(&keys::subject(&self.inner.keys.pseudonyms.subject(subject)))?;
        let mut row = row.map_or_else(|| SubjectRow::unknown(Generation::default()), |row| row.at(now));
        Ok(row.say(saying.clone(), now) != Ok(false))
    }

    /// Subjects of whom something has come to hold by now without their rows saying so yet, at most `limit`; the longest first.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn due(&self, limit: usize) -> Result<Due, IndexError> {
        let now = self.inner.clock.now();
        if !self.inner.is_anything_due() {
            return Ok(Vec::new());
        }
        self.blocking(move |inner| {
            let mut found: Due = Vec::new();
            inner.walk(&[kind::APPOINTED], None, |row, _| {
                let (time, subject) = keys::appointment(row).ok_or(IndexError::Corrupt { kind: 'a' })?;
                if found.len() == limit || time > now {
                    return Ok(Step::Stop);
                }
                // Two changes of one subject take effect together.
                if !found.contains(&subject) {
                    found.push(subject);
                }
                Ok(Step::Next)
            })?;
            Ok(found)
        })
        .await
    }

    /// Subjects whose entries have changed since their records were placed, at most `limit`, from behind `after` on.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn unsettled(&self, after: Option<Pseudonym>, limit: usize) -> Result<Vec<Unsettled>, IndexError> {
        self.blocking(move |inner| {
            let start = after.map(|subject| [keys::unsettled(&subject).as_slice(), &[0]].concat());
            let mut found = Vec::new();
            inner.walk(&[kind::UNSETTLED], start, |row, sealed| {
                if found.len() == limit {
                    return Ok(Step::Stop);
                }
                let corrupt = || IndexError::Corrupt { kind: 'e' };
                let subject =
                    row.get(1..).and_then(|name| name.try_into().ok()).map(Pseudonym::from_bytes).ok_or_else(corrupt)?;
                let UnsettledRow { generation, since } = inner.sealing.open(row, sealed, |body| decode('e', body))?;
                found.push(Unsettled { subject, generation, since });
                Ok(Step::Next)
            })?;
            Ok(found)
        })
        .await
    }
}

impl Directory for Index {
    fn lookup(&self, subject: &SubjectId) -> Result<Option<DirectoryEntry>, DirectoryError> {
        let row = keys::subject(&self.inner.keys.pseudonyms.subject(subject));
        let row: Option<Entry> = self.inner.row(&row).map_err(|error| DirectoryError(Box::new(error)))?;
        Ok(row.map(|row| row.at(self.inner.clock.now()).into()))
    }
}

impl Inner {
    /// Whether a change of the directory has come to hold that its row does not say yet.
    pub(super) fn is_anything_due(&self) -> bool {
        self.clock.now().millis() >= self.next_due.load(Ordering::Acquire)
    }

    /// Looks when the next change of the directory comes to hold.
    pub(super) fn look_ahead(&self) -> Result<(), IndexError> {
        let mut next = i64::MAX;
        self.engine.scan(Bound::Included(&[kind::APPOINTED]), Bound::Excluded(&[kind::APPOINTED + 1]), &mut |row, _| {
            next = keys::appointment(row).map_or(i64::MIN, |(time, _)| time.millis());
            ControlFlow::Break(())
        })?;
        self.next_due.store(next, Ordering::Release);
        Ok(())
    }
}
