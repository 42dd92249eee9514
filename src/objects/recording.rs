//! What the use cases say to the ledger: events with pseudonyms for every name, and refusals in bounded number.

use crate::audit::{Actor, Event, Kind, Throttle};
use crate::index::Change;
use crate::objects::{ObjectError, Objects, Request};
use crate::residency::PlacementRecord;
use crate::telemetry::metric;
use crate::types::{BucketName, ObjectKey, RequestId, SubjectId};

impl Objects {
    /// An event of this request's caller about a bucket, and a key in it.
    pub(super) fn event(&self, request: &Request<'_>, kind: Kind, bucket: &BucketName, key: Option<&ObjectKey>) -> Event {
        Event {
            request: Some(request.id.clone()),
            bucket: Some(self.pseudonyms.bucket(bucket)),
            key: key.map(|key| self.pseudonyms.key(bucket, key)),
            ..Event::new(kind, Actor::Principal(self.pseudonyms.principal(&request.auth.principal().id)))
        }
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
            ..event
        }
    }

    /// Records that a request was refused by policy or permission.
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
        let event = self.event(request, kind, bucket, key).refused(code);
        self.index.commit(Change::Note, event).await?;
        Ok(())
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
        let Some(suppressed) = self.0.throttle.admit(code, self.clock.now()) else { return Ok(()) };
        let actor = access_key_id.map_or(Actor::Anonymous, |id| Actor::AccessKey(self.pseudonyms.access_key(id)));
        let event = Event { request: Some(request.clone()), suppressed, ..Event::new(Kind::Refused, actor).refused(code) };
        self.index.commit(Change::Note, event).await?;
        Ok(())
    }

    /// Records what a person or tool asked of the admin API, before it is answered.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn record_admin(
        &self,
        request: &RequestId,
        actor: Actor,
        kind: Kind,
        subject: Option<&SubjectId>,
    ) -> Result<(), ObjectError> {
        let event = Event {
            request: Some(request.clone()),
            subject: subject.map(|subject| self.pseudonyms.subject(subject)),
            ..Event::new(kind, actor)
        };
        self.index.commit(Change::Note, event).await?;
        Ok(())
    }
}

/// Bounds the refusals of unknown callers that are written one by one, for each error code.
pub(super) struct RefusalThrottle(Throttle<&'static str>);

impl Default for RefusalThrottle {
    fn default() -> Self {
        Self(Throttle::new(100, 10))
    }
}

impl std::ops::Deref for RefusalThrottle {
    type Target = Throttle<&'static str>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
