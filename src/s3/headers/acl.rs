//! `x-amz-acl` and `x-amz-grant-*`.

use http::HeaderMap;

use super::{invalid, text};
use crate::access::{Accounts, Acl, CannedAcl, InvalidAcl, ObjectOwnership, Permission};
use crate::objects::AclRequest;
use crate::s3::errors::S3Error;

/// The ACL that a request's headers ask for.
pub(crate) fn acl(headers: &HeaderMap, accounts: &dyn Accounts) -> Result<AclRequest, S3Error> {
    let mut grants = Vec::new();
    for (name, permission) in Permission::headers() {
        if let Some(value) = text(headers, name)? {
            grants.push((permission, value));
        }
    }
    match (text(headers, "x-amz-acl")?, grants.is_empty()) {
        (None, true) => Ok(AclRequest::Unsaid),
        (Some(canned), true) => Ok(AclRequest::Canned(CannedAcl::parse(canned)?)),
        (None, false) => Ok(AclRequest::Grants(Acl::grants_of_headers(grants, accounts)?)),
        (Some(_), false) => Err(InvalidAcl::CannedAndGrants.into()),
    }
}

/// `x-amz-object-ownership`.
pub(crate) fn object_ownership(headers: &HeaderMap) -> Result<Option<ObjectOwnership>, S3Error> {
    const NAME: &str = "x-amz-object-ownership";
    let Some(value) = text(headers, NAME)? else { return Ok(None) };
    ObjectOwnership::parse(value)
        .map(Some)
        .ok_or_else(|| invalid(NAME, "The object ownership must be BucketOwnerEnforced, BucketOwnerPreferred or ObjectWriter."))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::access::{Grant, Grantee, Group};
    use crate::authn::Principals;
    use crate::s3::errors::Code;

    fn asked(headers: &[(&'static str, &'static str)]) -> Result<AclRequest, Code> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
        acl(&headers, &Principals::default()).map_err(|error| error.code())
    }

    #[test]
    fn an_acl_is_canned_or_granted_but_not_both() {
        let everybody = r#"uri="http://acs.amazonaws.com/groups/global/AllUsers""#;
        let grant = Grant { grantee: Grantee::Group(Group::AllUsers), permission: Permission::Read };
        assert_eq!(asked(&[]), Ok(AclRequest::Unsaid));
        assert_eq!(asked(&[("x-amz-acl", "public-read")]), Ok(AclRequest::Canned(CannedAcl::PublicRead)));
        assert_eq!(asked(&[("x-amz-grant-read", everybody)]), Ok(AclRequest::Grants(vec![grant])));
        assert_eq!(asked(&[("x-amz-grant-read", everybody), ("x-amz-acl", "private")]), Err(Code::InvalidRequest));
        assert_eq!(asked(&[("x-amz-acl", "mine")]), Err(Code::InvalidArgument));
        assert_eq!(asked(&[("x-amz-grant-read", "id=nobody")]), Err(Code::InvalidArgument));
    }
}
