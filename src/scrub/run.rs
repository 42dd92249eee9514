//! One scrub, stage by stage. Every stage is short and can be done again, so one that is broken off goes on where it was.

use std::collections::{BTreeMap, HashMap, HashSet};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Counting, Order, Phase};
use crate::{
    audit::{Actor, Event, Kind, Scrubbed},
    index::{Finding, Place},
    objects::{Agreement, Depth, Gate, ObjectError, Objects, Reach},
    seal::BlobName,
    types::{KeyId, RecordId, Timestamp},
};

/// Findings that stand, read at a time. Those of records that are cleared as soon as they are looked at are so many at the most; the others at the end.
const STANDING: usize = 10_000;

/// How far a scrub has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The records behind that place.
    Records(Option<Place>),
    /// The open uploads.
    Uploads,
    /// The subject keys behind that one.
    Keys(Option<(KeyId, crate::kms::KeyOwner)>),
    /// The names at the sites behind that one.
    Strays(Option<BlobName>),
    /// The pieces of the journal.
    Journal,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Records(None)
    }
}

/// A scrub at work.
pub(super) struct Scrub<'a> {
    pub(super) objects: &'a Objects,
    pub(super) order: &'a Order,
    pub(super) counting: &'a Counting,
    pub(super) gate: Gate,
    began: Timestamp,
    /// What stood when it began, by record.
    pub(super) standing: HashMap<RecordId, Vec<Finding>>,
    /// The ids of what it has found.
    pub(super) seen: Mutex<HashSet<[u8; 32]>>,
    /// Whether the index is as young as the sites; `None` until somebody asks.
    agreement: tokio::sync::OnceCell<bool>,
}

/// Looks at everything of an order and records what it found. Whoever drops it leaves nothing half done.
///
/// # Errors
/// Only those of the index: what cannot be looked at is counted.
pub async fn run(objects: &Objects, order: &Order, counting: &Counting) -> Result<(), ObjectError> {
    let scrub = Scrub::begin(objects, order, counting).await?;
    let mut stage = Stage::default();
    while let Some(next) = scrub.step(stage).await? {
        stage = next;
    }
    scrub.end(true).await
}

impl<'a> Scrub<'a> {
    pub(super) async fn begin(objects: &'a Objects, order: &'a Order, counting: &'a Counting) -> Result<Self, ObjectError> {
        let mut standing: HashMap<RecordId, Vec<Finding>> = HashMap::new();
        for finding in objects.index.findings(None, STANDING).await? {
            if let Some(record) = finding.record {
                standing.entry(record).or_default().push(finding);
            }
        }
        let gate = Gate::new(order.pace);
        let began = objects.clock.now();
        Ok(Self {
            objects,
            order,
            counting,
            gate,
            began,
            standing,
            seen: Mutex::default(),
            agreement: tokio::sync::OnceCell::new(),
        })
    }

    /// Does one stage; answers with the next.
    pub(super) async fn step(&self, stage: Stage) -> Result<Option<Stage>, ObjectError> {
        Ok(match stage {
            Stage::Records(after) => {
                self.counting.phase(Phase::Records);
                Some(match self.records(after).await? {
                    Some(next) => Stage::Records(Some(next)),
                    None if self.order.is_whole() => Stage::Uploads,
                    None => return Ok(None),
                })
            }
            Stage::Uploads => {
                self.counting.phase(Phase::Uploads);
                self.uploads().await?;
                Some(Stage::Keys(None))
            }
            Stage::Keys(after) => {
                self.counting.phase(Phase::Keys);
                Some(match self.keys(after).await? {
                    Some(next) => Stage::Keys(Some(next)),
                    None => Stage::Strays(None),
                })
            }
            Stage::Strays(after) => {
                self.counting.phase(Phase::Strays);
                Some(match self.strays(after).await? {
                    Some(last) => Stage::Strays(Some(last)),
                    None => Stage::Journal,
                })
            }
            Stage::Journal => {
                self.counting.phase(Phase::Journal);
                self.journal().await?;
                None
            }
        })
    }

    /// Records the end. What stood and was not found again is cleared, when it is `certain` that it would have been found.
    pub(super) async fn end(&self, certain: bool) -> Result<(), ObjectError> {
        if certain && self.order.is_whole() {
            let mut after = None;
            loop {
                let page = self.objects.index.findings(after.take(), STANDING).await?;
                after = page.last().filter(|_| page.len() == STANDING).cloned();
                for finding in page {
                    let looked = self.counting.is_checked(&finding.site) && self.could_find(&finding);
                    if looked && !self.has_seen(&finding) {
                        self.clear(finding).await?;
                    }
                }
                if after.is_none() {
                    break;
                }
            }
            self.forget_attempts().await?;
        }
        let progress = self.counting.progress();
        let scrubbed = Scrubbed {
            deep: self.order.depth == Depth::Whole,
            partial: !self.order.is_whole(),
            sample: self.order.sample.map(|sample| (sample.seed, sample.one_in)),
            records: progress.records.objects,
            blobs: progress.blobs,
            findings: BTreeMap::clone(&progress.findings),
            repaired: progress.repaired,
            unchecked: progress.unchecked,
            // Of one that goes on after a stop nobody knows any more what it had looked at before.
            began: certain.then(|| self.began.to_rfc3339()),
        };
        let event = Event { scrubbed: Some(Box::new(scrubbed)), ..Event::new(Kind::Scrubbed, Actor::System) };
        self.objects.record(event).await
    }

    /// Whether a look at the blob would have shown it.
    pub(super) fn could_find(&self, finding: &Finding) -> bool {
        !finding.class.is_deep() || self.order.depth == Depth::Whole
    }

    /// Whether the index is as young as what lies at the sites: only then is a stray nobody's.
    pub(super) async fn index_is_young(&self) -> Result<bool, ObjectError> {
        let young = self.agreement.get_or_try_init(|| async {
            // Before anything is removed, nothing is taken as looked at before.
            let reach = if self.order.repair { Reach::All } else { Reach::New };
            Ok::<_, ObjectError>(match self.objects.agreement(reach).await? {
                Agreement::Agrees => true,
                Agreement::IsBehind { site, piece } => {
                    let why =
                        format!("the index is older than the journal at site `{site}` (`{piece}`): run `domicile index rebuild`");
                    tracing::error!(%site, %piece, "the index is older than the journal");
                    self.counting.behind(why);
                    false
                }
                Agreement::HasGap { gap } => {
                    self.counting.behind(format!(
                        "the index was rebuilt without {gap}: run `domicile index rebuild` again when it is found, or with `--accept-loss`"
                    ));
                    false
                }
                Agreement::Unknown { reason } => {
                    self.counting.behind(format!("the journal cannot be held against the index: {reason}"));
                    false
                }
            })
        });
        young.await.copied()
    }
}
