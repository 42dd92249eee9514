//! CompleteMultipartUpload.

use http::Response;

use super::Context;
use super::upload::{checksum_elements, upload_id, version_header};
use crate::digest::{Checksum, ChecksumAlgorithm};
use crate::objects::{CompletePart, CompleteRequest};
use crate::s3::body::RequestBody;
use crate::s3::conditions;
use crate::s3::errors::{Code, S3Error};
use crate::s3::headers::{full_object_checksum, text};
use crate::s3::response::{ResponseBody, document, set_encryption, set_residence};
use crate::s3::xml::{self, Element, NAMESPACE, XmlWriter};

const MAX_DOCUMENT: usize = 2 * 1024 * 1024;
const MAX_PARTS: usize = 10_000;

pub(super) async fn handle(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, key) = context.object()?;
    let headers = context.headers();
    let upload = upload_id(context)?;
    let size = text(headers, "x-amz-mp-object-size")?.map(str::parse).transpose().map_err(|_| {
        S3Error::with(Code::InvalidArgument, "The object size is not a number.").detail("ArgumentName", "x-amz-mp-object-size")
    })?;
    let checksum = full_object_checksum(headers)?;
    let condition = conditions::of_write(headers)?;
    // The checksum header is the object's here, not the document's.
    let mut document_headers = headers.clone();
    for algorithm in ChecksumAlgorithm::ALL {
        document_headers.remove(algorithm.header_name());
    }
    let parts = parts(&body.document(&document_headers, MAX_DOCUMENT).await?)?;
    let complete = CompleteRequest { bucket: bucket.clone(), key: key.clone(), upload, parts, condition, checksum, size };
    let stored = context.objects.complete_upload(&context.request, complete).await?;
    let mut xml = XmlWriter::document("CompleteMultipartUploadResult", Some(NAMESPACE));
    xml.text("Location", &context.address.of_object(bucket, key));
    xml.text("Bucket", bucket.as_str());
    xml.text("Key", key.as_str());
    xml.etag("ETag", stored.etag);
    if let Some(checksum) = &stored.checksum {
        checksum_elements(&mut xml, checksum);
    }
    let mut response = document(xml);
    version_header(response.headers_mut(), &stored.version);
    // Without a key there is nothing to say of the encryption with one.
    if !stored.customer || context.request.keys.object.is_some() {
        set_encryption(response.headers_mut(), context.request.keys);
    }
    set_residence(response.headers_mut(), &stored.residence);
    Ok(response)
}

fn parts(body: &[u8]) -> Result<Vec<CompletePart>, S3Error> {
    let root = xml::parse(body, "CompleteMultipartUpload")?;
    let parts = root.children.iter().filter(|child| child.name == "Part").map(part).collect::<Result<Vec<_>, _>>()?;
    if parts.is_empty() || parts.len() > MAX_PARTS {
        return Err(S3Error::with(Code::MalformedXml, "A CompleteMultipartUpload names 1 to 10000 parts."));
    }
    Ok(parts)
}

fn part(element: &Element) -> Result<CompletePart, S3Error> {
    let number = element.required("PartNumber")?.trim();
    let number = number.parse().map_err(|_| S3Error::with(Code::MalformedXml, "A `PartNumber` is not a number."))?;
    let etag = element.required("ETag")?.trim().trim_matches('"').to_owned();
    let mut checksum = None;
    for algorithm in ChecksumAlgorithm::ALL {
        let Some(value) = element.child_text(&format!("Checksum{algorithm}")) else { continue };
        let parsed = Checksum::parse(algorithm, value.trim());
        checksum = Some(parsed.map_err(|_| S3Error::with(Code::InvalidPart, "A part's checksum is not valid."))?);
    }
    Ok(CompletePart { number, etag, checksum })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_with_their_checksums() {
        let body = "<CompleteMultipartUpload xmlns=\"u\"><Part><PartNumber>1</PartNumber><ETag>&quot;ab&quot;</ETag>\
            <ChecksumCRC32>y/Q5Jg==</ChecksumCRC32></Part><Part><ETag>cd</ETag><PartNumber> 2 </PartNumber></Part></CompleteMultipartUpload>";
        let parts = parts(body.as_bytes()).unwrap();
        assert_eq!((parts[0].number, parts[0].etag.as_str()), (1, "ab"));
        assert_eq!(parts[0].checksum.unwrap().to_base64(), "y/Q5Jg==");
        assert_eq!((parts[1].number, parts[1].etag.as_str(), parts[1].checksum), (2, "cd", None));
    }

    #[test]
    fn a_document_without_usable_parts_is_malformed() {
        for wrong in [
            "",
            "<CompleteMultipartUpload/>",
            "<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
            "<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>",
            "<CompleteMultipartUpload><Part><PartNumber>-1</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>",
        ] {
            assert_eq!(parts(wrong.as_bytes()).unwrap_err().code(), Code::MalformedXml, "{wrong}");
        }
        let many = "<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>".repeat(10_001);
        assert!(parts(format!("<CompleteMultipartUpload>{many}</CompleteMultipartUpload>").as_bytes()).is_err());
    }
}
