//! Row bodies as bytes.

use std::collections::BTreeSet;

use serde::{Serialize, de::DeserializeOwned};

use super::{Detail, IndexError, Record, Summary, Version};
use crate::types::Country;

/// MessagePack with named fields.
pub(super) fn encode<T: Serialize>(row: &T) -> Result<Vec<u8>, IndexError> {
    rmp_serde::to_vec_named(row).map_err(|error| IndexError::Encode(error.to_string()))
}

pub(super) fn decode<T: DeserializeOwned>(kind: char, body: &[u8]) -> Result<T, IndexError> {
    rmp_serde::from_slice(body).map_err(|_| IndexError::Corrupt { kind })
}

/// The summary's length, the summary, the detail: a listing decodes only the summary.
pub(super) fn encode_record(record: &Record) -> Result<Vec<u8>, IndexError> {
    let mut body = encode_summary(&record.summary)?;
    rmp_serde::encode::write_named(&mut body, &record.detail).map_err(|error| IndexError::Encode(error.to_string()))?;
    Ok(body)
}

/// The summary, and the countries of what the marker hides: those alone may know of it.
pub(super) fn encode_marker(summary: &Summary, countries: &BTreeSet<Country>) -> Result<Vec<u8>, IndexError> {
    let mut body = encode_summary(summary)?;
    rmp_serde::encode::write_named(&mut body, countries).map_err(|error| IndexError::Encode(error.to_string()))?;
    Ok(body)
}

fn encode_summary(summary: &Summary) -> Result<Vec<u8>, IndexError> {
    let mut body = vec![0; 4];
    rmp_serde::encode::write_named(&mut body, summary).map_err(|error| IndexError::Encode(error.to_string()))?;
    let length = u32::try_from(body.len() - 4).map_err(|error| IndexError::Encode(error.to_string()))?;
    body[..4].copy_from_slice(&length.to_be_bytes());
    Ok(body)
}

fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

pub(super) fn decode_summary(body: &[u8]) -> Result<Summary, IndexError> {
    let (summary, _) = split(body).ok_or(IndexError::Corrupt { kind: 'r' })?;
    decode('r', summary)
}

pub(super) fn decode_record(body: &[u8]) -> Result<Record, IndexError> {
    let (summary, detail) = split(body).ok_or(IndexError::Corrupt { kind: 'r' })?;
    Ok(Record { summary: decode('r', summary)?, detail: decode::<Detail>('r', detail)? })
}

/// The countries of a delete marker; `None` of one that was written before markers had them.
pub(super) fn marker_countries(body: &[u8]) -> Result<Option<BTreeSet<Country>>, IndexError> {
    let (_, countries) = split(body).ok_or(IndexError::Corrupt { kind: 'h' })?;
    if countries.is_empty() { Ok(None) } else { decode('h', countries).map(Some) }
}

pub(super) fn decode_version(body: &[u8]) -> Result<Version, IndexError> {
    let (summary, detail) = split(body).ok_or(IndexError::Corrupt { kind: 'r' })?;
    let summary: Summary = decode('r', summary)?;
    if summary.delete_marker {
        return Ok(Version::Marker(summary));
    }
    Ok(Version::Record(Box::new(Record { summary, detail: decode::<Detail>('r', detail)? })))
}
