//! Grants in the headers `x-amz-grant-*`, and from the fields of an XML document.

use super::{Accounts, Acl, Grant, Grantee, Group, InvalidAcl, Permission};
use crate::types::AccountId;

impl Permission {
    const ALL: [(&'static str, &'static str, Self); 5] = [
        ("READ", "x-amz-grant-read", Self::Read),
        ("WRITE", "x-amz-grant-write", Self::Write),
        ("READ_ACP", "x-amz-grant-read-acp", Self::ReadAcp),
        ("WRITE_ACP", "x-amz-grant-write-acp", Self::WriteAcp),
        ("FULL_CONTROL", "x-amz-grant-full-control", Self::FullControl),
    ];

    /// The headers that grant, each with what it grants, in the order in which S3 lists what they granted.
    pub fn headers() -> impl Iterator<Item = (&'static str, Self)> {
        Self::ALL.into_iter().map(|(_, header, permission)| (header, permission))
    }

    /// The name in XML.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, _, permission)| *permission == self).map_or("FULL_CONTROL", |(name, _, _)| name)
    }

    /// The one of that name in XML.
    ///
    /// # Errors
    /// [`InvalidAcl::NoSuchPermission`].
    pub fn parse(name: &str) -> Result<Self, InvalidAcl> {
        Self::ALL.iter().find(|(text, _, _)| *text == name).map(|(_, _, one)| *one).ok_or(InvalidAcl::NoSuchPermission)
    }
}

impl Group {
    const ALL: [(&'static str, Self); 3] = [
        ("http://acs.amazonaws.com/groups/global/AllUsers", Self::AllUsers),
        ("http://acs.amazonaws.com/groups/global/AuthenticatedUsers", Self::AuthenticatedUsers),
        ("http://acs.amazonaws.com/groups/s3/LogDelivery", Self::LogDelivery),
    ];

    /// The URI by which grants name it.
    pub fn uri(self) -> &'static str {
        Self::ALL.iter().find(|(_, group)| *group == self).map_or("", |(uri, _)| uri)
    }

    /// The one of that URI.
    ///
    /// # Errors
    /// [`InvalidAcl::NoSuchGroup`].
    pub fn parse(uri: &str) -> Result<Self, InvalidAcl> {
        Self::ALL.iter().find(|(text, _)| *text == uri).map(|(_, group)| *group).ok_or(InvalidAcl::NoSuchGroup)
    }
}

impl Grantee {
    /// The account of that canonical user id.
    ///
    /// # Errors
    /// [`InvalidAcl::NoSuchAccount`].
    pub fn of_id(id: &str, accounts: &dyn Accounts) -> Result<Self, InvalidAcl> {
        let account = AccountId::new(id).ok().filter(|account| accounts.exists(account));
        account.map(Self::Account).ok_or(InvalidAcl::NoSuchAccount)
    }

    /// The account that goes by that address.
    ///
    /// # Errors
    /// [`InvalidAcl::UnresolvableEmail`].
    pub fn of_email(address: &str, accounts: &dyn Accounts) -> Result<Self, InvalidAcl> {
        accounts.by_email(address).map(Self::Account).ok_or(InvalidAcl::UnresolvableEmail)
    }

    /// The group of that URI.
    ///
    /// # Errors
    /// [`InvalidAcl::NoSuchGroup`].
    pub fn of_uri(uri: &str) -> Result<Self, InvalidAcl> {
        Group::parse(uri).map(Self::Group)
    }
}

impl Acl {
    /// The grants of the headers `x-amz-grant-*` of a request, given as `(permission, value)`, in the order of
    /// [`Permission::headers`].
    ///
    /// # Errors
    /// Any [`InvalidAcl`] but those of canned ACLs and of too many grants.
    pub fn grants_of_headers<'a>(
        headers: impl IntoIterator<Item = (Permission, &'a str)>,
        accounts: &dyn Accounts,
    ) -> Result<Vec<Grant>, InvalidAcl> {
        let mut grants = Vec::new();
        for (permission, value) in headers {
            let header = Permission::ALL.iter().find(|(_, _, one)| *one == permission).map_or("", |(_, header, _)| header);
            let fault = |problem| InvalidAcl::Header { header, problem };
            let mut rest = value.trim();
            while !rest.is_empty() {
                let (name, after) = rest.split_once('=').ok_or_else(|| fault("a grantee has no `=`"))?;
                let (text, after) = grantee_value(after.trim_start()).ok_or_else(|| fault("a quote is not closed"))?;
                let grantee = match name.trim() {
                    kind if kind.eq_ignore_ascii_case("id") => Grantee::of_id(text, accounts)?,
                    kind if kind.eq_ignore_ascii_case("uri") => Grantee::of_uri(text)?,
                    kind if kind.eq_ignore_ascii_case("emailAddress") => Grantee::of_email(text, accounts)?,
                    _ => return Err(fault("a grantee is neither `id`, `uri` nor `emailAddress`")),
                };
                grants.push(Grant { grantee, permission });
                let after = after.trim_start();
                rest = match after.strip_prefix(',') {
                    Some(more) => more.trim_start(),
                    None if after.is_empty() => after,
                    None => return Err(fault("grantees are not separated by commas")),
                };
            }
        }
        Ok(grants)
    }
}

/// The value in front, quoted or not, and what follows it.
fn grantee_value(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"'),
        None => {
            let end = text.find(',').unwrap_or(text.len());
            Some((text[..end].trim_end(), &text[end..]))
        }
    }
}
