//! Reports: the ledger's entries of a period, gone through in pages, and how things stand at their end.

use std::collections::BTreeMap;

use super::{
    gateway::{AppGateway, internal},
    ledger,
};
use crate::admin::{Gateway, GatewayError, ReportView};
use crate::audit::{entry::sequence, period::Period};
use crate::index::{EntriesQuery, Index};
use crate::types::Timestamp;

/// Entries in memory at a time.
const PAGE: usize = 1000;

pub(super) async fn make(gateway: &AppGateway, since: Timestamp, until: Timestamp) -> Result<ReportView, GatewayError> {
    let index = &gateway.objects.index;
    let head = gateway.ledger_head()?;
    let period = period(index, since, until, head.size).await?;
    let mut standing: BTreeMap<&'static str, u64> = BTreeMap::new();
    for finding in gateway.findings().await? {
        *standing.entry(finding.class.as_str()).or_default() += 1;
    }
    Ok(ReportView {
        since: since.to_rfc3339(),
        until: until.to_rfc3339(),
        made: gateway.objects.clock.now().to_rfc3339(),
        revision: gateway.policies().revision,
        population: gateway.summary().await?,
        standing,
        period,
        ledger: head,
        checkpoints: ledger::checkpoints_between(index, since, until).await?,
    })
}

/// What the first `size` entries tell of the period: which of them are of it is found as any search by time finds it.
async fn period(index: &Index, since: Timestamp, until: Timestamp, size: u64) -> Result<Period, GatewayError> {
    let mut period = Period::default();
    let mut query = EntriesQuery { since: Some(since), until: Some(until), limit: PAGE, ..EntriesQuery::default() };
    loop {
        let page = index.ledger_search(query.clone()).await?;
        for leaf in &page.leaves {
            let seq = sequence(leaf).ok_or_else(|| unreadable(query.from))?;
            if seq < size && !period.take(leaf) {
                return Err(unreadable(seq));
            }
        }
        match page.next.filter(|next| *next < size) {
            Some(next) => query.from = next,
            None => return Ok(period),
        }
        tokio::task::consume_budget().await;
    }
}

fn unreadable(seq: u64) -> GatewayError {
    internal(format!("ledger entry {seq} cannot be read"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::audit::{Actor, Event, Kind};
    use crate::clock::ManualClock;
    use crate::index::{Change, MemoryEngine, tests::index_keys};

    #[tokio::test]
    async fn a_clock_that_was_ahead_for_a_moment_ends_no_report() {
        let start = Timestamp::from_seconds(1_000_000);
        let clock = Arc::new(ManualClock::new(start));
        let index = Index::open(Arc::new(MemoryEngine::default()), index_keys(), Arc::clone(&clock) as _).unwrap();
        // The third entry is written half an hour later than it was, behind the period's end.
        for off in [0, 0, 1_800_000, 0, -1_800_000, 0] {
            clock.advance(off);
            index.commit(Change::Note, Event::new(Kind::Started, Actor::System)).await.unwrap();
            clock.advance(1000 - off);
        }
        let of = async |since, until, size| period(&index, since, until, size).await.unwrap();
        let whole = of(start, start.plus_millis(60_000), 6).await;
        assert_eq!((whole.entries, whole.first, whole.last), (4, Some(0), Some(5)));
        assert_eq!(of(start, start.plus_millis(60_000), 4).await.last, Some(3), "what came behind the head is not in it");
        assert_eq!(of(start.plus_millis(60_000), start.plus_millis(3_600_000), 6).await.first, Some(2));
    }
}
