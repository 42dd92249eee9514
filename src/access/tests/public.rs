//! What AWS calls public.

use super::*;

fn is_public(principal: &str, condition: &str) -> bool {
    policy(&format!(
        r#"{{"Effect": "Allow", "Principal": {principal}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*", "Condition": {condition}}}"#
    ))
    .is_public()
}

#[test]
fn fixed_principals_are_not_public() {
    for (principal, expected) in [
        (r#""*""#, true),
        (r#"{"AWS": "*"}"#, true),
        (r#"{"AWS": ["alt", "*"]}"#, true),
        (r#"{"AWS": "arn:aws:iam::alt:root"}"#, false),
        (r#"{"CanonicalUser": "alt"}"#, false),
        (r#"{"Service": "inspector.amazonaws.com"}"#, false),
    ] {
        assert_eq!(is_public(principal, "{}"), expected, "{principal}");
    }
}

#[test]
fn fixed_values_of_some_keys_are_not_public() {
    for (condition, expected) in [
        (r#"{"StringEquals": {"aws:SourceVpc": "vpc-91237329"}}"#, false),
        (r#"{"StringLike": {"aws:SourceVpc": "vpc-*"}}"#, true),
        (r#"{"StringLike": {"aws:SourceVpc": "vpc-91237329"}}"#, false),
        (r#"{"StringLike": {"aws:SourceVpc": ["vpc-91237329", "vpc-*"]}}"#, true),
        (r#"{"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}"#, true),
        (r#"{"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}"#, true),
        (r#"{"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-1"}}"#, true),
        (r#"{"ForAnyValue:StringEquals": {"aws:PrincipalOrgID": "o-1"}}"#, false),
        (r#"{"StringEquals": {"aws:PrincipalAccount": "${aws:ResourceAccount}"}}"#, true),
        (r#"{"ArnLike": {"aws:SourceArn": "arn:aws:sns:eu-west-1:alt:topic"}}"#, false),
        (r#"{"ArnLike": {"aws:SourceArn": "arn:aws:sns:eu-west-1:alt:*"}}"#, true),
        (r#"{"StringLike": {"s3:DataAccessPointArn": "arn:aws:s3:us-west-2:alt:accesspoint/*"}}"#, false),
        (r#"{"ArnLike": {"s3:DataAccessPointArn": "arn:aws:s3:us-west-2:alt:accesspoint/*"}}"#, false),
        (r#"{"StringLike": {"s3:DataAccessPointArn": "arn:aws:s3:us-west-2:*:accesspoint/a"}}"#, true),
        (r#"{"IpAddress": {"aws:SourceIp": "10.0.0.0/32"}}"#, false),
        (r#"{"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}}"#, false),
        (r#"{"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}"#, true),
        (r#"{"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "::/0"]}}"#, true),
        (r#"{"NotIpAddress": {"aws:SourceIp": "10.0.0.0/32"}}"#, true),
        (r#"{"StringLike": {"aws:Referer": "http://www.example.com/*"}}"#, true),
        (r#"{"StringEquals": {"aws:Referer": "secret"}}"#, true),
        (r#"{"Bool": {"aws:SecureTransport": "true"}, "StringEquals": {"aws:SourceVpce": "vpce-1"}}"#, false),
    ] {
        assert_eq!(is_public(r#""*""#, condition), expected, "{condition}");
    }
}

#[test]
fn one_public_statement_makes_a_policy_public_and_a_denial_does_not() {
    let fixed = r#"{"Effect": "Allow", "Principal": {"AWS": "alt"}, "Action": "s3:*", "Resource": "arn:aws:s3:::media"}"#;
    let open = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::media"}"#;
    let deny = r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::media"}"#;
    assert!(!policies(&[fixed, deny]).is_public());
    assert!(policies(&[fixed, open]).is_public());
    assert!(policies(&[open, deny]).is_public());
}

#[test]
fn the_block_refuses_what_is_public() {
    let public = policy(r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::media"}"#);
    let acl = CannedAcl::AuthenticatedRead.for_bucket(&account("main"));
    assert!(PublicAccessBlock::ALL.refuses_policy(&public) && PublicAccessBlock::ALL.refuses_acl(&acl));
    assert!(!PublicAccessBlock::NONE.refuses_policy(&public) && !PublicAccessBlock::NONE.refuses_acl(&acl));
    assert!(!PublicAccessBlock::ALL.refuses_acl(&CannedAcl::Private.for_bucket(&account("main"))));
    let mut bucket = Bucket { acl, ..Bucket::new() };
    assert!(!bucket.access().is_public(), "ACLs are off");
    bucket.ownership = ObjectOwnership::ObjectWriter;
    assert!(bucket.access().is_public());
    let bucket = Bucket { policy: Some(public), ..Bucket::new() };
    assert!(bucket.access().is_public());
}
