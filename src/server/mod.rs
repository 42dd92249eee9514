//! Listens, speaks TLS and HTTP/1.1, bounds what strangers can hold open, and drains on shutdown.
//!
//! Knows nothing of what it serves: [`serve`] takes any function from a request to a response.

mod client;
mod listener;
mod patience;
mod seats;
mod tls;

#[cfg(test)]
mod tests;

pub use client::{Connector, HttpClient, Stream, client};
pub use listener::{Drained, Limits, Peer, bind, serve};
pub use tls::{Tls, TlsError, TlsFiles};
