mod answers;
mod limits;
mod queries;
mod subjects;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use futures_util::StreamExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::audit::proof::{ConsistencyProof, InclusionProof};
use crate::audit::residence::Proof;
use crate::audit::tile::Tile;
use crate::authn::{Role, Token, TokenHash, TokenIdentity, Tokens};
use crate::index::{EntriesQuery, RecordsQuery, Saying};
use crate::rotation;
use crate::types::{Attributes, BucketName, ObjectKey, PolicyRevision, PrincipalId, RequestId, SubjectId, Timestamp, VersionId};

type Answer<T> = Result<T, GatewayError>;

/// A gateway without records that remembers subjects and what was recorded.
#[derive(Default)]
struct Fake {
    subjects: Mutex<BTreeMap<SubjectId, Attributes>>,
    /// Days and reasons of what was said.
    said: Mutex<Vec<(Option<Timestamp>, Option<String>)>>,
    recorded: Mutex<Vec<&'static str>>,
    evaluated: AtomicBool,
    ledger_broken: bool,
    /// So many subjects can be set; more is an error.
    full_at: Option<usize>,
    /// An export does not come to its end.
    breaks_off: bool,
    /// The counters never come, and no subject is ever set.
    hangs: bool,
}

impl Fake {
    fn evaluate(&self) {
        self.evaluated.store(true, Ordering::Relaxed);
    }

    async fn hang(&self) {
        if self.hangs {
            std::future::pending::<()>().await;
        }
    }
}

fn view() -> PoliciesView {
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
    async fn subject(
        &self,
        subject: &SubjectId,
        at: Option<Timestamp>,
        _: Option<Timestamp>,
    ) -> Result<Option<SubjectView>, GatewayError> {
        self.evaluate();
        let found = self.subjects.lock().get(subject).cloned();
        Ok(found.map(|attributes| SubjectView {
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
    async fn ledger_checkpoints(&self, _: Option<u64>, _: usize) -> Answer<Vec<CheckpointView>> {
        self.evaluate();
        Ok(Vec::new())
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

const ROLES: [Role; 4] = [Role::Auditor, Role::PolicyAdmin, Role::Operator, Role::Legal];

fn api(fake: Fake) -> (Arc<Fake>, Router) {
    let token =
        |role: Role| Token { id: PrincipalId::new(role.as_str()).unwrap(), role, hash: TokenHash::of(&format!("token-{role}")) };
    let fake = Arc::new(fake);
    (Arc::clone(&fake), router(fake, Arc::new(Tokens::new(ROLES.map(token).to_vec()))))
}

async fn ask(router: &Router, method: &str, path: &str, role: Option<Role>, body: &str) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(role) = role {
        request = request.header("authorization", format!("Bearer token-{role}"));
    }
    if body.starts_with('{') {
        request = request.header("content-type", "application/json");
    }
    let response = router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let status = response.status();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
    assert!(response.headers().contains_key("x-domicile-request-id"));
    let text = String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
    // `/readyz` answers 503 with its own document.
    if (status.is_client_error() || status.is_server_error()) && path != "/readyz" {
        assert_eq!(kind, "application/problem+json", "{method} {path}: {text}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["status"], status.as_u16());
    }
    (status, text)
}

fn concrete(route: &Route) -> String {
    let by_number = ["/v1/relocations", "/v1/imports", "/v1/scrubs", "/v1/rotations", "/v1/erasures"];
    let id = if by_number.iter().any(|path| route.path.starts_with(path)) { "1" } else { "somebody" };
    let path = route.path.replace("{id}", id).replace("{*path}", "0/000");
    match route.path {
        "/v1/record" | "/v1/record/history" | "/v1/proof" => format!("{path}?bucket=media&key=a"),
        "/v1/sample" => format!("{path}?seed=7&n=1"),
        "/v1/ledger/proof" => format!("{path}?from=1&to=2"),
        _ => path,
    }
}

fn body_of(route: &Route) -> &'static str {
    match (route.method, route.path) {
        ("POST", "/v1/explain") => r#"{"bucket":"media","key":"a"}"#,
        ("POST", "/v1/sessions") => r#"{"principal":"feed","seconds":60}"#,
        ("PUT", _) => r#"{"attributes":{"residence":"pk"}}"#,
        _ => "",
    }
}

#[tokio::test]
async fn every_route_admits_exactly_the_roles_of_its_table_entry() {
    let (_, router) = api(Fake::default());
    for route in ROUTES {
        for role in ROLES.map(Some).into_iter().chain([None]) {
            let (status, text) = ask(&router, route.method, &concrete(route), role, body_of(route)).await;
            let what = format!("{} {} as {role:?}: {status} {text}", route.method, route.path);
            match (route.access, role) {
                (Access::Public, _) => assert!(!matches!(status.as_u16(), 401 | 403 | 404 | 405), "{what}"),
                (Access::Roles(_), None) => assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}"),
                (Access::Roles(roles), Some(role)) if !roles.contains(&role) => {
                    assert_eq!(status, StatusCode::FORBIDDEN, "{what}");
                }
                _ if route.built => {
                    assert!(!matches!(status.as_u16(), 401 | 403 | 405 | 501), "{what}");
                    assert!(
                        status != StatusCode::NOT_FOUND || text.contains("there is no such") || text.contains("nothing"),
                        "{what}"
                    );
                }
                _ => assert_eq!(status, StatusCode::NOT_IMPLEMENTED, "{what}"),
            }
        }
    }
}

#[tokio::test]
async fn an_auditor_changes_nothing() {
    // A plan takes a body and changes nothing; nor does a scrub that does not repair.
    let reads = |route: &&Route| {
        route.method == "GET"
            || (route.method == "POST" && matches!(route.path, "/v1/policies/plan" | "/v1/policies/diff" | "/v1/scrubs"))
    };
    for route in ROUTES.iter().filter(|route| !reads(route)) {
        let Access::Roles(roles) = route.access else { panic!("{} {} is public", route.method, route.path) };
        assert!(!roles.contains(&Role::Auditor) && !roles.contains(&Role::Legal), "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn the_openapi_document_names_every_route_and_no_other() {
    let (_, router) = api(Fake::default());
    let (_, text) = ask(&router, "GET", "/openapi.json", None, "").await;
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut documented: Vec<String> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        documented.extend(methods.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())));
    }
    let mut routes: Vec<String> =
        ROUTES.iter().map(|route| format!("{} {}", route.method, route.path.replace("{*", "{"))).collect();
    documented.sort();
    routes.sort();
    assert_eq!(documented, routes);
    for reference in text.split("#/components/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document.pointer(&format!("/components/{reference}")).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn wrong_parameters_and_paths_are_problems() {
    let (_, router) = api(Fake::default());
    let operator = Some(Role::Operator);
    for path in [
        "/v1/erasures?limit=0",
        "/v1/records?limit=0",
        "/v1/records?limit=1001",
        "/v1/records?since=yesterday",
        "/v1/records?country=Pakistan",
        "/v1/records?prefix=a",
        "/v1/records?colour=red",
        "/v1/record?bucket=media",
        "/v1/record?bucket=UPPER&key=a",
    ] {
        assert_eq!(ask(&router, "GET", path, operator, "").await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(ask(&router, "GET", "/v1/nothing", operator, "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(ask(&router, "GET", "/v1/nothing", None, "").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&router, "PATCH", "/v1/records", operator, "").await.0, StatusCode::METHOD_NOT_ALLOWED);
}
