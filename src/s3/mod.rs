//! The S3 protocol in front of the use cases: authenticate, route, read the request's words, call `objects`, write the answer.
//!
//! One file an operation under `ops`; everything about errors is in one table. Nothing here decides where a record lives, and
//! nothing here touches a site.

mod address;
mod admission;
mod body;
pub mod chunked;
mod conditions;
mod cors;
#[cfg_attr(not(test), expect(dead_code, reason = "no operation reads or writes all of them yet"))]
mod documents;
mod errors;
mod facts;
mod form;
#[cfg(feature = "test-util")]
pub mod fuzzing;
mod headers;
mod operation;
mod ops;
mod percent;
mod query;
mod ranges;
mod response;
#[cfg(test)]
mod robustness;
mod router;
mod service;
mod shared_body;
#[cfg(test)]
mod strangers;
mod target;
mod xml;

pub use facts::Client;
pub use operation::{Operation, Status};
pub use response::{ResponseBody, ResponseError};
pub use service::{S3Parts, S3Service};
