//! The form by which ledger entries are looked for, what is wrong with what was typed, and the question that it comes to.

use std::fmt::Display;
use std::str::FromStr;

use serde::Deserialize;

use super::filters::encoded;
use crate::audit::Class;
use crate::index::EntriesQuery;
use crate::types::Timestamp;

/// Where it is answered.
pub(super) const PATH: &str = "/console/ledger";

/// Kinds that are often asked for; any other can be typed as well.
pub(super) const KINDS: [&str; 22] = [
    "put-object",
    "copy-object",
    "complete-upload",
    "import-object",
    "delete-object",
    "get-object",
    "refused",
    "copy-stored",
    "relocated",
    "collected",
    "erasure-accepted",
    "erasure-complete",
    "key-rotated",
    "key-destroyed",
    "policy-activated",
    "subject-set",
    "audit-query",
    "population-exported",
    "scrubbed",
    "site-alarm",
    "index-rebuilt",
    "started",
];

/// What is looked for, as it was typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    pub(super) class: String,
    pub(super) kind: String,
    pub(super) since: String,
    pub(super) until: String,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) subject: String,
    pub(super) before: Option<u64>,
}

/// What is wrong, by the name of the field.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mistakes(Vec<(&'static str, String)>);

impl Mistakes {
    /// What is wrong with a field.
    pub(super) fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, mistake)| mistake.as_str())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, field: &'static str, mistake: impl Into<String>) {
        if self.of(field).is_none() {
            self.0.push((field, mistake.into()));
        }
    }

    /// What a field names, or nothing where it is left empty or wrong.
    fn parse<T: FromStr<Err: Display>>(&mut self, field: &'static str, text: &str) -> Option<T> {
        if text.is_empty() {
            return None;
        }
        text.parse().map_err(|error: T::Err| self.add(field, format!("{error}."))).ok()
    }

    fn moment(&mut self, field: &'static str, text: &str) -> Option<Timestamp> {
        let found = Timestamp::parse_moment(text);
        if found.is_none() && !text.is_empty() {
            self.add(field, "Write a day as 2026-11-29, or a time as 2026-11-29T08:00:00Z.");
        }
        found
    }
}

impl Search {
    /// What narrows it, by the names of the form and in words.
    fn fields(&self) -> [(&'static str, &'static str, &str); 7] {
        [
            ("class", "of class", self.class.trim()),
            ("kind", "of kind", self.kind.trim()),
            ("since", "from", self.since.trim()),
            ("until", "before", self.until.trim()),
            ("bucket", "about bucket", self.bucket.trim()),
            // Spaces are part of a key.
            ("key", "key", &self.key),
            ("subject", "about subject", self.subject.trim()),
        ]
    }

    /// What the page tells instead of the form where that is not shown, as on paper.
    pub(super) fn said(&self) -> Vec<(&'static str, &str)> {
        self.fields().into_iter().filter(|(_, _, value)| !value.is_empty()).map(|(_, words, value)| (words, value)).collect()
    }

    /// The question, without where its page begins.
    pub(super) fn query(&self) -> (EntriesQuery, Mistakes) {
        let mut mistakes = Mistakes::default();
        let kind = Some(self.kind.trim().to_owned()).filter(|kind| !kind.is_empty());
        let is_word = |kind: &String| kind.len() <= 64 && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        if !kind.as_ref().is_none_or(is_word) {
            mistakes.add("kind", "A kind is a word such as put-object.");
        }
        let class = match self.class.trim() {
            "" => None,
            name => {
                let class = Class::from_name(name);
                if class.is_none() {
                    mistakes.add("class", "There is no such class.");
                }
                class
            }
        };
        let (since, until) = (mistakes.moment("since", self.since.trim()), mistakes.moment("until", self.until.trim()));
        if since.zip(until).is_some_and(|(since, until)| until <= since) {
            mistakes.add("until", "This has to be later than the first day.");
        }
        let (bucket, key) = (mistakes.parse("bucket", self.bucket.trim()), mistakes.parse("key", &self.key));
        match (self.bucket.trim().is_empty(), self.key.is_empty()) {
            (false, true) => mistakes.add("key", "Name the key as well: the ledger has the names of both together."),
            (true, false) => mistakes.add("bucket", "Name the key's bucket as well."),
            _ => {}
        }
        let subject = mistakes.parse("subject", self.subject.trim());
        let query = EntriesQuery { class, kind, since, until, key: bucket.zip(key), subject, ..EntriesQuery::default() };
        (query, mistakes)
    }

    /// Whether a field for days can show what was typed: it would leave out anything else.
    pub(super) fn is_day(&self, text: &str) -> bool {
        let text = text.trim();
        text.is_empty() || (text.len() == 10 && Timestamp::parse_moment(text).is_some())
    }

    /// The page of the same question with the newest entries.
    pub(super) fn newest(&self) -> String {
        self.page(None)
    }

    /// The page of the same question that ends before an entry, or at the ledger's end.
    pub(super) fn page(&self, before: Option<u64>) -> String {
        let mut link = PATH.to_owned();
        let fields = self.fields().into_iter().filter(|(_, _, value)| !value.is_empty());
        let fields = fields.map(|(name, _, value)| format!("{name}={}", encoded(value)));
        let pairs: Vec<String> = fields.chain(before.map(|before| format!("before={before}"))).collect();
        if !pairs.is_empty() {
            link = format!("{link}?{}", pairs.join("&"));
        }
        link + "#found"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(search: &Search) -> Vec<&'static str> {
        search.query().1.0.iter().map(|(field, _)| *field).collect()
    }

    #[test]
    fn what_is_typed_comes_to_a_question_or_to_mistakes_by_their_fields() {
        let text = |text: &str| text.to_owned();
        let all = Search {
            class: text("refusals"),
            kind: text(" put-object "),
            since: text("2026-11-01"),
            until: text("2026-12-01T00:00:00Z"),
            bucket: text("media"),
            key: text("users/a b/& c"),
            subject: text("sana"),
            before: Some(9),
        };
        let (query, mistakes) = all.query();
        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert_eq!((query.class, query.kind.as_deref(), query.before), (Some(Class::Refusals), Some("put-object"), None));
        assert_eq!(query.key.as_ref().map(|(_, key)| key.as_str()), Some("users/a b/& c"));
        assert!(query.since < query.until && query.subject.is_some());
        let next = all.page(Some(7));
        assert!(next.contains("key=users%2Fa%20b%2F%26%20c&") && next.contains("kind=put%2Dobject&"), "{next}");
        assert!(next.ends_with("&before=7#found"), "{next}");
        assert_eq!(Search::default().newest(), "/console/ledger#found");
        assert_eq!(Search::default().query(), (EntriesQuery::default(), Mistakes::default()));

        let of = |change: fn(&mut Search)| {
            let mut search = Search::default();
            change(&mut search);
            wrong(&search)
        };
        assert_eq!(of(|search| search.class = "everything".to_owned()), ["class"]);
        assert_eq!(of(|search| search.kind = "Put Object".to_owned()), ["kind"]);
        assert_eq!(of(|search| search.since = "yesterday".to_owned()), ["since"]);
        assert_eq!(of(|search| (search.since, search.until) = ("2026-12-01".to_owned(), "2026-12-01".to_owned())), ["until"]);
        assert_eq!(of(|search| search.bucket = "media".to_owned()), ["key"]);
        assert_eq!(of(|search| search.key = "a".to_owned()), ["bucket"]);
        assert_eq!(of(|search| search.bucket = "No Bucket".to_owned()), ["bucket", "key"]);
    }

    #[test]
    fn kinds_that_are_offered_are_told_of_in_the_documentation() {
        let documented = include_str!("../../docs/ledger.md");
        for kind in KINDS {
            assert!(documented.contains(&format!("`{kind}`")), "{kind}");
        }
    }

    #[test]
    fn only_days_are_shown_as_days() {
        let search = Search::default();
        assert!(search.is_day("") && search.is_day("2026-11-29"));
        assert!(!search.is_day("2026-11-29T08:00:00Z") && !search.is_day("2026-13-29") && !search.is_day("soon"));
    }
}
