//! Subjects that moved: their records follow.
//!
//! The commit that changes what is known of a subject leaves a row that says so. It goes when a walk through the subject's records has found
//! each of them where it belongs; until then they are walked through again, with pauses that grow.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::run::{Counting, Order, run};
use crate::{
    audit::{Actor, Event, Kind},
    index::{Change, CommitError, IndexError, Stock, Unsettled},
    objects::Objects,
    telemetry::metric,
    types::Pseudonym,
};

/// Subjects looked at in one step.
const PAGE: usize = 1024;
/// The longest pause between two walks through the records of a subject.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// When subjects whose records could not all be moved have their next turn.
#[derive(Debug, Default)]
pub struct Waiting(HashMap<Pseudonym, (Instant, Duration)>);

impl Waiting {
    fn is_due(&self, subject: &Pseudonym) -> bool {
        self.0.get(subject).is_none_or(|(until, _)| *until <= Instant::now())
    }

    fn failed(&mut self, subject: &Pseudonym) {
        let before = self.0.get(subject).map_or(Duration::from_secs(1), |(_, pause)| *pause);
        let pause = before.saturating_mul(2).min(LONGEST_PAUSE);
        self.0.insert(*subject, (Instant::now() + pause, pause));
    }
}

/// Makes the metric appear before anybody moves.
pub fn register() {
    metrics::gauge!(metric::RELOCATION_QUEUE).set(0.0);
}

/// Moves the records of subjects that moved until the task is dropped. Meant to be spawned once.
pub async fn settle(objects: &Objects, pause: Duration) {
    let mut waiting = Waiting::default();
    loop {
        if let Err(error) = settle_round(objects, &mut waiting).await {
            tracing::warn!(%error, "moving the records of subjects that moved");
        }
        tokio::time::sleep(pause).await;
    }
}

/// Gives every subject that is due one turn; answers with how many are settled.
///
/// # Errors
/// Only those of the index.
pub async fn settle_round(objects: &Objects, waiting: &mut Waiting) -> Result<usize, IndexError> {
    let (mut settled, mut left, mut after) = (0, 0_u64, None);
    let mut still = HashMap::new();
    loop {
        let page = objects.index.unsettled(after.take(), PAGE).await?;
        for unsettled in &page {
            if waiting.is_due(&unsettled.subject) {
                if settle_one(objects, unsettled).await? {
                    settled += 1;
                    continue;
                }
                waiting.failed(&unsettled.subject);
            }
            left += 1;
            still.extend(waiting.0.remove_entry(&unsettled.subject));
        }
        after = page.last().filter(|_| page.len() == PAGE).map(|last| last.subject);
        if after.is_none() {
            break;
        }
    }
    waiting.0 = still;
    metrics::gauge!(metric::RELOCATION_QUEUE).set(left as f64);
    Ok(settled)
}

/// `true` when every record of the subject is where it belongs.
async fn settle_one(objects: &Objects, unsettled: &Unsettled) -> Result<bool, IndexError> {
    let stock = Stock { pseudonym: Some(unsettled.subject), ..Stock::default() };
    // Without retries: who cannot follow now keeps no other waiting, and has another turn.
    let order = Order { stock, ..Order::default() };
    loop {
        let counting = Counting::default();
        run(objects, &order, &counting).await?;
        let progress = counting.progress();
        if progress.failed > 0 {
            tracing::warn!(failed = progress.failed, "records of a subject that moved cannot follow yet");
            return Ok(false);
        }
        // Once more, until there is nothing to do: what came between may have hidden a record from the walk.
        if progress.moved.objects == 0 && progress.overtaken == 0 {
            break;
        }
    }
    let event = Event { subject: Some(unsettled.subject), ..Event::new(Kind::SubjectSettled, Actor::System) };
    let change = Change::Settled { subject: unsettled.subject, generation: unsettled.generation };
    match objects.index.commit(change, event).await {
        Ok(_) => Ok(true),
        Err(CommitError::Fatal(error)) => Err(error),
        Err(other) => {
            tracing::warn!(error = %other, "a subject is not settled");
            Ok(false)
        }
    }
}
