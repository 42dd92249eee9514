//! Counts, durations and bytes of a site's operations.

use std::time::Instant;

use super::BackendError;
use crate::{telemetry::metric, types::SiteId};

/// What a site is asked to do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    Store,
    Read,
    Remove,
    List,
}

impl Operation {
    const ALL: [Self; 4] = [Self::Store, Self::Read, Self::Remove, Self::List];

    fn label(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Read => "read",
            Self::Remove => "remove",
            Self::List => "list",
        }
    }
}

/// Makes a site's metrics appear before its first operation.
pub(super) fn register(site: &SiteId) {
    for operation in Operation::ALL.map(Operation::label) {
        metrics::counter!(metric::SITE_OPERATIONS, "site" => site.to_string(), "operation" => operation, "result" => "ok")
            .increment(0);
        metrics::counter!(metric::SITE_BYTES, "site" => site.to_string(), "operation" => operation).increment(0);
        let _ = metrics::histogram!(metric::SITE_SECONDS, "site" => site.to_string(), "operation" => operation);
    }
}

/// An operation under way.
pub(super) struct Measured {
    operation: &'static str,
    site: SiteId,
    begun: Instant,
}

impl Measured {
    pub(super) fn begin(operation: Operation, site: &SiteId) -> Self {
        Self { operation: operation.label(), site: site.clone(), begun: Instant::now() }
    }

    /// Records the outcome. `bytes` counts only when the operation succeeded; a read's duration ends with its first byte.
    pub(super) fn end<T>(self, outcome: &Result<T, BackendError>, bytes: u64) {
        let (operation, site) = (self.operation, self.site.to_string());
        let result = outcome.as_ref().err().map_or("ok", BackendError::label);
        let elapsed = self.begun.elapsed();
        match outcome {
            Ok(_) | Err(BackendError::NotFound { .. }) => {
                tracing::debug!(site, operation, result, bytes, micros = elapsed.as_micros() as u64, "site operation");
            }
            Err(error) => {
                let retryable = error.is_retryable();
                tracing::warn!(site, operation, result, retryable, micros = elapsed.as_micros() as u64, %error, "site operation");
            }
        }
        if outcome.is_ok() && bytes > 0 {
            metrics::counter!(metric::SITE_BYTES, "site" => site.clone(), "operation" => operation).increment(bytes);
        }
        metrics::histogram!(metric::SITE_SECONDS, "site" => site.clone(), "operation" => operation).record(elapsed.as_secs_f64());
        metrics::counter!(metric::SITE_OPERATIONS, "site" => site, "operation" => operation, "result" => result).increment(1);
    }
}
