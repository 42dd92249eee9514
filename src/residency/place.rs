//! From signals to a placement.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use super::{
    Availability, Directory, Placement, PlacementRecord, PlannedCopy, PrincipalFacts, Refusal, Signals, SiteSpec, SourceFacts,
    choose::Sites,
    collect::Collected,
    judge::{judge, not_too_many, origins},
    placement::Origin,
};
use crate::{
    authn::{Authenticated, Principal},
    clock::Clock,
    policy::{AttributeSource, Gateway, PolicySet, SubjectSource},
    types::{BucketName, Country, KeyId, ObjectKey, SiteId, Timestamp},
};

/// Decides where records live.
pub struct Residency {
    pub(super) policies: Arc<ArcSwap<PolicySet>>,
    pub(super) sites: Sites,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) availability: Arc<dyn Availability>,
    pub(super) clock: Arc<dyn Clock>,
    /// Where this gateway processes.
    pub(super) country: Option<Country>,
}

impl Residency {
    /// `sites` in the order of the configuration, which is the order of failover inside a country; copies go to `sites_per_country` sites of
    /// each country (at least 1, and to all of a country that has fewer).
    pub fn new(
        policies: Arc<ArcSwap<PolicySet>>,
        sites: Vec<SiteSpec>,
        sites_per_country: usize,
        directory: Arc<dyn Directory>,
        availability: Arc<dyn Availability>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mut keys = BTreeMap::new();
        for site in &sites {
            keys.entry(site.country).or_insert_with(|| site.key.clone());
        }
        let sites = Sites { all: sites, keys, per_country: sites_per_country.max(1) };
        Self { policies, sites, directory, availability, clock, country: None }
    }

    /// Names the key of each country, for instruments that ask for the key of another country than the copy's. Without this, a
    /// country's key is that of its first site.
    #[must_use]
    pub fn with_keys(mut self, keys: BTreeMap<Country, KeyId>) -> Self {
        self.sites.keys.extend(keys);
        self
    }

    /// Says in which country this gateway processes. Without this nobody knows, and no content is processed that an instrument keeps to a country.
    #[must_use]
    pub const fn in_country(mut self, country: Option<Country>) -> Self {
        self.country = country;
        self
    }

    /// Where whoever asks processes: its own country, else the gateway's; nobody knows it of whoever does not sign.
    pub fn reader_country(&self, auth: &Authenticated) -> Option<Country> {
        self.principal(auth).country
    }

    /// What a placement asks of a principal at this gateway.
    pub fn facts_of<'a>(&self, principal: &'a Principal) -> PrincipalFacts<'a> {
        PrincipalFacts::at(principal, self.country)
    }

    fn principal<'a>(&self, auth: &'a Authenticated) -> PrincipalFacts<'a> {
        self.facts_of(auth.principal())
    }

    /// The placement of a new record, or of a copy when `signals` name sources.
    ///
    /// A copy's placement is the meet of the destination and of every place its bytes have been. Its subject is that of its sources, and a
    /// destination that names another is a conflict.
    pub fn place(&self, auth: &Authenticated, signals: &Signals<'_>) -> Result<Placement, Refusal> {
        self.place_for(self.principal(auth), signals)
    }

    pub(super) fn place_for(&self, principal: PrincipalFacts<'_>, signals: &Signals<'_>) -> Result<Placement, Refusal> {
        let set = self.policies.load();
        let mut collected = Collected::default();
        collected.read(set.gateway(), principal, signals, &*self.directory)?;
        let origins = origins(signals.sources, principal)?;
        let placement = self.placement(&set, collected, principal, signals, (origins, &[]), &*self.availability)?;
        self.processed_here(&placement)?;
        Ok(placement)
    }

    /// Refuses what may not pass through this gateway in the clear: whoever writes shows it the content.
    fn processed_here(&self, placement: &Placement) -> Result<(), Refusal> {
        placement.decision().may_process(self.country).map(drop).map_err(Refusal::from)
    }

    /// Decides again, under the policy in force, what was decided earlier: for a part of a multipart upload, or for a commit whose
    /// basis has changed. What was known of the subject is refreshed from the directory. Same copies → the placement with its new basis, at the
    /// same sites also when another one would come first now; others, or a site that is down → [`Refusal::Stale`].
    pub fn resume(
        &self,
        auth: &Authenticated,
        earlier: &PlacementRecord,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Placement, Refusal> {
        let placement = self.resume_for(self.principal(auth), earlier, bucket, key)?;
        self.processed_here(&placement)?;
        Ok(placement)
    }

    /// As [`Residency::resume`], for work that the gateway does by itself on a stored record, in the name of who wrote it. Where content may be
    /// processed is not asked: this moves it to where it has to be.
    ///
    /// # Errors
    /// As [`Residency::resume`].
    pub fn resume_stored(&self, earlier: &PlacementRecord, bucket: &BucketName, key: &ObjectKey) -> Result<Placement, Refusal> {
        let writer = writer(earlier);
        self.resume_for(writer, earlier, bucket, key)
    }

    /// Where a stored record belongs under the policy in force and what is known of its subject now. Sites that it is at already come first.
    ///
    /// # Errors
    /// A refusal: the record can stay where it is only because nobody may put it anywhere.
    pub fn relocate(&self, earlier: &PlacementRecord, bucket: &BucketName, key: &ObjectKey) -> Result<Placement, Refusal> {
        self.replace(&self.policies.load(), earlier, bucket, key, &*self.availability)
    }

    /// As [`Residency::relocate`], under `set` and with every site in service: what would be done, without leave to do it.
    ///
    /// # Errors
    /// As [`Residency::relocate`].
    pub fn plan(
        &self,
        set: &PolicySet,
        earlier: &PlacementRecord,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<PlacementRecord, Refusal> {
        self.replace(set, earlier, bucket, key, &InService).map(|placement| placement.record().clone())
    }

    fn replace(
        &self,
        set: &PolicySet,
        earlier: &PlacementRecord,
        bucket: &BucketName,
        key: &ObjectKey,
        availability: &dyn Availability,
    ) -> Result<Placement, Refusal> {
        let principal = writer(earlier);
        let collected = self.refreshed(set.gateway(), earlier)?;
        let (metadata, tags, sources) = (BTreeMap::new(), [], []);
        let signals = Signals { bucket, key, metadata: &metadata, tags: &tags, sources: &sources, stated: None };
        let earlier = (earlier.origins.clone(), earlier.copies.as_slice());
        self.placement(set, collected, principal, &signals, earlier, availability)
    }

    pub(super) fn resume_for(
        &self,
        principal: PrincipalFacts<'_>,
        earlier: &PlacementRecord,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Placement, Refusal> {
        let set = self.policies.load();
        let collected = self.refreshed(set.gateway(), earlier)?;
        let mut origins = earlier.origins.clone();
        // Whoever goes on with an upload, what bound the one who began it binds still.
        if (&earlier.principal, earlier.principal_country) != (principal.id, principal.country) {
            earlier.as_origin(bucket, key).add_to(&mut origins);
        }
        let (metadata, tags, sources) = (BTreeMap::new(), [], []);
        let signals = Signals { bucket, key, metadata: &metadata, tags: &tags, sources: &sources, stated: None };
        let earlier_places = (origins, earlier.copies.as_slice());
        let placement = self.placement(&set, collected, principal, &signals, earlier_places, &*self.availability)?;
        same_copies(placement.copies(), &earlier.copies)?;
        Ok(placement)
    }

    /// Whether bytes of `sources` may become part of a record placed as `placed` (just made by `place` or `resume`): the subject is the
    /// same or the source has none, and every instrument that binds a source, or bound it on its way there, already binds the record and lets the
    /// source be where the record is. Answers with every place that the bytes have been: the record has to keep them, for what is decided about it
    /// later.
    pub fn satisfies(&self, placed: &PlacementRecord, sources: &[SourceFacts]) -> Result<Vec<Origin>, Refusal> {
        let set = self.policies.load();
        let today = today(self.clock.now());
        let principal = writer(placed);
        let countries: Vec<Country> = placed.copies.iter().map(|copy| copy.country).collect();
        for source in sources {
            if source.subject.is_some() && source.subject != placed.subject {
                return Err(Refusal::Conflict { reason: "the source belongs to another subject than the upload".to_owned() });
            }
            for origin in &origins(std::slice::from_ref(source), principal)? {
                let facts = origin.facts(today);
                if let Some(instrument) = set.objecting(&facts, &placed.instruments, &countries) {
                    let reason = if placed.instruments.contains(&instrument.id) {
                        format!("`{}` lets the upload be where it does not let the source be", instrument.id)
                    } else {
                        format!("`{}` binds the source but not the upload", instrument.id)
                    };
                    return Err(Refusal::Conflict { reason });
                }
            }
        }
        let added = origins(sources, principal)?;
        let mut together = placed.clone();
        together.add_origins(&added);
        not_too_many(&together.origins)?;
        Ok(added)
    }

    /// Whether the tags of a stored record may become those in `signals`, whose metadata are the record's own. Refuses a change of the tags that
    /// the policies read when it would change subject, attributes or copies.
    pub fn retag(
        &self,
        auth: &Authenticated,
        stored: &PlacementRecord,
        old_tags: &[(String, String)],
        signals: &Signals<'_>,
    ) -> Result<(), Refusal> {
        self.retag_for(self.principal(auth), stored, old_tags, signals)
    }

    pub(super) fn retag_for(
        &self,
        principal: PrincipalFacts<'_>,
        stored: &PlacementRecord,
        old_tags: &[(String, String)],
        signals: &Signals<'_>,
    ) -> Result<(), Refusal> {
        let set = self.policies.load();
        if read_tags(set.gateway(), old_tags) == read_tags(set.gateway(), signals.tags) {
            return Ok(());
        }
        let mut collected = Collected::default();
        collected.read(set.gateway(), principal, signals, &*self.directory)?;
        let subject = collected.subject.clone();
        let today = today(self.clock.now());
        // The record stays that of who wrote it, where they wrote it from.
        let judged = judge(&set, &collected, writer(stored), signals, &stored.origins, today)?;
        if subject != stored.subject || judged.attributes != stored.attributes {
            return Err(Refusal::Conflict {
                reason: "the tags would change whose data this is, or what is known of them".to_owned(),
            });
        }
        let copies = judged.decision.placement.iter().map(|planned| planned.country);
        if copies.clone().any(|country| !stored.copies.iter().any(|copy| copy.country == country))
            || stored.copies.iter().any(|copy| !copies.clone().any(|country| country == copy.country))
        {
            return Err(Refusal::Conflict { reason: "the tags would change where the record lives".to_owned() });
        }
        Ok(())
    }

    fn placement(
        &self,
        set: &PolicySet,
        collected: Collected,
        principal: PrincipalFacts<'_>,
        signals: &Signals<'_>,
        (origins, earlier): (Vec<Origin>, &[PlannedCopy]),
        availability: &dyn Availability,
    ) -> Result<Placement, Refusal> {
        let now = self.clock.now();
        let judged = judge(set, &collected, principal, signals, &origins, today(now))?;
        let copies = self.sites.choose(&judged.decision, earlier, availability)?;
        let decision = judged.decision;
        let record = PlacementRecord {
            subject: collected.subject,
            attributes: judged.attributes,
            assumed: judged.assumed,
            principal: principal.id.clone(),
            origins,
            copies,
            instruments: decision.instruments.clone(),
            shadow: decision.shadow.clone(),
            revision: decision.revision,
            subject_generation: collected.generation,
            decided_at: now,
            source: decision.source,
            principal_country: principal.country,
            exceptions: decision.exceptions.clone(),
            signals: collected.signals,
        };
        Ok(Placement::new(record, decision))
    }

    /// What an earlier decision knew, with the directory's word of today. What it only assumed, it did not know.
    fn refreshed(&self, gateway: &Gateway, earlier: &PlacementRecord) -> Result<Collected, Refusal> {
        let mut attributes = earlier.attributes.clone();
        attributes.retain(|name, _| !earlier.assumed.contains(name));
        let mut signals = earlier.signals.clone();
        signals.retain(|about, _| about == "subject" || attributes.contains_key(about));
        let mut collected = Collected { subject: earlier.subject.clone(), attributes, signals, ..Collected::default() };
        let Some(subject) = &earlier.subject else {
            return Ok(collected);
        };
        let entry = self.directory.lookup(subject).map_err(|_| Refusal::DirectoryUnavailable)?.unwrap_or_default();
        collected.generation = entry.generation;
        for (name, rule) in gateway.attributes.iter().filter(|(_, rule)| rule.from.contains(&AttributeSource::Directory)) {
            if let Some(value) = entry.attributes.get(name) {
                let malformed =
                    || Refusal::Unknown { reason: format!("`{name}` from `directory` is not {}", rule.kind.describe()) };
                collected.attributes.insert(name.clone(), rule.kind.normalise(value).ok_or_else(malformed)?);
                collected.signals.insert(name.clone(), vec![AttributeSource::Directory.to_string()]);
            }
        }
        Ok(collected)
    }
}

fn same_copies(now: &[PlannedCopy], earlier: &[PlannedCopy]) -> Result<(), Refusal> {
    if let Some(copy) = earlier.iter().find(|copy| !now.contains(copy)) {
        return Err(Refusal::Stale { reason: format!("the copy at `{}` is not part of it any more", copy.site) });
    }
    if let Some(copy) = now.iter().find(|copy| !earlier.contains(copy)) {
        return Err(Refusal::Stale { reason: format!("a copy in {} is required now", copy.country) });
    }
    Ok(())
}

/// The tags that the policies read, in an order of their own.
fn read_tags<'t>(gateway: &Gateway, tags: &'t [(String, String)]) -> Vec<(&'t str, &'t str)> {
    let of_subject = |name: &str| gateway.subject.iter().any(|s| matches!(s, SubjectSource::Tag(tag) if tag == name));
    let of_attribute = |name: &str| {
        let mut sources = gateway.attributes.values().flat_map(|rule| &rule.from);
        sources.any(|s| matches!(s, AttributeSource::Tag(tag) if tag == name))
    };
    let mut read: Vec<(&str, &str)> = tags
        .iter()
        .filter(|(name, _)| of_subject(name) || of_attribute(name))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    read.sort_unstable();
    read
}

/// Who wrote a record, as it keeps it.
fn writer(stored: &PlacementRecord) -> PrincipalFacts<'_> {
    PrincipalFacts { id: &stored.principal, attributes: &stored.attributes, country: stored.principal_country }
}

/// Every site answers.
struct InService;

impl Availability for InService {
    fn is_up(&self, _: &SiteId) -> bool {
        true
    }
}

/// The day, in UTC.
/// The day (UTC) that decisions of that moment are of.
pub fn today(now: Timestamp) -> time::Date {
    now.to_datetime().date()
}
