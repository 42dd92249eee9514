//! What the journal's writer asks of the index.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Chains, Due, Fact, Group, Taken,
    chain::{Entry, Held, Told},
};
use crate::{
    index::{
        CommitError, Committed, Index, IndexError,
        catalogue::Inner,
        codec::decode,
        keys::{self, kind},
    },
    types::{Country, SiteId},
};

/// How long a change that must not be undone by a rebuild waits for the journal.
const WAIT: Duration = Duration::from_secs(10);

/// How far the journal at the sites has been held against the index. A piece is named as it lies at its site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The last piece at each site that was found to agree.
    pub agreed: BTreeMap<SiteId, String>,
    /// The last piece at each site that went into the index when it was rebuilt. The index is made of all up to there, so none of them can
    /// be younger; but where two histories met, not every entry that they hold could stay.
    pub rebuilt: BTreeMap<SiteId, String>,
    /// What the rebuild had to do without, when anybody may still find it.
    pub gap: Option<String>,
}

/// A row in the outbox. Outboxes from before a row could leave a country are pairs, and read as well.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::index) struct Outgoing<'a> {
    /// Its key.
    #[serde(rename = "r")]
    row: Cow<'a, serde_bytes::Bytes>,
    /// As [`Told::to`].
    #[serde(rename = "t")]
    to: Cow<'a, BTreeSet<Country>>,
    /// As [`Told::left`].
    #[serde(rename = "l", default, skip_serializing_if = "none_left")]
    left: Cow<'a, BTreeSet<Country>>,
}

fn none_left(left: &BTreeSet<Country>) -> bool {
    left.is_empty()
}

impl<'a> Outgoing<'a> {
    /// What the outbox keeps of what is told.
    pub(in crate::index) fn of(told: &'a Told) -> Self {
        let row = Cow::Borrowed(serde_bytes::Bytes::new(&told.row));
        Self { row, to: Cow::Borrowed(&told.to), left: Cow::Borrowed(&told.left) }
    }
}

impl Index {
    /// Turns the journal on: from now on commits are told to the chains of `countries`, what belongs to none of them to that of `home`.
    /// What an earlier process did not get to write is queued first.
    ///
    /// # Errors
    /// Those of reading the outbox.
    pub fn begin_journal(&self, home: Country, countries: &BTreeSet<Country>) -> Result<(), IndexError> {
        self.inner.journal.begin(home, countries);
        let Some(chains) = self.inner.journal.chains() else { return Ok(()) };
        let mut waiting: BTreeMap<Vec<u8>, (BTreeSet<Country>, BTreeSet<Country>)> = BTreeMap::new();
        let mut numbers = Vec::new();
        // In the order of their numbers: who is told of a row last is who may know it.
        self.inner.each(&[kind::OUTBOX], |row, body| {
            let number = row.get(1..).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
            numbers.push(number.ok_or(IndexError::Corrupt { kind: 'j' })?);
            for outgoing in decode::<Vec<Outgoing<'_>>>('j', body)? {
                let (to, left) = waiting.entry(outgoing.row.to_vec()).or_default();
                left.append(to);
                left.extend(outgoing.left.iter());
                *to = outgoing.to.into_owned();
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if numbers.is_empty() {
            return Ok(());
        }
        // The rows are read as they are now, after the last of those commits: so they are told under a number of their own, which is higher
        // than those that a chain may hold already.
        let mut facts = Vec::with_capacity(waiting.len());
        for (row, (to, left)) in waiting {
            // There can be other chains than when the outbox was written: a site more, or one less.
            facts.push(match self.inner.belongs(&row, &chains)? {
                // Whom it was to be told: everybody, or who knows where a version is now.
                Belongs::Nowhere => {
                    let to: BTreeSet<Country> = left.union(&to).copied().collect();
                    Told::gone(row, &to & &chains.all)
                }
                belongs => {
                    let now = match belongs {
                        Belongs::In(countries) => countries,
                        _ => &to & &chains.all,
                    };
                    let left = &(&left | &to) & &chains.all;
                    Told { row, fact: None, left: &left - &now, to: now, elsewhere: None }
                }
            });
        }
        let number = self.ticket()?.0;
        self.inner.journal.push_after(numbers, Entry { number, facts, open: Arc::default() });
        Ok(())
    }

    /// The countries that have a chain; none while the journal is off.
    pub fn journal_countries(&self) -> BTreeSet<Country> {
        self.inner.journal.countries()
    }

    /// Waits until a chain has something to write.
    pub async fn journal_due(&self, country: Country, lag: Duration) {
        self.inner.journal.due(country, lag).await;
    }

    /// The next facts of a chain, in order. They come again until [`Index::journal_written`]. No groups: nothing waits.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn journal_next(&self, country: Country) -> Result<Taken, IndexError> {
        self.blocking(move |inner| {
            let (items, latest) = inner.journal.first(country);
            let open = items.last().map(|item| Arc::clone(&item.open)).unwrap_or_default();
            let groups = items.iter().map(|item| {
                let facts = item.facts.iter().filter_map(|held| inner.fact(held, country).transpose());
                Ok(Group { number: item.number, facts: facts.collect::<Result<_, IndexError>>()? })
            });
            Ok(Taken { groups: groups.collect::<Result<_, IndexError>>()?, open, latest })
        })
        .await
    }

    /// A chain holds these commits durably.
    pub fn journal_written(&self, country: Country, numbers: &[u64]) {
        self.inner.journal.written(country, numbers);
    }

    /// Waits until the journal holds a change that must not be undone by a rebuild.
    pub(in crate::index) async fn journalled(&self, committed: Committed) -> Result<Committed, CommitError> {
        match committed.journal {
            Some(number) if !self.inner.journal.wait(number, &committed.held_by, WAIT).await => Err(CommitError::NotJournalled),
            _ => Ok(committed),
        }
    }

    /// Waits until the journal holds a commit that everybody is told of; `false` when it does not in time.
    pub(in crate::index) async fn is_journalled(&self, number: u64) -> bool {
        self.inner.journal.wait(number, &BTreeSet::new(), WAIT).await
    }

    /// Waits until a site confirms a change that a rebuild must not undo, and that did not wait by itself.
    ///
    /// # Errors
    /// [`CommitError::NotJournalled`] when none does in time; the change stands.
    pub async fn confirmed(&self, committed: Committed) -> Result<Committed, CommitError> {
        self.journalled(committed).await
    }

    /// Whether every ledger entry that these facts tell of is the index's own. It is unless the index is older than the journal.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn has_entries_of(&self, groups: Vec<Group>) -> Result<bool, IndexError> {
        self.blocking(move |inner| {
            for fact in groups.iter().flat_map(|group| &group.facts) {
                let Some(body) = fact.body.as_ref().filter(|_| fact.row.first() == Some(&kind::LEDGER)) else { continue };
                if inner.engine.get(&fact.row)?.is_none_or(|own| own[..] != body[..]) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    /// Keeps how far the journal has been held against the index.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn keep_checked(&self, checked: &Checked) -> Result<(), IndexError> {
        self.keep(keys::CHECKED, checked).await.map(drop)
    }

    /// What [`Index::keep_checked`] kept last.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn checked(&self) -> Result<Checked, IndexError> {
        self.inner.row(keys::CHECKED).map(Option::unwrap_or_default)
    }

    /// How far a chain is behind.
    pub fn journal_lag(&self, country: Country) -> Due {
        self.inner.journal.lag(country)
    }
}

/// Which chains are to know a row as it is.
enum Belongs {
    /// It is not there any more.
    Nowhere,
    /// These.
    In(BTreeSet<Country>),
    /// Its text does not say it.
    Unsaid,
}

impl Inner {
    fn belongs(&self, row: &[u8], chains: &Chains) -> Result<Belongs, IndexError> {
        let Some(value) = self.engine.get(row)? else { return Ok(Belongs::Nowhere) };
        let countries = match row.first() {
            // The ledger's leaves are in the clear, and are told everywhere.
            Some(&kind::LEDGER) => Some(chains.all.clone()),
            _ => self.sealing.open(row, &value, |body| chains.stated(row, body))?,
        };
        Ok(countries.map_or(Belongs::Unsaid, Belongs::In))
    }

    /// What a chain is told. A row that was not kept is as it is now, which may be nothing that this country may know any more; one that is
    /// not there any more is told of by a later commit.
    fn fact(&self, held: &Held, country: Country) -> Result<Option<Arc<Fact>>, IndexError> {
        let row = match held {
            Held::Fact(fact) => return Ok(Some(Arc::clone(fact))),
            Held::Row(row) => row,
        };
        let Some(value) = self.engine.get(row)? else { return Ok(None) };
        // The ledger's leaves are in the clear.
        if row.first() == Some(&kind::LEDGER) {
            return Ok(Some(Arc::new(Fact::put(row, &value))));
        }
        let chains = self.journal.chains();
        self.sealing.open(row, &value, |body| {
            let stated = chains.as_ref().map(|chains| chains.stated(row, body)).transpose()?.flatten();
            Ok(Some(Arc::new(match stated {
                Some(countries) if !countries.contains(&country) => Fact::went(row, &countries),
                _ => Fact::put(row, body),
            })))
        })
    }
}
