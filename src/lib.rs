//! Domicile: a data-residency storage gateway.
//!
//! The way of a write, one module a stage: [`authn`] says who asks, [`residency`] where the record must live, [`seal`] makes it
//! unreadable there, [`backend`] stores it, [`index`] commits it. Each stage consumes the proof that the one before it minted.

pub mod access;
pub mod admin;
pub mod app;
pub mod audit;
pub mod authn;
pub mod backend;
pub mod bucket;
pub mod cli;
pub mod clock;
pub mod config;
pub mod diagnostics;
pub mod digest;
pub mod erasure;
pub mod import;
pub mod index;
pub mod jobs;
pub mod kms;
pub mod lifecycle;
pub mod notary;
pub mod objects;
pub mod policy;
pub mod recovery;
pub mod relocation;
pub mod residency;
pub mod rotation;
pub mod s3;
pub mod scrub;
pub mod seal;
pub mod server;
pub mod telemetry;
pub mod types;
pub mod unseal;
