//! Which records, as a form asks for them: on the pages of records, of the population and of samples alike.

use serde::Deserialize;

use super::filters::encoded;
use crate::admin::Problem;
use crate::index::RecordsQuery;
use crate::types::Timestamp;

/// What narrows a question, as it was typed. All that is given must hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Narrowing {
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) subject: String,
    pub(super) country: String,
    pub(super) site: String,
    pub(super) instrument: String,
    pub(super) since: String,
    pub(super) until: String,
}

impl Narrowing {
    /// What was given, by the names of the form.
    fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("bucket", &self.bucket),
            ("prefix", &self.prefix),
            ("subject", &self.subject),
            ("country", &self.country),
            ("site", &self.site),
            ("instrument", &self.instrument),
            ("since", &self.since),
            ("until", &self.until),
        ];
        fields.into_iter().map(|(name, value)| (name, value.as_str())).filter(|(_, value)| !value.trim().is_empty())
    }

    /// Whether nothing is.
    pub(super) fn is_empty(&self) -> bool {
        self.given().next().is_none()
    }

    /// The query string of `first` and what was given.
    pub(super) fn address(&self, first: &[(&'static str, &str)]) -> String {
        let pairs = first.iter().copied().chain(self.given()).map(|(name, value)| format!("{name}={}", encoded(value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// The question for at most `limit` records.
    pub(super) fn query(&self, limit: usize) -> Result<RecordsQuery, Problem> {
        if !self.prefix.is_empty() && self.bucket.trim().is_empty() {
            return Err(Problem::invalid("to say how keys begin, name their bucket as well"));
        }
        Ok(RecordsQuery {
            bucket: parse("bucket", &self.bucket)?,
            prefix: Some(self.prefix.clone()).filter(|prefix| !prefix.is_empty()),
            subject: parse("subject", &self.subject)?,
            country: parse("country", &self.country)?,
            site: parse("site", &self.site)?,
            instrument: parse("instrument", &self.instrument)?,
            since: moment("written from", &self.since)?,
            until: moment("written before", &self.until)?,
            limit,
            cursor: None,
        })
    }
}

/// A field that names something, or nothing where it is left empty.
pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<Option<T>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| Problem::invalid(format!("{name}: {error}")))
}

/// A day or a moment.
pub(super) fn moment(name: &str, text: &str) -> Result<Option<Timestamp>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let problem = || Problem::invalid(format!("{name}: write a day as 2026-11-29, or an RFC 3339 time"));
    Timestamp::parse_moment(text).map(Some).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_empty_is_not_asked_for() {
        let none = Narrowing { country: " ".to_owned(), ..Narrowing::default() };
        assert!(none.is_empty());
        let query = none.query(7).unwrap();
        assert_eq!((query.limit, query.country, query.bucket, query.since), (7, None, None, None));
        let some = Narrowing { bucket: "media".to_owned(), prefix: "a&b ".to_owned(), ..Narrowing::default() };
        assert_eq!(some.address(&[("seed", "x=1")]), "seed=x%3D1&bucket=media&prefix=a%26b%20");
        assert_eq!(some.query(7).unwrap().prefix.as_deref(), Some("a&b "));
        let alone = Narrowing { prefix: "a".to_owned(), ..Narrowing::default() };
        assert!(alone.query(7).unwrap_err().detail().contains("bucket"));
        let wrong = Narrowing { country: "Pakistan".to_owned(), ..Narrowing::default() };
        assert!(wrong.query(7).unwrap_err().detail().starts_with("country: "));
    }
}
