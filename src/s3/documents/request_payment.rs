//! `RequestPaymentConfiguration`: the owner pays; nobody is billed for requests here.

use super::fields::{check_children, malformed};
use crate::s3::errors::S3Error;
use crate::s3::xml::{self, NAMESPACE, XmlWriter};

const ROOT: &str = "RequestPaymentConfiguration";

/// Reads what PutBucketRequestPayment is sent, which cannot change anything: `Requester` is not implemented.
pub(crate) fn parse(document: &[u8]) -> Result<(), S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &["Payer"], &[])?;
    match root.required("Payer")? {
        "BucketOwner" => Ok(()),
        "Requester" => Err(S3Error::not_implemented("Letting the requester pay")),
        _ => Err(malformed("`Payer` must be `BucketOwner` or `Requester`.")),
    }
}

/// What GetBucketRequestPayment answers.
pub(crate) fn write() -> XmlWriter {
    let mut xml = XmlWriter::document(ROOT, Some(NAMESPACE));
    xml.plain("Payer", "BucketOwner");
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::errors::Code;

    #[test]
    fn the_owner_pays() {
        let read = |payer: &str| {
            let document = format!("<RequestPaymentConfiguration><Payer>{payer}</Payer></RequestPaymentConfiguration>");
            parse(document.as_bytes()).map_err(|error| error.code())
        };
        assert_eq!(parse(&write().finish()), Ok(()));
        assert_eq!(read("Requester"), Err(Code::NotImplemented));
        assert_eq!(read("nobody"), Err(Code::MalformedXml));
    }
}
