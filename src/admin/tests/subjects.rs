//! What is said of subjects, one by one and in many lines.

use super::*;

#[tokio::test]
async fn subjects_are_set_read_and_forgotten() {
    let (_, router) = api(Fake::default());
    let path = "/v1/subjects/a%2Fb%20c";
    let operator = Some(Role::Operator);
    let (status, text) = ask(&router, "PUT", path, operator, r#"{"attributes":{"residence":"pk"}}"#).await;
    assert_eq!(status, StatusCode::OK);
    let subject: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&subject["id"], &subject["attributes"]["residence"]), (&json!("a/b c"), &json!("PK")));
    assert_eq!(ask(&router, "DELETE", path, operator, "").await.0, StatusCode::NO_CONTENT);
    assert_eq!(ask(&router, "DELETE", path, operator, "").await.0, StatusCode::NOT_FOUND);
    for wrong in [r#"{"attributes":{"residence":"Pakistan"}}"#, r#"{"attributes":{"A":"b"}}"#, r#"{"attributes":{},"x":1}"#, "{"]
    {
        let (status, _) = ask(&router, "PUT", path, operator, wrong).await;
        assert!(status.is_client_error(), "{wrong}: {status}");
    }
}

#[tokio::test]
async fn an_import_sets_good_lines_and_reports_bad_ones_without_their_content() {
    let (fake, router) = api(Fake::default());
    let lines = concat!(
        "{\"id\":\"a\",\"attributes\":{\"residence\":\"PK\"}}\n\n",
        "{\"id\":\"secret-person\",\"attributes\":{\"residence\":\"nowhere\"}}\n",
        "{\"id\":\"\",\"attributes\":{}}\nnonsense\n",
        "{\"id\":\"b\",\"attributes\":{\"residence\":\"sg\"}}",
    );
    let (status, text) = ask(&router, "POST", "/v1/subjects:import", Some(Role::PolicyAdmin), lines).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&answer["imported"], &answer["failed"]), (&json!(2), &json!(3)));
    let bad: Vec<u64> = answer["errors"].as_array().unwrap().iter().map(|error| error["line"].as_u64().unwrap()).collect();
    assert_eq!(bad, [3, 4, 5]);
    assert!(!text.contains("secret-person"));
    assert_eq!(fake.subjects.lock().len(), 2);
}

#[tokio::test]
async fn days_and_reasons_go_with_what_is_said() {
    let (fake, router) = api(Fake::default());
    let operator = Some(Role::Operator);
    let body = r#"{"attributes":{"residence":"PK"},"effective":"2027-01-01","reason":"moved"}"#;
    assert_eq!(ask(&router, "PUT", "/v1/subjects/ali", operator, body).await.0, StatusCode::OK);
    let day = |text| Timestamp::parse_moment(text);
    assert_eq!(*fake.said.lock(), [(day("2027-01-01"), Some("moved".to_owned()))]);
    let (_, text) = ask(&router, "GET", "/v1/subjects/ali?at=2026-06-01T12:00:00Z", operator, "").await;
    assert!(text.contains("\"effective\":\"2026-06-01T12:00:00.000Z\""), "{text}");
    let lines = "{\"subject\":\"a\",\"attributes\":{},\"effective\":\"2020-02-29\"}\n{\"id\":\"b\",\"attributes\":{}}\n";
    let path = "/v1/subjects:import?effective=2021-01-01&reason=census&dry-run=";
    for (dry, said) in [("true", 1), ("false", 3)] {
        let (status, text) = ask(&router, "POST", &format!("{path}{dry}"), operator, lines).await;
        assert_eq!((status, text.contains("\"imported\":2")), (StatusCode::OK, true), "{text}");
        assert_eq!(fake.said.lock().len(), said);
    }
    let census = Some("census".to_owned());
    assert_eq!(fake.said.lock()[1..], [(day("2020-02-29"), census.clone()), (day("2021-01-01"), census)]);
    assert_eq!(
        ask(&router, "DELETE", "/v1/subjects/a?effective=2030-01-01&reason=gone", operator, "").await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(fake.said.lock().len(), 4);
    for (method, path, body) in [
        ("GET", "/v1/subjects/ali?at=yesterday", ""),
        ("GET", "/v1/subjects/ali?known-at=31.12.2026", ""),
        ("PUT", "/v1/subjects/ali", r#"{"attributes":{},"effective":"soon"}"#),
        ("PUT", "/v1/subjects/ali", r#"{"attributes":{},"reason":"two\nlines"}"#),
        ("DELETE", "/v1/subjects/ali?effective=2026-13-01", ""),
        ("POST", "/v1/subjects:import?effective=never", "{}"),
    ] {
        assert_eq!(ask(&router, method, path, operator, body).await.0, StatusCode::BAD_REQUEST, "{method} {path} {body}");
    }
}
