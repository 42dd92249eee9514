//! What would have to move: every stored record decided anew, counted exactly, one page of the catalogue in memory at a time.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    index::{FoundRecord, IndexError, Stock, Tally},
    objects::{Objects, planned_move},
    policy::PolicySet,
    types::{BucketName, Country, InstrumentId, ObjectKey, PolicyRevision, VersionId},
};

/// Rows of the catalogue looked at in one step.
const PAGE: usize = 256;
/// Records that are listed as refused; the rest is counted only.
const MOST_LISTED: usize = 1000;

/// What would have to move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The policy set that it is planned for.
    pub revision: PolicyRevision,
    /// The records that were looked at.
    pub records: Tally,
    /// Those that would move.
    pub moving: Tally,
    /// Those that would move, by where from, where to and who asks.
    pub moves: Vec<Move>,
    /// Those for which the set leaves no place, or cannot tell: they would stay where they are.
    pub refused: Tally,
    /// The first of them.
    pub refusals: Vec<Refused>,
}

/// Records with the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// The countries with a copy now.
    pub from: Vec<Country>,
    /// The countries with a copy then.
    pub to: Vec<Country>,
    /// The instruments that ask for it; none where it is the gateway's own default.
    pub instruments: Vec<InstrumentId>,
    /// The day by which the first of them wants it done, `YYYY-MM-DD`.
    pub deadline: Option<String>,
    /// Whether that day has passed.
    pub overdue: bool,
    /// The records.
    pub records: Tally,
}

/// A record without a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key; left out for who may not see records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<ObjectKey>,
    /// Its version.
    pub version: VersionId,
    /// Why.
    pub reason: String,
}

/// Where from, where to, who asks.
type Way = (Vec<Country>, Vec<Country>, Vec<InstrumentId>);

/// Plans for `set`. Changes nothing, and nobody waits for it.
///
/// # Errors
/// Only those of the index.
pub async fn plan(objects: &Objects, set: &PolicySet, stock: Stock) -> Result<Plan, IndexError> {
    let mut ways: BTreeMap<Way, Tally> = BTreeMap::new();
    let (mut records, mut refused, mut refusals) = (Tally::default(), Tally::default(), Vec::new());
    let mut after = None;
    loop {
        let page = objects.index.stock(stock.clone(), after, PAGE).await?;
        for found in page.records {
            let size = found.record.summary.size;
            add(&mut records, size);
            let placement = &found.record.detail.placement;
            match objects.residency.plan(set, placement, &found.bucket, &found.key) {
                Ok(wanted) => {
                    if let Some(planned) = planned_move(&found.record, &wanted) {
                        let way = (planned.from.into_iter().collect(), planned.to.into_iter().collect(), wanted.instruments);
                        add(ways.entry(way).or_default(), size);
                    }
                }
                Err(refusal) => {
                    add(&mut refused, size);
                    if refusals.len() < MOST_LISTED {
                        refusals.push(Refused::new(found, refusal.to_string()));
                    }
                }
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
        tokio::task::consume_budget().await;
    }
    let mut moving = Tally::default();
    for tally in ways.values() {
        moving.objects = moving.objects.saturating_add(tally.objects);
        moving.bytes = moving.bytes.saturating_add(tally.bytes);
    }
    let today = objects.clock.now().to_datetime().date();
    let moves = ways.into_iter().map(|((from, to, instruments), records)| {
        let deadline = deadline(set, &instruments);
        let overdue = deadline.is_some_and(|day| day < today);
        Move { from, to, instruments, deadline: deadline.map(|day| day.to_string()), overdue, records }
    });
    Ok(Plan { revision: set.revision(), records, moving, moves: moves.collect(), refused, refusals })
}

/// The first backlog deadline of these instruments.
fn deadline(set: &PolicySet, instruments: &[InstrumentId]) -> Option<time::Date> {
    let asking = set.instruments().iter().filter(|instrument| instruments.contains(&instrument.id));
    asking.filter_map(|instrument| instrument.backlog_deadline).min()
}

fn add(tally: &mut Tally, size: u64) {
    tally.objects = tally.objects.saturating_add(1);
    tally.bytes = tally.bytes.saturating_add(size);
}

impl Plan {
    /// The same without the keys of records.
    #[must_use]
    pub fn without_keys(mut self) -> Self {
        for refused in &mut self.refusals {
            refused.key = None;
        }
        self
    }
}

#[cfg(test)]
impl Plan {
    pub(crate) fn for_test() -> Self {
        let none = Tally { objects: 0, bytes: 0 };
        let revision = PolicyRevision::from_bytes([7; 32]);
        let refused = Refused {
            bucket: BucketName::new("media").expect("a name"),
            key: ObjectKey::new("holiday.jpg").ok(),
            version: VersionId::new(crate::types::Ticket(7), [7; 8]),
            reason: "there is no place".to_owned(),
        };
        Self { revision, records: none, moving: none, moves: Vec::new(), refused: none, refusals: vec![refused] }
    }
}

impl Refused {
    fn new(found: FoundRecord, reason: String) -> Self {
        Self { bucket: found.bucket, key: Some(found.key), version: found.record.summary.version, reason }
    }
}
