//! Keys: providers of country keys, and the hierarchy below them.
//!
//! A country's key-encryption key (KEK) never leaves its [`KeyProvider`]. It wraps subject keys (SK), one for each subject and
//! country; an SK wraps the data key (DEK) of each record. Whoever destroys an SK has erased its subject, whoever destroys a
//! KEK its country.

mod context;
mod error;
mod exported;
mod hierarchy;
mod jwe;
mod keyring;
mod provider;
mod pseudonym;
mod secret;
mod subject_key;

#[cfg(test)]
pub(crate) mod conformance;

pub use context::{KeyOwner, WrapContext};
pub use error::KmsError;
pub use exported::{DataKey, ExportedKeys};
pub use hierarchy::Hierarchy;
pub use keyring::{CreatedKeyring, Keyring, KeyringRecipients};
pub use provider::{KeyProvider, KeyState, KeyVersion, WrappedKey};
pub use pseudonym::Pseudonyms;
pub use secret::SecretKey;
pub use subject_key::{Dek, SubjectKey, WrappedDek, WrappedSubjectKey};
