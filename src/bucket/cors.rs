//! Which web pages may use a bucket's objects (cross-origin resource sharing).

use serde::{Deserialize, Serialize};

use crate::bucket::SettingError;

const MAX_RULES: usize = 100;
const MAX_ID: usize = 255;

/// A bucket's rules, in order: the first that fits decides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cors {
    rules: Vec<CorsRule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsRule {
    /// A name, at most 255 characters.
    pub id: Option<String>,
    /// Origins, each with at most one `*`.
    pub origins: Vec<String>,
    /// Methods.
    pub methods: Vec<CorsMethod>,
    /// Request headers that a preflight may ask for, each with at most one `*`.
    pub headers: Vec<String>,
    /// Response headers that the page may see.
    pub expose: Vec<String>,
    /// For how many seconds the browser may remember a preflight's answer.
    pub max_age: Option<u32>,
}

/// A method that a rule can allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CorsMethod {
    /// `GET`
    Get,
    /// `PUT`
    Put,
    /// `POST`
    Post,
    /// `DELETE`
    Delete,
    /// `HEAD`
    Head,
}

/// The headers that a request from a page is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsAnswer {
    /// `access-control-allow-origin`: the origin, or `*`.
    pub allow_origin: String,
    /// `access-control-allow-methods`
    pub allow_methods: String,
    /// `access-control-allow-headers`, of a preflight that asked for some.
    pub allow_headers: Option<String>,
    /// `access-control-expose-headers`
    pub expose_headers: Option<String>,
    /// `access-control-max-age`
    pub max_age: Option<u32>,
    /// Whether `access-control-allow-credentials: true` belongs to it: not if every origin is allowed.
    pub allow_credentials: bool,
}

impl CorsMethod {
    /// As HTTP writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
        }
    }

    /// Reads HTTP's word; `None` for methods that no rule can allow.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Get, Self::Put, Self::Post, Self::Delete, Self::Head].into_iter().find(|method| method.as_str() == text)
    }
}

impl Cors {
    /// Checks the rules: 1 to 100, each with an origin and a method, at most one `*` in an origin or header, none in what is exposed.
    pub fn new(rules: Vec<CorsRule>) -> Result<Self, SettingError> {
        if rules.is_empty() {
            return Err(SettingError::Malformed("A CORS configuration has at least one rule.".into()));
        }
        if rules.len() > MAX_RULES {
            return Err(SettingError::InvalidRequest("A CORS configuration has at most 100 rules.".into()));
        }
        rules.iter().try_for_each(CorsRule::check)?;
        Ok(Self { rules })
    }

    /// The rules.
    pub fn rules(&self) -> &[CorsRule] {
        &self.rules
    }

    /// What a preflight is answered: OPTIONS with `origin`, `access-control-request-method` and, perhaps, `-headers` as they were sent.
    /// `None` is a refusal.
    pub fn preflight(&self, origin: &str, method: &str, headers: Option<&str>) -> Option<CorsAnswer> {
        let asked: Vec<String> = headers
            .unwrap_or_default()
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty())
            .collect();
        let method = CorsMethod::parse(method)?;
        let rule = self.rules.iter().find(|rule| {
            rule.allows(origin, method) && asked.iter().all(|name| rule.headers.iter().any(|allowed| fits_header(allowed, name)))
        })?;
        let allow_headers = (!asked.is_empty()).then(|| asked.join(", "));
        Some(CorsAnswer { allow_headers, ..rule.answer(origin) })
    }

    /// The headers that the answer to a request with `origin` gets, if a rule fits. `method` is the request's, or what it sent as
    /// `access-control-request-method`, which S3 believes first.
    pub fn actual(&self, origin: &str, method: &str) -> Option<CorsAnswer> {
        let method = CorsMethod::parse(method)?;
        self.rules.iter().find(|rule| rule.allows(origin, method)).map(|rule| rule.answer(origin))
    }
}

impl CorsRule {
    fn check(&self) -> Result<(), SettingError> {
        let refuse = |why: String| Err(SettingError::InvalidRequest(why.into()));
        if self.id.as_ref().is_some_and(|id| id.chars().count() > MAX_ID) {
            return refuse(format!("The ID of a CORS rule has at most {MAX_ID} characters."));
        }
        if self.origins.is_empty() || self.methods.is_empty() {
            return Err(SettingError::Malformed("A CORS rule has at least one AllowedOrigin and one AllowedMethod.".into()));
        }
        let stars = |text: &str| text.matches('*').count();
        if let Some(origin) = self.origins.iter().find(|origin| stars(origin) > 1) {
            return refuse(format!("AllowedOrigin `{origin}` can not have more than one wildcard."));
        }
        if let Some(header) = self.headers.iter().find(|header| stars(header) > 1) {
            return refuse(format!("AllowedHeader `{header}` can not have more than one wildcard."));
        }
        if let Some(header) = self.expose.iter().find(|header| stars(header) > 0) {
            return refuse(format!("ExposeHeader `{header}` contains a wildcard, which is not supported there."));
        }
        if let Some(text) = self.origins.iter().chain(&self.headers).chain(&self.expose).find(|text| !printable(text)) {
            return refuse(format!("`{}` cannot be part of a header.", text.escape_default()));
        }
        Ok(())
    }

    fn allows(&self, origin: &str, method: CorsMethod) -> bool {
        self.methods.contains(&method) && self.origins.iter().any(|pattern| fits(pattern, origin))
    }

    /// The answer to `origin`, which a pattern of the rule fits.
    fn answer(&self, origin: &str) -> CorsAnswer {
        let everybody = self.origins.iter().find(|pattern| fits(pattern, origin)).is_some_and(|pattern| pattern == "*");
        CorsAnswer {
            allow_origin: if everybody { "*" } else { origin }.to_owned(),
            allow_methods: self.methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", "),
            allow_headers: None,
            expose_headers: (!self.expose.is_empty()).then(|| self.expose.join(", ")),
            max_age: self.max_age,
            allow_credentials: !everybody,
        }
    }
}

/// Whether a pattern with at most one `*` fits.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| rest.ends_with(after)),
    }
}

/// Whether a pattern fits a header's name in lower case.
fn fits_header(pattern: &str, name: &str) -> bool {
    fits(&pattern.to_ascii_lowercase(), name)
}

/// Whether `text` can be part of a header's value.
fn printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn rule(origins: &[&str], methods: &[CorsMethod]) -> CorsRule {
        CorsRule { origins: strings(origins), methods: methods.to_vec(), ..CorsRule::default() }
    }

    #[test]
    fn the_first_rule_that_fits_answers() {
        let cors = Cors::new(vec![
            rule(&["*suffix"], &[CorsMethod::Get]),
            rule(&["start*end"], &[CorsMethod::Get]),
            rule(&["prefix*"], &[CorsMethod::Get]),
            rule(&["*.put"], &[CorsMethod::Put, CorsMethod::Post]),
        ])
        .unwrap();
        for (origin, method, methods) in [
            ("foo.suffix", "GET", Some("GET")),
            ("foo.bar", "GET", None),
            ("foo.suffix.get", "GET", None),
            ("startend", "GET", Some("GET")),
            ("start12end", "GET", Some("GET")),
            ("starend", "GET", None),
            ("0start12end", "GET", None),
            ("prefix", "GET", Some("GET")),
            ("prefix.suffix", "GET", Some("GET")),
            ("bla.prefix", "GET", None),
            ("foo.suffix", "PUT", None),
            ("foo.suffix", "DELETE", None),
            ("foo.suffix", "OPTIONS", None),
            ("foo.suffix", "get", None),
            ("foo.put", "PUT", Some("PUT, POST")),
            ("", "GET", None),
        ] {
            let answer = cors.actual(origin, method);
            assert_eq!(answer.as_ref().map(|answer| answer.allow_methods.as_str()), methods, "{origin} {method}");
            assert_eq!(cors.preflight(origin, method, None), answer);
            assert!(answer.is_none_or(|answer| answer.allow_origin == origin && answer.allow_credentials));
        }
    }

    #[test]
    fn everybody_is_answered_with_a_star_and_without_credentials() {
        let answer = Cors::new(vec![rule(&["*"], &[CorsMethod::Get])]).unwrap().actual("https://a.example", "GET").unwrap();
        assert_eq!((answer.allow_origin.as_str(), answer.allow_credentials), ("*", false));
    }

    #[test]
    fn a_preflight_asks_for_headers() {
        let headers =
            CorsRule { headers: strings(&["X-Amz-*", "content-type"]), max_age: Some(9), ..rule(&["o"], &[CorsMethod::Put]) };
        let all = CorsRule { headers: strings(&["*"]), expose: strings(&["etag", "x-a"]), ..rule(&["p"], &[CorsMethod::Put]) };
        let cors = Cors::new(vec![headers, all, rule(&["q"], &[CorsMethod::Put])]).unwrap();
        for (origin, headers, answered) in [
            ("o", None, Some(None)),
            ("o", Some(" , "), Some(None)),
            ("o", Some("X-AMZ-meta-a,Content-Type"), Some(Some("x-amz-meta-a, content-type"))),
            ("o", Some("x-amz-date, authorization"), None),
            ("p", Some("anything"), Some(Some("anything"))),
            ("q", Some("x-amz-meta-header2"), None),
        ] {
            let answer = cors.preflight(origin, "PUT", headers);
            assert_eq!(answer.as_ref().map(|answer| answer.allow_headers.as_deref()), answered, "{origin} {headers:?}");
        }
        assert_eq!(cors.preflight("o", "PUT", None).unwrap().max_age, Some(9));
        assert_eq!(cors.actual("p", "PUT").unwrap().expose_headers.as_deref(), Some("etag, x-a"));
    }

    #[test]
    fn rules_are_checked() {
        let fine = rule(&["*"], &[CorsMethod::Get]);
        assert!(Cors::new(vec![fine.clone(); 100]).is_ok());
        for (rules, code) in [
            (vec![], "MalformedXML"),
            (vec![fine.clone(); 101], "InvalidRequest"),
            (vec![rule(&[], &[CorsMethod::Get])], "MalformedXML"),
            (vec![rule(&["*"], &[])], "MalformedXML"),
            (vec![rule(&["http://*.*.example"], &[CorsMethod::Get])], "InvalidRequest"),
            (vec![rule(&["a\nb"], &[CorsMethod::Get])], "InvalidRequest"),
            (vec![CorsRule { headers: strings(&["x-*-*"]), ..fine.clone() }], "InvalidRequest"),
            (vec![CorsRule { expose: strings(&["*"]), ..fine.clone() }], "InvalidRequest"),
            (vec![CorsRule { id: Some("x".repeat(256)), ..fine.clone() }], "InvalidRequest"),
        ] {
            assert_eq!(Cors::new(rules.clone()).unwrap_err().code(), code, "{rules:?}");
        }
        assert!(Cors::new(vec![CorsRule { id: Some("x".repeat(255)), ..fine }]).is_ok());
    }

    proptest! {
        #[test]
        fn a_star_stands_for_any_text(before in "[a-c]{0,3}", between in "[a-c]{0,3}", after in "[a-c]{0,3}", other in "[a-c]{0,6}") {
            let pattern = format!("{before}*{after}");
            let whole = format!("{before}{between}{after}");
            prop_assert!(fits(&pattern, &whole));
            let long_enough = other.len() >= before.len() + after.len();
            prop_assert_eq!(fits(&pattern, &other), long_enough && other.starts_with(&before) && other.ends_with(&after));
        }
    }
}
