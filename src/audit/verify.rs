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

impl Report {
    /// Checks that nothing comes after the ledger's own head.
    pub fn ends_at(self, head: &LedgerHead) -> Result<Self, Fault> {
        let fault = Fault { seq: head.size, kind: FaultKind::BadHead };
        if self.entries > head.size { Err(fault) } else { Ok(self) }
    }
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
    /// The end is not there.
    Truncated,
    /// There are entries after the end, or the head is not the gateway's.
    BadHead,
}

/// A ledger that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("ledger entry {seq}: {kind:?}")]
pub struct Fault {
    /// The first entry that is wrong; for [`FaultKind::Edited`], the last one that may be.
    pub seq: u64,
    /// What is wrong.
    pub kind: FaultKind,
}

/// Checks entries one after the other against known heads: the ledger's own and those noted earlier, in any order.
#[derive(Debug)]
pub struct Verifier<'h> {
    frontier: Frontier,
    heads: &'h [LedgerHead],
}

impl<'h> Verifier<'h> {
    /// Begins with the first entry.
    pub fn new(heads: &'h [LedgerHead]) -> Result<Self, Fault> {
        let frontier = Frontier::default();
        check_heads(&frontier, heads)?;
        Ok(Self { frontier, heads })
    }

    /// Takes the next entry.
    pub fn push(&mut self, leaf: &[u8]) -> Result<(), Fault> {
        let seq = self.frontier.size();
        match entry::sequence(leaf) {
            Some(found) if found == seq => {}
            Some(found) if found == seq + 1 => return Err(Fault { seq, kind: FaultKind::Missing }),
            Some(_) => return Err(Fault { seq, kind: FaultKind::Reordered }),
            None => return Err(Fault { seq, kind: FaultKind::Edited }),
        }
        self.frontier.push(leaf);
        check_heads(&self.frontier, self.heads)
    }

    /// There are no more entries.
    pub fn finish(self) -> Result<Report, Fault> {
        let entries = self.frontier.size();
        if self.heads.iter().any(|head| head.size > entries) {
            return Err(Fault { seq: entries, kind: FaultKind::Truncated });
        }
        Ok(Report { entries, root: self.frontier.root() })
    }
}

/// [`Verifier`] over all entries.
pub fn verify<E: AsRef<[u8]>>(entries: impl IntoIterator<Item = E>, heads: &[LedgerHead]) -> Result<Report, Fault> {
    let mut verifier = Verifier::new(heads)?;
    for leaf in entries {
        verifier.push(leaf.as_ref())?;
    }
    verifier.finish()
}

fn check_heads(frontier: &Frontier, heads: &[LedgerHead]) -> Result<(), Fault> {
    let wrong = |head: &LedgerHead| head.size == frontier.size() && head.root != frontier.root();
    if heads.iter().any(wrong) {
        return Err(Fault { seq: frontier.size().saturating_sub(1), kind: FaultKind::Edited });
    }
    Ok(())
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

    fn ledger(count: u64) -> (Vec<Vec<u8>>, LedgerHead) {
        let event = Event::new(Kind::AuditQuery, Actor::System);
        let leaves: Vec<_> = (0..count).map(|seq| entry::leaf(seq, Timestamp::default(), &event).unwrap()).collect();
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(leaf));
        (leaves, LedgerHead { size: count, root: frontier.root(), time: Timestamp::default() })
    }

    #[test]
    fn finds_every_kind_of_change() {
        let (leaves, head) = ledger(20);
        assert_eq!(verify(&leaves, &[head]).unwrap().entries, 20);
        let kind = |leaves: &[Vec<u8>]| verify(leaves, &[head]).unwrap_err();

        let mut edited = leaves.clone();
        edited[7] = String::from_utf8(edited[7].clone()).unwrap().replace("audit-query", "admin-action").into_bytes();
        assert_eq!(kind(&edited).kind, FaultKind::Edited);
        let (_, earlier) = ledger(9);
        assert_eq!(verify(&edited, &[head, earlier]).unwrap_err(), Fault { seq: 8, kind: FaultKind::Edited });

        let mut missing = leaves.clone();
        missing.remove(7);
        assert_eq!(kind(&missing), Fault { seq: 7, kind: FaultKind::Missing });
        let mut reordered = leaves.clone();
        reordered.swap(3, 9);
        assert_eq!(kind(&reordered), Fault { seq: 3, kind: FaultKind::Reordered });
        assert_eq!(kind(&leaves[..19]), Fault { seq: 19, kind: FaultKind::Truncated });
        let (more, _) = ledger(21);
        let report = verify(&more, &[head]).unwrap();
        assert_eq!(report.ends_at(&head), Err(Fault { seq: 20, kind: FaultKind::BadHead }));
        assert!(!head.check(b"key", &head.mac(b"other key")));
        assert!(head.check(b"key", &head.mac(b"key")));
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
