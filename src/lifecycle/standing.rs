//! What each version is to its key: told from the order of a listing, across its pages.

use crate::bucket::MAX_KEPT;
use crate::index::VersionItem;
use crate::types::{Ticket, Timestamp};

/// What a version is to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The newest, with bytes.
    Current,
    /// Something newer stands before it.
    Noncurrent {
        /// Since when: that was written.
        since: Timestamp,
        /// What stands right before it.
        behind: Ticket,
        /// How many noncurrent versions with bytes are newer.
        newer: u32,
    },
    /// A delete marker that is all there is.
    LoneMarker,
}

/// The versions of a bucket in the order of a listing: by key, the newest first.
///
/// A listing is no snapshot. A key that is written while it is read can show a version twice, as current and then as noncurrent, or its
/// versions out of order; then nothing tells since when which of them is noncurrent, and no more is told of that key.
#[derive(Debug, Default)]
pub(super) struct Walk {
    before: Option<Before>,
    /// The newest of its key and a delete marker; whether it is alone is told by what follows.
    marker: Option<VersionItem>,
}

/// What came last.
#[derive(Debug)]
struct Before {
    key: String,
    written: Timestamp,
    ticket: Ticket,
    /// The noncurrent versions of the key with bytes: the newest of them, as many as any rule can keep.
    kept: Vec<Ticket>,
    /// How many there were.
    noncurrent: u32,
    /// Whether the key was written meanwhile.
    moved: bool,
}

impl Walk {
    /// Takes the next version; gives what can be told now.
    pub(super) fn next(&mut self, item: VersionItem) -> Vec<(VersionItem, Standing)> {
        let mut told = Vec::with_capacity(2);
        let same_key = self.before.as_ref().is_some_and(|before| before.key == item.key);
        if let Some(marker) = self.marker.take().filter(|_| !same_key) {
            told.push((marker, Standing::LoneMarker));
        }
        let ticket = item.summary.ticket;
        let Some(before) = self.before.as_mut().filter(|_| same_key) else {
            self.before = Some(Before {
                key: item.key.clone(),
                written: item.summary.modified,
                ticket,
                kept: Vec::new(),
                noncurrent: 0,
                moved: false,
            });
            match (item.is_latest, item.summary.delete_marker) {
                (true, false) => told.push((item, Standing::Current)),
                (true, true) => self.marker = Some(item),
                // What stands before it went while the listing was read: the next walk tells.
                (false, _) => {}
            }
            return told;
        };
        before.moved |= item.is_latest || ticket >= before.ticket;
        if before.moved {
            return told;
        }
        let standing = Standing::Noncurrent { since: before.written, behind: before.ticket, newer: before.noncurrent };
        (before.written, before.ticket) = (item.summary.modified, ticket);
        if !item.summary.delete_marker {
            before.noncurrent = before.noncurrent.saturating_add(1);
            if before.kept.len() < MAX_KEPT as usize {
                before.kept.push(ticket);
            }
        }
        told.push((item, standing));
        told
    }

    /// The `count` newest of the noncurrent versions with bytes that the key which was told of last has, or as many as it has.
    pub(super) fn newest(&self, count: u32) -> &[Ticket] {
        let kept = self.before.as_ref().map_or(&[][..], |before| &before.kept);
        kept.get(..usize::try_from(count).unwrap_or(usize::MAX)).unwrap_or(kept)
    }

    /// Ends the walk.
    pub(super) fn end(self) -> Option<(VersionItem, Standing)> {
        self.marker.map(|marker| (marker, Standing::LoneMarker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Summary;
    use crate::types::{AccountId, RecordId, VersionId};

    /// Of a version its key, whether it is the newest, whether it is a delete marker, and when it was written: its ticket, too.
    fn item(&(key, is_latest, delete_marker, seconds): &(&str, bool, bool, u32)) -> VersionItem {
        VersionItem {
            key: key.to_owned(),
            summary: Summary {
                id: RecordId::from_bytes([0; 16]),
                version: VersionId::Null,
                ticket: Ticket(seconds.into()),
                modified: Timestamp::from_seconds(seconds.into()),
                size: 1,
                etag: "900150983cd24fb0d6963f7d28e17f72".parse().unwrap(),
                checksum_algorithm: None,
                owner: AccountId::new("domicile").unwrap(),
                delete_marker,
            },
            is_latest,
            noncurrent_since: None,
        }
    }

    fn walked(versions: &[(&str, bool, bool, u32)]) -> Vec<(String, Standing)> {
        let mut walk = Walk::default();
        let mut told: Vec<_> = versions.iter().flat_map(|version| walk.next(item(version))).collect();
        told.extend(walk.end());
        told.into_iter().map(|(item, standing)| (item.key, standing)).collect()
    }

    fn noncurrent(seconds: u32, newer: u32) -> Standing {
        Standing::Noncurrent { since: Timestamp::from_seconds(seconds.into()), behind: Ticket(seconds.into()), newer }
    }

    #[test]
    fn a_version_is_noncurrent_since_the_next_was_written() {
        let told = walked(&[("a", true, false, 9), ("a", false, false, 7), ("a", false, true, 5), ("a", false, false, 3)]);
        let standings: Vec<_> = told.into_iter().map(|(_, standing)| standing).collect();
        assert_eq!(standings, [Standing::Current, noncurrent(9, 0), noncurrent(7, 1), noncurrent(5, 1)]);
    }

    #[test]
    fn a_marker_is_alone_when_another_key_or_nothing_follows() {
        let told = walked(&[("a", true, true, 9), ("b", true, true, 8), ("b", false, false, 7), ("c", true, true, 6)]);
        let expected = [("a", Standing::LoneMarker), ("b", noncurrent(8, 0)), ("c", Standing::LoneMarker)];
        assert_eq!(told, expected.map(|(key, standing)| (key.to_owned(), standing)));
    }

    #[test]
    fn what_lost_its_newer_version_meanwhile_is_left_alone() {
        assert_eq!(walked(&[("a", false, false, 5), ("b", true, false, 4)]), [("b".to_owned(), Standing::Current)]);
    }

    /// The rows of current versions are read before those of the others: what is overwritten in between is there twice.
    #[test]
    fn of_a_key_that_is_written_meanwhile_no_more_is_told() {
        let current = |key: &str| (key.to_owned(), Standing::Current);
        for (versions, expected) in [
            (&[("a", true, false, 5), ("a", false, false, 5), ("a", false, false, 3), ("b", true, false, 4)][..], 2),
            (&[("a", true, false, 5), ("a", false, true, 9), ("a", false, false, 5), ("b", true, false, 4)], 2),
            (&[("a", true, false, 5), ("a", true, false, 3), ("b", true, false, 4)], 2),
        ] {
            assert_eq!(walked(versions), [current("a"), current("b")][..expected], "{versions:?}");
        }
        let again = walked(&[("a", true, false, 9), ("a", false, false, 3), ("a", false, false, 8), ("a", false, false, 2)]);
        assert_eq!(again.len(), 2);
    }

    #[test]
    fn the_newest_versions_with_bytes_are_those_that_a_rule_keeps() {
        let mut walk = Walk::default();
        for version in [("a", true, false, 500), ("a", false, true, 499)] {
            walk.next(item(&version));
        }
        assert!(walk.newest(9).is_empty());
        for seconds in (1..=200).rev() {
            walk.next(item(&("a", false, false, seconds)));
        }
        assert_eq!(walk.newest(2), [Ticket(200), Ticket(199)]);
        assert_eq!((walk.newest(100).len(), walk.newest(u32::MAX).len()), (100, 100));
        walk.next(item(&("b", true, false, 1)));
        assert!(walk.newest(2).is_empty());
    }
}
