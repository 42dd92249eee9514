//! Object lock as headers of a write, and the header that overrides governance mode.

use http::HeaderMap;

use super::{invalid, text};
use crate::bucket::{Lock, LockMode, Retention};
use crate::s3::errors::S3Error;
use crate::types::Timestamp;

const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";
const HOLD: &str = "x-amz-object-lock-legal-hold";

/// The lock that a new version is to have.
///
/// # Errors
/// `InvalidArgument` for a mode without a date and the other way round, and for values that are none.
pub(crate) fn lock(headers: &HeaderMap) -> Result<Lock, S3Error> {
    let retention = match (text(headers, MODE)?, text(headers, UNTIL)?) {
        (None, None) => None,
        (Some(mode), Some(until)) => Some(Retention {
            mode: LockMode::parse(mode).ok_or_else(|| invalid(MODE, "Unknown wormMode directive."))?,
            until: Timestamp::parse_rfc3339(until)
                .ok_or_else(|| invalid(UNTIL, "The retain until date must be provided in ISO 8601 format."))?,
        }),
        (Some(_), None) => {
            return Err(invalid(UNTIL, "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied."));
        }
        (None, Some(_)) => {
            return Err(invalid(MODE, "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied."));
        }
    };
    let legal_hold = match text(headers, HOLD)? {
        None => None,
        Some("ON") => Some(true),
        Some("OFF") => Some(false),
        Some(_) => return Err(invalid(HOLD, "Legal Hold must be either of 'ON' or 'OFF'.")),
    };
    Ok(Lock { retention, legal_hold })
}

/// Whether a retention in governance mode is to be overridden.
pub(crate) fn bypass_governance(headers: &HeaderMap) -> Result<bool, S3Error> {
    Ok(text(headers, "x-amz-bypass-governance-retention")?.is_some_and(|value| value.eq_ignore_ascii_case("true")))
}
