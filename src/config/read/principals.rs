//! `[[principal]]` and `[[token]]`.

use secrecy::ExposeSecret;

use super::{Reader, non_empty, owned, parsed, positive, section};
use crate::authn::{AccessKey, DEFAULT_ACCOUNT, Permissions, Principal, Quota, Token, TokenHash};
use crate::config::Account;
use crate::diagnostics::{Item, Table};
use crate::types::{AccountId, Attributes, Country, Timestamp};

impl Reader<'_> {
    pub(super) fn principal(&self, table: &Table<'_>) -> Option<Principal> {
        let id = parsed(table, "id");
        let access_keys = self.access_keys(table);
        let buckets = table.required("buckets").and_then(Item::parsed_list);
        let allow = table.required("allow").and_then(|item| match Permissions::from_words(item.string_list()?) {
            Ok(permissions) => Some(permissions),
            Err(error) => {
                item.error(error.to_string(), None);
                None
            }
        });
        let account = table.optional("account").map_or_else(default_account, Item::parsed);
        let prefixes = owned(table.string_list("prefixes"));
        let country = table.parsed("country");
        let attributes = section(table, "attributes", attributes).unwrap_or_default();
        let quota = Quota {
            requests_per_second: positive(table, "requests-per-second"),
            concurrent_requests: positive(table, "concurrent-requests"),
        };
        Some(Principal {
            id: id?,
            account: account?,
            access_keys: access_keys?,
            buckets: buckets?,
            prefixes,
            allow: allow?,
            country,
            attributes,
            quota,
        })
    }

    pub(super) fn account(&self, table: &Table<'_>) -> Option<Account> {
        let id = parsed(table, "id");
        let email = table.required("email").and_then(non_empty).map(|email| email.to_ascii_lowercase());
        Some(Account { id: id?, email: email? })
    }

    /// `[[principal.credential]]`, or one key pair written into the principal itself.
    fn access_keys(&self, table: &Table<'_>) -> Option<Vec<AccessKey>> {
        let several = table.tables("credential");
        if several.is_empty() {
            return Some(vec![self.access_key(table)?]);
        }
        if table.optional("access-key-id").or(table.optional("secret-file")).or(table.optional("secret-env")).is_some() {
            table.error("give either one key pair or `[[principal.credential]]` tables, not both", None);
            return None;
        }
        let one = |table: Table<'_>| {
            let mut access_key = self.access_key(&table);
            let not_after = table.optional("not-after");
            if let (Some(item), Some(access_key)) = (not_after, &mut access_key) {
                access_key.not_after = Some(Timestamp::from_seconds(item.instant()?.unix_timestamp()));
            }
            table.finish();
            access_key
        };
        several.into_iter().map(one).collect::<Vec<_>>().into_iter().collect()
    }

    fn access_key(&self, table: &Table<'_>) -> Option<AccessKey> {
        let id = table.required("access-key-id").and_then(non_empty);
        let secret = self.secret(table, "secret");
        Some(AccessKey::new(id?, secret?))
    }

    pub(super) fn token(&self, table: &Table<'_>) -> Option<Token> {
        let id = parsed(table, "id");
        let role = parsed(table, "role");
        let place = table.optional("hash-file").or_else(|| table.optional("hash-env"));
        let hash = self.secret(table, "hash").and_then(|text| match text.expose_secret().parse::<TokenHash>() {
            Ok(hash) => Some(hash),
            Err(error) => {
                if let Some(place) = place {
                    place.error(error.to_string(), Some("`printf %s \"$TOKEN\" | sha256sum` prints it".to_owned()));
                }
                None
            }
        });
        let person = table.parsed("person");
        Some(Token { id: id?, role: role?, hash: hash?, person })
    }
}

fn default_account() -> Option<AccountId> {
    AccountId::new(DEFAULT_ACCOUNT).ok()
}

/// What is known of every subject a principal speaks for. Countries are written in capitals whatever the file does.
fn attributes(table: &Table<'_>) -> Attributes {
    let value = |(name, item): (&str, Item<'_>)| {
        let text = item.str()?;
        let country = matches!(name, "residence" | "citizenship").then(|| item.parsed::<Country>());
        match country {
            None => Some((name.to_owned(), text.to_owned())),
            Some(country) => Some((name.to_owned(), country?.to_string())),
        }
    };
    table.entries().filter_map(value).collect()
}
