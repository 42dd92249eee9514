//! The policy of a form: until when it may be posted, and what each of its fields may say.
//!
//! Source: "Creating a POST policy" (sigv4-HTTPPOSTConstructPolicy) in the Amazon S3 API Reference.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

use crate::types::{BucketName, Timestamp};

/// Fields that no condition has to cover: what signs the policy, and the policy itself.
const FREE: [&str; 4] = ["policy", "x-amz-signature", "signature", "awsaccesskeyid"];

/// Fields of this kind can only be a reason to refuse the file, and whoever writes the policy cannot know them. The rest of the name is
/// the algorithm's.
const FREE_PREFIX: &str = "x-amz-checksum-";

/// A policy that has been read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FormPolicy {
    expiration: Timestamp,
    conditions: Vec<Condition>,
    file: (u64, u64),
}

/// What one field must say, its name in lower case.
#[derive(Debug, PartialEq, Eq)]
struct Condition {
    field: String,
    value: String,
    prefix: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    expiration: String,
    conditions: Vec<Value>,
}

impl FormPolicy {
    /// Reads the field `policy`. The error says what is wrong with it.
    pub(super) fn parse(encoded: &str) -> Result<Self, String> {
        let json = STANDARD.decode(encoded).map_err(|_| "it is not base64")?;
        let document: Document = serde_json::from_slice(&json).map_err(|_| {
            "it must be a JSON object of `expiration`, a text, and `conditions`, a list, whose names are in lower case".to_owned()
        })?;
        // More forms are dates to RFC 3339: it lets a space stand for the `T`.
        let expiration =
            Timestamp::parse_rfc3339(&document.expiration).filter(|_| document.expiration.as_bytes().get(10) == Some(&b'T'));
        let expiration = expiration.ok_or("`expiration` must be a date like `2026-11-24T12:00:00.000Z`")?;
        let mut policy = Self { expiration, conditions: Vec::new(), file: (0, u64::MAX) };
        for condition in document.conditions {
            policy.take(condition)?;
        }
        Ok(policy)
    }

    /// The fewest and the most bytes that the file may have.
    pub(super) const fn file_size(&self) -> (u64, u64) {
        self.file
    }

    /// Holds the form against the policy. The error names the field that is not as it must be, in AWS's words.
    pub(super) fn check(&self, fields: &BTreeMap<String, String>, bucket: &BucketName, now: Timestamp) -> Result<(), String> {
        if now > self.expiration {
            return Err("Policy expired".to_owned());
        }
        // The bucket is the one that the form was posted to, whatever a field says.
        let value = |name: &str| match name {
            "bucket" => bucket.as_str(),
            name => fields.get(name).map_or("", String::as_str),
        };
        if let Some(failed) = self.conditions.iter().find(|condition| !condition.holds(value(&condition.field))) {
            return Err(format!("Policy Condition failed: ${}", shown(&failed.field)));
        }
        let covered = |name: &str| self.conditions.iter().any(|condition| condition.field == name);
        let must_be_covered =
            fields.keys().map(String::as_str).filter(|name| !FREE.contains(name) && !name.starts_with(FREE_PREFIX));
        match must_be_covered.chain(["bucket"]).find(|name| !covered(name)) {
            Some(name) => Err(format!("Extra input fields: {}", shown(name))),
            None => Ok(()),
        }
    }

    fn take(&mut self, condition: Value) -> Result<(), String> {
        match condition {
            Value::Object(exact) => {
                let mut entries = exact.into_iter();
                let (Some((field, Value::String(value))), None) = (entries.next(), entries.next()) else {
                    return Err("a condition in braces has one field, whose value is a text".to_owned());
                };
                self.conditions.push(Condition { field: field.to_ascii_lowercase(), value, prefix: false });
            }
            Value::Array(items) => {
                let [Value::String(operator), first, second] = items.as_slice() else {
                    return Err("a condition in brackets has three items, the first of them a text".to_owned());
                };
                match operator.to_ascii_lowercase().as_str() {
                    "content-length-range" => self.take_range(first, second)?,
                    "eq" => self.conditions.push(Condition::of(first, second, false)?),
                    "starts-with" => self.conditions.push(Condition::of(first, second, true)?),
                    _ => return Err("a condition must be `eq`, `starts-with` or `content-length-range`".to_owned()),
                }
            }
            _ => return Err("a condition is in braces or in brackets".to_owned()),
        }
        Ok(())
    }

    fn take_range(&mut self, least: &Value, most: &Value) -> Result<(), String> {
        let bytes = |value: &Value| match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        let (Some(least), Some(most)) = (bytes(least), bytes(most)) else {
            return Err("`content-length-range` has two numbers of bytes".to_owned());
        };
        self.file = (self.file.0.max(least), self.file.1.min(most));
        Ok(())
    }
}

impl Condition {
    fn of(field: &Value, value: &Value, prefix: bool) -> Result<Self, String> {
        let (Some(field), Some(value)) = (field.as_str().and_then(|field| field.strip_prefix('$')), value.as_str()) else {
            return Err("`eq` and `starts-with` name a field, as `$field`, and a text".to_owned());
        };
        Ok(Self { field: field.to_ascii_lowercase(), value: value.to_owned(), prefix })
    }

    fn holds(&self, value: &str) -> bool {
        match (self.prefix, self.field.as_str()) {
            (false, _) => value == self.value,
            // Each of several types has to begin so.
            (true, "content-type") => value.split(',').all(|one| one.trim_start().starts_with(&self.value)),
            (true, _) => value.starts_with(&self.value),
        }
    }
}

/// A field's name as it may be shown: it is from outside.
fn shown(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(128).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_478_400);

    fn parse(json: &str) -> Result<FormPolicy, String> {
        FormPolicy::parse(&STANDARD.encode(json))
    }

    fn with(conditions: &str) -> Result<FormPolicy, String> {
        parse(&format!(r#"{{"expiration": "2026-11-25T00:00:00.000Z", "conditions": [{{"bucket": "media"}}{conditions}]}}"#))
    }

    fn check(conditions: &str, fields: &[(&str, &str)]) -> Result<(), String> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        with(conditions).unwrap().check(&fields, &BucketName::new("media").unwrap(), NOW)
    }

    #[test]
    fn every_field_is_covered_by_a_condition_that_holds() {
        for (conditions, fields, allowed) in [
            ("", &[][..], true),
            ("", &[("key", "a")], false),
            (r#", {"KEY": "a"}"#, &[("key", "a")], true),
            (r#", {"key": "a"}"#, &[("key", "b")], false),
            (r#", {"key": "a"}"#, &[], false),
            (r#", ["eq", "$key", "a"], ["starts-with", "$key", "b"]"#, &[("key", "a")], false),
            (r#", ["StArTs-WiTh", "$KeY", "a/"]"#, &[("key", "a/b")], true),
            (r#", ["starts-with", "$key", "a/"]"#, &[("key", "ab")], false),
            (r#", ["starts-with", "$x-amz-meta-a", ""]"#, &[], true),
            (r#", ["starts-with", "$content-type", "image/"]"#, &[("content-type", "image/a, image/b")], true),
            (r#", ["starts-with", "$content-type", "image/"]"#, &[("content-type", "image/a,text/b")], false),
            ("", &[("policy", "p"), ("signature", "s"), ("awsaccesskeyid", "a"), ("x-amz-checksum-sha256", "c")], true),
            ("", &[("x-amz-meta-a", "")], false),
            ("", &[("bucket", "other")], true),
            (r#", {"bucket": "other"}"#, &[("bucket", "other")], false),
        ] {
            assert_eq!(check(conditions, fields).is_ok(), allowed, "{conditions} of {fields:?}");
        }
    }

    #[test]
    fn the_bucket_has_to_be_named_and_the_time_not_over() {
        let fields = BTreeMap::new();
        let bucket = BucketName::new("media").unwrap();
        let unnamed = parse(r#"{"expiration": "2026-11-25T00:00:00Z", "conditions": []}"#).unwrap();
        assert_eq!(unnamed.check(&fields, &bucket, NOW), Err("Extra input fields: bucket".to_owned()));
        let policy = with("").unwrap();
        assert!(policy.check(&fields, &bucket, NOW.plus_millis(86_400_000)).is_ok());
        assert_eq!(policy.check(&fields, &bucket, NOW.plus_millis(86_400_001)), Err("Policy expired".to_owned()));
        assert!(policy.check(&fields, &BucketName::new("other").unwrap(), NOW).is_err());
    }

    #[test]
    fn sizes_are_numbers_and_the_narrowest_counts() {
        assert_eq!(with("").unwrap().file_size(), (0, u64::MAX));
        let narrowed = with(r#", ["content-length-range", 1, 10], ["Content-Length-Range", "2", "99"]"#);
        assert_eq!(narrowed.unwrap().file_size(), (2, 10));
        for wrong in ["0", "-1, 0", "0.5, 1", "\"\", 1", "\"+1\", 1", "0, 1, 2"] {
            assert!(with(&format!(r#", ["content-length-range", {wrong}]"#)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for wrong in [
            "",
            "[]",
            r#"{"conditions": []}"#,
            r#"{"expiration": "2026-11-25T00:00:00Z"}"#,
            r#"{"EXPIRATION": "2026-11-25T00:00:00Z", "conditions": []}"#,
            r#"{"expiration": "2026-11-25T00:00:00Z", "CONDITIONS": []}"#,
            r#"{"expiration": "2026-11-25 00:00:00+00:00", "conditions": []}"#,
            r#"{"expiration": 5, "conditions": []}"#,
            r#"{"expiration": "2026-11-25T00:00:00Z", "conditions": {}}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        for wrong in
            ["{}", r#"{"a": "b", "c": "d"}"#, r#"{"a": 1}"#, "5", "[]", r#"["eq", "key", "a"]"#, r#"["like", "$key", "a"]"#]
        {
            assert!(with(&format!(", {wrong}")).is_err(), "{wrong}");
        }
        assert!(FormPolicy::parse("{}").is_err());
    }

    proptest! {
        #[test]
        fn no_policy_panics(json in r#"[{}\[\]":,$a-z0-9 -]{0,80}"#) {
            let _ = parse(&json);
            let _ = with(&format!(",{json}"));
        }
    }
}
