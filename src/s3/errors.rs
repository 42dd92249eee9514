//! Every error a client can get: one table of codes, and the only translation from the inner errors to them.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use super::response::ResponseBody;
use super::xml::XmlWriter;
use crate::access::{InvalidAcl, MalformedPolicy};
use crate::authn::AuthnError;
use crate::bucket::SettingError;
use crate::objects::{BodyError, CustomerKeyError, ObjectError};
use crate::residency::Refusal;
use crate::types::{RequestId, VersionId};

/// Declares [`Code`] and its table from one list: variant, text of the code, HTTP status, message when there is none better.
macro_rules! codes {
    ($($variant:ident $text:literal $status:literal $message:literal,)*) => {
        /// A `Code` of S3's error document.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Code {
            $($variant,)*
        }

        impl Code {
            /// Every code.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as clients match it.
            pub(super) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The HTTP status that goes with it.
            pub(super) const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                }
            }

            const fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)*
                }
            }

            /// The code that S3 writes as `text`.
            fn from_text(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    AclNotSupported "AccessControlListNotSupported" 400 "The bucket does not allow ACLs.",
    AccessDenied "AccessDenied" 403 "Access denied.",
    AccessForbidden "AccessForbidden" 403 "This cross-origin request is not allowed.",
    AuthorizationHeaderMalformed "AuthorizationHeaderMalformed" 400 "The authorization header is malformed.",
    AuthorizationQueryParametersError "AuthorizationQueryParametersError" 400 "The query authentication parameters are wrong.",
    BadDigest "BadDigest" 400 "The body does not match the digest or checksum in the request.",
    BadRequest "BadRequest" 400 "The request lacks something.",
    BucketAlreadyExists "BucketAlreadyExists" 409 "The bucket name is taken by another owner; choose another.",
    BucketAlreadyOwnedByYou "BucketAlreadyOwnedByYou" 409 "The bucket exists and you own it.",
    BucketNotEmpty "BucketNotEmpty" 409 "The bucket is not empty; delete its objects and abort its multipart uploads first.",
    ConditionalRequestConflict "ConditionalRequestConflict" 409 "A conflicting conditional write to this key is under way; try again.",
    EntityTooLarge "EntityTooLarge" 400 "The upload is larger than one request may carry.",
    EntityTooSmall "EntityTooSmall" 400 "A part other than the last is smaller than 5 MiB.",
    ExpiredToken "ExpiredToken" 400 "The session token has expired.",
    IllegalLocationConstraint "IllegalLocationConstraintException" 400 "The location constraint is not this gateway's region.",
    IllegalVersioning "IllegalVersioningConfigurationException" 400 "The versioning configuration is not valid.",
    IncompleteBody "IncompleteBody" 400 "The body has fewer bytes than the request declared.",
    IncorrectNumberOfFiles "IncorrectNumberOfFilesInPostRequest" 400 "A form needs a field `file`, its last.",
    InternalError "InternalError" 500 "The gateway met an internal error; its log has the request id.",
    InvalidAccessKeyId "InvalidAccessKeyId" 403 "The access key id is not known here.",
    InvalidArgument "InvalidArgument" 400 "An argument is invalid.",
    InvalidBucketAclWithObjectOwnership "InvalidBucketAclWithObjectOwnership" 400 "The bucket's ACL grants others something.",
    InvalidBucketName "InvalidBucketName" 400 "The bucket name is not valid.",
    InvalidBucketState "InvalidBucketState" 409 "The bucket's other settings do not allow this.",
    InvalidDigest "InvalidDigest" 400 "The Content-MD5 is not the base64 of an MD5.",
    InvalidEncryptionAlgorithm "InvalidEncryptionAlgorithmError" 400 "The encryption algorithm is not valid; use AES256.",
    InvalidObjectState "InvalidObjectState" 403 "The operation does not apply to the object's state.",
    InvalidPart "InvalidPart" 400 "A part was not uploaded, or with another entity tag or checksum.",
    InvalidPartOrder "InvalidPartOrder" 400 "The parts must be listed in ascending order of their numbers.",
    InvalidPolicyDocument "InvalidPolicyDocument" 400 "The form's policy is not valid.",
    InvalidRange "InvalidRange" 416 "The range lies outside the object.",
    InvalidRequest "InvalidRequest" 400 "The request is not valid.",
    InvalidRetentionPeriod "InvalidRetentionPeriod" 400 "The retention period must be a positive number of days or years.",
    InvalidStorageClass "InvalidStorageClass" 400 "The only storage class is STANDARD; residency decides where data lives.",
    InvalidTag "InvalidTag" 400 "A tag is not valid.",
    InvalidToken "InvalidToken" 400 "The session token is malformed or does not belong to the access key.",
    InvalidUri "InvalidURI" 400 "The URI cannot be read.",
    KeyTooLongError "KeyTooLongError" 400 "A key has at most 1024 bytes of UTF-8.",
    MalformedAcl "MalformedACLError" 400 "The ACL is not well-formed or not what this operation expects.",
    MalformedPolicy "MalformedPolicy" 400 "The policy is not well-formed or not one of this bucket.",
    MalformedPostRequest "MalformedPOSTRequest" 400 "The body is not well-formed multipart/form-data.",
    MalformedTrailer "MalformedTrailerError" 400 "The body's trailer is malformed.",
    MalformedXml "MalformedXML" 400 "The XML is not well-formed or not what this operation expects.",
    MaxMessageLengthExceeded "MaxMessageLengthExceeded" 400 "The request's document is too large.",
    MaxPostPreDataLengthExceeded "MaxPostPreDataLengthExceededError" 400 "The fields before the file are too large.",
    MetadataTooLarge "MetadataTooLarge" 400 "User metadata has at most 2 KiB.",
    MethodNotAllowed "MethodNotAllowed" 405 "The method is not allowed on this resource.",
    MissingContentLength "MissingContentLength" 411 "The request needs a Content-Length.",
    MissingRequestBody "MissingRequestBodyError" 400 "The request needs a body.",
    MissingSecurityHeader "MissingSecurityHeader" 400 "The request lacks a required header.",
    NoSuchBucket "NoSuchBucket" 404 "The bucket does not exist.",
    NoSuchBucketPolicy "NoSuchBucketPolicy" 404 "The bucket has no policy.",
    NoSuchCors "NoSuchCORSConfiguration" 404 "The bucket has no CORS configuration.",
    NoSuchKey "NoSuchKey" 404 "The key does not exist.",
    NoSuchLifecycle "NoSuchLifecycleConfiguration" 404 "The bucket has no lifecycle configuration.",
    NoSuchObjectLockConfiguration "NoSuchObjectLockConfiguration" 404 "The object has no such object lock configuration.",
    NoSuchPublicAccessBlock "NoSuchPublicAccessBlockConfiguration" 404 "The bucket has no public access block.",
    NoSuchTagSet "NoSuchTagSet" 404 "The bucket has no tags.",
    NoSuchUpload "NoSuchUpload" 404 "The multipart upload does not exist; it may have been completed or aborted.",
    NoSuchVersion "NoSuchVersion" 404 "The version does not exist.",
    NotImplemented "NotImplemented" 501 "This is not implemented.",
    NotModified "NotModified" 304 "Not modified.",
    ObjectLockConfigurationNotFound "ObjectLockConfigurationNotFoundError" 404 "The bucket has no object lock configuration.",
    OwnershipControlsNotFound "OwnershipControlsNotFoundError" 404 "The bucket has no ownership controls.",
    PreconditionFailed "PreconditionFailed" 412 "A condition of the request does not hold.",
    RequestIsNotMultiPartContent "RequestIsNotMultiPartContent" 400 "A form must be multipart/form-data with a boundary.",
    RequestTimeTooSkewed "RequestTimeTooSkewed" 403 "The request's time differs too much from the gateway's.",
    RequestTimeout "RequestTimeout" 400 "The body was not read within the timeout.",
    ResidencyConflict "ResidencyConflict" 403 "The policies in force leave no country for this record.",
    ResidencyKeyDestroyed "ResidencyKeyDestroyed" 410 "The key that sealed the data has been destroyed.",
    ResidencyUnavailable "ResidencyUnavailable" 503 "No allowed site can be reached.",
    ResidencyUnknown "ResidencyUnknown" 403 "Whose data this is, or where it must live, cannot be told from the request.",
    ServiceUnavailable "ServiceUnavailable" 503 "The gateway cannot serve this request now; try again.",
    SignatureDoesNotMatch "SignatureDoesNotMatch" 403 "The signature does not match.",
    SlowDown "SlowDown" 503 "The gateway is busy; try again more slowly.",
    UnresolvableEmail "UnresolvableGrantByEmailAddress" 400 "No account goes by this e-mail address.",
    ContentSha256Mismatch "XAmzContentSHA256Mismatch" 400 "The body does not match x-amz-content-sha256.",
}

/// Seconds that a client should wait after a 503 that knows no better.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// An error as a client will see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct S3Error {
    code: Code,
    message: Cow<'static, str>,
    /// More elements of the error document.
    details: Vec<(&'static str, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The HTTP status, where it is not the code's usual one.
    status: Option<u16>,
}

impl S3Error {
    /// With the table's message.
    pub(super) const fn new(code: Code) -> Self {
        Self { code, message: Cow::Borrowed(code.message()), details: Vec::new(), headers: Vec::new(), status: None }
    }

    /// With a message of its own, which must be safe to show: no key, subject or secret.
    pub(super) fn with(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }

    /// Names something that S3 has and the gateway has not.
    pub(super) fn not_implemented(what: impl std::fmt::Display) -> Self {
        Self::with(Code::NotImplemented, format!("{what} is not implemented by this gateway."))
    }

    /// Adds an element to the error document.
    pub(super) fn detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// Adds a header to the answer.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    /// The same without what a refusal says of countries, instruments and signals.
    pub(super) fn without_residence(self) -> Self {
        match self.code {
            Code::ResidencyConflict | Code::ResidencyKeyDestroyed | Code::ResidencyUnavailable | Code::ResidencyUnknown => {
                Self { message: Cow::Borrowed(self.code.message()), details: Vec::new(), ..self }
            }
            _ => self,
        }
    }

    /// The code.
    pub(super) const fn code(&self) -> Code {
        self.code
    }

    /// The message.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status.unwrap_or(self.code.status())).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The answer. `resource` is the path as the client sent it; HEAD and 304 have no document.
    pub(super) fn into_response(self, id: &RequestId, resource: &str, head: bool) -> Response<ResponseBody> {
        let status = self.status();
        let bodiless = head || status == StatusCode::NOT_MODIFIED;
        let mut response = Response::new(if bodiless { ResponseBody::empty() } else { self.document(id, resource) });
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if !bodiless {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        headers.extend(self.headers);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.entry(header::RETRY_AFTER).or_insert(RETRY_AFTER);
        }
        response
    }

    fn document(&self, id: &RequestId, resource: &str) -> ResponseBody {
        let mut xml = XmlWriter::document("Error", None);
        xml.text("Code", self.code.as_str());
        xml.text("Message", &self.message);
        for (name, value) in &self.details {
            xml.text(name, value);
        }
        xml.text("Resource", resource);
        xml.text("RequestId", id.as_str());
        xml.text("HostId", id.as_str());
        ResponseBody::full(xml.finish())
    }
}

/// The answer to a read whose client's copy is still good.
fn not_modified(etag: &impl std::fmt::Display, modified: crate::types::Timestamp) -> S3Error {
    S3Error::new(Code::NotModified)
        .header(header::ETAG, &format!("\"{etag}\""))
        .header(header::LAST_MODIFIED, &modified.to_http_date())
}

impl From<ObjectError> for S3Error {
    fn from(error: ObjectError) -> Self {
        use ObjectError as E;
        match error {
            E::NoSuchBucket => Self::new(Code::NoSuchBucket),
            E::NoSuchKey => Self::new(Code::NoSuchKey).header(HeaderName::from_static("x-amz-delete-marker"), "false"),
            E::NoSuchVersion => Self::new(Code::NoSuchVersion),
            E::NoSuchUpload => Self::new(Code::NoSuchUpload),
            E::BucketExists => Self::new(Code::BucketAlreadyExists),
            E::BucketNotEmpty => Self::new(Code::BucketNotEmpty),
            E::Forbidden(_) | E::Denied(_) | E::NotAllowed | E::WrongOwner => Self::with(Code::AccessDenied, sentence(&error)),
            E::Residency(refusal) => refusal.into(),
            E::PreconditionFailed { condition } => Self::new(Code::PreconditionFailed).detail("Condition", condition),
            E::NotModified { etag, modified } => not_modified(&etag, modified),
            E::ConditionalConflict => Self::new(Code::ConditionalRequestConflict),
            E::InvalidRange { size } => Self::new(Code::InvalidRange)
                .detail("ActualObjectSize", size.to_string())
                .header(header::CONTENT_RANGE, &format!("bytes */{size}")),
            E::InvalidPart { number } => Self::new(Code::InvalidPart).detail("PartNumber", number.to_string()),
            E::InvalidPartOrder => Self::new(Code::InvalidPartOrder),
            E::EntityTooSmall { number, size } => Self::new(Code::EntityTooSmall)
                .detail("PartNumber", number.to_string())
                .detail("ProposedSize", size.to_string())
                .detail("MinSizeAllowed", "5242880"),
            E::EntityTooLarge { size, max } => {
                Self::new(Code::EntityTooLarge).detail("ProposedSize", size.to_string()).detail("MaxSizeAllowed", max.to_string())
            }
            E::BadDigest(_) => Self::with(Code::BadDigest, sentence(&error)),
            E::Body(body) => body.into(),
            E::InvalidArgument { name, message } => Self::with(Code::InvalidArgument, message).detail("ArgumentName", name),
            E::CustomerKey(CustomerKeyError::NotTheObjects) => Self::with(Code::AccessDenied, sentence(&error)),
            E::CustomerKey(_) => Self::with(Code::InvalidRequest, sentence(&error)),
            E::CopyToItself => Self::with(Code::InvalidRequest, sentence(&error)),
            E::NoSuchPart { number } => Self::with(Code::InvalidPart, sentence(&error)).detail("PartNumber", number.to_string()),
            E::InvalidTag { .. } => Self::with(Code::InvalidTag, sentence(&error)),
            E::MetadataTooLarge { size, max } => {
                Self::new(Code::MetadataTooLarge).detail("Size", size.to_string()).detail("MaxSizeAllowed", max.to_string())
            }
            E::Deleted { marker } => delete_marker(Self::new(Code::NoSuchKey), &marker),
            E::DeleteMarker { marker, modified } => {
                let error = Self::with(Code::MethodNotAllowed, "The version is a delete marker.")
                    .header(header::ALLOW, "DELETE")
                    .header(header::LAST_MODIFIED, &modified.to_http_date());
                delete_marker(error, &marker)
            }
            E::Locked | E::Kept { .. } => Self::with(Code::AccessDenied, sentence(&error)),
            E::ObjectLockMissing => Self::with(Code::InvalidRequest, "Bucket is missing Object Lock Configuration."),
            E::Acl(acl) => acl.into(),
            E::Setting(setting) => setting.into(),
            E::SiteUnavailable { .. } | E::KeysUnavailable { .. } | E::Unconfirmed => {
                Self::with(Code::ResidencyUnavailable, sentence(&error))
            }
            E::KeysDestroyed { .. } => Self::with(Code::ResidencyKeyDestroyed, sentence(&error)),
            E::Overloaded => Self::new(Code::SlowDown),
            // What went wrong inside is for the log, never for the client.
            internal => {
                tracing::error!(error = %internal, "request failed inside");
                Self::new(Code::InternalError)
            }
        }
    }
}

fn delete_marker(error: S3Error, marker: &VersionId) -> S3Error {
    error
        .header(HeaderName::from_static("x-amz-delete-marker"), "true")
        .header(HeaderName::from_static("x-amz-version-id"), &marker.to_string())
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        let code = Code::from_text(refusal.code()).unwrap_or(Code::AccessDenied);
        Self::with(code, sentence(&refusal))
    }
}

impl From<SettingError> for S3Error {
    fn from(error: SettingError) -> Self {
        let code = Code::from_text(error.code()).unwrap_or(Code::InvalidRequest);
        Self::with(code, sentence(&error))
    }
}

impl From<InvalidAcl> for S3Error {
    fn from(error: InvalidAcl) -> Self {
        let code = Code::from_text(error.code()).unwrap_or(Code::InvalidArgument);
        Self::with(code, sentence(&error))
    }
}

impl From<MalformedPolicy> for S3Error {
    fn from(error: MalformedPolicy) -> Self {
        Self::with(Code::MalformedPolicy, sentence(&error))
    }
}

impl From<BodyError> for S3Error {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::Signature => Code::SignatureDoesNotMatch,
            BodyError::Sha256Mismatch => Code::ContentSha256Mismatch,
            BodyError::Length { .. } | BodyError::Malformed(_) | BodyError::Disconnected => Code::IncompleteBody,
            BodyError::Trailer(_) => Code::MalformedTrailer,
            BodyError::TooSlow => Code::RequestTimeout,
            BodyError::Source => Code::ServiceUnavailable,
            BodyError::Form(_) => Code::MalformedPostRequest,
            BodyError::TooLarge { .. } => Code::EntityTooLarge,
            BodyError::TooSmall { .. } => Code::EntityTooSmall,
        };
        let refused = Self::with(code, sentence(&error));
        match error {
            BodyError::TooLarge { max } => refused.detail("MaxSizeAllowed", max.to_string()),
            BodyError::TooSmall { size, min } => {
                refused.detail("ProposedSize", size.to_string()).detail("MinSizeAllowed", min.to_string())
            }
            _ => refused,
        }
    }
}

impl From<AuthnError> for S3Error {
    fn from(error: AuthnError) -> Self {
        let code = Code::from_text(error.code()).unwrap_or(Code::AccessDenied);
        let refused = Self { status: Some(error.status()), ..Self::with(code, sentence(&error)) };
        match error {
            AuthnError::AuthorizationHeaderMalformed { region: Some(region), .. } => refused.detail("Region", region),
            AuthnError::InvalidAccessKeyId { access_key_id }
            | AuthnError::ExpiredAccessKey { access_key_id }
            | AuthnError::SignatureDoesNotMatch { access_key_id } => refused.detail("AWSAccessKeyId", access_key_id),
            _ => refused,
        }
    }
}

/// An inner error's message as a sentence.
fn sentence(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str().trim_end_matches('.')),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> RequestId {
        RequestId::new("4442587FB7D0A2F9").unwrap()
    }

    fn text(response: Response<ResponseBody>) -> String {
        String::from_utf8(response.into_body().into_full().to_vec()).unwrap()
    }

    #[test]
    fn each_code_is_found_by_its_text_and_has_a_status() {
        for code in Code::ALL {
            assert_eq!(Code::from_text(code.as_str()), Some(*code));
            assert_ne!(code.status(), 0);
            assert!(code.message().ends_with('.'), "{code:?}");
        }
    }

    #[test]
    fn the_document_names_code_message_resource_and_request() {
        let response = S3Error::new(Code::NoSuchKey).into_response(&id(), "/b/<k>&\u{1}", false);
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "application/xml");
        assert_eq!(
            text(response),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>The key does not exist.</Message>\
             <Resource>/b/&lt;k&gt;&amp;&#x1;</Resource><RequestId>4442587FB7D0A2F9</RequestId><HostId>4442587FB7D0A2F9</HostId></Error>"
        );
    }

    #[test]
    fn head_and_not_modified_have_no_document() {
        let response = S3Error::new(Code::NoSuchKey).into_response(&id(), "/", true);
        assert_eq!(text(response), "");
        let unchanged =
            ObjectError::NotModified { etag: "900150983cd24fb0d6963f7d28e17f72".parse().unwrap(), modified: Default::default() };
        let response = S3Error::from(unchanged).into_response(&id(), "/", false);
        assert_eq!(response.status(), 304);
        assert_eq!(response.headers()["etag"], "\"900150983cd24fb0d6963f7d28e17f72\"");
        assert_eq!(response.headers()["last-modified"], "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(text(response), "");
    }

    #[test]
    fn unavailability_says_when_to_come_back() {
        for error in [ObjectError::Overloaded, ObjectError::SiteUnavailable { country: "PK".parse().unwrap() }] {
            let response = S3Error::from(error).into_response(&id(), "/", false);
            assert_eq!(response.status(), 503);
            assert!(response.headers().contains_key("retry-after"));
        }
    }

    #[test]
    fn an_unsatisfiable_range_tells_the_size() {
        let response = S3Error::from(ObjectError::InvalidRange { size: 7 }).into_response(&id(), "/", false);
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-range"]),
            (416, &HeaderValue::from_static("bytes */7"))
        );
    }

    #[test]
    fn what_went_wrong_inside_is_not_shown() {
        let response = S3Error::from(ObjectError::Internal("disk /dev/sda1 is full".to_owned())).into_response(&id(), "/", false);
        assert_eq!(response.status(), 500);
        assert!(!text(response).contains("sda1"));
    }

    #[test]
    fn every_refused_setting_is_in_the_table() {
        use SettingError as E;
        let all = [
            E::Malformed("a".into()),
            E::InvalidArgument("a".into()),
            E::InvalidRequest("a".into()),
            E::InvalidRetentionPeriod("a".into()),
            E::InvalidTag(crate::bucket::InvalidTag("a")),
            E::InvalidBucketState("a".into()),
            E::IllegalVersioning("a".into()),
            E::AccessDenied("a".into()),
            E::AclsOff,
            E::AclNotPrivate,
            E::NotImplemented("a".into()),
        ];
        for error in all {
            assert_eq!(Some(S3Error::from(error.clone()).code()), Code::from_text(error.code()), "{error:?}");
        }
    }

    #[test]
    fn every_residency_refusal_and_authentication_error_is_in_the_table() {
        for code in [
            "ResidencyUnknown",
            "ResidencyConflict",
            "ResidencyUnavailable",
            "InvalidToken",
            "ExpiredToken",
            "RequestTimeTooSkewed",
        ] {
            assert!(Code::from_text(code).is_some(), "{code}");
        }
    }
}
