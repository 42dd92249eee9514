//! `LegalHold`, of an object's version.

use super::fields::{check_children, malformed};
use crate::s3::errors::S3Error;
use crate::s3::xml::{self, NAMESPACE, XmlWriter};

const ROOT: &str = "LegalHold";

/// Reads what PutObjectLegalHold is sent: whether the version is held.
pub(crate) fn parse(document: &[u8]) -> Result<bool, S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &["Status"], &[])?;
    match root.required("Status")? {
        "ON" => Ok(true),
        "OFF" => Ok(false),
        _ => Err(malformed("`Status` must be `ON` or `OFF`.")),
    }
}

/// What GetObjectLegalHold answers.
pub(crate) fn write(held: bool) -> XmlWriter {
    let mut xml = XmlWriter::document(ROOT, Some(NAMESPACE));
    xml.plain("Status", status(held));
    xml
}

/// As S3 writes it, here and in `x-amz-object-lock-legal-hold`.
pub(crate) const fn status(held: bool) -> &'static str {
    if held { "ON" } else { "OFF" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::errors::Code;

    #[test]
    fn reads_and_writes_what_clients_send() {
        for held in [true, false] {
            assert_eq!(parse(&write(held).finish()).unwrap(), held);
        }
        for wrong in ["<LegalHold/>", "<LegalHold><Status>abc</Status></LegalHold>", "<LegalHold><Status>on</Status></LegalHold>"]
        {
            assert_eq!(parse(wrong.as_bytes()).unwrap_err().code(), Code::MalformedXml, "{wrong}");
        }
    }
}
