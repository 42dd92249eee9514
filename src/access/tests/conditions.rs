//! Operators, keys and variables, one condition at a time.

use super::*;

/// Whether a statement with this condition applies to a GetObject of `docs/a` by the principal `feed` of the account `alt`.
fn holds(effect: &str, condition: &str, facts: &[&str]) -> bool {
    let statement = format!(
        r#"{{"Effect": "{effect}", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*", "Condition": {condition}}}"#
    );
    let open = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*"}"#;
    let mut statements = vec![statement.as_str()];
    if effect == "Deny" {
        statements.push(open);
    }
    let bucket = Bucket { policy: Some(policies(&statements)), ..Bucket::new() };
    let verdict = bucket.ask(&caller("alt", "feed"), Action::GetObject, Some(&Acl::private(account("main"))), &Facts::of(facts));
    (verdict == Verdict::Allow) == (effect == "Allow")
}

#[test]
fn operators_compare_as_documented() {
    for (condition, facts, expected) in [
        // Strings; several values are alternatives.
        (r#"{"StringEquals": {"aws:Referer": "a"}}"#, &["aws:Referer=a"][..], true),
        (r#"{"StringEquals": {"aws:Referer": "a"}}"#, &["aws:Referer=A"], false),
        (r#"{"StringEquals": {"aws:Referer": ["b", "a"]}}"#, &["aws:Referer=a"], true),
        (r#"{"StringEquals": {"aws:Referer": "a*"}}"#, &["aws:Referer=ab"], false),
        (r#"{"StringEquals": {"aws:Referer": "a*"}}"#, &["aws:Referer=a*"], true),
        (r#"{"StringNotEquals": {"aws:Referer": ["b", "a"]}}"#, &["aws:Referer=a"], false),
        (r#"{"StringNotEquals": {"aws:Referer": ["b", "a"]}}"#, &["aws:Referer=c"], true),
        (r#"{"StringEqualsIgnoreCase": {"aws:Referer": "Ab"}}"#, &["aws:Referer=aB"], true),
        (r#"{"StringNotEqualsIgnoreCase": {"aws:Referer": "Ab"}}"#, &["aws:Referer=aB"], false),
        (r#"{"StringLike": {"aws:Referer": "http://www.example.com/*"}}"#, &["aws:Referer=http://www.example.com/"], true),
        (r#"{"StringLike": {"aws:Referer": "http://www.example.com/*"}}"#, &["aws:Referer=http://example.com"], false),
        (r#"{"StringNotLike": {"aws:Referer": "a?"}}"#, &["aws:Referer=ab"], false),
        // Several keys all have to hold.
        (r#"{"StringEquals": {"aws:Referer": "a", "aws:UserAgent": "b"}}"#, &["aws:Referer=a"], false),
        (
            r#"{"StringEquals": {"aws:Referer": "a"}, "Bool": {"aws:SecureTransport": "true"}}"#,
            &["aws:Referer=a", "aws:SecureTransport=true"],
            true,
        ),
        // Numbers and dates; what is no number matches nothing.
        (r#"{"NumericEquals": {"s3:max-keys": "10"}}"#, &["s3:max-keys=10.0"], true),
        (r#"{"NumericNotEquals": {"s3:max-keys": 10}}"#, &["s3:max-keys=10"], false),
        (r#"{"NumericLessThan": {"s3:max-keys": 10}}"#, &["s3:max-keys=10"], false),
        (r#"{"NumericLessThanEquals": {"s3:max-keys": 10}}"#, &["s3:max-keys=10"], true),
        (r#"{"NumericGreaterThan": {"s3:max-keys": 9}}"#, &["s3:max-keys=10"], true),
        (r#"{"NumericGreaterThanEquals": {"s3:max-keys": 11}}"#, &["s3:max-keys=10"], false),
        (r#"{"NumericLessThan": {"s3:max-keys": 10}}"#, &["s3:max-keys=few"], false),
        (r#"{"DateGreaterThan": {"aws:CurrentTime": "2026-11-23T11:59:59Z"}}"#, &[], true),
        (r#"{"DateLessThan": {"aws:CurrentTime": "2026-11-23"}}"#, &[], false),
        (r#"{"DateLessThanEquals": {"aws:EpochTime": "1795435200"}}"#, &[], true),
        (r#"{"NumericGreaterThan": {"aws:EpochTime": "1795435200"}}"#, &[], false),
        (r#"{"Bool": {"aws:SecureTransport": "FALSE"}}"#, &["aws:SecureTransport=false"], true),
        (r#"{"BinaryEquals": {"aws:Referer": "QQ=="}}"#, &["aws:Referer=QQ=="], true),
        // Addresses.
        (r#"{"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:DB8::/32"]}}"#, &["aws:SourceIp=192.0.2.7"], true),
        (r#"{"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:DB8::/32"]}}"#, &["aws:SourceIp=2001:db8::1"], true),
        (r#"{"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "10.0.0.1"]}}"#, &["aws:SourceIp=10.0.0.1"], false),
        (r#"{"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24"]}}"#, &["aws:SourceIp=10.0.0.1"], true),
        // ARNs, part by part.
        (r#"{"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::alt:user/feed"}}"#, &[], true),
        (r#"{"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/f*"}}"#, &[], true),
        (r#"{"ArnLike": {"aws:PrincipalArn": "arn:*:alt:user/feed"}}"#, &[], true),
        (r#"{"ArnLike": {"aws:PrincipalArn": "arn:aws:iam:*:user/feed:*"}}"#, &[], false),
        (r#"{"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::alt:user/*"}}"#, &[], false),
        (r#"{"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::${aws:PrincipalAccount}:user/feed"}}"#, &[], true),
        // Who asks.
        (
            r#"{"StringEquals": {"aws:username": "feed", "aws:userid": "feed", "aws:PrincipalAccount": "alt", "aws:PrincipalType": "User"}}"#,
            &[],
            true,
        ),
        (r#"{"StringEquals": {"aws:ResourceAccount": "main"}, "Bool": {"aws:ViaAWSService": false}}"#, &[], true),
        // What a gateway does not have is absent.
        (r#"{"StringEquals": {"aws:SourceVpc": "vpc-1"}}"#, &["aws:SourceVpc=vpc-1"], false),
    ] {
        assert_eq!(holds("Allow", condition, facts), expected, "{condition} {facts:?}");
        assert_eq!(holds("Deny", condition, facts), expected, "{condition} {facts:?}");
    }
}

/// IAM User Guide: "...IfExists condition operators", "Condition operator to check existence of condition keys" and "Single-valued vs.
/// multivalued context keys".
#[test]
fn absence_and_many_values_follow_the_guide() {
    let tags = |operator: &str| format!(r#"{{"{operator}": {{"s3:RequestObjectTagKeys": ["a", "b"]}}}}"#);
    for (operator, none, ab, ac, cd) in [
        ("StringEquals", false, true, true, false),
        ("StringNotEquals", true, false, false, true),
        ("StringEqualsIfExists", true, true, true, false),
        ("StringNotEqualsIfExists", true, false, false, true),
        ("ForAllValues:StringEquals", true, true, false, false),
        ("ForAnyValue:StringEquals", false, true, true, false),
        ("ForAllValues:StringNotEquals", true, false, false, true),
        ("ForAnyValue:StringNotEquals", false, false, true, true),
        ("ForAnyValue:StringEqualsIfExists", true, true, true, false),
    ] {
        for (facts, expected) in [
            (&[][..], none),
            (&["s3:RequestObjectTagKeys="], none),
            (&["s3:RequestObjectTagKeys=a|b"], ab),
            (&["s3:RequestObjectTagKeys=a|c"], ac),
            (&["s3:RequestObjectTagKeys=c|d"], cd),
        ] {
            assert_eq!(holds("Allow", &tags(operator), facts), expected, "{operator} {facts:?}");
        }
    }
    let algorithm = |absent| format!(r#"{{"Null": {{"s3:x-amz-server-side-encryption-customer-algorithm": "{absent}"}}}}"#);
    let given = ["s3:x-amz-server-side-encryption-customer-algorithm=AES256"];
    for (absent, facts, expected) in [(true, &[][..], true), (true, &given, false), (false, &[], false), (false, &given, true)] {
        assert_eq!(holds("Deny", &algorithm(absent), facts), expected, "{absent} {facts:?}");
    }
}

#[test]
fn an_empty_value_is_a_value() {
    let condition = r#"{"StringEquals": {"s3:prefix": ["", "home/"]}}"#;
    assert!(holds("Allow", condition, &["s3:prefix=<empty>"]));
    assert!(!holds("Allow", condition, &[]));
}

#[test]
fn variables_need_a_value_and_their_version() {
    let named = r#"{"StringEquals": {"aws:Referer": "${aws:username}"}}"#;
    assert!(holds("Allow", named, &["aws:Referer=feed"]));
    let like = r#"{"StringLike": {"aws:Referer": "${aws:UserAgent}"}}"#;
    assert!(!holds("Allow", like, &["aws:Referer=anything", "aws:UserAgent=*"]), "a star from outside is a star");
    // Without a value nothing is equal, and nobody is let in for being different.
    let differs = r#"{"StringNotEquals": {"aws:Referer": "${aws:UserAgent}"}}"#;
    assert!(!holds("Allow", differs, &["aws:Referer=a"]));
    assert!(holds("Deny", differs, &["aws:Referer=a"]));
    // The older version of the language takes them as they stand.
    let text = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*",
        "Condition": {"StringEquals": {"aws:Referer": "${aws:username}"}}}}"#;
    let policy = BucketPolicy::for_bucket(text, &BucketName::new("media").unwrap()).unwrap();
    let bucket = Bucket { policy: Some(policy), ..Bucket::new() };
    let ask = |facts| bucket.ask(&caller("alt", "feed"), Action::GetObject, None, &Facts::of(facts));
    assert_eq!(ask(&["aws:Referer=${aws:username}"]), Verdict::Allow);
    assert_eq!(ask(&["aws:Referer=feed"]), NOT_GRANTED);
}
