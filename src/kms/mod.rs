//! Keys: providers of country keys, and the hierarchy below them.
//!
//! A country's key-encryption key (KEK) never leaves its [`KeyProvider`]. It wraps subject keys (SK), one for each subject and
//! country; an SK wraps the data key (DEK) of each record. Whoever destroys an SK has erased its subject, whoever destroys a
//! KEK its country.

mod aws;
mod context;
mod error;
mod export_notes;
mod exported;
mod guard;
mod hierarchy;
mod jwe;
mod jwk;
mod key_use;
mod keyring;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod provider;
mod pseudonym;
mod secret;
mod subject_key;
mod vault;

#[cfg(test)]
pub(crate) mod conformance;

pub use aws::{AwsKms, AwsKmsSettings, country_of_region};
pub use context::{KeyOwner, WrapContext};
pub use error::KmsError;
pub use export_notes::{ExportNote, ExportNotes, TakenNotes};
pub use exported::{DataKey, ExportedKeys};
pub use guard::KeyStanding;
pub use hierarchy::Hierarchy;
pub use key_use::{KeyObserver, KeyOperation, KeyOutcome, KeyUse};
pub use keyring::{CreatedKeyring, Keyring, KeyringRecipients};
#[cfg(feature = "pkcs11")]
pub use pkcs11::{Pkcs11Provider, Pkcs11Settings, Pkcs11Token};
pub use provider::{KeyIdentity, KeyProvider, KeyState, KeyVersion, WrappedKey};
pub use pseudonym::{LedgerSalt, Pseudonyms};
pub use secret::SecretKey;
pub use subject_key::{Dek, SubjectKey, WrappedDek, WrappedSubjectKey};
pub use vault::{VaultLogin, VaultProvider, VaultSettings};
