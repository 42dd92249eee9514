//! Puts the modules together: from a checked configuration to a running gateway, and back down in order.
//!
//! Start: lock the data folder, open the keyring, open the index, take the sites into service, put the policies in force, serve. Stop: no new
//! connections, requests under way finish, background work ends, the index closes last.

mod access;
mod answers;
mod background;
mod explanations;
mod exports;
mod folders;
mod forgetting;
mod gateway;
pub mod history;
mod imports;
pub mod install;
mod key_exports;
mod key_uses;
mod keys;
mod known_sites;
mod ledger;
mod logins;
mod open;
pub mod policies;
mod policy_answers;
mod population;
mod process;
mod proofs;
mod queries;
mod rebuild;
mod reports;
mod resume;
mod revisions;
mod scrubs;
mod sites;
mod start;
mod stopped;
mod subjects;
mod swap;
mod views;

pub use install::{InstallError, Installation, OPERATOR_TOKEN_FILE};
pub use open::available;
pub use population::{Rows as PopulationRows, rows_of as population_rows};
pub use process::close_to_others;
pub use rebuild::{RebuildError, RebuildOrder, Rebuilt, rebuild};
pub use start::{App, Running, StartError};
pub use stopped::{StoppedCatalogue, StoppedError, StoppedIndex, ledger_key};
