//! How far a scrub has come and what it found.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{
    index::{Finding, Tally},
    types::SiteId,
};

/// Findings, and reasons why something could not be looked at, that are listed at the most; the rest is counted.
const MOST_LISTED: usize = 1000;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The blobs of the records.
    #[default]
    Records,
    /// Those of open uploads.
    Uploads,
    /// The blobs of subject keys.
    Keys,
    /// What no row names.
    Strays,
    /// The pieces of the journal.
    Journal,
}

/// What has been done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Progress {
    /// What is looked at now.
    pub phase: Phase,
    /// Records that have been looked at, each with all its copies.
    pub records: Tally,
    /// Blobs that have been.
    pub blobs: u64,
    /// Names at the sites that have been held against the index.
    pub names: u64,
    /// What was found and not put right, by class.
    pub findings: BTreeMap<&'static str, u64>,
    /// The first of it.
    pub listed: Vec<Finding>,
    /// What was put right.
    pub repaired: u64,
    /// What could not be looked at.
    pub unchecked: u64,
    /// Why not: each reason once.
    pub reasons: BTreeSet<String>,
    /// Why strays are not told apart and nothing is removed, where that is so.
    pub behind: Option<String>,
}

/// Counts while a scrub goes on.
#[derive(Debug, Default)]
pub struct Counting(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    progress: Progress,
    /// What was not looked at whole: nothing can be said to be in order there.
    unchecked_sites: BTreeSet<SiteId>,
}

impl Counting {
    /// As of now.
    pub fn progress(&self) -> Progress {
        self.0.lock().progress.clone()
    }

    pub(super) fn phase(&self, phase: Phase) {
        self.0.lock().progress.phase = phase;
    }

    pub(super) fn record(&self, size: u64) {
        let records = &mut self.0.lock().progress.records;
        records.objects = records.objects.saturating_add(1);
        records.bytes = records.bytes.saturating_add(size);
    }

    pub(super) fn blobs(&self, count: u64) {
        let blobs = &mut self.0.lock().progress.blobs;
        *blobs = blobs.saturating_add(count);
    }

    pub(super) fn names(&self, count: u64) {
        let names = &mut self.0.lock().progress.names;
        *names = names.saturating_add(count);
    }

    pub(super) fn unchecked(&self, site: &SiteId, reason: &dyn std::fmt::Display) {
        let counts = &mut *self.0.lock();
        counts.unchecked_sites.insert(site.clone());
        counts.progress.unchecked = counts.progress.unchecked.saturating_add(1);
        if counts.progress.reasons.len() < MOST_LISTED {
            counts.progress.reasons.insert(format!("{site}: {reason}"));
        }
    }

    pub(super) fn is_checked(&self, site: &SiteId) -> bool {
        !self.0.lock().unchecked_sites.contains(site)
    }

    pub(super) fn behind(&self, why: String) {
        self.0.lock().progress.behind = Some(why);
    }

    pub(super) fn found(&self, finding: &Finding) {
        let progress = &mut self.0.lock().progress;
        *progress.findings.entry(finding.class.as_str()).or_default() += 1;
        if progress.listed.len() < MOST_LISTED {
            progress.listed.push(finding.clone());
        }
    }

    pub(super) fn repaired(&self, finding: &Finding) {
        let progress = &mut self.0.lock().progress;
        progress.repaired = progress.repaired.saturating_add(1);
        if let Some(count) = progress.findings.get_mut(finding.class.as_str()) {
            *count = count.saturating_sub(1);
        }
        progress.findings.retain(|_, count| *count > 0);
        progress.listed.retain(|listed| listed.id() != finding.id());
    }
}
