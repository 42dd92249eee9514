//! S3's documents: written as text, read into small bounded trees.

mod reader;
mod writer;

pub(super) use reader::{Element, parse};
pub(super) use writer::XmlWriter;

/// The namespace of S3's documents.
pub(super) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
