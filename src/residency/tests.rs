//! Signals to sites, over an in-memory directory and sites that a test switches off.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::*;
use crate::{
    clock::ManualClock,
    policy::{PolicyFile, PolicySet, Role},
    types::{Attributes, BucketName, Country, Generation, KeyId, ObjectKey, PrincipalId, SiteId, SubjectId, Timestamp},
};

const GATEWAY: &str = r#"
version = 1
[subject]
from = ["metadata:domicile-subject", "tag:subject", "key:users/{subject}/**", "principal"]
[attributes.residence]
from = ["directory", "metadata:domicile-residence", "tag:residence", "principal"]
[no-subject]
buckets = { "static-*" = ["SG"] }
[default]
countries = ["SG"]
"#;

const PK_ONLY: &str = r#"
version = 1
id = "pk"
title = "PK"
enforcement = "on"
legal-status = "in-force"
sources = ["s"]
[when]
residence = ["PK"]
[require]
copies = "only"
countries = ["PK"]
keys = ["PK"]
"#;

#[derive(Default)]
struct World {
    directory: Mutex<BTreeMap<SubjectId, DirectoryEntry>>,
    down: Mutex<Vec<SiteId>>,
}

impl Directory for World {
    fn lookup(&self, subject: &SubjectId) -> Result<Option<DirectoryEntry>, DirectoryError> {
        if subject.as_str() == "unreadable" {
            return Err(DirectoryError("broken".into()));
        }
        Ok(self.directory.lock().get(subject).cloned())
    }
}

impl Availability for World {
    fn is_up(&self, site: &SiteId) -> bool {
        !self.down.lock().contains(site)
    }
}

/// A residency, what it asks, and one request that tests change.
struct Fixture {
    world: Arc<World>,
    policies: Arc<ArcSwap<PolicySet>>,
    residency: Residency,
    principal: PrincipalId,
    principal_attributes: Attributes,
    principal_country: Option<Country>,
}

#[derive(Default)]
struct Request {
    bucket: &'static str,
    key: &'static str,
    metadata: Vec<(&'static str, &'static str)>,
    tags: Vec<(&'static str, &'static str)>,
    sources: Vec<SourceFacts>,
    stated: Option<Stated>,
}

fn request(bucket: &'static str, key: &'static str) -> Request {
    Request { bucket, key, ..Request::default() }
}

fn policies(gateway: &str, instruments: &[(&str, &str)]) -> Arc<PolicySet> {
    let mut files = vec![PolicyFile { path: "gateway.toml".to_owned(), text: gateway.to_owned() }];
    files.extend(instruments.iter().map(|(id, text)| PolicyFile { path: format!("{id}/policy.toml"), text: (*text).to_owned() }));
    Arc::new(PolicySet::parse(&files).unwrap())
}

fn fixture_of(gateway: &str, instruments: &[(&str, &str)], sites: &[&str], per_country: usize) -> Fixture {
    let world = Arc::new(World::default());
    let policies = Arc::new(ArcSwap::new(policies(gateway, instruments)));
    let site = |id: &&str| {
        let country = &id[..2];
        SiteSpec { id: SiteId::new(id).unwrap(), country: country.parse().unwrap(), key: KeyId::new(country).unwrap() }
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
    let sites = sites.iter().map(site).collect();
    let residency = Residency::new(policies.clone(), sites, per_country, world.clone(), world.clone(), clock);
    let principal = PrincipalId::new("feed").unwrap();
    Fixture { world, policies, residency, principal, principal_attributes: Attributes::new(), principal_country: None }
}

fn fixture() -> Fixture {
    fixture_of(GATEWAY, &[("pk", PK_ONLY)], &["pk-khi", "pk-lhe", "sg-sin"], 1)
}

impl Fixture {
    fn who(&self) -> PrincipalFacts<'_> {
        PrincipalFacts { id: &self.principal, attributes: &self.principal_attributes, country: self.principal_country }
    }

    fn with<T>(&self, request: &Request, call: impl FnOnce(&Signals<'_>) -> T) -> T {
        let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
        let metadata = own(&request.metadata).into_iter().collect();
        call(&Signals {
            bucket: &BucketName::new(request.bucket).unwrap(),
            key: &ObjectKey::new(request.key).unwrap(),
            metadata: &metadata,
            tags: &own(&request.tags),
            sources: &request.sources,
            stated: request.stated.as_ref(),
        })
    }

    fn place(&self, request: &Request) -> Result<Placement, Refusal> {
        self.with(request, |signals| self.residency.place_for(self.who(), signals))
    }

    fn resume(&self, earlier: &PlacementRecord) -> Result<Placement, Refusal> {
        self.residency.resume_for(self.who(), earlier, &BucketName::new("media").unwrap(), &ObjectKey::new("k").unwrap())
    }

    fn retag(&self, stored: &PlacementRecord, old: &[(&str, &str)], request: &Request) -> Result<(), Refusal> {
        let old: Vec<(String, String)> = old.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.with(request, |signals| self.residency.retag_for(self.who(), stored, &old, signals))
    }

    fn lives_in(&self, subject: &str, residence: &str) {
        let mut directory = self.world.directory.lock();
        let entry = directory.entry(SubjectId::new(subject).unwrap()).or_default();
        entry.attributes.insert("residence".to_owned(), residence.to_owned());
        entry.generation = Generation(entry.generation.0 + 1);
    }

    fn down(&self, sites: &[&str]) {
        *self.world.down.lock() = sites.iter().map(|id| SiteId::new(id).unwrap()).collect();
    }
}

fn sites(placement: &Placement) -> Vec<&str> {
    placement.copies().iter().map(|copy| copy.site.as_str()).collect()
}

fn source(placement: &Placement, bucket: &str) -> SourceFacts {
    placement.record().as_source(&BucketName::new(bucket).unwrap(), &ObjectKey::new("source").unwrap())
}

#[test]
fn every_source_names_the_subject_and_two_that_differ_are_a_conflict() {
    let mut fixture = fixture();
    fixture.lives_in("ayesha", "PK");
    fixture.lives_in("bo", "SG");
    let by_key = request("media", "users/ayesha/cv.pdf");
    let by_tag = Request { tags: vec![("subject", "ayesha")], ..request("media", "x") };
    let by_metadata = Request { metadata: vec![("domicile-subject", "ayesha")], ..request("media", "x") };
    for request in [&by_key, &by_tag, &by_metadata] {
        let placement = fixture.place(request).unwrap();
        assert_eq!(sites(&placement), ["pk-khi"]);
        assert_eq!(placement.basis().subject_generation, Generation(1));
        assert_eq!(placement.copies()[0].key.as_str(), "pk");
    }
    fixture.principal_attributes.insert("subject".to_owned(), "bo".to_owned());
    assert_eq!(sites(&fixture.place(&request("media", "x")).unwrap()), ["sg-sin"]);
    let refusal = fixture.place(&by_key).unwrap_err();
    assert_eq!((refusal.code(), refusal.is_retryable()), ("ResidencyConflict", false));
    let twice = Request { tags: vec![("subject", "bo"), ("subject", "ayesha")], ..request("media", "x") };
    assert_eq!(fixture.place(&twice).unwrap_err().code(), "ResidencyConflict");
}

#[test]
fn what_is_unknown_or_malformed_is_refused_without_naming_anyone() {
    let fixture = fixture();
    for request in [
        request("media", "users/ayesha/cv.pdf"),
        request("media", "users//cv.pdf"),
        request("media", "loose"),
        Request { metadata: vec![("domicile-subject", "")], ..request("static-x", "x") },
        Request { metadata: vec![("domicile-residence", "Pakistan")], ..request("media", "users/ayesha/x") },
    ] {
        let refusal = fixture.place(&request).unwrap_err();
        assert_eq!(refusal.code(), "ResidencyUnknown", "{refusal}");
        assert!(!refusal.to_string().contains("ayesha"));
        assert!(!refusal.to_string().contains("Pakistan"));
    }
    assert_eq!(fixture.place(&request("media", "users/unreadable/x")).unwrap_err(), Refusal::DirectoryUnavailable);
    assert_eq!(sites(&fixture.place(&request("static-x", "logo.png")).unwrap()), ["sg-sin"]);
}

#[test]
fn fails_over_inside_the_country_and_never_outside() {
    let fixture = fixture();
    fixture.lives_in("ayesha", "PK");
    let write = request("media", "users/ayesha/x");
    fixture.down(&["pk-khi"]);
    assert_eq!(sites(&fixture.place(&write).unwrap()), ["pk-lhe"]);
    fixture.down(&["pk-khi", "pk-lhe"]);
    let refusal = fixture.place(&write).unwrap_err();
    assert_eq!(refusal, Refusal::Unavailable { country: "PK".parse::<Country>().unwrap() });
    assert!(refusal.is_retryable());
}

#[test]
fn several_sites_a_country_are_one_primary_and_required_copies() {
    let fixture = fixture_of(GATEWAY, &[("pk", PK_ONLY)], &["pk-khi", "pk-lhe", "sg-sin"], 2);
    fixture.lives_in("ayesha", "PK");
    let placement = fixture.place(&request("media", "users/ayesha/x")).unwrap();
    assert_eq!(sites(&placement), ["pk-khi", "pk-lhe"]);
    assert_eq!(placement.copies().iter().map(|copy| copy.role).collect::<Vec<_>>(), [Role::Primary, Role::Required]);
    assert_eq!(sites(&fixture.place(&request("static-x", "x")).unwrap()), ["sg-sin"]);
    fixture.down(&["pk-lhe"]);
    assert_eq!(fixture.place(&request("media", "users/ayesha/x")).unwrap_err().code(), "ResidencyUnavailable");
}

#[test]
fn a_queued_copy_waits_for_its_site() {
    let first = PK_ONLY.replace("\"only\"", "\"first\"");
    let fixture = fixture_of(GATEWAY, &[("pk", &first)], &["pk-khi", "sg-sin"], 1);
    fixture.lives_in("ayesha", "PK");
    fixture.down(&["sg-sin"]);
    let placement = fixture.place(&request("media", "users/ayesha/x")).unwrap();
    assert_eq!(placement.copies().iter().map(|copy| copy.role).collect::<Vec<_>>(), [Role::Primary, Role::Queued]);
}

#[test]
fn a_queued_copy_stays_at_its_site_while_that_is_down() {
    let first = PK_ONLY.replace("\"only\"", "\"first\"");
    let fixture = fixture_of(GATEWAY, &[("pk", &first)], &["pk-khi", "sg-sin", "sg-jur"], 1);
    fixture.lives_in("ayesha", "PK");
    let planned = fixture.place(&request("media", "users/ayesha/x")).unwrap();
    fixture.down(&["sg-sin"]);
    let resumed = fixture.resume(planned.record()).unwrap();
    assert_eq!(sites(&resumed), ["pk-khi", "sg-sin"]);
    let new = fixture.place(&request("media", "users/ayesha/y")).unwrap();
    assert_eq!(sites(&new), ["pk-khi", "sg-jur"], "a new one goes to the site that is up");
}

#[test]
fn the_key_of_another_country_seals_where_an_instrument_says_so() {
    let also = PK_ONLY.replace("\"only\"", "\"also\"").replace("countries = [\"PK\"]", "countries = [\"SG\"]");
    let fixture = fixture_of(GATEWAY, &[("pk", &also)], &["pk-khi", "sg-sin"], 1);
    fixture.lives_in("ayesha", "PK");
    let placement = fixture.place(&request("media", "users/ayesha/x")).unwrap();
    assert_eq!((sites(&placement), placement.copies()[0].key.as_str()), (vec!["sg-sin"], "pk"));
}

#[test]
fn disputed_attributes_are_refused_or_the_strictest_is_taken() {
    let write = Request { metadata: vec![("domicile-residence", "SG")], ..request("media", "users/ayesha/x") };
    let strict = fixture();
    strict.lives_in("ayesha", "PK");
    assert_eq!(strict.place(&write).unwrap_err().code(), "ResidencyConflict");

    let strictest = GATEWAY.replace("[no-subject]", "conflict = \"strictest\"\n[no-subject]");
    let fixture = fixture_of(&strictest, &[("pk", PK_ONLY)], &["pk-khi", "sg-sin"], 1);
    fixture.lives_in("ayesha", "PK");
    let placement = fixture.place(&write).unwrap();
    assert_eq!((sites(&placement), placement.attributes()["residence"].as_str()), (vec!["pk-khi"], "PK"));

    // Two `only`s of different countries: neither is stricter.
    let sg = PK_ONLY.replace("PK", "SG").replace("\"pk\"", "\"sg\"");
    let fixture = fixture_of(&strictest, &[("pk", PK_ONLY), ("sg", &sg)], &["pk-khi", "sg-sin"], 1);
    fixture.lives_in("ayesha", "PK");
    assert_eq!(fixture.place(&write).unwrap_err().code(), "ResidencyConflict");
}

#[test]
fn a_copy_keeps_the_subject_and_whatever_bound_its_bytes() {
    let gov = PK_ONLY.replace("\"pk\"", "\"gov\"").replace("residence = [\"PK\"]", "bucket = [\"static-gov\"]");
    let fixture = fixture_of(GATEWAY, &[("pk", PK_ONLY), ("gov", &gov)], &["pk-khi", "sg-sin"], 1);
    fixture.lives_in("ayesha", "PK");
    fixture.lives_in("bo", "SG");
    let original = fixture.place(&request("media", "users/ayesha/x")).unwrap();
    let copy = |bucket, key, of: &Placement, from| Request { sources: vec![source(of, from)], ..request(bucket, key) };

    let inherited = fixture.place(&copy("static-x", "plain", &original, "media")).unwrap();
    assert_eq!((inherited.subject(), sites(&inherited)), (original.subject(), vec!["pk-khi"]));
    let refusal = fixture.place(&copy("media", "users/bo/x", &original, "media")).unwrap_err();
    assert_eq!(refusal.code(), "ResidencyConflict");

    // Bound by its bucket; two copies later it still is.
    let gov = fixture.place(&request("static-gov", "x")).unwrap();
    let once = fixture.place(&copy("static-a", "x", &gov, "static-gov")).unwrap();
    let twice = fixture.place(&copy("static-b", "x", &once, "static-a")).unwrap();
    // SG is where static data goes, but `gov` allows PK alone.
    assert_eq!((sites(&once), sites(&twice)), (vec!["pk-khi"], vec!["pk-khi"]));

    // The person moved: what bound the bytes before and what binds them now both count.
    fixture.lives_in("ayesha", "AE");
    assert_eq!(sites(&fixture.place(&request("media", "users/ayesha/y")).unwrap()), ["sg-sin"]);
    assert_eq!(sites(&fixture.place(&copy("media", "users/ayesha/y", &original, "media")).unwrap()), ["pk-khi"]);
}

#[test]
fn part_copies_need_an_upload_that_is_bound_as_their_source() {
    let fixture = fixture();
    fixture.lives_in("ayesha", "PK");
    fixture.lives_in("bo", "SG");
    let ayesha = fixture.place(&request("media", "users/ayesha/x")).unwrap();
    let bo = fixture.place(&request("media", "users/bo/x")).unwrap();
    let nobody = fixture.place(&request("static-x", "x")).unwrap();
    let check = |upload: &Placement, from: &Placement, bucket| {
        fixture.residency.satisfies(upload.record(), &[source(from, bucket)]).map(drop).map_err(|refusal| refusal.code())
    };
    assert_eq!(check(&ayesha, &ayesha, "media"), Ok(()));
    assert_eq!(check(&ayesha, &nobody, "static-x"), Ok(()));
    assert_eq!(check(&bo, &ayesha, "media"), Err("ResidencyConflict"));
    assert_eq!(check(&nobody, &ayesha, "media"), Err("ResidencyConflict"));
    fixture.lives_in("ayesha", "AE");
    let later = fixture.place(&request("media", "users/ayesha/x")).unwrap();
    assert_eq!(check(&later, &ayesha, "media"), Err("ResidencyConflict"));
}

#[test]
fn an_upload_goes_on_at_its_sites_or_not_at_all() {
    let fixture = fixture();
    fixture.lives_in("ayesha", "PK");
    fixture.down(&["pk-khi"]);
    let earlier = fixture.place(&request("media", "users/ayesha/x")).unwrap();
    assert_eq!(sites(&earlier), ["pk-lhe"]);
    fixture.down(&[]);
    fixture.lives_in("ayesha", "PK");
    let resumed = fixture.resume(earlier.record()).unwrap();
    assert_eq!((sites(&resumed), resumed.basis().subject_generation), (vec!["pk-lhe"], Generation(2)));
    fixture.down(&["pk-lhe"]);
    assert_eq!(fixture.resume(earlier.record()).unwrap_err().code(), "ResidencyUnavailable");
    fixture.down(&[]);
    fixture.lives_in("ayesha", "SG");
    assert_eq!(fixture.resume(earlier.record()).unwrap_err().code(), "ResidencyUnavailable");
    fixture.lives_in("ayesha", "PK");
    let also = PK_ONLY.replace("\"only\"", "\"also\"");
    fixture.policies.store(policies(GATEWAY, &[("pk", &also)]));
    assert!(matches!(fixture.resume(earlier.record()), Err(Refusal::Stale { .. })));
    fixture
        .policies
        .store(policies(&format!("{GATEWAY}\n[attributes.citizenship]\nfrom = []\nunknown = \"omit\""), &[("pk", PK_ONLY)]));
    let resumed = fixture.resume(earlier.record()).unwrap();
    assert_ne!(resumed.basis().policy, earlier.basis().policy);
}

#[test]
fn tags_that_the_policies_read_cannot_move_a_record() {
    let fixture = fixture();
    let write = |tags| Request { tags, ..request("media", "users/ayesha/x") };
    let placed = fixture.place(&write(vec![("residence", "PK")])).unwrap();
    let retag = |tags| fixture.retag(placed.record(), &[("residence", "PK")], &write(tags)).map_err(|refusal| refusal.code());
    assert_eq!(retag(vec![("colour", "red"), ("residence", "PK")]), Ok(()));
    assert_eq!(retag(vec![("subject", "ayesha"), ("residence", "pk")]), Ok(()));
    assert_eq!(retag(vec![("residence", "SG")]), Err("ResidencyConflict"));
    assert_eq!(retag(vec![("residence", "PK"), ("subject", "bo")]), Err("ResidencyConflict"));
    assert_eq!(retag(vec![]), Err("ResidencyUnknown"));
}

#[test]
fn an_explanation_shows_signals_sites_and_outcome() {
    let fixture = fixture();
    fixture.lives_in("ayesha", "PK");
    fixture.down(&["pk-khi", "pk-lhe"]);
    let write = Request { metadata: vec![("domicile-subject", "ayesha")], ..request("media", "users/ayesha/x") };
    let explanation = fixture.with(&write, |signals| fixture.residency.explain(fixture.who(), signals));
    let json = serde_json::to_value(&explanation).unwrap();
    let sources: Vec<&str> =
        json["signals"].as_array().unwrap().iter().map(|signal| signal["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["metadata:domicile-subject", "key:users/{subject}/**", "directory"]);
    assert_eq!(json["policy"]["instruments"][0]["match"]["outcome"], "matched");
    assert_eq!(json["sites"].as_array().unwrap().len(), 2);
    assert_eq!(json["outcome"]["refused"]["code"], "ResidencyUnavailable");
}

#[test]
fn a_placement_record_keeps_its_form() {
    let fixture = fixture();
    fixture.lives_in("ayesha", "PK");
    let record = fixture.place(&request("media", "users/ayesha/x")).unwrap().record().clone();
    let bytes = rmp_serde::to_vec_named(&record).unwrap();
    assert_eq!(rmp_serde::from_slice::<PlacementRecord>(&bytes).unwrap(), record);
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<PlacementRecord>(&json).unwrap(), record);
}

#[test]
fn what_a_part_was_copied_from_binds_its_upload_under_later_policies() {
    let fixture = fixture_of(GATEWAY, &[("pk", PK_ONLY)], &["pk-khi", "sg-sin"], 1);
    let upload = fixture.place(&request("static-x", "x")).unwrap();
    let clinic = fixture.place(&request("static-clinic", "x")).unwrap();
    let origins = fixture.residency.satisfies(upload.record(), &[source(&clinic, "static-clinic")]).unwrap();
    let mut kept = upload.record().clone();
    assert!(kept.add_origins(&origins));
    assert!(!kept.add_origins(&origins));
    let resume = |earlier| {
        let (bucket, key) = (BucketName::new("static-x").unwrap(), ObjectKey::new("x").unwrap());
        fixture.residency.resume_for(fixture.who(), earlier, &bucket, &key)
    };
    assert_eq!(resume(&kept).unwrap().record().origins, origins);

    let clinic = PK_ONLY.replace("\"pk\"", "\"clinic\"").replace("residence = [\"PK\"]", "bucket = [\"static-clinic\"]");
    fixture.policies.store(policies(GATEWAY, &[("pk", PK_ONLY), ("clinic", &clinic)]));
    assert_eq!(resume(&kept).unwrap_err().code(), "ResidencyUnavailable");
    assert!(resume(upload.record()).is_ok());
}

#[test]
fn what_was_assumed_is_assumed_again_under_the_policy_in_force() {
    let assuming = |value: &str| {
        format!("{GATEWAY}\n[attributes.citizenship]\nfrom = [\"directory\"]\nunknown = {{ assume = \"{value}\" }}")
    };
    let fixture = fixture_of(&assuming("SG"), &[("pk", PK_ONLY)], &["pk-khi", "sg-sin"], 1);
    fixture.lives_in("ayesha", "PK");
    let earlier = fixture.place(&request("media", "users/ayesha/x")).unwrap();
    assert_eq!(earlier.record().assumed.iter().collect::<Vec<_>>(), ["citizenship"]);
    fixture.policies.store(policies(&assuming("PK"), &[("pk", PK_ONLY)]));
    let resumed = fixture.resume(earlier.record()).unwrap();
    assert_eq!((resumed.attributes()["citizenship"].as_str(), resumed.attributes()["residence"].as_str()), ("PK", "PK"));
}

fn stated(subjects: &[(&'static str, &str)], attributes: &[(&str, &str)]) -> Option<Stated> {
    let subjects = subjects.iter().map(|(source, value)| (*source, (*value).to_owned())).collect();
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Some(Stated { subjects, attributes })
}

#[test]
fn what_an_operator_states_is_a_signal_like_any_other() {
    let fixture = fixture();
    let code = |request: &Request| fixture.place(request).map_err(|refusal| refusal.code().to_owned());
    let mapped = Request { stated: stated(&[("map", "ali")], &[("residence", "pk")]), ..request("media", "old/1") };
    let placed = fixture.place(&mapped).unwrap();
    assert_eq!((placed.subject().unwrap().as_str(), placed.attributes()["residence"].as_str()), ("ali", "PK"));
    assert!(placed.copies().iter().all(|copy| copy.country.to_string() == "PK"));
    // It says the same as the key, or the write is refused.
    let agreeing = Request { key: "users/ali/1", ..mapped };
    assert!(code(&agreeing).is_ok());
    let other = Request { key: "users/amna/1", ..agreeing };
    assert_eq!(code(&other).unwrap_err(), "ResidencyConflict");
    let two = Request { stated: stated(&[("map", "ali"), ("template", "amna")], &[]), ..request("media", "old/1") };
    assert_eq!(code(&two).unwrap_err(), "ResidencyConflict");
    // The directory's word is not overruled.
    fixture.lives_in("ali", "SG");
    let moved = Request { stated: stated(&[("map", "ali")], &[("residence", "PK")]), ..request("media", "old/1") };
    assert_eq!(code(&moved).unwrap_err(), "ResidencyConflict");
    // What is no subject and no country is refused, and attributes of nobody are too, where data of nobody may be.
    for wrong in [stated(&[("template", "")], &[]), stated(&[("map", "x")], &[("residence", "Pakistan")])] {
        assert_eq!(code(&Request { stated: wrong, ..request("media", "old/1") }).unwrap_err(), "ResidencyUnknown");
    }
    let nobody = request("static-x", "logo.png");
    assert!(code(&nobody).is_ok());
    let nobody = Request { stated: stated(&[], &[("residence", "PK")]), ..nobody };
    assert_eq!(code(&nobody).unwrap_err(), "ResidencyUnknown");
}
