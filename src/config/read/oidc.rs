//! `[oidc]`

use super::{Reader, non_empty, owned, section, span};
use crate::admin::login::OidcSettings;
use crate::authn::{JwtAlgorithm, Role, RoleMap};
use crate::diagnostics::{Item, Table};

impl Reader<'_> {
    pub(super) fn oidc(&self, table: &Table<'_>) -> Option<OidcSettings> {
        let issuer = table.required("issuer").and_then(issuer);
        let client_id = table.required("client-id").and_then(non_empty).map(str::to_owned);
        let has_secret = table.optional("client-secret-file").or_else(|| table.optional("client-secret-env")).is_some();
        let secret = has_secret.then(|| self.secret(table, "client-secret"));
        let ca = table.optional("ca").map(|item| self.text_file(item));
        let audience = table.optional("audience").and_then(non_empty).map(str::to_owned);
        let parties = table.string_list("authorized-parties").map(|list| owned(Some(list)));
        let skew = span(table, "clock-skew").unwrap_or(OidcSettings::SKEW);
        let user_claim = table.str("user-claim").unwrap_or("sub").to_owned();
        let role_claim = table.required("role-claim").and_then(non_empty);
        let roles = roles(table);
        let scopes = owned(table.string_list("scopes"));
        let algorithms = algorithms(table);
        let client_id = client_id?;
        Some(OidcSettings {
            issuer: issuer?,
            client_secret: secret.map_or(Some(None), |secret| secret.map(Some))?,
            scopes,
            audience: audience.unwrap_or_else(|| client_id.clone()),
            parties: parties.unwrap_or_else(|| vec![client_id.clone()]),
            algorithms: algorithms?,
            skew,
            roles: RoleMap { user_claim, role_claim: role_claim?.to_owned(), roles: roles? },
            ca: ca.map_or(Some(None), |pem| pem.map(Some))?,
            client_id,
        })
    }
}

/// Plain HTTP is for a provider on this machine: over a network anybody could be it.
fn issuer(item: Item<'_>) -> Option<String> {
    let text = non_empty(item)?;
    let uri = text.parse::<http::Uri>().ok().filter(|uri| uri.host().is_some() && uri.query().is_none());
    let here = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let right = uri.is_some_and(|uri| match uri.scheme_str() {
        Some("https") => true,
        Some("http") => uri.host().is_some_and(here),
        _ => false,
    });
    if !right {
        item.error(
            "`issuer` must be the provider's `https://` address, as it writes it itself; `http://` only on this machine",
            None,
        );
        return None;
    }
    Some(text.to_owned())
}

/// `[oidc.roles]`: for each role, what the claim may hold. The roles are tried in the order of [`ORDER`].
fn roles(table: &Table<'_>) -> Option<Vec<(String, Role)>> {
    /// Who may do the least comes first, so that nobody gets more than what was meant by being in one group too many.
    const ORDER: [Role; 4] = [Role::Auditor, Role::Legal, Role::PolicyAdmin, Role::Operator];
    let read = section(table, "roles", |roles| {
        let mut found = Vec::new();
        for role in ORDER {
            for value in owned(roles.string_list(role.as_str())) {
                if found.iter().any(|(known, _)| *known == value) {
                    roles.error(format!("`{value}` gives two roles"), None);
                }
                found.push((value, role));
            }
        }
        found
    });
    let found = read.unwrap_or_default();
    if found.is_empty() {
        table.error("`[oidc.roles]` gives nobody a role", Some("as in `auditor = [\"domicile-auditors\"]`".to_owned()));
        return None;
    }
    Some(found)
}

fn algorithms(table: &Table<'_>) -> Option<Vec<JwtAlgorithm>> {
    let Some(names) = table.string_list("algorithms") else { return Some(OidcSettings::ALGORITHMS.to_vec()) };
    let known: Option<Vec<_>> = names.iter().map(|name| name.parse().ok()).collect();
    let known = known.filter(|known: &Vec<JwtAlgorithm>| !known.is_empty());
    if known.is_none() {
        let all = JwtAlgorithm::ALL.map(|(name, _)| name).join(", ");
        table.error(format!("`algorithms` must be some of {all}"), None);
    }
    known
}
