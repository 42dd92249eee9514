//! Who gets through, over policies, ACLs, ownership and the public access block together.

use super::*;

const OPEN_READ: &str = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*"}"#;

fn nothing() -> Facts {
    Facts::default()
}

fn denied(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Deny(Denial::Policy { .. }))
}

#[test]
fn the_owners_account_needs_no_allowance_and_others_do() {
    let bucket = Bucket::new();
    for action in Action::ALL {
        assert_eq!(bucket.ask(&caller("main", "a"), *action, None, &nothing()), Verdict::Allow, "{action}");
        let needs_upload = matches!(action, Action::AbortMultipartUpload | Action::ListMultipartUploadParts);
        let expected = if needs_upload { Verdict::NeedsObject } else { NOT_GRANTED };
        assert_eq!(bucket.ask(&caller("alt", "b"), *action, None, &nothing()), expected, "{action}");
        assert_eq!(bucket.ask(&Caller::Anonymous, *action, None, &nothing()), NOT_GRANTED, "{action}");
    }
}

#[test]
fn a_policy_lets_others_in() {
    let bucket = Bucket::with(OPEN_READ);
    assert_eq!(bucket.ask(&Caller::Anonymous, Action::GetObject, None, &nothing()), Verdict::Allow);
    assert_eq!(bucket.ask(&Caller::Anonymous, Action::PutObject, None, &nothing()), NOT_GRANTED);
    let to = |principal: &str| Bucket::with(&OPEN_READ.replace(r#""*""#, principal));
    for (principal, who, allowed) in [
        (r#"{"AWS": "arn:aws:iam::alt:root"}"#, caller("alt", "b"), true),
        (r#"{"AWS": "alt"}"#, caller("alt", "b"), true),
        (r#"{"CanonicalUser": "alt"}"#, caller("alt", "b"), true),
        (r#"{"AWS": "arn:aws:iam::alt:user/b"}"#, caller("alt", "b"), true),
        (r#"{"AWS": "arn:aws:iam::alt:user/c"}"#, caller("alt", "b"), false),
        (r#"{"AWS": "arn:aws:iam::alt:root"}"#, caller("third", "b"), false),
        (r#"{"AWS": "arn:aws:iam::alt:root"}"#, Caller::Anonymous, false),
        (r#"{"Service": "logging.s3.amazonaws.com"}"#, caller("alt", "b"), false),
    ] {
        let verdict = to(principal).ask(&who, Action::GetObject, None, &nothing());
        assert_eq!(verdict == Verdict::Allow, allowed, "{principal} {who:?}");
    }
}

#[test]
fn resources_are_matched_by_bucket_and_key() {
    for (resource, allowed) in [
        ("arn:aws:s3:::media/*", true),
        ("arn:aws:s3:::media/docs/*", true),
        ("arn:aws:s3:::media/docs/?", true),
        ("arn:aws:s3:::*", true),
        ("arn:aws:s3:::media/doc", false),
        ("arn:aws:s3:::media/DOCS/*", false),
        ("arn:aws:s3:::media/${aws:username}/*", false),
    ] {
        let bucket = Bucket::with(&OPEN_READ.replace("arn:aws:s3:::media/*", resource));
        let verdict = bucket.ask(&caller("alt", "b"), Action::GetObject, None, &nothing());
        assert_eq!(verdict == Verdict::Allow, allowed, "{resource}");
    }
    let home = Bucket::with(&OPEN_READ.replace("media/*", "media/${aws:username}/*"));
    assert_eq!(home.ask(&caller("alt", "docs"), Action::GetObject, None, &nothing()), Verdict::Allow);
    assert_eq!(home.ask(&Caller::Anonymous, Action::GetObject, None, &nothing()), NOT_GRANTED);
    let others = Bucket::with(
        &OPEN_READ.replace(r#""Resource": "arn:aws:s3:::media/*""#, r#""NotResource": "arn:aws:s3:::media/${aws:username}/*""#),
    );
    assert_eq!(others.ask(&caller("alt", "b"), Action::GetObject, None, &nothing()), Verdict::Allow);
    assert_eq!(others.ask(&Caller::Anonymous, Action::GetObject, None, &nothing()), NOT_GRANTED, "the variable has no value");
}

#[test]
fn only_the_owners_account_gets_at_the_policy() {
    let all = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::media"}"#;
    let bucket = Bucket { policy: Some(policies(&[all])), ..Bucket::new() };
    for action in [Action::GetBucketPolicy, Action::PutBucketPolicy, Action::DeleteBucketPolicy] {
        assert_eq!(bucket.ask(&caller("main", "a"), action, None, &nothing()), Verdict::Allow, "{action}");
        assert_eq!(bucket.ask(&caller("alt", "b"), action, None, &nothing()), NOT_GRANTED, "{action}");
        assert_eq!(bucket.ask(&Caller::Anonymous, action, None, &nothing()), NOT_GRANTED, "{action}");
    }
}

#[test]
fn a_denial_outweighs_everything_but_the_owners_hold_on_the_policy() {
    let deny = r#"{"Sid": "closed", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::media", "arn:aws:s3:::media/*"]}"#;
    let bucket = Bucket { policy: Some(policies(&[OPEN_READ, deny])), ..Bucket::new() };
    let expected = Verdict::Deny(Denial::Policy { statement: "closed".to_owned() });
    for action in Action::ALL.iter().filter(|action| **action != Action::ListAllMyBuckets) {
        let kept = matches!(action, Action::GetBucketPolicy | Action::PutBucketPolicy | Action::DeleteBucketPolicy);
        let own = bucket.ask(&caller("main", "a"), *action, None, &nothing());
        assert_eq!(own, if kept { Verdict::Allow } else { expected.clone() }, "{action}");
        let others = bucket.ask(&caller("alt", "b"), *action, None, &nothing());
        assert_eq!(others, if kept { NOT_GRANTED } else { expected.clone() }, "{action}");
    }
    // test_bucket_policy_acl: it outweighs an ACL too.
    let mut bucket = Bucket::with(
        r#"{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::media"}"#,
    );
    bucket.ownership = ObjectOwnership::ObjectWriter;
    bucket.acl = CannedAcl::AuthenticatedRead.for_bucket(&bucket.owner);
    assert!(denied(&bucket.ask(&caller("alt", "b"), Action::ListBucket, None, &nothing())));
    bucket.policy = None;
    assert_eq!(bucket.ask(&caller("alt", "b"), Action::ListBucket, None, &nothing()), Verdict::Allow);
    assert_eq!(bucket.ask(&Caller::Anonymous, Action::ListBucket, None, &nothing()), NOT_GRANTED);
}

/// IAM User Guide, "AWS JSON policy elements: NotPrincipal".
#[test]
fn not_principal_leaves_out_whom_it_names_with_its_account() {
    let deny = |named: &str| {
        Bucket::with(&format!(
            r#"{{"Effect": "Deny", "NotPrincipal": {{"AWS": {named}}}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*"}}"#
        ))
    };
    for (named, who, is_denied) in [
        (r#"["arn:aws:iam::main:root", "arn:aws:iam::main:user/a"]"#, caller("main", "a"), false),
        (r#"["arn:aws:iam::main:root", "arn:aws:iam::main:user/a"]"#, caller("main", "b"), true),
        (r#""arn:aws:iam::main:user/a""#, caller("main", "a"), true),
        (r#""arn:aws:iam::main:root""#, caller("main", "a"), true),
        (r#"["main", "arn:aws:iam::main:user/a"]"#, Caller::Anonymous, true),
    ] {
        assert_eq!(denied(&deny(named).ask(&who, Action::GetObject, None, &nothing())), is_denied, "{named} {who:?}");
    }
}

/// The template of test_access_bucket_*: what `alt` may do with `main`'s bucket and object under canned ACLs.
#[test]
fn canned_acls_grant_strangers_what_they_say() {
    let main = account("main");
    for (bucket_acl, object_acl, list, write, read) in [
        ("private", "private", false, false, false),
        ("private", "public-read", false, false, true),
        ("private", "public-read-write", false, false, true),
        ("public-read", "private", true, false, false),
        ("public-read", "public-read", true, false, true),
        ("public-read-write", "private", true, true, false),
        ("public-read-write", "public-read-write", true, true, true),
        ("authenticated-read", "authenticated-read", true, false, true),
    ] {
        let mut bucket = Bucket {
            ownership: ObjectOwnership::ObjectWriter,
            acl: CannedAcl::parse(bucket_acl).unwrap().for_bucket(&main),
            ..Bucket::new()
        };
        let object = CannedAcl::parse(object_acl).unwrap().for_object(&main, &main);
        let alt = caller("alt", "b");
        let allowed = |bucket: &Bucket, action| bucket.ask(&alt, action, Some(&object), &nothing()) == Verdict::Allow;
        let asked = |bucket: &Bucket| {
            (allowed(bucket, Action::ListBucket), allowed(bucket, Action::PutObject), allowed(bucket, Action::GetObject))
        };
        assert_eq!(asked(&bucket), (list, write, read), "{bucket_acl} {object_acl}");
        assert!(!allowed(&bucket, Action::DeleteObject), "another's object");
        assert_eq!(bucket.ask(&alt, Action::GetObject, None, &nothing()), Verdict::NeedsObject);
        // test_ignore_public_acls
        bucket.public_access.ignore_public_acls = true;
        assert_eq!(asked(&bucket), (false, false, false), "{bucket_acl} {object_acl}");
        bucket.public_access.ignore_public_acls = false;
        bucket.ownership = ObjectOwnership::BucketOwnerEnforced;
        assert_eq!(asked(&bucket), (false, false, false), "{bucket_acl} {object_acl}");
    }
}

#[test]
fn an_object_is_its_owners() {
    let (main, alt) = (account("main"), account("alt"));
    let mut bucket = Bucket::with(OPEN_READ);
    bucket.ownership = ObjectOwnership::ObjectWriter;
    let private = Acl::private(alt.clone());
    let ask = |bucket: &Bucket, who: &str, action, acl: &Acl| bucket.ask(&caller(who, "x"), action, Some(acl), &nothing());
    // The bucket's owner and its policy have no say over another's object, but for removing it and for its tags.
    assert_eq!(ask(&bucket, "main", Action::GetObject, &private), NOT_GRANTED);
    assert_eq!(ask(&bucket, "third", Action::GetObject, &private), NOT_GRANTED);
    assert_eq!(ask(&bucket, "main", Action::GetObjectAcl, &private), NOT_GRANTED);
    assert_eq!(ask(&bucket, "main", Action::DeleteObject, &private), Verdict::Allow);
    assert_eq!(ask(&bucket, "main", Action::PutObjectTagging, &private), Verdict::Allow);
    for action in [Action::GetObject, Action::GetObjectAcl, Action::PutObjectAcl, Action::GetObjectTagging] {
        assert_eq!(ask(&bucket, "alt", action, &private), Verdict::Allow, "{action}");
    }
    let shared = CannedAcl::BucketOwnerRead.for_object(&alt, &main);
    assert_eq!(ask(&bucket, "main", Action::GetObject, &shared), Verdict::Allow);
    assert_eq!(ask(&bucket, "main", Action::GetObjectAcl, &shared), NOT_GRANTED);
    let shared = CannedAcl::BucketOwnerFullControl.for_object(&alt, &main);
    assert_eq!(ask(&bucket, "main", Action::PutObjectAcl, &shared), Verdict::Allow);
    // Its owner may remove it when it may write to the bucket.
    assert_eq!(ask(&bucket, "alt", Action::DeleteObject, &private), NOT_GRANTED);
    bucket.acl = CannedAcl::PublicReadWrite.for_bucket(&main);
    assert_eq!(ask(&bucket, "alt", Action::DeleteObject, &private), Verdict::Allow);
    assert_eq!(ask(&bucket, "third", Action::DeleteObject, &private), NOT_GRANTED);
    assert_eq!(bucket.ask(&caller("alt", "x"), Action::DeleteObject, None, &nothing()), Verdict::NeedsObject);
    // Once ACLs are off, everything is the bucket owner's.
    bucket.ownership = ObjectOwnership::BucketOwnerEnforced;
    assert_eq!(bucket.ask(&caller("main", "x"), Action::GetObject, None, &nothing()), Verdict::Allow);
}

#[test]
fn an_upload_is_its_initiators() {
    let bucket = Bucket::new();
    let upload = Acl::private(account("alt"));
    for action in [Action::AbortMultipartUpload, Action::ListMultipartUploadParts] {
        assert_eq!(bucket.ask(&caller("alt", "b"), action, Some(&upload), &nothing()), Verdict::Allow);
        assert_eq!(bucket.ask(&caller("third", "b"), action, Some(&upload), &nothing()), NOT_GRANTED);
    }
}

/// test_block_public_restrict_public_buckets
#[test]
fn a_restricted_public_bucket_lets_in_only_the_owners_account() {
    let mut bucket = Bucket::with(OPEN_READ);
    bucket.public_access.restrict_public_buckets = true;
    for who in [Caller::Anonymous, caller("alt", "b")] {
        assert_eq!(bucket.ask(&who, Action::GetObject, None, &nothing()), Verdict::Deny(Denial::PublicAccessBlock));
    }
    assert_eq!(bucket.ask(&caller("main", "a"), Action::GetObject, None, &nothing()), Verdict::Allow);
    bucket.policy = Some(policy(&OPEN_READ.replace(r#""*""#, r#"{"AWS": "alt"}"#)));
    assert_eq!(bucket.ask(&caller("alt", "b"), Action::GetObject, None, &nothing()), Verdict::Allow, "not public");
}

/// test_bucket_policy_get_obj_existing_tag and its relatives.
#[test]
fn tags_of_the_object_need_the_object() {
    let condition = r#""Condition": {"StringEquals": {"s3:ExistingObjectTag/security": "public"}}"#;
    let bucket = Bucket::with(&OPEN_READ.replace('}', &format!(", {condition}}}")).replace("s3:GetObject", "s3:*"));
    let alt = caller("alt", "b");
    let (public, private) =
        (Facts::of(&["s3:ExistingObjectTag/security=public"]), Facts::of(&["s3:ExistingObjectTag/security=private"]));
    let acl = Acl::private(account("main"));
    assert_eq!(bucket.ask(&alt, Action::GetObject, None, &public), Verdict::NeedsObject);
    assert_eq!(bucket.ask(&alt, Action::GetObject, Some(&acl), &public), Verdict::Allow);
    assert_eq!(bucket.ask(&alt, Action::GetObject, Some(&acl), &private), NOT_GRANTED);
    assert_eq!(bucket.ask(&alt, Action::PutObjectTagging, Some(&acl), &public), Verdict::Allow);
    // For a write the key is not there, as in AWS.
    assert_eq!(bucket.ask(&alt, Action::PutObject, None, &public), NOT_GRANTED);
    // A denial that stands already does not wait for the object.
    let deny = r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*"}"#;
    let tagged = OPEN_READ.replace('}', &format!(", {condition}}}"));
    let bucket = Bucket { policy: Some(policies(&[&tagged, deny])), ..Bucket::new() };
    assert!(denied(&bucket.ask(&alt, Action::GetObject, None, &public)));
}

#[test]
fn requests_are_held_to_their_headers() {
    let put = |effect: &str, condition: &str| {
        format!(
            r#"{{"Effect": "{effect}", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::media/*", "Condition": {condition}}}"#
        )
    };
    let alt = caller("alt", "b");
    let ask = |bucket: &Bucket, facts: &[&str]| bucket.ask(&alt, Action::PutObject, None, &Facts::of(facts)) == Verdict::Allow;
    for (condition, fits, differs) in [
        (
            r#"{"StringLike": {"s3:x-amz-copy-source": "source/public/*"}}"#,
            "s3:x-amz-copy-source=source/public/foo",
            "s3:x-amz-copy-source=source/private/foo",
        ),
        (
            r#"{"StringEquals": {"s3:x-amz-metadata-directive": "COPY"}}"#,
            "s3:x-amz-metadata-directive=COPY",
            "s3:x-amz-acl=private",
        ),
        (
            r#"{"StringEquals": {"s3:RequestObjectTag/security": "public"}}"#,
            "s3:RequestObjectTag/security=public",
            "s3:RequestObjectTag/Security=public",
        ),
        (
            r#"{"StringEquals": {"s3:x-amz-server-side-encryption": "AES256"}}"#,
            "s3:x-amz-server-side-encryption=AES256",
            "s3:x-amz-server-side-encryption=aws:kms",
        ),
    ] {
        let bucket = Bucket::with(&put("Allow", condition));
        assert!(ask(&bucket, &[fits]) && !ask(&bucket, &[differs]) && !ask(&bucket, &[]), "{condition}");
    }
    let grants = Bucket::with(&put("Allow", r#"{"StringEquals": {"s3:x-amz-grant-full-control": "id=main"}}"#));
    let facts = Facts(HashMap::from([("s3:x-amz-grant-full-control".to_owned(), vec!["id=main".to_owned()])]));
    assert_eq!(grants.ask(&alt, Action::PutObject, None, &facts), Verdict::Allow);
    // test_bucket_policy_put_obj_acl and test_encryption_sse_c_deny_algo_with_bucket_policy: the owner is bound too.
    let deny = put("Deny", r#"{"StringLike": {"s3:x-amz-acl": "public*"}}"#);
    let bucket = Bucket { policy: Some(policies(&[&put("Allow", "{}"), &deny])), ..Bucket::new() };
    assert!(ask(&bucket, &[]) && ask(&bucket, &["s3:x-amz-acl=private"]) && !ask(&bucket, &["s3:x-amz-acl=public-read"]));
    let bucket =
        Bucket::with(&put("Deny", r#"{"StringNotEquals": {"s3:x-amz-server-side-encryption-customer-algorithm": "AES256"}}"#));
    let own = |facts: &[&str]| bucket.ask(&caller("main", "a"), Action::PutObject, None, &Facts::of(facts));
    assert!(denied(&own(&[])) && denied(&own(&["s3:x-amz-server-side-encryption-customer-algorithm=AES192"])));
    assert_eq!(own(&["s3:x-amz-server-side-encryption-customer-algorithm=AES256"]), Verdict::Allow);
}

/// test_head_object_404_with_policy_prefix: who may list under a prefix learns that a key is not there.
#[test]
fn listing_is_held_to_its_prefix() {
    let bucket = Bucket::with(
        r#"{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::media",
            "Condition": {"StringLike": {"s3:prefix": "public/*"}}}"#,
    );
    let ask = |facts: &[&str]| bucket.ask(&caller("alt", "b"), Action::ListBucket, None, &Facts::of(facts));
    assert_eq!(ask(&["s3:prefix=public/object"]), Verdict::Allow);
    assert_eq!(ask(&["s3:prefix=private/object"]), NOT_GRANTED);
    assert_eq!(ask(&[]), NOT_GRANTED);
}

/// test_get_public_block_deny_bucket_policy: what configures a bucket can be denied to its owner.
#[test]
fn configuration_can_be_denied_to_the_owner() {
    let bucket = Bucket::with(
        r#"{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:GetBucketPublicAccessBlock", "Resource": "arn:aws:s3:::media"}"#,
    );
    assert!(denied(&bucket.ask(&caller("main", "a"), Action::GetBucketPublicAccessBlock, None, &nothing())));
    assert_eq!(bucket.ask(&caller("main", "a"), Action::PutBucketPublicAccessBlock, None, &nothing()), Verdict::Allow);
}

#[test]
fn a_bucket_without_a_policy_asks_the_request_nothing() {
    #[derive(Debug)]
    struct Silent;
    impl Context for Silent {
        fn now(&self) -> Timestamp {
            panic!("asked for the time")
        }

        fn value(&self, key: &Key) -> Value<'_> {
            panic!("asked for {key:?}")
        }
    }
    let (bucket, name, key) = (Bucket::new(), BucketName::new("media").unwrap(), ObjectKey::new("a").unwrap());
    let who = caller("main", "a");
    let request = Request { caller: &who, action: Action::GetObject, bucket: &name, key: Some(&key) };
    assert_eq!(evaluate(&request, &bucket.access(), None, &Silent), Verdict::Allow);
}
