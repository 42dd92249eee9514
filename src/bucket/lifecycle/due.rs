//! What goes when: the rules' evaluation.

use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::bucket::lifecycle::{Expiration, Filter, Lifecycle, Rule, Scope};
use crate::types::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is encoded of a rule's id inside a header's quotes.
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Something that a rule may be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate<'a> {
    /// The current version of a key.
    Current {
        /// Its key.
        key: &'a str,
        /// Its size, in bytes.
        size: u64,
        /// Its tags.
        tags: &'a [(String, String)],
        /// When it was written.
        written: Timestamp,
    },
    /// A version, or a delete marker, that something newer stands before.
    Noncurrent {
        /// Its key.
        key: &'a str,
        /// Its size, in bytes; 0 for a delete marker.
        size: u64,
        /// Its tags.
        tags: &'a [(String, String)],
        /// When what stands before it was written.
        since: Timestamp,
        /// How many noncurrent versions of the key are newer.
        newer: u32,
    },
    /// A delete marker that is all there is of a key.
    LoneMarker {
        /// Its key.
        key: &'a str,
        /// When it was written.
        written: Timestamp,
    },
    /// A multipart upload.
    Upload {
        /// Its key.
        key: &'a str,
        /// When it was created.
        created: Timestamp,
    },
}

/// That something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due<'a> {
    /// From when on.
    pub at: Timestamp,
    /// The id of the rule that says so.
    pub rule: &'a str,
    /// How many noncurrent versions that rule keeps.
    pub keep: u32,
}

impl Lifecycle {
    /// When `candidate` goes, by the rule that lets it go first. What is counted in days ends at the next midnight UTC.
    ///
    /// A `day` is 24 hours; a test may shorten it, and has no midnights then.
    pub fn due(&self, candidate: &Candidate<'_>, day: Duration) -> Option<Due<'_>> {
        self.rules()
            .iter()
            .filter(|rule| rule.enabled && rule.is_for(candidate))
            .filter_map(|rule| Some(Due { at: rule.time(candidate, day)?, rule: &rule.id, keep: rule.keep() }))
            .min_by_key(|due| due.at)
    }
}

impl Rule {
    fn is_for(&self, candidate: &Candidate<'_>) -> bool {
        let none: &[(String, String)] = &[];
        let (key, size, tags) = match *candidate {
            Candidate::Current { key, size, tags, .. } | Candidate::Noncurrent { key, size, tags, .. } => (key, Some(size), tags),
            Candidate::LoneMarker { key, .. } | Candidate::Upload { key, .. } => (key, None, none),
        };
        match &self.scope {
            Scope::Prefix(prefix) => key.starts_with(prefix.as_str()),
            Scope::Filter(filter) => filter.fits(key, size, tags),
        }
    }

    /// How many noncurrent versions it keeps.
    fn keep(&self) -> u32 {
        self.noncurrent.and_then(|noncurrent| noncurrent.keep).unwrap_or(0)
    }

    /// When the rule lets go of what it is for.
    fn time(&self, candidate: &Candidate<'_>, day: Duration) -> Option<Timestamp> {
        match *candidate {
            Candidate::Current { written, .. } => match self.expiration? {
                Expiration::Days(days) => Some(after(written, days, day)),
                Expiration::Date(date) => Some(date),
                Expiration::LoneMarkers(_) => None,
            },
            Candidate::Noncurrent { since, newer, .. } => {
                let rule = self.noncurrent?;
                (newer >= self.keep()).then(|| after(since, rule.days, day))
            }
            // Rules that expire versions by age or date clear their markers away, too.
            Candidate::LoneMarker { written, .. } => match self.expiration? {
                Expiration::Days(days) => Some(after(written, days, day)),
                Expiration::Date(date) => Some(date),
                Expiration::LoneMarkers(wanted) => wanted.then_some(written),
            },
            Candidate::Upload { created, .. } => Some(after(created, self.abort_uploads_after?, day)),
        }
    }
}

impl Filter {
    /// Whether it is for a key; `size` is `None` of what has none, which no filter by size is for.
    fn fits(&self, key: &str, size: Option<u64>, tags: &[(String, String)]) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_str()))
            && self.tags.iter().all(|tag| tags.contains(tag))
            && self.larger_than.is_none_or(|bound| size.is_some_and(|size| size > bound))
            && self.smaller_than.is_none_or(|bound| size.is_some_and(|size| size < bound))
    }
}

impl Due<'_> {
    /// The value of `x-amz-expiration`.
    pub fn expiration_header(&self) -> String {
        format!("expiry-date=\"{}\", rule-id=\"{}\"", self.at.to_http_date(), utf8_percent_encode(self.rule, QUOTED))
    }

    /// The values of `x-amz-abort-date` and `x-amz-abort-rule-id`.
    pub fn abort_headers(&self) -> (String, String) {
        (self.at.to_http_date(), utf8_percent_encode(self.rule, CONTROLS).to_string())
    }
}

/// `days` later, at the midnight that follows.
fn after(from: Timestamp, days: u32, day: Duration) -> Timestamp {
    let length = i64::try_from(day.as_millis()).unwrap_or(i64::MAX);
    let later = from.plus_millis(length.saturating_mul(i64::from(days)));
    if day != DAY {
        return later;
    }
    match later.millis().rem_euclid(length) {
        0 => later,
        past_midnight => later.plus_millis(length - past_midnight),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bucket::NoncurrentExpiration;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn rule(id: &str, prefix: &str) -> Rule {
        let scope = Scope::Prefix(prefix.to_owned());
        Rule { id: id.to_owned(), enabled: true, scope, expiration: Some(Expiration::Days(1)), ..Rule::default() }
    }

    fn filter(filter: Filter) -> Rule {
        Rule { scope: Scope::Filter(filter), ..rule("r", "") }
    }

    fn lifecycle(rules: Vec<Rule>) -> Lifecycle {
        Lifecycle::new(rules).unwrap()
    }

    fn current(key: &str, written: Timestamp) -> Candidate<'_> {
        Candidate::Current { key, size: 5, tags: &[], written }
    }

    fn expires(rule: Rule, candidate: &Candidate<'_>) -> bool {
        lifecycle(vec![rule]).due(candidate, DAY).is_some()
    }

    /// The example of the User Guide, "Understanding object expiration".
    #[test]
    fn days_end_at_the_next_midnight() {
        let three = lifecycle(vec![Rule { expiration: Some(Expiration::Days(3)), ..rule("r", "") }]);
        for (written, due) in [
            ("2014-01-15T10:30:00Z", "2014-01-19T00:00:00Z"),
            ("2014-01-15T00:00:00Z", "2014-01-18T00:00:00Z"),
            ("2014-01-15T00:00:00.001Z", "2014-01-19T00:00:00Z"),
            ("2014-01-15T23:59:59.999Z", "2014-01-19T00:00:00Z"),
            ("2024-02-27T01:00:00+02:00", "2024-03-01T00:00:00Z"),
        ] {
            assert_eq!(three.due(&current("k", at(written)), DAY).unwrap().at, at(due), "{written}");
        }
    }

    #[test]
    fn a_shortened_day_has_no_midnight() {
        let two = lifecycle(vec![Rule { expiration: Some(Expiration::Days(2)), ..rule("r", "") }]);
        let due = two.due(&current("k", at("2026-01-01T10:00:00Z")), Duration::from_secs(10)).unwrap();
        assert_eq!(due.at, at("2026-01-01T10:00:20Z"));
    }

    #[test]
    fn the_earliest_rule_that_is_in_force_decides() {
        let days = |id: &str, prefix: &str, days| Rule { expiration: Some(Expiration::Days(days)), ..rule(id, prefix) };
        let rules = lifecycle(vec![
            days("late", "", 9),
            days("soon", "logs/", 3),
            Rule { enabled: false, ..days("off", "logs/", 1) },
            Rule { expiration: Some(Expiration::Date(at("2026-06-01T00:00:00Z"))), ..rule("date", "logs/a") },
        ]);
        let due = |key: &str, written: &str| {
            let due = rules.due(&current(key, at(written)), DAY).unwrap();
            (due.rule.to_owned(), due.at)
        };
        assert_eq!(due("other", "2026-01-01T10:00:00Z"), ("late".to_owned(), at("2026-01-11T00:00:00Z")));
        assert_eq!(due("logs/x", "2026-01-01T10:00:00Z"), ("soon".to_owned(), at("2026-01-05T00:00:00Z")));
        assert_eq!(due("logs/a", "2026-07-01T10:00:00Z"), ("date".to_owned(), at("2026-06-01T00:00:00Z")));
    }

    #[test]
    fn filters_ask_for_prefix_tags_and_size() {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let tags = [tag("a", "1"), tag("b", "2")];
        let object = Candidate::Current { key: "logs/x", size: 100, tags: &tags, written: Timestamp::default() };
        for (asked, fits) in [
            (Filter::default(), true),
            (Filter { prefix: Some("logs/".to_owned()), ..Filter::default() }, true),
            (Filter { prefix: Some("log/".to_owned()), ..Filter::default() }, false),
            (Filter { tags: vec![tag("a", "1")], ..Filter::default() }, true),
            (Filter { tags: vec![tag("a", "2")], ..Filter::default() }, false),
            (Filter { tags: vec![tag("b", "2"), tag("a", "1")], and: true, ..Filter::default() }, true),
            (Filter { tags: vec![tag("a", "1"), tag("c", "")], and: true, ..Filter::default() }, false),
            (Filter { larger_than: Some(99), ..Filter::default() }, true),
            (Filter { larger_than: Some(100), ..Filter::default() }, false),
            (Filter { smaller_than: Some(101), ..Filter::default() }, true),
            (Filter { smaller_than: Some(100), ..Filter::default() }, false),
        ] {
            assert_eq!(expires(filter(asked.clone()), &object), fits, "{asked:?}");
        }
    }

    #[test]
    fn the_newest_noncurrent_versions_are_kept() {
        let noncurrent = Some(NoncurrentExpiration { days: 2, keep: Some(3) });
        let rules = lifecycle(vec![Rule { expiration: None, noncurrent, ..filter(Filter::default()) }]);
        let since = at("2026-01-01T10:00:00Z");
        let due = |newer| rules.due(&Candidate::Noncurrent { key: "k", size: 0, tags: &[], since, newer }, DAY);
        assert_eq!(due(2), None);
        assert_eq!(due(3).unwrap().at, at("2026-01-04T00:00:00Z"));
        assert_eq!(rules.due(&current("k", since), DAY), None);
    }

    #[test]
    fn lone_markers_go_at_once_or_with_their_age() {
        let written = at("2026-01-01T10:00:00Z");
        let marker = Candidate::LoneMarker { key: "k", written };
        let with = |expiration| Rule { expiration: Some(expiration), ..rule("r", "") };
        let due = |rule| lifecycle(vec![rule]).due(&marker, DAY).map(|due| due.at);
        assert_eq!(due(with(Expiration::LoneMarkers(true))), Some(written));
        assert_eq!(due(with(Expiration::Days(1))), Some(at("2026-01-03T00:00:00Z")));
        assert_eq!(due(with(Expiration::Date(at("2026-05-01T00:00:00Z")))), Some(at("2026-05-01T00:00:00Z")));
        let noncurrent = Some(NoncurrentExpiration { days: 1, keep: None });
        assert_eq!(due(Rule { noncurrent, ..with(Expiration::LoneMarkers(false)) }), None);
        assert_eq!(due(filter(Filter { smaller_than: Some(9), ..Filter::default() })), None);
        let current = current("k", written);
        assert!(!expires(with(Expiration::LoneMarkers(true)), &current));
    }

    #[test]
    fn uploads_are_aborted() {
        let abort = Rule { expiration: None, abort_uploads_after: Some(7), ..rule("clean", "up/") };
        let upload = |key| Candidate::Upload { key, created: at("2026-01-01T10:00:00Z") };
        let rules = lifecycle(vec![abort, rule("r", "")]);
        let due = rules.due(&upload("up/a"), DAY).unwrap();
        assert_eq!(due.abort_headers(), ("Fri, 09 Jan 2026 00:00:00 GMT".to_owned(), "clean".to_owned()));
        assert_eq!(rules.due(&upload("a"), DAY), None);
    }

    #[test]
    fn headers_encode_the_rule() {
        let due = Due { at: at("2012-12-21T00:00:00Z"), rule: "a b\"ü\n", keep: 0 };
        let expected = "expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\", rule-id=\"a%20b%22%C3%BC%0A\"";
        assert_eq!(due.expiration_header(), expected);
        assert_eq!(due.abort_headers().1, "a b\"%C3%BC%0A");
    }

    proptest! {
        /// At a midnight, not before the days are over, and less than a day after.
        #[test]
        fn the_midnight_that_follows(millis in -4_000_000_000_000_i64..4_000_000_000_000, days in 1_u32..40_000) {
            let rules = lifecycle(vec![Rule { expiration: Some(Expiration::Days(days)), ..rule("r", "") }]);
            let due = rules.due(&current("k", Timestamp::from_millis(millis)), DAY).unwrap().at.millis();
            let day = 86_400_000_i64;
            let over = millis + i64::from(days) * day;
            prop_assert_eq!(due.rem_euclid(day), 0);
            prop_assert!(due >= over && due < over + day);
        }

        #[test]
        fn any_time_and_day_can_be_asked(millis in any::<i64>(), days in 1_u32..=0x7fff_ffff, day in any::<u64>()) {
            let rules = lifecycle(vec![Rule { expiration: Some(Expiration::Days(days)), ..rule("r", "") }]);
            for day in [DAY, Duration::from_millis(day)] {
                let due = rules.due(&current("k", Timestamp::from_millis(millis)), day).unwrap();
                prop_assert!(due.at >= Timestamp::from_millis(millis));
                prop_assert!(!due.expiration_header().is_empty());
            }
        }
    }
}
