//! Questions are recorded before they are answered.

use super::*;

/// The routes that answer with what the gateway knows: every one behind a token but those that change it.
fn queries() -> impl Iterator<Item = &'static Route> {
    let asks =
        |route: &&Route| route.method == "GET" || matches!(route.path, "/v1/explain" | "/v1/policies/plan" | "/v1/policies/diff");
    ROUTES.iter().filter(|route| route.access != Access::Public).filter(asks)
}

#[tokio::test]
async fn every_query_is_recorded_under_its_route_also_when_it_finds_nothing() {
    for route in queries() {
        let (fake, router) = api(Fake::default());
        ask(&router, route.method, &concrete(route), Some(Role::Operator), body_of(route)).await;
        assert_eq!(*fake.recorded.lock(), [format!("{} {}", route.method, route.path)]);
        assert!(fake.evaluated.load(Ordering::Relaxed));
    }
}

#[tokio::test]
async fn a_query_that_cannot_be_recorded_is_not_evaluated() {
    for route in queries() {
        let (fake, router) = api(Fake { ledger_broken: true, ..Fake::default() });
        let (status, text) = ask(&router, route.method, &concrete(route), Some(Role::Operator), body_of(route)).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{} {}: {text}", route.method, route.path);
        assert!(!fake.evaluated.load(Ordering::Relaxed), "{} {}", route.method, route.path);
    }
}
