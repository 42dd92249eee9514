//! PostObject: the upload of a form ("POST Object" in the Amazon S3 API Reference).

use http::{HeaderValue, Response, StatusCode, Uri, header};

use super::Context;
use super::upload::stored_headers;
use crate::authn::{FormFields, Mechanism, Payload, VerifiedForm};
use crate::objects::{BodyError, PutRequest, Request, Stored};
use crate::s3::body::RequestBody;
use crate::s3::conditions;
use crate::s3::errors::{Code, S3Error};
use crate::s3::facts::RequestFacts;
use crate::s3::form::{self, Form};
use crate::s3::headers::{self, check_object_features, content_md5, description, expected_checksum, take_customer_keys};
use crate::s3::percent;
use crate::s3::response::{ResponseBody, document, no_content, ok, set, set_checksum};
use crate::s3::target::object_key;
use crate::s3::xml::XmlWriter;
use crate::types::{BucketName, ObjectKey};

pub(super) async fn handle(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let bucket = context.bucket()?;
    if context.facts.mechanism != Mechanism::Absent || !matches!(body.payload, Payload::Unsigned | Payload::Sha256(_)) {
        return Err(S3Error::with(Code::InvalidRequest, "A form is signed in its fields, and comes as it is."));
    }
    let patience = body.patience;
    let (length, body) = body.upload(context.headers())?;
    let turn = context.turn.read_form()?;
    let read = tokio::time::timeout(patience, form::read(context.headers(), length, body)).await;
    let Form { fields, file } = read.map_err(|_| BodyError::TooSlow)??;
    let verified = verify(context, &fields, bucket).await?;
    drop(turn);
    let mut headers = form::headers(context.headers(), &fields)?;
    let key = key(&fields)?;
    let keys = take_customer_keys(&mut headers, context.takes_keys);
    let checked = keys.and_then(|keys| check_object_features(&headers).map(|()| keys));

    let VerifiedForm { authenticated, mechanism, signed, file: size } = verified;
    let facts = RequestFacts { headers: &headers, mechanism, signed, ..context.facts };
    let request = Request { auth: &authenticated, facts: &facts, ..context.request };
    let keys = match checked {
        Ok(keys) => keys,
        // As in S3, who may not write is told that first.
        Err(error) => {
            context.objects.check_writable(&request, bucket, &key).await?;
            return Err(error);
        }
    };
    let request = Request { keys: &keys, ..request };
    let (description, condition) = (description(&headers)?, conditions::of_write(&headers)?);
    let (content_md5, checksum) = (content_md5(&headers)?, expected_checksum(&headers)?);
    let acl = headers::acl(&headers, &**context.principals())?;
    let (length, body) = file.upload(size)?;
    let put = PutRequest { bucket: bucket.clone(), key: key.clone(), description, length, content_md5, checksum, condition, acl };
    let stored = context.objects.put(&request, put, body).await?;
    let mut response = answer(context, &fields, (bucket, &key), &stored);
    stored_headers(response.headers_mut(), &stored, &keys);
    if let Some(checksum) = &stored.checksum {
        set_checksum(response.headers_mut(), checksum);
    }
    Ok(response)
}

/// Verifies the form's signature and policy, and counts the request on who signed it; a refusal is recorded before it is answered.
async fn verify(context: &Context<'_>, fields: &FormFields, bucket: &BucketName) -> Result<VerifiedForm, S3Error> {
    match context.authenticator.verify_form(fields, bucket, context.request.now) {
        Ok(verified) => {
            context.turn.count_on(&verified.authenticated)?;
            Ok(verified)
        }
        Err(error) => {
            let id = context.request.id;
            if let Err(failure) = context.objects.record_refused(id, error.code(), error.access_key_id()).await {
                tracing::error!(request = %id, error = %failure, "a refusal could not be recorded");
            }
            Err(error.into())
        }
    }
}

fn key(fields: &FormFields) -> Result<ObjectKey, S3Error> {
    let missing = || {
        S3Error::with(Code::InvalidArgument, "A form must contain a field `key`, before its file.").detail("ArgumentName", "key")
    };
    object_key(fields.get("key").filter(|key| !key.is_empty()).ok_or_else(missing)?)
}

/// What the form wants to be told: where to go on, or that it is done.
fn answer(
    context: &Context<'_>,
    fields: &FormFields,
    (bucket, key): (&BucketName, &ObjectKey),
    stored: &Stored,
) -> Response<ResponseBody> {
    let wanted = fields.get("success_action_redirect").or_else(|| fields.get("redirect"));
    if let Some(address) = wanted.and_then(|address| redirection(address, bucket, key, &stored.etag.to_string())) {
        let mut response = ok();
        *response.status_mut() = StatusCode::SEE_OTHER;
        response.headers_mut().insert(header::LOCATION, address);
        return response;
    }
    let location = context.address.of_object(bucket, key);
    let mut response = match fields.get("success_action_status").map(String::as_str) {
        Some("200") => ok(),
        Some("201") => {
            let mut xml = XmlWriter::document("PostResponse", None);
            xml.text("Location", &location);
            xml.text("Bucket", bucket.as_str());
            xml.text("Key", key.as_str());
            xml.etag("ETag", stored.etag);
            let mut created = document(xml);
            *created.status_mut() = StatusCode::CREATED;
            created
        }
        _ => no_content(),
    };
    set(response.headers_mut(), "location", &location);
    response
}

/// The address to go on at; `None` when `address` is none of the web, which S3 treats like an absent one.
fn redirection(address: &str, bucket: &BucketName, key: &ObjectKey, etag: &str) -> Option<HeaderValue> {
    let (address, fragment) = address.split_at(address.find('#').unwrap_or(address.len()));
    let uri: Uri = address.parse().ok()?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return None;
    }
    let separator = if uri.query().is_some() { '&' } else { '?' };
    let key = percent::encode(key.as_str());
    HeaderValue::from_str(&format!("{address}{separator}bucket={bucket}&key={key}&etag=%22{etag}%22{fragment}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_are_gone_on_at() {
        let (bucket, key) = (BucketName::new("media").unwrap(), ObjectKey::new("a b&c").unwrap());
        let address = |wanted| redirection(wanted, &bucket, &key, "e").map(|value| value.to_str().unwrap().to_owned());
        let added = "bucket=media&key=a%20b%26c&etag=%22e%22";
        assert_eq!(address("http://a.example/x"), Some(format!("http://a.example/x?{added}")));
        assert_eq!(address("https://a.example/?y=1"), Some(format!("https://a.example/?y=1&{added}")));
        assert_eq!(address("https://a.example/x#y"), Some(format!("https://a.example/x?{added}#y")));
        for wrong in ["", "/x", "javascript:alert(1)", "ftp://a/", "http://a/\r\nx: y", "http://a b/", "http://a/#\r\nx: y"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_form_names_its_key() {
        let fields = |key: &str| FormFields::from([("key".to_owned(), key.to_owned())]);
        assert_eq!(key(&fields("a")).unwrap().as_str(), "a");
        assert_eq!(key(&fields("")).unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(key(&FormFields::new()).unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(key(&fields(&"a".repeat(1025))).unwrap_err().code(), Code::KeyTooLongError);
    }
}
