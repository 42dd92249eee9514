//! What a request says, for the conditions of bucket policies.

use std::borrow::Cow;
use std::net::IpAddr;

use http::{HeaderMap, Method};

use super::headers::{tags, text};
use super::ops::path_of_copy_source;
use super::query::Query;
use crate::access::{Context, Key, Value};
use crate::authn::Mechanism;
use crate::types::Timestamp;

/// Milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Client {
    /// Where the connection comes from; a proxy's address when there is one in between. Unknown counts as absent in conditions.
    pub address: Option<IpAddr>,
    /// Whether it is encrypted.
    pub tls: bool,
    /// How, as policies write it: `1.2` or `1.3`.
    pub tls_version: Option<&'static str>,
}

/// The facts of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestFacts<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    /// Whether the operation makes an object. Beginning an upload and adding parts to it do not; completing it does.
    pub(super) creates_object: bool,
    pub(super) query: &'a Query<'a>,
    pub(super) client: Client,
    pub(super) region: &'a str,
    /// Where the signature stands, and when it was made.
    pub(super) mechanism: Mechanism,
    pub(super) signed: Option<Timestamp>,
    pub(super) now: Timestamp,
}

impl RequestFacts<'_> {
    fn header(&self, name: &'static str) -> Value<'_> {
        Value::maybe(text(self.headers, name).ok().flatten())
    }

    fn parameter(&self, name: &str) -> Value<'_> {
        Value::maybe(self.query.get(name))
    }

    fn tags(&self) -> Vec<(String, String)> {
        tags(self.headers).unwrap_or_default()
    }

    fn tag(&self, wanted: &str) -> Value<'_> {
        self.tags().into_iter().find(|(key, _)| key == wanted).map_or(Value::Absent, |(_, value)| value.into())
    }

    /// Bucket and key, however they were spelled.
    fn copy_source(&self) -> Value<'_> {
        let source = text(self.headers, "x-amz-copy-source").ok().flatten();
        source.and_then(path_of_copy_source).map_or(Value::Absent, Value::from)
    }

    /// What the signature says of the body: of a presigned URL, and without a signature, what S3 takes it to say.
    fn content_sha256(&self) -> Value<'_> {
        match text(self.headers, "x-amz-content-sha256").ok().flatten() {
            Some(value) => value.into(),
            None => self.query.get("X-Amz-Content-Sha256").unwrap_or("UNSIGNED-PAYLOAD").into(),
        }
    }

    fn remaining_retention_days(&self) -> Value<'_> {
        let until = text(self.headers, "x-amz-object-lock-retain-until-date").ok().flatten().and_then(Timestamp::parse_rfc3339);
        until.map_or(Value::Absent, |until| {
            let left = until.millis().saturating_sub(self.now.millis()).max(0);
            (left / DAY + i64::from(left % DAY > 0)).to_string().into()
        })
    }

    fn age_of_signature(&self) -> Value<'_> {
        self.signed.map_or(Value::Absent, |at| self.now.millis().saturating_sub(at.millis()).max(0).to_string().into())
    }
}

impl Context for RequestFacts<'_> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn value(&self, key: &Key) -> Value<'_> {
        match key {
            Key::SourceIp => self.client.address.map_or(Value::Absent, |address| address.to_canonical().to_string().into()),
            Key::SecureTransport => self.client.tls.into(),
            Key::Referer => self.header("referer"),
            Key::UserAgent => self.header("user-agent"),
            Key::RequestedRegion => self.region.into(),
            Key::Prefix => self.parameter("prefix"),
            // An empty one is no delimiter.
            Key::Delimiter => Value::maybe(self.query.get_filled("delimiter")),
            Key::MaxKeys => self.parameter("max-keys"),
            Key::VersionId => self.parameter("versionId"),
            Key::Acl => self.header("x-amz-acl"),
            Key::GrantRead => self.header("x-amz-grant-read"),
            Key::GrantWrite => self.header("x-amz-grant-write"),
            Key::GrantReadAcp => self.header("x-amz-grant-read-acp"),
            Key::GrantWriteAcp => self.header("x-amz-grant-write-acp"),
            Key::GrantFullControl => self.header("x-amz-grant-full-control"),
            Key::CopySource => self.copy_source(),
            Key::MetadataDirective => self.header("x-amz-metadata-directive"),
            Key::ServerSideEncryption => self.header("x-amz-server-side-encryption"),
            Key::KmsKeyId => self.header("x-amz-server-side-encryption-aws-kms-key-id"),
            Key::CustomerAlgorithm => self.header("x-amz-server-side-encryption-customer-algorithm"),
            Key::ContentSha256 => self.content_sha256(),
            Key::StorageClass => self.header("x-amz-storage-class"),
            Key::WebsiteRedirectLocation => self.header("x-amz-website-redirect-location"),
            Key::ObjectOwnership => self.header("x-amz-object-ownership"),
            Key::IfMatch => self.header("if-match"),
            // S3 knows `*` alone: a policy that wants this header wants nothing to be overwritten.
            Key::IfNoneMatch => match text(self.headers, "if-none-match") {
                Ok(Some("*")) => "*".into(),
                _ if matches!(self.method, &Method::GET | &Method::HEAD) => self.header("if-none-match"),
                _ => Value::Absent,
            },
            Key::ObjectCreationOperation => self.creates_object.into(),
            Key::RequestObjectTagKeys => match self.tags() {
                tags if tags.is_empty() => Value::Absent,
                tags => Value::Many(tags.into_iter().map(|(key, _)| Cow::Owned(key)).collect()),
            },
            Key::RequestObjectTag(name) => self.tag(name),
            Key::LockMode => self.header("x-amz-object-lock-mode"),
            Key::LockRetainUntilDate => self.header("x-amz-object-lock-retain-until-date"),
            Key::LockRemainingRetentionDays => self.remaining_retention_days(),
            Key::LockLegalHold => self.header("x-amz-object-lock-legal-hold"),
            Key::SignatureVersion => match self.mechanism {
                Mechanism::Absent => Value::Absent,
                Mechanism::FormVersion2 => "AWS".into(),
                Mechanism::Header | Mechanism::Presigned | Mechanism::Form => "AWS4-HMAC-SHA256".into(),
            },
            Key::AuthType => match self.mechanism {
                Mechanism::Header => "REST-HEADER".into(),
                Mechanism::Presigned => "REST-QUERY-STRING".into(),
                Mechanism::Form | Mechanism::FormVersion2 => "POST".into(),
                Mechanism::Absent => Value::Absent,
            },
            Key::TlsVersion => Value::maybe(self.client.tls_version),
            Key::SignatureAge => self.age_of_signature(),
            _ => Value::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn said(headers: &[(&'static str, &'static str)], query: &str, key: Key) -> String {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
        let query = Query::parse(Some(query)).unwrap();
        let client = Client { address: Some("::ffff:10.0.0.7".parse().unwrap()), tls: true, tls_version: Some("1.3") };
        let now = Timestamp::from_seconds(86_400);
        let signed = Some(Timestamp::from_seconds(86_399));
        let mechanism = Mechanism::Presigned;
        let creates_object = !query.contains("uploads");
        let facts = RequestFacts {
            method: &Method::PUT,
            creates_object,
            headers: &headers,
            query: &query,
            client,
            region: "khi",
            mechanism,
            signed,
            now,
        };
        match facts.value(&key) {
            Value::Absent => "-".to_owned(),
            Value::One(value) => value.into_owned(),
            Value::Many(values) => values.join("+"),
        }
    }

    #[test]
    fn facts_come_from_the_connection_the_query_and_the_headers() {
        for (headers, query, key, expected) in [
            (&[][..], "", Key::SourceIp, "10.0.0.7"),
            (&[], "", Key::SecureTransport, "true"),
            (&[("referer", "http://a/")], "", Key::Referer, "http://a/"),
            (&[], "prefix=a%2Fb", Key::Prefix, "a/b"),
            (&[("x-amz-tagging", "a=1&b=2")], "", Key::RequestObjectTagKeys, "a+b"),
            (&[("x-amz-tagging", "a=1&b=2")], "", Key::RequestObjectTag("b".into()), "2"),
            (&[], "", Key::RequestObjectTagKeys, "-"),
            (&[("x-amz-copy-source", "/media/a%20b")], "", Key::CopySource, "media/a b"),
            (&[("x-amz-object-lock-retain-until-date", "1970-01-03T00:00:01Z")], "", Key::LockRemainingRetentionDays, "2"),
            (&[], "uploads", Key::ObjectCreationOperation, "false"),
            (&[("x-amz-copy-source", "media/a%20b?versionId=null")], "", Key::CopySource, "media/a b"),
            (&[("if-none-match", "*")], "", Key::IfNoneMatch, "*"),
            (&[("if-none-match", "\"tag\"")], "", Key::IfNoneMatch, "-"),
            (&[], "delimiter=", Key::Delimiter, "-"),
            (&[], "", Key::ContentSha256, "UNSIGNED-PAYLOAD"),
            (&[], "", Key::TlsVersion, "1.3"),
            (&[], "", Key::AuthType, "REST-QUERY-STRING"),
            (&[], "", Key::SignatureAge, "1000"),
            (&[], "", Key::SourceVpc, "-"),
        ] {
            assert_eq!(said(headers, query, key.clone()), expected, "{key:?}");
        }
    }
}
