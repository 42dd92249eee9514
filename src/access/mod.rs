//! Who may do what in a bucket: bucket policies, ACLs, the public access block and object ownership.
//!
//! Pure: no I/O and no clock. A bucket's settings, the request's facts and the caller come in, a [`Verdict`] goes out. What the
//! configuration lets a principal do is a boundary around all of this and is asked elsewhere; nothing here widens it.
//!
//! The measure is what AWS documents: the IAM User Guide ("IAM JSON policy reference"), the Amazon S3 User Guide ("Bucket policies",
//! "Access control list (ACL) overview", "Blocking public access", "Controlling ownership of objects") and the Service Authorization
//! Reference.

mod acl;
mod action;
mod context;
mod evaluate;
mod facts;
mod policy;
mod settings;
#[cfg(test)]
mod tests;
mod wildcard;

pub use acl::{Accounts, Acl, CannedAcl, Grant, Grantee, Group, InvalidAcl, Permission};
pub use action::{Action, Resource};
pub use context::{Context, Key, NoContext, Value};
pub use evaluate::{BucketAccess, Caller, Denial, ObjectAccess, Request, Verdict, evaluate};
pub use policy::{BucketPolicy, MalformedPolicy};
pub use settings::{ObjectOwnership, PublicAccessBlock};
