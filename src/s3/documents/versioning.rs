//! `VersioningConfiguration`.

use super::fields::{check_children, malformed};
use crate::bucket::{SettingError, Versioning};
use crate::s3::errors::S3Error;
use crate::s3::xml::{self, NAMESPACE, XmlWriter};

const ROOT: &str = "VersioningConfiguration";

/// Reads what PutBucketVersioning is sent. Deleting with a second factor is not implemented.
pub(crate) fn parse(document: &[u8]) -> Result<Versioning, S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &["Status", "MfaDelete"], &[])?;
    match root.child_text("MfaDelete") {
        None | Some("Disabled") => {}
        Some("Enabled") => return Err(S3Error::not_implemented("MfaDelete")),
        Some(_) => return Err(malformed("`MfaDelete` must be `Enabled` or `Disabled`.")),
    }
    match root.child_text("Status") {
        Some("Enabled") => Ok(Versioning::Enabled),
        Some("Suspended") => Ok(Versioning::Suspended),
        Some(_) => Err(malformed("`Status` must be `Enabled` or `Suspended`.")),
        None => Err(SettingError::IllegalVersioning("The Versioning element must be specified.".into()).into()),
    }
}

/// What GetBucketVersioning answers: a bucket whose versioning was never turned on has no `Status`.
pub(crate) fn write(versioning: Versioning) -> XmlWriter {
    let mut xml = XmlWriter::document(ROOT, Some(NAMESPACE));
    xml.optional("Status", versioning.as_str());
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::errors::Code;

    fn read(inside: &str) -> Result<Versioning, Code> {
        let document = format!("<VersioningConfiguration xmlns=\"{NAMESPACE}\">{inside}</VersioningConfiguration>");
        parse(document.as_bytes()).map_err(|error| error.code())
    }

    #[test]
    fn reads_what_clients_send() {
        for (inside, expected) in [
            ("<Status>Enabled</Status>", Ok(Versioning::Enabled)),
            ("<MfaDelete>Disabled</MfaDelete><Status>Suspended</Status>", Ok(Versioning::Suspended)),
            ("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>", Err(Code::NotImplemented)),
            ("<Status>Disabled</Status>", Err(Code::MalformedXml)),
            ("<Status>enabled</Status>", Err(Code::MalformedXml)),
            ("<Status>Enabled</Status><MfaDelete/>", Err(Code::MalformedXml)),
            ("<Status>Enabled</Status><Status>Enabled</Status>", Err(Code::MalformedXml)),
            ("", Err(Code::IllegalVersioning)),
        ] {
            assert_eq!(read(inside), expected, "{inside}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for versioning in [Versioning::Enabled, Versioning::Suspended] {
            assert_eq!(parse(&write(versioning).finish()).unwrap(), versioning);
        }
        let off = write(Versioning::Off).finish();
        assert!(off.ends_with(b"/2006-03-01/\"></VersioningConfiguration>"));
    }
}
