//! Reads `<instrument>/policy.toml`.

use std::cmp::Ordering;

use super::{
    conditions::{self, Known},
    exception,
    values::{countries, optional_countries},
};
use crate::{
    diagnostics::{Diagnostics, Item, Severity, Table},
    policy::{Copies, Duty, Enforcement, Instrument, LegalStatus, Period, Requirement, RetentionRule},
    types::InstrumentId,
};

pub(super) fn read(file: &Table<'_>, folder: &str, known: Known<'_>, sink: &Diagnostics) -> Option<Instrument> {
    let named = file.required("id");
    let id = named.and_then(|item| id(item, folder));
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
    let until = file.optional("until");
    let last_day = until.and_then(Item::date);
    if let (Some(item), Some(until), Some(effective)) = (until, last_day, effective)
        && until < effective
    {
        item.error("`until` is before `effective`", None);
    }
    let duties = duties(file);
    let when = file.table("when").map(|table| conditions::read(&table, known)).unwrap_or_default();
    let retention = file.optional("retention").map(|item| item.table().and_then(retention));
    let require = if duties.is_empty() && retention.is_none() { file.required("require") } else { file.optional("require") };
    let require = match require {
        Some(item) => item.table().map(|table| requirement(table, known)),
        None => Some(Requirement::default()),
    };
    let exceptions = file.tables("exception");
    let exceptions = exceptions.into_iter().filter_map(|table| exception::read(table, require.as_ref(), known)).collect();
    let instrument = Instrument {
        id: id?,
        title: title?.to_owned(),
        section,
        enforcement: enforcement?,
        legal_status: legal_status?,
        note,
        sources,
        effective,
        until: last_day,
        backlog_deadline,
        duties,
        when,
        require: require?,
        retention: retention.unwrap_or(Some(RetentionRule::default()))?,
        exceptions,
        origin: named.map_or_else(|| file.origin(), Item::origin),
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

fn duties(file: &Table<'_>) -> Vec<Duty> {
    let words = [("access", Duty::Access), ("takedown", Duty::Takedown), ("registration", Duty::Registration)];
    let mut duties: Vec<Duty> = Vec::new();
    for item in file.optional("duties").and_then(Item::list).unwrap_or_default() {
        let Some(duty) = item.one_of(&words) else { continue };
        if duties.contains(&duty) {
            item.error("`duties` names it twice", None);
        }
        duties.push(duty);
    }
    duties
}

fn retention(table: Table<'_>) -> Option<RetentionRule> {
    let (least, most) = (table.optional("at-least"), table.optional("at-most"));
    let (at_least, at_most) = (least.and_then(Item::parsed::<Period>), most.and_then(Item::parsed::<Period>));
    if least.is_none() && most.is_none() {
        table.error("`retention` asks for nothing", Some("give `at-least`, `at-most` or both".to_owned()));
    }
    if let (Some(item), Some(at_least), Some(at_most)) = (least, at_least, at_most) {
        match at_least.compare(at_most) {
            Some(Ordering::Greater) => item.error("`at-least` is longer than `at-most`", None),
            None => item.warn("`at-least` is longer than `at-most` on some days of the calendar; it stands then", None),
            Some(Ordering::Less | Ordering::Equal) => {}
        }
    }
    table.finish();
    Some(RetentionRule { at_least, at_most })
}

fn requirement(table: Table<'_>, known: Known<'_>) -> Requirement {
    let groups = known.map(|gateway| &gateway.groups);
    let copies = table
        .optional("copies")
        .and_then(|item| item.one_of(&[("only", Copies::Only), ("first", Copies::First), ("also", Copies::Also)]));
    let listed = if copies.is_some() { table.required("countries") } else { table.optional("countries") };
    let wanted = listed.and_then(|item| countries(item, groups)).unwrap_or_default();
    let keys = optional_countries(&table, "keys", groups);
    let not = table.optional("not-countries");
    let not_countries = not.and_then(|item| countries(item, groups)).unwrap_or_default();
    let processing = optional_countries(&table, "processing", groups);
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
    if copies.is_none() && keys.is_empty() && not_countries.is_empty() && processing.is_empty() {
        let hint = "give `copies`, `keys`, `not-countries` or `processing`".to_owned();
        table.error("`require` asks for nothing", Some(hint));
    }
    table.finish();
    Requirement { copies, countries: wanted, keys, not_countries, processing }
}
