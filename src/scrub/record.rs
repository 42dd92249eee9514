//! What is found goes into the index and the ledger, once, and out of the index when it is so no longer.

use super::run::Scrub;
use crate::{
    audit::{Actor, Event, Kind},
    digest,
    index::{Change, Finding},
    objects::{ObjectError, Objects},
    telemetry::metric,
};

/// Findings that one scrub records one by one, at the most: a bucket full of strangers must not fill the ledger. The rest is counted, and stands in the
/// entry at its end.
const MOST_RECORDED: usize = 100_000;

impl Scrub<'_> {
    /// Keeps a finding; one that stands already keeps its date and gets no second entry.
    pub(super) async fn found(&self, mut finding: Finding) -> Result<Finding, ObjectError> {
        {
            let mut seen = self.seen.lock();
            if seen.len() >= MOST_RECORDED {
                self.counting.found(&finding);
                return Ok(finding);
            }
            if !seen.insert(id(&finding)) {
                return Ok(finding);
            }
        }
        let standing = self.objects.index.finding(&finding)?;
        if let Some(standing) = &standing {
            finding.since = standing.since;
        }
        self.counting.found(&finding);
        if standing.is_none() {
            tracing::warn!(site = %finding.site, class = finding.class.as_str(), name = finding.name, "scrub");
            metrics::counter!(metric::SCRUB_FINDINGS, "class" => finding.class.as_str()).increment(1);
            let event = event(self.objects, Kind::Found, &finding)?;
            self.objects.index.commit(Change::Found(Box::new(finding.clone())), event).await?;
        }
        Ok(finding)
    }

    /// Records that a finding has been put right.
    pub(super) async fn repaired(&self, finding: Finding) -> Result<(), ObjectError> {
        self.counting.repaired(&finding);
        let event = event(self.objects, Kind::Repaired, &finding)?;
        self.objects.index.commit(Change::Cleared(Box::new(finding)), event).await?;
        Ok(())
    }

    /// Records that what was found earlier is so no longer.
    pub(super) async fn clear(&self, finding: Finding) -> Result<(), ObjectError> {
        let event = event(self.objects, Kind::Cleared, &finding)?;
        self.objects.index.commit(Change::Cleared(Box::new(finding)), event).await?;
        Ok(())
    }

    pub(super) fn has_seen(&self, finding: &Finding) -> bool {
        self.seen.lock().contains(&id(finding))
    }
}

/// What the ledger says of a finding: everything but names and text. Of a record that is no version of its key any more the key stays out: it can have
/// been that of somebody who is erased by now, and somebody else's since.
fn event(objects: &Objects, kind: Kind, finding: &Finding) -> Result<Event, ObjectError> {
    let pseudonyms = &objects.pseudonyms;
    let mut event = Event {
        bucket: finding.bucket.as_ref().map(|bucket| pseudonyms.bucket(bucket)),
        record: finding.record,
        version: finding.version,
        countries: vec![finding.country],
        sites: vec![finding.site.clone()],
        finding: Some(finding.class.as_str()),
        ..Event::new(kind, Actor::System)
    };
    if let Some(record) = objects.found_of(finding)? {
        event.whose = record.detail.placement.subject.as_ref().map(|subject| pseudonyms.subject(subject));
        event.key = finding.bucket.as_ref().zip(finding.key.as_ref()).map(|(bucket, key)| pseudonyms.key(bucket, key));
    }
    Ok(event)
}

fn id(finding: &Finding) -> [u8; 32] {
    let (class, site, name) = finding.id();
    digest::sha256(format!("{}/{site}/{name}", class.as_str()).as_bytes())
}
