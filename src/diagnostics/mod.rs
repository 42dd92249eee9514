//! Mistakes in files that people write, told so that they can be put right: file, line, column, what is wrong and a hint.
//!
//! Policies and the configuration are TOML read through [`Table`], which reports every mistake it meets into one [`Diagnostics`] instead
//! of stopping at the first, and which calls a key that nobody asked for a mistake too.

mod diagnostic;
mod document;
mod nearest;
mod table;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use document::{Document, Origin};
pub use nearest::nearest;
pub use table::{Item, Table};
