//! Why a request is not authenticated, and what S3 calls it.

/// A request whose sender is not known. Messages are safe to show to the sender; none carries a secret, a signature or an object
/// key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthnError {
    /// The request carries no credentials, and what it asks for is nobody's without them.
    #[error("the request is not signed, and this needs a signature")]
    MissingAuthentication,
    /// No principal has this access key.
    #[error("the access key id is not known here")]
    InvalidAccessKeyId {
        /// The access key id as sent.
        access_key_id: String,
    },
    /// The access key's time is over.
    #[error("the access key is not valid any more; use its successor")]
    ExpiredAccessKey {
        /// The access key id as sent.
        access_key_id: String,
    },
    /// The signature is not the one that the principal's secret gives.
    #[error(
        "the signature does not match; check the secret key, the signing method and whether a proxy changes the host or the path"
    )]
    SignatureDoesNotMatch {
        /// The access key id as sent.
        access_key_id: String,
    },
    /// A body that no signature covers, over plain HTTP, where the configuration wants TLS for it.
    #[error("a body with an unsigned payload must come over TLS; use https, or sign the payload")]
    UnsignedPayload {
        /// The access key id as sent.
        access_key_id: String,
    },
    /// Something that must be covered by the signature is not.
    #[error("`{name}` is in the request but not among its signed headers")]
    HeaderNotSigned {
        /// The access key id as sent.
        access_key_id: String,
        /// The header's name.
        name: String,
    },
    /// Other values of the header would have the same signature.
    #[error("`{name}` must be there once and without two spaces in a row, since a signature cannot tell these apart")]
    AmbiguousHeader {
        /// The access key id as sent.
        access_key_id: String,
        /// The header's name.
        name: String,
    },
    /// The signed headers name one that is not there.
    #[error("`{name}` is among the signed headers but not in the request")]
    SignedHeaderAbsent {
        /// The access key id as sent.
        access_key_id: String,
        /// The header's name.
        name: String,
    },
    /// `x-amz-date` or `Date` is more than 15 minutes away.
    #[error("the request's time differs from the gateway's by more than 15 minutes; set the clock")]
    RequestTimeTooSkewed {
        /// The access key id as sent.
        access_key_id: String,
    },
    /// Neither `x-amz-date` nor `Date` is there and readable.
    #[error("a signed request needs a valid `x-amz-date` or `date` header")]
    InvalidDate,
    /// The `Authorization` header cannot be read or names another region, service or day.
    #[error("the authorization header is malformed: {reason}")]
    AuthorizationHeaderMalformed {
        /// What is wrong with it.
        reason: String,
        /// The region to sign for, when that was wrong: S3's answer carries it as `Region`.
        region: Option<String>,
    },
    /// The presigned URL was valid once.
    #[error("the presigned URL has expired")]
    ExpiredPresignedUrl {
        /// The access key id as sent.
        access_key_id: String,
    },
    /// The presigned URL is dated in the future.
    #[error("the presigned URL is not valid yet")]
    PresignedUrlNotYetValid {
        /// The access key id as sent.
        access_key_id: String,
    },
    /// A presigned URL's parameters are missing, repeated or out of range.
    #[error("error in the query authentication parameters: {reason}")]
    AuthorizationQueryParametersError {
        /// What is wrong with them.
        reason: String,
    },
    /// Signed in the header and in the query at once.
    #[error("sign either in the `authorization` header or in the query, not both")]
    SeveralMechanisms,
    /// A signing method that is not offered: Signature Version 2, SigV4A, basic credentials.
    #[error("this authentication method is not supported; use AWS4-HMAC-SHA256")]
    UnsupportedMethod,
    /// A session token that was not issued here, or for another access key, or where there can be none.
    #[error("the session token is malformed or does not belong to the access key")]
    InvalidToken,
    /// The session is over.
    #[error("the session token has expired; get a new one")]
    ExpiredToken {
        /// The access key id as sent.
        access_key_id: String,
    },
    /// A form lacks a field that its authentication needs.
    #[error("a form that is signed must contain a field `{field}`, before its file")]
    FormFieldMissing {
        /// Its name.
        field: &'static str,
    },
    /// A form's credential or date cannot be read, or names another region, service or day.
    #[error("the form's signature cannot be read: {reason}")]
    InvalidFormCredential {
        /// What is wrong with it.
        reason: String,
    },
    /// A form's policy cannot be read.
    #[error("invalid policy: {reason}")]
    InvalidFormPolicy {
        /// What is wrong with it.
        reason: String,
    },
    /// A form is not what its policy allows.
    #[error("invalid according to policy: {reason}")]
    FormPolicyViolated {
        /// The access key id that signed the policy.
        access_key_id: String,
        /// What is not allowed.
        reason: String,
    },
    /// Not exactly one `Host`.
    #[error("the request needs exactly one `host` header")]
    InvalidHost,
    /// `x-amz-content-sha256` is missing.
    #[error("a request signed in its header needs `x-amz-content-sha256`")]
    MissingContentSha256,
    /// `x-amz-content-sha256` is neither a SHA-256 in hex nor a word that is understood here.
    #[error("`x-amz-content-sha256` must be a SHA-256 as 64 hex digits, UNSIGNED-PAYLOAD or a streaming form on HMAC-SHA256")]
    InvalidContentSha256,
}

impl AuthnError {
    /// The `Code` of S3's error document.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MissingAuthentication
            | Self::HeaderNotSigned { .. }
            | Self::UnsignedPayload { .. }
            | Self::InvalidDate
            | Self::FormPolicyViolated { .. }
            | Self::ExpiredPresignedUrl { .. }
            | Self::PresignedUrlNotYetValid { .. } => "AccessDenied",
            Self::InvalidAccessKeyId { .. } | Self::ExpiredAccessKey { .. } => "InvalidAccessKeyId",
            Self::SignatureDoesNotMatch { .. } | Self::SignedHeaderAbsent { .. } => "SignatureDoesNotMatch",
            Self::RequestTimeTooSkewed { .. } => "RequestTimeTooSkewed",
            Self::AuthorizationHeaderMalformed { .. } => "AuthorizationHeaderMalformed",
            Self::AuthorizationQueryParametersError { .. } => "AuthorizationQueryParametersError",
            Self::SeveralMechanisms
            | Self::InvalidContentSha256
            | Self::AmbiguousHeader { .. }
            | Self::FormFieldMissing { .. }
            | Self::InvalidFormCredential { .. } => "InvalidArgument",
            Self::InvalidFormPolicy { .. } => "InvalidPolicyDocument",
            Self::UnsupportedMethod | Self::InvalidHost | Self::MissingContentSha256 => "InvalidRequest",
            Self::InvalidToken => "InvalidToken",
            Self::ExpiredToken { .. } => "ExpiredToken",
        }
    }

    /// The HTTP status that S3 answers with.
    pub const fn status(&self) -> u16 {
        match self {
            Self::AuthorizationHeaderMalformed { .. }
            | Self::AuthorizationQueryParametersError { .. }
            | Self::SeveralMechanisms
            | Self::AmbiguousHeader { .. }
            | Self::UnsupportedMethod
            | Self::FormFieldMissing { .. }
            | Self::InvalidFormCredential { .. }
            | Self::InvalidFormPolicy { .. }
            | Self::InvalidToken
            | Self::ExpiredToken { .. }
            | Self::InvalidHost
            | Self::MissingContentSha256
            | Self::InvalidContentSha256 => 400,
            _ => 403,
        }
    }

    /// The access key id that the request claimed, for the ledger. Not proof of anything.
    pub fn access_key_id(&self) -> Option<&str> {
        match self {
            Self::InvalidAccessKeyId { access_key_id }
            | Self::ExpiredAccessKey { access_key_id }
            | Self::ExpiredToken { access_key_id }
            | Self::SignatureDoesNotMatch { access_key_id }
            | Self::UnsignedPayload { access_key_id }
            | Self::FormPolicyViolated { access_key_id, .. }
            | Self::HeaderNotSigned { access_key_id, .. }
            | Self::SignedHeaderAbsent { access_key_id, .. }
            | Self::AmbiguousHeader { access_key_id, .. }
            | Self::RequestTimeTooSkewed { access_key_id }
            | Self::ExpiredPresignedUrl { access_key_id }
            | Self::PresignedUrlNotYetValid { access_key_id } => Some(access_key_id),
            _ => None,
        }
    }
}
