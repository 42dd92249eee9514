//! What each version is to its key: told from the order of a listing, across its pages.

use crate::index::VersionItem;
use crate::types::Timestamp;

/// What a version is to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The newest, with bytes.
    Current,
    /// Something newer stands before it.
    Noncurrent {
        /// Since when.
        since: Timestamp,
        /// How many noncurrent versions with bytes are newer.
        newer: u32,
    },
    /// A delete marker that is all there is.
    LoneMarker,
}

/// The versions of a bucket in the order of a listing: by key, the newest first.
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
    noncurrent: u32,
}

impl Walk {
    /// Takes the next version; gives what can be told now.
    pub(super) fn next(&mut self, item: VersionItem) -> Vec<(VersionItem, Standing)> {
        let mut told = Vec::with_capacity(2);
        let same_key = self.before.as_ref().is_some_and(|before| before.key == item.key);
        if let Some(marker) = self.marker.take().filter(|_| !same_key) {
            told.push((marker, Standing::LoneMarker));
        }
        let before = self.before.take().filter(|_| same_key);
        let with_bytes = !item.summary.delete_marker;
        let newer = before.as_ref().map_or(0, |before| before.noncurrent);
        let noncurrent = newer.saturating_add(u32::from(with_bytes && !item.is_latest));
        self.before = Some(Before { key: item.key.clone(), written: item.summary.modified, noncurrent });
        match before {
            _ if item.is_latest && with_bytes => told.push((item, Standing::Current)),
            _ if item.is_latest => self.marker = Some(item),
            Some(before) => told.push((item, Standing::Noncurrent { since: before.written, newer })),
            // What stands before it went while the listing was read: the next walk tells.
            None => {}
        }
        told
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
    use crate::types::{AccountId, RecordId, Ticket, VersionId};

    /// Of each version its key, whether it is the newest, whether it is a delete marker, and when it was written.
    fn walked(versions: &[(&str, bool, bool, i64)]) -> Vec<(String, Standing)> {
        let item = |&(key, is_latest, delete_marker, seconds): &(&str, bool, bool, i64)| VersionItem {
            key: key.to_owned(),
            summary: Summary {
                id: RecordId::from_bytes([0; 16]),
                version: VersionId::Null,
                ticket: Ticket(1),
                modified: Timestamp::from_seconds(seconds),
                size: 1,
                etag: "900150983cd24fb0d6963f7d28e17f72".parse().unwrap(),
                checksum_algorithm: None,
                owner: AccountId::new("domicile").unwrap(),
                delete_marker,
            },
            is_latest,
            noncurrent_since: None,
        };
        let mut walk = Walk::default();
        let mut told: Vec<_> = versions.iter().flat_map(|version| walk.next(item(version))).collect();
        told.extend(walk.end());
        told.into_iter().map(|(item, standing)| (item.key, standing)).collect()
    }

    fn noncurrent(seconds: i64, newer: u32) -> Standing {
        Standing::Noncurrent { since: Timestamp::from_seconds(seconds), newer }
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
}
