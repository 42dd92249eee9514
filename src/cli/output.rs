//! What a command prints and how it ends.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::table::Table;

/// Where a command writes: tables for people, JSON for machines.
pub struct Output<'w> {
    writer: &'w mut dyn Write,
    json: bool,
}

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was checked is wrong; the details are printed already.
    #[error("{0}")]
    Check(String),
    /// The command cannot be carried out as given.
    #[error("{0}")]
    Usage(String),
    /// The command is planned, but this program does not have it.
    #[error("`domicile {0}` is not built yet")]
    NotBuilt(&'static str),
    /// The gateway, a site or a file could not be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The process's exit code: 1 failed check, 2 usage, 3 could not reach.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Check(_) => 1,
            Self::Usage(_) | Self::NotBuilt(_) => 2,
            Self::Unreachable(_) | Self::Output(_) => 3,
        }
    }
}

impl<'w> Output<'w> {
    /// Writes to `writer`, JSON if `json`.
    pub fn new(writer: &'w mut dyn Write, json: bool) -> Self {
        Self { writer, json }
    }

    /// Whether a machine reads.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// A line for people, or some; machines don't get it. No name in it can play with the terminal.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        if !self.json {
            writeln!(self.writer, "{}", harmless(text.as_ref()))?;
        }
        Ok(())
    }

    /// A table for people; machines don't get it.
    pub fn table(&mut self, table: &Table) -> Result<(), Failure> {
        if !self.json {
            write!(self.writer, "{table}")?;
        }
        Ok(())
    }

    /// The result for machines; people don't get it.
    pub fn value(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        if self.json {
            let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
            writeln!(self.writer, "{text}")?;
        }
        Ok(())
    }

    /// Bytes as they are, for exports.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.writer.write_all(bytes)?)
    }

    /// What is buffered must be out before a long wait.
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.writer.flush()?)
    }
}

/// Text without control characters, but for those that part lines and columns.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// The same as one line, whatever names are in it.
pub(super) fn one_line(text: &str) -> String {
    harmless(text).replace('\n', "\u{fffd}")
}

/// Text from a JSON value for a cell or a line: strings without quotes, lists joined, nothing for null.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_controls_the_terminal_or_begins_a_line_of_its_own() {
        let mut printed = Vec::new();
        Output::new(&mut printed, false).line("one\u{1b}[2J\rof\n\ttwo").unwrap();
        assert_eq!(String::from_utf8(printed).unwrap(), "one\u{fffd}[2J\u{fffd}of\n\ttwo\n");
        assert_eq!(one_line("a\n  - b"), "a\u{fffd}  - b");
    }
}
