//! What can be told about a policy set before any request comes.

use std::collections::BTreeSet;

use super::{Copies, Enforcement, Field, Instrument, OnUnknown, Otherwise, PolicySet, Requirement};
use crate::{
    diagnostics::{Diagnostic, Severity},
    types::Country,
};

/// What the configuration provides.
#[derive(Debug, Clone, Default)]
pub struct Available {
    /// Countries that have at least one site.
    pub countries_with_site: BTreeSet<Country>,
    /// Countries that have a key.
    pub countries_with_key: BTreeSet<Country>,
    /// Where the gateway processes; `None` when the configuration does not say.
    pub gateway_country: Option<Country>,
}

impl PolicySet {
    /// What the set asks of a configuration that does not provide it. An error means that matching records would always be refused.
    pub fn check(&self, available: &Available) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for instrument in self.instruments.iter().filter(|instrument| instrument.enforcement != Enforcement::Off) {
            check_instrument(instrument, available, &mut found);
        }
        let gateway = &self.gateway;
        for country in self.base_countries().difference(&available.countries_with_site) {
            let message = format!("`[default]` or `[no-subject]` names {country}, where no site is");
            found.push(Diagnostic::of_file("gateway.toml", message, Some("add a site there or take the country out".to_owned())));
        }
        for (name, rule) in &gateway.attributes {
            if let OnUnknown::Assume(value) = &rule.unknown
                && rule.from.is_empty()
            {
                let message = format!("`{name}` has no source, so it is always `{value}`");
                found.push(Diagnostic { severity: Severity::Warning, ..Diagnostic::of_file("gateway.toml", message, None) });
            }
        }
        found
    }

    /// What has run out on `today`: exceptions that hold no more, instruments that bind no more. Warnings.
    pub fn expired(&self, today: time::Date) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for instrument in self.instruments.iter().filter(|instrument| instrument.enforcement != Enforcement::Off) {
            if let Some(until) = instrument.until.filter(|until| *until < today) {
                let message = format!("`{}` is not in effect any more since {until}", instrument.id);
                let hint = "set `enforcement` to `off`, or take `until` out if it still binds".to_owned();
                found.push(instrument.origin.diagnostic(Severity::Warning, message, Some(hint)));
            }
            for exception in &instrument.exceptions {
                if let Some(expires) = exception.expires.filter(|expires| *expires < today) {
                    let basis = exception.basis.word();
                    let message = format!("the exception `{basis}` of `{}` has expired on {expires}", instrument.id);
                    let hint = "renew it or take it out; what it let in is to be moved".to_owned();
                    found.push(exception.origin.diagnostic(Severity::Warning, message, Some(hint)));
                }
            }
        }
        found
    }

    /// The countries that `[default]` and `[no-subject]` name.
    fn base_countries(&self) -> BTreeSet<Country> {
        let gateway = &self.gateway;
        let otherwise = match &gateway.no_subject.otherwise {
            Otherwise::Reject => &[],
            Otherwise::Countries(countries) => countries.as_slice(),
        };
        let buckets = gateway.no_subject.buckets.iter().flat_map(|(_, countries)| countries);
        gateway.default.iter().chain(otherwise).chain(buckets).copied().collect()
    }
}

/// What does not bind can only be warned of.
const fn severity(instrument: &Instrument) -> Severity {
    match instrument.enforcement {
        Enforcement::On => Severity::Error,
        Enforcement::Shadow | Enforcement::Off => Severity::Warning,
    }
}

fn check_instrument(instrument: &Instrument, available: &Available, found: &mut Vec<Diagnostic>) {
    let severity = severity(instrument);
    let mut unknown = Vec::new();
    let mut report = |message: String, hint: &str| {
        found.push(instrument.origin.diagnostic(severity, message, Some(hint.to_owned())));
    };
    let require = &instrument.require;
    let has_site = |country: &Country| available.countries_with_site.contains(country);
    match require.copies {
        Some(Copies::First | Copies::Also) => {
            for country in require.countries.iter().filter(|country| !has_site(country)) {
                report(format!("`{}` requires a copy in {country}, where no site is", instrument.id), "add a site there");
            }
        }
        Some(Copies::Only) if !require.countries.iter().any(has_site) => {
            report(format!("`{}` allows only countries where no site is", instrument.id), "add a site in one of them");
        }
        _ => {}
    }
    let excepted =
        instrument.exceptions.iter().filter(|exception| exception.processing).flat_map(|exception| &exception.countries);
    let processing: Vec<Country> = require.processing.iter().chain(excepted).copied().collect();
    if !require.processing.is_empty() && available.gateway_country.is_none_or(|country| !processing.contains(&country)) {
        let (message, hint) = match available.gateway_country {
            Some(country) => (
                format!("`{}` lets nothing be processed in {country}, where the gateway is", instrument.id),
                "run a gateway in one of the countries, or take `processing` out",
            ),
            None => (
                format!("`{}` restricts processing, and nobody knows where the gateway is", instrument.id),
                "say it in the configuration: `[gateway]` `country`",
            ),
        };
        report(message, hint);
    }
    if available.gateway_country.is_none() {
        let exceptions = instrument.exceptions.iter().flat_map(|exception| &exception.when);
        if let Some(condition) = instrument.when.iter().chain(exceptions).find(|c| c.field == Field::PrincipalCountry) {
            let message = format!(
                "`{}` asks for `{}`, which is not known of principals without a `country` while `[gateway]` has none",
                instrument.id,
                condition.field.name()
            );
            let hint = "say it in the configuration: `[gateway]` `country`".to_owned();
            unknown.push(instrument.origin.diagnostic(Severity::Warning, message, Some(hint)));
        }
    }
    let has_key = |country: &Country| available.countries_with_key.contains(country);
    if !require.keys.is_empty() && !require.keys.iter().any(has_key) {
        report(format!("`{}` allows only keys of countries that have none", instrument.id), "add a key of one of them");
    } else if let Some(country) = foreign_key(require).filter(|country| !has_key(country)) {
        report(
            format!("`{}` asks for copies under a key of {country}, which has none", instrument.id),
            "add a key of that country, or name another first in `keys`",
        );
    }
    found.append(&mut unknown);
}

/// The country whose key seals a copy that `countries` names and whose own country `keys` leave out.
fn foreign_key(require: &Requirement) -> Option<Country> {
    let is_foreign = |country: &Country| !require.keys.contains(country) && !require.not_countries.contains(country);
    require.keys.first().copied().filter(|_| require.countries.iter().any(is_foreign))
}
