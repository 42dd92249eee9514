//! Row keys: one letter for the kind, then what orders the rows of that kind.
//!
//! Object keys are written so that rows sort as S3 sorts keys, by the bytes of their UTF-8: NUL becomes `00 FF`, and `00 01` ends the
//! key. A prefix is written without the end, so it is a prefix of the rows under it and of no others.

use super::BucketId;
use crate::types::{Generation, InstrumentId, KeyId, PolicyRevision, Pseudonym, RecordId, SiteId, Ticket, Timestamp, UploadId};
use crate::{kms::KeyOwner, types::AttemptId};

/// One letter for each kind of row.
pub(super) mod kind {
    pub(in crate::index) const APPOINTED: u8 = b'a';
    pub(in crate::index) const BUCKET: u8 = b'b';
    pub(in crate::index) const CHECKPOINT: u8 = b'C';
    pub(in crate::index) const COUNTER: u8 = b'c';
    pub(in crate::index) const SUBJECT: u8 = b'd';
    pub(in crate::index) const UNSETTLED: u8 = b'e';
    pub(in crate::index) const ERASURE: u8 = b'f';
    pub(in crate::index) const FINDING: u8 = b'o';
    pub(in crate::index) const GARBAGE: u8 = b'g';
    pub(in crate::index) const HISTORY: u8 = b'h';
    pub(in crate::index) const INTENT: u8 = b'i';
    pub(in crate::index) const OUTBOX: u8 = b'j';
    pub(in crate::index) const SUBJECT_KEY: u8 = b'k';
    pub(in crate::index) const LEDGER: u8 = b'l';
    pub(in crate::index) const NULL_VERSION: u8 = b'n';
    pub(in crate::index) const PART: u8 = b'p';
    pub(in crate::index) const PENDING: u8 = b'q';
    pub(in crate::index) const POLICIES: u8 = b'P';
    pub(in crate::index) const REBUILD: u8 = b'R';
    pub(in crate::index) const TREE: u8 = b'T';
    pub(in crate::index) const RECORD: u8 = b'r';
    pub(in crate::index) const SESSION: u8 = b's';
    pub(in crate::index) const PART_TABLE: u8 = b't';
    pub(in crate::index) const UPLOAD: u8 = b'u';
    pub(in crate::index) const CLOSED_UPLOAD: u8 = b'v';
    pub(in crate::index) const SITE: u8 = b'w';
    pub(in crate::index) const BY_SUBJECT: u8 = b'x';
    pub(in crate::index) const BY_SITE: u8 = b'y';
    pub(in crate::index) const BY_INSTRUMENT: u8 = b'z';
}

// Single rows, all of kind `m`, in the clear but for the policy, the journal, how far it has been checked, the scrub and what was imported.
pub(super) const CHECKED: &[u8] = b"mchecked";
pub(super) const FORMAT: &[u8] = b"mformat";
pub(super) const IMPORTED: &[u8] = b"mimported";
pub(super) const JOURNAL: &[u8] = b"mjournal";
pub(super) const LEDGER_HEAD: &[u8] = b"mledger";
pub(super) const POLICY: &[u8] = b"mpolicy";
pub(super) const SCRUB: &[u8] = b"mscrub";
pub(super) const SEQUENCES: &[u8] = b"msequences";

// Of kind `REBUILD`, all gone when the index is whole: what it is to come to, and how far it has.
pub(super) const REBUILD_BEGUN: &[u8] = b"Rbegun";
pub(super) const REBUILD_STAGE: &[u8] = b"Rstage";

const END: [u8; 2] = [0, 1];

/// Appends a key or prefix without its end.
pub(super) fn escape(text: &str, out: &mut Vec<u8>) {
    for &byte in text.as_bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
}

/// Reads an escaped key up to its end; returns it and what follows.
pub(super) fn unescape(row: &[u8]) -> Option<(String, &[u8])> {
    let mut text = Vec::with_capacity(row.len());
    let mut rest = row;
    loop {
        match rest {
            [0, 1, after @ ..] => return Some((String::from_utf8(text).ok()?, after)),
            [0, 0xFF, after @ ..] => {
                text.push(0);
                rest = after;
            }
            [0, ..] | [] => return None,
            [byte, after @ ..] => {
                text.push(*byte);
                rest = after;
            }
        }
    }
}

/// The least byte string greater than every one that begins with `prefix`; `None` when there is none.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xFF)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

/// The rows of one bucket whose keys begin with `prefix`; of kind `RECORD`, `HISTORY`, `NULL_VERSION` or `UPLOAD`.
pub(super) fn under(kind: u8, bucket: BucketId, prefix: &str) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + 8 + prefix.len() + 16);
    row.push(kind);
    row.extend_from_slice(&bucket.0.to_be_bytes());
    escape(prefix, &mut row);
    row
}

/// The current record of a key: one row at a known place, so that a GET is one point read. A key whose newest version is a delete
/// marker has none, so that listings need not skip what is deleted.
pub(super) fn record(bucket: BucketId, key: &str) -> Vec<u8> {
    let mut row = under(kind::RECORD, bucket, key);
    row.extend_from_slice(&END);
    row
}

/// The noncurrent versions and delete markers of a key begin so.
pub(super) fn versions(bucket: BucketId, key: &str) -> Vec<u8> {
    let mut row = under(kind::HISTORY, bucket, key);
    row.extend_from_slice(&END);
    row
}

/// A noncurrent version or a delete marker: the newest comes first.
pub(super) fn history(bucket: BucketId, key: &str, ticket: Ticket) -> Vec<u8> {
    let mut row = versions(bucket, key);
    row.extend_from_slice(&(!ticket.0).to_be_bytes());
    row
}

/// Leads to the `null` version of a key when it is among the noncurrent ones: its id does not tell its place.
pub(super) fn null_version(bucket: BucketId, key: &str) -> Vec<u8> {
    let mut row = under(kind::NULL_VERSION, bucket, key);
    row.extend_from_slice(&END);
    row
}

/// The least row after all rows of a key.
pub(super) fn after_key(kind: u8, bucket: BucketId, key: &str) -> Vec<u8> {
    let mut row = under(kind, bucket, key);
    row.extend_from_slice(&[0, 2]);
    row
}

pub(super) fn upload(bucket: BucketId, key: &str, id: &UploadId) -> Vec<u8> {
    let mut row = under(kind::UPLOAD, bucket, key);
    row.extend_from_slice(&END);
    row.extend_from_slice(id.as_bytes());
    row
}

/// A piece of the journal that a rebuild has taken.
pub(super) fn rebuild_piece(name: &str) -> Vec<u8> {
    with(kind::REBUILD, &[b"p", name.as_bytes()])
}

fn with(kind: u8, tail: &[&[u8]]) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + tail.iter().map(|part| part.len()).sum::<usize>());
    row.push(kind);
    tail.iter().for_each(|part| row.extend_from_slice(part));
    row
}

pub(super) fn closed_upload(id: &UploadId) -> Vec<u8> {
    with(kind::CLOSED_UPLOAD, &[id.as_bytes()])
}

pub(super) fn part(upload: &UploadId, number: u32) -> Vec<u8> {
    with(kind::PART, &[upload.as_bytes(), &number.to_be_bytes()])
}

pub(super) fn parts(upload: &UploadId) -> Vec<u8> {
    with(kind::PART, &[upload.as_bytes()])
}

pub(super) fn part_table(upload: &UploadId) -> Vec<u8> {
    with(kind::PART_TABLE, &[upload.as_bytes()])
}

pub(super) fn bucket(id: BucketId) -> Vec<u8> {
    with(kind::BUCKET, &[&id.0.to_be_bytes()])
}

pub(super) fn subject(subject: &Pseudonym) -> Vec<u8> {
    with(kind::SUBJECT, &[subject.as_bytes()])
}

/// Something that is to hold of a subject from a time on; ordered by that.
pub(super) fn appointed(from: Timestamp, subject: &Pseudonym) -> Vec<u8> {
    let millis = u64::try_from(from.millis()).unwrap_or(0);
    with(kind::APPOINTED, &[&millis.to_be_bytes(), subject.as_bytes()])
}

/// Reads a row of [`appointed`].
pub(super) fn appointment(row: &[u8]) -> Option<(Timestamp, Pseudonym)> {
    let (millis, subject) = row.get(1..)?.split_first_chunk::<8>()?;
    let millis = i64::try_from(u64::from_be_bytes(*millis)).unwrap_or(i64::MAX);
    Some((Timestamp::from_millis(millis), Pseudonym::from_bytes(subject.try_into().ok()?)))
}

/// A subject whose entry has changed since its records were placed.
pub(super) fn unsettled(subject: &Pseudonym) -> Vec<u8> {
    with(kind::UNSETTLED, &[subject.as_bytes()])
}

/// An erasure of a subject, by its number.
pub(super) fn erasure(id: u64) -> Vec<u8> {
    with(kind::ERASURE, &[&id.to_be_bytes()])
}

/// All subject keys that one country key wraps begin so.
pub(super) fn subject_keys_of(key: &KeyId) -> Vec<u8> {
    with(kind::SUBJECT_KEY, &[key.as_str().as_bytes(), &[0]])
}

pub(super) fn subject_key(key: &KeyId, owner: &KeyOwner) -> Vec<u8> {
    with(kind::SUBJECT_KEY, &[key.as_str().as_bytes(), &[0], &owner.canonical_bytes()])
}

/// An owner's subject keys of before the one in use lie behind it.
pub(super) fn retired_keys(key: &KeyId, owner: &KeyOwner) -> Vec<u8> {
    [subject_key(key, owner).as_slice(), &[0]].concat()
}

/// One of them.
pub(super) fn retired_key(key: &KeyId, owner: &KeyOwner, generation: Generation) -> Vec<u8> {
    [retired_keys(key, owner).as_slice(), &generation.0.to_be_bytes()].concat()
}

/// Behind all of an owner's subject keys: those of another owner never begin with what [`retired_keys`] begin with, since pseudonyms
/// are of one length and no site's name has a NUL.
pub(super) fn after_owner(key: &KeyId, owner: &KeyOwner) -> Vec<u8> {
    [subject_key(key, owner).as_slice(), &[1]].concat()
}

pub(super) fn site(site: &SiteId) -> Vec<u8> {
    with(kind::SITE, &[site.as_str().as_bytes()])
}

/// What a scrub found at a site: by class, and half of SHA-256 of the name that it is about.
pub(super) fn finding(site: &SiteId, class: &str, name: &str) -> Vec<u8> {
    let hash = crate::digest::sha256(name.as_bytes());
    with(kind::FINDING, &[site.as_str().as_bytes(), &[0], class.as_bytes(), &[0], &hash[..16]])
}

pub(super) fn ledger(seq: u64) -> Vec<u8> {
    with(kind::LEDGER, &[&seq.to_be_bytes()])
}

/// The root of a whole subtree of 256^level ledger entries.
pub(super) fn tree(level: u8, index: u64) -> Vec<u8> {
    with(kind::TREE, &[&[level], &index.to_be_bytes()])
}

/// A checkpoint that was kept, by its size.
pub(super) fn checkpoint(size: u64) -> Vec<u8> {
    with(kind::CHECKPOINT, &[&size.to_be_bytes()])
}

/// What a group commit changed and the journal does not hold at every place yet.
pub(super) fn outbox(number: u64) -> Vec<u8> {
    with(kind::OUTBOX, &[&number.to_be_bytes()])
}

/// One time that a policy set was proposed or came into force.
pub(super) fn policy_entry(number: u64) -> Vec<u8> {
    with(kind::POLICIES, &[b"e", &number.to_be_bytes()])
}

/// The files of all policy sets begin so.
pub(super) fn policy_texts_prefix() -> Vec<u8> {
    with(kind::POLICIES, &[b"f"])
}

/// The files of a policy set.
pub(super) fn policy_texts(revision: &PolicyRevision) -> Vec<u8> {
    with(kind::POLICIES, &[b"f", revision.as_bytes()])
}

pub(super) fn session(id: u32) -> Vec<u8> {
    with(kind::SESSION, &[&id.to_be_bytes()])
}

pub(super) fn intent(record: &RecordId, attempt: &AttemptId) -> Vec<u8> {
    with(kind::INTENT, &[record.as_bytes(), attempt.as_bytes()])
}

/// Ordered by the time since which it is garbage, which is never before 1970.
pub(super) fn garbage(since: Timestamp, seq: u64) -> Vec<u8> {
    let millis = u64::try_from(since.millis()).unwrap_or(0);
    with(kind::GARBAGE, &[&millis.to_be_bytes(), &seq.to_be_bytes()])
}

/// The name of a counter in the clear says no more than the site's own listing.
pub(super) fn counter(name: &[u8]) -> Vec<u8> {
    with(kind::COUNTER, &[name])
}

/// Which secondary rows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Secondary<'a> {
    Subject(&'a Pseudonym),
    Site(&'a SiteId),
    Instrument(&'a InstrumentId),
    /// Records with queued copies that are not stored yet.
    Pending,
}

impl Secondary<'_> {
    /// All rows of it begin so.
    pub(super) fn prefix(self) -> Vec<u8> {
        match self {
            Self::Subject(subject) => with(kind::BY_SUBJECT, &[subject.as_bytes()]),
            Self::Site(site) => with(kind::BY_SITE, &[site.as_str().as_bytes(), &[0]]),
            Self::Instrument(id) => with(kind::BY_INSTRUMENT, &[id.as_str().as_bytes(), &[0]]),
            Self::Pending => vec![kind::PENDING],
        }
    }

    /// The row that leads to a record.
    pub(super) fn row(self, bucket: BucketId, key: &str, ticket: Ticket) -> Vec<u8> {
        let mut row = self.prefix();
        row.extend_from_slice(&bucket.0.to_be_bytes());
        escape(key, &mut row);
        row.extend_from_slice(&END);
        row.extend_from_slice(&(!ticket.0).to_be_bytes());
        row
    }
}

/// Reads what follows a prefix in a secondary row.
pub(super) fn secondary_target(tail: &[u8]) -> Option<(BucketId, String, Ticket)> {
    let (bucket, rest) = tail.split_first_chunk::<8>()?;
    let (key, rest) = unescape(rest)?;
    let ticket = <[u8; 8]>::try_from(rest).ok()?;
    Some((BucketId(u64::from_be_bytes(*bucket)), key, Ticket(!u64::from_be_bytes(ticket))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Characters at the borders of UTF-8's lengths and of the escape.
    fn nasty() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            Just('\0'),
            Just('\u{1}'),
            Just('\u{2}'),
            Just('/'),
            Just('a'),
            Just('\u{7f}'),
            Just('\u{80}'),
            Just('\u{ffff}'),
            Just('\u{10ffff}'),
            any::<char>()
        ];
        prop::collection::vec(character, 0..6).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn rows_sort_as_their_keys_do(a in nasty(), b in nasty()) {
            let row = |key: &str| record(BucketId(7), key);
            prop_assert_eq!(a.as_bytes().cmp(b.as_bytes()), row(&a).cmp(&row(&b)));
            let whole = row(&a);
            let (key, rest) = unescape(&whole[9..]).unwrap();
            prop_assert_eq!((key, rest.len()), (a.clone(), 0));
            let prefix = under(kind::RECORD, BucketId(7), &a);
            prop_assert_eq!(b.starts_with(&a), row(&b).starts_with(&prefix));
            let next = successor(&prefix).unwrap();
            prop_assert_eq!(b.starts_with(&a) || b < a, row(&b) < next);
            prop_assert_eq!(b > a, row(&b) > after_key(kind::RECORD, BucketId(7), &a));
        }

        #[test]
        fn secondary_rows_lead_back(key in nasty(), bucket: u64, ticket: u64) {
            let site = SiteId::new("pk-khi").unwrap();
            let secondary = Secondary::Site(&site);
            let row = secondary.row(BucketId(bucket), &key, Ticket(ticket));
            let target = secondary_target(&row[secondary.prefix().len()..]).unwrap();
            prop_assert_eq!(target, (BucketId(bucket), key, Ticket(ticket)));
        }
    }
}
