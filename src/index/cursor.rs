//! Where a page of a search ended, in a form that only this installation makes and only the same question takes.

use super::{IndexError, RecordsQuery, catalogue::IndexKeys, codec::encode};
use crate::digest::{constant_time_eq, hmac_sha256};

/// Bytes of the tag at a cursor's end.
const TAG: usize = 16;

/// The row and a tag over it and the question, in hex.
pub(super) fn seal(keys: &IndexKeys, query: &RecordsQuery, row: &[u8]) -> Result<String, IndexError> {
    Ok(hex::encode([row, &tag(keys, query, row)?].concat()))
}

/// The row, when the cursor was made by [`seal`] for the same question; the page's size may differ.
pub(super) fn open(keys: &IndexKeys, query: &RecordsQuery, cursor: &str) -> Result<Vec<u8>, IndexError> {
    let mut row = hex::decode(cursor).map_err(|_| IndexError::Cursor)?;
    let at = row.len().checked_sub(TAG).ok_or(IndexError::Cursor)?;
    let given = row.split_off(at);
    if constant_time_eq(&given, &tag(keys, query, &row)?) { Ok(row) } else { Err(IndexError::Cursor) }
}

fn tag(keys: &IndexKeys, query: &RecordsQuery, row: &[u8]) -> Result<[u8; TAG], IndexError> {
    let RecordsQuery { bucket, prefix, subject, country, site, instrument, since, until, limit: _, cursor: _ } = query;
    // One value that ends where the row begins: MessagePack is self-delimiting.
    let question = encode(&(bucket, prefix, subject, country, site, instrument, since, until))?;
    let key = keys.index_key.derive(b"", &[b"domicile search cursor v2"]);
    let whole = hmac_sha256(key.expose(), &[&question, row]);
    let mut tag = [0; TAG];
    tag.copy_from_slice(&whole[..TAG]);
    Ok(tag)
}
