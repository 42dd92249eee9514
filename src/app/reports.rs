//! Reports: the ledger's entries of a period, gone through in pages, and how things stand at their end.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    gateway::{AppGateway, internal},
    ledger,
};
use crate::admin::{Gateway, GatewayError, ReportView};
use crate::audit::period::Period;
use crate::index::Index;
use crate::types::Timestamp;

/// Entries in memory at a time.
const PAGE: usize = 1000;

pub(super) async fn make(gateway: &AppGateway, since: Timestamp, until: Timestamp) -> Result<ReportView, GatewayError> {
    let index = &gateway.objects.index;
    let head = gateway.ledger_head()?;
    let mut period = Period::default();
    let mut next = first_from(index, since, head.size).await?;
    'pages: while next < head.size {
        let leaves = index.ledger_entries(next, PAGE).await?;
        if leaves.is_empty() {
            break;
        }
        for leaf in leaves {
            if next == head.size || time_of(&leaf)? >= until {
                break 'pages;
            }
            if !period.take(&leaf) {
                return Err(unreadable(next));
            }
            next += 1;
        }
        tokio::task::consume_budget().await;
    }
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

/// The first entry that was written at `since` or later: entries are in the order of their times, as far as the clock was never put back.
async fn first_from(index: &Index, since: Timestamp, size: u64) -> Result<u64, GatewayError> {
    let (mut before, mut from) = (0, size);
    while before < from {
        let middle = before + (from - before) / 2;
        let leaf = index.ledger_entries(middle, 1).await?.into_iter().next().ok_or_else(|| unreadable(middle))?;
        if time_of(&leaf)? < since { before = middle + 1 } else { from = middle }
    }
    Ok(from)
}

fn time_of(leaf: &[u8]) -> Result<Timestamp, GatewayError> {
    #[derive(Deserialize)]
    struct Timed<'a> {
        time: &'a str,
    }
    let Timed { time } = serde_json::from_slice(leaf).map_err(internal)?;
    Timestamp::parse_rfc3339(time).ok_or_else(|| internal("a ledger entry without a time"))
}

fn unreadable(seq: u64) -> GatewayError {
    internal(format!("ledger entry {seq} cannot be read"))
}
