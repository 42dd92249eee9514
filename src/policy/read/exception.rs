//! Reads `[[exception]]`.

use super::{
    conditions::{self, Known},
    values::countries,
};
use crate::{
    diagnostics::{Item, Table},
    policy::{Copies, Exception, ExceptionBasis, Requirement},
};

/// What an exception widens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Widened {
    Copies,
    Processing,
}

/// Reads one exception of an instrument that requires `require`.
pub(super) fn read(table: Table<'_>, require: Option<&Requirement>, known: Known<'_>) -> Option<Exception> {
    let origin = table.origin();
    let basis = table.required("basis").and_then(|item| item.one_of(&ExceptionBasis::WORDS));
    let reference = table.required("reference").and_then(reference);
    let listed = table.required("countries");
    let countries = listed.and_then(|item| countries(item, known.map(|gateway| &gateway.groups)));
    let widens = table.optional("for").map(widened);
    let expires = table.optional("expires").and_then(Item::date);
    let when = table.table("when").map(|table| conditions::read(&table, known)).unwrap_or_default();
    table.finish();
    let (copies, processing) = match widens {
        None => (true, true),
        Some(widens) => (widens.contains(&Widened::Copies), widens.contains(&Widened::Processing)),
    };
    let exception = Exception {
        basis: basis?,
        reference: reference?.to_owned(),
        countries: countries?,
        copies,
        processing,
        expires,
        when,
        origin,
    };
    if let (Some(require), Some(item)) = (require, listed) {
        advise(&exception, require, item);
    }
    Some(exception)
}

fn reference(item: Item<'_>) -> Option<&str> {
    let text = item.str()?;
    if text.trim().is_empty() {
        item.error("`reference` is empty", Some("say where an auditor finds what the exception rests on".to_owned()));
    }
    Some(text)
}

fn widened(item: Item<'_>) -> Vec<Widened> {
    let words = [("copies", Widened::Copies), ("processing", Widened::Processing)];
    let widened: Vec<Widened> = item.list().unwrap_or_default().into_iter().filter_map(|item| item.one_of(&words)).collect();
    if widened.is_empty() {
        item.error("`for` names nothing", Some("leave the key out for both, `copies` and `processing`".to_owned()));
    }
    widened
}

/// What an exception cannot do, or does not do.
fn advise(exception: &Exception, require: &Requirement, countries: Item<'_>) {
    let copies = exception.copies && (require.copies == Some(Copies::Only) || !require.not_countries.is_empty());
    let processing = exception.processing && !require.processing.is_empty();
    if !copies && !processing {
        let what = match (exception.copies, exception.processing) {
            (true, true) => "copies or processing",
            (true, false) => "copies",
            (false, _) => "processing",
        };
        let hint = "an exception widens `copies = \"only\"`, `not-countries` or `processing`".to_owned();
        countries.error(format!("the instrument does not restrict {what}, so there is nothing to except"), Some(hint));
        return;
    }
    for country in &exception.countries {
        let has_copies = !copies || require.allows_copy(*country);
        let has_processing = !processing || require.processing.contains(country);
        if has_copies && has_processing {
            countries.warn(format!("the instrument allows {country} without the exception"), None);
        }
    }
    if exception.expires.is_none() {
        countries.warn(
            "the exception has no `expires`",
            Some("say until when it holds, so that somebody looks at it again".to_owned()),
        );
    }
}
