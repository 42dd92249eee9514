//! Patterns over bucket names, principals and object keys.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// A pattern in which `*` stands for any run of characters, also none: `static-*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob(String);

/// A text that is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(&'static str);

impl Glob {
    /// Whether the whole of `text` fits. Takes time in proportion to the product of the two lengths at worst.
    pub fn matches(&self, text: &str) -> bool {
        matches(self.0.as_bytes(), text.as_bytes())
    }

    /// How many characters are not `*`: of two patterns that fit, the one with more says more.
    pub(super) fn literals(&self) -> usize {
        self.0.bytes().filter(|b| *b != b'*').count()
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Greedy matching with one way back: to the last `*` seen.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, t));
                p += 1;
            }
            Some(literal) if literal == byte => (p, t) = (p + 1, t + 1),
            _ => match back {
                Some((after_star, from)) => {
                    back = Some((after_star, from + 1));
                    (p, t) = (after_star, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

impl FromStr for Glob {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Err(InvalidPattern("a pattern has at least one character; `*` fits everything"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Glob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A pattern over object keys: `users/*/kyc/**`. Segments are what stands between slashes; `*` fits any run of characters inside one segment,
/// and `**` as the last segment fits whatever follows. Keys are taken as [`KeyTemplate`] takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPattern {
    text: String,
    segments: Vec<String>,
    /// Whether anything may follow the segments.
    open: bool,
}

impl KeyPattern {
    /// Whether the whole of `key` fits.
    pub fn matches(&self, key: &str) -> bool {
        let mut rest = Some(key);
        for segment in &self.segments {
            let Some(text) = rest else { return false };
            let (head, tail) = text.split_once('/').map_or((text, None), |(head, tail)| (head, Some(tail)));
            if !matches(segment.as_bytes(), head.as_bytes()) {
                return false;
            }
            rest = tail;
        }
        self.open == rest.is_some()
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for KeyPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Err(InvalidPattern("a key pattern has at least one character; `**` fits every key"));
        }
        let (body, open) = match text.strip_suffix("**") {
            Some("") => (None, true),
            Some(body) => match body.strip_suffix('/') {
                Some(body) => (Some(body), true),
                None => return Err(InvalidPattern("`**` can only be a whole segment, and the last one: `users/*/kyc/**`")),
            },
            None => (Some(text), false),
        };
        if body.is_some_and(|body| body.contains("**")) {
            return Err(InvalidPattern("`**` can only be a whole segment, and the last one: `users/*/kyc/**`"));
        }
        let segments = body.map(|body| body.split('/').map(str::to_owned).collect()).unwrap_or_default();
        Ok(Self { text: text.to_owned(), segments, open })
    }
}

/// One value of a condition, in the form that its field is compared in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// The value itself: attributes and countries.
    Exact(String),
    /// A pattern over a name: buckets and principals.
    Name(Glob),
    /// A pattern over a key.
    Key(KeyPattern),
}

impl Pattern {
    /// Whether `value` is meant.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == value,
            Self::Name(glob) => glob.matches(value),
            Self::Key(pattern) => pattern.matches(value),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(exact) => exact,
            Self::Name(glob) => glob.as_str(),
            Self::Key(pattern) => pattern.as_str(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A template over object keys that finds the subject: `users/{subject}/**`.
///
/// Segments are what stands between slashes. `{subject}` takes the rest of its segment (`user-{subject}` is allowed), `*` fits any run of
/// characters inside one segment, and `**` as the last segment fits whatever follows. The key is taken as the client named it, after
/// percent-decoding and without any normalisation: `..` is a segment like any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate {
    text: String,
    segments: Vec<Segment>,
    /// Whether anything may follow the segments.
    open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Pattern(String),
    Subject { before: String, after: String },
}

impl KeyTemplate {
    const SUBJECT: &'static str = "{subject}";

    /// The text at `{subject}` when the whole key fits. May be empty or otherwise no valid subject: the template fits, so the key does
    /// name a subject, badly.
    pub fn subject<'k>(&self, key: &'k str) -> Option<&'k str> {
        let mut rest = Some(key);
        let mut subject = None;
        for segment in &self.segments {
            let (head, tail) = match rest?.split_once('/') {
                Some((head, tail)) => (head, Some(tail)),
                None => (rest?, None),
            };
            rest = tail;
            match segment {
                Segment::Pattern(pattern) => {
                    if !matches(pattern.as_bytes(), head.as_bytes()) {
                        return None;
                    }
                }
                Segment::Subject { before, after } => subject = Some(head.strip_prefix(&**before)?.strip_suffix(&**after)?),
            }
        }
        if self.open == rest.is_some() { subject } else { None }
    }
}

impl FromStr for KeyTemplate {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.matches(Self::SUBJECT).count() != 1 {
            return Err(InvalidPattern("a key template has `{subject}` exactly once, such as `users/{subject}/**`"));
        }
        let (body, open) = match text.strip_suffix("/**") {
            Some(body) => (body, true),
            None => (text, false),
        };
        if body.contains("**") {
            return Err(InvalidPattern("`**` can only be the last segment of a key template"));
        }
        let segments = body.split('/').map(segment).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), segments, open })
    }
}

fn segment(text: &str) -> Result<Segment, InvalidPattern> {
    let segment = match text.split_once(KeyTemplate::SUBJECT) {
        Some((before, after)) if before.contains('*') || after.contains('*') => {
            return Err(InvalidPattern("`{subject}` and `*` cannot share a segment: where one ends would be a guess"));
        }
        Some((before, after)) => Segment::Subject { before: before.to_owned(), after: after.to_owned() },
        None => Segment::Pattern(text.to_owned()),
    };
    let braces = |text: &str| text.contains(['{', '}']);
    let odd = match &segment {
        Segment::Pattern(text) => braces(text),
        Segment::Subject { before, after } => braces(before) || braces(after),
    };
    if odd { Err(InvalidPattern("the only name a key template can have in braces is `{subject}`")) } else { Ok(segment) }
}

impl fmt::Display for KeyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(text: &str) -> KeyTemplate {
        text.parse().unwrap()
    }

    #[test]
    fn templates_take_one_segment() {
        let users = template("users/{subject}/**");
        assert_eq!(users.subject("users/ayesha/photos/1.jpg"), Some("ayesha"));
        assert_eq!(users.subject("users/ayesha/"), Some("ayesha"));
        assert_eq!(users.subject("users/../etc"), Some(".."));
        assert_eq!(users.subject("users//x"), Some(""));
        assert_eq!(users.subject("users/ayesha"), None);
        assert_eq!(users.subject("user/ayesha/x"), None);

        let avatar = template("*/avatars/u-{subject}.png");
        assert_eq!(avatar.subject("v2/avatars/u-bo.png"), Some("bo"));
        assert_eq!(avatar.subject("v2/x/avatars/u-bo.png"), None);
        assert_eq!(avatar.subject("v2/avatars/u-bo.png/x"), None);
        assert_eq!(avatar.subject("v2/avatars/bo.png"), None);
        assert_eq!(template("{subject}").subject("bo"), Some("bo"));
    }

    #[test]
    fn ambiguous_templates_are_refused() {
        for wrong in ["users/**", "{subject}/{subject}", "**/{subject}", "a*{subject}/**", "{user}/{subject}", "", "{subject}**"]
        {
            assert!(wrong.parse::<KeyTemplate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn key_patterns_go_by_segments() {
        let fits = |pattern: &str, key: &str| pattern.parse::<KeyPattern>().unwrap().matches(key);
        for (pattern, key) in [
            ("users/*/kyc/**", "users/ayesha/kyc/passport/1.jpg"),
            ("users/*/kyc/**", "users/ayesha/kyc/"),
            ("users/*/kyc/**", "users//kyc/x"),
            ("users/*/kyc/**", "users/../kyc/x"),
            ("**", "a/b"),
            ("**", "a"),
            ("*.csv", "report.csv"),
            ("a/*", "a/"),
        ] {
            assert!(fits(pattern, key), "{pattern} {key}");
        }
        for (pattern, key) in [
            ("users/*/kyc/**", "users/ayesha/kyc"),
            ("users/*/kyc/**", "users/ayesha/photos/kyc/x"),
            ("users/*/kyc/**", "/users/ayesha/kyc/x"),
            ("*.csv", "a/report.csv"),
            ("a/*", "a/b/c"),
            ("a/*", "a"),
        ] {
            assert!(!fits(pattern, key), "{pattern} {key}");
        }
        for wrong in ["", "a**", "**/a", "a/**/b", "***", "a/***", "/a**"] {
            assert!(wrong.parse::<KeyPattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_prefix_and_suffix_do_not_overlap() {
        assert_eq!(template("aa{subject}aa").subject("aaa"), None);
        assert_eq!(template("aa{subject}aa").subject("aaaa"), Some(""));
    }

    /// The textbook definition.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => naive(rest, text) || text.split_first().is_some_and(|(_, tail)| naive(pattern, tail)),
            (Some((p, rest)), Some((t, tail))) => p == t && naive(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn globs_match_as_the_textbook_says(pattern in "[ab*]{1,8}", text in "[ab]{0,10}") {
            let glob: Glob = pattern.parse().unwrap();
            prop_assert_eq!(glob.matches(&text), naive(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn templates_never_panic(pattern in "[a{}*/]{0,6}(\\{subject\\})?[a{}*/]{0,6}", key in "[a*/{}گ]{0,12}") {
            if let Ok(template) = pattern.parse::<KeyTemplate>() {
                let _ = template.subject(&key);
            }
        }
    }
}
