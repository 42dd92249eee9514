//! Country keys in the Transit engine of OpenBao or HashiCorp Vault.
//!
//! The key never leaves the server: subject keys go there to be wrapped and opened. A Transit key is made with `derived=true`, and the
//! context of each call is [`WrapContext::canonical_bytes`](super::WrapContext::canonical_bytes): for each installation, country, owner and
//! generation the engine derives another key, so a wrapping opens nowhere else. (The engine's `associated_data` would do as well, had its
//! `rewrap` not forgotten it.)
//!
//! Nothing is asked of a key before it was found to be fit ([`fit`]), and while it is in use that is asked again each second, together with
//! whether it is still the same key: a value that it wrapped is opened again. A key that was deleted and made anew under its name has
//! another.

mod fit;
mod provider;
mod server;
mod session;
mod settings;
#[cfg(test)]
mod tests;
mod text;

pub use provider::VaultProvider;
pub use settings::{VaultLogin, VaultSettings};
