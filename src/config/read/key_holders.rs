//! `[[key]]` at AWS KMS and in a security module.

#[cfg(feature = "pkcs11")]
use super::at_least_one;
use super::{Reader, keys::safe_address, non_empty, span};
use crate::diagnostics::{Item, Table};
use crate::kms::{AwsKmsSettings, country_of_region};
#[cfg(feature = "pkcs11")]
use crate::kms::{Pkcs11Settings, Pkcs11Token};
use crate::types::Country;

impl Reader<'_> {
    pub(super) fn aws_kms(&self, table: &Table<'_>, country: Option<Country>) -> Option<AwsKmsSettings> {
        let region = table.required("region").and_then(non_empty);
        let stated = table.optional("region-country");
        if let (Some(region), Some(country)) = (region, country) {
            region_is_in(table, region, stated, country);
        }
        let alias = table.required("alias").and_then(alias);
        let endpoint = table.optional("endpoint").map(safe_address);
        let credentials = self.credentials(table);
        let window = table.optional("deletion-window-days").map(deletion_window);
        let timeout = span(table, "timeout").unwrap_or(AwsKmsSettings::DEFAULT_TIMEOUT);
        let credentials = credentials?;
        Some(AwsKmsSettings {
            region: region?.to_owned(),
            alias: alias?,
            endpoint: endpoint.map_or(Some(None), |known| known.map(Some))?,
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret,
            deletion_window_days: window.unwrap_or(Some(AwsKmsSettings::DEFAULT_DELETION_WINDOW))?,
            timeout,
        })
    }

    #[cfg(feature = "pkcs11")]
    pub(super) fn pkcs11(&self, table: &Table<'_>) -> Option<Pkcs11Settings> {
        let module = self.required_path(table, "module");
        let token = match (table.optional("token-label"), table.optional("slot")) {
            (Some(label), None) => non_empty(label).map(|label| Pkcs11Token::Label(label.to_owned())),
            (None, Some(slot)) => slot.u64().map(Pkcs11Token::Slot),
            _ => {
                table.error("give either `token-label` or `slot`", None);
                None
            }
        };
        let label = table.required("label").and_then(non_empty);
        let pin = self.secret(table, "pin");
        let sessions = table.optional("sessions").map_or(Some(Pkcs11Settings::DEFAULT_SESSIONS), at_least_one);
        let timeout = span(table, "timeout").unwrap_or(Pkcs11Settings::DEFAULT_TIMEOUT);
        Some(Pkcs11Settings { module: module?, token: token?, label: label?.to_owned(), pin: pin?, sessions: sessions?, timeout })
    }
}

/// A region is in one country. Where AWS's own list says which, nothing else may be said.
fn region_is_in(table: &Table<'_>, region: &str, stated: Option<Item<'_>>, country: Country) {
    let stated = stated.and_then(|item| Some((item, item.parsed::<Country>()?)));
    match (country_of_region(region), stated) {
        (Some(known), Some((item, stated))) if known != stated => {
            item.error(format!("region `{region}` is in {known}, not in {stated}"), None);
        }
        (Some(known), _) if known != country => {
            table.error(format!("region `{region}` is in {known}, but the key is of {country}"), None);
        }
        (None, Some((_, stated))) if stated != country => {
            table.error(format!("region `{region}` is in {stated}, but the key is of {country}"), None);
        }
        (None, None) => {
            let hint = format!("where it is in {country} for certain, write `region-country = \"{country}\"`");
            table.error(format!("it is not known in which country region `{region}` is"), Some(hint));
        }
        (Some(_), _) | (None, Some(_)) => {}
    }
}

fn alias(item: Item<'_>) -> Option<String> {
    let text = item.str()?;
    let name = text.strip_prefix("alias/").unwrap_or(text);
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte);
    if name.is_empty() || name.starts_with("aws/") || !name.bytes().all(known) {
        let hint = "versions are KMS keys of their own, and the alias leads to the newest".to_owned();
        item.error(format!("`{}` must be the name of an alias of your own, not a key's", item.key()), Some(hint));
        return None;
    }
    Some(format!("alias/{name}"))
}

fn deletion_window(item: Item<'_>) -> Option<u8> {
    let days = u8::try_from(item.u64()?).ok().filter(|days| AwsKmsSettings::DELETION_WINDOW.contains(days));
    if days.is_none() {
        item.error(format!("`{}` must be 7 to 30", item.key()), None);
    }
    days
}
