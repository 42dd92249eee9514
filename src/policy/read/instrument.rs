//! Reads `<instrument>/policy.toml`.

use std::collections::BTreeMap;

use super::values::{countries, optional_countries};
use crate::{
    diagnostics::{Diagnostics, Item, Severity, Table, nearest},
    policy::{AttributeKind, AttributeRule, Condition, Copies, Enforcement, Field, Glob, Instrument, LegalStatus, Requirement},
    types::InstrumentId,
};

/// The attributes that `gateway.toml` knows; `None` when it could not be read, which is told elsewhere.
pub(in crate::policy) type Known<'a> = Option<&'a BTreeMap<String, AttributeRule>>;

pub(super) fn read(file: &Table<'_>, folder: &str, attributes: Known<'_>, sink: &Diagnostics) -> Option<Instrument> {
    let id = file.required("id").and_then(|item| id(item, folder));
    let title = file.required("title").and_then(Item::str);
    let section = file.str("section").map(str::to_owned);
    let enforcement = file
        .required("enforcement")
        .and_then(|item| item.one_of(&[("on", Enforcement::On), ("shadow", Enforcement::Shadow), ("off", Enforcement::Off)]));
    let legal_status = file.required("legal-status").and_then(|item| {
        item.one_of(&[
            ("in-force", LegalStatus::InForce),
            ("draft", LegalStatus::Draft),
            ("superseded", LegalStatus::Superseded),
            ("disputed", LegalStatus::Disputed),
        ])
    });
    let note = file.str("note").map(str::to_owned);
    let sources: Vec<String> = file.string_list("sources").unwrap_or_default().into_iter().map(str::to_owned).collect();
    let effective = file.optional("effective").and_then(Item::date);
    let backlog = file.optional("backlog-deadline");
    let backlog_deadline = backlog.and_then(Item::date);
    if let (Some(item), Some(deadline), Some(effective)) = (backlog, backlog_deadline, effective)
        && deadline < effective
    {
        item.error("`backlog-deadline` is before `effective`", None);
    }
    let when = file.table("when").map(|table| conditions(&table, attributes)).unwrap_or_default();
    let require = file.required("require").and_then(Item::table).map(requirement);
    let instrument = Instrument {
        id: id?,
        title: title?.to_owned(),
        section,
        enforcement: enforcement?,
        legal_status: legal_status?,
        note,
        sources,
        effective,
        backlog_deadline,
        when,
        require: require?,
        origin: file.origin(),
    };
    advise(&instrument, sink);
    Some(instrument)
}

fn id(item: Item<'_>, folder: &str) -> Option<InstrumentId> {
    let id: InstrumentId = item.parsed()?;
    if id.as_str() != folder {
        item.error(format!("`{id}` is in the folder `{folder}`"), Some("an instrument's id is its folder's name".to_owned()));
    }
    Some(id)
}

/// What is honest to say about an instrument.
fn advise(instrument: &Instrument, sink: &Diagnostics) {
    let warn = |message: String, hint: &str| {
        sink.report(instrument.origin.diagnostic(Severity::Warning, message, Some(hint.to_owned())));
    };
    if instrument.legal_status != LegalStatus::InForce && instrument.note.is_none() {
        warn(format!("`{}` is not in force and has no `note`", instrument.id), "say which reading this is and what is uncertain");
    }
    if instrument.sources.is_empty() {
        warn(format!("`{}` has no `sources`", instrument.id), "say where it can be read");
    }
}

fn conditions(table: &Table<'_>, attributes: Known<'_>) -> Vec<Condition> {
    table.entries().filter_map(|(name, item)| condition(name, item, attributes)).collect()
}

fn condition(name: &str, item: Item<'_>, attributes: Known<'_>) -> Option<Condition> {
    let field = match name {
        "bucket" => Field::Bucket,
        "principal" => Field::Principal,
        name if attributes.is_none_or(|known| known.contains_key(name)) => Field::Attribute(name.to_owned()),
        _ => {
            let known = attributes.into_iter().flat_map(|known| known.keys().map(String::as_str));
            let words = || known.clone().chain(["bucket", "principal"]);
            let hint = match nearest(name, words()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add it to `[attributes]` in gateway.toml".to_owned(),
            };
            item.error(format!("`{name}` is not an attribute that gateway.toml knows"), Some(hint));
            return None;
        }
    };
    let kind = attributes.and_then(|known| known.get(name)).map(|rule| rule.kind);
    let any_of: Vec<Glob> = item.list()?.into_iter().filter_map(|value| self::value(value, kind)).collect();
    if any_of.is_empty() {
        item.error(
            format!("`{name}` names no value, so the instrument would never apply"),
            Some("remove the condition".to_owned()),
        );
    }
    Some(Condition { field, any_of })
}

fn value(item: Item<'_>, kind: Option<AttributeKind>) -> Option<Glob> {
    let Some(kind) = kind else {
        return item.parsed();
    };
    let text = item.str()?;
    let value = kind.normalise(text);
    if value.is_none() {
        item.error(format!("`{text}` is not {}", kind.describe()), None);
    }
    value?.parse().ok()
}

fn requirement(table: Table<'_>) -> Requirement {
    let copies = table
        .optional("copies")
        .and_then(|item| item.one_of(&[("only", Copies::Only), ("first", Copies::First), ("also", Copies::Also)]));
    let listed = if copies.is_some() { table.required("countries") } else { table.optional("countries") };
    let wanted = listed.and_then(countries).unwrap_or_default();
    let keys = optional_countries(&table, "keys");
    let not = table.optional("not-countries");
    let not_countries = not.and_then(countries).unwrap_or_default();
    if let Some(item) = listed {
        if copies.is_none() {
            item.error(
                "`countries` without `copies`",
                Some("say what they mean: `copies` = `only`, `first` or `also`".to_owned()),
            );
        }
        if copies == Some(Copies::First) && wanted.len() > 1 {
            item.error("`first` can only be one country", Some("use `also` for the others".to_owned()));
        }
    }
    if let Some(item) = not {
        for country in not_countries.iter().filter(|country| wanted.contains(country)) {
            item.error(format!("{country} is in `countries` and in `not-countries`"), None);
        }
    }
    if copies.is_none() && keys.is_empty() && not_countries.is_empty() {
        table.error("`require` asks for nothing", Some("give `copies`, `keys` or `not-countries`".to_owned()));
    }
    table.finish();
    Requirement { copies, countries: wanted, keys, not_countries }
}
