//! A TOML file whose values remember where they stand.

use serde::Serialize;
use toml::{Spanned, de::DeTable};

use super::{Diagnostic, Diagnostics, Severity, Table};

/// A place in a file, for mistakes that only show when several files are seen together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The file's path as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Origin {
    /// A mistake at this place.
    pub fn diagnostic(&self, severity: Severity, message: impl Into<String>, hint: Option<String>) -> Diagnostic {
        Diagnostic { file: self.file.clone(), line: self.line, column: self.column, severity, message: message.into(), hint }
    }
}

/// The text a document was read from; turns byte offsets into lines and columns.
#[derive(Debug)]
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    /// The place of a byte offset. Offsets past the end or inside a character are taken as the nearest place before.
    pub(super) fn origin(&self, offset: usize) -> Origin {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = self.text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Origin { file: self.file.to_owned(), line, column }
    }
}

/// A parsed TOML file.
#[derive(Debug)]
pub struct Document<'a> {
    source: Source<'a>,
    root: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// Reads TOML. The diagnostic is the first mistake in the syntax; what the values mean is for [`Table`].
    pub fn parse(file: &'a str, text: &'a str) -> Result<Self, Diagnostic> {
        let source = Source { file, text };
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { source, root }),
            Err(error) => {
                let at = source.origin(error.span().map_or(0, |span| span.start));
                let message = error.message().trim().replace('\n', ", ");
                Err(at.diagnostic(Severity::Error, message, Some("the file must be TOML (https://toml.io)".to_owned())))
            }
        }
    }

    /// The top of the file. Mistakes found while reading it go to `sink`.
    pub fn root<'d>(&'d self, sink: &'d Diagnostics) -> Table<'d> {
        Table::new(&self.source, self.root.get_ref(), 0, "the file", sink)
    }
}
