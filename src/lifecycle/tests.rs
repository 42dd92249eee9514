use std::{sync::Arc, time::Duration};

use super::*;
use crate::access::Action;
use crate::audit::{Actor, Event, Kind};
use crate::bucket::{Expiration, Filter, Lifecycle, NoncurrentExpiration, Rule, Scope, Setting, Versioning};
use crate::index::{Beside, Bucket, Change, Record, RecordUpdate, UpdateChange, VersionsQuery};
use crate::objects::tests::{PK_ONLY, World, bucket, key, policies, policies_with};
use crate::objects::{CreateUpload, DeleteItem, DeleteRequest, Description, Expiring};
use crate::types::VersionId;

const HOUR: i64 = 60 * 60 * 1000;

impl World {
    async fn configure(&self, action: Action, setting: Setting) {
        self.objects.configure_bucket(&self.asks(), &bucket(), action, setting).await.unwrap();
    }

    async fn rules(&self, rules: Vec<Rule>) {
        let rules = Lifecycle::new(rules).unwrap();
        self.configure(Action::PutLifecycleConfiguration, Setting::Lifecycle(Some(rules))).await;
    }

    async fn versioned(&self) {
        self.configure(Action::PutBucketVersioning, Setting::Versioning(Versioning::Enabled)).await;
    }

    async fn sweep(&self) -> Tally {
        sweep::all(&self.objects, Duration::from_secs(60 * 60)).await
    }

    fn bucket(&self) -> Arc<Bucket> {
        self.objects.index.bucket(&bucket()).unwrap().unwrap()
    }

    /// Keys with `+` for versions and `-` for delete markers, the newest first.
    async fn versions(&self) -> Vec<String> {
        let bucket = self.bucket().id;
        let query =
            VersionsQuery { bucket, prefix: String::new(), delimiter: None, key_marker: None, version_marker: None, limit: 100 };
        let page = self.objects.index.versions(query).await.unwrap();
        let mark = |marker| if marker { '-' } else { '+' };
        page.versions.iter().map(|item| format!("{}{}", item.key, mark(item.summary.delete_marker))).collect()
    }

    async fn remove(&self, at: &str) {
        self.remove_version(at, None).await;
    }

    async fn remove_version(&self, at: &str, version: Option<VersionId>) {
        let item = DeleteItem { key: key(at), version, condition: Default::default() };
        let delete = DeleteRequest { bucket: bucket(), item, bypass_governance: false };
        self.objects.delete(&self.asks(), delete).await.unwrap();
    }
}

impl World {
    /// Tries to let something of `ali/a` go by the bucket's rules.
    async fn expire(&self, what: Expiring, tags: Option<&[(String, String)]>) -> bool {
        let rules = Arc::new(self.bucket().settings.lifecycle.clone().unwrap());
        self.objects.expire(&self.bucket(), &key("ali/a"), what, &rules, tags).await.unwrap()
    }

    /// Several versions of `ali/a`, the oldest first, of which all but the last are noncurrent.
    async fn overwritten(&self, versions: usize) -> Vec<Record> {
        self.versioned().await;
        let mut records = Vec::new();
        for number in 0..versions {
            records.push(self.put("ali/a", format!("{number}").as_bytes()).await);
        }
        records
    }
}

/// A version that is due behind `newer`, while others are kept.
fn behind(version: &Record, newer: &Record, kept: &[&Record]) -> Expiring {
    let kept = kept.iter().map(|record| record.summary.ticket).collect();
    Expiring::Version(version.summary.version, version.summary.id, Beside::Behind { newer: newer.summary.ticket, kept })
}

fn rule(prefix: &str) -> Rule {
    let filter = Filter { prefix: Some(prefix.to_owned()), ..Filter::default() };
    Rule { id: prefix.to_owned(), enabled: true, scope: Scope::Filter(filter), ..Rule::default() }
}

#[tokio::test]
async fn current_versions_go_when_they_are_due_and_no_others() {
    let world = World::new(PK_ONLY).await;
    world.rules(vec![Rule { expiration: Some(Expiration::Days(2)), ..rule("ali/old") }]).await;
    for at in ["ali/old/a", "ali/old/b", "ali/new"] {
        world.put(at, b"x").await;
    }
    world.clock.advance(2 * HOUR - 1);
    assert_eq!(world.sweep().await, Tally::default());
    world.put("ali/old/b", b"written again").await;
    world.clock.advance(1);
    assert_eq!(world.sweep().await, Tally { current: 1, ..Tally::default() });
    assert_eq!(world.versions().await, ["ali/new+", "ali/old/b+"]);
    assert_eq!(world.count("expired"), 1);
    assert_eq!(world.count("delete-object"), 0);
}

#[tokio::test]
async fn in_a_versioned_bucket_each_kind_has_its_time() {
    let world = World::new(PK_ONLY).await;
    world.versioned().await;
    let noncurrent = NoncurrentExpiration { days: 3, keep: Some(1) };
    world.rules(vec![Rule { expiration: Some(Expiration::Days(1)), noncurrent: Some(noncurrent), ..rule("") }]).await;
    for bytes in [b"1", b"2", b"3"] {
        world.put("ali/a", bytes).await;
    }
    world.clock.advance(HOUR);
    assert_eq!(world.sweep().await, Tally { current: 1, ..Tally::default() });
    assert_eq!(world.versions().await, ["ali/a-", "ali/a+", "ali/a+", "ali/a+"]);
    assert!(world.record("ali/a").is_none());
    world.clock.advance(3 * HOUR);
    // The newest of the noncurrent ones is kept.
    assert_eq!(world.sweep().await, Tally { noncurrent: 2, ..Tally::default() });
    assert_eq!(world.versions().await, ["ali/a-", "ali/a+"]);
    assert_eq!(world.sweep().await, Tally::default());
}

#[tokio::test]
async fn a_marker_that_is_alone_goes() {
    let world = World::new(PK_ONLY).await;
    world.versioned().await;
    world.put("ali/a", b"x").await;
    world.remove("ali/a").await;
    world.remove("ali/b").await;
    world.rules(vec![Rule { expiration: Some(Expiration::LoneMarkers(true)), ..rule("") }]).await;
    assert_eq!(world.sweep().await, Tally { markers: 1, ..Tally::default() });
    assert_eq!(world.versions().await, ["ali/a-", "ali/a+"]);
}

#[tokio::test]
async fn uploads_that_nobody_completes_are_aborted() {
    let world = World::new(PK_ONLY).await;
    world.rules(vec![Rule { abort_uploads_after: Some(1), ..rule("ali/") }]).await;
    let create = |at| CreateUpload {
        bucket: bucket(),
        key: key(at),
        description: Description::default(),
        checksum: None,
        acl: Default::default(),
    };
    world.objects.create_upload(&world.asks(), create("ali/a")).await.unwrap();
    world.clock.advance(HOUR);
    world.objects.create_upload(&world.asks(), create("ali/b")).await.unwrap();
    assert_eq!(world.sweep().await, Tally { uploads: 1, ..Tally::default() });
    assert_eq!(world.sweep().await, Tally::default());
}

/// Between the look and the delete somebody writes.
#[tokio::test]
async fn what_was_written_meanwhile_stays() {
    let world = World::new(PK_ONLY).await;
    world.rules(vec![Rule { expiration: Some(Expiration::Days(1)), ..rule("") }]).await;
    let found = world.put("ali/a", b"old").await.summary;
    world.put("ali/a", b"new").await;
    for what in [Expiring::Current(found.id), Expiring::Version(VersionId::Null, found.id, Beside::Anything)] {
        assert!(!world.expire(what, None).await);
    }
    assert_eq!(world.read("ali/a").await.unwrap(), b"new");
    assert_eq!(world.count("expired"), 0, "the ledger does not say that something went");
}

/// Somebody takes a newer version back between the look and the delete: what was due as noncurrent is the object now.
#[tokio::test]
async fn what_became_current_meanwhile_stays() {
    let world = World::new(PK_ONLY).await;
    let noncurrent = Some(NoncurrentExpiration { days: 1, keep: None });
    world.rules(vec![Rule { noncurrent, ..rule("") }]).await;
    let [old, new] = &world.overwritten(2).await[..] else { panic!() };
    world.remove_version("ali/a", Some(new.summary.version)).await;
    assert!(!world.expire(behind(old, new, &[]), None).await);
    assert_eq!(world.read("ali/a").await.unwrap(), b"0");
    // Written over again it is noncurrent since now, not since then.
    let newest = world.put("ali/a", b"2").await;
    assert!(!world.expire(behind(old, new, &[]), None).await);
    assert!(world.expire(behind(old, &newest, &[]), None).await);
    assert_eq!(world.versions().await, ["ali/a+"]);
}

#[tokio::test]
async fn a_rule_keeps_as_many_as_it_says_also_when_one_of_them_is_deleted_meanwhile() {
    let world = World::new(PK_ONLY).await;
    let noncurrent = Some(NoncurrentExpiration { days: 1, keep: Some(2) });
    world.rules(vec![Rule { noncurrent, ..rule("") }]).await;
    let [oldest, older, old, new, current] = &world.overwritten(5).await[..] else { panic!() };
    world.remove_version("ali/a", Some(new.summary.version)).await;
    assert!(!world.expire(behind(oldest, older, &[new, old]), None).await);
    assert!(world.expire(behind(oldest, older, &[old, older]), None).await);
    // The current version counts for nothing, nor does a version that became current.
    assert!(!world.expire(behind(older, old, &[current, old]), None).await);
    world.remove_version("ali/a", Some(current.summary.version)).await;
    assert!(!world.expire(behind(older, old, &[old]), None).await);
    assert_eq!(world.versions().await, ["ali/a+", "ali/a+"]);
    // A walk finds by itself what is still there.
    world.put("ali/a", b"5").await;
    world.put("ali/a", b"6").await;
    world.clock.advance(HOUR);
    assert_eq!(world.sweep().await, Tally { noncurrent: 1, ..Tally::default() });
    assert_eq!(world.sweep().await, Tally::default());
}

#[tokio::test]
async fn rules_that_were_taken_back_let_nothing_go() {
    let world = World::new(PK_ONLY).await;
    let due = Rule { expiration: Some(Expiration::Days(1)), abort_uploads_after: Some(1), ..rule("") };
    world.rules(vec![due.clone()]).await;
    world.put("ali/a", b"x").await;
    let (description, acl) = (Description::default(), Default::default());
    let create = CreateUpload { bucket: bucket(), key: key("ali/b"), description, checksum: None, acl };
    world.objects.create_upload(&world.asks(), create).await.unwrap();
    world.clock.advance(HOUR);
    // What the walk began with is not what the bucket says when something is to go.
    let before = world.bucket();
    for rules in [None, Some(Lifecycle::new(vec![Rule { enabled: false, ..due.clone() }]).unwrap())] {
        world.configure(Action::PutLifecycleConfiguration, Setting::Lifecycle(rules)).await;
        let mut tally = Tally::default();
        sweep::one(&world.objects, Arc::clone(&before), Duration::from_secs(60 * 60), &mut tally).await.unwrap();
        assert_eq!(tally.current + tally.uploads, 0, "{tally:?}");
    }
    assert_eq!(world.read("ali/a").await.unwrap(), b"x");
    world.rules(vec![due]).await;
    assert_eq!(world.sweep().await, Tally { current: 1, uploads: 1, ..Tally::default() });
}

#[tokio::test]
async fn of_many_noncurrent_versions_all_go_in_one_walk() {
    let world = World::new(PK_ONLY).await;
    world.rules(vec![Rule { noncurrent: Some(NoncurrentExpiration { days: 1, keep: Some(3) }), ..rule("") }]).await;
    world.overwritten(60).await;
    world.clock.advance(HOUR);
    assert_eq!(world.sweep().await, Tally { noncurrent: 56, ..Tally::default() });
}

#[tokio::test]
async fn what_is_locked_stays() {
    let world = World::new(PK_ONLY).await;
    world.versioned().await;
    world.configure(Action::PutBucketObjectLockConfiguration, Setting::ObjectLock(Default::default())).await;
    let held = world.put("ali/a", b"held").await;
    let name = crate::objects::VersionName { bucket: &bucket(), key: &key("ali/a"), version: Some(held.summary.version) };
    world.objects.set_legal_hold(&world.asks(), name, true).await.unwrap();
    world.put("ali/a", b"newer").await;
    let noncurrent = NoncurrentExpiration { days: 1, keep: None };
    world.rules(vec![Rule { noncurrent: Some(noncurrent), ..rule("") }]).await;
    world.clock.advance(HOUR);
    assert_eq!(world.sweep().await, Tally { kept: 1, ..Tally::default() });
    assert_eq!(world.versions().await, ["ali/a+", "ali/a+"]);
}

#[tokio::test]
async fn what_was_tagged_otherwise_meanwhile_stays() {
    let world = World::new(PK_ONLY).await;
    world.rules(vec![Rule { expiration: Some(Expiration::Days(1)), ..rule("") }]).await;
    let (index, bucket) = (&world.objects.index, world.bucket());
    world.put("ali/a", b"x").await;
    let found = index.current(&bucket, &key("ali/a")).unwrap().unwrap().summary;
    let due = vec![("keep".to_owned(), "no".to_owned())];
    for what in [Expiring::Current(found.id), Expiring::Version(VersionId::Null, found.id, Beside::Anything)] {
        assert!(!world.expire(what, Some(&due)).await);
    }
    assert_eq!(world.versions().await, ["ali/a+"]);
    let update = UpdateChange {
        bucket: bucket.id,
        key: key("ali/a"),
        record: found.id,
        ticket: found.ticket,
        update: RecordUpdate::Tags(due.clone()),
        basis: None,
    };
    index.commit(Change::Update(Box::new(update)), Event::new(Kind::Started, Actor::System)).await.unwrap();
    assert!(world.expire(Expiring::Current(found.id), Some(&due)).await);
    assert!(world.versions().await.is_empty());
}

const MOST_A_DAY: &str = "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n[retention]\nat-most = \"1d\"\n";
const DAY: i64 = 24 * HOUR;

#[tokio::test]
async fn what_is_older_than_the_policy_lets_it_be_goes_without_any_rule() {
    let world = World::new(MOST_A_DAY).await;
    for at in ["ali/a", "ali/held"] {
        world.put(at, b"x").await;
    }
    world.clock.advance(HOUR);
    world.put("ali/young", b"x").await;
    world.hold("ali/held", true).await.unwrap();
    world.clock.advance(DAY - HOUR - 1);
    assert_eq!(world.sweep().await, Tally::default());
    world.clock.advance(1);
    assert_eq!(world.sweep().await, Tally { outlived: 1, kept: 1, ..Tally::default() });
    assert_eq!(world.versions().await, ["ali/held+", "ali/young+"]);
    let entry = world.entries("expired").remove(0);
    assert!(entry.contains("\"instruments\":[\"pk\"]") && entry.contains("\"subject\""), "{entry}");
    world.hold("ali/held", false).await.unwrap();
    assert_eq!(world.sweep().await, Tally { outlived: 1, ..Tally::default() });
    assert_eq!(world.objects.index.summary(), world.objects.index.recount().await.unwrap());
}

/// The process dies with a version about to be removed: nothing of it has gone, and the next run removes it.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn what_a_crash_leaves_of_it_goes_after_the_restart() {
    let world = World::new(MOST_A_DAY).await;
    for at in ["ali/a", "ali/b"] {
        world.put(at, b"x").await;
    }
    world.clock.advance(DAY - HOUR);
    world.put("ali/young", b"x").await;
    world.clock.advance(HOUR);
    // Others pass the point on other threads meanwhile.
    let here = std::thread::current().id();
    let dies = move || assert!(std::thread::current().id() != here, "the process dies");
    fail::cfg_callback("objects::before-outlived", dies).unwrap();
    let objects = world.objects.clone();
    let died = tokio::spawn(async move { sweep::all(&objects, Duration::from_secs(86_400)).await }).await;
    fail::remove("objects::before-outlived");
    assert!(died.unwrap_err().is_panic());
    let world = world.restart().await;
    assert_eq!(world.versions().await, ["ali/a+", "ali/b+", "ali/young+"]);
    assert_eq!(world.read("ali/a").await.unwrap(), b"x");
    assert_eq!(world.count("expired"), 0, "nor does the ledger say so");
    assert_eq!(world.sweep().await, Tally { outlived: 2, ..Tally::default() });
    assert_eq!(world.versions().await, ["ali/young+"]);
    assert_eq!(world.objects.index.summary(), world.objects.index.recount().await.unwrap());
}

#[tokio::test]
async fn of_a_key_whose_versions_all_go_no_marker_stays() {
    let world = World::new(MOST_A_DAY).await;
    let versions = world.overwritten(3).await;
    world.remove("ali/a").await;
    world.clock.advance(DAY);
    assert_eq!(world.sweep().await, Tally { outlived: versions.len() as u64, ..Tally::default() });
    assert!(world.versions().await.is_empty(), "not even the delete marker");
}

#[tokio::test]
async fn what_goes_brings_nothing_older_back() {
    let of_feed = "[when]\nprincipal = [\"feed\"]\n[retention]\nat-most = \"1d\"\n";
    let world = World::new(PK_ONLY).await;
    world.versioned().await;
    let other = world.another("other");
    world.put_as(&other, "ali/a", b"of another").await;
    let ours = world.put("ali/a", b"ours").await;
    world.decide_by(policies_with(PK_ONLY, &[("feeds", of_feed)])).await;
    world.clock.advance(DAY);
    assert_eq!(world.sweep().await, Tally { outlived: 1, ..Tally::default() });
    assert_eq!(world.versions().await, ["ali/a-", "ali/a+"], "the older version stays behind a marker");
    assert!(world.record("ali/a").is_none());
    let found = world.objects.index.version(&world.bucket(), &key("ali/a"), ours.summary.version).unwrap();
    assert!(found.is_none());
    assert_eq!(world.objects.index.summary(), world.objects.index.recount().await.unwrap());
}

#[tokio::test]
async fn a_version_that_the_policy_lets_live_by_now_stays() {
    let world = World::new(MOST_A_DAY).await;
    let record = world.put("ali/a", b"x").await;
    world.clock.advance(DAY);
    world.decide_by(policies(PK_ONLY)).await;
    assert!(!world.objects.let_outlived_go(&world.bucket(), &key("ali/a"), &record).await.unwrap());
    world.decide_by(policies(MOST_A_DAY)).await;
    world.put("ali/a", b"overwritten meanwhile").await;
    assert!(!world.objects.let_outlived_go(&world.bucket(), &key("ali/a"), &record).await.unwrap());
    assert_eq!(world.read("ali/a").await.unwrap(), b"overwritten meanwhile");
}

#[tokio::test]
async fn rules_let_nothing_go_that_the_policy_keeps() {
    let world = World::new("[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n[retention]\nat-least = \"1w\"\n").await;
    world.rules(vec![Rule { expiration: Some(Expiration::Days(2)), ..rule("ali/") }]).await;
    world.put("ali/a", b"x").await;
    world.clock.advance(2 * HOUR);
    assert_eq!(world.sweep().await, Tally { kept: 1, ..Tally::default() });
    world.clock.advance(7 * DAY);
    assert_eq!(world.sweep().await, Tally { current: 1, ..Tally::default() });
}
