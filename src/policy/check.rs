//! What can be told about a policy set before any request comes.

use std::collections::BTreeSet;

use super::{Copies, Enforcement, Instrument, OnUnknown, Otherwise, PolicySet};
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
}

impl PolicySet {
    /// What the set asks of a configuration that does not provide it. An error means that matching records would always be refused.
    pub fn check(&self, available: &Available) -> Vec<Diagnostic> {
        let mut found = self.unsupported();
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

    /// What the set asks that no configuration can provide yet: a copy under the key of another country than its own. Bound by such an
    /// instrument, every write would fail when it is sealed.
    pub fn unsupported(&self) -> Vec<Diagnostic> {
        let bound = || self.instruments.iter().filter(|instrument| instrument.enforcement != Enforcement::Off);
        let mut anywhere = self.base_countries();
        anywhere.extend(bound().flat_map(|instrument| &instrument.require.countries));
        bound().filter_map(|instrument| foreign_keys(instrument, &anywhere)).collect()
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

/// The mistake of an instrument whose `keys` leave out a country where a copy that they bind can be. `anywhere` are the countries of all
/// copies, for `keys` that bind every copy.
fn foreign_keys(instrument: &Instrument, anywhere: &BTreeSet<Country>) -> Option<Diagnostic> {
    let require = &instrument.require;
    let own = |country: &&Country| require.keys.contains(country) || require.not_countries.contains(country);
    let country = match require.copies {
        _ if require.keys.is_empty() => None,
        Some(_) => require.countries.iter().find(|country| !own(country)),
        None => anywhere.iter().find(|country| !own(country)),
    }?;
    let message = format!(
        "`{}` leaves {country} out of `keys`, so a copy in {country} would need the key of another country, which is not supported yet",
        instrument.id
    );
    let hint = match require.copies {
        Some(_) => format!("add {country} to `keys` or take it out of `countries`"),
        None => format!("add {country} to `keys`, or say with `copies` and `countries` which copies they bind"),
    };
    Some(instrument.origin.diagnostic(severity(instrument), message, Some(hint)))
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
    if !require.keys.is_empty() && !require.keys.iter().any(|country| available.countries_with_key.contains(country)) {
        report(format!("`{}` allows only keys of countries that have none", instrument.id), "add a key of one of them");
    }
}
