//! Reads `gateway.toml`.

use std::{cmp::Reverse, collections::BTreeMap};

use super::values::{Groups, countries};
use crate::{
    diagnostics::{Item, Table, nearest},
    policy::{
        AttributeKind, AttributeRule, AttributeSource, Gateway, Glob, KeyTemplate, NoSubject, OnConflict, OnUnknown, Otherwise,
        SubjectSource,
    },
    types::Country,
};

/// Names that conditions use for something else.
const RESERVED: [&str; 6] = ["subject", "bucket", "key", "principal", "principal-country", "read-from"];

pub(super) fn read(file: &Table<'_>) -> Option<Gateway> {
    let groups = file.table("groups").map(|table| groups(&table)).unwrap_or_default();
    let subject = file.required("subject").and_then(Item::table).map(subject).unwrap_or_default();
    let attributes = file.table("attributes").map(|table| attributes(&table)).unwrap_or_default();
    let no_subject = match file.table("no-subject") {
        Some(table) => no_subject(table, Some(&groups)),
        None => NoSubject { buckets: Vec::new(), otherwise: Otherwise::Reject },
    };
    let default = list_table(file, "default", Some(&groups));
    let exclude = list_table(file, "exclude", Some(&groups));
    if let Some(item) = file.optional("default") {
        for country in default.iter().filter(|country| exclude.contains(country)) {
            item.error(format!("{country} is in `[default]` and in `[exclude]`"), None);
        }
    }
    Some(Gateway { subject, attributes, no_subject, default, exclude: exclude.into_iter().collect(), groups })
}

/// `[groups]`. A group is made of countries, not of groups, so that no circle is possible.
fn groups(table: &Table<'_>) -> BTreeMap<String, Vec<Country>> {
    let mut groups = BTreeMap::new();
    for (name, item) in table.entries() {
        if !is_word(name) {
            item.error(format!("`{name}` is not a group's name"), Some("use lower-case letters, digits and `-`".to_owned()));
        }
        let named = item.list().unwrap_or_default().into_iter().filter(|value| value.is_str());
        for value in named.filter(|value| value.str().is_some_and(|text| text.starts_with('@'))) {
            value.error("a group cannot name another group", Some("write the countries".to_owned()));
        }
        groups.extend(countries(item, None).map(|countries| (name.to_owned(), countries)));
    }
    groups
}

fn is_word(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.bytes().all(word)
}

/// The `countries` of a table of that one key.
fn list_table(file: &Table<'_>, name: &str, groups: Groups<'_>) -> Vec<Country> {
    let Some(table) = file.table(name) else {
        return Vec::new();
    };
    let list = table.required("countries").and_then(|item| countries(item, groups)).unwrap_or_default();
    table.finish();
    list
}

fn subject(table: Table<'_>) -> Vec<SubjectSource> {
    let sources =
        table.required("from").and_then(Item::list).unwrap_or_default().into_iter().filter_map(subject_source).collect();
    table.finish();
    sources
}

fn subject_source(item: Item<'_>) -> Option<SubjectSource> {
    let text = item.str()?;
    match text.split_once(':') {
        None if text == "principal" => Some(SubjectSource::Principal),
        Some(("metadata", name)) => metadata(item, name).map(SubjectSource::Metadata),
        Some(("tag", name)) => tag(item, name).map(SubjectSource::Tag),
        Some(("key", template)) => match template.parse::<KeyTemplate>() {
            Ok(template) => Some(SubjectSource::Key(template)),
            Err(error) => {
                item.error(format!("`{template}`: {error}"), None);
                None
            }
        },
        _ => unknown_source(
            item,
            text,
            "`metadata:NAME`, `tag:NAME`, `key:TEMPLATE` or `principal`",
            &["metadata", "tag", "key", "principal"],
        ),
    }
}

fn attribute_source(item: Item<'_>) -> Option<AttributeSource> {
    let text = item.str()?;
    match text.split_once(':') {
        None if text == "principal" => Some(AttributeSource::Principal),
        None if text == "directory" => Some(AttributeSource::Directory),
        Some(("metadata", name)) => metadata(item, name).map(AttributeSource::Metadata),
        Some(("tag", name)) => tag(item, name).map(AttributeSource::Tag),
        _ => unknown_source(
            item,
            text,
            "`directory`, `metadata:NAME`, `tag:NAME` or `principal`",
            &["directory", "metadata", "tag", "principal"],
        ),
    }
}

fn unknown_source<T>(item: Item<'_>, text: &str, forms: &str, words: &[&str]) -> Option<T> {
    let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
    let hint = match (nearest(word, words.iter().copied()), rest) {
        (Some(near), Some(rest)) if near != word => format!("did you mean `{near}:{rest}`?"),
        (Some(near), None) if near != word => format!("did you mean `{near}`?"),
        _ => format!("a source is {forms}"),
    };
    item.error(format!("`{text}` is not a source"), Some(hint));
    None
}

/// HTTP header names have no case, and S3 hands metadata names on in lower case.
fn metadata(item: Item<'_>, name: &str) -> Option<String> {
    let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.is_empty() && name.bytes().all(token) {
        return Some(name.to_owned());
    }
    let hint = match name.to_ascii_lowercase().strip_prefix("x-amz-meta-") {
        Some(rest) => format!("write it without the prefix: `metadata:{rest}`"),
        None => "use lower-case letters, digits and `-`".to_owned(),
    };
    item.error(format!("`{name}` is not the name of user metadata"), Some(hint));
    None
}

/// "Categorizing your objects using tags" in the Amazon S3 User Guide: 1 to 128 characters.
fn tag(item: Item<'_>, name: &str) -> Option<String> {
    if (1..=128).contains(&name.chars().count()) {
        return Some(name.to_owned());
    }
    item.error("a tag's name has 1 to 128 characters", None);
    None
}

fn attributes(table: &Table<'_>) -> BTreeMap<String, AttributeRule> {
    table.entries().filter_map(|(name, item)| Some((name.to_owned(), attribute(name, item)?))).collect()
}

fn attribute(name: &str, item: Item<'_>) -> Option<AttributeRule> {
    if !is_word(name) {
        item.error(format!("`{name}` is not an attribute's name"), Some("use lower-case letters, digits and `-`".to_owned()));
    }
    if RESERVED.contains(&name) {
        item.error(format!("`{name}` cannot be an attribute: it has a meaning of its own"), None);
    }
    let table = item.table()?;
    let from: Vec<AttributeSource> =
        table.required("from").and_then(Item::list).unwrap_or_default().into_iter().filter_map(attribute_source).collect();
    let kind = table
        .optional("type")
        .and_then(|item| item.one_of(&[("country", AttributeKind::Country), ("text", AttributeKind::Text)]));
    let kind = kind.unwrap_or(AttributeKind::Country);
    let conflict = table
        .optional("conflict")
        .and_then(|item| item.one_of(&[("reject", OnConflict::Reject), ("strictest", OnConflict::Strictest)]));
    let unknown = table.optional("unknown").and_then(|item| unknown(item, kind));
    table.finish();
    Some(AttributeRule {
        from,
        kind,
        conflict: conflict.unwrap_or(OnConflict::Reject),
        unknown: unknown.unwrap_or(OnUnknown::Reject),
    })
}

/// `"reject"`, `"omit"` or `{ assume = VALUE }`.
fn unknown(item: Item<'_>, kind: AttributeKind) -> Option<OnUnknown> {
    if item.is_str() {
        return match item.one_of(&[("reject", true), ("omit", false)])? {
            true => Some(OnUnknown::Reject),
            false => Some(OnUnknown::Omit),
        };
    }
    let table = item.table()?;
    let assume = table.required("assume");
    table.finish();
    let (assume, text) = (assume?, assume?.str()?);
    let value = kind.normalise(text);
    if value.is_none() {
        assume.error(format!("`{text}` is not {}", kind.describe()), None);
    }
    value.map(OnUnknown::Assume)
}

fn no_subject(table: Table<'_>, groups: Groups<'_>) -> NoSubject {
    let mut buckets: Vec<(Glob, Vec<Country>)> = Vec::new();
    if let Some(rules) = table.table("buckets") {
        for (pattern, item) in rules.entries() {
            match pattern.parse::<Glob>() {
                Ok(glob) => buckets.extend(countries(item, groups).map(|countries| (glob, countries))),
                Err(error) => item.error(format!("`{pattern}`: {error}"), None),
            }
        }
    }
    buckets.sort_by(|(a, _), (b, _)| (Reverse(a.literals()), a).cmp(&(Reverse(b.literals()), b)));
    let otherwise = table.optional("otherwise").and_then(|item| {
        if item.is_list() {
            countries(item, groups).map(Otherwise::Countries)
        } else {
            item.one_of(&[("reject", ())]).map(|()| Otherwise::Reject)
        }
    });
    table.finish();
    NoSubject { buckets, otherwise: otherwise.unwrap_or(Otherwise::Reject) }
}
