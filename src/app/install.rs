//! The self-contained installation that `domicile serve` makes when there is no configuration.

use std::{
    collections::BTreeSet,
    fs, io,
    io::Write,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use super::{folders, policies};
use crate::authn::{AccessKey, Principal, Role, Token, TokenHash};
use crate::config::{Admin, Backend, Config, Engine, Environment, Key, Keyring, Limits, Log, Provider, S3, Site, SiteChecks};
use crate::digest;
use crate::lifecycle::Pace;
use crate::policy::Approval;
use crate::scrub::Continuous;
use crate::server::{AddressError, Reserved};
use crate::types::{Country, KeyId, PrincipalId, SiteId};

/// The operator's token, relative to the data folder.
pub const OPERATOR_TOKEN_FILE: &str = "credentials/operator.token";

const ROLES: [Role; 4] = [Role::Auditor, Role::PolicyAdmin, Role::Operator, Role::Legal];

/// The installation, ready to start.
#[derive(Debug)]
pub struct Installation {
    /// What to start.
    pub config: Config,
    /// Whether this is its first start.
    pub first_start: bool,
    /// The key pair of the one principal.
    pub access_key_id: String,
    /// Its secret half.
    pub secret: SecretString,
}

/// The installation cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A file.
    #[error("cannot read or write `{}`: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One half of a key pair without the other.
    #[error("set both DOMICILE_ACCESS_KEY_ID and DOMICILE_SECRET_ACCESS_KEY, or neither")]
    HalfKeyPair,
    /// Nothing is made that could not be served.
    #[error("{0}; choose another address with --s3 or --admin")]
    Listen(#[from] AddressError),
    /// A constant of this program breaks its own rules.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Installation {
    /// Opens the installation in `data_dir`, or makes it: two `fs` sites, a principal, one token a role. What is generated is kept in
    /// files that only their owner can read; key pair and operator's token from the environment come before those.
    ///
    /// # Errors
    /// When a file cannot be read or written, or it would have to be made and its addresses are not to be had.
    pub fn open(data_dir: &Path, s3: SocketAddr, admin: SocketAddr, environment: &dyn Environment) -> Result<Self, InstallError> {
        let folder = data_dir.join("credentials");
        let first_start = !folder.exists();
        if first_start {
            let _free = Reserved::two(s3, admin)?;
        }
        folders::private(&folder).map_err(file_error(&folder))?;
        let (access_key_id, secret) = key_pair(&folder, environment)?;
        let tokens = ROLES.iter().map(|role| token(&folder, *role, environment)).collect::<Result<Vec<_>, _>>()?;
        let (pk, sg) = (country("PK")?, country("SG")?);
        let principal = Principal {
            country: Some(sg),
            ..name(Principal::unrestricted("default", vec![AccessKey::new(access_key_id.clone(), secret.clone())]))?
        };
        let site = |id: &str, country, key: &str| {
            let path = data_dir.join("sites").join(id);
            Ok::<_, InstallError>(Site {
                id: name(SiteId::new(id))?,
                country,
                key: name(KeyId::new(key))?,
                backend: Backend::Fs { path },
                concurrency: Site::DEFAULT_CONCURRENCY,
                accept: BTreeSet::new(),
            })
        };
        let key =
            |id: &str, country| Ok::<_, InstallError>(Key { id: name(KeyId::new(id))?, country, provider: Provider::Keyring });
        let config = Config {
            file: None,
            data_dir: data_dir.to_owned(),
            policies: policies::default_source(),
            approval: Approval::default(),
            sites_per_country: 1,
            gateway_country: Some(sg),
            log: Log::default(),
            limits: Limits::default(),
            gc_grace: Config::DEFAULT_GRACE,
            lifecycle: Pace::default(),
            scrub: Continuous::default(),
            site_checks: SiteChecks::default(),
            ledger: Default::default(),
            erasure_within: Config::DEFAULT_ERASURE,
            directory_ids: Default::default(),
            s3: S3 { listen: s3, ..S3::default() },
            admin: Admin { listen: admin, ..Admin::default() },
            engine: Engine::Sled { cache: Engine::DEFAULT_CACHE },
            accept_imported: false,
            keyring: Keyring::in_folder(data_dir),
            subject_keys: crate::objects::SubjectKeyLife::default(),
            keys: vec![key("pk", pk)?, key("sg", sg)?],
            sites: vec![site("pk-khi", pk, "pk")?, site("sg-sin", sg, "sg")?],
            sources: Vec::new(),
            principals: vec![principal],
            accounts: Vec::new(),
            tokens,
            oidc: None,
        };
        Ok(Self { config, first_start, access_key_id, secret })
    }
}

/// From the environment, else from the files of an earlier start, else new.
fn key_pair(folder: &Path, environment: &dyn Environment) -> Result<(String, SecretString), InstallError> {
    match (environment.variable("DOMICILE_ACCESS_KEY_ID"), environment.variable("DOMICILE_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => return Ok((id, secret.into())),
        (None, None) => {}
        _ => return Err(InstallError::HalfKeyPair),
    }
    let id = kept(&folder.join("access-key-id"), || format!("DOM{}", hex::encode_upper(digest::random::<8>())))?;
    let secret = kept(&folder.join("secret-access-key"), || hex::encode(digest::random::<20>()))?;
    Ok((id.expose_secret().to_owned(), secret))
}

/// A role's token: its hash decides, the token itself lies beside it for people and commands on this machine.
fn token(folder: &Path, role: Role, environment: &dyn Environment) -> Result<Token, InstallError> {
    let id = name(PrincipalId::new(role.as_str()))?;
    let given = environment.variable("DOMICILE_ADMIN_TOKEN").filter(|_| role == Role::Operator);
    if let Some(given) = given {
        return Ok(Token { id, role, hash: TokenHash::of(&given), person: None });
    }
    let text = kept(&folder.join(format!("{role}.token")), || hex::encode(digest::random::<32>()))?;
    let hash = TokenHash::of(text.expose_secret());
    kept(&folder.join(format!("{role}.hash")), || hash.to_string())?;
    Ok(Token { id, role, hash, person: None })
}

/// The text of a file; when it is not there, it is made first, readable by its owner alone.
fn kept(path: &Path, make: impl FnOnce() -> String) -> Result<SecretString, InstallError> {
    match fs::read_to_string(path) {
        Ok(text) => {
            folders::private_file(path).map_err(file_error(path))?;
            Ok(text.trim().to_owned().into())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = make();
            let write = || {
                let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                writeln!(file, "{text}")?;
                file.sync_all()
            };
            write().map_err(file_error(path))?;
            Ok(text.into())
        }
        Err(error) => Err(file_error(path)(error)),
    }
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> InstallError {
    let path = path.to_owned();
    move |source| InstallError::File { path: path.clone(), source }
}

fn country(code: &str) -> Result<Country, InstallError> {
    code.parse().map_err(internal)
}

fn name<T, E: std::fmt::Display>(name: Result<T, E>) -> Result<T, InstallError> {
    name.map_err(internal)
}

fn internal(error: impl std::fmt::Display) -> InstallError {
    InstallError::Internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

    use super::*;

    #[derive(Default)]
    struct Variables(BTreeMap<&'static str, &'static str>);

    impl Environment for Variables {
        fn variable(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|value| (*value).to_owned())
        }
        fn file(&self, path: &Path) -> io::Result<String> {
            fs::read_to_string(path)
        }
    }

    fn open(folder: &Path, variables: Variables) -> Result<Installation, InstallError> {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        Installation::open(folder, any_port, any_port, &variables)
    }

    #[test]
    fn what_is_generated_stays_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path(), Variables::default()).unwrap();
        fs::set_permissions(folder.path().join("credentials/secret-access-key"), fs::Permissions::from_mode(0o644)).unwrap();
        let second = open(folder.path(), Variables::default()).unwrap();
        assert!(first.first_start && !second.first_start);
        assert_eq!(first.secret.expose_secret(), second.secret.expose_secret());
        for file in fs::read_dir(folder.path().join("credentials")).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let mode = fs::metadata(folder.path().join("credentials")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(folder.path().join(OPERATOR_TOKEN_FILE).exists());
    }

    #[test]
    fn the_environment_comes_first_and_must_be_whole() {
        let folder = tempfile::tempdir().unwrap();
        let both = Variables([("DOMICILE_ACCESS_KEY_ID", "AK"), ("DOMICILE_SECRET_ACCESS_KEY", "SK")].into());
        let installation = open(folder.path(), both).unwrap();
        assert_eq!((installation.access_key_id.as_str(), installation.secret.expose_secret()), ("AK", "SK"));
        let half = Variables([("DOMICILE_ACCESS_KEY_ID", "AK")].into());
        assert!(matches!(open(folder.path(), half), Err(InstallError::HalfKeyPair)));
    }
}
