//! Forms of values that several policy files share.

use crate::{
    diagnostics::{Item, Table},
    types::Country,
};

/// A list of at least one country, none twice.
pub(super) fn countries(item: Item<'_>) -> Option<Vec<Country>> {
    let countries: Vec<Country> = item.parsed_list()?;
    if item.list().is_some_and(|list| list.is_empty()) {
        item.error(format!("`{}` names no country", item.key()), Some("leave the key out if there is none".to_owned()));
    }
    for (at, country) in countries.iter().enumerate() {
        if countries.iter().take(at).any(|earlier| earlier == country) {
            item.error(format!("`{}` names {country} twice", item.key()), None);
        }
    }
    Some(countries)
}

/// Countries that may be absent.
pub(super) fn optional_countries(table: &Table<'_>, key: &str) -> Vec<Country> {
    table.optional(key).and_then(countries).unwrap_or_default()
}
