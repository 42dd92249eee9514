//! Writes the journal: what the index has committed, sealed and stored in the countries that may know it.
//!
//! A segment follows a change within [`LAG`]; a change that somebody waits for (a delete, a retention) is written at once, with all that
//! has come meanwhile. A country's segments go to the first of its sites that takes them: a rebuild reads all sites.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::backend::Site;
use crate::index::journal::{Fact, Group, SEGMENT_VERSION, Segment, Taken};
use crate::objects::record_keys::{new_attempt_id, new_record_id};
use crate::objects::{ObjectError, Objects};
use crate::residency::Availability;
use crate::seal::{ExtentId, ExtentSealer, RecordKey, SealTarget};
use crate::telemetry::metric;
use crate::types::Country;

/// How old a change may become before it is written, when nobody waits for it.
const LAG: Duration = Duration::from_millis(800);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The bytes of facts that one segment holds at the most; with what encloses them they fit an extent.
const SEGMENT: usize = 6 * 1024 * 1024;
/// How often the lag is measured while nothing can be written.
const MEASURE: Duration = Duration::from_secs(1);

impl Objects {
    /// Writes every country's chain until the task is dropped. Meant to be spawned once.
    pub async fn keep_journal(&self) {
        let chains = self.index.journal_countries();
        join_all(chains.into_iter().map(|country| async move {
            tokio::join!(self.keep_chain(country), self.measure_chain(country));
        }))
        .await;
    }

    /// Writes what waits, for `most` at the longest; whether nothing waits any more.
    pub async fn finish_journal(&self, most: Duration) -> bool {
        let chains = self.index.journal_countries();
        let all = join_all(chains.into_iter().map(|country| self.write_all(country)));
        match tokio::time::timeout(most, all).await {
            Ok(written) => written.into_iter().all(|written| written.is_ok()),
            Err(_) => false,
        }
    }

    async fn write_all(&self, country: Country) -> Result<(), ObjectError> {
        while self.write_next(country).await? {}
        Ok(())
    }

    async fn keep_chain(&self, country: Country) {
        let mut pause = Duration::ZERO;
        loop {
            self.index.journal_due(country, LAG).await;
            match self.write_next(country).await {
                Ok(_) => pause = Duration::ZERO,
                Err(error) => {
                    pause = (pause * 2).clamp(Duration::from_millis(100), LONGEST_PAUSE);
                    tracing::warn!(%country, %error, "the journal cannot be written");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn measure_chain(&self, country: Country) {
        let gauge = metrics::gauge!(metric::JOURNAL_LAG, "country" => country.to_string());
        loop {
            gauge.set(self.index.journal_lag(country).lag.as_secs_f64());
            tokio::time::sleep(MEASURE).await;
        }
    }

    /// Writes the next segments of a chain; whether there was anything to write.
    async fn write_next(&self, country: Country) -> Result<bool, ObjectError> {
        let taken = self.index.journal_next(country).await?;
        let numbers: Vec<u64> = taken.groups.iter().map(|group| group.number).collect();
        for segment in segments(country, taken) {
            self.write_segment(&segment).await?;
        }
        fail::fail_point!("objects::journal-written", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        self.index.journal_written(country, &numbers);
        Ok(!numbers.is_empty())
    }

    /// Stores a segment at the first site of its country that takes it.
    async fn write_segment(&self, segment: &Segment) -> Result<(), ObjectError> {
        let country = segment.country;
        let text = segment.encode().map_err(|error| ObjectError::Internal(format!("journal: {error}")))?;
        let mut sites: Vec<_> = self.sites.iter().filter(|site| site.spec().country == country).collect();
        sites.sort_by_key(|site| !self.sites.is_up(&site.spec().id));
        let mut last = ObjectError::SiteUnavailable { country };
        for site in sites {
            match self.store_segment(site, segment.number, &text).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tracing::debug!(site = %site.spec().id, %error, "a segment of the journal goes elsewhere");
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn store_segment(&self, site: &Arc<Site>, number: u64, text: &[u8]) -> Result<(), ObjectError> {
        let target = SealTarget::of_site(site.spec());
        let key = self.site_key(site, &target).await?;
        let record = new_record_id();
        let key = RecordKey::create(&key, record, target.country())?;
        let mut sealer = ExtentSealer::new(&target, ExtentId::journal(record, new_attempt_id()), &key, text.len())?;
        sealer.push(text)?;
        let blob = sealer.finish_journal(number)?;
        site.store(&blob).await.map_err(|error| ObjectError::from_backend(target.country(), &error))?;
        Ok(())
    }
}

/// Cuts what is to be written into segments that fit an extent.
fn segments(country: Country, taken: Taken) -> Vec<Segment> {
    let Taken { groups, open, latest } = taken;
    let mut pieces: Vec<Vec<Group>> = Vec::new();
    let mut room = 0;
    for group in groups {
        let mut facts: Vec<Arc<Fact>> = Vec::new();
        for fact in group.facts {
            let size = fact.size();
            if size > room {
                if let Some(piece) = pieces.last_mut().filter(|_| !facts.is_empty()) {
                    piece.push(Group { number: group.number, facts: std::mem::take(&mut facts) });
                }
                pieces.push(Vec::new());
                room = SEGMENT;
            }
            room = room.saturating_sub(size);
            facts.push(fact);
        }
        // One with nothing to tell any more is written, too: the chain reaches its number.
        let group = Group { number: group.number, facts };
        match pieces.last_mut() {
            Some(piece) => piece.push(group),
            None => pieces.push(vec![group]),
        }
    }
    let ends: Vec<Option<u64>> = pieces.iter().map(|piece| piece.first().map(|group| group.number)).collect();
    let next_begins = ends.into_iter().skip(1).chain([None]);
    let segment = |(groups, next): (Vec<Group>, Option<u64>)| {
        let number = groups.last().map_or(0, |group| group.number);
        Segment {
            version: SEGMENT_VERSION,
            country,
            number,
            complete: next != Some(number),
            latest: latest.clone(),
            open: open.to_vec(),
            groups,
        }
    };
    pieces.into_iter().filter(|piece| !piece.is_empty()).zip(next_begins).map(segment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(row: u8, size: usize) -> Arc<Fact> {
        Arc::new(Fact { row: vec![row], body: Some(serde_bytes::ByteBuf::from(vec![0; size])), went: None })
    }

    #[test]
    fn facts_are_cut_into_segments_that_fit_an_extent_and_none_is_lost() {
        let group =
            |number, sizes: &[usize]| Group { number, facts: sizes.iter().map(|size| fact(number as u8, *size)).collect() };
        let large = SEGMENT / 3 * 2;
        let groups = vec![group(1, &[10, 20]), group(2, &[large, large, large]), group(3, &[1])];
        let all: Vec<(u64, Arc<Fact>)> =
            groups.iter().flat_map(|group| group.facts.iter().map(|fact| (group.number, Arc::clone(fact)))).collect();
        let cut = segments("PK".parse().unwrap(), Taken { groups, open: Arc::default(), latest: Default::default() });
        let ends: Vec<(u64, bool)> = cut.iter().map(|segment| (segment.number, segment.complete)).collect();
        assert_eq!(ends, [(2, false), (2, false), (3, true)]);
        let mut found = Vec::new();
        for segment in &cut {
            assert!(segment.encode().unwrap().len() <= crate::seal::EXTENT_SIZE);
            assert_eq!(Segment::decode(&segment.encode().unwrap()).unwrap(), *segment);
            found.extend(segment.groups.iter().flat_map(|group| group.facts.iter().map(|fact| (group.number, Arc::clone(fact)))));
        }
        assert_eq!(found, all);
    }
}
