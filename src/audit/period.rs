//! What happened in a period, drawn from the ledger's entries alone: whoever has the entries comes to the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::Value;

/// Entries of one sort that are listed; the rest is counted.
pub const MOST_LISTED: usize = 1000;

/// What happened. Lists hold the first [`MOST_LISTED`] of their sort, counts hold all.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Period {
    /// How many entries there are.
    pub entries: u64,
    /// The number of the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// The number of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// Entries by kind.
    pub kinds: BTreeMap<String, u64>,
    /// What was stored.
    pub placements: Placements,
    /// Placements that lean on an exception of an instrument.
    pub exceptions: Listed<Excepted>,
    /// What was asked for and not done.
    pub refusals: Refusals,
    /// Records that came to live elsewhere.
    pub relocations: Relocations,
    /// Ends of verifications.
    pub scrubs: Listed<Scrub>,
    /// What verifications found anew, by class.
    pub found: BTreeMap<String, u64>,
    /// What is so no longer, by class.
    pub cleared: BTreeMap<String, u64>,
    /// What was put right, by class.
    pub repaired: BTreeMap<String, u64>,
    /// What happened to country keys.
    pub keys: Listed<KeyEvent>,
    /// Steps of policy sets.
    pub policies: Listed<PolicyEvent>,
    /// Alarms of sites, and their ends.
    pub sites: Listed<SiteEvent>,
    /// Questions to the admin API, by role.
    pub questions: BTreeMap<String, u64>,
}

/// The first of a sort, and how many there are.
#[derive(Debug, Clone, Serialize)]
pub struct Listed<T> {
    /// All of them.
    pub count: u64,
    /// The first.
    pub listed: Vec<T>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { count: 0, listed: Vec::new() }
    }
}

impl<T> Listed<T> {
    fn add(&mut self, one: impl FnOnce() -> T) {
        self.count += 1;
        if self.listed.len() < MOST_LISTED {
            self.listed.push(one());
        }
    }
}

/// Records and their plaintext bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Records.
    pub objects: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What was stored.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Placements {
    /// Altogether.
    pub total: Amount,
    /// By country; a record in two counts in both.
    pub countries: BTreeMap<String, Amount>,
    /// By instrument that bound.
    pub instruments: BTreeMap<String, Amount>,
    /// By how: `put-object`, `copy-object`, `complete-upload`, `import-object`.
    pub kinds: BTreeMap<String, Amount>,
}

/// Refusals.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Refusals {
    /// Altogether, with those that were counted and not written one by one.
    pub count: u64,
    /// By code.
    pub codes: BTreeMap<String, u64>,
    /// The first.
    pub listed: Vec<Refusal>,
}

/// A refusal.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    /// The entry.
    pub entry: u64,
    /// When.
    pub time: String,
    /// What was asked for.
    pub kind: String,
    /// Why not.
    pub code: String,
    /// How many like it were counted with it.
    pub suppressed: u64,
}

/// Relocations.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Relocations {
    /// Altogether.
    pub count: u64,
    /// By the countries where the records live now, joined by `+`.
    pub to: BTreeMap<String, u64>,
    /// By the sites that they have left.
    pub left: BTreeMap<String, u64>,
    /// Queued copies that became durable.
    pub copies_stored: u64,
}

/// A placement that leans on an exception.
#[derive(Debug, Clone, Serialize)]
pub struct Excepted {
    /// The entry.
    pub entry: u64,
    /// When.
    pub time: String,
    /// The record.
    pub record: Option<String>,
    /// The exceptions, as the entry has them.
    pub exceptions: Vec<Value>,
}

/// The end of a verification.
#[derive(Debug, Clone, Serialize)]
pub struct Scrub {
    /// The entry.
    pub entry: u64,
    /// When.
    pub time: String,
    /// What it came to, as the entry has it.
    pub scrubbed: Value,
}

/// Something that happened to a country's key.
#[derive(Debug, Clone, Serialize)]
pub struct KeyEvent {
    /// The entry.
    pub entry: u64,
    /// When.
    pub time: String,
    /// `key-rotating`, `key-rotated`, `key-destroyed` or `key-exported`.
    pub kind: String,
    /// The key; empty of `key-exported`.
    pub key: String,
    /// Its version.
    pub version: Option<u64>,
    /// The code, where it was refused or broken off.
    pub refused: Option<String>,
}

/// A step of a policy set.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyEvent {
    /// The entry.
    pub entry: u64,
    /// When.
    pub time: String,
    /// `policy-activated` and the kinds like it.
    pub kind: String,
    /// The set.
    pub revision: Option<String>,
    /// The code, where it was refused.
    pub refused: Option<String>,
}

/// An alarm of a site, or its end.
#[derive(Debug, Clone, Serialize)]
pub struct SiteEvent {
    /// The entry.
    pub entry: u64,
    /// When.
    pub time: String,
    /// `site-alarm` or `site-clear`.
    pub kind: String,
    /// The sites.
    pub sites: Vec<String>,
    /// The check.
    pub check: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Leaf {
    seq: u64,
    time: String,
    kind: String,
    request: Option<IgnoredAny>,
    #[serde(default)]
    actor: Value,
    record: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    countries: Vec<String>,
    #[serde(default)]
    sites: Vec<String>,
    #[serde(default)]
    instruments: Vec<String>,
    revision: Option<String>,
    #[serde(default)]
    outcome: Value,
    #[serde(default)]
    suppressed: u64,
    #[serde(default)]
    left: Vec<String>,
    finding: Option<String>,
    scrubbed: Option<Value>,
    check: Option<Value>,
    country_key: Option<Value>,
    #[serde(default)]
    exceptions: Vec<Value>,
}

impl Period {
    /// Takes the next entry. False when it cannot be read, which a ledger of ours never has.
    pub fn take(&mut self, leaf: &[u8]) -> bool {
        let Ok(leaf) = serde_json::from_slice::<Leaf>(leaf) else { return false };
        self.entries += 1;
        self.first.get_or_insert(leaf.seq);
        self.last = Some(leaf.seq);
        count(&mut self.kinds, &leaf.kind);
        let refused = leaf.outcome.pointer("/refused/code").and_then(Value::as_str).map(str::to_owned);
        match &refused {
            Some(code) => self.refuse(&leaf, code),
            None => self.happen(&leaf),
        }
        let (entry, time, kind) = (leaf.seq, leaf.time, leaf.kind);
        match kind.as_str() {
            // Of those that left it says when and how many, and names none.
            "key-rotating" | "key-rotated" | "key-destroyed" | "key-exported" => self.keys.add(|| {
                let named = leaf.country_key.unwrap_or_default();
                let key = named["key"].as_str().unwrap_or_default().to_owned();
                KeyEvent { entry, time, kind, key, version: named["version"].as_u64(), refused }
            }),
            word if word.starts_with("policy-") => {
                self.policies.add(|| PolicyEvent { entry, time, kind, revision: leaf.revision, refused });
            }
            "site-alarm" | "site-clear" => self.sites.add(|| {
                let check = leaf.check.as_ref().and_then(|check| check["name"].as_str()).map(str::to_owned);
                SiteEvent { entry, time, kind, sites: leaf.sites, check }
            }),
            _ => {}
        }
        true
    }

    fn refuse(&mut self, leaf: &Leaf, code: &str) {
        // An entry that only carries a count is of no request, and stands for no refusal of its own.
        let times = leaf.suppressed.saturating_add(u64::from(leaf.suppressed == 0 || leaf.request.is_some()));
        self.refusals.count += times;
        *self.refusals.codes.entry(code.to_owned()).or_default() += times;
        if self.refusals.listed.len() < MOST_LISTED {
            self.refusals.listed.push(Refusal {
                entry: leaf.seq,
                time: leaf.time.clone(),
                kind: leaf.kind.clone(),
                code: code.to_owned(),
                suppressed: leaf.suppressed,
            });
        }
    }

    fn happen(&mut self, leaf: &Leaf) {
        match leaf.kind.as_str() {
            "put-object" | "copy-object" | "complete-upload" | "import-object" => {
                let bytes = leaf.size.unwrap_or_default();
                self.placements.total.add(bytes);
                self.placements.kinds.entry(leaf.kind.clone()).or_default().add(bytes);
                for country in &leaf.countries {
                    self.placements.countries.entry(country.clone()).or_default().add(bytes);
                }
                for instrument in &leaf.instruments {
                    self.placements.instruments.entry(instrument.clone()).or_default().add(bytes);
                }
            }
            "relocated" => {
                self.relocations.count += 1;
                count(&mut self.relocations.to, &leaf.countries.join("+"));
                for site in &leaf.left {
                    count(&mut self.relocations.left, site);
                }
            }
            "copy-stored" => self.relocations.copies_stored += 1,
            "found" => count(&mut self.found, leaf.finding.as_deref().unwrap_or("unknown")),
            "cleared" => count(&mut self.cleared, leaf.finding.as_deref().unwrap_or("unknown")),
            "repaired" => count(&mut self.repaired, leaf.finding.as_deref().unwrap_or("unknown")),
            "scrubbed" => {
                let scrubbed = leaf.scrubbed.clone().unwrap_or_default();
                self.scrubs.add(|| Scrub { entry: leaf.seq, time: leaf.time.clone(), scrubbed });
            }
            "audit-query" => count(&mut self.questions, leaf.actor["token"]["role"].as_str().unwrap_or("unknown")),
            _ => {}
        }
        if !leaf.exceptions.is_empty() {
            let (record, exceptions) = (leaf.record.clone(), leaf.exceptions.clone());
            self.exceptions.add(|| Excepted { entry: leaf.seq, time: leaf.time.clone(), record, exceptions });
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, word: &str) {
    match counts.get_mut(word) {
        Some(count) => *count += 1,
        None => {
            counts.insert(word.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Actor, Event, Kind, LeantOn, Scrubbed, entry};
    use crate::types::Timestamp;

    fn leaf(seq: u64, event: &Event) -> Vec<u8> {
        entry::leaf(seq, Timestamp::from_seconds(0), event).unwrap()
    }

    #[test]
    fn what_happened_is_counted_as_the_ledger_has_it() {
        let (pk, sg) = ("PK".parse().unwrap(), "SG".parse().unwrap());
        let put = Event {
            size: Some(10),
            countries: vec![pk, sg],
            instruments: vec!["law".parse().unwrap()],
            ..system(Kind::PutObject)
        };
        let leant = LeantOn {
            instrument: "law".parse().unwrap(),
            basis: "contract",
            reference: "dossier".to_owned(),
            countries: vec![sg],
        };
        let excepted = Event { exceptions: vec![leant], ..put.clone() };
        let flood = Event { suppressed: 5, ..system(Kind::Refused).refused("AccessDenied") };
        let carrying = Event { request: Some("0123456789abcdef".parse().unwrap()), ..flood.clone() };
        let moved = Event { countries: vec![pk], left: vec!["sg-sin".parse().unwrap()], ..system(Kind::Relocated) };
        let events = [
            put.clone(),
            excepted,
            Event { size: Some(7), ..put }.refused("ResidencyConflict"),
            flood,
            carrying,
            moved,
            Event { finding: Some("tampered"), ..system(Kind::Found) },
            Event { scrubbed: Some(Box::new(Scrubbed { records: 3, ..Scrubbed::default() })), ..system(Kind::Scrubbed) },
            Event::new(Kind::AuditQuery, Actor::Token { role: "auditor", id: "auditor-1".parse().unwrap() }),
            system(Kind::PolicyActivated),
            system(Kind::KeyExported),
        ];
        let mut period = Period::default();
        for (seq, event) in (4..).zip(&events) {
            assert!(period.take(&leaf(seq, event)));
        }
        assert!(!period.take(b"no entry"));
        assert_eq!((period.entries, period.first, period.last), (11, Some(4), Some(14)));
        assert_eq!(period.placements.total, Amount { objects: 2, bytes: 20 });
        assert_eq!(period.placements.countries["SG"], Amount { objects: 2, bytes: 20 });
        assert_eq!((period.exceptions.count, period.exceptions.listed[0].entry), (1, 5));
        assert_eq!((period.refusals.count, period.refusals.codes["AccessDenied"]), (12, 11));
        assert_eq!((period.relocations.to["PK"], period.relocations.left["sg-sin"]), (1, 1));
        assert_eq!((period.found["tampered"], period.questions["auditor"]), (1, 1));
        assert_eq!(period.scrubs.listed[0].scrubbed["records"], 3);
        assert_eq!(period.policies.listed[0].kind, "policy-activated");
        assert_eq!(period.keys.listed[0].kind, "key-exported", "keys that left the installation");
    }

    fn system(kind: Kind) -> Event {
        Event::new(kind, Actor::System)
    }
}
