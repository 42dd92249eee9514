//! Checks the signature of a form that a browser posts: of its policy, which says what else the form may hold.
//!
//! Source: "Browser-Based Uploads Using POST" in the Amazon S3 API Reference; for the older signature "Browser-Based Uploads Using
//! POST (AWS Signature Version 2)" in the Amazon S3 User Guide.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, verify};
use secrecy::ExposeSecret;

use super::authenticator::{MAX_SKEW_MILLIS, Mechanism, S3Authenticator};
use super::authorization::{ALGORITHM, Credential, RequestTime, Signature};
use super::error::AuthnError;
use super::form_policy::FormPolicy;
use super::principal::Authenticated;
use super::principals::Entry;
use crate::types::{BucketName, Timestamp};

/// The life of a signing key, in milliseconds: seven days.
const MAX_AGE_MILLIS: i64 = 7 * 24 * 60 * 60 * 1000;

/// The fields of a form but its file: values by lower-case name, `${filename}` expanded.
pub type FormFields = BTreeMap<String, String>;

/// A form whose signature is right and whose fields are what its policy allows, or that has no signature.
#[derive(Debug)]
pub struct VerifiedForm {
    /// Who signed its policy.
    pub authenticated: Authenticated,
    /// How.
    pub mechanism: Mechanism,
    /// When, where it says.
    pub signed: Option<Timestamp>,
    /// The fewest and the most bytes that its file may have.
    pub file: (u64, u64),
}

impl S3Authenticator {
    /// Checks the fields of a form that was posted to `bucket`, at the time `now`; one without any signature comes from nobody.
    pub fn verify_form(&self, fields: &FormFields, bucket: &BucketName, now: Timestamp) -> Result<VerifiedForm, AuthnError> {
        let field = |name: &str| fields.get(name).map(String::as_str);
        let token = field("x-amz-security-token");
        let version_4 = ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"].map(field);
        let version_2 = ["awsaccesskeyid", "signature"].map(field);
        let (is_4, is_2) = (version_4.iter().any(Option::is_some), version_2.iter().any(Option::is_some));
        if token.is_some() && !is_4 {
            return Err(AuthnError::InvalidToken);
        }
        let Some(policy) = field("policy") else {
            if is_4 || is_2 {
                return Err(missing("policy"));
            }
            let authenticated = Authenticated::anonymous().map_err(|_| AuthnError::MissingAuthentication)?;
            return Ok(VerifiedForm { authenticated, mechanism: Mechanism::Absent, signed: None, file: (0, u64::MAX) });
        };
        let (authenticated, mechanism, signed) = match (is_4, is_2) {
            (true, true) => return Err(malformed("a form has the fields of one signature, not of both versions")),
            (false, true) => (self.check_version_2(policy, version_2, now)?, Mechanism::FormVersion2, None),
            (_, false) => {
                let (authenticated, at) = self.check_version_4(policy, version_4, token, now)?;
                (authenticated, Mechanism::Form, Some(at))
            }
        };
        let access_key_id = authenticated.access_key_id();
        let policy = FormPolicy::parse(policy).map_err(|reason| AuthnError::InvalidFormPolicy { reason })?;
        let violated = |reason| AuthnError::FormPolicyViolated { access_key_id: access_key_id.to_owned(), reason };
        policy.check(fields, bucket, now).map_err(violated)?;
        Ok(VerifiedForm { mechanism, signed, file: policy.file_size(), authenticated })
    }

    fn check_version_4(
        &self,
        policy: &str,
        [algorithm, credential, date, signature]: [Option<&str>; 4],
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<(Authenticated, Timestamp), AuthnError> {
        let signature = signature.ok_or_else(|| missing("x-amz-signature"))?;
        if algorithm.ok_or_else(|| missing("x-amz-algorithm"))? != ALGORITHM {
            return Err(AuthnError::UnsupportedMethod);
        }
        let credential = Credential::parse(credential.ok_or_else(|| missing("x-amz-credential"))?).map_err(malformed)?;
        let time = RequestTime::parse(date.ok_or_else(|| missing("x-amz-date"))?)
            .ok_or_else(|| malformed("`x-amz-date` must be like `20130524T000000Z`"))?;
        self.check_scope(&credential, &time, malformed)?;
        let access_key_id = || credential.access_key_id.to_owned();
        let violated =
            |reason: &str| AuthnError::FormPolicyViolated { access_key_id: access_key_id(), reason: reason.to_owned() };
        if time.at > now.plus_millis(MAX_SKEW_MILLIS) {
            return Err(violated("the form is signed for a time to come"));
        }
        if now > time.at.plus_millis(MAX_AGE_MILLIS) {
            return Err(violated("the form was signed more than seven days ago"));
        }
        let (authenticated, key) = self.find(credential.access_key_id, token, &credential.day)?;
        let matches = signature.parse::<Signature>().is_ok_and(|signature| verify(&key, policy.as_bytes(), &signature.0).is_ok());
        if !matches {
            return Err(AuthnError::SignatureDoesNotMatch { access_key_id: access_key_id() });
        }
        authenticated.check_end(token, now)?;
        Ok((authenticated, time.at))
    }

    fn check_version_2(
        &self,
        policy: &str,
        [access_key_id, signature]: [Option<&str>; 2],
        now: Timestamp,
    ) -> Result<Authenticated, AuthnError> {
        let access_key_id = access_key_id.ok_or_else(|| missing("AWSAccessKeyId"))?;
        let signature = signature.ok_or_else(|| missing("signature"))?;
        if !self.takes_form_version_2() {
            return Err(AuthnError::UnsupportedMethod);
        }
        let principals = self.principals();
        let entry = known(principals.entry(access_key_id), access_key_id)?;
        let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, entry.access_key.secret.expose_secret().as_bytes());
        let matches = STANDARD.decode(signature).is_ok_and(|signature| verify(&key, policy.as_bytes(), &signature).is_ok());
        accepted(entry, matches, now)
    }
}

fn known<'a>(entry: Option<&'a Entry>, access_key_id: &str) -> Result<&'a Entry, AuthnError> {
    entry.ok_or_else(|| AuthnError::InvalidAccessKeyId { access_key_id: access_key_id.to_owned() })
}

/// The proof, for a signature that `matches` by a key that is still valid.
fn accepted(entry: &Entry, matches: bool, now: Timestamp) -> Result<Authenticated, AuthnError> {
    let access_key_id = || entry.access_key.id.clone();
    if !matches {
        return Err(AuthnError::SignatureDoesNotMatch { access_key_id: access_key_id() });
    }
    if entry.access_key.not_after.is_some_and(|end| now > end) {
        return Err(AuthnError::ExpiredAccessKey { access_key_id: access_key_id() });
    }
    Ok(Authenticated::new(Arc::clone(&entry.principal), Arc::clone(&entry.access_key)))
}

fn missing(field: &'static str) -> AuthnError {
    AuthnError::FormFieldMissing { field }
}

fn malformed(reason: &str) -> AuthnError {
    AuthnError::InvalidFormCredential { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use ring::hmac::sign;

    use super::*;
    use crate::authn::{AccessKey, HostRules, Principal, Principals};

    const SECRET: &str = "a-secret";
    /// 2026-11-24T00:00:00Z.
    const NOW: Timestamp = Timestamp::from_seconds(1_795_478_400);

    fn authenticator(not_after: Option<Timestamp>) -> S3Authenticator {
        let key = AccessKey { not_after, ..AccessKey::new("AK", SECRET.to_owned().into()) };
        let principals = Principals::new([Principal::unrestricted("feed", vec![key]).unwrap()]).unwrap();
        let principals = Arc::new(ArcSwap::from_pointee(principals));
        S3Authenticator::new(principals, "us-east-1".to_owned(), HostRules::default()).with_form_version_2(true)
    }

    fn policy() -> String {
        STANDARD.encode(
            r#"{"expiration": "2026-11-25T00:00:00Z", "conditions": [{"bucket": "media"}, ["starts-with", "$key", ""],
            ["starts-with", "$x-amz-algorithm", ""], ["starts-with", "$x-amz-credential", ""], ["starts-with", "$x-amz-date", ""]]}"#,
        )
    }

    fn fields(pairs: &[(&str, &str)]) -> FormFields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn version_4(day: &str) -> FormFields {
        let key =
            super::super::signing_key::derive(&SECRET.to_owned().into(), day.as_bytes().first_chunk().unwrap(), "us-east-1");
        let signature = hex::encode(sign(&key, policy().as_bytes()));
        fields(&[
            ("key", "a"),
            ("policy", &policy()),
            ("x-amz-algorithm", ALGORITHM),
            ("x-amz-credential", &format!("AK/{day}/us-east-1/s3/aws4_request")),
            ("x-amz-date", &format!("{day}T000000Z")),
            ("x-amz-signature", &signature),
        ])
    }

    fn version_2() -> FormFields {
        let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
        let signature = STANDARD.encode(sign(&key, policy().as_bytes()));
        fields(&[("key", "a"), ("policy", &policy()), ("awsaccesskeyid", "AK"), ("signature", &signature)])
    }

    fn code(authenticator: &S3Authenticator, fields: &FormFields) -> &'static str {
        let bucket = BucketName::new("media").unwrap();
        authenticator.verify_form(fields, &bucket, NOW).map_or_else(
            |error| error.code(),
            |form| match form.mechanism {
                Mechanism::Form => "version 4",
                Mechanism::FormVersion2 => "version 2",
                _ => "nobody",
            },
        )
    }

    #[test]
    fn both_signatures_are_checked() {
        let authenticator = authenticator(None);
        assert_eq!(code(&authenticator, &version_4("20261124")), "version 4");
        assert_eq!(code(&authenticator, &version_2()), "version 2");
        assert_eq!(code(&authenticator, &fields(&[("key", "a")])), "nobody");
        for (name, value) in [("x-amz-signature", "00"), ("policy", "e30="), ("x-amz-signature", &"0".repeat(64))] {
            let changed = fields(&[(name, value)]);
            assert_eq!(
                code(&authenticator, &version_4("20261124").into_iter().chain(changed).collect()),
                "SignatureDoesNotMatch"
            );
        }
        for (name, value, expected) in [
            ("signature", "=", "SignatureDoesNotMatch"),
            ("signature", "", "SignatureDoesNotMatch"),
            ("policy", "", "SignatureDoesNotMatch"),
            ("awsaccesskeyid", "KA", "InvalidAccessKeyId"),
            ("x-amz-security-token", "t", "InvalidToken"),
            ("x-amz-signature", "00", "InvalidArgument"),
        ] {
            let changed = fields(&[(name, value)]);
            assert_eq!(code(&authenticator, &version_2().into_iter().chain(changed).collect()), expected, "{name}: {value}");
        }
    }

    #[test]
    fn no_field_of_a_signature_may_be_missing() {
        let authenticator = authenticator(None);
        for form in [version_4("20261124"), version_2()] {
            for name in form.keys().filter(|name| *name != "key") {
                let mut without = form.clone();
                without.remove(name);
                assert_eq!(code(&authenticator, &without), "InvalidArgument", "{name}");
            }
        }
    }

    #[test]
    fn keys_and_signatures_have_an_end() {
        let expired = authenticator(Some(Timestamp::from_seconds(0)));
        assert_eq!(code(&expired, &version_4("20261124")), "InvalidAccessKeyId");
        assert_eq!(code(&expired, &version_2()), "InvalidAccessKeyId");
        let authenticator = authenticator(None);
        for (day, expected) in [("20261117", "version 4"), ("20261116", "AccessDenied"), ("20261125", "AccessDenied")] {
            assert_eq!(code(&authenticator, &version_4(day)), expected, "{day}");
        }
    }

    #[test]
    fn the_older_signature_is_offered_where_it_is_wanted() {
        assert_eq!(code(&authenticator(None).with_form_version_2(false), &version_2()), "InvalidRequest");
    }

    #[test]
    fn another_region_or_service_is_refused() {
        for scope in [
            "AK/20261124/eu/s3/aws4_request",
            "AK/20261124/us-east-1/ec2/aws4_request",
            "AK/20261123/us-east-1/s3/aws4_request",
            "AK",
        ] {
            let changed = fields(&[("x-amz-credential", scope)]);
            let form = version_4("20261124").into_iter().chain(changed).collect();
            assert_eq!(code(&authenticator(None), &form), "InvalidArgument", "{scope}");
        }
    }
}
