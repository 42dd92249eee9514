//! `BucketLoggingStatus`: access logs are not written into buckets; the ledger and the gateway's log say who did what.

use super::fields::check_children;
use crate::s3::errors::S3Error;
use crate::s3::xml::{self, NAMESPACE, XmlWriter};

const ROOT: &str = "BucketLoggingStatus";

/// Reads what PutBucketLogging is sent, which cannot change anything: turning it on is not implemented.
pub(crate) fn parse(document: &[u8]) -> Result<(), S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &["LoggingEnabled"], &[])?;
    match root.child("LoggingEnabled") {
        None => Ok(()),
        Some(_) => Err(S3Error::not_implemented("Writing access logs into a bucket")),
    }
}

/// What GetBucketLogging answers: that it is off.
pub(crate) fn write() -> XmlWriter {
    XmlWriter::document(ROOT, Some(NAMESPACE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::errors::Code;

    #[test]
    fn logging_is_off() {
        assert_eq!(parse(&write().finish()), Ok(()));
        let on = "<BucketLoggingStatus><LoggingEnabled><TargetBucket>b</TargetBucket></LoggingEnabled></BucketLoggingStatus>";
        assert_eq!(parse(on.as_bytes()).unwrap_err().code(), Code::NotImplemented);
    }
}
