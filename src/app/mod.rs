//! Puts the modules together: from a checked configuration to a running gateway, and back down in order.
//!
//! Start: lock the data folder, open the keyring, open the index, take the sites into service, put the policies in force, serve. Stop: no new
//! connections, requests under way finish, background work ends, the index closes last.

mod access;
mod answers;
mod background;
mod exports;
mod folders;
mod forgetting;
mod gateway;
mod imports;
pub mod install;
mod key_uses;
mod keys;
mod known_sites;
mod ledger;
mod open;
pub mod policies;
mod policy_answers;
mod process;
mod proofs;
mod queries;
mod rebuild;
mod resume;
mod revisions;
mod scrubs;
mod sites;
mod start;
mod stopped;
mod subjects;
mod swap;
mod views;

pub use install::{Installation, OPERATOR_TOKEN_FILE};
pub use open::available;
pub use process::close_to_others;
pub use rebuild::{RebuildError, RebuildOrder, Rebuilt, rebuild};
pub use start::{App, Running, StartError};
pub use stopped::{StoppedError, StoppedIndex, ledger_key};
