//! The gateway as the admin API sees it: the index, residency, keys, sites and the work that was ordered behind one trait.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::{
    exports, forgetting,
    gateway::{AppGateway, actor, internal},
    history, keys, ledger, open, population, queries, reports,
    revisions::Asker,
    sites, subjects,
    views::{summary, view},
};
use crate::admin::{
    AccessView, CheckpointsView, ComponentView, ErasureView, ExplainRequest, ExportBytes, Gateway, GatewayError, HistoryQuestion,
    HistoryView, ImportOrder, ImportedSubject, KeyView, LedgerHeadView, LedgerPage, PoliciesView, PolicyDiffView,
    PolicyEntryView, PolicyRevisionView, PopulationFormat, Query, Readiness, RecordView, RecordsPage, ReportView, SampleView,
    SessionRequest, SessionView, SetToCompare, SiteInitView, SiteView, SubjectKeyView, SubjectView, SummaryView, Verdict,
};
use crate::audit::{
    Asked, Event, Kind,
    proof::{ConsistencyProof, InclusionProof},
    residence::Proof,
    tile::Tile,
};
use crate::authn::TokenIdentity;
use crate::import::{self, SubjectMap};
use crate::index::{EntriesQuery, Finding, Record, RecordsQuery, Saying, Stock, Version};
use crate::kms::KeyStanding;
use crate::policy::PolicyFile;
use crate::relocation::{self, Job, Order, Plan, Relocation};
use crate::rotation::{self};
use crate::scrub::{self};
use crate::telemetry::{Metrics, metric};
use crate::types::{BucketName, ObjectKey, RequestId, SiteId, SubjectId, Timestamp, VersionId};

/// Findings that are shown at the most.
const FINDINGS: usize = 10_000;

impl AppGateway {
    fn view(&self, bucket: &BucketName, key: &ObjectKey, record: &Record) -> RecordView {
        view(bucket, key, record, |id| self.objects.hierarchy.country_of(id))
    }

    /// "No records" of a mistyped bucket would read as an answer.
    fn has_bucket_of(&self, query: &RecordsQuery) -> Result<(), GatewayError> {
        match &query.bucket {
            Some(bucket) if self.objects.index.bucket(bucket)?.is_none() => {
                Err(GatewayError::NotFound("there is no such bucket"))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Gateway for AppGateway {
    async fn record_query(&self, request: &RequestId, who: &TokenIdentity, query: Query<'_>) -> Result<(), GatewayError> {
        tracing::info!(%request, actor = %who.id, query = query.route(), "queried");
        let mut event = Event {
            request: Some(request.clone()),
            ..queries::describe(&self.objects.pseudonyms, query, Event::new(Kind::AuditQuery, actor(who)))
        };
        event.whose = queries::whose(&self.objects.index, query)?;
        if let Query::Explain(explain) = query {
            event.subject = self.named_subject(explain).map(|subject| self.objects.pseudonyms.subject(&subject));
        }
        self.objects.record(event).await?;
        Ok(())
    }

    async fn records(&self, query: RecordsQuery) -> Result<RecordsPage, GatewayError> {
        self.has_bucket_of(&query)?;
        let page = self.objects.index.search(query).await?;
        let records = page.records.iter().map(|found| self.view(&found.bucket, &found.key, &found.record)).collect();
        Ok(RecordsPage { records, cursor: page.next })
    }

    async fn record(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Vec<RecordView>, GatewayError> {
        let index = &self.objects.index;
        let Some(row) = index.bucket(bucket)? else { return Err(GatewayError::NotFound("there is no such bucket")) };
        let found = match version {
            Some(version) => index.version(&row, key, version)?.into_iter().collect(),
            None => index.versions_of(&row, key).await?,
        };
        let records = found.into_iter().filter_map(Version::into_record);
        Ok(records.map(|record| self.view(bucket, key, &record)).collect())
    }

    async fn proof(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
        from: Option<u64>,
    ) -> Result<Proof, GatewayError> {
        self.prove(bucket, key, version, from).await
    }

    async fn summary(&self) -> Result<SummaryView, GatewayError> {
        Ok(summary(&self.objects.index.buckets()?, self.objects.index.summary()))
    }

    async fn explain(&self, request: ExplainRequest) -> Result<Value, GatewayError> {
        self.explain_write(&request)
    }

    fn policies(&self) -> PoliciesView {
        self.policies_view()
    }

    async fn plan(&self, files: Option<Vec<PolicyFile>>) -> Result<Plan, GatewayError> {
        let _place = self.place_for_long().await?;
        let set = match files {
            None => self.objects.policies.load_full(),
            Some(files) => {
                let available = self.revisions.available.clone();
                let set = tokio::task::spawn_blocking(move || open::checked(&files, &available)).await.map_err(internal)?;
                Arc::new(set.map_err(GatewayError::Policies)?)
            }
        };
        Ok(relocation::plan(&self.objects, &set, Stock::default()).await?)
    }

    async fn order_relocation(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        order: Order,
        dry_run: bool,
    ) -> Result<Job, GatewayError> {
        let (bucket, subject) = (order.stock.bucket.as_ref(), order.stock.subject.as_ref());
        let prefix = bucket.zip(order.stock.prefix.as_ref());
        let pseudonyms = &self.objects.pseudonyms;
        let asked = Asked {
            route: "POST /v1/relocations",
            prefix: prefix.map(|(bucket, prefix)| pseudonyms.prefix(bucket, prefix)),
            ..Asked::default()
        };
        let event = Event {
            request: Some(request.clone()),
            bucket: bucket.map(|bucket| pseudonyms.bucket(bucket)),
            subject: subject.map(|subject| pseudonyms.subject(subject)),
            whose: queries::whose_prefix(&self.objects.index, prefix)?,
            query: Some(Box::new(asked)),
            ..Event::new(Kind::AdminAction, actor(who))
        };
        self.objects.record(event).await?;
        self.relocations
            .order(Relocation { order, dry_run })
            .map_err(|_| GatewayError::Unavailable("too many relocations wait for their turn"))
    }

    fn relocations(&self) -> Vec<Job> {
        self.relocations.jobs()
    }

    fn relocation(&self, id: u64) -> Option<Job> {
        self.relocations.job(id)
    }

    async fn cancel_relocation(&self, request: &RequestId, who: &TokenIdentity, id: u64) -> Result<Option<Job>, GatewayError> {
        let asked = Asked { route: "DELETE /v1/relocations/{id}", ..Asked::default() };
        let event =
            Event { request: Some(request.clone()), query: Some(Box::new(asked)), ..Event::new(Kind::AdminAction, actor(who)) };
        self.objects.record(event).await?;
        Ok(self.relocations.cancel(id))
    }

    async fn order_scrub(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        order: scrub::Order,
    ) -> Result<scrub::Job, GatewayError> {
        self.begin_scrub(request, who, order).await
    }

    fn scrubs(&self) -> Vec<scrub::Job> {
        self.scrubs.jobs()
    }

    fn scrub(&self, id: u64) -> Option<scrub::Job> {
        self.scrubs.job(id)
    }

    async fn cancel_scrub(&self, request: &RequestId, who: &TokenIdentity, id: u64) -> Result<Option<scrub::Job>, GatewayError> {
        self.end_scrub(request, who, id).await
    }

    async fn findings(&self) -> Result<Vec<Finding>, GatewayError> {
        Ok(self.objects.index.findings(None, FINDINGS).await?)
    }

    async fn order_import(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        order: ImportOrder,
        map: SubjectMap,
    ) -> Result<import::Job, GatewayError> {
        self.importing.order(request, who, order, map).await
    }

    fn imports(&self) -> Vec<import::Job> {
        self.importing.imports.jobs()
    }

    fn import(&self, id: u64) -> Option<import::Job> {
        self.importing.imports.job(id)
    }

    async fn cancel_import(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        id: u64,
    ) -> Result<Option<import::Job>, GatewayError> {
        self.importing.cancel(request, who, id).await
    }

    async fn policy_history(&self, before: Option<u64>, limit: usize) -> Result<Vec<PolicyEntryView>, GatewayError> {
        self.history_views(before, limit).await
    }

    async fn policy_revision(&self, name: &str) -> Result<PolicyRevisionView, GatewayError> {
        self.revision_view(name)
    }

    async fn policy_diff(&self, from: Option<SetToCompare>, to: Option<SetToCompare>) -> Result<PolicyDiffView, GatewayError> {
        self.compare(from, to).await
    }

    async fn roll_back_policies(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        name: &str,
        comment: Option<String>,
    ) -> Result<PoliciesView, GatewayError> {
        let asker = Asker { actor: actor(who), request: Some(request.clone()) };
        self.roll_back(asker, self.named_set(name)?, comment).await?;
        Ok(self.policies_view())
    }

    async fn decide_policies(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        name: &str,
        verdict: Verdict,
        comment: Option<String>,
    ) -> Result<PoliciesView, GatewayError> {
        self.decide(request, who, name, verdict, comment).await
    }

    async fn reload_policies(&self, request: &RequestId, who: &TokenIdentity) -> Result<PoliciesView, GatewayError> {
        self.reload(actor(who), Some(request.clone())).await?;
        Ok(self.policies())
    }

    async fn reload_config(&self, request: &RequestId, who: &TokenIdentity) -> Result<AccessView, GatewayError> {
        self.reload_access(actor(who), Some(request.clone())).await
    }

    async fn create_session(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        session: SessionRequest,
    ) -> Result<SessionView, GatewayError> {
        let session = session.session(self.objects.clock.now())?;
        if self.access.principals.load().get(&session.principal).is_none() {
            return Err(GatewayError::NotFound("there is no such principal"));
        }
        let issued = self.sessions.issue(&session).map_err(|error| GatewayError::Invalid(error.to_string()))?;
        let expires = session.not_after.to_rfc3339();
        let asked = Asked {
            route: "POST /v1/sessions",
            principal: Some(self.objects.pseudonyms.principal(&session.principal)),
            until: Some(expires.clone()),
            ..Asked::default()
        };
        let event = Event {
            request: Some(request.clone()),
            query: Some(Box::new(asked)),
            ..Event::new(Kind::SessionCreated, actor(who))
        };
        self.objects.record(event).await?;
        tracing::info!(%request, actor = %who.id, principal = %session.principal, %expires, "session created");
        Ok(SessionView {
            access_key_id: issued.access_key.id,
            secret_access_key: issued.access_key.secret.expose_secret().to_owned(),
            session_token: issued.token,
            expires,
        })
    }

    async fn subject(
        &self,
        subject: &SubjectId,
        at: Option<Timestamp>,
        known: Option<Timestamp>,
    ) -> Result<Option<SubjectView>, GatewayError> {
        let row = self.objects.index.subject(subject)?;
        let view = row.and_then(|row| subjects::view(subject, &row, self.objects.clock.now(), at, known));
        Ok(view.map(|view| {
            let unasked = self.unasked(&view.attributes.keys().cloned().collect());
            SubjectView { unasked, ..view }
        }))
    }

    fn unasked(&self, attributes: &BTreeSet<String>) -> Vec<String> {
        let set = self.objects.policies.load();
        attributes.iter().filter(|attribute| !set.asks_for(attribute)).cloned().collect()
    }

    async fn set_subject(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        subject: &SubjectId,
        saying: Saying,
    ) -> Result<(), GatewayError> {
        subjects::set(&self.objects, request, who, subject, saying).await
    }

    async fn import_subjects(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        sayings: Vec<(SubjectId, Saying)>,
        dry_run: bool,
    ) -> Vec<Result<ImportedSubject, GatewayError>> {
        subjects::import(&self.objects, request, who, sayings, dry_run).await
    }

    fn ledger_head(&self) -> Result<LedgerHeadView, GatewayError> {
        Ok(ledger::head(&self.objects.index))
    }

    async fn ledger_tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, GatewayError> {
        Ok(self.objects.index.tile(tile).await?)
    }

    async fn ledger_inclusion(&self, entry: u64, size: Option<u64>) -> Result<Option<InclusionProof>, GatewayError> {
        let size = size.unwrap_or_else(|| self.objects.index.ledger_head().size);
        Ok(self.objects.index.inclusion(entry, size).await?)
    }

    async fn ledger_consistency(&self, from: u64, to: u64) -> Result<Option<ConsistencyProof>, GatewayError> {
        Ok(self.objects.index.consistency(from, to).await?)
    }

    async fn ledger_checkpoints(&self, before: Option<u64>, limit: usize) -> Result<CheckpointsView, GatewayError> {
        ledger::checkpoints(&self.objects.index, &self.vouchers, before, limit).await
    }

    async fn ledger_entries(&self, mut query: EntriesQuery) -> Result<LedgerPage, GatewayError> {
        if let Some((_, key)) = &query.key {
            query.owners = history::owners(&self.objects.policies.load(), key);
        }
        let page = self.objects.index.ledger_search(query).await?;
        let entries = page.leaves.into_iter().map(|entry| String::from_utf8(entry).map_err(internal));
        Ok(LedgerPage { entries: entries.collect::<Result<_, _>>()?, next: page.next })
    }

    async fn history(&self, question: HistoryQuestion) -> Result<HistoryView, GatewayError> {
        history::tell(&self.objects.index, &self.objects.policies.load_full(), question).await
    }

    async fn population(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        query: RecordsQuery,
        format: PopulationFormat,
    ) -> Result<ExportBytes, GatewayError> {
        self.has_bucket_of(&query)?;
        let event = Event { request: Some(request.clone()), ..Event::new(Kind::PopulationExported, actor(who)) };
        population::begin(&self.objects, event, query, format).await
    }

    async fn sample(&self, query: RecordsQuery, seed: &str) -> Result<SampleView, GatewayError> {
        self.has_bucket_of(&query)?;
        let _place = self.place_for_long().await?;
        let n = query.limit;
        population::sample(&self.objects, query, seed, n).await
    }

    async fn erase_subject(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        subject: &SubjectId,
        now: bool,
    ) -> Result<ErasureView, GatewayError> {
        forgetting::erase(&self.erasures, request, &actor(who), subject, now).await
    }

    async fn erasures(&self, before: Option<u64>, limit: usize) -> Result<Vec<ErasureView>, GatewayError> {
        Ok(self.objects.index.erasures(before, limit).await?.iter().map(ErasureView::from).collect())
    }

    async fn erasure(&self, id: u64) -> Result<Option<ErasureView>, GatewayError> {
        Ok(self.objects.index.erasure(id)?.as_ref().map(ErasureView::from))
    }

    async fn rotate_key(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        order: rotation::Rotation,
    ) -> Result<rotation::Job, GatewayError> {
        forgetting::rotate(&self.objects, &self.rotations, (request, &actor(who)), order).await
    }

    async fn rotate_subject_key(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        subject: &SubjectId,
    ) -> Result<Vec<SubjectKeyView>, GatewayError> {
        forgetting::rotate_subject(&self.objects, (request, &actor(who)), subject).await
    }

    fn rotations(&self) -> Vec<rotation::Job> {
        self.rotations.jobs()
    }

    fn rotation(&self, id: u64) -> Option<rotation::Job> {
        self.rotations.job(id)
    }

    async fn report(&self, since: Timestamp, until: Timestamp) -> Result<ReportView, GatewayError> {
        let _place = self.place_for_long().await?;
        reports::make(self, since, until).await
    }

    async fn export_index(&self, request: &RequestId, who: &TokenIdentity) -> Result<ExportBytes, GatewayError> {
        let event = Event { request: Some(request.clone()), ..Event::new(Kind::IndexExported, actor(who)) };
        tracing::info!(%request, actor = %who.id, "index exported");
        exports::begin(&self.objects, event).await
    }

    async fn sites(&self) -> Vec<SiteView> {
        sites::views(&self.objects)
    }

    async fn check_sites(&self, request: &RequestId, who: &TokenIdentity) -> Result<Vec<SiteView>, GatewayError> {
        sites::check(&self.objects, request, actor(who)).await
    }

    async fn init_site(&self, request: &RequestId, who: &TokenIdentity, site: &SiteId) -> Result<SiteInitView, GatewayError> {
        sites::init(&self.objects, request, actor(who), site).await
    }

    async fn keys(&self) -> Result<Vec<KeyView>, GatewayError> {
        keys::all(&self.objects, &self.key_use).await
    }

    async fn readiness(&self) -> Readiness {
        let healthy = self.objects.index.is_healthy();
        let index = if healthy { "commits" } else { "stopped after a failure" };
        let mut components = vec![ComponentView { name: "index".to_owned(), up: healthy, detail: index.to_owned() }];
        components.push(ComponentView { name: "policies".to_owned(), up: true, detail: self.policies_detail() });
        components.extend(sites::components(&self.objects));
        let mut any_key = false;
        for (id, _) in self.objects.hierarchy.countries() {
            // As of the last second: a question of readiness asks no provider anything.
            let (up, detail) = match self.objects.hierarchy.standing(id) {
                Ok(KeyStanding::Up) => (true, "answers".to_owned()),
                Ok(KeyStanding::Down(error)) | Err(error) => (false, error.to_string()),
            };
            any_key |= up;
            components.push(ComponentView { name: format!("key:{id}"), up, detail });
        }
        let any_site = components.iter().any(|part| part.up && part.name.starts_with("site:"));
        Readiness { ready: healthy && any_site && any_key, components }
    }

    fn metrics(&self) -> String {
        let (writes, reads) = self.objects.memory.used();
        for (share, bytes) in [("writes", writes), ("reads", reads)] {
            metrics::gauge!(metric::MEMORY, "share" => share).set(bytes as f64);
        }
        let proposals = self.objects.index.policy_standing().proposed.iter().count();
        metrics::gauge!(metric::POLICY_PROPOSALS).set(proposals as f64);
        self.metrics.as_ref().map(Metrics::render).unwrap_or_default()
    }
}
