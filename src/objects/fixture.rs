//! A gateway's use cases over memory, for tests: three sites, a directory, and policies that a test swaps.

use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::record_keys::{Target, new_record_id};
use super::{Body, CustomerKeys, Description, Length, MemoryBudget, Objects, ObjectsParts, Piece, PutRequest, Request};
use crate::{
    access::NoContext,
    audit::{Actor, Event, Kind},
    authn::{AccessKey, Authenticated, Principal},
    backend::{Installation, KnownSites, Site, SiteLimits, Sites, Standing, memory::MemoryBackend},
    clock::{Clock, SystemClock},
    index::{Change, Index, IndexKeys, MemoryEngine, PolicyChange, WriteCondition},
    kms::{Hierarchy, Keyring, Pseudonyms},
    policy::{PolicyFile, PolicySet},
    residency::{Placement, Residency, Signals, SiteSpec},
    types::{Attributes, BucketName, Country, KeyId, ObjectKey, RequestId, SiteId, SubjectId, Timestamp},
};

/// The places that the fixture has: one site each.
const SITES: [&str; 3] = ["pk", "sg", "de"];

/// The default is Singapore; who lives in Pakistan is kept there alone.
pub(in crate::objects) const AT_HOME: [&str; 2] = ["SG", "PK"];

pub(in crate::objects) struct World {
    pub(in crate::objects) objects: Objects,
    pub(in crate::objects) backends: BTreeMap<&'static str, MemoryBackend>,
    id: RequestId,
    auth: Authenticated,
    _folder: tempfile::TempDir,
}

#[derive(Default)]
struct Forgetful;

impl KnownSites for Forgetful {
    fn last_epoch(&self, _: &SiteId) -> Result<Option<u64>, Box<dyn Error + Send + Sync>> {
        Ok(None)
    }

    fn remember(&self, _: &SiteId, _: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    fn standing(&self, _: &SiteId) -> Result<Vec<Standing>, Box<dyn Error + Send + Sync>> {
        Ok(Vec::new())
    }

    fn record(&self, _: &SiteId, _: Standing, _: bool) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// Policies under which data of nobody lives in `default`, and that of residents of Pakistan in `residents` alone.
pub(in crate::objects) fn policies([default, residents]: [&str; 2]) -> PolicySet {
    let gateway = format!(
        r#"
        version = 1
        [subject]
        from = ["metadata:domicile-subject"]
        [attributes.residence]
        from = ["directory"]
        unknown = "omit"
        [no-subject]
        buckets = {{ "media" = ["{default}"] }}
        [default]
        countries = ["{default}"]
        "#
    );
    let instrument = format!(
        r#"
        version = 1
        id = "residents"
        title = "Residents"
        enforcement = "on"
        legal-status = "in-force"
        sources = ["s"]
        [when]
        residence = ["PK"]
        [require]
        copies = "only"
        countries = ["{residents}"]
        "#
    );
    let file = |path: &str, text| PolicyFile { path: path.to_owned(), text };
    PolicySet::parse(&[file("gateway.toml", gateway), file("residents/policy.toml", instrument)]).unwrap()
}

impl World {
    pub(in crate::objects) async fn new(memory: u64) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let folder = tempfile::tempdir().unwrap();
        let country = |site: &str| site.parse::<Country>().unwrap();
        let key = |site: &str| KeyId::new(site).unwrap();
        let countries: Vec<_> = SITES.iter().map(|site| (key(site), country(site))).collect();
        let keyring = Keyring::create(&folder.path().join("keyring.age"), &countries, Arc::clone(&clock)).unwrap().keyring;
        let pseudonyms = Arc::new(Pseudonyms::new(keyring.pseudonym_key()));
        let keys = IndexKeys {
            index_key: keyring.index_key(),
            ledger_key: keyring.ledger_key(),
            log: crate::audit::note::Signer::new("domicile/test", keyring.ledger_signing_key().expose()).unwrap(),
            pseudonyms: Arc::clone(&pseudonyms),
        };
        let index = Index::open(Arc::new(MemoryEngine::default()), keys, Arc::clone(&clock)).unwrap();
        let specs: Vec<_> = SITES
            .iter()
            .map(|site| SiteSpec { id: SiteId::new(site).unwrap(), country: country(site), key: key(site) })
            .collect();
        let backends: BTreeMap<_, _> = SITES.iter().map(|site| (*site, MemoryBackend::new(SiteId::new(site).unwrap()))).collect();
        let site = |spec: &SiteSpec| Site::new(spec.clone(), Arc::new(backends[spec.id.as_str()].clone()), SiteLimits::default());
        let installation = Installation::new(keyring.installation_id(), keyring.site_key(), Arc::new(Forgetful));
        let sites = Arc::new(Sites::new(specs.iter().map(site).collect(), installation));
        assert!(sites.verify().await.iter().all(|(_, outcome)| outcome.is_ok()));
        let set = policies(AT_HOME);
        index
            .commit(Change::Policy(PolicyChange::in_force(set.revision())), Event::new(Kind::PolicyActivated, Actor::System))
            .await
            .unwrap();
        let policies = Arc::new(ArcSwap::from_pointee(set));
        let directory = Arc::new(index.clone());
        let residency = Residency::new(Arc::clone(&policies), specs, 1, directory, Arc::clone(&sites) as _, Arc::clone(&clock));
        let providers = countries.iter().map(|(key, country)| (key.clone(), *country, keyring.provider(key, *country).unwrap()));
        let hierarchy = Arc::new(Hierarchy::new(providers.collect(), keyring.installation_id()));
        let memory = MemoryBudget::new(memory);
        let parts = ObjectsParts {
            index,
            residency: Arc::new(residency),
            policies,
            hierarchy,
            pseudonyms,
            sites,
            clock,
            memory,
            directory_ids: Default::default(),
        };
        let access_key = AccessKey::new("AK", "hush".to_owned().into());
        let auth = Authenticated::for_test(Principal::unrestricted("feed", vec![access_key]).unwrap());
        let world = Self { objects: Objects::new(parts), backends, id: RequestId::new("test").unwrap(), auth, _folder: folder };
        world.objects.create_bucket(&world.request(), &bucket(), None, Default::default(), Default::default()).await.unwrap();
        world
    }

    pub(in crate::objects) fn request(&self) -> Request<'_> {
        Request {
            id: &self.id,
            auth: &self.auth,
            now: Timestamp::default(),
            facts: &NoContext,
            keys: CustomerKeys::none(),
            expected_owner: None,
        }
    }

    /// Puts other policies in force, as a reload does.
    pub(in crate::objects) async fn reload(&self, set: PolicySet) {
        let event = Event::new(Kind::PolicyActivated, Actor::System);
        self.objects.index.commit(Change::Policy(PolicyChange::in_force(set.revision())), event).await.unwrap();
        self.objects.policies.store(Arc::new(set));
    }

    /// Says in the directory where a subject lives.
    pub(in crate::objects) async fn lives_in(&self, subject: &str, residence: &str) {
        let attributes = Attributes::from([("residence".to_owned(), residence.to_owned())]);
        let subject = SubjectId::new(subject).unwrap();
        self.objects.set_subject(&self.id, &Actor::System, &subject, Some(attributes)).await.unwrap();
    }

    /// The decision for a record of `subject`.
    pub(in crate::objects) fn placement(&self, subject: &str) -> Placement {
        let (bucket, key, description) = (bucket(), key("k"), described(subject));
        let signals =
            Signals { bucket: &bucket, key: &key, metadata: &description.metadata, tags: &[], sources: &[], stated: None };
        self.objects.residency.place(&self.auth, &signals).unwrap()
    }

    /// The keys and places of a new record of `subject`.
    pub(in crate::objects) async fn targets(&self, subject: &str) -> Vec<Target> {
        self.objects.new_targets(None, &self.placement(subject), &bucket(), new_record_id()).await.unwrap()
    }

    /// How many blobs a site has, its marker and keys included.
    pub(in crate::objects) fn blobs(&self, site: &str) -> usize {
        self.backends[site].blobs().len()
    }

    /// The codes and kinds of the refusals in the ledger.
    pub(in crate::objects) async fn refusals(&self) -> Vec<String> {
        let entries = self.objects.index.ledger_entries(0, 1000).await.unwrap();
        let entries = entries.into_iter().map(|entry| String::from_utf8(entry).unwrap());
        entries.filter(|entry| entry.contains("\"refused\"")).collect()
    }
}

pub(in crate::objects) fn bucket() -> BucketName {
    BucketName::new("media").unwrap()
}

pub(in crate::objects) fn key(key: &str) -> ObjectKey {
    ObjectKey::new(key).unwrap()
}

pub(in crate::objects) fn described(subject: &str) -> Description {
    let metadata = BTreeMap::from([("domicile-subject".to_owned(), subject.to_owned())]);
    Description { metadata, ..Description::default() }
}

pub(in crate::objects) fn put(name: &str, subject: &str, length: usize) -> PutRequest {
    PutRequest {
        bucket: bucket(),
        key: key(name),
        description: described(subject),
        length: Length::Exact(length as u64),
        content_md5: None,
        checksum: None,
        condition: WriteCondition::None,
        acl: Default::default(),
    }
}

/// A body of `length` bytes, 60,000 at a time.
pub(in crate::objects) fn body(length: usize) -> Body {
    let piece = Bytes::from(vec![7; 60_000]);
    let pieces = (0..length).step_by(60_000).map(move |at| Ok(Piece::Data(piece.slice(..60_000.min(length - at)))));
    Box::pin(stream::iter(pieces))
}

/// A body of which `sent` bytes come, and then nothing more.
pub(in crate::objects) fn idle_body(sent: usize) -> Body {
    Box::pin(body(sent).chain(stream::pending()))
}

/// A body that does `between` after its first `first` bytes, before the `rest`.
pub(in crate::objects) fn interrupted_body(
    first: usize,
    between: impl Future<Output = ()> + Send + 'static,
    rest: usize,
) -> Body {
    let pause = stream::once(between).filter_map(|()| std::future::ready(None));
    Box::pin(body(first).chain(pause).chain(body(rest)))
}

/// Waits until `done`, or fails.
pub(in crate::objects) async fn until(mut done: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came");
}
