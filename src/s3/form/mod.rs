//! Forms that browsers post (`multipart/form-data`, RFC 7578): fields first, then one file, read as a stream.

mod decoder;
mod head;
mod headers;
mod reader;

pub(super) use headers::headers;
#[cfg(feature = "test-util")]
pub(super) use reader::decode;
pub(super) use reader::{Form, read};
