//! From a request line to the operation it means.
//!
//! S3 names its operations by method, by how much of a path there is, and by a *sub-resource*: a query parameter such as `acl` or
//! `uploads`. Other query parameters and unknown ones do not choose an operation.

use http::{HeaderMap, Method, header::HeaderName};

use super::errors::{Code, S3Error};
use super::operation::Operation;
use super::query::Query;
use super::target::Scope;

/// The header that turns a PUT into a copy.
pub(super) const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");

/// The operation a request means.
///
/// # Errors
/// `MethodNotAllowed` when S3 has none for this method there; `InvalidArgument` when the query names several sub-resources, whose
/// order is not signed.
pub(super) fn route(method: &Method, scope: Scope, query: &Query, headers: &HeaderMap) -> Result<Operation, S3Error> {
    let mut subresources = query.names().filter_map(|name| match scope {
        Scope::Service => None,
        Scope::Bucket => bucket_subresource(method, name, query),
        Scope::Object => object_subresource(method, name, query, headers),
    });
    let found = match (subresources.next(), subresources.next()) {
        (None, _) => plain(method, scope, query, headers),
        (Some(found), None) => found,
        (Some(_), Some(_)) => {
            return Err(S3Error::with(Code::InvalidArgument, "The query names more than one sub-resource."));
        }
    };
    found.ok_or_else(|| S3Error::new(Code::MethodNotAllowed).detail("Method", method.as_str()))
}

/// The operation of a request without a sub-resource.
fn plain(method: &Method, scope: Scope, query: &Query, headers: &HeaderMap) -> Option<Operation> {
    use Operation as Op;
    Some(match (scope, method) {
        (Scope::Service, &Method::GET) => Op::ListBuckets,
        (Scope::Service, &Method::POST) => Op::WriteGetObjectResponse,
        (Scope::Bucket, &Method::GET) if query.get("list-type") == Some("2") => Op::ListObjectsV2,
        (Scope::Bucket, &Method::GET) => Op::ListObjects,
        (Scope::Bucket, &Method::HEAD) => Op::HeadBucket,
        (Scope::Bucket, &Method::PUT) => Op::CreateBucket,
        (Scope::Bucket, &Method::DELETE) => Op::DeleteBucket,
        (Scope::Bucket, &Method::POST) => Op::PostObject,
        (Scope::Object, &Method::GET) => Op::GetObject,
        (Scope::Object, &Method::HEAD) => Op::HeadObject,
        (Scope::Object, &Method::PUT) if headers.contains_key(COPY_SOURCE) => Op::CopyObject,
        (Scope::Object, &Method::PUT) => Op::PutObject,
        (Scope::Object, &Method::DELETE) => Op::DeleteObject,
        _ => return None,
    })
}

/// `None`: the name is no sub-resource of a bucket. `Some(None)`: it is, but not under this method.
fn bucket_subresource(method: &Method, name: &str, query: &Query) -> Option<Option<Operation>> {
    use Operation as Op;
    let one = query.contains("id");
    Some(match name {
        "abac" => by_method(method, Some(Op::GetBucketAbac), Some(Op::PutBucketAbac), None),
        "accelerate" => {
            by_method(method, Some(Op::GetBucketAccelerateConfiguration), Some(Op::PutBucketAccelerateConfiguration), None)
        }
        "acl" => by_method(method, Some(Op::GetBucketAcl), Some(Op::PutBucketAcl), None),
        "analytics" => by_method(
            method,
            Some(if one { Op::GetBucketAnalyticsConfiguration } else { Op::ListBucketAnalyticsConfigurations }),
            Some(Op::PutBucketAnalyticsConfiguration),
            Some(Op::DeleteBucketAnalyticsConfiguration),
        ),
        "cors" => by_method(method, Some(Op::GetBucketCors), Some(Op::PutBucketCors), Some(Op::DeleteBucketCors)),
        "delete" => only(method, &Method::POST, Op::DeleteObjects),
        "encryption" => {
            by_method(method, Some(Op::GetBucketEncryption), Some(Op::PutBucketEncryption), Some(Op::DeleteBucketEncryption))
        }
        "intelligent-tiering" => by_method(
            method,
            Some(if one { Op::GetBucketIntelligentTieringConfiguration } else { Op::ListBucketIntelligentTieringConfigurations }),
            Some(Op::PutBucketIntelligentTieringConfiguration),
            Some(Op::DeleteBucketIntelligentTieringConfiguration),
        ),
        "inventory" => by_method(
            method,
            Some(if one { Op::GetBucketInventoryConfiguration } else { Op::ListBucketInventoryConfigurations }),
            Some(Op::PutBucketInventoryConfiguration),
            Some(Op::DeleteBucketInventoryConfiguration),
        ),
        "lifecycle" => by_method(
            method,
            Some(Op::GetBucketLifecycleConfiguration),
            Some(Op::PutBucketLifecycleConfiguration),
            Some(Op::DeleteBucketLifecycle),
        ),
        "location" => only(method, &Method::GET, Op::GetBucketLocation),
        "logging" => by_method(method, Some(Op::GetBucketLogging), Some(Op::PutBucketLogging), None),
        "metadataConfiguration" => match *method {
            Method::POST => Some(Op::CreateBucketMetadataConfiguration),
            _ => by_method(method, Some(Op::GetBucketMetadataConfiguration), None, Some(Op::DeleteBucketMetadataConfiguration)),
        },
        "metadataInventoryTable" => only(method, &Method::PUT, Op::UpdateBucketMetadataInventoryTableConfiguration),
        "metadataJournalTable" => only(method, &Method::PUT, Op::UpdateBucketMetadataJournalTableConfiguration),
        "metadataTable" => match *method {
            Method::POST => Some(Op::CreateBucketMetadataTableConfiguration),
            _ => by_method(
                method,
                Some(Op::GetBucketMetadataTableConfiguration),
                None,
                Some(Op::DeleteBucketMetadataTableConfiguration),
            ),
        },
        "metrics" => by_method(
            method,
            Some(if one { Op::GetBucketMetricsConfiguration } else { Op::ListBucketMetricsConfigurations }),
            Some(Op::PutBucketMetricsConfiguration),
            Some(Op::DeleteBucketMetricsConfiguration),
        ),
        "notification" => {
            by_method(method, Some(Op::GetBucketNotificationConfiguration), Some(Op::PutBucketNotificationConfiguration), None)
        }
        "object-lock" => by_method(method, Some(Op::GetObjectLockConfiguration), Some(Op::PutObjectLockConfiguration), None),
        "ownershipControls" => by_method(
            method,
            Some(Op::GetBucketOwnershipControls),
            Some(Op::PutBucketOwnershipControls),
            Some(Op::DeleteBucketOwnershipControls),
        ),
        "policy" => by_method(method, Some(Op::GetBucketPolicy), Some(Op::PutBucketPolicy), Some(Op::DeleteBucketPolicy)),
        "policyStatus" => only(method, &Method::GET, Op::GetBucketPolicyStatus),
        "publicAccessBlock" => {
            by_method(method, Some(Op::GetPublicAccessBlock), Some(Op::PutPublicAccessBlock), Some(Op::DeletePublicAccessBlock))
        }
        "replication" => {
            by_method(method, Some(Op::GetBucketReplication), Some(Op::PutBucketReplication), Some(Op::DeleteBucketReplication))
        }
        "requestPayment" => by_method(method, Some(Op::GetBucketRequestPayment), Some(Op::PutBucketRequestPayment), None),
        "session" => only(method, &Method::GET, Op::CreateSession),
        "tagging" => by_method(method, Some(Op::GetBucketTagging), Some(Op::PutBucketTagging), Some(Op::DeleteBucketTagging)),
        "uploads" => only(method, &Method::GET, Op::ListMultipartUploads),
        "versioning" => by_method(method, Some(Op::GetBucketVersioning), Some(Op::PutBucketVersioning), None),
        "versions" => only(method, &Method::GET, Op::ListObjectVersions),
        "website" => by_method(method, Some(Op::GetBucketWebsite), Some(Op::PutBucketWebsite), Some(Op::DeleteBucketWebsite)),
        _ => return None,
    })
}

/// Like [`bucket_subresource`], for an object.
fn object_subresource(method: &Method, name: &str, query: &Query, headers: &HeaderMap) -> Option<Option<Operation>> {
    use Operation as Op;
    Some(match name {
        "acl" => by_method(method, Some(Op::GetObjectAcl), Some(Op::PutObjectAcl), None),
        "attributes" => only(method, &Method::GET, Op::GetObjectAttributes),
        "legal-hold" => by_method(method, Some(Op::GetObjectLegalHold), Some(Op::PutObjectLegalHold), None),
        "renameObject" => only(method, &Method::PUT, Op::RenameObject),
        "restore" => only(method, &Method::POST, Op::RestoreObject),
        "retention" => by_method(method, Some(Op::GetObjectRetention), Some(Op::PutObjectRetention), None),
        "select" => only(method, &Method::POST, Op::SelectObjectContent),
        "tagging" => by_method(method, Some(Op::GetObjectTagging), Some(Op::PutObjectTagging), Some(Op::DeleteObjectTagging)),
        "torrent" => only(method, &Method::GET, Op::GetObjectTorrent),
        "uploads" => only(method, &Method::POST, Op::CreateMultipartUpload),
        "uploadId" => match *method {
            Method::GET => Some(Op::ListParts),
            Method::POST => Some(Op::CompleteMultipartUpload),
            Method::DELETE => Some(Op::AbortMultipartUpload),
            Method::PUT if headers.contains_key(COPY_SOURCE) => Some(Op::UploadPartCopy),
            Method::PUT => Some(Op::UploadPart),
            _ => None,
        },
        // A part number without an upload id on a PUT would otherwise overwrite the object with one of its parts.
        "partNumber" if method == Method::PUT && !query.contains("uploadId") => None,
        _ => return None,
    })
}

/// GET, PUT and DELETE of one sub-resource.
fn by_method(method: &Method, get: Option<Operation>, put: Option<Operation>, delete: Option<Operation>) -> Option<Operation> {
    match *method {
        Method::GET => get,
        Method::PUT => put,
        Method::DELETE => delete,
        _ => None,
    }
}

fn only(method: &Method, wanted: &Method, operation: Operation) -> Option<Operation> {
    (method == wanted).then_some(operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(method: Method, scope: Scope, query: &str) -> Option<&'static str> {
        let query = Query::parse(Some(query)).unwrap();
        route(&method, scope, &query, &HeaderMap::new()).ok().map(Operation::name)
    }

    #[test]
    fn several_subresources_are_refused() {
        for (method, scope, query) in [
            (Method::PUT, Scope::Bucket, "acl&policy"),
            (Method::DELETE, Scope::Object, "uploadId=u&tagging"),
            (Method::POST, Scope::Object, "uploads&uploadId=u"),
        ] {
            let error = route(&method, scope, &Query::parse(Some(query)).unwrap(), &HeaderMap::new()).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{query}");
        }
    }

    #[test]
    fn plain_requests() {
        for (method, scope, query, expected) in [
            (Method::GET, Scope::Service, "", "ListBuckets"),
            (Method::GET, Scope::Service, "x-id=ListBuckets", "ListBuckets"),
            (Method::GET, Scope::Bucket, "prefix=a", "ListObjects"),
            (Method::GET, Scope::Bucket, "list-type=2&prefix=acl", "ListObjectsV2"),
            (Method::HEAD, Scope::Bucket, "", "HeadBucket"),
            (Method::PUT, Scope::Bucket, "", "CreateBucket"),
            (Method::DELETE, Scope::Bucket, "", "DeleteBucket"),
            (Method::GET, Scope::Object, "x-id=GetObject&versionId=null", "GetObject"),
            (Method::GET, Scope::Object, "partNumber=2", "GetObject"),
            (Method::HEAD, Scope::Object, "", "HeadObject"),
            (Method::PUT, Scope::Object, "x-id=PutObject", "PutObject"),
            (Method::DELETE, Scope::Object, "", "DeleteObject"),
        ] {
            assert_eq!(routed(method.clone(), scope, query), Some(expected), "{method} {scope:?} {query}");
        }
    }

    #[test]
    fn subresources_choose_the_operation_wherever_they_stand() {
        for (method, scope, query, expected) in [
            (Method::GET, Scope::Bucket, "location", "GetBucketLocation"),
            (Method::GET, Scope::Bucket, "prefix=x&uploads=", "ListMultipartUploads"),
            (Method::POST, Scope::Bucket, "delete=", "DeleteObjects"),
            (Method::GET, Scope::Bucket, "versions", "ListObjectVersions"),
            (Method::GET, Scope::Bucket, "inventory", "ListBucketInventoryConfigurations"),
            (Method::GET, Scope::Bucket, "inventory&id=a", "GetBucketInventoryConfiguration"),
            (Method::DELETE, Scope::Bucket, "policy", "DeleteBucketPolicy"),
            (Method::POST, Scope::Object, "uploads", "CreateMultipartUpload"),
            (Method::PUT, Scope::Object, "partNumber=1&uploadId=u", "UploadPart"),
            (Method::POST, Scope::Object, "uploadId=u", "CompleteMultipartUpload"),
            (Method::DELETE, Scope::Object, "uploadId=u", "AbortMultipartUpload"),
            (Method::GET, Scope::Object, "uploadId=u", "ListParts"),
            (Method::PUT, Scope::Object, "acl", "PutObjectAcl"),
        ] {
            assert_eq!(routed(method.clone(), scope, query), Some(expected), "{method} {scope:?} {query}");
        }
    }

    #[test]
    fn a_subresource_never_falls_back_to_the_whole_object() {
        assert_eq!(routed(Method::DELETE, Scope::Object, "acl"), None);
        assert_eq!(routed(Method::DELETE, Scope::Bucket, "location"), None);
        assert_eq!(routed(Method::PUT, Scope::Object, "partNumber=1"), None);
        assert_eq!(routed(Method::POST, Scope::Object, ""), None);
        assert_eq!(routed(Method::PATCH, Scope::Object, ""), None);
    }

    #[test]
    fn a_copy_source_makes_a_copy() {
        let headers = HeaderMap::from_iter([(COPY_SOURCE, http::HeaderValue::from_static("/a/b"))]);
        let plain = Query::parse(None).unwrap();
        assert_eq!(route(&Method::PUT, Scope::Object, &plain, &headers), Ok(Operation::CopyObject));
        let part = Query::parse(Some("uploadId=u&partNumber=1")).unwrap();
        assert_eq!(route(&Method::PUT, Scope::Object, &part, &headers), Ok(Operation::UploadPartCopy));
    }
}
