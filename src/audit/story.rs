//! The story of a key's records, told by the ledger alone: where each copy was put and under whose key, when it was durable, verified,
//! left and removed. It can be told of versions that are long gone, and as of any moment: from the entries up to then.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::types::{Country, RecordId, Timestamp, VersionId};

/// Something that an entry tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When.
    pub time: String,
    /// The entry's number.
    pub entry: u64,
    /// Its kind.
    pub kind: String,
}

/// A decision under which a record was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placing {
    /// The entry.
    #[serde(flatten)]
    pub at: Moment,
    /// The policy set.
    pub revision: Option<String>,
    /// The instruments that bound.
    pub instruments: Vec<String>,
    /// Those in shadow that matched.
    pub shadow: Vec<String>,
    /// On whose word, with the signals; unknown of entries from before they told.
    pub decided_by: Option<Value>,
    /// The exceptions that it leans on.
    pub exceptions: Vec<Value>,
}

/// Where a copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyStanding {
    /// Its bytes are still to follow.
    Pending,
    /// It is durable.
    Stored,
    /// The record is gone or lives elsewhere; its sealed bytes wait to be removed.
    Left,
    /// Nothing of it is there any more.
    Removed,
}

/// One copy of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopyStory {
    /// Its site.
    pub site: String,
    /// Its country.
    pub country: Option<String>,
    /// The country key that seals it; unknown of entries from before they told.
    pub key: Option<String>,
    /// The country of that key.
    pub key_country: Option<String>,
    /// `primary`, `required` or `queued`.
    pub role: Option<String>,
    /// How it stands.
    pub state: CopyStanding,
    /// When it was decided that it be there.
    pub placed: Moment,
    /// Since when it is durable.
    pub stored: Option<Moment>,
    /// When it was last found whole: by a verification of everything, or read back when it was moved there.
    pub verified: Option<Moment>,
    /// Since when the record is not there any more.
    pub left: Option<Moment>,
    /// When its bytes were removed from the site.
    pub removed: Option<Moment>,
}

/// One record: a version of the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionStory {
    /// The record.
    pub record: RecordId,
    /// Its version.
    pub version: Option<VersionId>,
    /// Its bytes.
    pub size: Option<u64>,
    /// `live` or `gone`.
    pub state: &'static str,
    /// When it was written.
    pub written: Moment,
    /// By whom, in the ledger's words.
    pub by: Value,
    /// The decisions under which it was placed, the latest last.
    pub placed: Vec<Placing>,
    /// Its copies, those of earlier places included, in the order in which they were placed.
    pub copies: Vec<CopyStory>,
    /// Since when it is no version of the key any more.
    pub gone: Option<Moment>,
}

/// A key's records in the order in which they were written.
#[derive(Debug, Clone, Default)]
pub struct Story {
    versions: Vec<VersionStory>,
    at: BTreeMap<RecordId, usize>,
    /// Where something is wrong, as far as is known.
    found: BTreeSet<(RecordId, String)>,
}

/// What is read of an entry; what it lacks tells nothing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    seq: u64,
    time: String,
    kind: String,
    #[serde(default)]
    actor: Value,
    record: Option<RecordId>,
    version: Option<VersionId>,
    size: Option<u64>,
    #[serde(default)]
    countries: Vec<Country>,
    #[serde(default)]
    sites: Vec<String>,
    #[serde(default)]
    instruments: Vec<String>,
    #[serde(default)]
    shadow: Vec<String>,
    revision: Option<String>,
    outcome: Value,
    #[serde(default)]
    left: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Value>,
    #[serde(default)]
    copies: Vec<Copy>,
    decided_by: Option<Value>,
    #[serde(default)]
    gone: Vec<RecordId>,
    #[serde(default)]
    collected: Vec<Collected>,
    scrubbed: Option<Scrubbed>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Copy {
    site: String,
    key: Option<String>,
    key_country: Option<String>,
    role: Option<String>,
    #[serde(default)]
    pending: bool,
}

#[derive(Debug, Deserialize)]
struct Collected {
    record: RecordId,
    sites: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Scrubbed {
    #[serde(default)]
    partial: bool,
    sample: Option<Value>,
    began: Option<String>,
    #[serde(default)]
    unchecked: u64,
}

impl Story {
    /// Takes the next entry, in the order of the ledger: those that name the key, those of what was collected of its records, and those of
    /// verifications of everything.
    pub fn tell(&mut self, leaf: &[u8]) {
        let Ok(entry) = serde_json::from_slice::<Entry>(leaf) else { return };
        if entry.outcome != "ok" {
            return;
        }
        match entry.kind.as_str() {
            "put-object" | "copy-object" | "import-object" | "complete-upload" => self.written(&entry),
            "copy-begun" | "copy-stored" => self.copied(&entry),
            "relocated" => self.moved(&entry),
            "collected" => self.collected(&entry),
            "scrubbed" => self.verified(&entry),
            "found" | "cleared" | "repaired" => {
                for place in entry.record.iter().flat_map(|record| entry.sites.iter().map(|site| (*record, site.clone()))) {
                    let _ = if entry.kind == "found" { self.found.insert(place) } else { self.found.remove(&place) };
                }
            }
            // Of entries from before they told what is gone.
            "delete-object" => {
                if let Some(record) = entry.record {
                    self.gone(record, &entry);
                }
            }
            _ => {}
        }
        for record in &entry.gone {
            self.gone(*record, &entry);
        }
    }

    /// The records, in the order in which they were written.
    pub fn versions(&self) -> &[VersionStory] {
        &self.versions
    }

    /// The records of which something was there at the last entry told: live ones, and gone ones whose bytes were not removed yet; of their
    /// copies those that were there, or were to come.
    #[must_use]
    pub fn standing(mut self) -> Vec<VersionStory> {
        for version in &mut self.versions {
            version.copies.retain(|copy| copy.state != CopyStanding::Removed);
            let gone = version.gone.is_some();
            version.copies.retain(|copy| !gone || copy.state != CopyStanding::Pending);
        }
        self.versions.retain(|version| version.gone.is_none() || !version.copies.is_empty());
        self.versions
    }

    fn version(&mut self, record: Option<RecordId>) -> Option<&mut VersionStory> {
        let at = *self.at.get(&record?)?;
        self.versions.get_mut(at)
    }

    fn written(&mut self, entry: &Entry) {
        let Some(record) = entry.record.filter(|record| !self.at.contains_key(record)) else { return };
        let moment = entry.moment();
        let copies = entry.copies().map(|(copy, country)| copy_story(copy, country, &moment)).collect();
        self.at.insert(record, self.versions.len());
        self.versions.push(VersionStory {
            record,
            version: entry.version,
            size: entry.size,
            state: "live",
            written: moment,
            by: entry.actor.clone(),
            placed: vec![entry.placing()],
            copies,
            gone: None,
        });
    }

    fn copied(&mut self, entry: &Entry) {
        let stored = entry.kind == "copy-stored";
        let Some(version) = self.version(entry.record) else { return };
        let moment = entry.moment();
        for (copy, country) in entry.copies() {
            let known = version.copies.iter_mut().rfind(|known| known.site == copy.site && known.left.is_none());
            match known {
                Some(known) if stored => {
                    known.stored = Some(moment.clone());
                    known.state = CopyStanding::Stored;
                }
                Some(_) => {}
                None => {
                    let copy = Copy { pending: !stored, ..copy };
                    version.copies.push(copy_story(copy, country, &moment));
                }
            }
        }
    }

    fn moved(&mut self, entry: &Entry) {
        let Some(version) = self.version(entry.record) else { return };
        let moment = entry.moment();
        version.placed.push(entry.placing());
        for (copy, country) in entry.copies() {
            let known = version.copies.iter_mut().rfind(|known| known.site == copy.site && known.left.is_none());
            // The same site again under another key is another copy, in the place of the one before.
            let same = |known: &CopyStory| copy.key.is_none() || known.key.is_none() || known.key == copy.key;
            match known {
                Some(known) if same(known) && (known.stored.is_some() || copy.pending) => {
                    known.role.clone_from(&copy.role);
                }
                known => {
                    if let Some(known) = known {
                        known.leave(&moment);
                    }
                    let mut new = copy_story(copy, country, &moment);
                    // A move reads back what it has written before it counts.
                    new.verified = new.stored.clone();
                    version.copies.push(new);
                }
            }
        }
        for copy in &mut version.copies {
            let leaves = entry.left.contains(&copy.site) || (copy.stored.is_none() && !entry.sites.contains(&copy.site));
            if leaves && copy.left.is_none() {
                copy.leave(&moment);
            }
        }
    }

    fn gone(&mut self, record: RecordId, entry: &Entry) {
        let moment = entry.moment();
        let Some(version) = self.version(Some(record)).filter(|version| version.gone.is_none()) else { return };
        for copy in version.copies.iter_mut().filter(|copy| copy.left.is_none()) {
            copy.leave(&moment);
        }
        version.state = "gone";
        version.gone = Some(moment);
    }

    fn collected(&mut self, entry: &Entry) {
        let moment = entry.moment();
        for collected in &entry.collected {
            let Some(version) = self.version(Some(collected.record)) else { continue };
            let left = version.copies.iter_mut().filter(|copy| copy.left.is_some() && copy.removed.is_none());
            for copy in left.filter(|copy| collected.sites.contains(&copy.site)) {
                copy.removed = Some(moment.clone());
                copy.state = CopyStanding::Removed;
            }
        }
    }

    /// A verification of everything found each copy whole that was there before it began, unless it says otherwise.
    fn verified(&mut self, entry: &Entry) {
        let Some(scrubbed) = entry.scrubbed.as_ref().filter(|scrubbed| !scrubbed.partial && scrubbed.sample.is_none()) else {
            return;
        };
        let Some(began) = scrubbed.began.as_deref().and_then(Timestamp::parse_rfc3339).filter(|_| scrubbed.unchecked == 0) else {
            return;
        };
        let moment = entry.moment();
        for version in &mut self.versions {
            for copy in version.copies.iter_mut().filter(|copy| copy.state == CopyStanding::Stored) {
                let before = copy.stored.as_ref().and_then(|stored| Timestamp::parse_rfc3339(&stored.time));
                let sound = !self.found.contains(&(version.record, copy.site.clone()));
                if sound && before.is_some_and(|stored| stored < began) {
                    copy.verified = Some(moment.clone());
                }
            }
        }
    }
}

impl CopyStory {
    fn leave(&mut self, moment: &Moment) {
        self.left = Some(moment.clone());
        self.state = CopyStanding::Left;
    }
}

impl Entry {
    fn moment(&self) -> Moment {
        Moment { time: self.time.clone(), entry: self.seq, kind: self.kind.clone() }
    }

    fn placing(&self) -> Placing {
        Placing {
            at: self.moment(),
            revision: self.revision.clone(),
            instruments: self.instruments.clone(),
            shadow: self.shadow.clone(),
            decided_by: self.decided_by.clone(),
            exceptions: self.exceptions.clone(),
        }
    }

    /// The copies with their countries. Entries from before they told keys have sites and countries alone.
    fn copies(&self) -> impl Iterator<Item = (Copy, Option<Country>)> + '_ {
        self.sites.iter().enumerate().map(|(at, site)| {
            let told = self.copies.iter().find(|copy| copy.site == *site).cloned();
            let copy =
                told.unwrap_or_else(|| Copy { site: site.clone(), key: None, key_country: None, role: None, pending: false });
            (copy, self.countries.get(at).copied())
        })
    }
}

fn copy_story(copy: Copy, country: Option<Country>, moment: &Moment) -> CopyStory {
    let country = country.map(|country| country.to_string());
    CopyStory {
        key_country: copy.key_country.or_else(|| country.clone().filter(|_| copy.key.is_some())),
        site: copy.site,
        country,
        key: copy.key,
        role: copy.role,
        state: if copy.pending { CopyStanding::Pending } else { CopyStanding::Stored },
        placed: moment.clone(),
        stored: (!copy.pending).then(|| moment.clone()),
        verified: None,
        left: None,
        removed: None,
    }
}
