//! What must hold between the parts of a configuration.

use std::{collections::HashMap, fmt::Display, hash::Hash, path::Path};

use super::{Backend, Config, Provider};
use crate::diagnostics::{Table, nearest};
use crate::server::overlap;

/// The table that each part was read from, in the same order.
#[derive(Default)]
pub(super) struct Places<'d> {
    pub(super) keys: Vec<Table<'d>>,
    pub(super) sites: Vec<Table<'d>>,
    pub(super) sources: Vec<Table<'d>>,
    pub(super) principals: Vec<Table<'d>>,
    pub(super) accounts: Vec<Table<'d>>,
    pub(super) tokens: Vec<Table<'d>>,
}

/// Reports what does not fit together.
pub(super) fn whole(config: &Config, places: &Places<'_>, root: &Table<'_>) {
    unique("key", config.keys.iter().map(|key| &key.id), &places.keys);
    unique("site", config.sites.iter().map(|site| &site.id), &places.sites);
    unique("source", config.sources.iter().map(|source| &source.id), &places.sources);
    unique("account", config.accounts.iter().map(|account| &account.id), &places.accounts);
    unique("principal", config.principals.iter().map(|principal| &principal.id), &places.principals);
    unique("token", config.tokens.iter().map(|token| &token.id), &places.tokens);
    oidc_names(config, places);
    token_hashes(config, places);
    access_keys(config, places);
    provider_keys(config, places);
    site_keys(config, places);
    folders(config, places);
    if root.optional("site").is_none() {
        root.error("there is no `[[site]]`", Some("a gateway without a site can store nothing".to_owned()));
    }
    if root.optional("key").is_none() {
        root.error("there is no `[[key]]`", Some("every site needs the key of its country".to_owned()));
    }
    if overlap(config.s3.listen, config.admin.listen) {
        root.error(format!("`s3` and `admin` both listen on {}", config.s3.listen), None);
    }
}

fn unique<'c, T: Eq + Hash + Display + 'c>(kind: &str, ids: impl Iterator<Item = &'c T>, places: &[Table<'_>]) {
    let mut seen = HashMap::new();
    for (id, place) in ids.zip(places) {
        if let Some(first) = seen.insert(id, place) {
            place.error(format!("there is another {kind} `{id}`"), Some(format!("the first is at line {}", first.origin().line)));
        }
    }
}

/// A token that is called as people of an OpenID provider are could be taken for one of them, in the ledger and in approvals.
fn oidc_names(config: &Config, places: &Places<'_>) {
    for (token, place) in config.tokens.iter().zip(&places.tokens).filter(|_| config.oidc.is_some()) {
        if ["oidc.", "oidc-"].iter().any(|prefix| token.id.as_str().starts_with(prefix)) {
            place.error("with `[oidc]`, names that begin with `oidc.` or `oidc-` are of the provider's people", None);
        }
    }
}

/// One token for two names would be the first one's, whatever the second's role is.
fn token_hashes(config: &Config, places: &Places<'_>) {
    for (number, (token, place)) in config.tokens.iter().zip(&places.tokens).enumerate() {
        if let Some(first) = config.tokens.iter().take(number).find(|first| first.hash == token.hash) {
            place.error(format!("`{}` is the same token as `{}`", token.id, first.id), None);
        }
    }
}

fn access_keys(config: &Config, places: &Places<'_>) {
    let mut seen = HashMap::new();
    for (principal, place) in config.principals.iter().zip(&places.principals) {
        for access_key in &principal.access_keys {
            if let Some(first) = seen.insert(access_key.id.as_str(), &principal.id) {
                place.error(format!("principal `{}` has an access key id of `{first}`", principal.id), None);
            }
        }
    }
}

/// What two countries share is of neither: whoever may use it for one opens the other's.
fn provider_keys(config: &Config, places: &Places<'_>) {
    let mut seen = HashMap::new();
    for (key, place) in config.keys.iter().zip(&places.keys) {
        let (whose, which) = match &key.provider {
            Provider::Keyring => continue,
            Provider::Vault(of) => (of.address.clone(), format!("{:?}/{}/{}", of.namespace, of.mount, of.name)),
            Provider::AwsKms(of) => (of.endpoint.clone().unwrap_or_else(|| of.region.clone()), of.alias.clone()),
            #[cfg(feature = "pkcs11")]
            Provider::Pkcs11(of) => (of.module.display().to_string(), format!("{:?}/{}", of.token, of.label)),
        };
        let message = |first| format!("`{}` and `{first}` are one key at `{whose}`", key.id);
        if let Some(first) = seen.insert((whose.clone(), which), &key.id) {
            place.error(message(first), None);
        }
    }
}

/// A copy is sealed under a key of the country it lies in.
fn site_keys(config: &Config, places: &Places<'_>) {
    for (site, place) in config.sites.iter().zip(&places.sites) {
        match config.keys.iter().find(|key| key.id == site.key) {
            None => {
                let hint = nearest(site.key.as_str(), config.keys.iter().map(|key| key.id.as_str()))
                    .map(|near| format!("did you mean `{near}`?"));
                place.error(format!("site `{}` names the key `{}`, which does not exist", site.id, site.key), hint);
            }
            Some(key) if key.country != site.country => {
                let message =
                    format!("site `{}` is in {}, but its key `{}` is of {}", site.id, site.country, key.id, key.country);
                place.error(message, Some(format!("name a key with country = \"{}\"", site.country)));
            }
            Some(_) => {}
        }
    }
}

/// Two sites in one folder, or one inside the other, would be one place that counts as two.
fn folders(config: &Config, places: &Places<'_>) {
    let mut seen: Vec<(&Path, &crate::types::SiteId)> = Vec::new();
    for (site, place) in config.sites.iter().zip(&places.sites) {
        let Backend::Fs { path } = &site.backend else { continue };
        if let Some((_, other)) = seen.iter().find(|(other, _)| path.starts_with(other) || other.starts_with(path)) {
            place.error(format!("the folders of the sites `{}` and `{other}` overlap", site.id), None);
        }
        seen.push((path, &site.id));
    }
}
