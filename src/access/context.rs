//! The facts of a request that conditions and policy variables ask about.

use std::borrow::Cow;
use std::fmt;

use crate::types::Timestamp;

/// What a request says, asked only for the keys that a policy names. A bucket without a policy asks nothing.
///
/// Facts about the caller (`aws:username`, `aws:PrincipalArn`…) are not asked here: [`super::evaluate()`] knows them.
pub trait Context: fmt::Debug + Sync {
    /// When the request came in: `aws:CurrentTime` and `aws:EpochTime`.
    fn now(&self) -> Timestamp;

    /// What the request says under a key; [`Value::Absent`] when it says nothing.
    fn value(&self, key: &Key) -> Value<'_>;
}

/// A request that says nothing, at the epoch.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoContext;

impl Context for NoContext {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn value(&self, _: &Key) -> Value<'_> {
        Value::Absent
    }
}

/// What a request says under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing.
    Absent,
    /// One value.
    One(Cow<'a, str>),
    /// The values of a key that has many, such as `s3:RequestObjectTagKeys`. None of them counts as absent.
    Many(Vec<Cow<'a, str>>),
}

impl<'a> Value<'a> {
    /// One value, or nothing.
    pub fn maybe(value: Option<&'a str>) -> Self {
        value.map_or(Self::Absent, |text| Self::One(Cow::Borrowed(text)))
    }

    /// The values in order.
    pub(super) fn as_slice(&self) -> &[Cow<'a, str>] {
        match self {
            Self::Absent => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::One(Cow::Owned(value))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::One(Cow::Borrowed(value))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::One(Cow::Borrowed(if value { "true" } else { "false" }))
    }
}

macro_rules! keys {
    (
        plain { $($(#[$doc:meta])* $plain:ident $text:literal $source:ident,)* }
        tagged { $($(#[$tdoc:meta])* $tagged:ident $prefix:literal $tsource:ident,)* }
    ) => {
        /// A condition key.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Key {
            $($(#[$doc])* $plain,)*
            $($(#[$tdoc])* $tagged(Box<str>),)*
        }

        impl Key {
            /// The key of that name, whose case does not count; the case of a tag's key does.
            pub fn parse(text: &str) -> Option<Self> {
                $(if text.eq_ignore_ascii_case($text) { return Some(Self::$plain); })*
                $(if let Some((prefix, rest)) = text.split_at_checked($prefix.len())
                    && prefix.eq_ignore_ascii_case($prefix) && !rest.is_empty() {
                    return Some(Self::$tagged(rest.into()));
                })*
                None
            }

            /// The name as AWS spells it, less the tag's key.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$plain => $text,)*
                    $(Self::$tagged(_) => $prefix,)*
                }
            }

            pub(super) const fn source(&self) -> Source {
                match self {
                    $(Self::$plain => Source::$source,)*
                    $(Self::$tagged(_) => Source::$tsource,)*
                }
            }
        }
    };
}

/// Who knows a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The [`Context`].
    Request,
    /// The [`Context`], once it knows the object.
    Object,
    /// The evaluation itself.
    Evaluation,
    /// Nobody: the key exists in AWS for things that a gateway does not have.
    Nobody,
}

keys! {
    plain {
        /// The client's address, as text.
        SourceIp "aws:SourceIp" Request,
        /// Whether the request came over TLS.
        SecureTransport "aws:SecureTransport" Request,
        /// The header `Referer`.
        Referer "aws:Referer" Request,
        /// The header `User-Agent`.
        UserAgent "aws:UserAgent" Request,
        /// The region that the request was signed for.
        RequestedRegion "aws:RequestedRegion" Request,
        /// The date and time; answered from [`Context::now`].
        CurrentTime "aws:CurrentTime" Evaluation,
        /// The same in seconds since 1970; answered from [`Context::now`].
        EpochTime "aws:EpochTime" Evaluation,
        /// The principal's name; answered from the caller.
        Username "aws:username" Evaluation,
        /// The principal's unique id, here its name; answered from the caller.
        Userid "aws:userid" Evaluation,
        /// The principal's ARN; answered from the caller.
        PrincipalArn "aws:PrincipalArn" Evaluation,
        /// The principal's account; answered from the caller.
        PrincipalAccount "aws:PrincipalAccount" Evaluation,
        /// `User` or `Anonymous`; answered from the caller.
        PrincipalType "aws:PrincipalType" Evaluation,
        /// Whether an AWS service asks: never.
        PrincipalIsAwsService "aws:PrincipalIsAWSService" Evaluation,
        /// Whether an AWS service asks for somebody: never.
        ViaAwsService "aws:ViaAWSService" Evaluation,
        /// The bucket owner's account; answered from the bucket.
        ResourceAccount "aws:ResourceAccount" Evaluation,
        /// The same under its older name.
        S3ResourceAccount "s3:ResourceAccount" Evaluation,
        /// The parameter `prefix` of a listing.
        Prefix "s3:prefix" Request,
        /// The parameter `delimiter` of a listing.
        Delimiter "s3:delimiter" Request,
        /// The parameter `max-keys` of a listing.
        MaxKeys "s3:max-keys" Request,
        /// The parameter `versionId`.
        VersionId "s3:VersionId" Request,
        /// The region that CreateBucket asks for.
        LocationConstraint "s3:locationconstraint" Request,
        /// The header `x-amz-acl`.
        Acl "s3:x-amz-acl" Request,
        /// The header `x-amz-grant-read`.
        GrantRead "s3:x-amz-grant-read" Request,
        /// The header `x-amz-grant-write`.
        GrantWrite "s3:x-amz-grant-write" Request,
        /// The header `x-amz-grant-read-acp`.
        GrantReadAcp "s3:x-amz-grant-read-acp" Request,
        /// The header `x-amz-grant-write-acp`.
        GrantWriteAcp "s3:x-amz-grant-write-acp" Request,
        /// The header `x-amz-grant-full-control`.
        GrantFullControl "s3:x-amz-grant-full-control" Request,
        /// The header `x-amz-copy-source`, decoded and without a slash in front.
        CopySource "s3:x-amz-copy-source" Request,
        /// The header `x-amz-metadata-directive`.
        MetadataDirective "s3:x-amz-metadata-directive" Request,
        /// The header `x-amz-server-side-encryption`.
        ServerSideEncryption "s3:x-amz-server-side-encryption" Request,
        /// The header `x-amz-server-side-encryption-aws-kms-key-id`.
        KmsKeyId "s3:x-amz-server-side-encryption-aws-kms-key-id" Request,
        /// The header `x-amz-server-side-encryption-customer-algorithm`.
        CustomerAlgorithm "s3:x-amz-server-side-encryption-customer-algorithm" Request,
        /// The header `x-amz-content-sha256`.
        ContentSha256 "s3:x-amz-content-sha256" Request,
        /// The header `x-amz-storage-class`.
        StorageClass "s3:x-amz-storage-class" Request,
        /// The header `x-amz-website-redirect-location`.
        WebsiteRedirectLocation "s3:x-amz-website-redirect-location" Request,
        /// The header `x-amz-object-ownership`.
        ObjectOwnership "s3:x-amz-object-ownership" Request,
        /// The header `if-match`.
        IfMatch "s3:if-match" Request,
        /// The header `if-none-match`.
        IfNoneMatch "s3:if-none-match" Request,
        /// The operation that creates the object: `s3:ObjectCreationOperation` is `true` where a write makes an object.
        ObjectCreationOperation "s3:ObjectCreationOperation" Request,
        /// The keys of the tags that the request sets; has many values.
        RequestObjectTagKeys "s3:RequestObjectTagKeys" Request,
        /// The retention mode that the request sets.
        LockMode "s3:object-lock-mode" Request,
        /// The date up to which the request retains, RFC 3339.
        LockRetainUntilDate "s3:object-lock-retain-until-date" Request,
        /// Days that the request retains for, rounded up.
        LockRemainingRetentionDays "s3:object-lock-remaining-retention-days" Request,
        /// The legal hold that the request sets, `ON` or `OFF`.
        LockLegalHold "s3:object-lock-legal-hold" Request,
        /// `AWS4-HMAC-SHA256`; absent on an anonymous request.
        SignatureVersion "s3:signatureversion" Request,
        /// `REST-HEADER`, `REST-QUERY-STRING` or `POST`.
        AuthType "s3:authType" Request,
        /// Age of a presigned request's signature in milliseconds.
        SignatureAge "s3:signatureAge" Request,
        /// The TLS version, `1.2` or `1.3`.
        TlsVersion "s3:TlsVersion" Request,
        /// Of AWS's networks.
        SourceVpc "aws:SourceVpc" Nobody,
        /// Of AWS's networks.
        SourceVpce "aws:SourceVpce" Nobody,
        /// Of AWS's networks.
        VpcSourceIp "aws:VpcSourceIp" Nobody,
        /// Of requests by AWS services.
        SourceArn "aws:SourceArn" Nobody,
        /// Of requests by AWS services.
        SourceAccount "aws:SourceAccount" Nobody,
        /// Of requests by AWS services.
        SourceOwner "aws:SourceOwner" Nobody,
        /// Of requests by AWS services.
        SourceOrgId "aws:SourceOrgID" Nobody,
        /// Of requests by AWS services.
        PrincipalServiceName "aws:PrincipalServiceName" Nobody,
        /// Of requests by AWS services.
        CalledVia "aws:CalledVia" Nobody,
        /// Of AWS Organizations.
        PrincipalOrgId "aws:PrincipalOrgID" Nobody,
        /// Of AWS Organizations.
        PrincipalOrgPaths "aws:PrincipalOrgPaths" Nobody,
        /// Of AWS Organizations.
        ResourceOrgId "aws:ResourceOrgID" Nobody,
        /// Of sign-in with a second factor.
        MultiFactorAuthPresent "aws:MultiFactorAuthPresent" Nobody,
        /// Of sign-in with a second factor.
        MultiFactorAuthAge "aws:MultiFactorAuthAge" Nobody,
        /// Of temporary credentials.
        TokenIssueTime "aws:TokenIssueTime" Nobody,
        /// Of access points.
        DataAccessPointArn "s3:DataAccessPointArn" Nobody,
        /// Of access points.
        DataAccessPointAccount "s3:DataAccessPointAccount" Nobody,
        /// Of access points.
        AccessPointNetworkOrigin "s3:AccessPointNetworkOrigin" Nobody,
        /// Of inventories.
        InventoryAccessibleOptionalFields "s3:InventoryAccessibleOptionalFields" Nobody,
    }
    tagged {
        /// A tag that the object has.
        ExistingObjectTag "s3:ExistingObjectTag/" Object,
        /// A tag that the request sets.
        RequestObjectTag "s3:RequestObjectTag/" Request,
        /// A tag that the bucket has.
        BucketTag "s3:BucketTag/" Request,
        /// Of tagged principals.
        PrincipalTag "aws:PrincipalTag/" Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_whatever_their_case() {
        assert_eq!(Key::parse("AWS:sourceip"), Some(Key::SourceIp));
        assert_eq!(Key::parse("s3:existingobjecttag/Team"), Some(Key::ExistingObjectTag("Team".into())));
        for unknown in
            ["aws:SourceIps", "s3:ExistingObjectTag/", "s3:ExistingObjectTag", "", "SourceIp", "s3:ExistingObjectTa\u{17f}"]
        {
            assert_eq!(Key::parse(unknown), None, "{unknown}");
        }
        assert_eq!(Key::parse("s3:BucketTag/a").map(|key| key.name()), Some("s3:BucketTag/"));
    }
}
