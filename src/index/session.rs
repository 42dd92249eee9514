//! The start of a session: every process that opens the index seals under a key of its own and issues tickets that nobody issued before.

use std::ops::{Bound, ControlFlow};

use super::{
    Engine, IndexError,
    catalogue::TICKET_BLOCK,
    engine::Batch,
    keys::{self, kind},
    sealing::Sealing,
};
use crate::{digest, kms::SecretKey};

/// The version of the format of rows; another one is refused.
const FORMAT: u32 = 1;

/// Checks the format, adds a session and reserves the first tickets, durably. Returns the first ticket as well.
pub(super) fn start_session(engine: &dyn Engine, index_key: &SecretKey) -> Result<(Sealing, u64), IndexError> {
    let number = |row: &[u8]| -> Result<Option<u64>, IndexError> {
        let Some(value) = engine.get(row)? else { return Ok(None) };
        let bytes = <[u8; 8]>::try_from(&value[..]).map_err(|_| IndexError::Corrupt { kind: 'm' })?;
        Ok(Some(u64::from_be_bytes(bytes)))
    };
    if let Some(found) = number(keys::FORMAT)?.filter(|&found| found != u64::from(FORMAT)) {
        return Err(IndexError::Format(u32::try_from(found).unwrap_or(u32::MAX)));
    }
    let mut salts = Vec::new();
    engine.scan(Bound::Included(&[kind::SESSION]), Bound::Excluded(&[kind::SESSION + 1]), &mut |row, salt| {
        if let (Some(Ok(id)), Ok(salt)) = (row.get(1..).map(<[u8; 4]>::try_from), salt.try_into()) {
            salts.push((u32::from_be_bytes(id), salt));
        }
        ControlFlow::Continue(())
    })?;
    let current = salts.last().map_or(0, |last| last.0.wrapping_add(1));
    let salt = digest::random::<32>();
    salts.push((current, salt));
    let first = number(keys::SEQUENCES)?.unwrap_or(1);
    let mut batch = Batch::default();
    batch.put(keys::FORMAT, u64::from(FORMAT).to_be_bytes());
    batch.put(keys::session(current), salt);
    batch.put(keys::SEQUENCES, (first + TICKET_BLOCK).to_be_bytes());
    engine.apply(batch)?;
    Ok((Sealing::new(index_key, &salts, current)?, first))
}
