//! What the API shows of the ledger as a transparency log: its head, the checkpoints that were kept, and who vouches for them.

use std::collections::BTreeMap;

use serde::Serialize;

/// The ledger's head: note it elsewhere, and a later truncation or edit shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerHeadView {
    /// How many entries there are.
    pub size: u64,
    /// Root of the Merkle tree (RFC 6962 section 2.1), in hex.
    pub root: String,
    /// When the last entry was written.
    pub time: String,
    /// Size and root as a signed note (C2SP tlog-checkpoint).
    pub note: String,
    /// The key that verifies the note.
    pub key: String,
}

/// A checkpoint that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckpointView {
    /// How many entries there were.
    pub size: u64,
    /// The root of their tree, in hex.
    pub root: String,
    /// When it was made.
    pub time: String,
    /// The signed note, with the witnesses' signatures.
    pub note: String,
    /// The witnesses that cosigned it, of those that the configuration names.
    pub witnesses: Vec<SignerView>,
    /// What time-stamping authorities said.
    pub time_stamps: Vec<TimeStampView>,
}

/// A witness and when it saw a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignerView {
    /// The name of its key.
    pub name: String,
    /// When it says that was.
    pub time: String,
}

/// The word of a time-stamping authority (RFC 3161).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeStampView {
    /// Where it was asked for.
    pub by: String,
    /// The time that it says.
    pub time: String,
    /// Its whole answer, DER in base64.
    pub answer: String,
}

/// Checkpoints that were kept, and how it stands with those who are to vouch for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CheckpointsView {
    /// The newest first.
    pub checkpoints: Vec<CheckpointView>,
    /// The witnesses that the configuration names.
    pub witnesses: Vec<VoucherView>,
    /// The time-stamping authorities that it names, by their addresses.
    pub authorities: Vec<VoucherView>,
}

/// Whoever is asked to vouch for checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VoucherView {
    /// The name of a witness's key, or the address of an authority.
    pub name: String,
    /// The newest checkpoint that it vouched for, among the last thousand.
    pub last: Option<VouchedView>,
    /// Entries of the newest checkpoint that it has not vouched for.
    pub behind: u64,
    /// What it has failed at since its last success, in this run of the gateway.
    pub failing: Option<FailingView>,
}

/// A checkpoint that somebody vouched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VouchedView {
    /// Its entries.
    pub size: u64,
    /// When, by the clock of who did.
    pub time: String,
}

/// Tries that failed, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailingView {
    /// When the first of them was.
    pub since: String,
    /// When the last of them was.
    pub at: String,
    /// Why the last of them failed.
    pub why: String,
    /// Whether it says that the ledger is no continuation of what it has seen of it: a fork, or an older ledger in its place.
    pub disputed: bool,
}

/// Checkpoints that were kept in a period.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CheckpointsOfPeriod {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Option<CheckpointView>,
    /// The last of them.
    pub last: Option<CheckpointView>,
    /// Those that some witness has cosigned.
    pub witnessed: u64,
    /// Those that some authority has stamped.
    pub stamped: u64,
    /// How many of them each witness has cosigned.
    pub witnesses: BTreeMap<String, u64>,
    /// How many of them each authority has stamped.
    pub authorities: BTreeMap<String, u64>,
}

impl CheckpointsOfPeriod {
    /// Takes the next one, going back in time.
    pub fn take(&mut self, checkpoint: CheckpointView) {
        self.count += 1;
        self.witnessed += u64::from(!checkpoint.witnesses.is_empty());
        self.stamped += u64::from(!checkpoint.time_stamps.is_empty());
        for witness in &checkpoint.witnesses {
            *self.witnesses.entry(witness.name.clone()).or_default() += 1;
        }
        for stamp in &checkpoint.time_stamps {
            *self.authorities.entry(stamp.by.clone()).or_default() += 1;
        }
        if self.last.is_none() {
            self.last = Some(checkpoint.clone());
        }
        self.first = Some(checkpoint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(size: u64, witnesses: &[&str], stamps: &[&str]) -> CheckpointView {
        let (text, time) = (String::new(), "2026-11-29T08:00:00.000Z".to_owned());
        let signer = |name: &&str| SignerView { name: (*name).to_owned(), time: time.clone() };
        let stamp = |by: &&str| TimeStampView { by: (*by).to_owned(), time: time.clone(), answer: text.clone() };
        CheckpointView {
            size,
            root: text.clone(),
            time: time.clone(),
            note: text.clone(),
            witnesses: witnesses.iter().map(signer).collect(),
            time_stamps: stamps.iter().map(stamp).collect(),
        }
    }

    #[test]
    fn checkpoints_of_a_period_are_counted_by_who_vouched() {
        let mut all = CheckpointsOfPeriod::default();
        for one in [checkpoint(9, &["a", "b"], &[]), checkpoint(7, &[], &["http://tsa"]), checkpoint(2, &["a"], &[])] {
            all.take(one);
        }
        assert_eq!((all.count, all.witnessed, all.stamped), (3, 2, 1));
        assert_eq!((all.first.unwrap().size, all.last.unwrap().size), (2, 9));
        assert_eq!((all.witnesses["a"], all.witnesses["b"], all.authorities["http://tsa"]), (2, 1, 1));
    }
}
