//! What is answered to whom, and what is not.

use super::*;

#[tokio::test]
async fn only_an_operator_may_have_what_a_scrub_finds_put_right() {
    let (_, router) = api(Fake::default());
    for (role, body, expected) in [
        (Role::Auditor, r#"{"deep":true,"sample":{"seed":1,"one_in":100}}"#, StatusCode::SERVICE_UNAVAILABLE),
        (Role::Auditor, r#"{"repair":true}"#, StatusCode::FORBIDDEN),
        (Role::Operator, r#"{"repair":true}"#, StatusCode::SERVICE_UNAVAILABLE),
        (Role::Operator, r#"{"sample":{"seed":1,"one_in":0}}"#, StatusCode::BAD_REQUEST),
        (Role::Operator, r#"{"prefix":"a"}"#, StatusCode::BAD_REQUEST),
        (Role::Operator, r#"{"fix":true}"#, StatusCode::BAD_REQUEST),
    ] {
        let (status, text) = ask(&router, "POST", "/v1/scrubs", Some(role), body).await;
        assert_eq!(status, expected, "{role:?} {body}: {text}");
    }
}

#[tokio::test]
async fn an_export_that_breaks_off_does_not_look_whole() {
    for breaks_off in [false, true] {
        let (_, router) = api(Fake { breaks_off, ..Fake::default() });
        let token = format!("Bearer token-{}", Role::Operator);
        let request = Request::builder().uri("/v1/index/export").header("authorization", token).body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let file = to_bytes(answer.into_body(), 1 << 20).await;
        assert!(if breaks_off { file.is_err() } else { file.unwrap() == "DOMINDEX" });
    }
}

#[tokio::test]
async fn readiness_is_for_everybody_and_its_reasons_for_bearers_of_a_token() {
    let (_, router) = api(Fake::default());
    let (status, text) = ask(&router, "GET", "/readyz", None, "").await;
    assert_eq!((status, text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "{\"ready\":false}"));
    for role in ROLES {
        let (status, text) = ask(&router, "GET", "/readyz", Some(role), "").await;
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && text.contains("site:pk-khi"), "{role}: {text}");
    }
    let request = Request::builder().uri("/readyz").header("authorization", "Bearer forged").body(Body::empty()).unwrap();
    let answer = router.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()[..], b"{\"ready\":false}");
}

#[tokio::test]
async fn a_plan_names_records_only_to_who_may_list_them() {
    let (_, router) = api(Fake::default());
    for role in [Role::Auditor, Role::PolicyAdmin, Role::Operator] {
        let lists = ask(&router, "GET", "/v1/records", Some(role), "").await.0 == StatusCode::OK;
        let (status, text) = ask(&router, "POST", "/v1/policies/plan", Some(role), "").await;
        assert_eq!((status, text.contains("holiday.jpg")), (StatusCode::OK, lists), "{role}: {text}");
        assert!(text.contains("there is no place"), "{role}: {text}");
    }
}

#[tokio::test]
async fn what_never_changes_may_be_kept_and_nothing_else() {
    let (_, router) = api(Fake::default());
    for route in ROUTES.iter().filter(|route| route.method == "GET") {
        let token = format!("Bearer token-{}", Role::Operator);
        let request = Request::builder().uri(concrete(route)).header("authorization", token).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let tile = route.path == "/v1/ledger/tile/{*path}";
        let expected = if tile { "private, max-age=31536000, immutable" } else { "no-store" };
        assert_eq!(answer.headers()["cache-control"], expected, "{}", route.path);
    }
}
