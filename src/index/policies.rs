//! How policy sets came into force: what was proposed, approved, rejected and taken back, and the files of every set.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Bound, ControlFlow},
    sync::Arc,
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
    audit::By,
    digest,
    types::{PolicyRevision, PrincipalId, Timestamp},
};

/// The texts of a set's files, by their paths in the policy folder.
pub type PolicyTexts = BTreeMap<String, String>;

/// The bytes that the files of a set may have together, paths included: they are one row, and one fact of the journal.
pub const MAX_POLICY_TEXTS: usize = 4 << 20;

/// One time that a set was proposed or came into force. A set that comes back has another entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyEntry {
    /// Its place in the history, from 1 on.
    pub number: u64,
    /// The set.
    pub revision: PolicyRevision,
    /// Where it stands.
    pub state: PolicyState,
    /// The set that was in force when it was proposed, and that it was held against.
    pub before: Option<PolicyRevision>,
    /// Who asked for it.
    pub asked: Said,
    /// Who approved or rejected it, where that was asked for.
    pub decided: Option<Said>,
    /// Since when it was in force.
    pub in_force: Option<Timestamp>,
    /// Since when it is not, or is proposed no more.
    pub ended: Option<Timestamp>,
    /// Whether an earlier set was asked back.
    pub rollback: bool,
    /// Whether it allows more than the one before, where that was looked at.
    pub allows_more: Option<bool>,
    /// The set of the folder that is not to come into force by a mere start.
    pub passed_over: Option<FolderSet>,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyState {
    /// Waits for somebody's approval.
    Proposed,
    /// Decides.
    InForce,
    /// Another came into force, or was proposed instead.
    Superseded,
    /// Never came into force: somebody said no.
    Rejected,
    /// Was in force until an earlier one was put back.
    RolledBack,
}

/// What somebody did about an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: By,
    /// Why, in their own words.
    pub comment: Option<String>,
}

/// The set that the policy folder holds: by what it means and by what it says, since a later version of the program may name what it means
/// otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderSet {
    /// What it means.
    pub revision: PolicyRevision,
    /// SHA-256 of its files.
    pub texts: [u8; 32],
}

impl FolderSet {
    /// The set of these files.
    pub fn of(revision: PolicyRevision, texts: &PolicyTexts) -> Self {
        let mut all = Vec::new();
        for text in texts.iter().flat_map(|(path, text)| [path, text]) {
            all.extend_from_slice(&(text.len() as u64).to_be_bytes());
            all.extend_from_slice(text.as_bytes());
        }
        Self { revision, texts: digest::sha256(&all) }
    }

    /// Whether it means or says the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.revision == other.revision || self.texts == other.texts
    }
}

/// The two entries that are not history yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyStanding {
    /// What decides. `None` in an index of before sets were kept, until the next start.
    pub in_force: Option<PolicyEntry>,
    /// What waits for approval.
    pub proposed: Option<PolicyEntry>,
    /// The number of the last entry.
    pub last: u64,
}

/// A set that is asked for.
#[derive(Debug, Clone)]
pub struct PolicyOrder {
    /// The set.
    pub revision: PolicyRevision,
    /// Its files.
    pub texts: PolicyTexts,
    /// Who asks.
    pub by: By,
    /// Why.
    pub comment: Option<String>,
    /// The set that it was held against: it must be in force still.
    pub held_against: Option<PolicyRevision>,
    /// Whether it allows more than that, where that was looked at.
    pub allows_more: Option<bool>,
    /// Whether an earlier set is asked back.
    pub rollback: bool,
    /// As [`PolicyEntry::passed_over`].
    pub passed_over: Option<FolderSet>,
}

/// A step of a set on its way into force.
#[derive(Debug, Clone)]
pub enum PolicyChange {
    /// Puts it in force.
    Activate(PolicyOrder),
    /// Keeps it until somebody approves it, in the place of what was proposed before.
    Propose(PolicyOrder),
    /// Puts what is proposed in force. With the other names of who approves: what was proposed under one of them is their own.
    Approve(PolicyRevision, By, BTreeSet<PrincipalId>, Option<String>),
    /// Drops what is proposed.
    Reject(PolicyRevision, By, Option<String>),
}

impl PolicyChange {
    /// Puts a set in force whose files are not kept.
    pub fn in_force(revision: PolicyRevision) -> Box<Self> {
        Box::new(Self::Activate(PolicyOrder {
            revision,
            texts: PolicyTexts::new(),
            by: By::System,
            comment: None,
            held_against: None,
            allows_more: None,
            rollback: false,
            passed_over: None,
        }))
    }
}

/// Why a step cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyConflict {
    /// It is not what is proposed.
    #[error("this set is not proposed")]
    NotProposed,
    /// Another set came into force meanwhile.
    #[error("another set is in force than the one that it was held against: propose it again")]
    OtherInForce,
    /// Who proposed it cannot approve it.
    #[error("somebody else than who proposed it has to approve it")]
    SamePerson,
    /// Too much to be kept.
    #[error("the files of the set have more than 4 MiB")]
    TooLarge,
}

impl PolicyConflict {
    /// A short code for the ledger.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotProposed => "not-proposed",
            Self::OtherInForce => "other-in-force",
            Self::SamePerson => "same-person",
            Self::TooLarge => "too-large",
        }
    }
}

impl Index {
    /// What is in force and what is proposed. From memory.
    pub fn policy_standing(&self) -> Arc<PolicyStanding> {
        Arc::clone(&self.inner.policies.lock())
    }

    /// The files of a set that was ever proposed or in force.
    ///
    /// # Errors
    /// Those of reading the row.
    pub fn policy_texts(&self, revision: PolicyRevision) -> Result<Option<PolicyTexts>, IndexError> {
        self.inner.row(&keys::policy_texts(&revision))
    }

    /// The kept sets whose names begin so in hex; two at the most.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn policies_named(&self, prefix: &str) -> Result<Vec<PolicyRevision>, IndexError> {
        let all = keys::policy_texts_prefix();
        let mut found = Vec::new();
        self.inner.walk(&all, None, |row, _| {
            let name = row.get(all.len()..).and_then(|name| <[u8; 32]>::try_from(name).ok());
            let name = PolicyRevision::from_bytes(name.ok_or(IndexError::Corrupt { kind: 'P' })?);
            if name.to_string().starts_with(prefix) {
                found.push(name);
            }
            Ok(if found.len() == 2 { Step::Stop } else { Step::Next })
        })?;
        Ok(found)
    }

    /// Up to `limit` entries of the history before `before`, the newest first.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn policy_history(&self, before: Option<u64>, limit: usize) -> Result<Vec<PolicyEntry>, IndexError> {
        self.blocking(move |inner| inner.policy_history(before, limit)).await
    }
}

impl Inner {
    fn policy_history(&self, before: Option<u64>, limit: usize) -> Result<Vec<PolicyEntry>, IndexError> {
        let (from, to) = (keys::policy_entry(0), keys::policy_entry(before.unwrap_or(u64::MAX)));
        let (mut found, mut failed) = (Vec::new(), None);
        self.engine.scan_back(Bound::Included(&from), Bound::Excluded(&to), &mut |row, value| {
            if found.len() == limit {
                return ControlFlow::Break(());
            }
            match self.sealing.open(row, value, |body| decode(char::from(kind::POLICIES), body)) {
                Ok(entry) => found.push(entry),
                Err(error) => failed = Some(error),
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failed.map_or(Ok(found), Err)
    }

    /// What is in force and what is proposed, from the history. After a rebuild the newest word counts: an entry that a lost end of the
    /// journal would have ended is not in force.
    pub(super) fn load_policies(&self, revision: Option<PolicyRevision>) -> Result<PolicyStanding, IndexError> {
        let mut standing = PolicyStanding::default();
        let mut before = None;
        loop {
            let page = self.policy_history(before, 100)?;
            let Some(last) = page.last() else { break };
            before = Some(last.number);
            for entry in page {
                standing.last = standing.last.max(entry.number);
                match entry.state {
                    PolicyState::InForce if standing.in_force.is_none() && Some(entry.revision) == revision => {
                        standing.in_force = Some(entry);
                    }
                    PolicyState::Proposed if standing.proposed.is_none() && entry.before == revision => {
                        standing.proposed = Some(entry);
                    }
                    _ => {}
                }
            }
            if standing.in_force.is_some() {
                break;
            }
        }
        Ok(standing)
    }
}
