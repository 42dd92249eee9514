//! `PublicAccessBlockConfiguration`, and `PolicyStatus`, which says whether a bucket's policy is public.

use super::fields::{check_children, truth};
use crate::access::PublicAccessBlock;
use crate::s3::errors::S3Error;
use crate::s3::xml::{self, NAMESPACE, XmlWriter};

const ROOT: &str = "PublicAccessBlockConfiguration";
const NAMES: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

/// Reads what PutPublicAccessBlock is sent; what is not there is off.
pub(crate) fn parse(document: &[u8]) -> Result<PublicAccessBlock, S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &NAMES, &[])?;
    let is_on = |name| Ok::<_, S3Error>(truth(&root, name)?.unwrap_or(false));
    Ok(PublicAccessBlock {
        block_public_acls: is_on(NAMES[0])?,
        ignore_public_acls: is_on(NAMES[1])?,
        block_public_policy: is_on(NAMES[2])?,
        restrict_public_buckets: is_on(NAMES[3])?,
    })
}

/// What GetPublicAccessBlock answers.
pub(crate) fn write(block: &PublicAccessBlock) -> XmlWriter {
    let mut xml = XmlWriter::document(ROOT, Some(NAMESPACE));
    let values = [block.block_public_acls, block.ignore_public_acls, block.block_public_policy, block.restrict_public_buckets];
    for (name, value) in NAMES.into_iter().zip(values) {
        xml.plain(name, value);
    }
    xml
}

/// What GetBucketPolicyStatus answers.
pub(crate) fn write_policy_status(public: bool) -> XmlWriter {
    let mut xml = XmlWriter::document("PolicyStatus", Some(NAMESPACE));
    xml.plain("IsPublic", public);
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::errors::Code;

    #[test]
    fn reads_and_writes_what_clients_send() {
        for bits in 0..16 {
            let block = PublicAccessBlock {
                block_public_acls: bits & 1 != 0,
                ignore_public_acls: bits & 2 != 0,
                block_public_policy: bits & 4 != 0,
                restrict_public_buckets: bits & 8 != 0,
            };
            assert_eq!(parse(&write(&block).finish()).unwrap(), block);
        }
        let some = "<PublicAccessBlockConfiguration><BlockPublicPolicy>TRUE</BlockPublicPolicy></PublicAccessBlockConfiguration>";
        let expected = PublicAccessBlock { block_public_policy: true, ..PublicAccessBlock::NONE };
        assert_eq!(parse(some.as_bytes()).unwrap(), expected);
        for wrong in ["<BlockPublicAcls>yes</BlockPublicAcls>", "<BlockAll>true</BlockAll>"] {
            let document = format!("<{ROOT}>{wrong}</{ROOT}>");
            assert_eq!(parse(document.as_bytes()).unwrap_err().code(), Code::MalformedXml, "{wrong}");
        }
    }

    #[test]
    fn the_policy_status_says_whether_it_is_public() {
        let written = write_policy_status(true).finish();
        assert!(written.ends_with(b"<IsPublic>true</IsPublic></PolicyStatus>"));
    }
}
