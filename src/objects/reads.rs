//! Reads of content, in the ledger where the configuration wants them there.
//!
//! The entry is durable before the first byte leaves: it goes with the group commits of the writes, beside the site's answer, so such a read takes as
//! long as the slower of the two. It says that content was let out, not that all of it arrived: a site can fail behind it, and a client go away. A
//! read whose entry cannot be written is not answered, and none is summed up.

use std::sync::Arc;

use crate::audit::{Event, Kind};
use crate::index::{CopyRow, Record};
use crate::objects::{ObjectError, Objects, Request};
use crate::types::{BucketName, Country, ObjectKey};

/// Which reads of content are in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordedReads {
    /// Every one.
    All,
    /// Those by whoever processes in a country in which the record has no copy. Of whom nobody knows where that is, none.
    #[default]
    CrossBorder,
    /// None.
    None,
}

impl RecordedReads {
    fn wants(self, reader: Option<Country>, copies: &[CopyRow]) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::CrossBorder => {
                reader.is_some_and(|reader| !copies.iter().any(|copy| copy.is_stored() && copy.country == reader))
            }
        }
    }
}

impl Objects {
    /// Says which reads are in the ledger, from now on.
    pub fn set_recorded_reads(&self, reads: RecordedReads) {
        self.0.recorded_reads.store(Arc::new(reads));
    }

    /// What the ledger is to say of a read of `length` bytes of a record before the first of them leaves; nothing where it need not.
    pub(super) fn entry_of_read(
        &self,
        request: &Request<'_>,
        (bucket, key): (&BucketName, &ObjectKey),
        record: &Record,
        length: u64,
    ) -> Option<Box<Event>> {
        let copies = &record.detail.copies;
        let reader = self.residency.reader_country(request.auth);
        if !self.0.recorded_reads.load().wants(reader, copies) {
            return None;
        }
        let event = record.summary.describe(self.event(request, Kind::GetObject, bucket, Some(key)));
        Some(Box::new(Event {
            subject: record.detail.placement.subject.as_ref().map(|subject| self.pseudonyms.subject(subject)),
            size: Some(length),
            countries: copies.iter().filter(|copy| copy.is_stored()).map(|copy| copy.country).collect(),
            reader,
            ..event
        }))
    }

    /// Writes that entry.
    ///
    /// # Errors
    /// Only those of the index.
    pub(super) async fn record_read(&self, entry: Option<Box<Event>>) -> Result<(), ObjectError> {
        match entry {
            Some(event) => self.record(*event).await,
            None => Ok(()),
        }
    }
}
