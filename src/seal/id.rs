//! What a blob is called, to us and to a site.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    digest,
    types::{AttemptId, Country, RecordId},
};

/// Names one extent of one attempt at one part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExtentId {
    /// The record.
    pub record: RecordId,
    /// 0 for the body of a single PUT, 1 to 10,000 for a multipart upload's parts, [`ExtentId::MANIFEST_PART`] for a manifest,
    /// [`ExtentId::JOURNAL_PART`] for a segment of the journal.
    pub part: u32,
    /// Fresh random for each attempt. Salt and nonces derive from it: **sealing other bytes under the same id reuses them.**
    pub attempt: AttemptId,
    /// Counts the extents of the part from 0.
    pub extent: u32,
}

impl ExtentId {
    /// The part number that marks a manifest blob.
    pub const MANIFEST_PART: u32 = u32::MAX;

    /// The part number that marks a segment of the journal.
    pub const JOURNAL_PART: u32 = u32::MAX - 1;

    /// The length of [`ExtentId::associated_data`].
    pub(super) const AAD_LEN: usize = 8 + 2 + 2 + 16 + 4 + 16 + 4;

    /// The blob that holds a record's manifest and no data.
    pub const fn manifest(record: RecordId, attempt: AttemptId) -> Self {
        Self { record, part: Self::MANIFEST_PART, attempt, extent: 0 }
    }

    /// Whether this names a manifest blob.
    pub const fn is_manifest(&self) -> bool {
        self.part == Self::MANIFEST_PART
    }

    /// A segment of the journal; `record` is a fresh id that no record has.
    pub const fn journal(record: RecordId, attempt: AttemptId) -> Self {
        Self { record, part: Self::JOURNAL_PART, attempt, extent: 0 }
    }

    /// What the stream is bound to, Tink's associated data: `DOMICILE`, format version, country, record, part, attempt, extent;
    /// numbers big-endian.
    pub fn associated_data(&self, country: Country) -> Vec<u8> {
        let mut data = Vec::with_capacity(Self::AAD_LEN);
        data.extend_from_slice(super::head::MAGIC);
        data.extend_from_slice(&super::head::VERSION.to_be_bytes());
        data.extend_from_slice(country.as_str().as_bytes());
        data.extend_from_slice(self.record.as_bytes());
        data.extend_from_slice(&self.part.to_be_bytes());
        data.extend_from_slice(self.attempt.as_bytes());
        data.extend_from_slice(&self.extent.to_be_bytes());
        data
    }
}

/// A blob's name at its site: opaque, and the same for every site of a country. As text `d1/` and the first two of 32 hex digits,
/// `/`, the 32 digits; `domicile-site` for the marker that says whose site it is; or, for the journal, `j1/`, 16 hex digits of the number
/// it reaches, `-` and 8 random ones. Orders as its text does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobName(Name);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    Hash([u8; 16]),
    Marker,
    Journal { number: u64, tag: [u8; 4] },
}

/// A text that no blob of ours is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a Domicile blob")]
pub struct InvalidBlobName;

const MARKER: &str = "domicile-site";
const JOURNAL: &str = "j1/";

impl BlobName {
    /// The name of an extent's blob at every site of `country`.
    pub fn of(country: Country, id: &ExtentId) -> Self {
        Self::hash(b"domicile extent name v1", &id.associated_data(country))
    }

    /// The name of the site marker.
    pub const fn marker() -> Self {
        Self(Name::Marker)
    }

    /// The name of a piece of the journal that reaches up to commit `number`; `tag` tells apart those of the same number.
    pub const fn journal(number: u64, tag: [u8; 4]) -> Self {
        Self(Name::Journal { number, tag })
    }

    /// The name of the journal's piece that is sealed as `id`; `None` when that is no such id.
    pub fn of_journal(number: u64, id: &ExtentId) -> Option<Self> {
        let tag = id.attempt.as_bytes().first_chunk::<4>().filter(|_| id.part == ExtentId::JOURNAL_PART)?;
        Some(Self::journal(number, *tag))
    }

    /// The number in the name of a piece of the journal; `None` for every other blob.
    pub const fn journal_number(&self) -> Option<u64> {
        match self.0 {
            Name::Journal { number, .. } => Some(number),
            Name::Hash(_) | Name::Marker => None,
        }
    }

    /// The name as a number; names of records' blobs order as their numbers do, and spread evenly. `None` for the marker and the journal.
    pub const fn number(&self) -> Option<u128> {
        match self.0 {
            Name::Hash(hash) => Some(u128::from_be_bytes(hash)),
            Name::Marker | Name::Journal { .. } => None,
        }
    }

    /// The name of that number.
    pub const fn from_number(number: u128) -> Self {
        Self(Name::Hash(number.to_be_bytes()))
    }

    /// From what distinguishes a blob of a kind; `kind` has the same length for no two kinds that could collide.
    pub(super) fn hash(kind: &[u8], content: &[u8]) -> Self {
        let mut hash = digest::Sha256::new();
        hash.update(&(kind.len() as u64).to_be_bytes());
        hash.update(kind);
        hash.update(content);
        let mut cut = [0; 16];
        cut.copy_from_slice(&hash.finish()[..16]);
        Self(Name::Hash(cut))
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Name::Hash(hash) => write!(f, "d1/{:02x}/{}", hash[0], hex::encode(hash)),
            Name::Marker => f.write_str(MARKER),
            Name::Journal { number, tag } => write!(f, "{JOURNAL}{number:016x}-{}", hex::encode(tag)),
        }
    }
}

impl fmt::Debug for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobName({self})")
    }
}

impl FromStr for BlobName {
    type Err = InvalidBlobName;

    fn from_str(text: &str) -> Result<Self, InvalidBlobName> {
        if text == MARKER {
            return Ok(Self::marker());
        }
        if let Some(name) = text.strip_prefix(JOURNAL) {
            return journal_name(name).filter(|name| name.to_string() == text).ok_or(InvalidBlobName);
        }
        let (_, digits) = text.rsplit_once('/').ok_or(InvalidBlobName)?;
        let mut hash = [0; 16];
        hex::decode_to_slice(digits, &mut hash).map_err(|_| InvalidBlobName)?;
        let name = Self(Name::Hash(hash));
        if name.to_string() == text { Ok(name) } else { Err(InvalidBlobName) }
    }
}

fn journal_name(text: &str) -> Option<BlobName> {
    let (number, digits) = text.split_once('-')?;
    let mut tag = [0; 4];
    hex::decode_to_slice(digits, &mut tag).ok()?;
    Some(BlobName::journal(u64::from_str_radix(number, 16).ok()?, tag))
}

impl TryFrom<String> for BlobName {
    type Error = InvalidBlobName;

    fn try_from(text: String) -> Result<Self, InvalidBlobName> {
        text.parse()
    }
}

impl From<BlobName> for String {
    fn from(name: BlobName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_order_as_text_and_differ_by_country_and_id() {
        let id = ExtentId { record: RecordId::from_bytes([1; 16]), part: 1, attempt: AttemptId::from_bytes([2; 16]), extent: 0 };
        let (pk, sg) = ("PK".parse().unwrap(), "SG".parse().unwrap());
        assert_eq!(id.associated_data(pk).len(), ExtentId::AAD_LEN);
        let names = [
            BlobName::of(pk, &id),
            BlobName::of(sg, &id),
            BlobName::of(pk, &ExtentId { extent: 1, ..id }),
            BlobName::of(pk, &ExtentId { part: 2, ..id }),
            BlobName::of(pk, &ExtentId::manifest(id.record, id.attempt)),
            BlobName::marker(),
            BlobName::journal(0, [1; 4]),
            BlobName::journal(9, [0xff; 4]),
            BlobName::journal(0xa0, [0; 4]),
            BlobName::journal(u64::MAX, [2; 4]),
        ];
        for (index, name) in names.iter().enumerate() {
            assert_eq!(name.to_string().parse::<BlobName>().unwrap(), *name);
            let of_a_record = *name != BlobName::marker() && name.journal_number().is_none();
            assert_eq!(name.number().map(BlobName::from_number), Some(*name).filter(|_| of_a_record));
            for other in &names[..index] {
                assert_eq!(name.cmp(other), name.to_string().cmp(&other.to_string()));
                assert_ne!(name, other);
            }
        }
        let text = names[0].to_string();
        for wrong in [
            "",
            "d1/",
            "x",
            &text[1..],
            &text.to_uppercase(),
            &text.replacen("d1", "d2", 1),
            &format!("{text}0"),
            "j1/",
            "j1/0-0",
            "j1/000000000000000A-00000000",
            "j1/0000000000000001-000000",
        ] {
            assert!(wrong.parse::<BlobName>().is_err(), "{wrong}");
        }
    }
}
