//! Which countries' chains are told of a row: those that hold what the row is about, and no other.

use std::collections::{BTreeSet, HashMap};

use crate::{
    index::{
        CopyRow, Garbage, IndexError, SubjectRow, Upload, Version, Waste,
        codec::{decode, decode_version, marker_countries},
        directory::UnsettledRow,
        keys::kind,
        names::SaltRow,
    },
    kms::WrappedSubjectKey,
    types::Country,
};

/// The chains that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::index) struct Chains {
    /// The gateway's own country, whose chain is told what belongs to no country that has one.
    pub(in crate::index) home: Country,
    /// All countries that have one.
    pub(in crate::index) all: BTreeSet<Country>,
}

impl Chains {
    /// The chains to tell of what belongs to `countries`: of those that have no site, nobody is told in their stead. What names no country
    /// is told at home.
    pub(in crate::index) fn of(&self, countries: &BTreeSet<Country>) -> BTreeSet<Country> {
        if countries.is_empty() { [self.home].into() } else { countries.intersection(&self.all).copied().collect() }
    }

    /// The chains to tell where somebody lives: at home, too, when that country never had a site.
    fn of_residents(&self, countries: &BTreeSet<Country>) -> BTreeSet<Country> {
        let told = self.of(countries);
        if told.is_empty() { [self.home].into() } else { told }
    }

    /// The chains to tell of a row as it is, when its own text says it.
    pub(in crate::index) fn stated(&self, row: &[u8], body: &[u8]) -> Result<Option<BTreeSet<Country>>, IndexError> {
        Ok(match stated(row, body)? {
            Stated::Everyone => Some(self.all.clone()),
            Stated::These(countries) => Some(self.of(&countries)),
            Stated::Residents(countries) => Some(self.of_residents(&countries)),
            Stated::Elsewhere => None,
        })
    }
}

/// Where a row belongs, by its own text.
enum Stated {
    /// Everywhere: the row is nobody's data.
    Everyone,
    /// To these countries, in which it is stored; none is the gateway's own.
    These(BTreeSet<Country>),
    /// To these countries, in which somebody lives.
    Residents(BTreeSet<Country>),
    /// The text does not say it: a part, a part table, a delete marker of long ago.
    Elsewhere,
}

/// What is known of the rows whose own text does not say where they belong.
#[derive(Debug, Default)]
pub(in crate::index) struct Audiences(HashMap<Vec<u8>, BTreeSet<Country>>);

impl Audiences {
    /// Keeps where a row belongs.
    pub(in crate::index) fn tell(&mut self, row: Vec<u8>, countries: BTreeSet<Country>) {
        self.0.insert(row, countries);
    }

    /// Whether a row of this kind is told of at all: otherwise it derives from others, or means nothing to another process.
    pub(in crate::index) fn is_journalled(row: &[u8]) -> bool {
        row == crate::index::keys::POLICY || row.first().is_some_and(|letter| JOURNALLED.contains(letter))
    }

    /// The chains to tell of `row`.
    pub(in crate::index) fn of(&self, row: &[u8], body: &[u8], chains: &Chains) -> Result<BTreeSet<Country>, IndexError> {
        let stated = chains.stated(row, body)?;
        Ok(stated.unwrap_or_else(|| self.0.get(row).map_or_else(|| [chains.home].into(), |countries| chains.of(countries))))
    }
}

fn stated(row: &[u8], body: &[u8]) -> Result<Stated, IndexError> {
    let residents = |countries| Ok(Stated::Residents(countries));
    Ok(Stated::These(match row.first().copied().unwrap_or_default() {
        kind::RECORD | kind::HISTORY => match decode_version(body)? {
            Version::Record(record) => of_copies(&record.detail.copies),
            Version::Marker(_) => return Ok(marker_countries(body)?.map_or(Stated::Elsewhere, Stated::These)),
        },
        kind::UPLOAD | kind::CLOSED_UPLOAD => of_copies(&decode::<Upload>('u', body)?.copies),
        kind::PART | kind::PART_TABLE => return Ok(Stated::Elsewhere),
        kind::GARBAGE => return Ok(of_garbage(&decode::<Garbage>('g', body)?.what)),
        kind::SUBJECT_KEY => decode::<WrappedSubjectKey>('k', body)?.countries(),
        kind::SUBJECT => return residents(decode::<SubjectRow>('d', body)?.residence().into_iter().collect()),
        kind::SALT => return residents(decode::<SaltRow>('S', body)?.country.into_iter().collect()),
        kind::UNSETTLED => {
            let _: UnsettledRow = decode('e', body)?;
            BTreeSet::new()
        }
        _ => return Ok(Stated::Everyone),
    }))
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
    kind::SALT,
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
fn of_garbage(waste: &Waste) -> Stated {
    match waste {
        Waste::Blobs { .. } | Waste::Keys { .. } => Stated::Everyone,
        Waste::Record { copies, .. } => Stated::These(of_copies(copies)),
        Waste::Part { at, .. } | Waste::Upload { at, .. } => Stated::These(at.iter().map(|at| at.country).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_row_is_either_told_of_or_derived() {
        let derived = [
            kind::APPOINTED,
            kind::COUNTER,
            kind::FACET,
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
