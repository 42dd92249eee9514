//! CreateMultipartUpload.

use http::Response;

use super::Context;
use super::upload::check_features;
use crate::objects::CreateUpload;
use crate::s3::errors::{Code, S3Error};
use crate::s3::headers::{algorithm_of_upload, description, kind_of_upload, text};
use crate::s3::response::{ResponseBody, document, set, set_encryption, set_residence};
use crate::s3::xml::{NAMESPACE, XmlWriter};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, key) = context.object()?;
    let headers = context.headers();
    check_features(context).await?;
    let checksum = match algorithm_of_upload(headers)? {
        Some(algorithm) => Some((algorithm, kind_of_upload(headers, algorithm)?)),
        None if text(headers, "x-amz-checksum-type")?.is_some() => {
            return Err(S3Error::with(
                Code::InvalidRequest,
                "The x-amz-checksum-type header needs x-amz-checksum-algorithm beside it.",
            ));
        }
        None => None,
    };
    let (description, acl) = (description(headers)?, context.acl()?);
    let create = CreateUpload { bucket: bucket.clone(), key: key.clone(), description, checksum, acl };
    let (upload, residence) = context.objects.create_upload(&context.request, create).await?;
    let mut xml = XmlWriter::document("InitiateMultipartUploadResult", Some(NAMESPACE));
    xml.text("Bucket", bucket.as_str());
    xml.text("Key", key.as_str());
    xml.plain("UploadId", upload);
    let mut response = document(xml);
    let headers = response.headers_mut();
    if let Some((algorithm, kind)) = checksum {
        set(headers, "x-amz-checksum-algorithm", algorithm.as_str());
        set(headers, "x-amz-checksum-type", &kind.to_string());
    }
    set_encryption(headers, context.request.keys);
    set_residence(headers, &residence);
    Ok(response)
}
