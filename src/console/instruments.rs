//! The instruments of a policy set, as its files say. The files have been checked when the set was kept; what they do not say is left out.

use std::collections::BTreeMap;

/// One instrument, in the words of its file.
#[derive(Debug, Default)]
pub(super) struct Instrument {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) enforcement: String,
    pub(super) legal_status: String,
    pub(super) copies: String,
    pub(super) countries: Vec<String>,
    pub(super) deadline: Option<String>,
}

/// All of a set, those that bind first.
pub(super) fn of(files: &BTreeMap<String, String>) -> Vec<Instrument> {
    let policies = files.iter().filter(|(path, _)| path.ends_with("/policy.toml"));
    let mut instruments: Vec<Instrument> = policies.filter_map(|(_, text)| read(text)).collect();
    let rank = |one: &Instrument| ["on", "shadow", "off"].iter().position(|word| *word == one.enforcement);
    instruments.sort_by(|one, other| rank(one).cmp(&rank(other)).then_with(|| one.id.cmp(&other.id)));
    instruments
}

fn read(text: &str) -> Option<Instrument> {
    let table: toml::Table = text.parse().ok()?;
    let word = |name: &str| table.get(name).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    let require = table.get("require").and_then(toml::Value::as_table);
    let countries = require.and_then(|require| require.get("countries")).and_then(toml::Value::as_array);
    Some(Instrument {
        id: word("id"),
        title: word("title"),
        enforcement: word("enforcement"),
        legal_status: word("legal-status"),
        copies: require.and_then(|require| require.get("copies")).and_then(toml::Value::as_str).unwrap_or("–").to_owned(),
        countries: countries.into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        deadline: table.get("backlog-deadline").and_then(toml::Value::as_datetime).map(ToString::to_string),
    })
}
