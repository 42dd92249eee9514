//! From TOML to a [`Config`], reporting every mistake on the way.

mod key_holders;
mod keys;
mod ledger;
mod listeners;
mod oidc;
mod principals;
mod site_checks;
mod sources;
mod subject_keys;
mod values;

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};

use self::values::{at_least_one, bounded, endpoint, non_empty, owned, parsed, positive, span};
use super::{
    Admin, Backend, Config, Credentials, Engine, Environment, Keyring, Limits, Log, PolicySource, S3, S3Backend, Site, Source,
    check::{self, Places},
};
use crate::admin::{Quotas, login::LoginSettings};
use crate::authn::{Quota, UnsignedPayload};
use crate::bucket::BucketSettings;
use crate::diagnostics::{Diagnostic, Diagnostics, Document, Item, Table};
use crate::lifecycle::Pace;
use crate::objects::{self, Depth, DirectoryIds};
use crate::policy::Approval;
use crate::scrub::Continuous;
use crate::telemetry::LogFormat;
use crate::types::Country;

impl Config {
    /// The only version of the file there is.
    pub const VERSION: u64 = 1;
    /// How long garbage stays when nothing else is said.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(3600);

    /// Within which an erasure is to be complete.
    pub const DEFAULT_ERASURE: Duration = Duration::from_secs(24 * 3600);

    /// Reads a file and everything it refers to.
    ///
    /// # Errors
    /// Every mistake of the file, in the order of its lines.
    pub fn load(path: &Path, environment: &dyn Environment) -> Result<Self, Vec<Diagnostic>> {
        let name = path.display().to_string();
        let text = environment
            .file(path)
            .map_err(|error| vec![Diagnostic::of_file(&name, format!("cannot read the configuration: {error}"), None)])?;
        let config = Self::parse(&name, &text, path.parent().unwrap_or(Path::new("")), environment)?;
        Ok(Self { file: Some(path.to_owned()), ..config })
    }

    /// Reads the text of a file named `file`; relative paths in it begin at `folder`.
    ///
    /// # Errors
    /// Every mistake of the text, in the order of its lines.
    pub fn parse(file: &str, text: &str, folder: &Path, environment: &dyn Environment) -> Result<Self, Vec<Diagnostic>> {
        let document = Document::parse(file, text).map_err(|diagnostic| vec![diagnostic])?;
        let sink = Diagnostics::new();
        let config = Reader { folder, environment }.config(document.root(&sink));
        match config {
            Some(config) if !sink.has_errors() => Ok(config),
            _ => {
                let mut mistakes = sink.into_sorted();
                mistakes.dedup();
                Err(mistakes)
            }
        }
    }
}

impl Limits {
    /// S3 requests under way at a time when nothing else is said.
    pub const CONCURRENT_REQUESTS: NonZeroU32 = NonZeroU32::new(2048).unwrap();
    /// How many of them may be of nobody when nothing else is said.
    pub const ANONYMOUS_REQUESTS: NonZeroU32 = NonZeroU32::new(256).unwrap();
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            header_size: 64 << 10,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            connections: 4096,
            concurrent_requests: Self::CONCURRENT_REQUESTS,
            anonymous: Quota { concurrent_requests: Some(Self::ANONYMOUS_REQUESTS), ..Quota::default() },
            drain: Duration::from_secs(30),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Human, level: "info".to_owned() }
    }
}

impl Engine {
    /// The cache when nothing else is said: 1.5 GiB, which has room for a million keys. An index that is smaller takes less.
    pub const DEFAULT_CACHE: u64 = 1536 << 20;
}

impl S3 {
    /// Where S3 is served when nothing else is said.
    pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9000));
    /// The region that clients sign for when nothing else is said.
    pub const DEFAULT_REGION: &str = "us-east-1";
}

impl Admin {
    /// Where the admin API is served when nothing else is said.
    pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9001));
}

impl Site {
    /// Operations at one site at a time when nothing else is said.
    pub const DEFAULT_CONCURRENCY: usize = 256;
}

impl Source {
    /// Objects of a source that are read at a time when nothing else is said.
    pub const DEFAULT_CONCURRENCY: usize = 4;
}

impl Default for S3 {
    fn default() -> Self {
        Self {
            listen: Self::DEFAULT_LISTEN,
            region: Self::DEFAULT_REGION.to_owned(),
            base_domains: Vec::new(),
            external_hosts: Vec::new(),
            external_url: None,
            new_buckets: BucketSettings::closed(),
            unsigned_payload: UnsignedPayload::default(),
            post_signature_v2: false,
            customer_keys_over_http: false,
            anonymous_residence: false,
            tls: None,
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: Self::DEFAULT_LISTEN, tls: None, login: LoginSettings::default(), quota: Quotas::DEFAULT }
    }
}

impl Keyring {
    /// The keyring of an installation that does not say where its keyring is.
    pub fn in_folder(data_dir: &Path) -> Self {
        Self { path: data_dir.join("keyring.age"), identity_file: data_dir.join("operator.identity") }
    }
}

struct Reader<'e> {
    folder: &'e Path,
    environment: &'e dyn Environment,
}

impl Reader<'_> {
    /// Reads all tables, whatever mistakes the others have, and then what must hold between them.
    fn config(&self, root: Table<'_>) -> Option<Config> {
        self.version(&root);
        let data_dir = root.str("data-dir").map_or_else(|| self.folder.join("domicile-data"), |path| self.folder.join(path));
        let policies = root.str("policies").map_or(PolicySource::Bundled, |path| PolicySource::Folder(self.folder.join(path)));
        let approval = section(&root, "policy-approval", approval).flatten().unwrap_or_default();
        let sites_per_country = root.optional("sites-per-country").and_then(at_least_one).unwrap_or(1);
        let gateway_country = section(&root, "gateway", |table| table.parsed::<Country>("country")).flatten();
        let log = section(&root, "log", log).unwrap_or_default();
        let limits = section(&root, "limits", limits).unwrap_or_default();
        let gc_grace = section(&root, "gc", |table| span(table, "grace")).flatten().unwrap_or(Config::DEFAULT_GRACE);
        let lifecycle = section(&root, "lifecycle", lifecycle).unwrap_or_default();
        let scrub = section(&root, "scrub", scrub).unwrap_or_default();
        let site_checks = section(&root, "site-checks", site_checks::read).unwrap_or_default();
        let ledger = section(&root, "ledger", ledger::read).unwrap_or_default();
        let erasure_within =
            section(&root, "erasure", |table| span(table, "within")).flatten().unwrap_or(Config::DEFAULT_ERASURE);
        let directory_ids = section(&root, "directory", directory_ids).unwrap_or_default();
        let s3 = section(&root, "s3", |table| self.s3(table)).unwrap_or_default();
        let admin = section(&root, "admin", |table| self.admin(table)).unwrap_or_default();
        let engine = section(&root, "index", engine).flatten().unwrap_or(Engine::Sled { cache: Engine::DEFAULT_CACHE });
        let keyring =
            section(&root, "keyring", |table| self.keyring(table, &data_dir)).unwrap_or_else(|| Keyring::in_folder(&data_dir));
        let subject_keys = section(&root, "keys", subject_keys::read).unwrap_or_default();

        let mut places = Places::default();
        let keys = each(&root, "key", &mut places.keys, |table| self.key(table));
        let sites = each(&root, "site", &mut places.sites, |table| self.site(table));
        let sources = each(&root, "source", &mut places.sources, |table| self.source(table));
        let principals = each(&root, "principal", &mut places.principals, |table| self.principal(table));
        let accounts = each(&root, "account", &mut places.accounts, |table| self.account(table));
        let tokens = each(&root, "token", &mut places.tokens, |table| self.token(table));
        let oidc = section(&root, "oidc", |table| self.oidc(table)).flatten();
        let config = Config {
            file: None,
            data_dir,
            policies,
            approval,
            sites_per_country,
            gateway_country,
            log,
            limits,
            gc_grace,
            lifecycle,
            scrub,
            site_checks,
            ledger,
            erasure_within,
            directory_ids,
            s3,
            admin,
            engine,
            accept_imported: false,
            keyring,
            subject_keys,
            keys,
            sites,
            sources,
            principals,
            accounts,
            tokens,
            oidc,
        };
        check::whole(&config, &places, &root);
        root.finish();
        Some(config)
    }

    fn version(&self, root: &Table<'_>) {
        let Some(item) = root.required("version") else { return };
        if item.u64().is_some_and(|version| version != Config::VERSION) {
            item.error("this program reads version 1 of the configuration", Some("write `version = 1`".to_owned()));
        }
    }

    fn keyring(&self, table: &Table<'_>, data_dir: &Path) -> Keyring {
        let path = table.str("path").map_or_else(|| Keyring::in_folder(data_dir).path, |path| self.folder.join(path));
        let identity_file = table.str("identity-file").map(|path| self.folder.join(path));
        Keyring { identity_file: identity_file.unwrap_or_else(|| path.with_file_name("operator.identity")), path }
    }

    fn site(&self, table: &Table<'_>) -> Option<Site> {
        let id = parsed(table, "id");
        let country = parsed(table, "country");
        let key = parsed(table, "key");
        let backend = match table.required("backend").and_then(|item| item.one_of(&[("fs", false), ("s3", true)])) {
            Some(false) => self.required_path(table, "path").map(|path| Backend::Fs { path }),
            Some(true) => self.s3_backend(table).map(|backend| Backend::S3(Box::new(backend))),
            None => {
                // What kind it is cannot be told; its other keys are nobody's mistake.
                table.entries().for_each(drop);
                None
            }
        };
        let concurrency = table.optional("concurrency").and_then(at_least_one).unwrap_or(Site::DEFAULT_CONCURRENCY);
        let accept = site_checks::accepted(table, backend.as_ref());
        Some(Site { id: id?, country: country?, key: key?, backend: backend?, concurrency, accept })
    }

    fn s3_backend(&self, table: &Table<'_>) -> Option<S3Backend> {
        let bucket = table.required("bucket").and_then(Item::str);
        let service = self.s3_service(table);
        Some(S3Backend { bucket: bucket?.to_owned(), service: service? })
    }

    /// A key pair from `credentials-env`, or from `access-key-id` and `secret-file`.
    fn credentials(&self, table: &Table<'_>) -> Option<Credentials> {
        let prefix = table.optional("credentials-env");
        let access_key_id = table.str("access-key-id");
        let file = table.optional("secret-file");
        match (prefix, access_key_id, file) {
            (Some(prefix), None, None) => {
                let name = prefix.str()?;
                let id = self.variable(prefix, &format!("{name}_ACCESS_KEY_ID"));
                let secret = self.variable(prefix, &format!("{name}_SECRET_ACCESS_KEY"));
                Some(Credentials { access_key_id: id?, secret: secret?.into() })
            }
            (None, Some(id), Some(file)) => Some(Credentials { access_key_id: id.to_owned(), secret: self.secret_file(file)? }),
            _ => {
                let message = "give either `credentials-env`, or `access-key-id` and `secret-file`";
                table.error(message, Some("secrets come from files or environment variables, never from this file".to_owned()));
                None
            }
        }
    }

    /// What `<name>-file` or `<name>-env` points to; exactly one of the two must be there.
    fn secret(&self, table: &Table<'_>, name: &str) -> Option<SecretString> {
        let (file_key, variable_key) = (format!("{name}-file"), format!("{name}-env"));
        match (table.optional(&file_key), table.optional(&variable_key)) {
            (Some(file), None) => self.secret_file(file),
            (None, Some(variable)) => self.variable(variable, variable.str()?).map(SecretString::from),
            _ => {
                table.error(format!("give either `{file_key}` or `{variable_key}`"), None);
                None
            }
        }
    }

    fn secret_file(&self, item: Item<'_>) -> Option<SecretString> {
        let path = self.folder.join(item.str()?);
        match self.environment.secret_file(&path) {
            Ok(secret) if secret.expose_secret().is_empty() => {
                item.error(format!("`{}` is empty", path.display()), None);
                None
            }
            Ok(secret) => Some(secret),
            Err(error) => {
                item.error(format!("cannot read `{}`: {error}", path.display()), None);
                None
            }
        }
    }

    /// What a file that is no secret holds, as a certificate.
    fn text_file(&self, item: Item<'_>) -> Option<String> {
        self.secret_file(item).map(|text| text.expose_secret().to_owned())
    }

    fn variable(&self, item: Item<'_>, name: &str) -> Option<String> {
        let value = self.environment.variable(name);
        if value.is_none() {
            item.error(format!("the environment variable `{name}` is not set"), None);
        }
        value
    }

    fn required_path(&self, table: &Table<'_>, key: &str) -> Option<PathBuf> {
        table.required(key).and_then(non_empty).map(|path| self.folder.join(path))
    }
}

fn directory_ids(table: &Table<'_>) -> DirectoryIds {
    let words = [("kept", DirectoryIds::Kept), ("hashed", DirectoryIds::Hashed)];
    table.optional("ids").and_then(|item| item.one_of(&words)).unwrap_or_default()
}

fn log(table: &Table<'_>) -> Log {
    let format = table
        .optional("format")
        .and_then(|item| item.one_of(&[("human", LogFormat::Human), ("json", LogFormat::Json)]))
        .unwrap_or(LogFormat::Human);
    Log { format, level: table.str("level").unwrap_or("info").to_owned() }
}

fn limits(table: &Table<'_>) -> Limits {
    let default = Limits::default();
    let memory = table.optional("memory").and_then(|item| bounded(item, 32 << 20, u64::MAX));
    let header_size = table.optional("header-size").and_then(|item| bounded(item, 8 << 10, 1 << 20));
    Limits {
        memory: memory.unwrap_or(default.memory),
        header_size: header_size.and_then(|size| usize::try_from(size).ok()).unwrap_or(default.header_size),
        header_timeout: span(table, "header-timeout").unwrap_or(default.header_timeout),
        body_timeout: span(table, "body-timeout").unwrap_or(default.body_timeout),
        connections: table.optional("connections").and_then(at_least_one).unwrap_or(default.connections),
        concurrent_requests: positive(table, "concurrent-requests").unwrap_or(default.concurrent_requests),
        anonymous: Quota {
            requests_per_second: positive(table, "anonymous-requests-per-second").or(default.anonymous.requests_per_second),
            concurrent_requests: positive(table, "anonymous-concurrent-requests").or(default.anonymous.concurrent_requests),
        },
        drain: span(table, "drain").unwrap_or(default.drain),
    }
}

fn lifecycle(table: &Table<'_>) -> Pace {
    let default = Pace::default();
    Pace { interval: span(table, "interval").unwrap_or(default.interval), day: span(table, "day").unwrap_or(default.day) }
}

fn scrub(table: &Table<'_>) -> Continuous {
    let default = Continuous::default();
    let bytes = table.optional("bytes-per-second").and_then(|item| bounded(item, 1, u64::MAX));
    let requests = positive(table, "requests-per-second").map(|rate| u64::from(rate.get()));
    Continuous {
        on: table.bool("continuous").unwrap_or(default.on),
        depth: if table.bool("deep").unwrap_or_default() { Depth::Whole } else { Depth::Head },
        pace: objects::Pace { bytes_per_second: bytes, requests_per_second: requests.or(default.pace.requests_per_second) },
        pause: span(table, "pause").unwrap_or(default.pause),
    }
}

fn engine(table: &Table<'_>) -> Option<Engine> {
    // Known, so that the message below is the only one.
    let _ = table.optional("url-env");
    let cache = table.optional("cache").and_then(|item| bounded(item, 16 << 20, 1 << 40)).unwrap_or(Engine::DEFAULT_CACHE);
    let Some(item) = table.optional("engine") else { return Some(Engine::Sled { cache }) };
    match item.one_of(&[("sled", true), ("postgres", false)])? {
        true => Some(Engine::Sled { cache }),
        false => {
            item.error("the engine `postgres` is not built yet", Some("use `sled`".to_owned()));
            None
        }
    }
}

/// Reads an optional table and reports the keys in it that nobody knows.
fn section<'d, T>(parent: &Table<'d>, name: &str, read: impl FnOnce(&Table<'d>) -> T) -> Option<T> {
    let table = parent.table(name)?;
    let value = read(&table);
    table.finish();
    Some(value)
}

/// Reads every `[[name]]`; those with mistakes are left out. `places` gets where each of the others stands.
fn each<'d, T>(
    root: &Table<'d>,
    name: &str,
    places: &mut Vec<Table<'d>>,
    mut read: impl FnMut(&Table<'d>) -> Option<T>,
) -> Vec<T> {
    let mut values = Vec::new();
    for (table, place) in root.tables(name).into_iter().zip(root.tables(name)) {
        if let Some(value) = read(&table) {
            values.push(value);
            places.push(place);
        }
        table.finish();
    }
    values
}

/// `[policy-approval]`
fn approval(table: &Table<'_>) -> Option<Approval> {
    let words = [Approval::Never, Approval::Loosening, Approval::Always].map(|approval| (approval.as_str(), approval));
    table.required("require").and_then(|item| item.one_of(&words))
}
