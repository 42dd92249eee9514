//! Scrubs as the admin API orders them.

use super::gateway::{AppGateway, actor};
use super::queries::whose_prefix;
use crate::admin::GatewayError;
use crate::audit::{Asked, Event, Kind};
use crate::authn::TokenIdentity;
use crate::scrub::{Job, Order};
use crate::types::RequestId;

impl AppGateway {
    pub(super) async fn begin_scrub(&self, request: &RequestId, who: &TokenIdentity, order: Order) -> Result<Job, GatewayError> {
        let (bucket, subject) = (order.stock.bucket.as_ref(), order.stock.subject.as_ref());
        let pseudonyms = &self.objects.pseudonyms;
        let prefix = bucket.zip(order.stock.prefix.as_ref());
        let asked = Asked {
            route: "POST /v1/scrubs",
            prefix: prefix.map(|(bucket, prefix)| pseudonyms.prefix(bucket, prefix)),
            ..Asked::default()
        };
        let event = Event {
            request: Some(request.clone()),
            bucket: bucket.map(|bucket| pseudonyms.bucket(bucket)),
            subject: subject.map(|subject| pseudonyms.subject(subject)),
            whose: whose_prefix(&self.objects.index, prefix)?,
            query: Some(Box::new(asked)),
            ..Event::new(Kind::AdminAction, actor(who))
        };
        self.objects.record(event).await?;
        self.scrubs.order(order).map_err(|_| GatewayError::Unavailable("too many scrubs wait for their turn"))
    }

    pub(super) async fn end_scrub(&self, request: &RequestId, who: &TokenIdentity, id: u64) -> Result<Option<Job>, GatewayError> {
        let asked = Asked { route: "DELETE /v1/scrubs/{id}", ..Asked::default() };
        let event =
            Event { request: Some(request.clone()), query: Some(Box::new(asked)), ..Event::new(Kind::AdminAction, actor(who)) };
        self.objects.record(event).await?;
        Ok(self.scrubs.cancel(id))
    }
}
