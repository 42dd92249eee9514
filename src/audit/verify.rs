//! Checks a ledger offline.

use serde::{Deserialize, Serialize};

use super::{Frontier, entry};
use crate::{
    digest::{constant_time_eq, hmac_sha256},
    types::Timestamp,
};

/// How far the ledger has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerHead {
    /// The number of entries.
    pub size: u64,
    /// The root of their Merkle tree.
    #[serde(with = "hex_root")]
    pub root: [u8; 32],
    /// When the last one was written.
    pub time: Timestamp,
}

impl LedgerHead {
    /// HMAC-SHA-256 under the ledger key, so that nobody without it can write a head that fits a changed ledger.
    pub fn mac(&self, ledger_key: &[u8]) -> [u8; 32] {
        let size = self.size.to_be_bytes();
        hmac_sha256(ledger_key, &[b"domicile ledger head v1", &size, &self.root, &self.time.millis().to_be_bytes()])
    }

    /// Checks [`LedgerHead::mac`].
    pub fn check(&self, ledger_key: &[u8], mac: &[u8]) -> bool {
        constant_time_eq(&self.mac(ledger_key), mac)
    }
}

/// A ledger that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The number of entries.
    pub entries: u64,
    /// Their root.
    #[serde(with = "hex_root")]
    pub root: [u8; 32],
}

/// What is wrong with a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Some entry up to this one is not the one that was written.
    Edited,
    /// An entry is not there.
    Missing,
    /// An entry stands where another should.
    Reordered,
    /// An entry is there that was not written.
    Inserted,
    /// The end is not there.
    Truncated,
    /// It is whole, but an earlier state than one that is known: another, older ledger took its place.
    OlderLog,
    /// The gateway signed it, and it is not the one that is known: there are two histories.
    Fork,
    /// It is the ledger of another gateway.
    OtherLog,
    /// There are entries after the end, or the head is not the gateway's.
    BadHead,
    /// The entries hold, but hashes that lie beside them are not theirs.
    BadTile,
}

impl FaultKind {
    /// What happened, for people.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::Edited => "an entry up to here is not the one that was written",
            Self::Missing => "an entry was taken out",
            Self::Reordered => "entries changed places",
            Self::Inserted => "an entry was put in that was never written",
            Self::Truncated => "the end is cut off",
            Self::OlderLog => "it is an earlier state of the ledger than the checkpoint: what came after is kept back",
            Self::Fork => "the gateway signed another history than the one that the checkpoint is of",
            Self::OtherLog => "it is another ledger than the checkpoint's",
            Self::BadHead => "its head is not the gateway's, or entries come after it",
            Self::BadTile => "a tile of hashes is not that of the entries",
        }
    }
}

/// A ledger that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("ledger entry {seq}: {kind:?}")]
pub struct Fault {
    /// The entry that is wrong; where it is not known which, the last one that may be.
    pub seq: u64,
    /// The first one that may be.
    pub since: u64,
    /// What is wrong.
    pub kind: FaultKind,
}

impl Fault {
    /// At a certain entry.
    pub const fn at(seq: u64, kind: FaultKind) -> Self {
        Self { seq, since: seq, kind }
    }
}

/// The head that comes with the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// The number of entries.
    pub size: u64,
    /// Their root.
    pub root: [u8; 32],
    /// Whether it is certain that the gateway made it. If so, and it fits the entries but not a head that is held, the ledger is forked;
    /// else somebody may have computed it anew.
    pub authentic: bool,
}

/// An entry that stands where the one with the next number should.
#[derive(Debug, Clone, Copy)]
struct Odd {
    at: u64,
    number: u64,
    /// Whether the number that was due came later, and whether this one came again.
    due_came: bool,
    came_again: bool,
}

/// Checks entries one after the other against known heads: those noted earlier, in any order, and the ledger's own. It wants to see all
/// entries, also behind a wrong one: what follows tells what was done.
#[derive(Debug)]
pub struct Verifier<'h> {
    frontier: Frontier,
    heads: &'h [LedgerHead],
    own: Option<Own>,
    /// The largest head that the entries are those of, and the smallest held one that they are not.
    right: u64,
    wrong: Option<u64>,
    own_wrong: bool,
    odd: Option<Odd>,
    garbled: Option<u64>,
}

impl<'h> Verifier<'h> {
    /// Begins with the first entry.
    pub fn new(heads: &'h [LedgerHead], own: Option<Own>) -> Self {
        let frontier = Frontier::default();
        let mut verifier = Self { frontier, heads, own, right: 0, wrong: None, own_wrong: false, odd: None, garbled: None };
        verifier.compare();
        verifier
    }

    /// Takes the next entry.
    pub fn push(&mut self, leaf: &[u8]) {
        let due = self.frontier.size();
        let Some(found) = entry::sequence(leaf) else {
            self.garbled.get_or_insert(due);
            return;
        };
        match &mut self.odd {
            Some(odd) => {
                odd.due_came |= found == odd.at;
                odd.came_again |= found == odd.number;
            }
            None if self.garbled.is_some() => {}
            // All lower numbers have come: this one comes for the second time.
            None if found != due => self.odd = Some(Odd { at: due, number: found, due_came: false, came_again: found < due }),
            None => {
                self.frontier.push(leaf);
                self.compare();
            }
        }
    }

    /// Sets the head that comes with the entries, where it is known only behind them.
    pub fn end_with(&mut self, own: Own) {
        self.own = Some(own);
        self.compare();
    }

    /// There are no more entries.
    pub fn finish(self) -> Result<Report, Fault> {
        let entries = self.frontier.size();
        let fault = |seq, kind| Err(Fault::at(seq, kind));
        let before =
            |size: u64, kind| Err(Fault { seq: size.saturating_sub(1), since: self.right.min(size.saturating_sub(1)), kind });
        if let Some(seq) = self.garbled.filter(|seq| self.odd.is_none_or(|odd| *seq < odd.at)) {
            return fault(seq, FaultKind::Edited);
        }
        match self.odd {
            Some(Odd { at, came_again: true, .. }) => return fault(at, FaultKind::Inserted),
            Some(Odd { at, due_came: true, .. }) => return fault(at, FaultKind::Reordered),
            Some(Odd { at, .. }) => return fault(at, FaultKind::Missing),
            None => {}
        }
        if let Some(own) = &self.own {
            if entries < own.size {
                return fault(entries, FaultKind::Truncated);
            }
            if self.own_wrong {
                let size = self.wrong.map_or(own.size, |size| size.min(own.size));
                return before(size, FaultKind::Edited);
            }
            if entries > own.size {
                return fault(own.size, FaultKind::BadHead);
            }
        }
        if let Some(size) = self.wrong {
            let forked = self.own.is_some_and(|own| own.authentic);
            return before(size, if forked { FaultKind::Fork } else { FaultKind::Edited });
        }
        if self.heads.iter().any(|head| head.size > entries) {
            return fault(entries, if self.own.is_some() { FaultKind::OlderLog } else { FaultKind::Truncated });
        }
        Ok(Report { entries, root: self.frontier.root() })
    }

    fn compare(&mut self) {
        let size = self.frontier.size();
        let own = self.own.filter(|own| own.size == size);
        if own.is_none() && !self.heads.iter().any(|head| head.size == size) {
            return;
        }
        let root = self.frontier.root();
        self.own_wrong |= own.is_some_and(|own| own.root != root);
        if self.heads.iter().any(|head| head.size == size && head.root != root) {
            self.wrong.get_or_insert(size);
        } else if self.wrong.is_none() && !self.own_wrong {
            self.right = size;
        }
    }
}

/// [`Verifier`] over all entries.
pub fn verify<E: AsRef<[u8]>>(entries: impl IntoIterator<Item = E>, heads: &[LedgerHead]) -> Result<Report, Fault> {
    let mut verifier = Verifier::new(heads, None);
    for leaf in entries {
        verifier.push(leaf.as_ref());
    }
    verifier.finish()
}

mod hex_root {
    //! A root as hex.

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(root: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(root))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        let mut root = [0; 32];
        hex::decode_to_slice(text, &mut root).map_err(D::Error::custom)?;
        Ok(root)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Actor, Asked, Event, Kind},
        *,
    };

    fn leaf(seq: u64, kind: Kind) -> Vec<u8> {
        entry::leaf(seq, Timestamp::default(), &Event::new(kind, Actor::System)).unwrap()
    }

    fn head(leaves: &[Vec<u8>]) -> LedgerHead {
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(leaf));
        LedgerHead { size: frontier.size(), root: frontier.root(), time: Timestamp::default() }
    }

    fn ledger(count: u64) -> (Vec<Vec<u8>>, LedgerHead) {
        let leaves: Vec<_> = (0..count).map(|seq| leaf(seq, Kind::AuditQuery)).collect();
        let head = head(&leaves);
        (leaves, head)
    }

    fn own(head: LedgerHead, authentic: bool) -> Own {
        Own { size: head.size, root: head.root, authentic }
    }

    fn checked(leaves: &[Vec<u8>], held: &[LedgerHead], own: Option<Own>) -> Result<Report, Fault> {
        let mut verifier = Verifier::new(held, own);
        leaves.iter().for_each(|leaf| verifier.push(leaf));
        verifier.finish()
    }

    #[test]
    fn finds_every_kind_of_change() {
        let (leaves, last) = ledger(20);
        assert_eq!(verify(&leaves, &[last]).unwrap().entries, 20);
        let fault = |leaves: &[Vec<u8>]| verify(leaves, &[last]).unwrap_err();

        let mut edited = leaves.clone();
        edited[7] = leaf(7, Kind::AdminAction);
        assert_eq!(fault(&edited), Fault { seq: 19, since: 0, kind: FaultKind::Edited });
        let earlier = [ledger(9).1, ledger(4).1];
        let found = verify(&edited, &[earlier.as_slice(), &[last]].concat()).unwrap_err();
        assert_eq!(found, Fault { seq: 8, since: 4, kind: FaultKind::Edited });
        edited[5] = b"not JSON".to_vec();
        assert_eq!(fault(&edited), Fault::at(5, FaultKind::Edited));

        for gone in [1, 3] {
            let mut missing = leaves.clone();
            missing.drain(7..7 + gone);
            assert_eq!(fault(&missing), Fault::at(7, FaultKind::Missing));
        }
        for to in [4, 9, 19] {
            let mut reordered = leaves.clone();
            reordered.swap(3, to);
            assert_eq!(fault(&reordered), Fault::at(3, FaultKind::Reordered));
        }
        for (at, number) in [(3, 2), (3, 3), (3, 9)] {
            let mut inserted = leaves.clone();
            inserted.insert(at, leaf(number, Kind::Started));
            let seq = at as u64 + u64::from(number == 3);
            assert_eq!(fault(&inserted), Fault::at(seq, FaultKind::Inserted), "{number} at {at}");
        }
        assert_eq!(fault(&leaves[..19]), Fault::at(19, FaultKind::Truncated));
        let (more, _) = ledger(21);
        assert_eq!(checked(&more, &[], Some(own(last, true))), Err(Fault::at(20, FaultKind::BadHead)));
        assert!(!last.check(b"key", &last.mac(b"other key")));
        assert!(last.check(b"key", &last.mac(b"key")));
    }

    /// Whoever holds the gateway's key, or an old copy of everything, is found out by what somebody else holds.
    #[test]
    fn a_ledger_that_holds_in_itself_is_held_against_what_is_known() {
        let (leaves, held) = ledger(20);
        let held = [held];
        let (older, old) = ledger(15);
        assert_eq!(checked(&older, &held, Some(own(old, true))), Err(Fault::at(15, FaultKind::OlderLog)));
        assert_eq!(checked(&older, &held, Some(own(held[0], true))), Err(Fault::at(15, FaultKind::Truncated)));
        let mut other = [leaves.clone(), vec![leaf(20, Kind::Started)]].concat();
        assert!(checked(&other, &held, Some(own(head(&other), true))).is_ok());
        other[12] = leaf(12, Kind::AdminAction);
        let rewritten = own(head(&other), false);
        assert_eq!(checked(&other, &held, Some(rewritten)), Err(Fault { seq: 19, since: 0, kind: FaultKind::Edited }));
        let signed = own(head(&other), true);
        assert_eq!(checked(&other, &held, Some(signed)), Err(Fault { seq: 19, since: 0, kind: FaultKind::Fork }));
        assert_eq!(checked(&other[..20], &held, Some(own(head(&other[..20]), true))).unwrap_err().kind, FaultKind::Fork);
        // A head that is known only in the end says the same, but what of entries behind it.
        let ended = |leaves: &[Vec<u8>], own| {
            let mut verifier = Verifier::new(&held, None);
            leaves.iter().for_each(|leaf| verifier.push(leaf));
            verifier.end_with(own);
            verifier.finish()
        };
        assert_eq!(ended(&older, own(old, true)), Err(Fault::at(15, FaultKind::OlderLog)));
        assert_eq!(ended(&older, own(held[0], true)), Err(Fault::at(15, FaultKind::Truncated)));
        assert_eq!(ended(&other, signed), Err(Fault { seq: 19, since: 0, kind: FaultKind::Fork }));
        assert_eq!(ended(&leaves, own(LedgerHead { root: [1; 32], ..held[0] }, true)).unwrap_err().kind, FaultKind::Edited);
        assert_eq!(ended(&leaves, own(old, true)), Err(Fault::at(15, FaultKind::BadHead)));
        assert!(ended(&leaves, own(held[0], true)).is_ok());
        // Entries that are not those of a head that the gateway made were changed after it.
        assert_eq!(checked(&other[..20], &[], Some(own(held[0], true))).unwrap_err().kind, FaultKind::Edited);
    }

    #[test]
    fn the_form_of_a_leaf_does_not_change() {
        let mut event = Event::new(Kind::PutObject, Actor::Anonymous).refused("AccessDenied");
        event.size = Some(3);
        let line = String::from_utf8(entry::leaf(5, Timestamp::default(), &event).unwrap()).unwrap();
        assert_eq!(
            line,
            r#"{"v":1,"seq":5,"time":"1970-01-01T00:00:00.000Z","kind":"put-object","actor":"anonymous","size":3,"outcome":{"refused":{"code":"AccessDenied"}}}"#
        );
        let mut event = Event::new(Kind::AuditQuery, Actor::System);
        event.query =
            Some(Box::new(Asked { route: "GET /v1/ledger/entries", from: Some(7), limit: Some(9), ..Asked::default() }));
        let line = String::from_utf8(entry::leaf(6, Timestamp::default(), &event).unwrap()).unwrap();
        assert_eq!(
            line,
            r#"{"v":1,"seq":6,"time":"1970-01-01T00:00:00.000Z","kind":"audit-query","actor":"system","outcome":"ok","query":{"route":"GET /v1/ledger/entries","from":7,"limit":9}}"#
        );
    }
}
