//! `domicile.toml`, version 1: read once, checked as a whole, handed to each module as that module's own settings.
//!
//! A [`Config`] has been checked: every key that a site names exists and has the site's country, every secret has been read from its
//! file or environment variable, every name is unique. [`Config::parse`] reports all mistakes of a file at once, each with its line.
//!
//! Deliberately absent: secrets written into the file itself, and a default country or site (the gateway without a file is an
//! installation of its own, see [`crate::app::install`]).

mod check;
mod environment;
mod model;
mod read;
#[cfg(test)]
mod tests;
mod units;

pub use environment::{Environment, SystemEnvironment};
pub use model::{
    Account, Addressing, Admin, Backend, Config, Credentials, Engine, Key, Keyring, Ledger, Limits, Log, PolicySource, Provider,
    S3, S3Backend, S3Service, Site, SiteChecks, Source, Tls,
};
pub use units::{InvalidSize, InvalidSpan, Size, Span};
