//! What the use cases say to the ledger: events with pseudonyms for every name, and refusals in bounded number.

use std::time::Duration;

use crate::audit::{Actor, DecidedBy, Event, Kind, LeantOn, PlacedCopy, Throttle};
use crate::index::Change;
use crate::kms::Pseudonyms;
use crate::objects::{ObjectError, Objects, Request};
use crate::policy::{ExceptionBasis, Role, UsedException};
use crate::residency::{PlacementRecord, PlannedCopy};
use crate::telemetry::metric;
use crate::types::{BucketName, ObjectKey, PrincipalId, RequestId};

impl Objects {
    /// An event of this request's caller about a bucket, and a key in it.
    pub(super) fn event(&self, request: &Request<'_>, kind: Kind, bucket: &BucketName, key: Option<&ObjectKey>) -> Event {
        Event {
            request: Some(request.id.clone()),
            bucket: Some(self.pseudonyms.bucket(bucket)),
            key: key.map(|key| self.pseudonyms.key(bucket, key)),
            ..Event::new(kind, self.actor(request))
        }
    }

    fn actor(&self, request: &Request<'_>) -> Actor {
        if request.auth.is_anonymous() {
            return Actor::Anonymous;
        }
        if let Some(operator) = request.auth.operator() {
            return Actor::Token { role: operator.role.as_str(), id: operator.id.clone() };
        }
        Actor::Principal(self.pseudonyms.principal(&request.auth.principal().id))
    }

    /// Adds where a record was put and why.
    pub(super) fn with_placement(&self, event: Event, placement: &PlacementRecord) -> Event {
        Event {
            subject: placement.subject.as_ref().map(|subject| self.pseudonyms.subject(subject)),
            countries: placement.copies.iter().map(|copy| copy.country).collect(),
            sites: placement.copies.iter().map(|copy| copy.site.clone()).collect(),
            instruments: placement.instruments.clone(),
            shadow: placement.shadow.clone(),
            revision: Some(placement.revision),
            exceptions: placement.exceptions.iter().map(leant_on).collect(),
            // Those of a part are its upload's.
            copies: if event.kind == Kind::UploadPart {
                Vec::new()
            } else {
                placement.copies.iter().map(|copy| self.placed_copy(copy)).collect()
            },
            decided_by: Some(Box::new(DecidedBy { source: placement.source.as_str(), signals: placement.told_by() })),
            ..event
        }
    }

    fn placed_copy(&self, copy: &PlannedCopy) -> PlacedCopy {
        PlacedCopy {
            site: copy.site.clone(),
            key: copy.key.clone(),
            key_country: self.hierarchy.country_of(&copy.key).filter(|country| *country != copy.country),
            role: copy.role.as_str(),
            pending: copy.role == Role::Queued,
        }
    }

    /// Records that a request was refused by policy or permission. Floods are counted instead of written one by one.
    ///
    /// # Errors
    /// Only those of the index: a refusal that cannot be recorded is an error of the gateway, not a silent one.
    pub(super) async fn record_refusal(
        &self,
        request: &Request<'_>,
        kind: Kind,
        bucket: &BucketName,
        key: Option<&ObjectKey>,
        code: &'static str,
    ) -> Result<(), ObjectError> {
        tracing::info!(request = %request.id, bucket = %bucket, code, "refused");
        metrics::counter!(metric::REFUSALS, "code" => code).increment(1);
        let admitted = if request.auth.is_anonymous() {
            self.0.refusals.strangers.admit(code, self.clock.now())
        } else {
            self.0.refusals.callers.admit((request.auth.principal().id.clone(), code), self.clock.now())
        };
        let Some(suppressed) = admitted else { return Ok(()) };
        self.record(Event { suppressed, ..self.event(request, kind, bucket, key).refused(code) }).await
    }

    /// Records that a request was refused before anybody was authenticated. Floods are counted instead of written one by one.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn record_refused(
        &self,
        request: &RequestId,
        code: &'static str,
        access_key_id: Option<&str>,
    ) -> Result<(), ObjectError> {
        metrics::counter!(metric::REFUSALS, "code" => code).increment(1);
        let Some(suppressed) = self.0.refusals.strangers.admit(code, self.clock.now()) else { return Ok(()) };
        let actor = access_key_id.map_or(Actor::Anonymous, |id| Actor::AccessKey(self.pseudonyms.access_key(id)));
        let event = Event { request: Some(request.clone()), suppressed, ..Event::new(Kind::Refused, actor).refused(code) };
        self.record(event).await
    }

    /// Records that somebody was not let in by the console. Floods are counted instead of written one by one, with the refusals of others
    /// whom nobody knows.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn record_failed_login(
        &self,
        request: &RequestId,
        login: &'static str,
        code: &'static str,
    ) -> Result<(), ObjectError> {
        metrics::counter!(metric::REFUSALS, "code" => code).increment(1);
        let Some(suppressed) = self.0.refusals.strangers.admit(code, self.clock.now()) else { return Ok(()) };
        let event = Event::new(Kind::Login, Actor::Anonymous).refused(code);
        self.record(Event { request: Some(request.clone()), suppressed, login: Some(login), ..event }).await
    }

    /// Records every `pause` how many refusals were not written one by one. Does not end.
    pub async fn sum_up_refusals(&self, pause: Duration) {
        loop {
            tokio::time::sleep(pause).await;
            if let Err(error) = self.record_suppressed().await {
                tracing::error!(%error, "refusals are not in the ledger");
            }
        }
    }

    /// Records how many refusals were not written one by one and are in no entry yet.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn record_suppressed(&self) -> Result<(), ObjectError> {
        for event in self.0.refusals.summaries(&self.pseudonyms) {
            self.record(event).await?;
        }
        Ok(())
    }

    /// Records something that changes nothing in the catalogue, such as a question.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn record(&self, event: Event) -> Result<(), ObjectError> {
        self.index.commit(Change::Note, event).await?;
        Ok(())
    }
}

fn leant_on(exception: &UsedException) -> LeantOn {
    let word = ExceptionBasis::WORDS.iter().find_map(|(word, basis)| (*basis == exception.basis).then_some(*word));
    LeantOn {
        instrument: exception.instrument.clone(),
        basis: word.unwrap_or_default(),
        reference: exception.reference.clone(),
        countries: exception.countries.clone(),
    }
}

/// Bounds the refusals that are written one by one: of strangers for each error code, of principals for each principal and code.
pub(super) struct Refusals {
    strangers: Throttle<&'static str>,
    callers: Throttle<(PrincipalId, &'static str)>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { strangers: Throttle::new(100, 10), callers: Throttle::new(500, 20) }
    }
}

impl Refusals {
    /// One event for each flood: how many refusals were not written one by one.
    fn summaries(&self, pseudonyms: &Pseudonyms) -> Vec<Event> {
        let summary = |actor, code, suppressed| Event { suppressed, ..Event::new(Kind::Refused, actor).refused(code) };
        let strangers = self.strangers.drain().into_iter().map(|(code, count)| summary(Actor::Anonymous, code, count));
        let caller = |principal: &PrincipalId| Actor::Principal(pseudonyms.principal(principal));
        let callers = self.callers.drain().into_iter().map(|((id, code), count)| summary(caller(&id), code, count));
        strangers.chain(callers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::SecretKey;
    use crate::types::Timestamp;

    #[test]
    fn a_flood_of_one_principal_is_summed_up_and_hides_nobody_else() {
        let (refusals, pseudonyms) = (Refusals::default(), Pseudonyms::new(SecretKey::random()));
        let (flooding, other) = (PrincipalId::new("flooding").unwrap(), PrincipalId::new("other").unwrap());
        let at = Timestamp::from_seconds(0);
        let admit = |who: &PrincipalId, code, at| refusals.callers.admit((who.clone(), code), at).is_some();
        let written = (0..2000).filter(|_| admit(&flooding, "AccessDenied", at)).count();
        assert_eq!(written, 500);
        assert!(admit(&flooding, "ResidencyConflict", at) && admit(&other, "AccessDenied", at));

        let actor = Actor::Principal(pseudonyms.principal(&flooding));
        let expected = Event { suppressed: 1500, ..Event::new(Kind::Refused, actor).refused("AccessDenied") };
        assert_eq!(refusals.summaries(&pseudonyms), [expected]);
        assert_eq!(refusals.summaries(&pseudonyms), []);
        let later = (0..100).filter(|_| admit(&flooding, "AccessDenied", Timestamp::from_seconds(2))).count();
        assert_eq!(later, 40);
    }
}
