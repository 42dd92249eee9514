//! One row a record. A row is the same in every format: its fields, in this order, make one line of JSON, and that line is the leaf of the
//! tree over all rows. Fields with several values are JSON within that, so the line can be put together again from the columns of any format.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use crate::audit::leaf_hash;
use crate::index::{CopyState, FoundRecord, IndexError, PopulationPage};
use crate::types::{Country, KeyId};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// Text, or nothing.
    Maybe,
    /// A whole number.
    Number,
    /// Yes or no.
    Truth,
    /// A list or an object.
    Json,
}

/// The columns in their order.
pub(super) const COLUMNS: [(&str, Kind); 20] = [
    ("bucket", Kind::Text),
    ("key", Kind::Text),
    ("version", Kind::Text),
    ("record", Kind::Text),
    ("current", Kind::Truth),
    ("size", Kind::Number),
    ("modified", Kind::Text),
    ("owner", Kind::Text),
    ("subject", Kind::Maybe),
    ("attributes", Kind::Json),
    ("countries", Kind::Json),
    ("copies", Kind::Json),
    ("instruments", Kind::Json),
    ("shadow", Kind::Json),
    ("revision", Kind::Text),
    ("decided", Kind::Text),
    ("decided_by", Kind::Text),
    ("signals", Kind::Json),
    ("exceptions", Kind::Json),
    ("customer_key", Kind::Truth),
];

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Text(String),
    Nothing,
    Number(u64),
    Truth(bool),
    /// As its text.
    Json(String),
}

/// The values of one record.
pub(super) type Row = [Cell; COLUMNS.len()];

/// Rows, with the hashes of their lines.
#[derive(Debug, Default)]
pub struct Rows {
    pub(super) rows: Vec<Row>,
    /// Their lines, each with its end.
    pub lines: Vec<u8>,
    /// The hashes of the lines, as leaves.
    pub hashes: Vec<[u8; 32]>,
    /// Bytes of the objects.
    pub bytes: u64,
}

/// The rows of a page. `keys` says where country keys belong.
///
/// # Errors
/// A row of the index that does not open.
pub fn rows_of(page: &PopulationPage, keys: &BTreeMap<KeyId, Country>) -> Result<Rows, IndexError> {
    let mut rows = Rows::default();
    page.each(|found, current| {
        let row = row_of(found, current, keys);
        let from = rows.lines.len();
        line(&row, &mut rows.lines);
        rows.hashes.push(leaf_hash(rows.lines.get(from..).unwrap_or_default()));
        rows.lines.push(b'\n');
        rows.bytes = rows.bytes.saturating_add(found.record.summary.size);
        rows.rows.push(row);
    })?;
    Ok(rows)
}

/// The line of a row, without its end.
pub(super) fn line(row: &Row, out: &mut Vec<u8>) {
    for (at, ((name, _), cell)) in COLUMNS.iter().zip(row).enumerate() {
        out.extend_from_slice(if at == 0 { b"{\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        match cell {
            Cell::Text(text) => put(text, out),
            Cell::Nothing => out.extend_from_slice(b"null"),
            Cell::Number(number) => put(number, out),
            Cell::Truth(truth) => put(truth, out),
            Cell::Json(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
    out.push(b'}');
}

fn row_of(found: &FoundRecord, current: bool, keys: &BTreeMap<KeyId, Country>) -> Row {
    let (summary, detail) = (&found.record.summary, &found.record.detail);
    let placement = &detail.placement;
    let mut countries: Vec<Country> = Vec::new();
    for copy in detail.copies.iter().filter(|copy| copy.is_stored()) {
        if !countries.contains(&copy.country) {
            countries.push(copy.country);
        }
    }
    let copies: Vec<_> = detail
        .copies
        .iter()
        .map(|copy| {
            let stored = match copy.state {
                CopyState::Stored { at } => Some(at.to_rfc3339()),
                CopyState::Pending => None,
            };
            CopyCell {
                site: copy.site.as_str(),
                country: copy.country,
                key: copy.key.as_str(),
                key_country: keys.get(&copy.key).copied(),
                role: copy.role.as_str(),
                stored,
            }
        })
        .collect();
    let exceptions = placement.exceptions.iter().map(|used| {
        json!({ "instrument": used.instrument, "basis": used.basis, "reference": used.reference, "countries": used.countries })
    });
    [
        Cell::Text(found.bucket.to_string()),
        Cell::Text(found.key.as_str().to_owned()),
        Cell::Text(summary.version.to_string()),
        Cell::Text(summary.id.to_string()),
        Cell::Truth(current),
        Cell::Number(summary.size),
        Cell::Text(summary.modified.to_rfc3339()),
        Cell::Text(summary.owner.to_string()),
        placement.subject.as_ref().map_or(Cell::Nothing, |subject| Cell::Text(subject.as_str().to_owned())),
        Cell::Json(json_of(&placement.attributes)),
        Cell::Json(json_of(&countries)),
        Cell::Json(json_of(&copies)),
        Cell::Json(json_of(&placement.instruments)),
        Cell::Json(json_of(&placement.shadow)),
        Cell::Text(placement.revision.to_string()),
        Cell::Text(placement.decided_at.to_rfc3339()),
        Cell::Text(placement.source.as_str().to_owned()),
        Cell::Json(json_of(&placement.told_by())),
        Cell::Json(json_of(&exceptions.collect::<Vec<_>>())),
        Cell::Truth(detail.customer.is_some()),
    ]
}

#[derive(Serialize)]
struct CopyCell<'a> {
    site: &'a str,
    country: Country,
    key: &'a str,
    key_country: Option<Country>,
    role: &'static str,
    stored: Option<String>,
}

/// Into memory and of plain data: it cannot fail.
fn put<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, value);
}

/// Plain data always has a text.
fn json_of<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_with_every_column_in_order() {
        let row: Row = COLUMNS.map(|(name, kind)| match kind {
            Kind::Text => Cell::Text(format!("{name} \"\\\u{7}\u{e4}")),
            Kind::Maybe => Cell::Nothing,
            Kind::Number => Cell::Number(u64::MAX),
            Kind::Truth => Cell::Truth(true),
            Kind::Json => Cell::Json("[1]".to_owned()),
        });
        let mut text = Vec::new();
        line(&row, &mut text);
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value.as_object().unwrap().len(), COLUMNS.len());
        assert_eq!(value["bucket"], "bucket \"\\\u{7}\u{e4}");
        assert_eq!((&value["subject"], &value["countries"][0]), (&json!(null), &json!(1)));
        assert!(text.starts_with(b"{\"bucket\":\"bucket \\\"\\\\\\u0007"));
    }
}
