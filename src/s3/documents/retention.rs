//! `Retention`, of an object's version.

use super::fields::{check_children, date, malformed};
use super::object_lock::mode;
use crate::bucket::Retention;
use crate::s3::errors::S3Error;
use crate::s3::xml::{self, NAMESPACE, XmlWriter};

const ROOT: &str = "Retention";

/// Reads what PutObjectRetention is sent; an empty document removes retention. Whether the date lies ahead is for
/// [`Retention::check`].
pub(crate) fn parse(document: &[u8]) -> Result<Option<Retention>, S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &["Mode", "RetainUntilDate"], &[])?;
    if root.children.is_empty() {
        return Ok(None);
    }
    let mode = mode(&root)?;
    let until = date(&root, "RetainUntilDate")?.ok_or_else(|| malformed("`Retention` needs a `RetainUntilDate`."))?;
    Ok(Some(Retention { mode, until }))
}

/// What GetObjectRetention answers.
pub(crate) fn write(retention: &Retention) -> XmlWriter {
    let mut xml = XmlWriter::document(ROOT, Some(NAMESPACE));
    xml.plain("Mode", retention.mode.as_str());
    xml.plain("RetainUntilDate", retention.until);
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::LockMode;
    use crate::s3::errors::Code;
    use crate::types::Timestamp;

    #[test]
    fn reads_and_writes_what_clients_send() {
        let read = |inside: &str| parse(format!("<Retention xmlns=\"{NAMESPACE}\">{inside}</Retention>").as_bytes());
        let expected = Retention { mode: LockMode::Governance, until: Timestamp::from_seconds(1_893_456_000) };
        let sent = "<Mode>GOVERNANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate>";
        assert_eq!(read(sent).unwrap(), Some(expected));
        assert_eq!(parse(&write(&expected).finish()).unwrap(), Some(expected));
        assert_eq!(read("").unwrap(), None);
        for wrong in [
            "<Mode>GOVERNANCE</Mode>",
            "<RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate>",
            "<Mode>governance</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate>",
            "<Mode>GOVERNANCE</Mode><RetainUntilDate>soon</RetainUntilDate>",
            "<Mode/><RetainUntilDate/>",
        ] {
            assert_eq!(read(wrong).unwrap_err().code(), Code::MalformedXml, "{wrong}");
        }
    }
}
