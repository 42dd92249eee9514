//! Which documents can be set, and that every other is refused with its place.

use proptest::prelude::*;

use super::*;

fn set(text: &str) -> Result<BucketPolicy, MalformedPolicy> {
    BucketPolicy::for_bucket(text, &BucketName::new("media").unwrap())
}

fn statement(text: &str) -> Result<BucketPolicy, MalformedPolicy> {
    set(&format!(r#"{{"Version": "2012-10-17", "Statement": {text}}}"#))
}

#[test]
fn the_text_is_kept_byte_for_byte() {
    let text = "{ \"Statement\" : [ {\"Effect\":\"Deny\",\"Principal\":\"*\",\r\n\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::media\"}]  }\n";
    let policy = set(text).unwrap();
    assert_eq!(policy.text(), text);
    let stored = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<BucketPolicy>(&stored).unwrap(), policy);
    assert!(serde_json::from_str::<BucketPolicy>("\"{}\"").is_err());
}

#[test]
fn documents_that_can_be_set() {
    for right in [
        r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*"}"#,
        r#"[{"Sid": "Allow Public Access to All Objects", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["s3:ListBucket"],
            "Resource": ["arn:aws:s3:::media", "arn:aws:s3:::media/*"]}]"#,
        r#"{"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::alt:root", "alt", "arn:aws:iam::alt:user/team/feed"],
            "CanonicalUser": "other"}, "Action": "*", "Resource": "arn:aws:s3:::media*"}"#,
        r#"{"Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::media/logs/*"}"#,
        r#"{"Effect": "Deny", "NotPrincipal": {"AWS": "arn:aws:iam::main:user/a"}, "NotAction": "s3:Get*",
            "NotResource": "arn:aws:s3:::media/open/*"}"#,
        r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:getobject", "Resource": "arn:aws:s3:::*/*"}"#,
        r#"{"Effect": "Allow", "Principal": "*", "Action": ["s3:Get*"], "Resource": "arn:aws:s3:::med?a/${aws:username}/*",
            "Condition": {"NumericLessThanEquals": {"s3:max-keys": 10}, "Bool": {"aws:SecureTransport": true},
                "StringLikeIfExists": {"aws:referer": ["http://a/*", "${aws:PrincipalTag/team, 'none'}"]},
                "ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": "a"}, "Null": {"s3:ExistingObjectTag/b": "false"}}}"#,
    ] {
        statement(right).unwrap_or_else(|error| panic!("{right}: {error}"));
    }
}

#[test]
fn documents_that_cannot_say_where_and_what() {
    let allow = |rest: &str| format!(r#"{{"Effect": "Allow", "Principal": "*", {rest}}}"#);
    let read = r#""Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*""#;
    for (wrong, place, problem) in [
        ("[]".to_owned(), "Statement", "empty"),
        ("\"\"".to_owned(), "Statement[0]", "should be an object"),
        (format!(r#"{{"Principal": "*", {read}}}"#), "Statement[0]", "missing required field `Effect`"),
        (format!(r#"{{"Effect": "Allow", {read}}}"#), "Statement[0]", "missing required field `Principal`"),
        (format!(r#"{{"Effect": "allow", "Principal": "*", {read}}}"#), "Statement[0].Effect", "invalid effect"),
        (format!(r#"{{"Effect": "Allow", "Effect": "Deny", "Principal": "*", {read}}}"#), "document", "`Effect` stands twice"),
        (format!(r#"{{"Effect": "Allow", "NotPrincipal": {{"AWS": "alt"}}, {read}}}"#), "Statement[0].NotPrincipal", "`Allow`"),
        (format!(r#"{{"Effect": "Deny", "NotPrincipal": "*", "Principal": "*", {read}}}"#), "Statement[0]", "keep one"),
        (format!(r#"{{"Effect": "Allow", "Principal": "alt", {read}}}"#), "Statement[0].Principal", "invalid principal"),
        (format!(r#"{{"Effect": "Allow", "Principal": {{}}, {read}}}"#), "Statement[0].Principal", "invalid principal"),
        (format!(r#"{{"Effect": "Allow", "Principal": {{"AWS": []}}, {read}}}"#), "Statement[0].Principal.AWS", "empty"),
        (format!(r#"{{"Effect": "Allow", "Principal": {{"AWS": 1}}, {read}}}"#), "Statement[0].Principal.AWS", "a string"),
        (format!(r#"{{"Effect": "Allow", "Principal": {{"User": "a"}}, {read}}}"#), "Statement[0].Principal", "unknown kind"),
        (
            format!(r#"{{"Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::alt:user/*"}}, {read}}}"#),
            "Statement[0].Principal.AWS",
            "without wildcards",
        ),
        (allow(&format!(r#"{read}, "Extra": 1"#)), "Statement[0]", "unknown field `Extra`"),
        (allow(r#""Resource": "arn:aws:s3:::media""#), "Statement[0]", "missing required field `Action`"),
        (allow(r#""Action": "s3:GetObject""#), "Statement[0]", "missing required field `Resource`"),
        (allow(r#""Action": [], "Resource": "arn:aws:s3:::media""#), "Statement[0].Action", "empty"),
        (allow(r#""Action": "s3:GetObjects", "Resource": "arn:aws:s3:::media""#), "Statement[0].Action", "`s3:GetObjects`"),
        (allow(r#""Action": "s3:ListAllMyBuckets", "Resource": "arn:aws:s3:::media""#), "Statement[0].Action", "invalid action"),
        (allow(r#""Action": "ec2:Run*", "Resource": "arn:aws:s3:::media""#), "Statement[0].Action", "invalid action"),
        (allow(r#""Action": "s3:GetObject", "Resource": "arn:aws:s3:::media""#), "Statement[0].Action", "does not apply"),
        (allow(r#""Action": "s3:ListBucket", "Resource": "arn:aws:s3:::media/*""#), "Statement[0].Action", "does not apply"),
        (allow(r#""Action": "s3:*", "Resource": "*""#), "Statement[0].Resource", "invalid resource"),
        (allow(r#""Action": "s3:*", "Resource": "arn:aws:s3:::""#), "Statement[0].Resource", "invalid resource"),
        (allow(r#""Action": "s3:*", "Resource": "arn:aws:s3:::other/*""#), "Statement[0]", "invalid resource"),
        (
            allow(r#""Action": "s3:*", "Resource": ["arn:aws:s3:::media", "arn:aws:s3:::mediatheque"]"#),
            "Statement[0]",
            "resource",
        ),
        (allow(r#""Action": "s3:*", "Resource": "arn:aws:s3:::media/${aws:user}""#), "Statement[0].Resource", "`${aws:user}`"),
        (allow(r#""Action": "s3:*", "Resource": "arn:aws:s3:::media/${aws""#), "Statement[0].Resource", "not closed"),
    ] {
        let error = statement(&wrong).expect_err(&wrong);
        assert!(error.place == place && error.problem.contains(problem), "{wrong}: {error}");
    }
    for (condition, place, problem) in [
        (r#"[]"#, "Condition", "should be an object"),
        (r#"{"StringEqual": {}}"#, "Condition", "operator `StringEqual`"),
        (r#"{"StringEqual": {"s3:prefix": "a"}}"#, "Condition", "operator `StringEqual`"),
        (r#"{"StringEquals": {"s3:suffix": "a"}}"#, "Condition.StringEquals", "`s3:suffix`"),
        (r#"{"StringEquals": {"s3:prefix": []}}"#, "Condition.StringEquals.s3:prefix", "empty"),
        (r#"{"StringEquals": {"s3:prefix": {}}}"#, "Condition.StringEquals.s3:prefix", "an object"),
        (r#"{"StringEquals": {"s3:prefix": "${nobody}"}}"#, "Condition.StringEquals.s3:prefix", "unknown policy variable"),
        (r#"{"NumericEquals": {"s3:max-keys": "ten"}}"#, "Condition.NumericEquals.s3:max-keys", "a number"),
        (r#"{"DateLessThan": {"aws:CurrentTime": "soon"}}"#, "Condition.DateLessThan.aws:CurrentTime", "a date"),
        (r#"{"Bool": {"aws:SecureTransport": "yes"}}"#, "Condition.Bool.aws:SecureTransport", "`true` or `false`"),
        (r#"{"IpAddress": {"aws:SourceIp": "10.0.0.0/33"}}"#, "Condition.IpAddress.aws:SourceIp", "range"),
        (r#"{"BinaryEquals": {"aws:Referer": "*"}}"#, "Condition.BinaryEquals.aws:Referer", "base64"),
    ] {
        let error = statement(&allow(&format!(r#"{read}, "Condition": {condition}"#))).expect_err(condition);
        assert!(error.place == format!("Statement[0].{place}") && error.problem.contains(problem), "{condition}: {error}");
    }
}

#[test]
fn documents_are_checked_as_a_whole() {
    let statement = r#"{"Sid": "a", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::media"}"#;
    for (wrong, place) in [
        (String::new(), "document"),
        ("{".to_owned(), "document"),
        ("[]".to_owned(), "document"),
        ("{}".to_owned(), "document"),
        (format!(r#"{{"Statement": [{statement}], "Name": ""}}"#), "document"),
        (format!(r#"{{"Version": "2020-01-01", "Statement": {statement}}}"#), "Version"),
        (format!(r#"{{"Version": 2012, "Statement": {statement}}}"#), "Version"),
        (format!(r#"{{"Id": [], "Statement": {statement}}}"#), "Id"),
        (format!(r#"{{"Statement": [{statement}, {statement}]}}"#), "Statement[1].Sid"),
        (format!(r#"{{"Id": "{}", "Statement": {statement}}}"#, "x".repeat(BucketPolicy::MAX_BYTES)), "document"),
        ("[".repeat(BucketPolicy::MAX_BYTES), "document"),
    ] {
        assert_eq!(set(&wrong).unwrap_err().place, place, "{}", wrong.chars().take(80).collect::<String>());
    }
}

fn any_json() -> impl Strategy<Value = String> {
    let words = [
        "\"Version\"",
        "\"2012-10-17\"",
        "\"Statement\"",
        "\"Effect\"",
        "\"Allow\"",
        "\"Deny\"",
        "\"Principal\"",
        "\"AWS\"",
        "\"*\"",
        "\"Action\"",
        "\"s3:*\"",
        "\"s3:GetObject\"",
        "\"Resource\"",
        "\"arn:aws:s3:::media/*\"",
        "\"Condition\"",
        "\"StringLike\"",
        "\"${aws:username}\"",
        "\"s3:prefix\"",
        "\"Bool\"",
        "1",
        "true",
        "null",
        "-1e99",
        "\"ü${*}\"",
    ];
    let leaf = proptest::sample::select(words.to_vec()).prop_map(str::to_owned);
    let name = proptest::sample::select(words[..18].to_vec());
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|members| format!("[{}]", members.join(","))),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| {
                let members: Vec<String> = members.into_iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// What a statement may hold, so that many of them are whole.
fn any_statement() -> impl Strategy<Value = String> {
    let value = |fixed: &'static [&'static str]| prop_oneof![9 => proptest::sample::select(fixed).prop_map(str::to_owned), 1 => any_json()];
    (
        value(&["\"Allow\"", "\"Deny\""]),
        value(&["\"*\"", "{\"AWS\":\"alt\"}", "{\"AWS\":[\"arn:aws:iam::main:user/a\"]}"]),
        value(&["\"s3:*\"", "[\"s3:GetObject\",\"s3:List*\"]"]),
        value(&["[\"arn:aws:s3:::media\",\"arn:aws:s3:::media/*\"]", "\"arn:aws:s3:::*${aws:username}*\""]),
        value(&["{}", "{\"StringNotLike\":{\"aws:PrincipalArn\":\"*${aws:username}\"}}", "{\"Null\":{\"s3:prefix\":true}}"]),
    )
        .prop_map(|(effect, principal, action, resource, condition)| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":{effect},"Principal":{principal},"Action":{action},"Resource":{resource},"Condition":{condition}}}]}}"#
            )
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_document_panics(text in prop_oneof![any_json(), any_statement(), ".{0,200}"]) {
        let Ok(policy) = set(&text) else { return Ok(()) };
        prop_assert_eq!(policy.text(), &text);
        let bucket = Bucket { policy: Some(policy), ..Bucket::new() };
        for who in [Caller::Anonymous, caller("main", "a"), caller("alt", "b")] {
            for action in Action::ALL {
                let _ = bucket.ask(&who, *action, None, &Facts::of(&["s3:prefix=docs/"]));
            }
        }
    }
}
