//! What a request claims: the `Authorization` header or a presigned URL's query, taken apart but not yet believed.

use std::{borrow::Cow, fmt, str::FromStr};

use http::{HeaderMap, header, request::Parts};
use time::{Date, Month, PrimitiveDateTime, Time};

use super::{error::AuthnError, query::QueryPairs, signing_key::Day};
use crate::types::Timestamp;

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
pub(super) const SIGNATURE_PARAMETER: &str = "X-Amz-Signature";

/// An HMAC-SHA-256, written as 64 hex digits. Not secret, but compared in constant time where it is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub(super) [u8; 32]);

impl FromStr for Signature {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature")
    }
}

/// The parts of a `Credential`: `AK/20130524/us-east-1/s3/aws4_request`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Credential<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) day: Day,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

impl<'a> Credential<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        const SHAPE: &str = "`Credential` must be `access-key-id/YYYYMMDD/region/s3/aws4_request`";
        let mut parts = text.rsplitn(5, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or(SHAPE);
        let (terminator, service, region, day, access_key_id) = (next()?, next()?, next()?, next()?, next()?);
        let day = Day::try_from(day.as_bytes()).map_err(|_| SHAPE)?;
        if terminator != "aws4_request" || !day.iter().all(u8::is_ascii_digit) {
            return Err(SHAPE);
        }
        Ok(Self { access_key_id, day, region, service })
    }
}

/// A point in time with the text that was signed: `20130524T000000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestTime {
    pub(super) text: [u8; 16],
    pub(super) at: Timestamp,
}

impl RequestTime {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text: [u8; 16] = text.as_bytes().try_into().ok()?;
        let number = |range: std::ops::Range<usize>| {
            let digits = text.get(range).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
            std::str::from_utf8(digits).ok()?.parse::<u16>().ok()
        };
        let small = |range| number(range).and_then(|number| u8::try_from(number).ok());
        if text[8] != b'T' || text[15] != b'Z' {
            return None;
        }
        let month = Month::try_from(small(4..6)?).ok()?;
        let date = Date::from_calendar_date(i32::from(number(0..4)?), month, small(6..8)?).ok()?;
        let time = Time::from_hms(small(9..11)?, small(11..13)?, small(13..15)?).ok()?;
        let seconds = PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp();
        Some(Self { text, at: Timestamp::from_seconds(seconds) })
    }

    fn of(at: Timestamp) -> Option<Self> {
        let date = at.to_datetime();
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        let (hour, minute, second) = (date.hour(), date.minute(), date.second());
        Self::parse(&format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z"))
    }

    /// `x-amz-date`, or `Date` when that is not there. Both may be in the form of `Date`; what is signed is always the short form.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, AuthnError> {
        let only = |name: &str| match (headers.get(name), headers.get_all(name).iter().nth(1)) {
            (Some(value), None) => value.to_str().map(Some).map_err(|_| AuthnError::InvalidDate),
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(AuthnError::InvalidDate),
        };
        let time = match only("x-amz-date")? {
            Some(text) => Self::parse(text).or_else(|| Timestamp::parse_date(text).and_then(Self::of)),
            None => only("date")?.and_then(Timestamp::parse_date).and_then(Self::of),
        };
        time.ok_or(AuthnError::InvalidDate)
    }

    pub(super) fn day(&self) -> &[u8] {
        &self.text[..8]
    }
}

/// How a request says that it is signed, by looking for the marks of each method.
#[derive(Debug)]
pub(super) enum Claim<'a> {
    Header(HeaderClaim<'a>),
    Presigned(Box<PresignedClaim<'a>>),
}

impl<'a> Claim<'a> {
    /// The claim of a request; `None` when it makes none at all.
    pub(super) fn find(parts: &'a Parts) -> Result<Option<Self>, AuthnError> {
        let query = parts.uri.query().unwrap_or("");
        let mut presigned = None;
        let mut version_2 = false;
        for (name, value) in QueryPairs::new(query) {
            if name.starts_with("X-Amz-") {
                presigned.get_or_insert_with(Box::<PresignedClaim<'_>>::default).take(&name, value)?;
            }
            version_2 |= name == "AWSAccessKeyId";
        }
        let presigned = presigned.filter(|claim| claim.is_meant());
        match (parts.headers.get(header::AUTHORIZATION), presigned) {
            (Some(_), Some(_)) => Err(AuthnError::SeveralMechanisms),
            (Some(_), None) => HeaderClaim::parse(&parts.headers).map(Self::Header).map(Some),
            (None, Some(claim)) => Ok(Some(Self::Presigned(claim))),
            (None, None) if version_2 => Err(AuthnError::UnsupportedMethod),
            (None, None) => Ok(None),
        }
    }
}

/// The fields of `Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
#[derive(Debug)]
pub(super) struct HeaderClaim<'a> {
    pub(super) credential: Credential<'a>,
    pub(super) signed_headers: &'a str,
    pub(super) signature: Signature,
}

impl<'a> HeaderClaim<'a> {
    fn parse(headers: &'a HeaderMap) -> Result<Self, AuthnError> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(malformed("it is there more than once"));
        };
        let text = value.to_str().map_err(|_| malformed("it holds more than visible ASCII"))?;
        let (method, fields) = text.trim().split_once(' ').unwrap_or((text, ""));
        if method != ALGORITHM {
            return Err(AuthnError::UnsupportedMethod);
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=').ok_or_else(|| malformed("its fields must be `name=value`"))?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(malformed("it has a field other than `Credential`, `SignedHeaders` and `Signature`")),
            };
            if slot.replace(value.trim()).is_some() {
                return Err(malformed("one of its fields is there twice"));
            }
        }
        let credential = credential.ok_or_else(|| malformed("`Credential` is missing"))?;
        Ok(Self {
            credential: Credential::parse(credential).map_err(malformed)?,
            signed_headers: signed_headers.ok_or_else(|| malformed("`SignedHeaders` is missing"))?,
            signature: signature
                .ok_or_else(|| malformed("`Signature` is missing"))?
                .parse()
                .map_err(|_| malformed("`Signature` must be 64 hex digits"))?,
        })
    }
}

pub(super) fn malformed(reason: &str) -> AuthnError {
    AuthnError::AuthorizationHeaderMalformed { reason: reason.to_owned(), region: None }
}

/// The `X-Amz-*` parameters of a presigned URL, each at most once.
#[derive(Debug, Default)]
pub(super) struct PresignedClaim<'a> {
    algorithm: Option<Cow<'a, str>>,
    credential: Option<Cow<'a, str>>,
    date: Option<Cow<'a, str>>,
    expires: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    security_token: Option<Cow<'a, str>>,
    content_sha256: Option<Cow<'a, str>>,
}

impl<'a> PresignedClaim<'a> {
    /// The longest life of a presigned URL: seven days, in seconds.
    const MAX_EXPIRES: i64 = 604_800;

    fn take(&mut self, name: &str, value: Cow<'a, str>) -> Result<(), AuthnError> {
        let slot = match name {
            "X-Amz-Algorithm" => &mut self.algorithm,
            "X-Amz-Credential" => &mut self.credential,
            "X-Amz-Date" => &mut self.date,
            "X-Amz-Expires" => &mut self.expires,
            "X-Amz-SignedHeaders" => &mut self.signed_headers,
            SIGNATURE_PARAMETER => &mut self.signature,
            "X-Amz-Security-Token" => &mut self.security_token,
            "X-Amz-Content-Sha256" => &mut self.content_sha256,
            _ => return Ok(()),
        };
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(wrong_query("a parameter is there twice")),
        }
    }

    /// Whether these parameters claim a signature at all: an SDK may put other `X-Amz-*` parameters into the query.
    fn is_meant(&self) -> bool {
        self.algorithm.is_some() || self.credential.is_some() || self.signature.is_some()
    }

    pub(super) fn credential(&self) -> Result<Credential<'_>, AuthnError> {
        if required(&self.algorithm, "`X-Amz-Algorithm` is missing")? != ALGORITHM {
            return Err(AuthnError::UnsupportedMethod);
        }
        Credential::parse(required(&self.credential, "`X-Amz-Credential` is missing")?).map_err(wrong_query)
    }

    pub(super) fn time(&self) -> Result<RequestTime, AuthnError> {
        let text = required(&self.date, "`X-Amz-Date` is missing")?;
        RequestTime::parse(text).ok_or_else(|| wrong_query("`X-Amz-Date` must be like `20130524T000000Z`"))
    }

    /// In seconds. A life that is over before it began is the caller's to refuse.
    pub(super) fn expires(&self) -> Result<i64, AuthnError> {
        let text = required(&self.expires, "`X-Amz-Expires` is missing")?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let seconds = text.parse::<i64>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
        seconds
            .filter(|seconds| *seconds <= Self::MAX_EXPIRES)
            .ok_or_else(|| wrong_query("`X-Amz-Expires` must be 1 to 604800 seconds (a week)"))
    }

    pub(super) fn signed_headers(&self) -> Result<&str, AuthnError> {
        required(&self.signed_headers, "`X-Amz-SignedHeaders` is missing")
    }

    pub(super) fn signature(&self) -> Result<Signature, AuthnError> {
        let text = required(&self.signature, "`X-Amz-Signature` is missing")?;
        text.parse().map_err(|_| wrong_query("`X-Amz-Signature` must be 64 hex digits"))
    }

    pub(super) fn content_sha256(&self) -> Option<&str> {
        self.content_sha256.as_deref()
    }

    pub(super) fn security_token(&self) -> Option<&str> {
        self.security_token.as_deref()
    }
}

fn required<'a>(field: &'a Option<Cow<'_, str>>, missing: &str) -> Result<&'a str, AuthnError> {
    field.as_deref().ok_or_else(|| wrong_query(missing))
}

pub(super) fn wrong_query(reason: &str) -> AuthnError {
    AuthnError::AuthorizationQueryParametersError { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_as_they_are_signed() {
        let time = RequestTime::parse("20130524T000000Z").unwrap();
        assert_eq!(time.at, Timestamp::from_seconds(1_369_353_600));
        assert_eq!(RequestTime::of(time.at), Some(time));
        for wrong in
            ["", "20130524T000000", "20131324T000000Z", "2013+524T000000Z", "20130524 000000Z", "20130524T250000Z", "éééééééé"]
        {
            assert_eq!(RequestTime::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_access_key_id_may_hold_a_slash() {
        let credential = Credential::parse("A/K/20130524/us-east-1/s3/aws4_request").unwrap();
        assert_eq!((credential.access_key_id, credential.region), ("A/K", "us-east-1"));
        for wrong in ["", "AK", "AK/20130524/us-east-1/s3", "AK/2013052/r/s3/aws4_request", "AK/20130524//s3/aws4_request"] {
            assert!(Credential::parse(wrong).is_err(), "{wrong}");
        }
    }
}
