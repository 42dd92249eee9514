//! Forgetting a subject for good.
//!
//! An erasure has three steps, each durable in its row of the index, so that whatever breaks it off, it goes on where it came to:
//!
//! 1. **Accepted.** One commit destroys the subject's keys (see `objects/erase.rs`), and a **sweep** takes its records, uploads and
//!    secondary rows out of the index. What is at the sites is garbage that waits for no grace.
//! 2. **Keys.** A copy of a site that somebody made before holds the subject's keys too, wrapped, and the journal, which tells of records
//!    and the directory. So the journal is told everything that is left again under new keys of the sites, and the countries' keys that
//!    wrapped any of it are renewed and their old versions destroyed. Erasures that wait share this: it is begun when the oldest of them
//!    has waited for half of the time within which it is to be complete, or at once where one asks for it.
//! 3. **Complete.** The row and the ledger's entry name nobody.
//!
//! Failpoints, beside those of [`crate::objects`]: `erasure::swept`, `erasure::before-complete`.
//!
//! Not reached: copies of the keyring. Who keeps one of before, and a copy of a site of before, can open what was erased.

#[cfg(test)]
mod tests;
mod worker;

pub use worker::{Erasures, register};
