//! Imports as the admin API orders them: what an order names is looked up in the configuration.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{open, queries};
use crate::admin::{GatewayError, ImportOrder};
use crate::audit::{Actor, Asked, Event, Kind};
use crate::authn::{Principals, TokenIdentity};
use crate::backend::S3Source;
use crate::config::{self, Backend, S3Service};
use crate::import::{Import, Imports, Job, Order, SubjectMap};
use crate::jobs::JobState;
use crate::objects::Objects;
use crate::types::{PrincipalId, Pseudonym, RequestId};

/// Imports that wait or run, at the most: each may have a large map.
const MOST: usize = 8;

/// The imports of a gateway, and the sources that they can name.
pub(super) struct Importing {
    objects: Objects,
    principals: Arc<ArcSwap<Principals>>,
    sources: Vec<config::Source>,
    /// Endpoint and bucket of every site that is one.
    sites: Vec<(String, String)>,
    pub(super) imports: Arc<Imports>,
}

impl Importing {
    pub(super) fn new(objects: &Objects, principals: Arc<ArcSwap<Principals>>, config: &config::Config) -> Self {
        let sites = config.sites.iter().filter_map(|site| match &site.backend {
            Backend::S3(s3) => Some((s3.service.endpoint.clone(), s3.bucket.clone())),
            Backend::Fs { .. } => None,
        });
        Self {
            objects: objects.clone(),
            principals,
            sources: config.sources.clone(),
            sites: sites.collect(),
            imports: Arc::new(Imports::new(objects.clone())),
        }
    }

    /// Orders an import, in the ledger before it begins.
    pub(super) async fn order(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        order: ImportOrder,
        map: SubjectMap,
    ) -> Result<Job, GatewayError> {
        let source = self.sources.iter().find(|source| source.id == order.source);
        let source = source.ok_or(GatewayError::NotFound("the configuration has no such source"))?;
        if !source.buckets.is_empty() && !source.buckets.iter().any(|glob| glob.matches(&order.bucket)) {
            return Err(GatewayError::Invalid("the source's `buckets` in the configuration do not allow this one".to_owned()));
        }
        self.check_no_site(&source.service, &order.bucket)?;
        let principal = self.principal(order.principal)?;
        if self.objects.index.bucket(&order.to)?.is_none() {
            return Err(GatewayError::NotFound("there is no bucket of the name in `to`: create it first"));
        }
        {
            let set = self.objects.policies.load();
            let known = &set.gateway().attributes;
            if let Some(unknown) = map.attributes().into_iter().find(|name| !known.contains_key(*name)) {
                return Err(GatewayError::Invalid(format!(
                    "the map has `{unknown}`, an attribute that the policies do not read"
                )));
            }
        }
        let ended = |job: &Job| !matches!(job.state, JobState::Waiting | JobState::Running);
        if self.imports.jobs().iter().filter(|job| !ended(job)).count() >= MOST {
            return Err(GatewayError::Unavailable("too many imports wait for their turn"));
        }
        let client = S3Source::new(&source.id, &open::s3_config(&source.service, &order.bucket), source.opaque_etags);
        let client = client.map_err(|error| GatewayError::Invalid(error.to_string()))?;
        let pseudonyms = &self.objects.pseudonyms;
        let asked = Asked {
            route: "POST /v1/imports",
            prefix: order.to_prefix.as_ref().map(|prefix| pseudonyms.prefix(&order.to, prefix)),
            principal: Some(pseudonyms.principal(&principal)),
            ..Asked::default()
        };
        let whose = queries::whose_prefix(&self.objects.index, Some(&order.to).zip(order.to_prefix.as_ref()))?;
        self.record(request, who, (Some(pseudonyms.bucket(&order.to)), whose), asked).await?;
        let order = Order {
            request: request.clone(),
            who: who.clone(),
            principal,
            source: order.source,
            bucket: order.bucket,
            prefix: order.prefix,
            to: order.to,
            to_prefix: order.to_prefix,
            template: order.template,
            delete_source: order.delete_source,
            overwrite: order.overwrite,
            dry_run: order.dry_run,
            pace: order.pace,
            concurrency: source.concurrency,
            retries: Order::RETRIES,
        };
        self.imports
            .order(Import::new(order, Arc::new(client), Arc::clone(&self.principals), map))
            .map_err(|_| GatewayError::Unavailable("too many imports wait for their turn"))
    }

    /// Calls one off, in the ledger before.
    pub(super) async fn cancel(&self, request: &RequestId, who: &TokenIdentity, id: u64) -> Result<Option<Job>, GatewayError> {
        let asked = Asked { route: "DELETE /v1/imports/{id}", ..Asked::default() };
        self.record(request, who, (None, None), asked).await?;
        Ok(self.imports.cancel(id))
    }

    async fn record(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        (bucket, whose): (Option<Pseudonym>, Option<Pseudonym>),
        asked: Asked,
    ) -> Result<(), GatewayError> {
        let actor = Actor::Token { role: who.role.as_str(), id: who.id.clone() };
        let event = Event {
            request: Some(request.clone()),
            bucket,
            whose,
            query: Some(Box::new(asked)),
            ..Event::new(Kind::AdminAction, actor)
        };
        Ok(self.objects.record(event).await?)
    }

    /// What is at a site is sealed already. A site under another name is found out by its marker.
    fn check_no_site(&self, service: &S3Service, bucket: &str) -> Result<(), GatewayError> {
        let is_site = |(endpoint, of_site): &(String, String)| *endpoint == service.endpoint && of_site == bucket;
        if self.sites.iter().any(is_site) {
            return Err(GatewayError::Invalid("this bucket is a site of the gateway itself".to_owned()));
        }
        Ok(())
    }

    /// The principal named, or the only one there is.
    fn principal(&self, named: Option<PrincipalId>) -> Result<PrincipalId, GatewayError> {
        let principals = self.principals.load();
        let mut candidates = principals.iter().filter(|one| named.as_ref().is_none_or(|id| *id == one.id));
        match (candidates.next(), candidates.next()) {
            (Some(principal), None) => Ok(principal.id.clone()),
            (None, _) => Err(GatewayError::NotFound("there is no such principal")),
            _ => Err(GatewayError::Invalid("say in which principal's name objects are written".to_owned())),
        }
    }
}
