//! Opens what a gateway stands on: lock, keyring, index, sites, policies.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{StartError, folders, policies};
use crate::audit::note::Signer;
use crate::backend::{Addressing, Backend, FsBackend, S3Backend, S3Config, S3Credentials, Site, SiteChecks, SiteLimits};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Engine};
use crate::diagnostics::{Diagnostic, Severity};
use crate::index::{FolderSet, Index, IndexError, IndexKeys, MAX_POLICY_TEXTS, PolicyTexts, SledEngine};
use crate::kms::{AwsKms, Hierarchy, KeyIdentity, KeyProvider, Keyring, KmsError, Pseudonyms, VaultProvider};
use crate::policy::{Available, PolicyFile, PolicySet};
use crate::residency::SiteSpec;
use crate::types::{Country, KeyId, SiteId};

/// Subject keys among which one is chosen that its country's key must open.
const SOME_KEYS: usize = 64;

/// Takes the data folder for this process alone, and ends a swap of its index that was broken off. The lock ends with the process, however
/// it ends.
pub(super) fn lock(data_dir: &Path) -> Result<File, StartError> {
    let path = data_dir.join("lock");
    let file_error = |source| StartError::File { path: path.clone(), source };
    let data_error = |source| StartError::File { path: data_dir.to_owned(), source };
    if folders::make(data_dir).map_err(data_error)? {
        let advice = "the folders in it are closed to them; `chmod 700` it unless its volume needs it so";
        tracing::warn!(folder = %data_dir.display(), advice, "others can enter the data folder");
    }
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(file_error)?;
    match file.try_lock() {
        Ok(()) => {
            super::swap::complete(data_dir, SystemClock.now().millis()).map_err(data_error)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(StartError::Locked { data_dir: data_dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(file_error(source)),
    }
}

/// Opens the keyring. Only an installation that has no index yet gets a new one: an index without its keyring is a loss to look into,
/// not a reason to begin anew.
pub(super) fn keyring(config: &Config, clock: &Arc<dyn Clock>) -> Result<Keyring, StartError> {
    let held = config.keys.iter().filter(|key| matches!(key.provider, config::Provider::Keyring));
    let keys: Vec<(KeyId, Country)> = held.map(|key| (key.id.clone(), key.country)).collect();
    let keyring = if config.keyring.path.exists() {
        Keyring::open(&config.keyring.path, &config.keyring.identity_file, Arc::clone(clock))?
    } else if index_folder(&config.data_dir).exists() {
        return Err(StartError::KeyringMissing { path: config.keyring.path.clone() });
    } else {
        if let Some(folder) = config.keyring.path.parent() {
            fs::create_dir_all(folder).map_err(|source| StartError::File { path: folder.to_owned(), source })?;
        }
        let created = Keyring::create(&config.keyring.path, &keys, Arc::clone(clock))?;
        tracing::warn!(advice = created.advice, "keyring created");
        created.keyring
    };
    for (key, country) in &keys {
        keyring.ensure(key, *country)?;
    }
    Ok(keyring)
}

/// The country keys, each with its provider. Those that cannot be reached do not keep it from being made.
pub(super) async fn hierarchy(config: &Config, keyring: &Keyring) -> Result<Hierarchy, StartError> {
    let mut providers = Vec::with_capacity(config.keys.len());
    for key in &config.keys {
        providers.push((key.id.clone(), key.country, provider(key, keyring).await?));
    }
    Ok(Hierarchy::new(providers, keyring.installation_id()))
}

/// Has every country's key open something that it wrapped before, where there is anything.
pub(super) async fn hold_keys_to_what_they_wrapped(hierarchy: &Hierarchy, index: &Index) -> Result<(), StartError> {
    for (key, _) in hierarchy.countries() {
        // Of some, the one of the newest version: an older one may not be allowed to open anything any more, and the key still be right.
        let some = index.subject_keys_of(key.clone(), None, SOME_KEYS).await?;
        if let Some(wrapped) = some.iter().max_by_key(|wrapped| hierarchy.version_of(wrapped).unwrap_or(0)) {
            hierarchy.hold_to(wrapped)?;
        }
    }
    Ok(())
}

/// Asks every provider how it is. A key that must not be used stops the start; one that cannot be had now stops its own country alone, until
/// it can.
pub(super) async fn look_at_keys(hierarchy: &Hierarchy) -> Result<(), StartError> {
    for (key, health) in hierarchy.health_of_all().await {
        match health {
            Err(error @ KmsError::Unsuitable { .. }) => return Err(error.into()),
            Err(error) => tracing::error!(%key, %error, "key is not in service"),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Whoever holds a country's key, by what the configuration says of it.
async fn provider(key: &config::Key, keyring: &Keyring) -> Result<Arc<dyn KeyProvider>, StartError> {
    let identity = KeyIdentity { id: key.id.clone(), country: key.country, installation: keyring.installation_id() };
    match &key.provider {
        config::Provider::Keyring => Ok(keyring.provider(&key.id, key.country)?),
        config::Provider::AwsKms(settings) => Ok(Arc::new(AwsKms::new(identity, settings, Arc::new(SystemClock)))),
        #[cfg(feature = "pkcs11")]
        config::Provider::Pkcs11(settings) => {
            Ok(Arc::new(crate::kms::Pkcs11Provider::new(identity, settings, Arc::new(SystemClock))))
        }
        config::Provider::Vault(settings) => Ok(Arc::new(VaultProvider::new(identity, settings.as_ref().clone())?)),
    }
}

pub(super) fn index(
    config: &Config,
    keyring: &Keyring,
    pseudonyms: &Arc<Pseudonyms>,
    clock: &Arc<dyn Clock>,
) -> Result<Index, StartError> {
    let folder = index_folder(&config.data_dir);
    folders::private(&folder).map_err(|source| StartError::File { path: folder.clone(), source })?;
    let engine = match config.engine {
        Engine::Sled { cache } => SledEngine::open(&folder, cache)?,
    };
    Ok(Index::open(
        Arc::new(engine),
        index_keys(keyring, log(config.ledger.origin.as_deref(), keyring)?, pseudonyms),
        Arc::clone(clock),
    )?)
}

/// What the index works with.
pub(super) fn index_keys(keyring: &Keyring, log: Signer, pseudonyms: &Arc<Pseudonyms>) -> IndexKeys {
    let (index_key, ledger_key) = (keyring.index_key(), keyring.ledger_key());
    IndexKeys { index_key, ledger_key, log, pseudonyms: Arc::clone(pseudonyms) }
}

/// Signs the ledger's checkpoints under its name, which is the installation's where nothing else is said.
pub(super) fn log(origin: Option<&str>, keyring: &Keyring) -> Result<Signer, StartError> {
    let own = || format!("domicile/{}", hex::encode(keyring.installation_id()));
    let origin = origin.map_or_else(own, str::to_owned);
    Ok(Signer::new(&origin, keyring.ledger_signing_key().expose()).map_err(IndexError::from)?)
}

pub(super) fn specs(config: &Config) -> Vec<SiteSpec> {
    config.sites.iter().map(spec).collect()
}

fn spec(site: &config::Site) -> SiteSpec {
    SiteSpec { id: site.id.clone(), country: site.country, key: site.key.clone() }
}

/// The sites but for those that are to be left alone.
pub(super) fn sites(config: &Config, without: &[SiteId]) -> Result<Vec<Site>, StartError> {
    let site = |site: &config::Site| {
        let backend: Arc<dyn Backend> = match &site.backend {
            config::Backend::Fs { path } => Arc::new(FsBackend::open(site.id.clone(), path)?),
            config::Backend::S3(s3) => Arc::new(S3Backend::new(site.id.clone(), &s3_config(&s3.service, &s3.bucket))?),
        };
        let limits = SiteLimits { concurrency: site.concurrency, ..SiteLimits::default() };
        let checks = SiteChecks { accept: site.accept.clone(), refuse_writes: config.site_checks.refuse_writes };
        Ok(Site::new(spec(site), backend, limits).with_checks(checks))
    };
    config.sites.iter().filter(|site| !without.contains(&site.id)).map(site).collect()
}

pub(super) fn s3_config(s3: &config::S3Service, bucket: &str) -> S3Config {
    let credentials =
        S3Credentials { access_key_id: s3.credentials.access_key_id.clone(), secret_access_key: s3.credentials.secret.clone() };
    S3Config {
        addressing: match s3.addressing {
            config::Addressing::Path => Addressing::Path,
            config::Addressing::Virtual => Addressing::Virtual,
        },
        private_ca: s3.ca.clone().map(String::into_bytes),
        attempt_timeout: s3.attempt_timeout,
        stall_timeout: s3.stall_timeout,
        ..S3Config::new(&s3.endpoint, &s3.region, bucket, credentials)
    }
}

/// What the configuration can offer to policies.
pub fn available(config: &Config) -> Available {
    Available {
        countries_with_site: config.sites.iter().map(|site| site.country).collect::<BTreeSet<_>>(),
        countries_with_key: config.keys.iter().map(|key| key.country).collect::<BTreeSet<_>>(),
        gateway_country: config.gateway_country,
    }
}

/// A policy set as it was read: what it means and what it says.
#[derive(Debug)]
pub(super) struct ReadSet {
    pub(super) set: PolicySet,
    pub(super) texts: PolicyTexts,
}

impl ReadSet {
    /// Reads a set from the texts of its files, and checks it against what there is.
    pub(super) fn of(texts: PolicyTexts, available: &Available) -> Result<Self, Vec<Diagnostic>> {
        let files: Vec<PolicyFile> =
            texts.iter().map(|(path, text)| PolicyFile { path: path.clone(), text: text.clone() }).collect();
        Ok(Self { set: checked(&files, available)?, texts })
    }

    /// What tells it apart in a folder.
    pub(super) fn folder(&self) -> FolderSet {
        FolderSet::of(self.set.revision(), &self.texts)
    }
}

/// Reads the policies and checks them against what there is. Warnings are logged.
pub(super) fn policy_set(source: &config::PolicySource, available: &Available) -> Result<ReadSet, Vec<Diagnostic>> {
    let files = policies::files(source)
        .map_err(|error| vec![Diagnostic::of_file(policies::describe(source), error.to_string(), None)])?;
    let texts: PolicyTexts = files.into_iter().map(|file| (file.path, file.text)).collect();
    let bytes: usize = texts.iter().map(|(path, text)| path.len() + text.len()).sum();
    if bytes > MAX_POLICY_TEXTS {
        let message = format!("the files have {bytes} bytes, and a set that is kept has at most {MAX_POLICY_TEXTS}");
        return Err(vec![Diagnostic::of_file(policies::describe(source), message, None)]);
    }
    ReadSet::of(texts, available)
}

/// The set of these files, checked likewise.
pub(super) fn checked(files: &[PolicyFile], available: &Available) -> Result<PolicySet, Vec<Diagnostic>> {
    let set = PolicySet::parse(files)?;
    let clashes = set.analyse(SystemClock.now().to_datetime().date());
    let set = set.warned(clashes);
    let (errors, warnings): (Vec<_>, Vec<_>) =
        set.check(available).into_iter().partition(|diagnostic| diagnostic.severity == Severity::Error);
    for warning in set.warnings().iter().chain(&warnings) {
        tracing::warn!(%warning, "policy");
    }
    if errors.is_empty() { Ok(set) } else { Err(errors) }
}

/// The country that is told of what belongs to none: the gateway's own, when it has a site.
pub(super) fn home(config: &Config) -> Option<Country> {
    let countries: BTreeSet<Country> = config.sites.iter().map(|site| site.country).collect();
    config.gateway_country.filter(|home| countries.contains(home)).or(countries.first().copied())
}

pub(super) fn index_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("index")
}
