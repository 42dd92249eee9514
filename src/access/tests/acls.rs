//! ACLs: what they say, how headers say it, and what each permission allows.

use super::*;

/// The accounts `main` and `alt`; the latter goes by `alt@example.com`.
struct Known;

impl Accounts for Known {
    fn exists(&self, account: &AccountId) -> bool {
        matches!(account.as_str(), "main" | "alt")
    }

    fn by_email(&self, address: &str) -> Option<AccountId> {
        (address == "alt@example.com").then(|| account("alt"))
    }
}

/// `alt:READ`, with S3's groups in their own words.
fn shown(acl: &Acl) -> Vec<String> {
    let grantee = |grantee: &Grantee| match grantee {
        Grantee::Account(account) => account.to_string(),
        Grantee::Group(group) => group.uri().rsplit('/').next().unwrap().to_owned(),
    };
    acl.grants.iter().map(|grant| format!("{}:{}", grantee(&grant.grantee), grant.permission.as_str())).collect()
}

#[test]
fn canned_acls_say_what_their_names_say() {
    let (main, alt) = (account("main"), account("alt"));
    for (name, bucket, object) in [
        ("private", &["alt:FULL_CONTROL"][..], &["alt:FULL_CONTROL"][..]),
        ("public-read", &["AllUsers:READ", "alt:FULL_CONTROL"], &["AllUsers:READ", "alt:FULL_CONTROL"]),
        (
            "public-read-write",
            &["AllUsers:READ", "AllUsers:WRITE", "alt:FULL_CONTROL"],
            &["AllUsers:READ", "AllUsers:WRITE", "alt:FULL_CONTROL"],
        ),
        (
            "authenticated-read",
            &["AuthenticatedUsers:READ", "alt:FULL_CONTROL"],
            &["AuthenticatedUsers:READ", "alt:FULL_CONTROL"],
        ),
        ("aws-exec-read", &["alt:FULL_CONTROL"], &["alt:FULL_CONTROL"]),
        ("bucket-owner-read", &["alt:FULL_CONTROL"], &["alt:FULL_CONTROL", "main:READ"]),
        ("bucket-owner-full-control", &["alt:FULL_CONTROL"], &["alt:FULL_CONTROL", "main:FULL_CONTROL"]),
        ("log-delivery-write", &["LogDelivery:WRITE", "LogDelivery:READ_ACP", "alt:FULL_CONTROL"], &["alt:FULL_CONTROL"]),
    ] {
        let canned = CannedAcl::parse(name).unwrap();
        assert_eq!(canned.as_str(), name);
        assert_eq!(shown(&canned.for_bucket(&alt)), bucket, "{name}");
        assert_eq!(shown(&canned.for_object(&alt, &main)), object, "{name}");
    }
    assert_eq!(shown(&CannedAcl::BucketOwnerRead.for_object(&main, &main)), ["main:FULL_CONTROL"]);
    assert_eq!(CannedAcl::parse("public-ready").unwrap_err().code(), "InvalidArgument");
}

#[test]
fn public_and_private_are_told_apart() {
    let main = account("main");
    for (name, public, private) in [
        ("private", false, true),
        ("public-read", true, false),
        ("authenticated-read", true, false),
        ("log-delivery-write", false, false),
    ] {
        let acl = CannedAcl::parse(name).unwrap().for_bucket(&main);
        assert_eq!((acl.is_public(), acl.is_private()), (public, private), "{name}");
    }
}

#[test]
fn headers_list_grantees() {
    let read =
        |headers: &[(Permission, &str)]| Acl::new(account("main"), Acl::grants_of_headers(headers.iter().copied(), &Known)?);
    let all: Vec<_> = Permission::headers().map(|(_, permission)| (permission, "id=alt")).collect();
    assert_eq!(shown(&read(&all).unwrap()), ["alt:READ", "alt:WRITE", "alt:READ_ACP", "alt:WRITE_ACP", "alt:FULL_CONTROL"]);
    let many = r#"id="main", uri="http://acs.amazonaws.com/groups/global/AllUsers",emailAddress = "alt@example.com" , ID=alt"#;
    assert_eq!(shown(&read(&[(Permission::Read, many)]).unwrap()), ["main:READ", "AllUsers:READ", "alt:READ", "alt:READ"]);
    assert_eq!(read(&[(Permission::Read, "")]).unwrap().grants, []);
    for (value, code) in [
        ("id=_foo", "InvalidArgument"),
        ("id=", "InvalidArgument"),
        ("alt", "InvalidArgument"),
        ("id=\"alt", "InvalidArgument"),
        ("id=\"alt\" id=\"alt\"", "InvalidArgument"),
        ("name=alt", "InvalidArgument"),
        ("uri=http://example.com", "InvalidArgument"),
        ("emailAddress=nobody@example.com", "UnresolvableGrantByEmailAddress"),
    ] {
        assert_eq!(read(&[(Permission::Write, value)]).unwrap_err().code(), code, "{value}");
    }
    let crowd = vec!["id=alt"; Acl::MAX_GRANTS + 1].join(",");
    assert_eq!(read(&[(Permission::Write, &crowd)]), Err(InvalidAcl::TooManyGrants));
    assert!(matches!(read(&[(Permission::WriteAcp, "x")]), Err(InvalidAcl::Header { header: "x-amz-grant-write-acp", .. })));
}

#[test]
fn names_of_the_documents_are_read() {
    assert_eq!(Permission::parse("READ_ACP"), Ok(Permission::ReadAcp));
    assert_eq!(Permission::parse("read").unwrap_err().code(), "MalformedACLError");
    assert_eq!(Grantee::of_id("alt", &Known), Ok(Grantee::Account(account("alt"))));
    assert_eq!(Grantee::of_id("a b", &Known), Err(InvalidAcl::NoSuchAccount));
    assert_eq!(Grantee::of_uri("http://acs.amazonaws.com/groups/s3/LogDelivery"), Ok(Grantee::Group(Group::LogDelivery)));
    let acl = CannedAcl::PublicRead.for_bucket(&account("main"));
    assert_eq!(serde_json::from_str::<Acl>(&serde_json::to_string(&acl).unwrap()).unwrap(), acl);
}

/// "Mapping of ACL permissions and access policy permissions" in the Amazon S3 User Guide.
#[test]
fn permissions_allow_what_the_guide_maps_them_to() {
    let bucket = [
        (Permission::Read, &[Action::ListBucket, Action::ListBucketVersions, Action::ListBucketMultipartUploads][..]),
        (Permission::Write, &[Action::PutObject]),
        (Permission::ReadAcp, &[Action::GetBucketAcl]),
        (Permission::WriteAcp, &[Action::PutBucketAcl]),
    ];
    let object = [
        (
            Permission::Read,
            &[Action::GetObject, Action::GetObjectVersion, Action::GetObjectTorrent, Action::GetObjectVersionTorrent][..],
        ),
        (Permission::Write, &[]),
        (Permission::ReadAcp, &[Action::GetObjectAcl, Action::GetObjectVersionAcl]),
        (Permission::WriteAcp, &[Action::PutObjectAcl, Action::PutObjectVersionAcl]),
    ];
    let to_alt = |permission| Acl {
        owner: account("main"),
        grants: vec![Grant { grantee: Grantee::Account(account("alt")), permission }],
    };
    let private = Acl::private(account("main"));
    for (on_bucket, table) in [(true, bucket), (false, object)] {
        for permission in
            [Permission::Read, Permission::Write, Permission::ReadAcp, Permission::WriteAcp, Permission::FullControl]
        {
            let allowed: Vec<Action> = table
                .iter()
                .filter(|(one, _)| permission == *one || permission == Permission::FullControl)
                .flat_map(|(_, actions)| *actions)
                .copied()
                .collect();
            let acl = to_alt(permission);
            let settings = Bucket {
                ownership: ObjectOwnership::ObjectWriter,
                acl: if on_bucket { acl.clone() } else { private.clone() },
                ..Bucket::new()
            };
            let object = if on_bucket { &private } else { &acl };
            for action in Action::ALL {
                let verdict = settings.ask(&caller("alt", "b"), *action, Some(object), &Facts::default());
                assert_eq!(verdict == Verdict::Allow, allowed.contains(action), "{permission:?} {action} on bucket: {on_bucket}");
            }
        }
    }
}

#[test]
fn ownership_says_who_owns_a_new_object() {
    let (main, alt) = (account("main"), account("alt"));
    let full = Some(CannedAcl::BucketOwnerFullControl);
    for (ownership, canned, owner) in [
        (ObjectOwnership::BucketOwnerEnforced, None, &main),
        (ObjectOwnership::BucketOwnerPreferred, None, &alt),
        (ObjectOwnership::BucketOwnerPreferred, full, &main),
        (ObjectOwnership::BucketOwnerPreferred, Some(CannedAcl::Private), &alt),
        (ObjectOwnership::ObjectWriter, full, &alt),
    ] {
        assert_eq!(ownership.owner_of_new_object(&main, Some(&alt), canned), owner, "{ownership:?} {canned:?}");
        assert_eq!(ownership.owner_of_new_object(&main, None, canned), &main);
        assert_eq!(ObjectOwnership::parse(ownership.as_str()), Some(ownership));
    }
    assert!(ObjectOwnership::BucketOwnerEnforced.accepts_canned(CannedAcl::BucketOwnerFullControl));
    assert!(!ObjectOwnership::BucketOwnerEnforced.accepts_canned(CannedAcl::Private));
    assert!(ObjectOwnership::ObjectWriter.accepts_canned(CannedAcl::PublicRead));
}
