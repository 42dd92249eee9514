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

/// What the ledger says of a finding: everything but names and text. A key at which nothing is any more can have been that of somebody who is
/// erased by now, and stays out of it.
fn event(objects: &Objects, kind: Kind, finding: &Finding) -> Result<Event, ObjectError> {
    let bucket = finding.bucket.as_ref();
    let mut place = bucket.zip(finding.key.as_ref());
    let whose = place.map(|(bucket, key)| objects.index.whose(bucket, key)).transpose()?.flatten();
    if let Some((bucket, key)) = place.filter(|_| whose.is_none()) {
        let bucket = objects.index.bucket(bucket)?;
        let there = bucket.map(|bucket| objects.index.latest(&bucket, key)).transpose()?.flatten();
        place = place.filter(|_| there.is_some());
    }
    Ok(Event {
        whose,
        bucket: bucket.map(|bucket| objects.pseudonyms.bucket(bucket)),
        key: place.map(|(bucket, key)| objects.pseudonyms.key(bucket, key)),
        record: finding.record,
        version: finding.version,
        countries: vec![finding.country],
        sites: vec![finding.site.clone()],
        finding: Some(finding.class.as_str()),
        ..Event::new(kind, Actor::System)
    })
}

fn id(finding: &Finding) -> [u8; 32] {
    let (class, site, name) = finding.id();
    digest::sha256(format!("{}/{site}/{name}", class.as_str()).as_bytes())
}
