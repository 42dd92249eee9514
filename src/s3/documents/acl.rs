//! `AccessControlPolicy`: the ACL of a bucket or an object.

use super::fields::{all, check_children, malformed};
use crate::access::{Accounts, Acl, Grant, Grantee, Permission};
use crate::s3::errors::{Code, S3Error};
use crate::s3::xml::{self, Element, NAMESPACE, XmlWriter};
use crate::types::AccountId;

const ROOT: &str = "AccessControlPolicy";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Reads what PutBucketAcl and PutObjectAcl are sent. The owner cannot be changed by it: `owner` is whose the bucket or object is, and
/// a document that names another is refused with `AccessDenied`. A document that is none is `MalformedACLError`.
pub(crate) fn parse(document: &[u8], owner: &AccountId, accounts: &dyn Accounts) -> Result<Acl, S3Error> {
    read(document, owner, accounts).map_err(|error| match error.code() {
        Code::MalformedXml => S3Error::with(Code::MalformedAcl, error.message().to_owned()),
        _ => error,
    })
}

fn read(document: &[u8], owner: &AccountId, accounts: &dyn Accounts) -> Result<Acl, S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &["Owner", "AccessControlList"], &[])?;
    if let Some(named) = root.child("Owner") {
        check_children(named, &["ID", "DisplayName"], &[])?;
        if named.required("ID")? != owner.as_str() {
            return Err(S3Error::with(Code::AccessDenied, "An ACL cannot change the owner."));
        }
    }
    let list = root.child("AccessControlList").ok_or_else(|| malformed("An ACL needs an `AccessControlList`."))?;
    check_children(list, &[], &["Grant"])?;
    let grants = all(list, "Grant").map(|element| grant(element, accounts)).collect::<Result<_, _>>()?;
    Ok(Acl::new(owner.clone(), grants)?)
}

fn grant(grant: &Element, accounts: &dyn Accounts) -> Result<Grant, S3Error> {
    check_children(grant, &["Grantee", "Permission"], &[])?;
    let permission = Permission::parse(grant.required("Permission")?)?;
    let grantee = grant.child("Grantee").ok_or_else(|| malformed("A `Grant` needs a `Grantee`."))?;
    Ok(Grant { grantee: self::grantee(grantee, accounts)?, permission })
}

/// A grantee is known by what it is named with: S3 writes its type beside that.
fn grantee(grantee: &Element, accounts: &dyn Accounts) -> Result<Grantee, S3Error> {
    check_children(grantee, &["ID", "DisplayName", "URI", "EmailAddress"], &[])?;
    match (grantee.child_text("ID"), grantee.child_text("URI"), grantee.child_text("EmailAddress")) {
        (Some(id), None, _) => Ok(Grantee::of_id(id, accounts)?),
        (None, Some(uri), None) => Ok(Grantee::of_uri(uri)?),
        (None, None, Some(address)) => Ok(Grantee::of_email(address, accounts)?),
        _ => Err(malformed("A `Grantee` has an `ID`, a `URI` or an `EmailAddress`.")),
    }
}

/// What GetBucketAcl and GetObjectAcl answer. An account's id is its name, too.
pub(crate) fn write(acl: &Acl) -> XmlWriter {
    let mut xml = XmlWriter::document(ROOT, Some(NAMESPACE));
    xml.element("Owner", |xml| write_account(xml, &acl.owner));
    xml.element("AccessControlList", |xml| {
        for grant in &acl.grants {
            xml.element("Grant", |xml| write_grant(xml, grant));
        }
    });
    xml
}

fn write_grant(xml: &mut XmlWriter, grant: &Grant) {
    match &grant.grantee {
        Grantee::Account(account) => {
            xml.element_with("Grantee", &grantee_attributes("CanonicalUser"), |xml| write_account(xml, account));
        }
        Grantee::Group(group) => xml.element_with("Grantee", &grantee_attributes("Group"), |xml| xml.text("URI", group.uri())),
    }
    xml.plain("Permission", grant.permission.as_str());
}

fn grantee_attributes(kind: &'static str) -> [(&'static str, &'static str); 2] {
    [("xmlns:xsi", XSI), ("xsi:type", kind)]
}

fn write_account(xml: &mut XmlWriter, account: &AccountId) {
    xml.text("ID", account.as_str());
    xml.text("DisplayName", account.as_str());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{CannedAcl, Group};

    struct Known;

    impl Accounts for Known {
        fn exists(&self, account: &AccountId) -> bool {
            ["main", "alt"].contains(&account.as_str())
        }

        fn by_email(&self, address: &str) -> Option<AccountId> {
            (address == "alt@example.com").then(|| account("alt"))
        }
    }

    fn account(id: &str) -> AccountId {
        AccountId::new(id).unwrap()
    }

    fn sent(owner: &str, grants: &str) -> Result<Acl, Code> {
        let document = format!(
            "<AccessControlPolicy xmlns=\"{NAMESPACE}\"><AccessControlList>{grants}</AccessControlList>\
             <Owner><DisplayName>Main</DisplayName><ID>{owner}</ID></Owner></AccessControlPolicy>"
        );
        parse(document.as_bytes(), &account("main"), &Known).map_err(|error| error.code())
    }

    fn grant(grantee: &str, permission: &str) -> String {
        format!(
            "<Grant><Grantee xmlns:xsi=\"{XSI}\" xsi:type=\"CanonicalUser\">{grantee}</Grantee><Permission>{permission}</Permission></Grant>"
        )
    }

    #[test]
    fn reads_grants_by_id_group_and_address() {
        let grants = [
            grant("<ID>main</ID><DisplayName>x</DisplayName>", "FULL_CONTROL"),
            grant("<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>", "READ"),
            grant("<EmailAddress>alt@example.com</EmailAddress>", "WRITE_ACP"),
        ];
        let acl = sent("main", &grants.concat()).unwrap();
        let expected = [
            Grant { grantee: Grantee::Account(account("main")), permission: Permission::FullControl },
            Grant { grantee: Grantee::Group(Group::AllUsers), permission: Permission::Read },
            Grant { grantee: Grantee::Account(account("alt")), permission: Permission::WriteAcp },
        ];
        assert_eq!(acl.grants, expected);
        assert_eq!(sent("main", "").unwrap().grants, []);
    }

    #[test]
    fn reads_what_it_writes() {
        for canned in [CannedAcl::Private, CannedAcl::PublicReadWrite, CannedAcl::AuthenticatedRead, CannedAcl::LogDeliveryWrite]
        {
            let acl = canned.for_bucket(&account("main"));
            assert_eq!(parse(&write(&acl).finish(), &account("main"), &Known).unwrap(), acl);
        }
        let written = write(&Acl::private(account("main"))).finish();
        let grantee = format!("<Grantee xmlns:xsi=\"{XSI}\" xsi:type=\"CanonicalUser\"><ID>main</ID>");
        assert!(std::str::from_utf8(&written).unwrap().contains(&grantee));
    }

    #[test]
    fn refuses_what_s3_refuses() {
        let id = "<ID>alt</ID>";
        for (grants, code) in [
            (grant("<ID>nobody</ID>", "READ"), Code::InvalidArgument),
            (grant("<ID>_ /</ID>", "READ"), Code::InvalidArgument),
            (grant("<URI>http://example.com/</URI>", "READ"), Code::InvalidArgument),
            (grant("<EmailAddress>nobody@example.com</EmailAddress>", "READ"), Code::UnresolvableEmail),
            (grant(id, "read"), Code::MalformedAcl),
            (grant("", "READ"), Code::MalformedAcl),
            ("<Grant/>".to_owned(), Code::MalformedAcl),
            (grant(id, "READ").repeat(101), Code::MalformedAcl),
        ] {
            assert_eq!(sent("main", &grants), Err(code), "{grants}");
        }
        assert_eq!(sent("alt", ""), Err(Code::AccessDenied));
        let nothing = parse(b"<AccessControlPolicy/>", &account("main"), &Known).unwrap_err();
        assert_eq!(nothing.code(), Code::MalformedAcl);
    }
}
