//! Country keys in the Transit engine of OpenBao or HashiCorp Vault.

mod settings;

pub use settings::{VaultLogin, VaultSettings};
