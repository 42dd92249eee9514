//! Listens, speaks TLS and HTTP/1.1, bounds what strangers can hold open, and drains on shutdown.
//!
//! Knows nothing of what it serves: [`serve`] takes any function from a request to a response.

mod address;
mod listener;
mod patience;
mod seats;
mod tls;

#[cfg(test)]
mod tests;

pub use address::{AddressError, Reserved, overlap};
pub use listener::{Drained, Limits, Peer, serve};
pub use tls::{Tls, TlsError, TlsFiles};
