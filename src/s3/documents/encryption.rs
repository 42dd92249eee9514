//! `ServerSideEncryptionConfiguration`.

use super::fields::{check_children, malformed, truth};
use crate::bucket::{Algorithm, Encryption, SettingError};
use crate::s3::errors::S3Error;
use crate::s3::xml::{self, NAMESPACE, XmlWriter};

const ROOT: &str = "ServerSideEncryptionConfiguration";
const DEFAULT: &str = "ApplyServerSideEncryptionByDefault";

/// Reads what PutBucketEncryption is sent. Keys of AWS KMS are not implemented.
pub(crate) fn parse(document: &[u8]) -> Result<Encryption, S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &["Rule"], &[])?;
    let rule = root.child("Rule").ok_or_else(|| malformed("The configuration needs a `Rule`."))?;
    check_children(rule, &[DEFAULT, "BucketKeyEnabled"], &[])?;
    let default = rule.child(DEFAULT).ok_or_else(|| malformed(format!("A `Rule` needs `{DEFAULT}`.")))?;
    check_children(default, &["SSEAlgorithm", "KMSMasterKeyID"], &[])?;
    let algorithm = Algorithm::parse(default.required("SSEAlgorithm")?)?;
    if default.child("KMSMasterKeyID").is_some() {
        let why = "A KMSMasterKeyID is not applicable if the default SSE algorithm is not aws:kms.";
        return Err(SettingError::InvalidArgument(why.into()).into());
    }
    Ok(Encryption { algorithm, bucket_key: truth(rule, "BucketKeyEnabled")?.unwrap_or(false) })
}

/// What GetBucketEncryption answers.
pub(crate) fn write(encryption: &Encryption) -> XmlWriter {
    let mut xml = XmlWriter::document(ROOT, Some(NAMESPACE));
    xml.element("Rule", |xml| {
        xml.element(DEFAULT, |xml| xml.plain("SSEAlgorithm", encryption.algorithm.as_str()));
        xml.plain("BucketKeyEnabled", encryption.bucket_key);
    });
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::errors::Code;

    fn read(inside: &str) -> Result<Encryption, Code> {
        let document = format!("<{ROOT} xmlns=\"{NAMESPACE}\">{inside}</{ROOT}>");
        parse(document.as_bytes()).map_err(|error| error.code())
    }

    fn by_default(inside: &str) -> String {
        format!("<Rule><{DEFAULT}>{inside}</{DEFAULT}></Rule>")
    }

    #[test]
    fn reads_and_writes_what_clients_send() {
        assert_eq!(read(&by_default("<SSEAlgorithm>AES256</SSEAlgorithm>")), Ok(Encryption::default()));
        for bucket_key in [true, false] {
            let encryption = Encryption { bucket_key, ..Encryption::default() };
            assert_eq!(parse(&write(&encryption).finish()).unwrap(), encryption);
        }
    }

    #[test]
    fn refuses_other_keys_and_other_documents() {
        for (inside, code) in [
            (by_default("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>"), Code::NotImplemented),
            (by_default("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>"), Code::NotImplemented),
            (by_default("<SSEAlgorithm>aes256</SSEAlgorithm>"), Code::MalformedXml),
            (by_default("<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>"), Code::InvalidArgument),
            (by_default(""), Code::MalformedXml),
            ("<Rule/>".to_owned(), Code::MalformedXml),
            (String::new(), Code::MalformedXml),
        ] {
            assert_eq!(read(&inside), Err(code), "{inside}");
        }
    }
}
