//! Forms of values that several policy files share.

use std::collections::BTreeMap;

use crate::{
    diagnostics::{Item, Table, nearest},
    types::Country,
};

/// The groups of `gateway.toml`; `None` when it could not be read, which is told elsewhere.
pub(super) type Groups<'a> = Option<&'a BTreeMap<String, Vec<Country>>>;

/// A list of at least one country, none written twice. `@name` stands for the countries of that group that the list does not have yet.
pub(super) fn countries(item: Item<'_>, groups: Groups<'_>) -> Option<Vec<Country>> {
    let items = item.list()?;
    if items.is_empty() {
        item.error(format!("`{}` names no country", item.key()), Some("leave the key out if there is none".to_owned()));
    }
    let mut written: Vec<Country> = Vec::new();
    let mut countries: Vec<Country> = Vec::new();
    for value in items {
        let Some(text) = value.str() else { continue };
        if let Some(name) = text.strip_prefix('@') {
            for country in group(value, name, groups) {
                if !countries.contains(country) {
                    countries.push(*country);
                }
            }
        } else if let Some(country) = value.parsed::<Country>() {
            if written.contains(&country) {
                item.error(format!("`{}` names {country} twice", item.key()), None);
            }
            written.push(country);
            if !countries.contains(&country) {
                countries.push(country);
            }
        }
    }
    Some(countries)
}

/// The countries of a group that a value names.
pub(super) fn group<'g>(item: Item<'_>, name: &str, groups: Groups<'g>) -> &'g [Country] {
    let Some(groups) = groups else { return &[] };
    let found = groups.get(name);
    if found.is_none() {
        let hint = match nearest(name, groups.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `@{near}`?"),
            None => "add it to `[groups]` in gateway.toml".to_owned(),
        };
        item.error(format!("`@{name}` is not a group that gateway.toml knows"), Some(hint));
    }
    found.map(Vec::as_slice).unwrap_or_default()
}

/// Countries that may be absent.
pub(super) fn optional_countries(table: &Table<'_>, key: &str, groups: Groups<'_>) -> Vec<Country> {
    table.optional(key).and_then(|item| countries(item, groups)).unwrap_or_default()
}
