//! Telling the journal everything again: what a compaction keeps, and what an index that has no journal yet begins with.
//!
//! Rows are read by the committer between two commits, so what is told under a number is how the rows are at that number; what was told
//! before the walk began is then told again, or gone, and need not be kept.

use std::{collections::BTreeSet, ops::ControlFlow};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Audiences, Chains, of_copies};
use crate::{
    index::{
        Garbage, Index, IndexError, Layout, Upload, Version, Waste,
        catalogue::Inner,
        codec::{decode, decode_version, marker_countries},
        commit::Work,
        keys::{self, kind},
        replay::page,
    },
    types::Country,
};

/// How far the journal has been compacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Everything that is still so has been told again under numbers from this one on.
    pub from: u64,
    /// The bytes of the journal's pieces when that was done.
    pub bytes: u64,
    /// The country that was told then what belongs to no other.
    #[serde(default)]
    home: Option<Country>,
    /// All countries that were told that at some time.
    #[serde(default)]
    homes: BTreeSet<Country>,
    /// The countries that had a chain.
    #[serde(default)]
    countries: BTreeSet<Country>,
    /// Those of them that had none at some time since: they were not told what became of their rows.
    #[serde(default)]
    missed: BTreeSet<Country>,
}

impl Base {
    /// That everything has been told from this number on, in so many bytes.
    pub fn new(from: u64, bytes: u64) -> Self {
        Self { from, bytes, home: None, homes: BTreeSet::new(), countries: BTreeSet::new(), missed: BTreeSet::new() }
    }

    /// All countries that were told what belongs to no other.
    pub(in crate::index) const fn homes(&self) -> &BTreeSet<Country> {
        &self.homes
    }
}

/// How far a retelling has come: `None` at its end.
pub type Retold = Option<Vec<u8>>;

/// A row, as it is told again, and where it belongs when its text does not say so.
#[derive(Debug)]
pub(in crate::index) struct Again {
    pub(in crate::index) row: Vec<u8>,
    pub(in crate::index) body: Vec<u8>,
    pub(in crate::index) countries: Option<BTreeSet<Country>>,
}

impl Index {
    /// Tells the journal some of the rows from `after` on once more, as they are now, and how to go on.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn retell(&self, after: Vec<u8>) -> Result<Retold, IndexError> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Work::Retell { after, answer })?;
        answered.await.map_err(|_| IndexError::Stopped)?
    }

    /// Keeps, durably, that the journal has been compacted, with the chains that there are.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn keep_base(&self, base: Base) -> Result<(), IndexError> {
        let mut homes = self.base()?.map(|before| before.homes).unwrap_or_default();
        let (home, countries) = self.inner.journal.chains().map(|chains| (chains.home, chains.all)).unzip();
        homes.extend(home);
        self.keep(keys::JOURNAL, &Base { home, homes, countries: countries.unwrap_or_default(), ..base }).await.map(drop)
    }

    /// Whether the chains that there are were told everything: none has come, or come back, since, and what belongs to no country is told
    /// in the same one.
    pub fn is_told_since(&self, base: &Base) -> bool {
        let is_told = |chains: Chains| {
            base.home == Some(chains.home) && chains.all.is_subset(&base.countries) && chains.all.is_disjoint(&base.missed)
        };
        self.inner.journal.chains().is_none_or(is_told)
    }

    /// Keeps which countries have no chain any more. What becomes of their rows is told to nobody until they have.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn keep_who_is_away(&self) -> Result<(), IndexError> {
        let Some(base) = self.base()? else { return Ok(()) };
        let missed = &base.missed | &self.countries_away_since(&base);
        if missed == base.missed {
            return Ok(());
        }
        self.keep(keys::JOURNAL, &Base { missed, ..base }).await.map(drop)
    }

    /// Countries that had a chain and have none now.
    pub fn countries_away_since(&self, base: &Base) -> BTreeSet<Country> {
        base.countries.difference(&self.journal_countries()).copied().collect()
    }

    /// How far the journal has been compacted; `None` when it was never begun with what there was.
    ///
    /// # Errors
    /// Those of the index.
    pub fn base(&self) -> Result<Option<Base>, IndexError> {
        self.inner.row(keys::JOURNAL)
    }

    /// Whether a country's chain holds all that was committed up to `number`.
    pub fn journal_of_holds(&self, country: Country, number: u64) -> bool {
        self.inner.journal.of_holds(country, number)
    }

    /// Whether every chain holds all that was committed up to `number`.
    pub fn journal_holds(&self, number: u64) -> bool {
        self.inner.journal.holds(number)
    }
}

impl Inner {
    /// The next rows to tell again.
    pub(in crate::index) fn again(&self, after: &[u8]) -> Result<(Vec<Again>, Retold), IndexError> {
        let page = page(self.engine.as_ref(), after, &[0xFF])?;
        let next = page.last().map(|(row, _)| [row.as_slice(), &[0]].concat());
        let mut rows = Vec::new();
        for (row, value) in page {
            let letter = row.first().copied().unwrap_or_default();
            // These are told with what they belong to.
            if !Audiences::is_journalled(&row) || matches!(letter, kind::PART | kind::PART_TABLE) {
                continue;
            }
            let body = if letter == kind::LEDGER { value } else { self.sealing.open(&row, &value, |body| Ok(body.to_vec()))? };
            self.companions(letter, &row, &body, &mut rows)?;
            rows.push(Again { row, body, countries: None });
        }
        Ok((rows, next))
    }

    /// The parts and part tables that belong to a row, and where a delete marker belongs.
    fn companions(&self, letter: u8, row: &[u8], body: &[u8], rows: &mut Vec<Again>) -> Result<(), IndexError> {
        match letter {
            kind::RECORD | kind::HISTORY => match decode_version(body)? {
                Version::Record(record) => {
                    self.part_table_again(record.detail.layout, of_copies(&record.detail.copies), rows)?;
                }
                Version::Marker(_) if marker_countries(body)?.is_some() => {}
                Version::Marker(_) => {
                    let countries = self.beside(row)?;
                    rows.push(Again { row: row.to_vec(), body: body.to_vec(), countries: Some(countries) });
                }
            },
            kind::GARBAGE => {
                if let Waste::Record { copies, layout, .. } = decode::<Garbage>('g', body)?.what {
                    self.part_table_again(layout, of_copies(&copies), rows)?;
                }
            }
            kind::UPLOAD | kind::CLOSED_UPLOAD => {
                let upload: Upload = decode('u', body)?;
                let countries = of_copies(&upload.copies);
                self.each(&keys::parts(&upload.id), |row, body| {
                    rows.push(Again { row: row.to_vec(), body: body.to_vec(), countries: Some(countries.clone()) });
                    Ok(ControlFlow::Continue(()))
                })?;
            }
            _ => {}
        }
        Ok(())
    }

    fn part_table_again(&self, layout: Layout, countries: BTreeSet<Country>, rows: &mut Vec<Again>) -> Result<(), IndexError> {
        let Layout::Parts { table, .. } = layout else { return Ok(()) };
        let row = keys::part_table(&table);
        if let Some(body) = self.row_with(&row, |body| Ok(body.to_vec()))? {
            rows.push(Again { row, body, countries: Some(countries) });
        }
        Ok(())
    }

    /// The countries of the version that a marker of long ago was put upon.
    fn beside(&self, marker: &[u8]) -> Result<BTreeSet<Country>, IndexError> {
        let key = marker.get(..marker.len().saturating_sub(8)).unwrap_or_default();
        let mut countries = BTreeSet::new();
        self.each(key, |row, body| {
            if row > marker
                && let Version::Record(record) = decode_version(body)?
            {
                countries = of_copies(&record.detail.copies);
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(countries)
    }
}
