//! The operations, one file each.

mod abort_multipart_upload;
mod acl;
mod bucket_cors;
mod bucket_encryption;
mod bucket_lifecycle;
mod bucket_policy;
mod bucket_tagging;
mod complete_multipart_upload;
mod copy_object;
mod create_bucket;
mod create_multipart_upload;
mod delete_bucket;
mod delete_object;
mod delete_objects;
mod get_bucket_location;
mod get_object;
mod get_object_attributes;
mod head_bucket;
mod head_object;
mod list_buckets;
mod list_multipart_uploads;
mod list_object_versions;
mod list_objects_v1;
mod list_objects_v2;
mod list_parts;
mod listing;
mod object_lock;
mod object_tagging;
mod post_object;
mod public_access;
mod put_object;
mod upload;
mod upload_part;
mod upload_part_copy;
mod versioning;

pub(super) use copy_object::path_of_copy_source;

use std::sync::Arc;

use arc_swap::Guard;
use http::{HeaderMap, Response, request::Parts};

use super::address::Address;
use super::admission::Turn;
use super::body::RequestBody;
use super::errors::S3Error;
use super::facts::RequestFacts;
use super::headers;
use super::operation::Operation;
use super::query::Query;
use super::response::ResponseBody;
use super::target::Target;
use crate::authn::{Principals, S3Authenticator};
use crate::bucket::BucketSettings;
use crate::objects::{AclRequest, Objects, Request};
use crate::types::{BucketName, ObjectKey};

/// The largest document of a setting.
const MAX_SETTING: usize = 64 * 1024;

/// What every operation gets: the request without its body, and the use cases.
pub(super) struct Context<'a> {
    pub(super) objects: &'a Objects,
    pub(super) request: Request<'a>,
    /// What the request says; `request` has the same.
    pub(super) facts: RequestFacts<'a>,
    /// Whether keys of the client's own may come the way the request came.
    pub(super) takes_keys: bool,
    pub(super) parts: &'a Parts,
    pub(super) query: &'a Query<'a>,
    pub(super) target: Target,
    /// Where clients reach the gateway.
    pub(super) address: Address<'a>,
    pub(super) region: &'a str,
    pub(super) authenticator: &'a S3Authenticator,
    /// Counts the request on its caller, where only its body says who that is.
    pub(super) turn: Turn<'a>,
    /// What a bucket is created with unless the request says otherwise.
    pub(super) new_buckets: &'a BucketSettings,
}

impl Context<'_> {
    fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    fn bucket(&self) -> Result<&BucketName, S3Error> {
        self.target.bucket()
    }

    /// The principals in force, who are the accounts that an ACL may name.
    fn principals(&self) -> Guard<Arc<Principals>> {
        self.authenticator.principals()
    }

    /// The ACL that the request's headers ask for.
    fn acl(&self) -> Result<AclRequest, S3Error> {
        headers::acl(self.headers(), &**self.principals())
    }

    fn object(&self) -> Result<(&BucketName, &ObjectKey), S3Error> {
        self.target.object()
    }
}

/// The answer to a request whose headers cannot be obeyed.
pub(super) async fn refused(operation: Operation, context: &Context<'_>, error: S3Error) -> S3Error {
    use Operation as Op;
    match operation {
        Op::PutObject | Op::CopyObject | Op::CreateMultipartUpload | Op::UploadPart | Op::UploadPartCopy => {
            upload::refused_write(context, error).await
        }
        _ => error,
    }
}

/// Runs one operation.
pub(super) async fn run(
    operation: Operation,
    context: &Context<'_>,
    body: RequestBody,
) -> Result<Response<ResponseBody>, S3Error> {
    use Operation as Op;
    match operation {
        Op::AbortMultipartUpload => abort_multipart_upload::handle(context).await,
        Op::CompleteMultipartUpload => complete_multipart_upload::handle(context, body).await,
        Op::CopyObject => copy_object::handle(context).await,
        Op::CreateBucket => create_bucket::handle(context, body).await,
        Op::CreateMultipartUpload => create_multipart_upload::handle(context).await,
        Op::DeleteBucket => delete_bucket::handle(context).await,
        Op::DeleteBucketCors => bucket_cors::delete(context).await,
        Op::DeleteBucketEncryption => bucket_encryption::delete(context).await,
        Op::DeleteBucketOwnershipControls => public_access::delete_ownership(context).await,
        Op::DeleteBucketPolicy => bucket_policy::delete(context).await,
        Op::DeletePublicAccessBlock => public_access::delete_block(context).await,
        Op::DeleteBucketLifecycle => bucket_lifecycle::delete(context).await,
        Op::DeleteBucketTagging => bucket_tagging::delete(context).await,
        Op::DeleteObject => delete_object::handle(context).await,
        Op::DeleteObjectTagging => object_tagging::delete(context).await,
        Op::DeleteObjects => delete_objects::handle(context, body).await,
        Op::GetBucketCors => bucket_cors::get(context).await,
        Op::GetBucketEncryption => bucket_encryption::get(context).await,
        Op::GetBucketAcl => acl::get_of_bucket(context).await,
        Op::GetBucketOwnershipControls => public_access::get_ownership(context).await,
        Op::GetBucketPolicy => bucket_policy::get(context).await,
        Op::GetBucketPolicyStatus => bucket_policy::status(context).await,
        Op::GetObjectAcl => acl::get_of_object(context).await,
        Op::GetPublicAccessBlock => public_access::get_block(context).await,
        Op::PutBucketAcl => acl::put_of_bucket(context, body).await,
        Op::PutBucketOwnershipControls => public_access::put_ownership(context, body).await,
        Op::PutBucketPolicy => bucket_policy::put(context, body).await,
        Op::PutObjectAcl => acl::put_of_object(context, body).await,
        Op::PutPublicAccessBlock => public_access::put_block(context, body).await,
        Op::GetBucketLifecycleConfiguration => bucket_lifecycle::get(context).await,
        Op::GetBucketTagging => bucket_tagging::get(context).await,
        Op::GetBucketLocation => get_bucket_location::handle(context).await,
        Op::GetBucketVersioning => versioning::get(context).await,
        Op::PutBucketVersioning => versioning::put(context, body).await,
        Op::GetObject => get_object::handle(context).await,
        Op::GetObjectAttributes => get_object_attributes::handle(context).await,
        Op::GetObjectLegalHold => object_lock::get_legal_hold(context).await,
        Op::GetObjectLockConfiguration => object_lock::get_configuration(context).await,
        Op::GetObjectRetention => object_lock::get_retention(context).await,
        Op::GetObjectTagging => object_tagging::get(context).await,
        Op::HeadBucket => head_bucket::handle(context).await,
        Op::HeadObject => head_object::handle(context).await,
        Op::ListBuckets => list_buckets::handle(context).await,
        Op::ListMultipartUploads => list_multipart_uploads::handle(context).await,
        Op::ListObjects => list_objects_v1::handle(context).await,
        Op::ListObjectsV2 => list_objects_v2::handle(context).await,
        Op::ListObjectVersions => list_object_versions::handle(context).await,
        Op::ListParts => list_parts::handle(context).await,
        Op::PostObject => post_object::handle(context, body).await,
        Op::PutBucketCors => bucket_cors::put(context, body).await,
        Op::PutBucketEncryption => bucket_encryption::put(context, body).await,
        Op::PutBucketLifecycleConfiguration => bucket_lifecycle::put(context, body).await,
        Op::PutBucketTagging => bucket_tagging::put(context, body).await,
        Op::PutObjectLegalHold => object_lock::put_legal_hold(context, body).await,
        Op::PutObjectLockConfiguration => object_lock::put_configuration(context, body).await,
        Op::PutObjectRetention => object_lock::put_retention(context, body).await,
        Op::PutObjectTagging => object_tagging::put(context, body).await,
        Op::PutObject => put_object::handle(context, body).await,
        Op::UploadPart => upload_part::handle(context, body).await,
        Op::UploadPartCopy => upload_part_copy::handle(context).await,
        other => Err(S3Error::not_implemented(other.name())),
    }
}
