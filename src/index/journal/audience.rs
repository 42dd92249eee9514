//! Which countries' chains are told of a row: those that hold what the row is about, and no other.

use std::collections::{BTreeSet, HashMap};

use crate::{
    index::{
        CopyRow, Garbage, IndexError, SubjectRow, Upload, Version, Waste,
        codec::{decode, decode_version},
        directory::UnsettledRow,
        keys::kind,
    },
    kms::WrappedSubjectKey,
    types::Country,
};

/// Who is told of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::index) enum Audience {
    /// Nobody: the row derives from others, or means nothing to another process.
    Nobody,
    /// Every chain: the row is nobody's data.
    Everyone,
    /// The chains of these countries.
    These(BTreeSet<Country>),
}

/// What is known of the rows whose own text does not say where they belong: delete markers, parts and part tables.
#[derive(Debug, Default)]
pub(in crate::index) struct Audiences(HashMap<Vec<u8>, BTreeSet<Country>>);

impl Audiences {
    /// Keeps where a row belongs.
    pub(in crate::index) fn tell(&mut self, row: Vec<u8>, countries: BTreeSet<Country>) {
        self.0.insert(row, countries);
    }

    /// Whether a row of this kind is told of at all.
    pub(in crate::index) fn is_journalled(row: &[u8]) -> bool {
        row == crate::index::keys::POLICY || row.first().is_some_and(|letter| JOURNALLED.contains(letter))
    }

    /// Who is told of `row`. What belongs to no country that is known is told at home.
    pub(in crate::index) fn of(&self, row: &[u8], body: &[u8], home: Country) -> Result<Audience, IndexError> {
        if !Self::is_journalled(row) {
            return Ok(Audience::Nobody);
        }
        let known = || self.0.get(row).cloned().unwrap_or_default();
        let countries: BTreeSet<Country> = match row.first().copied().unwrap_or_default() {
            kind::RECORD | kind::HISTORY => match decode_version(body)? {
                Version::Record(record) => of_copies(&record.detail.copies),
                Version::Marker(_) => known(),
            },
            kind::UPLOAD | kind::CLOSED_UPLOAD => of_copies(&decode::<Upload>('u', body)?.copies),
            kind::PART | kind::PART_TABLE => known(),
            kind::GARBAGE => return of_garbage(&decode::<Garbage>('g', body)?.what, home),
            kind::SUBJECT_KEY => decode::<WrappedSubjectKey>('k', body)?.countries(),
            kind::SUBJECT => decode::<SubjectRow>('d', body)?.residence().into_iter().collect(),
            kind::UNSETTLED => {
                let _: UnsettledRow = decode('e', body)?;
                BTreeSet::new()
            }
            _ => return Ok(Audience::Everyone),
        };
        Ok(Audience::These(if countries.is_empty() { [home].into() } else { countries }))
    }
}

/// The kinds of rows that a rebuild cannot derive from others.
const JOURNALLED: &[u8] = &[
    kind::BUCKET,
    kind::CHECKPOINT,
    kind::SUBJECT,
    kind::UNSETTLED,
    kind::ERASURE,
    kind::GARBAGE,
    kind::HISTORY,
    kind::SUBJECT_KEY,
    kind::LEDGER,
    kind::PART,
    kind::RECORD,
    kind::PART_TABLE,
    kind::POLICIES,
    kind::UPLOAD,
    kind::CLOSED_UPLOAD,
    kind::SITE,
];

/// The countries of copies.
pub(in crate::index) fn of_copies(copies: &[CopyRow]) -> BTreeSet<Country> {
    copies.iter().map(|copy| copy.country).collect()
}

/// Blobs by name alone say nothing but that: everyone may know them.
fn of_garbage(waste: &Waste, home: Country) -> Result<Audience, IndexError> {
    let countries: BTreeSet<Country> = match waste {
        Waste::Blobs { .. } | Waste::Keys { .. } => return Ok(Audience::Everyone),
        Waste::Record { copies, .. } => of_copies(copies),
        Waste::Part { at, .. } | Waste::Upload { at, .. } => at.iter().map(|at| at.country).collect(),
    };
    Ok(Audience::These(if countries.is_empty() { [home].into() } else { countries }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_row_is_either_told_of_or_derived() {
        let derived = [
            kind::APPOINTED,
            kind::COUNTER,
            kind::FINDING,
            kind::INTENT,
            kind::OUTBOX,
            kind::NULL_VERSION,
            kind::PENDING,
            kind::REBUILD,
            kind::SESSION,
            kind::TREE,
            kind::BY_SUBJECT,
            kind::BY_SITE,
            kind::BY_INSTRUMENT,
        ];
        let all: BTreeSet<u8> = JOURNALLED.iter().chain(&derived).copied().collect();
        assert_eq!(all.len(), JOURNALLED.len() + derived.len());
        let named = include_str!("../keys.rs").matches("const ").count();
        let single = [
            "CHECKED",
            "FORMAT",
            "IMPORTED",
            "JOURNAL",
            "LEDGER_HEAD",
            "POLICY",
            "REBUILD_BEGUN",
            "REBUILD_STAGE",
            "SCRUB",
            "SEQUENCES",
            "END",
        ];
        let single = single.len();
        assert_eq!(all.len(), named - single, "a new kind of row must be told of, or be derived in a rebuild");
    }
}
