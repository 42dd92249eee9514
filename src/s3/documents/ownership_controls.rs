//! `OwnershipControls`.

use super::fields::{check_children, malformed};
use crate::access::ObjectOwnership;
use crate::s3::errors::S3Error;
use crate::s3::xml::{self, NAMESPACE, XmlWriter};

const ROOT: &str = "OwnershipControls";

/// Reads what PutBucketOwnershipControls is sent: exactly one rule.
pub(crate) fn parse(document: &[u8]) -> Result<ObjectOwnership, S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &["Rule"], &[])?;
    let rule = root.child("Rule").ok_or_else(|| malformed("`OwnershipControls` needs a `Rule`."))?;
    check_children(rule, &["ObjectOwnership"], &[])?;
    let ownership = ObjectOwnership::parse(rule.required("ObjectOwnership")?);
    ownership
        .ok_or_else(|| malformed("`ObjectOwnership` must be `BucketOwnerEnforced`, `BucketOwnerPreferred` or `ObjectWriter`."))
}

/// What GetBucketOwnershipControls answers.
pub(crate) fn write(ownership: ObjectOwnership) -> XmlWriter {
    let mut xml = XmlWriter::document(ROOT, Some(NAMESPACE));
    xml.element("Rule", |xml| xml.plain("ObjectOwnership", ownership.as_str()));
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::errors::Code;

    #[test]
    fn reads_and_writes_what_clients_send() {
        use ObjectOwnership::{BucketOwnerEnforced, BucketOwnerPreferred, ObjectWriter};
        for ownership in [BucketOwnerEnforced, BucketOwnerPreferred, ObjectWriter] {
            assert_eq!(parse(&write(ownership).finish()).unwrap(), ownership);
        }
        let rule = "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>";
        for wrong in ["", "<Rule/>", "<Rule><ObjectOwnership>Mine</ObjectOwnership></Rule>", &rule.repeat(2)] {
            let document = format!("<{ROOT}>{wrong}</{ROOT}>");
            assert_eq!(parse(document.as_bytes()).unwrap_err().code(), Code::MalformedXml, "{wrong}");
        }
    }
}
