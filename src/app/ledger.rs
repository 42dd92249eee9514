//! What the admin API shows of the ledger as a transparency log.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::admin::{
    CheckpointView, CheckpointsOfPeriod, CheckpointsView, FailingView, GatewayError, LedgerHeadView, SignerView, TimeStampView,
    VouchedView, VoucherView,
};
use crate::index::{Index, IndexError, KeptCheckpoint};
use crate::notary::{Failure, Standing, Voucher};
use crate::types::Timestamp;

/// Checkpoints in memory at a time.
const PAGE: usize = 100;
/// Checkpoints among which the last word of each voucher is looked for.
const MOST_LOOKED_AT: usize = 1000;
/// How far clocks may have been put back: checkpoints are in the order in which they were made, and a clock need not be.
const SLACK_MILLIS: i64 = 3_600_000;

/// The head and, over the same, the signed note.
pub(super) fn head(index: &Index) -> LedgerHeadView {
    let (head, signed) = index.signed_head();
    LedgerHeadView {
        size: head.size,
        root: hex::encode(head.root),
        time: head.time.to_rfc3339(),
        note: signed.to_string(),
        key: index.ledger_verifier().to_string(),
    }
}

/// The checkpoints that were kept, and how it stands with who vouches for them.
pub(super) async fn checkpoints(
    index: &Index,
    standing: &Standing,
    before: Option<u64>,
    limit: usize,
) -> Result<CheckpointsView, GatewayError> {
    let kept = index.kept_checkpoints(before, limit).await?;
    let checkpoints = kept.iter().map(|kept| Ok(view(kept)?)).collect::<Result<_, GatewayError>>()?;
    let (witnesses, authorities) = vouchers(index, standing).await?.into_iter().partition::<Vec<_>, _>(|(witness, _)| *witness);
    let views = |all: Vec<(bool, VoucherView)>| all.into_iter().map(|(_, view)| view).collect();
    Ok(CheckpointsView { checkpoints, witnesses: views(witnesses), authorities: views(authorities) })
}

/// The checkpoints that were kept in a period.
pub(super) async fn checkpoints_between(
    index: &Index,
    since: Timestamp,
    until: Timestamp,
) -> Result<CheckpointsOfPeriod, GatewayError> {
    let (mut all, mut before) = (CheckpointsOfPeriod::default(), None);
    loop {
        let kept = index.kept_checkpoints(before, PAGE).await?;
        for kept in &kept {
            // As far as a clock may have been put back, an earlier one may still be of the period.
            if kept.time < since.plus_millis(-SLACK_MILLIS) {
                return Ok(all);
            }
            if (since..until).contains(&kept.time) {
                all.take(view(kept)?);
            }
        }
        let Some(last) = kept.last().filter(|_| kept.len() == PAGE) else { return Ok(all) };
        before = Some(last.signed()?.checkpoint.size);
    }
}

/// Whether it is a witness, and how it stands with it, of each who is asked.
async fn vouchers(index: &Index, standing: &Standing) -> Result<Vec<(bool, VoucherView)>, GatewayError> {
    let asked: Vec<(&Voucher, Option<Failure>)> = standing.vouchers().collect();
    let mut last: Vec<Option<VouchedView>> = vec![None; asked.len()];
    let (mut newest, mut before, mut looked) = (None, None, 0);
    while last.iter().any(Option::is_none) && looked < MOST_LOOKED_AT {
        let kept = index.kept_checkpoints(before, PAGE).await?;
        for kept in &kept {
            let signed = kept.signed()?;
            let size = signed.checkpoint.size;
            newest.get_or_insert(size);
            before = Some(size);
            for (found, (voucher, _)) in last.iter_mut().zip(&asked).filter(|(found, _)| found.is_none()) {
                let vouched = voucher.vouched(&signed.note, kept);
                *found = vouched.map(|time| VouchedView { size, time: time.to_rfc3339() });
            }
        }
        looked += PAGE;
        if kept.len() < PAGE {
            break;
        }
    }
    let view = |((voucher, failing), last): ((&Voucher, Option<Failure>), Option<VouchedView>)| {
        let behind = newest.unwrap_or(0).saturating_sub(last.as_ref().map_or(0, |last| last.size));
        let failing = failing.map(|Failure { since, at, why, disputed }| {
            let (since, at) = (since.to_rfc3339(), at.to_rfc3339());
            FailingView { since, at, why, disputed }
        });
        let witness = matches!(voucher, Voucher::Witness(_));
        (witness, VoucherView { name: voucher.name().to_owned(), last, behind, failing })
    };
    Ok(asked.into_iter().zip(last).map(view).collect())
}

fn view(kept: &KeptCheckpoint) -> Result<CheckpointView, IndexError> {
    let signed = kept.signed()?;
    // What a witness sent was verified before it was kept.
    let cosigned = signed.note.signatures().iter().filter_map(|signature| Some((signature, signature.cosigned_at()?)));
    let stamp = |by: &String, time: Timestamp, answer: &[u8]| TimeStampView {
        by: by.clone(),
        time: time.to_rfc3339(),
        answer: STANDARD.encode(answer),
    };
    Ok(CheckpointView {
        size: signed.checkpoint.size,
        root: hex::encode(signed.checkpoint.root),
        time: kept.time.to_rfc3339(),
        note: kept.note.clone(),
        witnesses: cosigned.map(|(by, time)| SignerView { name: by.name.clone(), time: time.to_rfc3339() }).collect(),
        time_stamps: kept.stamps.iter().map(|kept| stamp(&kept.by, kept.time, &kept.answer)).collect(),
    })
}
