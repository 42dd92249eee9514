//! `[[key]]`: which key seals a country's records, and who holds it.

use super::{Reader, endpoint, parsed, span};
use crate::config::{Key, Provider};
use crate::diagnostics::{Item, Table};
use crate::kms::{VaultLogin, VaultSettings};

/// The words of `provider`. Each kind reads keys of its own from the same table.
#[derive(Clone, Copy)]
enum Kind {
    Keyring,
    Vault,
    AwsKms,
    Pkcs11,
}

const KINDS: [(&str, Kind); 4] =
    [("keyring", Kind::Keyring), ("vault", Kind::Vault), ("aws-kms", Kind::AwsKms), ("pkcs11", Kind::Pkcs11)];

impl Reader<'_> {
    pub(super) fn key(&self, table: &Table<'_>) -> Option<Key> {
        let id = parsed(table, "id");
        let country = parsed(table, "country");
        let provider = table.required("provider").and_then(|item| Some((item, item.one_of(&KINDS)?)));
        let provider = match provider {
            Some((_, Kind::Keyring)) => Some(Provider::Keyring),
            Some((_, Kind::Vault)) => self.vault(table).map(|settings| Provider::Vault(Box::new(settings))),
            Some((_, Kind::AwsKms)) => self.aws_kms(table, country).map(|settings| Provider::AwsKms(Box::new(settings))),
            #[cfg(feature = "pkcs11")]
            Some((_, Kind::Pkcs11)) => self.pkcs11(table).map(|settings| Provider::Pkcs11(Box::new(settings))),
            #[cfg(not(feature = "pkcs11"))]
            Some((item, Kind::Pkcs11)) => {
                item.error("this program was built without `pkcs11`", Some("build it with `--features pkcs11`".to_owned()));
                table.entries().for_each(drop);
                None
            }
            None => {
                // Which it is cannot be told; its other keys are nobody's mistake.
                table.entries().for_each(drop);
                None
            }
        };
        Some(Key { id: id?, country: country?, provider: provider? })
    }

    fn vault(&self, table: &Table<'_>) -> Option<VaultSettings> {
        let address = table.required("address").and_then(safe_address);
        let mount = table.optional("mount").map_or(Some(VaultSettings::DEFAULT_MOUNT.to_owned()), path);
        let name = table.required("name").and_then(segment);
        let namespace = table.optional("namespace").map(path);
        let login = self.vault_login(table);
        let ca = table.optional("ca").map(|item| self.text_file(item));
        let cluster = table.str("cluster-id").map(str::to_owned);
        let timeout = span(table, "timeout").unwrap_or(VaultSettings::DEFAULT_TIMEOUT);
        Some(VaultSettings {
            address: address?,
            namespace: namespace.map_or(Some(None), |known| known.map(Some))?,
            mount: mount?,
            name: name?,
            login: login?,
            ca: ca.map_or(Some(None), |pem| pem.map(Some))?,
            cluster,
            timeout,
        })
    }

    /// A token, or a role: one way in, not two. Whether a token's file is there is seen when it is used, since others renew it.
    fn vault_login(&self, table: &Table<'_>) -> Option<VaultLogin> {
        let (file, variable) = (table.optional("token-file"), table.optional("token-env"));
        let (role, secret) = (table.optional("role-id"), table.optional("secret-id-file"));
        let mount = table.optional("role-mount").map_or(Some(VaultSettings::DEFAULT_ROLE_MOUNT.to_owned()), path);
        match (file, variable, role, secret) {
            (Some(file), None, None, None) => Some(VaultLogin::TokenFile(self.folder.join(file.str()?))),
            (None, Some(variable), None, None) => {
                self.variable(variable, variable.str()?).map(|token| VaultLogin::Token(token.into()))
            }
            (None, None, Some(role), Some(secret)) => Some(VaultLogin::AppRole {
                mount: mount?,
                role_id: role.str()?.to_owned(),
                secret_id_file: self.folder.join(secret.str()?),
            }),
            _ => {
                let message = "give one of `token-file`, `token-env`, or `role-id` with `secret-id-file`";
                table.error(message, Some("secrets come from files or environment variables, never from this file".to_owned()));
                None
            }
        }
    }
}

/// Keys travel over this: in the clear only within the machine.
pub(super) fn safe_address(item: Item<'_>) -> Option<String> {
    let address = endpoint(item)?;
    let host = address.strip_prefix("http://").and_then(|rest| rest.parse::<http::uri::Authority>().ok());
    let within = host.as_ref().is_none_or(|host| {
        let name = host.host().trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    if !within {
        item.error(format!("`{}` must be `https://`: keys would travel in the clear", item.key()), None);
        return None;
    }
    Some(address)
}

/// Segments that need no escaping in a URL, with slashes between them.
fn path(item: Item<'_>) -> Option<String> {
    let text = item.str()?.trim_matches('/');
    let plain = |segment: &str| is_plain(segment);
    if !text.split('/').all(plain) {
        item.error(
            format!("`{}` must be names of letters, digits, `-`, `_` and `.` with slashes between them", item.key()),
            None,
        );
        return None;
    }
    Some(text.to_owned())
}

fn segment(item: Item<'_>) -> Option<String> {
    let text = item.str()?;
    if !is_plain(text) {
        item.error(format!("`{}` must be a name of letters, digits, `-`, `_` and `.`", item.key()), None);
        return None;
    }
    Some(text.to_owned())
}

fn is_plain(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && !matches!(text, "." | "..") && text.bytes().all(known)
}
