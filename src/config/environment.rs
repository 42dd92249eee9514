//! Where secrets come from: files and environment variables, passed in so that tests need neither.

use std::{io, path::Path};

use secrecy::SecretString;

/// The outside that a configuration may read.
pub trait Environment {
    /// An environment variable; `None` when it is unset or empty.
    fn variable(&self, name: &str) -> Option<String>;

    /// A small text file.
    fn file(&self, path: &Path) -> io::Result<String>;

    /// A secret from a file, without the line break that editors put at its end.
    fn secret_file(&self, path: &Path) -> io::Result<SecretString> {
        let text = self.file(path)?;
        Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
    }
}

/// The process's own environment and file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}
