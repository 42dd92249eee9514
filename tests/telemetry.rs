//! The recorder of metrics is one for a process, so it has a test program of its own.

#![expect(clippy::unwrap_used, reason = "a test program")]

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use domicile::{
    app::{App, Installation},
    config::Environment,
    telemetry::{Metrics, TelemetryError, metric},
};

struct NoVariables;

impl Environment for NoVariables {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }
}

/// What the admin port answers at `/metrics`.
fn scrape(admin: SocketAddr) -> String {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The first column of the table in the manual.
fn documented() -> BTreeSet<String> {
    let manual = include_str!("../docs/operations.md");
    let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    manual.lines().filter_map(name).filter(|name| name.starts_with("domicile_")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_metric_is_there_before_the_first_request_and_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let installation = Installation::open(folder.path(), anywhere, anywhere, &NoVariables).unwrap();
    let running = App::start(installation.config).await.unwrap();
    let admin = running.admin_addr();
    let text = tokio::task::spawn_blocking(move || scrape(admin)).await.unwrap();
    assert_eq!(documented(), metric::ALL.iter().map(|(name, _)| (*name).to_owned()).collect());
    for (name, help) in metric::ALL {
        assert!(text.contains(&format!("# HELP {name} {help}")), "{name} is not described:\n{text}");
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} is missing:\n{text}");
    }
    assert!(text.contains(r#"domicile_site_up{site="pk-khi",country="PK"} 1"#), "{text}");

    metrics::counter!(metric::REQUESTS, "operation" => "GetObject", "status" => "2xx").increment(3);
    metrics::histogram!(metric::REQUEST_SECONDS, "operation" => "GetObject", "status" => "2xx").record(0.003);
    let text = tokio::task::spawn_blocking(move || scrape(admin)).await.unwrap();
    assert!(text.contains(r#"domicile_s3_requests_total{operation="GetObject",status="2xx"} 3"#), "{text}");
    assert!(text.contains(r#"domicile_s3_request_seconds_bucket{operation="GetObject",status="2xx",le="0.005"} 1"#), "{text}");
    assert!(matches!(Metrics::install(), Err(TelemetryError::MetricsTwice)));
    running.shutdown().await;
}
