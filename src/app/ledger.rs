//! What the admin API shows of the ledger as a transparency log.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::admin::{CheckpointView, GatewayError, LedgerHeadView, SignerView, TimeStampView};
use crate::index::{Index, IndexError, KeptCheckpoint};
use crate::types::Timestamp;

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

/// The checkpoints that were kept.
pub(super) async fn checkpoints(index: &Index, before: Option<u64>, limit: usize) -> Result<Vec<CheckpointView>, GatewayError> {
    let kept = index.kept_checkpoints(before, limit).await?;
    kept.iter().map(|kept| Ok(view(kept)?)).collect()
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
