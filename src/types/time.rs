//! Points in time.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::{
    OffsetDateTime,
    format_description::well_known::{Rfc2822, Rfc3339},
};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch, rounded down: the resolution of HTTP dates.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This point moved by `millis`, which may be negative.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// As a date; saturates at the years that RFC 3339 can write.
    pub fn to_datetime(self) -> OffsetDateTime {
        let clamped = self.0.clamp(-62_135_596_800_000, 253_402_300_799_999);
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(clamped) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// RFC 3339 with milliseconds, as S3's XML and our JSON write dates: `2026-11-23T20:40:01.000Z`.
    pub fn to_rfc3339(self) -> String {
        let date = self.to_datetime();
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        let (hour, minute, second, milli) = (date.hour(), date.minute(), date.second(), date.millisecond());
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }

    /// IMF-fixdate (RFC 9110 section 5.6.7), as HTTP headers write dates: `Mon, 23 Nov 2026 20:40:01 GMT`.
    pub fn to_http_date(self) -> String {
        let seconds = u64::try_from(self.to_datetime().unix_timestamp()).unwrap_or(0);
        httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
    }

    /// Parses RFC 3339.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(date.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Self)
    }

    /// Parses RFC 3339, or a day (`2026-11-23`), which stands for its first moment, UTC.
    pub fn parse_moment(text: &str) -> Option<Self> {
        let is_day = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if is_day { Self::parse_rfc3339(&format!("{text}T00:00:00Z")) } else { Self::parse_rfc3339(text) }
    }

    /// Parses a date as HTTP or as mail writes it (RFC 5322 section 3.3): some clients end a `Date` with `-0000`.
    pub fn parse_date(text: &str) -> Option<Self> {
        let mail = || {
            let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
            Some(Self::from_seconds(date.unix_timestamp()))
        };
        Self::parse_http_date(text).or_else(mail)
    }

    /// Parses any of the three date forms of RFC 9110 section 5.6.7.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let date = httpdate::parse_http_date(text).ok()?;
        let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_secs()).ok().map(Self::from_seconds)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_rfc3339())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_the_forms_s3_uses() {
        let time = Timestamp::from_millis(1_795_466_401_250);
        assert_eq!(time.to_rfc3339(), "2026-11-23T20:40:01.250Z");
        assert_eq!(time.to_http_date(), "Mon, 23 Nov 2026 20:40:01 GMT");
        assert_eq!(Timestamp::parse_rfc3339(&time.to_rfc3339()), Some(time));
        let day = Timestamp::parse_rfc3339("2026-11-23T00:00:00Z");
        assert_eq!((Timestamp::parse_moment("2026-11-23"), Timestamp::parse_moment("2026-11-23T05:00:00+05:00")), (day, day));
        assert_eq!([Timestamp::parse_moment("2026-02-30"), Timestamp::parse_moment("23.11.2026")], [None, None]);
        assert_eq!(Timestamp::parse_http_date(&time.to_http_date()), Some(Timestamp::from_seconds(time.seconds())));
    }

    #[test]
    fn absurd_times_do_not_panic() {
        for millis in [i64::MIN, i64::MAX, -1, 0] {
            let _ = Timestamp::from_millis(millis).to_rfc3339();
            let _ = Timestamp::from_millis(millis).to_http_date();
        }
    }
}
