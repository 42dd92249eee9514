//! Checkpoints that were kept, with what witnesses and time-stamping authorities said of them. The journal is told of them: they are evidence,
//! and nothing else has it.

use std::ops::{Bound, ControlFlow};

use serde::{Deserialize, Serialize};

use super::{
    Index, IndexError,
    codec::decode,
    keys::{self, kind},
};
use crate::{audit::SignedCheckpoint, types::Timestamp};

/// A checkpoint that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCheckpoint {
    /// When.
    pub time: Timestamp,
    /// The note: the gateway's signature and those of witnesses.
    pub note: String,
    /// What authorities say of when it was there (RFC 3161).
    pub stamps: Vec<TimeStamp>,
}

/// A time-stamping authority's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeStamp {
    /// Where it was asked for.
    pub by: String,
    /// The time that it says.
    pub time: Timestamp,
    /// Its whole answer (`TimeStampResp`, DER).
    #[serde(with = "serde_bytes")]
    pub answer: Vec<u8>,
}

impl KeptCheckpoint {
    /// The note, read.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`].
    pub fn signed(&self) -> Result<SignedCheckpoint, IndexError> {
        self.note.parse().map_err(|_| IndexError::Corrupt { kind: 'C' })
    }
}

impl Index {
    /// Keeps a checkpoint, in the place of one of its size. Whether a site confirms it and everything before it: then a rebuild of the
    /// index cannot come to another history.
    ///
    /// # Errors
    /// As [`Index::commit`].
    pub async fn keep_checkpoint(&self, kept: &KeptCheckpoint) -> Result<bool, IndexError> {
        let size = kept.signed()?.checkpoint.size;
        match self.keep(keys::checkpoint(size), kept).await? {
            Some(number) => Ok(self.is_journalled(number).await),
            None => Ok(true),
        }
    }

    /// The checkpoints that were kept, the newest first, from below the size `before` on.
    ///
    /// # Errors
    /// Those of the engine, or a row that does not open.
    pub async fn kept_checkpoints(&self, before: Option<u64>, limit: usize) -> Result<Vec<KeptCheckpoint>, IndexError> {
        self.blocking(move |inner| {
            let end = before.map_or_else(|| vec![kind::CHECKPOINT + 1], keys::checkpoint);
            let mut rows = Vec::new();
            inner.engine.scan_back(Bound::Included(&[kind::CHECKPOINT]), Bound::Excluded(&end), &mut |row, value| {
                if rows.len() >= limit {
                    return ControlFlow::Break(());
                }
                rows.push((row.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            })?;
            rows.iter().map(|(row, value)| inner.sealing.open(row, value, |body| decode('C', body))).collect()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{index_keys, open},
        *,
    };
    use crate::audit::Checkpoint;

    #[tokio::test]
    async fn what_was_kept_is_listed_and_replaced_by_what_is_known_later() {
        let index = open(std::sync::Arc::new(super::super::MemoryEngine::default()));
        for size in [1, 2, 300] {
            let note = Checkpoint::sign(size, [7; 32], &index_keys().log).to_string();
            index.keep_checkpoint(&KeptCheckpoint { time: Timestamp::from_seconds(5), note, stamps: vec![] }).await.unwrap();
        }
        let sizes = async |before, limit| -> Vec<u64> {
            let kept = index.kept_checkpoints(before, limit).await.unwrap();
            kept.iter().map(|kept| kept.signed().unwrap().checkpoint.size).collect()
        };
        assert_eq!(sizes(None, 10).await, [300, 2, 1]);
        assert_eq!(sizes(None, 1).await, [300]);
        assert_eq!(sizes(Some(300), 1).await, [2]);
        let mut last = index.kept_checkpoints(None, 1).await.unwrap().remove(0);
        last.stamps.push(TimeStamp { by: "http://tsa".to_owned(), time: Timestamp::from_seconds(6), answer: vec![1] });
        index.keep_checkpoint(&last).await.unwrap();
        assert_eq!(index.kept_checkpoints(None, 1).await.unwrap(), [last]);
        assert_eq!(sizes(None, 10).await, [300, 2, 1]);
    }
}
