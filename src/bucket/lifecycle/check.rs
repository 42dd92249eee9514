//! What S3 takes as lifecycle rules.

use std::collections::BTreeSet;

use crate::bucket::lifecycle::{Expiration, Filter, Rule, Scope};
use crate::bucket::{SettingError, tags};

const MAX_RULES: usize = 1000;
const MAX_ID: usize = 255;
const MAX_PREFIX: usize = 1024;
/// The most days that S3 counts.
const MAX_DAYS: u32 = 0x7fff_ffff;
/// The most noncurrent versions that a rule can keep.
pub const MAX_KEPT: u32 = 100;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

type Checked = Result<(), SettingError>;

/// Checks the rules, each and together.
pub(super) fn check(rules: &[Rule]) -> Checked {
    if rules.is_empty() {
        return Err(SettingError::Malformed("A lifecycle configuration has at least one rule.".into()));
    }
    if rules.len() > MAX_RULES {
        return invalid_request("A lifecycle configuration has at most 1000 rules.");
    }
    let mut ids = BTreeSet::new();
    if !rules.iter().filter(|rule| !rule.id.is_empty()).all(|rule| ids.insert(&rule.id)) {
        return invalid_argument("Rule ID must be unique. Found same ID for more than one rule.");
    }
    let old = rules.iter().filter(|rule| matches!(rule.scope, Scope::Prefix(_))).count();
    if old != 0 && old != rules.len() {
        return invalid_request("Base level prefix cannot be used together with rules that have a Filter.");
    }
    rules.iter().try_for_each(check_rule)
}

fn check_rule(rule: &Rule) -> Checked {
    if rule.id.chars().count() > MAX_ID {
        return invalid_argument("ID length should not exceed allowed limit of 255.");
    }
    if rule.expiration.is_none() && rule.noncurrent.is_none() && rule.abort_uploads_after.is_none() {
        return invalid_request("At least one action needs to be specified in a rule.");
    }
    match &rule.scope {
        Scope::Prefix(prefix) => check_prefix(prefix)?,
        Scope::Filter(filter) => {
            check_filter(filter)?;
            check_actions(rule, filter)?;
        }
    }
    check_expiration(rule)?;
    check_noncurrent(rule)?;
    match rule.abort_uploads_after {
        Some(days) => {
            check_days(days, "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer.")
        }
        None => Ok(()),
    }
}

fn check_prefix(prefix: &str) -> Checked {
    if prefix.len() > MAX_PREFIX { invalid_request("The maximum size of a prefix is 1024.") } else { Ok(()) }
}

fn check_filter(filter: &Filter) -> Checked {
    filter.prefix.as_deref().map_or(Ok(()), check_prefix)?;
    tags::check(&filter.tags)?;
    let conditions = filter.conditions();
    let well_formed = if filter.and { conditions > 0 } else { conditions <= 1 };
    if !well_formed {
        return Err(SettingError::Malformed("A Filter has one condition, or several within an And.".into()));
    }
    if let (Some(larger), Some(smaller)) = (filter.larger_than, filter.smaller_than)
        && smaller <= larger
    {
        return invalid_request("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.");
    }
    Ok(())
}

/// Some actions are for what has neither tags nor a size.
fn check_actions(rule: &Rule, filter: &Filter) -> Checked {
    let by_tags = !filter.tags.is_empty();
    let by_size = filter.larger_than.is_some() || filter.smaller_than.is_some();
    let markers = matches!(rule.expiration, Some(Expiration::LoneMarkers(_)));
    match (rule.abort_uploads_after.is_some(), markers) {
        (true, _) if by_tags => invalid_request("AbortIncompleteMultipartUpload cannot be specified with Tags."),
        (true, _) if by_size => invalid_request("AbortIncompleteMultipartUpload cannot be specified with object sizes."),
        (_, true) if by_tags => invalid_request("ExpiredObjectDeleteMarker cannot be specified with Tags."),
        (_, true) if by_size => invalid_request("ExpiredObjectDeleteMarker cannot be specified with object sizes."),
        _ => Ok(()),
    }
}

fn check_expiration(rule: &Rule) -> Checked {
    match rule.expiration {
        Some(Expiration::Days(days)) => check_days(days, "'Days' for Expiration action must be a positive integer."),
        Some(Expiration::Date(date)) if date.millis().rem_euclid(DAY_MILLIS) != 0 => {
            invalid_argument("'Date' must be at midnight GMT.")
        }
        Some(Expiration::Date(_) | Expiration::LoneMarkers(_)) | None => Ok(()),
    }
}

fn check_noncurrent(rule: &Rule) -> Checked {
    let Some(noncurrent) = rule.noncurrent else { return Ok(()) };
    check_days(noncurrent.days, "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer.")?;
    match noncurrent.keep {
        None => Ok(()),
        Some(_) if matches!(rule.scope, Scope::Prefix(_)) => {
            invalid_request("NewerNoncurrentVersions can only be used in rules that have a Filter.")
        }
        Some(keep) if !(1..=MAX_KEPT).contains(&keep) => invalid_argument("'NewerNoncurrentVersions' must be between 1 and 100."),
        Some(_) => Ok(()),
    }
}

fn check_days(days: u32, why: &'static str) -> Checked {
    if (1..=MAX_DAYS).contains(&days) { Ok(()) } else { invalid_argument(why) }
}

fn invalid_argument(why: &'static str) -> Checked {
    Err(SettingError::InvalidArgument(why.into()))
}

fn invalid_request(why: &'static str) -> Checked {
    Err(SettingError::InvalidRequest(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::{Lifecycle, NoncurrentExpiration};
    use crate::types::Timestamp;

    fn prefix(id: &str) -> Rule {
        let scope = Scope::Prefix(String::new());
        Rule { id: id.to_owned(), enabled: true, scope, expiration: Some(Expiration::Days(1)), ..Rule::default() }
    }

    fn filter(filter: Filter) -> Rule {
        Rule { scope: Scope::Filter(filter), ..prefix("r") }
    }

    fn tag(key: &str) -> (String, String) {
        (key.to_owned(), String::new())
    }

    fn code(rules: Vec<Rule>) -> Option<&'static str> {
        Lifecycle::new(rules).err().map(|error| error.code())
    }

    #[test]
    fn rules_without_an_id_get_one() {
        let rules = vec![prefix(""), prefix("rule-2"), prefix(""), prefix("mine")];
        let ids: Vec<_> = Lifecycle::new(rules).unwrap().rules().iter().map(|rule| rule.id.clone()).collect();
        assert_eq!(ids, ["rule-1", "rule-2", "rule-3", "mine"]);
    }

    #[test]
    fn rules_are_counted_and_their_ids_are_unique() {
        assert_eq!(code(vec![]), Some("MalformedXML"));
        assert_eq!(code(vec![prefix(""); 1000]), None);
        assert_eq!(code(vec![prefix(""); 1001]), Some("InvalidRequest"));
        assert_eq!(code(vec![prefix("a"), prefix("a")]), Some("InvalidArgument"));
        assert_eq!(code(vec![prefix(&"ü".repeat(255))]), None);
        assert_eq!(code(vec![prefix(&"a".repeat(256))]), Some("InvalidArgument"));
    }

    #[test]
    fn every_rule_does_something_sensible() {
        let with = |expiration| vec![Rule { expiration: Some(expiration), ..prefix("r") }];
        let keeping =
            |days, keep| vec![Rule { noncurrent: Some(NoncurrentExpiration { days, keep }), ..filter(Filter::default()) }];
        for (rules, expected) in [
            (vec![Rule { expiration: None, ..prefix("r") }], Some("InvalidRequest")),
            (with(Expiration::Days(0)), Some("InvalidArgument")),
            (with(Expiration::Days(0x7fff_ffff)), None),
            (with(Expiration::Days(0x8000_0000)), Some("InvalidArgument")),
            (with(Expiration::Date(Timestamp::from_seconds(86_400))), None),
            (with(Expiration::Date(Timestamp::from_seconds(86_401))), Some("InvalidArgument")),
            (vec![Rule { abort_uploads_after: Some(0), ..prefix("r") }], Some("InvalidArgument")),
            (keeping(0, None), Some("InvalidArgument")),
            (keeping(1, Some(0)), Some("InvalidArgument")),
            (keeping(1, Some(100)), None),
            (keeping(1, Some(101)), Some("InvalidArgument")),
            (
                vec![Rule { noncurrent: Some(NoncurrentExpiration { days: 1, keep: Some(1) }), ..prefix("r") }],
                Some("InvalidRequest"),
            ),
        ] {
            assert_eq!(code(rules.clone()), expected, "{rules:?}");
        }
    }

    #[test]
    fn filters_are_one_condition_or_an_and() {
        for (asked, expected) in [
            (Filter::default(), None),
            (Filter { and: true, ..Filter::default() }, Some("MalformedXML")),
            (Filter { tags: vec![tag("a")], ..Filter::default() }, None),
            (Filter { tags: vec![tag("a")], and: true, ..Filter::default() }, None),
            (Filter { tags: vec![tag("a"), tag("b")], ..Filter::default() }, Some("MalformedXML")),
            (Filter { tags: vec![tag("a"), tag("b")], and: true, ..Filter::default() }, None),
            (Filter { tags: vec![tag("a"), tag("a")], and: true, ..Filter::default() }, Some("InvalidTag")),
            (Filter { prefix: Some("a".to_owned()), larger_than: Some(1), ..Filter::default() }, Some("MalformedXML")),
            (Filter { larger_than: Some(1), smaller_than: Some(2), and: true, ..Filter::default() }, None),
            (Filter { larger_than: Some(2), smaller_than: Some(2), and: true, ..Filter::default() }, Some("InvalidRequest")),
            (Filter { prefix: Some("a".repeat(1025)), ..Filter::default() }, Some("InvalidRequest")),
        ] {
            assert_eq!(code(vec![filter(asked.clone())]), expected, "{asked:?}");
        }
        assert_eq!(code(vec![prefix("a"), filter(Filter::default())]), Some("InvalidRequest"));
    }

    #[test]
    fn uploads_and_markers_have_neither_tags_nor_sizes() {
        let tags = Filter { tags: vec![tag("a")], ..Filter::default() };
        let sizes = Filter { larger_than: Some(1), ..Filter::default() };
        for asked in [tags, sizes] {
            let abort = Rule { abort_uploads_after: Some(1), ..filter(asked.clone()) };
            let markers = Rule { expiration: Some(Expiration::LoneMarkers(true)), ..filter(asked.clone()) };
            assert_eq!(code(vec![abort]), Some("InvalidRequest"));
            assert_eq!(code(vec![markers]), Some("InvalidRequest"));
            assert_eq!(code(vec![filter(asked)]), None);
        }
    }
}
