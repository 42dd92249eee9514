//! The recorder of metrics is one for a process, so it has a test program of its own.

use domicile::telemetry::{Metrics, TelemetryError, metric};

#[test]
fn what_is_counted_is_rendered_and_a_second_recorder_is_refused() {
    let metrics = Metrics::install().unwrap();
    metrics::counter!(metric::REQUESTS, "operation" => "GetObject", "status" => "2xx").increment(3);
    metrics::histogram!(metric::REQUEST_SECONDS, "operation" => "GetObject").record(0.003);
    let text = metrics.render();
    assert!(text.contains(r#"domicile_requests_total{operation="GetObject",status="2xx"} 3"#), "{text}");
    assert!(text.contains(r#"le="0.005"} 1"#), "{text}");
    assert!(matches!(Metrics::install(), Err(TelemetryError::MetricsTwice)));
}
