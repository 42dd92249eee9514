//! Logs, request ids and metrics.

use std::{
    hash::{BuildHasher, RandomState},
    io::IsTerminal,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::Recorder;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, registry, util::SubscriberInitExt};

use crate::types::RequestId;

/// The environment variable that overrides the configured log filter, in the syntax of `tracing_subscriber::EnvFilter`.
pub const FILTER_VARIABLE: &str = "DOMICILE_LOG";

/// Names of the metrics. Whoever counts something registers it before it happens, so that a dashboard finds every one from the start.
/// Labels hold configured names only: never a bucket, key or subject.
pub mod metric {
    /// Gauge. Labels: `listener` (`s3`, `admin`).
    pub const CONNECTIONS: &str = "domicile_connections";
    /// Counter. Labels: `listener`, `reason` (`accept`, `tls`, `http`).
    pub const CONNECTION_ERRORS: &str = "domicile_connection_errors_total";
    /// Counter. Labels: `operation` (as S3 names it), `status` (`2xx` …).
    pub const REQUESTS: &str = "domicile_s3_requests_total";
    /// Histogram, seconds. Labels: `operation`, `status`.
    pub const REQUEST_SECONDS: &str = "domicile_s3_request_seconds";
    /// Counter. Labels: `code`.
    pub const REFUSALS: &str = "domicile_refusals_total";
    /// Gauge.
    pub const REQUESTS_UNDER_WAY: &str = "domicile_s3_requests_under_way";
    /// Counter. Labels: `limit` (`gateway`, `concurrency`, `rate`).
    pub const THROTTLED: &str = "domicile_s3_throttled_total";
    /// Counter. Labels: `code` (`unauthorized`, `forbidden`).
    pub const ADMIN_REFUSED: &str = "domicile_admin_refused_total";
    /// Counter. Labels: `limit` (`concurrency`, `rate`, `sign-in`).
    pub const ADMIN_THROTTLED: &str = "domicile_admin_throttled_total";
    /// Gauge. Labels: `share` (`writes`, `reads`).
    pub const MEMORY: &str = "domicile_memory_bytes";
    /// Gauge. Labels: `site`, `country`.
    pub const SITE_UP: &str = "domicile_site_up";
    /// Gauge. Labels: `site`, `check`.
    pub const SITE_ALARM: &str = "domicile_site_alarm";
    /// Gauge, seconds since 1970. Labels: `site`.
    pub const SITE_CHECKED: &str = "domicile_site_checked_timestamp_seconds";
    /// Counter. Labels: `site`, `operation` (`store`, `read`, `remove`, `list`), `result`.
    pub const SITE_OPERATIONS: &str = "domicile_site_operations_total";
    /// Histogram, seconds. Labels: `site`, `operation`.
    pub const SITE_SECONDS: &str = "domicile_site_operation_seconds";
    /// Counter. Labels: `site`, `operation`.
    pub const SITE_BYTES: &str = "domicile_site_bytes_total";

    /// Counter. Labels: `kind` (`current`, `noncurrent`, `marker`, `upload`).
    pub const LIFECYCLE_EXPIRED: &str = "domicile_lifecycle_expired_total";

    /// Gauge.
    pub const POLICY_PROPOSALS: &str = "domicile_policy_proposals";
    /// Gauge.
    pub const RELOCATION_QUEUE: &str = "domicile_relocation_queue";

    /// Gauge.
    pub const ERASURES_PENDING: &str = "domicile_erasures_pending";

    /// Gauge. Labels: `country`.
    pub const JOURNAL_LAG: &str = "domicile_journal_lag_seconds";

    /// Counter. Labels: `class`.
    pub const SCRUB_FINDINGS: &str = "domicile_scrub_findings_total";

    /// Gauge.
    pub const SCRUB_LAST: &str = "domicile_scrub_completed_timestamp_seconds";

    /// Gauge. Labels: `key`, `country`.
    pub const KEY_UP: &str = "domicile_key_up";
    /// Counter. Labels: `key`, `operation` (`wrap`, `unwrap` …), `outcome`.
    pub const KEY_CALLS: &str = "domicile_key_calls_total";
    /// Histogram, seconds. Labels: `key`, `operation`.
    pub const KEY_SECONDS: &str = "domicile_key_call_seconds";

    /// Counter. Labels: `of` (`witness`, `time-stamp`).
    pub const LEDGER_UNANSWERED: &str = "domicile_ledger_unanswered_total";

    /// Every metric with the text of its `# HELP` line.
    pub const ALL: [(&str, &str); 27] = [
        (CONNECTIONS, "Open connections"),
        (CONNECTION_ERRORS, "Connections that failed before a request, or broke"),
        (REQUESTS, "S3 requests answered"),
        (REQUEST_SECONDS, "Time until the head of an S3 answer"),
        (REFUSALS, "S3 requests refused by authentication, permission or policy"),
        (REQUESTS_UNDER_WAY, "S3 requests whose answer has not been sent yet"),
        (THROTTLED, "S3 requests answered with SlowDown because of a limit on requests"),
        (ADMIN_REFUSED, "Requests to the admin API with a token that is not known, or whose role may not"),
        (ADMIN_THROTTLED, "Requests and sign-ins at the admin port answered with 429 because of a limit"),
        (MEMORY, "Bytes of limits.memory that requests hold"),
        (SITE_UP, "Whether a site is in service"),
        (SITE_ALARM, "Whether an alarm stands at a site that nobody has accepted"),
        (SITE_CHECKED, "When it was last looked at how a site is set up"),
        (SITE_OPERATIONS, "Operations at a site"),
        (SITE_SECONDS, "Time of an operation at a site; a read ends with its first byte"),
        (SITE_BYTES, "Bytes that went to or came from a site"),
        (LIFECYCLE_EXPIRED, "What lifecycle rules let go"),
        (POLICY_PROPOSALS, "Policy sets that wait for approval"),
        (RELOCATION_QUEUE, "Subjects that moved and whose records have not all followed"),
        (ERASURES_PENDING, "Subjects whose erasure is accepted and not complete"),
        (JOURNAL_LAG, "Age of the oldest commit that a country's sites have not been told of"),
        (SCRUB_FINDINGS, "What scrubs have found to be wrong at the sites"),
        (KEY_UP, "Whether a country key can be used"),
        (KEY_CALLS, "Calls to the providers of country keys"),
        (KEY_SECONDS, "Time of a call to a key provider, waiting for its turn included"),
        (LEDGER_UNANSWERED, "Checkpoints of the ledger that a witness or time-stamping authority did not vouch for when asked"),
        (SCRUB_LAST, "When the background scrub last came round, in seconds since 1970; 0 when it never has since the start"),
    ];
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people at a terminal.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Logs or metrics cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("the log filter `{filter}` is wrong; write it like `info,domicile=debug`")]
    Filter {
        /// As given.
        filter: String,
        /// Why.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was set up before in this process.
    #[error("logging is already set up")]
    LoggingTwice(#[source] tracing_subscriber::util::TryInitError),
    /// Metrics were set up before in this process.
    #[error("metrics are already set up")]
    MetricsTwice,
    /// The histogram bounds are not usable.
    #[error("cannot build the metrics recorder")]
    Recorder(#[source] metrics_exporter_prometheus::BuildError),
}

/// Starts logging to standard error, once in a process. `filter` counts when `DOMICILE_LOG` is not set.
pub fn init_logging(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let filter = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::try_new(&filter).map_err(|source| TelemetryError::Filter { filter, source })?;
    // Colours are for a terminal only, and not for people who do not want them (no-color.org).
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(coloured);
    let lines = match format {
        LogFormat::Human => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    registry().with(lines.with_filter(filter)).try_init().map_err(TelemetryError::LoggingTwice)
}

/// What the process has counted so far.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Bounds of the histograms in seconds: from a cached lookup to a slow upload.
    const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

    /// Makes this process's metrics go here, once. Nothing listens: the admin API serves [`Metrics::render`].
    pub fn install() -> Result<Self, TelemetryError> {
        let builder = PrometheusBuilder::new().set_buckets(&Self::SECONDS).map_err(TelemetryError::Recorder)?;
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        for (name, help) in metric::ALL {
            recorder.describe_counter(name.into(), None, help.into());
        }
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::MetricsTwice)?;
        Ok(Self(handle))
    }

    /// The Prometheus text format (media type `text/plain; version=0.0.4`).
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

/// A request id that this process has not given before, and that other processes will hardly give: 16 upper-case hex digits,
/// like S3's. Not secret and not hard to guess.
pub fn next_request_id() -> RequestId {
    static SEED: OnceLock<u64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let seed = SEED.get_or_init(|| RandomState::new().hash_one(std::process::id()));
    // Hex digits always pass the name's check, so this runs once.
    loop {
        let id = scramble(seed.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed)));
        if let Ok(id) = RequestId::new(format!("{id:016X}")) {
            return id;
        }
    }
}

/// A bijection on 64 bits (the finaliser of SplitMix64), so that distinct counts give distinct ids.
fn scramble(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn request_ids_do_not_repeat() {
        let ids: HashSet<String> = (0..10_000).map(|_| next_request_id().to_string()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 16));
    }

    #[test]
    fn a_wrong_filter_is_named() {
        let error = init_logging(LogFormat::Human, "domicile=loud").unwrap_err();
        assert!(error.to_string().contains("domicile=loud"));
    }
}
