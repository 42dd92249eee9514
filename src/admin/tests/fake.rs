//! A gateway that the API's tests ask.

use std::collections::BTreeSet;

use super::*;

/// A gateway without records that remembers subjects and what was recorded.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) subjects: Mutex<BTreeMap<SubjectId, Attributes>>,
    /// Days and reasons of what was said.
    pub(super) said: Mutex<Vec<(Option<Timestamp>, Option<String>)>>,
    pub(super) recorded: Mutex<Vec<&'static str>>,
    pub(super) evaluated: AtomicBool,
    pub(super) ledger_broken: bool,
    /// So many subjects can be set; more is an error.
    pub(super) full_at: Option<usize>,
    /// An export does not come to its end.
    pub(super) breaks_off: bool,
    /// The counters never come, and no subject is ever set.
    pub(super) hangs: bool,
}

impl Fake {
    pub(super) fn evaluate(&self) {
        self.evaluated.store(true, Ordering::Relaxed);
    }

    async fn hang(&self) {
        if self.hangs {
            std::future::pending::<()>().await;
        }
    }
}

pub(super) fn view() -> PoliciesView {
    let revision = PolicyRevision::from_bytes([7; 32]);
    PoliciesView {
        revision,
        source: "test".to_owned(),
        warnings: Vec::new(),
        approval: "never",
        in_force: None,
        proposal: None,
        folder: PolicyFolderView { revision, in_force: true, put_aside: false },
    }
}

#[async_trait]
impl Gateway for Fake {
    async fn record_query(&self, _: &RequestId, _: &TokenIdentity, query: Query<'_>) -> Result<(), GatewayError> {
        if self.ledger_broken {
            return Err(GatewayError::Unavailable("the ledger cannot be written"));
        }
        self.recorded.lock().push(query.route());
        Ok(())
    }
    async fn records(&self, query: RecordsQuery) -> Result<RecordsPage, GatewayError> {
        self.evaluate();
        Ok(RecordsPage { records: Vec::new(), cursor: query.cursor })
    }
    async fn record(&self, _: &BucketName, _: &ObjectKey, _: Option<VersionId>) -> Result<Vec<RecordView>, GatewayError> {
        self.evaluate();
        Ok(Vec::new())
    }
    async fn proof(&self, _: &BucketName, _: &ObjectKey, _: Option<VersionId>, _: Option<u64>) -> Result<Proof, GatewayError> {
        self.evaluate();
        Err(GatewayError::NotFound("there is no such version"))
    }
    async fn summary(&self) -> Result<SummaryView, GatewayError> {
        self.evaluate();
        self.hang().await;
        Ok(SummaryView::default())
    }
    async fn explain(&self, _: ExplainRequest) -> Result<Value, GatewayError> {
        self.evaluate();
        Ok(json!({}))
    }
    fn policies(&self) -> PoliciesView {
        self.evaluate();
        view()
    }
    async fn plan(&self, _: Option<Vec<crate::policy::PolicyFile>>) -> Result<crate::relocation::Plan, GatewayError> {
        self.evaluate();
        Ok(crate::relocation::Plan::for_test())
    }
    async fn order_relocation(
        &self,
        _: &RequestId,
        _: &TokenIdentity,
        _: crate::relocation::Order,
        _: bool,
    ) -> Result<crate::relocation::Job, GatewayError> {
        Err(GatewayError::Unavailable("nothing moves here"))
    }
    fn relocations(&self) -> Vec<crate::relocation::Job> {
        self.evaluate();
        Vec::new()
    }
    fn relocation(&self, _: u64) -> Option<crate::relocation::Job> {
        self.evaluate();
        None
    }
    async fn cancel_relocation(
        &self,
        _: &RequestId,
        _: &TokenIdentity,
        _: u64,
    ) -> Result<Option<crate::relocation::Job>, GatewayError> {
        Ok(None)
    }
    async fn order_scrub(
        &self,
        _: &RequestId,
        _: &TokenIdentity,
        _: crate::scrub::Order,
    ) -> Result<crate::scrub::Job, GatewayError> {
        Err(GatewayError::Unavailable("nothing is scrubbed here"))
    }
    fn scrubs(&self) -> Vec<crate::scrub::Job> {
        self.evaluate();
        Vec::new()
    }
    fn scrub(&self, _: u64) -> Option<crate::scrub::Job> {
        self.evaluate();
        None
    }
    async fn cancel_scrub(&self, _: &RequestId, _: &TokenIdentity, _: u64) -> Result<Option<crate::scrub::Job>, GatewayError> {
        Ok(None)
    }
    async fn findings(&self) -> Result<Vec<crate::index::Finding>, GatewayError> {
        self.evaluate();
        Ok(Vec::new())
    }
    async fn order_import(
        &self,
        _: &RequestId,
        _: &TokenIdentity,
        _: ImportOrder,
        _: crate::import::SubjectMap,
    ) -> Result<crate::import::Job, GatewayError> {
        Err(GatewayError::Unavailable("nothing comes here"))
    }
    fn imports(&self) -> Vec<crate::import::Job> {
        self.evaluate();
        Vec::new()
    }
    fn import(&self, _: u64) -> Option<crate::import::Job> {
        self.evaluate();
        None
    }
    async fn cancel_import(&self, _: &RequestId, _: &TokenIdentity, _: u64) -> Result<Option<crate::import::Job>, GatewayError> {
        Ok(None)
    }
    async fn policy_history(&self, _: Option<u64>, _: usize) -> Result<Vec<PolicyEntryView>, GatewayError> {
        self.evaluate();
        Ok(Vec::new())
    }
    async fn policy_revision(&self, _: &str) -> Result<PolicyRevisionView, GatewayError> {
        self.evaluate();
        Err(GatewayError::NotFound("there is no such policy set"))
    }
    async fn policy_diff(&self, _: Option<SetToCompare>, _: Option<SetToCompare>) -> Result<PolicyDiffView, GatewayError> {
        self.evaluate();
        Err(GatewayError::NotFound("there is no such policy set"))
    }
    async fn roll_back_policies(
        &self,
        _: &RequestId,
        _: &TokenIdentity,
        _: &str,
        _: Option<String>,
    ) -> Result<PoliciesView, GatewayError> {
        Ok(view())
    }
    async fn decide_policies(
        &self,
        _: &RequestId,
        _: &TokenIdentity,
        _: &str,
        _: Verdict,
        _: Option<String>,
    ) -> Result<PoliciesView, GatewayError> {
        Ok(view())
    }
    async fn reload_policies(&self, _: &RequestId, _: &TokenIdentity) -> Result<PoliciesView, GatewayError> {
        Ok(view())
    }
    async fn reload_config(&self, _: &RequestId, _: &TokenIdentity) -> Result<AccessView, GatewayError> {
        Ok(AccessView { principals: 1, access_keys: 2, tokens: 3 })
    }
    async fn create_session(&self, _: &RequestId, _: &TokenIdentity, _: SessionRequest) -> Result<SessionView, GatewayError> {
        let text = String::new;
        Ok(SessionView { access_key_id: text(), secret_access_key: text(), session_token: text(), expires: text() })
    }
    fn unasked(&self, _: &BTreeSet<String>) -> Vec<String> {
        Vec::new()
    }
    async fn subject(
        &self,
        subject: &SubjectId,
        at: Option<Timestamp>,
        _: Option<Timestamp>,
    ) -> Result<Option<SubjectView>, GatewayError> {
        self.evaluate();
        let found = self.subjects.lock().get(subject).cloned();
        Ok(found.map(|attributes| SubjectView {
            unasked: Vec::new(),
            id: subject.clone(),
            attributes,
            generation: 1,
            updated: String::new(),
            known: true,
            effective: at.map(|at| at.to_rfc3339()),
            history: Vec::new(),
            history_cut: None,
        }))
    }
    async fn set_subject(
        &self,
        _: &RequestId,
        _: &TokenIdentity,
        subject: &SubjectId,
        saying: Saying,
    ) -> Result<(), GatewayError> {
        self.hang().await;
        self.said.lock().push((saying.effective, saying.reason.clone()));
        match saying.attributes {
            Some(_) if self.full_at.is_some_and(|most| self.subjects.lock().len() >= most) => {
                Err(GatewayError::Unavailable("the gateway is busy"))
            }
            Some(attributes) => {
                self.subjects.lock().insert(subject.clone(), attributes);
                Ok(())
            }
            None if self.subjects.lock().remove(subject).is_some() => Ok(()),
            None => Err(GatewayError::NotFound("nothing is known of this subject")),
        }
    }
    async fn import_subjects(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        sayings: Vec<(SubjectId, Saying)>,
        dry_run: bool,
    ) -> Vec<Result<ImportedSubject, GatewayError>> {
        let mut outcomes = Vec::new();
        for (subject, saying) in sayings {
            let known = self.subjects.lock().get(&subject) == saying.attributes.as_ref();
            let set = async { if dry_run { Ok(()) } else { self.set_subject(request, who, &subject, saying).await } };
            let outcome = set.await.map(|()| if known { ImportedSubject::Unchanged } else { ImportedSubject::Set });
            let stops = outcome.is_err();
            outcomes.push(outcome);
            if stops {
                break;
            }
        }
        outcomes
    }
    async fn erase_subject(&self, _: &RequestId, _: &TokenIdentity, _: &SubjectId, _: bool) -> Result<ErasureView, GatewayError> {
        Err(GatewayError::Conflict("something stands in the way".to_owned()))
    }
    async fn erasures(&self, _: Option<u64>, _: usize) -> Result<Vec<ErasureView>, GatewayError> {
        self.evaluate();
        Ok(Vec::new())
    }
    async fn erasure(&self, _: u64) -> Result<Option<ErasureView>, GatewayError> {
        self.evaluate();
        Ok(None)
    }
    async fn rotate_key(&self, _: &RequestId, _: &TokenIdentity, _: rotation::Rotation) -> Result<rotation::Job, GatewayError> {
        Err(GatewayError::Unavailable("no key turns here"))
    }
    async fn rotate_subject_key(&self, _: &RequestId, _: &TokenIdentity, _: &SubjectId) -> Answer<Vec<SubjectKeyView>> {
        Err(GatewayError::Unavailable("no key turns here"))
    }
    fn rotations(&self) -> Vec<rotation::Job> {
        self.evaluate();
        Vec::new()
    }
    fn rotation(&self, _: u64) -> Option<rotation::Job> {
        self.evaluate();
        None
    }
    fn ledger_head(&self) -> Result<LedgerHeadView, GatewayError> {
        self.evaluate();
        Ok(LedgerHeadView { size: 2, root: "00".to_owned(), time: String::new(), note: "note\n".to_owned(), key: String::new() })
    }
    async fn ledger_entries(&self, _: EntriesQuery) -> Answer<LedgerPage> {
        self.evaluate();
        Ok(LedgerPage { entries: vec!["{\"seq\":0}".to_owned(), "{\"seq\":1}".to_owned()], next: Some(2) })
    }
    async fn history(&self, _: HistoryQuestion) -> Answer<HistoryView> {
        self.evaluate();
        Err(GatewayError::NotFound("nothing was ever here"))
    }
    async fn report(&self, _: Timestamp, _: Timestamp) -> Answer<ReportView> {
        self.evaluate();
        Err(GatewayError::Unavailable("nothing happens here"))
    }
    async fn population(&self, _: &RequestId, _: &TokenIdentity, _: RecordsQuery, _: PopulationFormat) -> Answer<ExportBytes> {
        self.evaluate();
        Ok(futures_util::stream::empty().boxed())
    }
    async fn sample(&self, _: RecordsQuery, _: &str) -> Answer<SampleView> {
        self.evaluate();
        Err(GatewayError::Unavailable("nothing to draw from"))
    }
    async fn ledger_tile(&self, _: Tile) -> Answer<Option<Vec<u8>>> {
        self.evaluate();
        Ok(Some(vec![7; 32]))
    }
    async fn ledger_inclusion(&self, _: u64, _: Option<u64>) -> Answer<Option<InclusionProof>> {
        self.evaluate();
        Ok(None)
    }
    async fn ledger_consistency(&self, from: u64, to: u64) -> Answer<Option<ConsistencyProof>> {
        self.evaluate();
        Ok(Some(ConsistencyProof { from, to, hashes: vec![] }))
    }
    async fn ledger_checkpoints(&self, _: Option<u64>, _: usize) -> Answer<CheckpointsView> {
        self.evaluate();
        Ok(CheckpointsView::default())
    }
    async fn export_index(&self, _: &RequestId, _: &TokenIdentity) -> Result<ExportBytes, GatewayError> {
        if self.ledger_broken {
            return Err(GatewayError::Unavailable("the ledger cannot be written"));
        }
        self.recorded.lock().push("GET /v1/index/export");
        self.evaluate();
        let last = if self.breaks_off { Err(GatewayError::Internal("too slow".to_owned())) } else { Ok("DEX".into()) };
        Ok(futures_util::stream::iter([Ok("DOMIN".into()), last]).boxed())
    }
    async fn sites(&self) -> Vec<SiteView> {
        self.evaluate();
        Vec::new()
    }
    async fn check_sites(&self, _: &RequestId, _: &TokenIdentity) -> Result<Vec<SiteView>, GatewayError> {
        Ok(self.sites().await)
    }
    async fn init_site(
        &self,
        _: &RequestId,
        _: &TokenIdentity,
        site: &crate::types::SiteId,
    ) -> Result<SiteInitView, GatewayError> {
        Err(GatewayError::Conflict(format!("`{site}` has no bucket")))
    }
    async fn keys(&self) -> Result<Vec<KeyView>, GatewayError> {
        self.evaluate();
        Ok(Vec::new())
    }
    async fn readiness(&self) -> Readiness {
        let detail = "refused: another installation's".to_owned();
        Readiness { ready: false, components: vec![ComponentView { name: "site:pk-khi".to_owned(), up: false, detail }] }
    }
    fn metrics(&self) -> String {
        "up 1\n".to_owned()
    }
}
