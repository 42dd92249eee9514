//! How it stands with those who are to vouch: what came of the last try. What they have vouched for stands in the checkpoints that were kept.

use parking_lot::Mutex;

use super::WitnessSettings;
use crate::{
    audit::note::{Note, Verifier},
    index::KeptCheckpoint,
    types::Timestamp,
};

/// Whoever is asked to vouch for checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voucher {
    /// A witness, by its key.
    Witness(Verifier),
    /// A time-stamping authority, by its address.
    Authority(String),
}

/// A try that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Since when every try has failed.
    pub since: Timestamp,
    /// When it was tried last.
    pub at: Timestamp,
    /// Why that failed.
    pub why: String,
    /// Whether it says that the ledger is no continuation of what it has seen of it.
    pub disputed: bool,
}

/// What came of asking each of those whom the configuration names, in this run of the gateway.
#[derive(Debug, Default)]
pub struct Standing {
    asked: Vec<(Voucher, Mutex<Option<Failure>>)>,
}

impl Voucher {
    /// What it is called: a key's name, or an address.
    pub fn name(&self) -> &str {
        match self {
            Self::Witness(key) => key.name(),
            Self::Authority(url) => url,
        }
    }

    /// When it vouched for a checkpoint by its own clock, where it did.
    pub fn vouched(&self, note: &Note, kept: &KeptCheckpoint) -> Option<Timestamp> {
        match self {
            // What a witness sent was verified before it was kept.
            Self::Witness(key) => note.signatures().iter().find(|one| key.is_of(one))?.cosigned_at(),
            Self::Authority(url) => kept.stamps.iter().find(|stamp| stamp.by == *url).map(|stamp| stamp.time),
        }
    }
}

impl Standing {
    pub(super) fn of(witnesses: &[WitnessSettings], authority: Option<&String>) -> Self {
        let witnesses = witnesses.iter().map(|witness| Voucher::Witness(witness.key.clone()));
        let all = witnesses.chain(authority.cloned().map(Voucher::Authority));
        Self { asked: all.map(|voucher| (voucher, Mutex::default())).collect() }
    }

    /// Each of them, with what fails since its last success.
    pub fn vouchers(&self) -> impl Iterator<Item = (&Voucher, Option<Failure>)> {
        self.asked.iter().map(|(voucher, failure)| (voucher, failure.lock().clone()))
    }

    /// One of them has vouched.
    pub(super) fn succeeded(&self, of: &Voucher) {
        self.each(|voucher| voucher == of, |failure| *failure = None);
    }

    /// One of them did not.
    pub(super) fn failed(&self, of: &Voucher, at: Timestamp, why: &str, disputed: bool) {
        self.each(|voucher| voucher == of, |failure| note(failure, at, why, disputed));
    }

    /// None of them was asked.
    pub(super) fn held_up(&self, at: Timestamp, why: &str) {
        self.each(|_| true, |failure| note(failure, at, why, false));
    }

    fn each(&self, of: impl Fn(&Voucher) -> bool, change: impl Fn(&mut Option<Failure>)) {
        self.asked.iter().filter(|(voucher, _)| of(voucher)).for_each(|(_, failure)| change(&mut failure.lock()));
    }
}

fn note(failure: &mut Option<Failure>, at: Timestamp, why: &str, disputed: bool) {
    let since = failure.as_ref().map_or(at, |failure| failure.since);
    *failure = Some(Failure { since, at, why: why.to_owned(), disputed });
}
