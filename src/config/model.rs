//! What a checked configuration says.

use std::{collections::BTreeSet, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use secrecy::SecretString;

use crate::admin::login::{LoginSettings, OidcSettings};
use crate::authn::{DuplicateAccessKey, Principal, Principals, Quota, Token, UnsignedPayload};
use crate::backend::Check;
use crate::bucket::BucketSettings;
#[cfg(feature = "pkcs11")]
use crate::kms::Pkcs11Settings;
use crate::kms::{AwsKmsSettings, VaultSettings};
use crate::lifecycle::Pace;
use crate::notary;
use crate::objects::{DirectoryIds, RecordedReads, SubjectKeyLife};
use crate::policy::{Approval, Glob};
use crate::scrub::Continuous;
use crate::telemetry::LogFormat;
use crate::types::{AccountId, Country, KeyId, SiteId, SourceId};

/// A whole installation. Paths are as the file gives them, relative ones resolved against the file's folder.
#[derive(Debug)]
pub struct Config {
    /// The file that it was read from, to be read again when credentials change; none for the installation without one.
    pub file: Option<PathBuf>,
    /// Where index, keyring and lock live.
    pub data_dir: PathBuf,
    /// Where the policies come from.
    pub policies: PolicySource,
    /// Which changes of them a second person has to approve.
    pub approval: Approval,
    /// How many sites of a country hold each copy that the country must hold.
    pub sites_per_country: usize,
    /// Where this gateway runs: a processing country.
    pub gateway_country: Option<Country>,
    /// What is logged, and how.
    pub log: Log,
    /// What clients may use up.
    pub limits: Limits,
    /// How long a blob that became garbage stays; must be longer than the longest read.
    pub gc_grace: Duration,
    /// How lifecycle rules are carried out.
    pub lifecycle: Pace,
    /// How the sites are scrubbed without an order.
    pub scrub: Continuous,
    /// How often it is looked at how sites are set up, and what an alarm does.
    pub site_checks: SiteChecks,
    /// The ledger's name and who vouches for it.
    pub ledger: Ledger,
    /// Within this time of its acceptance an erasure is to be complete.
    pub erasure_within: Duration,
    /// What the subject directory keeps of ids.
    pub directory_ids: DirectoryIds,
    /// The S3 listener.
    pub s3: S3,
    /// The admin listener.
    pub admin: Admin,
    /// The index's engine.
    pub engine: Engine,
    /// Whether to serve an index that was imported without all of its sites. Said on the command line, at each start.
    pub accept_imported: bool,
    /// The local keyring.
    pub keyring: Keyring,
    /// When subject keys get another generation by themselves.
    pub subject_keys: SubjectKeyLife,
    /// Country keys.
    pub keys: Vec<Key>,
    /// Storage locations; their order is the order of failover inside a country.
    pub sites: Vec<Site>,
    /// Foreign services that objects can be imported from.
    pub sources: Vec<Source>,
    /// Application backends.
    pub principals: Vec<Principal>,
    /// What is known of the accounts that they belong to.
    pub accounts: Vec<Account>,
    /// Holders of admin tokens.
    pub tokens: Vec<Token>,
    /// The OpenID provider whose tokens are taken besides.
    pub oidc: Option<OidcSettings>,
}

impl Config {
    /// The principals, with what is known of their accounts.
    ///
    /// # Errors
    /// Two of them share an access key id.
    pub fn known_principals(&self) -> Result<Principals, DuplicateAccessKey> {
        let emails = self.accounts.iter().map(|account| (account.email.clone(), account.id.clone()));
        Ok(Principals::new(self.principals.clone())?.with_emails(emails.collect()))
    }
}

/// `[[account]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name: what S3 calls the canonical user id.
    pub id: AccountId,
    /// The address that it goes by in the grants of ACLs, in lower case.
    pub email: String,
}

/// Where policies come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicySource {
    /// `gateway.toml` and one folder an instrument.
    Folder(PathBuf),
    /// Those compiled into the program.
    Bundled,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// A `tracing` filter such as `info` or `info,domicile=debug`.
    pub level: String,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in flight, all requests together.
    pub memory: u64,
    /// Bytes of a request's head.
    pub header_size: usize,
    /// How long a client may take to send a request's head.
    pub header_timeout: Duration,
    /// How long a client may send nothing of a body, or take nothing of an answer.
    pub body_timeout: Duration,
    /// Open connections a listener.
    pub connections: usize,
    /// S3 requests under way at a time, of all callers.
    pub concurrent_requests: NonZeroU32,
    /// Of those who do not sign, together.
    pub anonymous: Quota,
    /// How long a shutdown waits for requests under way.
    pub drain: Duration,
}

/// `[site-checks]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteChecks {
    /// Pause between two looks.
    pub every: Duration,
    /// Whether a site takes nothing new while an alarm stands.
    pub refuse_writes: bool,
}

/// `[ledger]`
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// The name under which checkpoints are signed; without, one made of the installation's id.
    pub origin: Option<String>,
    /// When they are kept, and who is asked to vouch for them.
    pub notary: notary::Settings,
    /// Which reads of content have an entry.
    pub reads: RecordedReads,
}

/// `[s3]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3 {
    /// Address and port.
    pub listen: SocketAddr,
    /// The region that clients sign for.
    pub region: String,
    /// Hosts under which `bucket.host` names a bucket.
    pub base_domains: Vec<String>,
    /// Hosts that clients sign for while a proxy in between sends another `Host`.
    pub external_hosts: Vec<String>,
    /// `https://host[:port]` under which clients reach the gateway, for addresses in answers; as the request has it when absent.
    pub external_url: Option<String>,
    /// Whether bodies may come that no signature covers.
    pub unsigned_payload: UnsignedPayload,
    /// Whether forms may be signed by Signature Version 2.
    pub post_signature_v2: bool,
    /// Whether keys of the client's own (SSE-C) may come over plain HTTP.
    pub customer_keys_over_http: bool,
    /// Whether answers to unsigned requests say where a record lives and why.
    pub anonymous_residence: bool,
    /// What a bucket is created with unless the request says otherwise: its object ownership and its public access block.
    pub new_buckets: BucketSettings,
    /// Plain HTTP when absent.
    pub tls: Option<Tls>,
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Address and port.
    pub listen: SocketAddr,
    /// Plain HTTP when absent.
    pub tls: Option<Tls>,
    /// How people sign in with a browser.
    pub login: LoginSettings,
    /// What one bearer of a token may use up.
    pub quota: Quota,
}

/// A listener's certificate; read again when the files change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM chain, the server's own certificate first.
    pub cert: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// PEM of the authorities whose clients may connect; anyone may when absent.
    pub client_ca: Option<PathBuf>,
}

/// `[index]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Embedded, one gateway.
    Sled {
        /// Bytes of the index that are kept in memory. What does not fit is read from the disk again.
        cache: u64,
    },
}

/// `[keyring]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    /// The encrypted keyring.
    pub path: PathBuf,
    /// The age identity that opens it.
    pub identity_file: PathBuf,
}

/// `[[key]]`
#[derive(Debug, Clone)]
pub struct Key {
    /// Its name.
    pub id: KeyId,
    /// The country whose records it seals.
    pub country: Country,
    /// Who holds it.
    pub provider: Provider,
}

/// Holders of country keys.
#[derive(Debug, Clone)]
pub enum Provider {
    /// The local keyring file.
    Keyring,
    /// The Transit engine of OpenBao or HashiCorp Vault.
    Vault(Box<VaultSettings>),
    /// AWS KMS.
    AwsKms(Box<AwsKmsSettings>),
    /// A security module.
    #[cfg(feature = "pkcs11")]
    Pkcs11(Box<Pkcs11Settings>),
}

/// `[[site]]`
#[derive(Debug)]
pub struct Site {
    /// Its name.
    pub id: SiteId,
    /// Where it stands.
    pub country: Country,
    /// The key that seals what it holds.
    pub key: KeyId,
    /// What it is.
    pub backend: Backend,
    /// Operations in flight at a time.
    pub concurrency: usize,
    /// What of it is known and may stay as it is.
    pub accept: BTreeSet<Check>,
}

/// What a site is.
#[derive(Debug)]
pub enum Backend {
    /// A folder.
    Fs {
        /// The folder, created when absent.
        path: PathBuf,
    },
    /// A bucket at an S3 service.
    S3(Box<S3Backend>),
}

/// A bucket at an S3 service.
#[derive(Debug)]
pub struct S3Backend {
    /// The bucket that holds the blobs.
    pub bucket: String,
    /// The service.
    pub service: S3Service,
}

/// `[[source]]`: a foreign service whose objects can be imported.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name.
    pub id: SourceId,
    /// The buckets that may be named; all when there is none.
    pub buckets: Vec<Glob>,
    /// Whether its entity tags say nothing of the bytes.
    pub opaque_etags: bool,
    /// Objects that are read at a time.
    pub concurrency: usize,
    /// How to reach it.
    pub service: S3Service,
}

/// How to reach an S3 service.
#[derive(Debug, Clone)]
pub struct S3Service {
    /// `https://host[:port]`
    pub endpoint: String,
    /// The region to sign for.
    pub region: String,
    /// How the bucket is named in a URL.
    pub addressing: Addressing,
    /// PEM of a private certificate authority.
    pub ca: Option<String>,
    /// The key pair.
    pub credentials: Credentials,
    /// How long one attempt at a request may take until the answer's headers, sending the body included.
    pub attempt_timeout: Duration,
    /// How long the body of an answer may pause.
    pub stall_timeout: Duration,
}

/// How a URL names a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// `https://endpoint/bucket/key`
    Path,
    /// `https://bucket.endpoint/key`
    Virtual,
}

/// The key pair of a site or a source.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Not secret.
    pub access_key_id: String,
    /// Secret.
    pub secret: SecretString,
}
