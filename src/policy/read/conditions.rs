//! Reads `[when]`.

use super::values::group;
use crate::{
    diagnostics::{Item, Table, nearest},
    policy::{AttributeKind, Condition, Field, Gateway, Glob, KeyPattern, Pattern},
};

/// What `gateway.toml` says; `None` when it could not be read, which is told elsewhere.
pub(in crate::policy) type Known<'a> = Option<&'a Gateway>;

/// The fields that are no attributes.
const FIELDS: [&str; 4] = ["bucket", "key", "principal", "principal-country"];

pub(super) fn read(table: &Table<'_>, known: Known<'_>) -> Vec<Condition> {
    table.entries().filter_map(|(name, item)| condition(name, item, known)).collect()
}

fn condition(name: &str, item: Item<'_>, known: Known<'_>) -> Option<Condition> {
    let attribute = known.map(|gateway| gateway.attributes.get(name));
    let (field, form) = match (name, attribute) {
        ("bucket", _) => (Field::Bucket, Form::Name),
        ("key", _) => (Field::Key, Form::Key),
        ("principal", _) => (Field::Principal, Form::Name),
        ("principal-country", _) => (Field::PrincipalCountry, Form::Exact(AttributeKind::Country)),
        (_, None) => (Field::Attribute(name.to_owned()), Form::Unchecked),
        (_, Some(Some(rule))) => (Field::Attribute(name.to_owned()), Form::Exact(rule.kind)),
        (_, Some(None)) => {
            let attributes = known.into_iter().flat_map(|gateway| gateway.attributes.keys().map(String::as_str));
            let hint = match nearest(name, attributes.chain(FIELDS)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add it to `[attributes]` in gateway.toml".to_owned(),
            };
            item.error(format!("`{name}` is not an attribute that gateway.toml knows"), Some(hint));
            return None;
        }
    };
    let (listed, negated) = if item.is_list() {
        (item, false)
    } else {
        let table = item.table()?;
        let not = table.required("not");
        table.finish();
        (not?, true)
    };
    let mut any_of: Vec<Pattern> = Vec::new();
    let mut origins = Vec::new();
    for value in listed.list()? {
        for pattern in form.read(value, known) {
            if !any_of.contains(&pattern) {
                any_of.push(pattern);
                origins.push(value.origin());
            }
        }
    }
    if any_of.is_empty() {
        let effect = if negated { "excludes nothing" } else { "names no value, so it would never hold" };
        item.error(format!("`{name}` {effect}"), Some("remove the condition".to_owned()));
    }
    Some(Condition { field, any_of, negated, origins })
}

/// How the values of a field are written.
#[derive(Clone, Copy)]
enum Form {
    Name,
    Key,
    Exact(AttributeKind),
    /// Of an attribute, when nobody can tell which there are.
    Unchecked,
}

impl Form {
    /// What a value stands for: one pattern, or the countries of a group.
    fn read(self, item: Item<'_>, known: Known<'_>) -> Vec<Pattern> {
        match self {
            Self::Name => item.parsed::<Glob>().map(Pattern::Name).into_iter().collect(),
            Self::Key => item.parsed::<KeyPattern>().map(Pattern::Key).into_iter().collect(),
            Self::Unchecked => item.str().map(|text| Pattern::Exact(text.to_owned())).into_iter().collect(),
            Self::Exact(kind) => {
                let Some(text) = item.str() else { return Vec::new() };
                if let (AttributeKind::Country, Some(name)) = (kind, text.strip_prefix('@')) {
                    let countries = group(item, name, known.map(|gateway| &gateway.groups));
                    return countries.iter().map(|country| Pattern::Exact(country.to_string())).collect();
                }
                let value = kind.normalise(text);
                if value.is_none() {
                    item.error(format!("`{text}` is not {}", kind.describe()), None);
                }
                value.map(Pattern::Exact).into_iter().collect()
            }
        }
    }
}
