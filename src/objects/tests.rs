//! The use cases over an index and sites in memory.

mod alarms;
mod collecting;
mod committing;
mod copies;
mod customer_keys;
mod erasing;
mod foreign_keys;
mod generations;
mod kept;
mod moving;
mod processing;
mod queued;
pub(crate) mod renewing;
mod subject_keys;
mod uploads;
mod waiting;

use std::{
    collections::BTreeMap,
    error::Error,
    ops::{Bound, ControlFlow},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use parking_lot::Mutex;

use super::*;
use crate::{
    access::NoContext,
    audit::{Actor, Event, Kind},
    authn::{AccessKey, Authenticated, Principal},
    backend::{Installation, KnownSites, Site, SiteLimits, Standing, memory::MemoryBackend},
    clock::ManualClock,
    index::{Change, Engine, IndexKeys, MemoryEngine, PolicyChange, Record, WriteCondition},
    kms::{Keyring, SecretKey},
    policy::PolicyFile,
    residency::SiteSpec,
    types::{Attributes, BucketName, KeyId, ObjectKey, RequestId, SiteId, Timestamp},
};

pub(crate) const PK_ONLY: &str = "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\nkeys = [\"PK\"]\n";
const PK_FIRST: &str = "[require]\ncopies = \"first\"\ncountries = [\"PK\"]\n";
const SITES: [&str; 3] = ["pk-khi", "pk-lhe", "sg-sin"];

/// A gateway, and everything that it keeps when it is started anew.
pub(crate) struct World {
    pub(crate) objects: Objects,
    policies: Arc<ArcSwap<PolicySet>>,
    pub(crate) clock: Arc<ManualClock>,
    auth: Authenticated,
    request: RequestId,
    kept: Kept,
}

#[derive(Clone)]
struct Kept {
    engine: Arc<MemoryEngine>,
    backends: BTreeMap<&'static str, MemoryBackend>,
    known: Arc<Known>,
    keyring: Keyring,
    waiting: Arc<waiting::Wait>,
    _folder: Arc<tempfile::TempDir>,
}

#[derive(Default)]
struct Known(Mutex<BTreeMap<SiteId, u64>>);

impl KnownSites for Known {
    fn last_epoch(&self, site: &SiteId) -> Result<Option<u64>, Box<dyn Error + Send + Sync>> {
        Ok(self.0.lock().get(site).copied())
    }

    fn remember(&self, site: &SiteId, epoch: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.0.lock().insert(site.clone(), epoch);
        Ok(())
    }

    fn standing(&self, _: &SiteId) -> Result<Vec<Standing>, Box<dyn Error + Send + Sync>> {
        Ok(Vec::new())
    }

    fn record(&self, _: &SiteId, _: Standing, _: bool) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// Policies under which the data of subjects who reside in Pakistan are bound as `require` says.
pub(crate) fn policies(require: &str) -> Arc<PolicySet> {
    policies_with(require, &[])
}

/// The same with more instruments: their ids, and what they say from `[when]` on.
pub(crate) fn policies_with(require: &str, more: &[(&str, &str)]) -> Arc<PolicySet> {
    let gateway = "version = 1\n[subject]\nfrom = [\"key:{subject}/**\"]\n\
                   [attributes.residence]\nfrom = [\"directory\", \"principal\"]\n\
                   [no-subject]\nbuckets = { \"static-*\" = [\"SG\"] }\n[default]\ncountries = [\"SG\"]\n";
    let mut files = vec![PolicyFile { path: "gateway.toml".to_owned(), text: gateway.to_owned() }];
    let of_residents = format!("[when]\nresidence = [\"PK\"]\n{require}");
    for (id, rules) in [("pk", of_residents.as_str())].iter().chain(more) {
        let text = format!(
            "version = 1\nid = \"{id}\"\ntitle = \"T\"\nenforcement = \"on\"\nlegal-status = \"in-force\"\nsources = [\"s\"]\n{rules}"
        );
        files.push(PolicyFile { path: format!("{id}/policy.toml"), text });
    }
    Arc::new(PolicySet::parse(&files).unwrap())
}

fn site(name: &str) -> SiteId {
    SiteId::new(name).unwrap()
}

pub(crate) fn bucket() -> BucketName {
    BucketName::new("media").unwrap()
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

fn key_id(site: &str) -> KeyId {
    KeyId::new(&site[..2]).unwrap()
}

fn body(bytes: &[u8]) -> Body {
    Box::pin(stream::iter([Ok(Piece::Data(Bytes::copy_from_slice(bytes)))]))
}

impl World {
    /// A gateway with the bucket `media` and three sites, whose only principal speaks for people in Pakistan.
    pub(crate) async fn new(require: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let keys = ["pk", "sg"].map(|id| (KeyId::new(id).unwrap(), id.to_uppercase().parse().unwrap()));
        let keyring = Keyring::create(&folder.path().join("keyring"), &keys, clock.clone()).unwrap().keyring;
        let kept = Kept {
            engine: Arc::default(),
            backends: SITES.map(|name| (name, MemoryBackend::new(site(name)))).into(),
            known: Arc::default(),
            keyring,
            waiting: Arc::default(),
            _folder: Arc::new(folder),
        };
        let world = Self::start(kept, clock, policies(require)).await;
        world.activate(world.policies.load_full()).await;
        world.objects.create_bucket(&world.asks(), &bucket(), None, Default::default(), Default::default()).await.unwrap();
        world
    }

    async fn start(kept: Kept, clock: Arc<ManualClock>, set: Arc<PolicySet>) -> Self {
        let keyring = &kept.keyring;
        let pseudonyms = Arc::new(Pseudonyms::new(SecretKey::from_slice(&[3; 32]).unwrap()));
        let keys = IndexKeys {
            index_key: keyring.index_key(),
            ledger_key: keyring.ledger_key(),
            log: crate::audit::note::Signer::new("domicile/test", keyring.ledger_signing_key().expose()).unwrap(),
            pseudonyms: Arc::clone(&pseudonyms),
        };
        let index = Index::open(kept.engine.clone(), keys, clock.clone()).unwrap();
        let specs =
            SITES.map(|name| SiteSpec { id: site(name), country: name[..2].to_uppercase().parse().unwrap(), key: key_id(name) });
        let sites = specs.iter().map(|spec| {
            let backend = Arc::new(kept.backends[spec.id.as_str()].clone());
            Site::new(spec.clone(), backend, SiteLimits::default())
        });
        let installation =
            Installation::new(keyring.installation_id(), SecretKey::from_slice(&[9; 32]).unwrap(), kept.known.clone());
        let sites = Arc::new(Sites::new(sites.collect(), installation));
        sites.verify().await;
        let policies = Arc::new(ArcSwap::new(set));
        let directory = Arc::new(index.clone());
        let residency = Residency::new(policies.clone(), specs.to_vec(), 1, directory, sites.clone(), clock.clone())
            .in_country("SG".parse().ok());
        let countries = keyring.countries().into_iter();
        let providers = countries.map(|(id, country)| {
            let provider = waiting::Waiting::over(id.clone(), keyring.provider(&id, country).unwrap(), &kept.waiting);
            (id, country, Arc::new(provider) as _)
        });
        let objects = Objects::new(ObjectsParts {
            index,
            residency: Arc::new(residency),
            policies: policies.clone(),
            hierarchy: Arc::new(Hierarchy::new(providers.collect(), keyring.installation_id())),
            pseudonyms,
            sites,
            clock: clock.clone(),
            memory: MemoryBudget::new(64 << 20),
            directory_ids: Default::default(),
        });
        let auth = Authenticated::for_test(Principal {
            attributes: Attributes::from([("residence".to_owned(), "PK".to_owned())]),
            ..Principal::unrestricted("feed", vec![AccessKey::new("AKFEED", "secret".to_owned().into())]).unwrap()
        });
        Self { objects, policies, clock, auth, request: RequestId::new("0123456789abcdef").unwrap(), kept }
    }

    /// The same after the process ended, however it did.
    pub(crate) async fn restart(self) -> Self {
        let Self { objects, policies, clock, kept, .. } = self;
        drop(objects);
        Self::start(kept, clock, policies.load_full()).await
    }

    pub(crate) fn asks(&self) -> Request<'_> {
        Request {
            id: &self.request,
            auth: &self.auth,
            now: self.clock.now(),
            facts: &NoContext,
            keys: CustomerKeys::none(),
            expected_owner: None,
        }
    }

    pub(crate) fn backend(&self, site: &str) -> &MemoryBackend {
        &self.kept.backends[site]
    }

    /// Makes the next blobs at a site fail.
    pub(crate) fn fail_puts(&self, site: &str, count: usize) {
        self.backend(site).faults().fail_puts(count);
    }

    /// Takes a site away, or brings it back, and lets the gateway notice.
    pub(crate) async fn set_up(&self, name: &str, up: bool) {
        self.backend(name).faults().set_unavailable(!up);
        self.objects.sites.check().await;
        assert_eq!(crate::residency::Availability::is_up(&*self.objects.sites, &site(name)), up);
    }

    /// Puts a set in force in the index alone, as it is for the moment before the gateway decides by it.
    async fn activate(&self, set: Arc<PolicySet>) {
        let change = Change::Policy(PolicyChange::in_force(set.revision()));
        self.objects.index.commit(change, Event::new(Kind::PolicyActivated, Actor::System)).await.unwrap();
    }

    /// Puts a set in force, in the index and the gateway.
    pub(crate) async fn decide_by(&self, set: Arc<PolicySet>) {
        self.activate(Arc::clone(&set)).await;
        self.policies.store(set);
    }

    fn put_request(at: &str, length: u64) -> PutRequest {
        PutRequest {
            bucket: bucket(),
            key: key(at),
            description: Description::default(),
            length: Length::Exact(length),
            content_md5: None,
            checksum: None,
            condition: WriteCondition::None,
            acl: Default::default(),
        }
    }

    async fn try_put_body(&self, at: &str, length: u64, body: Body) -> Result<Stored, ObjectError> {
        self.objects.put(&self.asks(), Self::put_request(at, length), body).await
    }

    pub(crate) async fn try_put(&self, at: &str, bytes: &[u8]) -> Result<Stored, ObjectError> {
        self.try_put_body(at, bytes.len() as u64, body(bytes)).await
    }

    pub(crate) async fn put(&self, at: &str, bytes: &[u8]) -> Record {
        self.try_put(at, bytes).await.unwrap();
        self.record(at).unwrap()
    }

    /// Somebody else, who speaks for the same people.
    pub(crate) fn another(&self, id: &str) -> Authenticated {
        let principal = Principal::unrestricted(id, vec![AccessKey::new("AKOTHER", "secret".to_owned().into())]).unwrap();
        Authenticated::for_test(Principal { attributes: self.auth.principal().attributes.clone(), ..principal })
    }

    pub(crate) async fn put_as(&self, auth: &Authenticated, at: &str, bytes: &[u8]) {
        let put = Self::put_request(at, bytes.len() as u64);
        self.objects.put(&Request { auth, ..self.asks() }, put, body(bytes)).await.unwrap();
    }

    pub(crate) async fn put_described(&self, at: &str, description: Description) {
        let put = PutRequest { description, ..Self::put_request(at, 1) };
        self.objects.put(&self.asks(), put, body(b"x")).await.unwrap();
    }

    pub(crate) fn record(&self, at: &str) -> Option<Record> {
        let bucket = self.objects.bucket(&bucket()).unwrap();
        self.objects.index.current(&bucket, &key(at)).unwrap()
    }

    pub(crate) async fn read(&self, at: &str) -> Result<Vec<u8>, ObjectError> {
        let condition = ReadCondition::default();
        let get = GetRequest { bucket: bucket(), key: key(at), version: None, range: None, part: None, condition };
        let (_, body) = self.objects.get(&self.asks(), get).await?;
        Ok(body.try_collect::<Vec<_>>().await.unwrap().concat())
    }

    /// The kinds of the ledger's entries, in order.
    fn ledger(&self) -> Vec<String> {
        let kind =
            |entry: String| serde_json::from_str::<serde_json::Value>(&entry).unwrap()["kind"].as_str().unwrap().to_owned();
        self.all_entries().into_iter().map(kind).collect()
    }

    /// The ledger's entries, in order.
    pub(crate) fn all_entries(&self) -> Vec<String> {
        let mut entries = Vec::new();
        let each = &mut |_: &[u8], entry: &[u8]| {
            entries.push(String::from_utf8(entry.to_vec()).unwrap());
            ControlFlow::Continue(())
        };
        self.kept.engine.scan(Bound::Included(b"l"), Bound::Excluded(b"m"), each).unwrap();
        entries
    }

    /// Those of one kind.
    pub(crate) fn entries(&self, kind: &str) -> Vec<String> {
        let kind = format!("\"kind\":\"{kind}\"");
        self.all_entries().into_iter().filter(|entry| entry.contains(&kind)).collect()
    }

    /// How many entries of the ledger are of `kind`.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.ledger().iter().filter(|entry| *entry == kind).count()
    }
}
