//! The query string, decoded once.

use std::borrow::Cow;
use std::collections::HashSet;
use std::str::FromStr;

use super::errors::{Code, S3Error};
use super::percent;

/// Names and values in the order given, decoded. A name without `=` has an empty value, as S3 reads it.
#[derive(Debug, Default)]
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Decodes the part of a URI behind `?`; `+` is a space there.
    pub(super) fn parse(query: Option<&'a str>) -> Result<Self, S3Error> {
        let Some(query) = query else { return Ok(Self::default()) };
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((percent::decode_form(name)?, percent::decode_form(value)?))
        });
        let invalid = || S3Error::with(Code::InvalidUri, "the query string is not percent-encoded UTF-8");
        pairs.collect::<Option<Vec<_>>>().map(Self).ok_or_else(invalid)
    }

    /// Decodes the query of a request.
    ///
    /// # Errors
    /// `InvalidArgument` when a parameter is there twice: what is signed is sorted, so the order cannot say which is meant.
    pub(super) fn of_request(query: Option<&'a str>) -> Result<Self, S3Error> {
        let query = Self::parse(query)?;
        let mut seen = HashSet::with_capacity(query.0.len());
        if query.names().all(|name| seen.insert(name)) {
            drop(seen);
            return Ok(query);
        }
        Err(S3Error::with(Code::InvalidArgument, "A query parameter is there more than once."))
    }

    /// The first value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// The first value of `name` unless it is empty, which S3 treats like an absent one for listings.
    pub(super) fn get_filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Whether `name` is there, with or without a value.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of `name` as a number or identifier.
    ///
    /// # Errors
    /// `InvalidArgument` with `expected` when the value is no such thing.
    pub(super) fn parsed<T: FromStr>(&self, name: &'static str, expected: &str) -> Result<Option<T>, S3Error> {
        let parse = |value: &str| {
            value.parse().map_err(|_| S3Error::with(Code::InvalidArgument, format!("the parameter `{name}` must be {expected}")))
        };
        self.get_filled(name).map(parse).transpose()
    }

    /// The names, in the order given.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Names and values, in the order given.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_names_and_values() {
        let query = Query::parse(Some("prefix=a%2Fb+c&uploads&x=1=2&&%61=%C3%A9")).unwrap();
        assert_eq!(query.get("prefix"), Some("a/b c"));
        assert_eq!(query.get("uploads"), Some(""));
        assert_eq!(query.get("x"), Some("1=2"));
        assert_eq!(query.get("a"), Some("é"));
        assert_eq!(query.get_filled("uploads"), None);
        assert!(!query.contains("y"));
    }

    #[test]
    fn a_request_has_each_parameter_once() {
        for wrong in ["partNumber=1&uploadId=u&partNumber=2", "a&a=", "prefix=x&%70refix=x"] {
            assert_eq!(Query::of_request(Some(wrong)).unwrap_err().code(), Code::InvalidArgument, "{wrong}");
        }
        assert!(Query::of_request(Some("a=1&A=1&b=a")).is_ok());
        assert!(Query::of_request(None).is_ok());
    }

    #[test]
    fn broken_escapes_are_refused() {
        for wrong in ["a=%", "a=%4", "a=%zz", "a=%ff", "%ff"] {
            assert_eq!(Query::parse(Some(wrong)).unwrap_err().code(), Code::InvalidUri, "{wrong}");
        }
    }

    #[test]
    fn numbers_that_are_none_say_so() {
        let query = Query::parse(Some("max-keys=x&part=7")).unwrap();
        assert_eq!(query.parsed::<u32>("max-keys", "a number").unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(query.parsed::<u32>("part", "a number").unwrap(), Some(7));
    }
}
