//! How much of the gateway one caller may use.

use std::num::NonZeroU32;

/// Limits of a principal, or of all who do not sign together. What is absent is not limited, but for what limits everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Requests a second in the long run; as many may come at once after a quiet second.
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests under way at a time, from the signature's check until the answer has been sent.
    pub concurrent_requests: Option<NonZeroU32>,
}
