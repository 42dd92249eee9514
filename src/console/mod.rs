//! The auditor's console: the admin port's pages for people, below `/console`.
//!
//! Pages are made here, whole, from templates that escape; one small script makes them livelier and none needs it. A page asks what the
//! API's routes ask, through the same [`Gateway`](crate::admin::Gateway), under the same table of roles, and recorded in the ledger in
//! the same words: [`seat`] is the only way to it.
//!
//! Architecture invariant: the console changes nothing but who is logged in. What it shows is what its reader's token is shown by the API.

mod assets;
mod backlog;
mod checkpoints;
mod chrome;
mod decisions;
mod difference;
mod door;
mod download;
mod entry;
mod entry_search;
mod erasures;
mod filters;
mod findings;
mod forms;
mod headers;
mod instruments;
mod keys;
mod ledger;
mod ledger_entry;
mod lines;
mod narrowing;
mod overview;
mod places;
mod policies;
mod population;
mod record;
mod records;
mod relocations;
mod report;
mod router;
mod sample;
mod seat;
mod sites;
mod subjects;
mod tail;
mod world;

pub use router::router;
