mod answers;
mod fake;
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

use fake::Fake;

type Answer<T> = Result<T, GatewayError>;

const ROLES: [Role; 4] = [Role::Auditor, Role::PolicyAdmin, Role::Operator, Role::Legal];

fn api(fake: Fake) -> (Arc<Fake>, Router) {
    let token = |role: Role| Token {
        id: PrincipalId::new(role.as_str()).unwrap(),
        role,
        hash: TokenHash::of(&format!("token-{role}")),
        person: None,
    };
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
        "/v1/report" => format!("{path}?since=2026-11-01&until=2026-11-02"),
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
                _ => {
                    assert!(!matches!(status.as_u16(), 401 | 403 | 405 | 501), "{what}");
                    assert!(
                        status != StatusCode::NOT_FOUND || text.contains("there is no such") || text.contains("nothing"),
                        "{what}"
                    );
                }
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

#[tokio::test]
async fn two_tokens_at_once_are_none() {
    let (_, router) = api(Fake::default());
    for (first, second) in [("auditor", "operator"), ("auditor", "auditor"), ("nobody", "auditor")] {
        let request = Request::builder()
            .uri("/v1/summary")
            .header("authorization", format!("Bearer token-{first}"))
            .header("authorization", format!("Bearer token-{second}"));
        let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{first} {second}");
    }
}
