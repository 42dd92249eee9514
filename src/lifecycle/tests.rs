use std::time::Duration;

use super::*;
use crate::access::Action;
use crate::audit::{Actor, Event, Kind};
use crate::bucket::{Expiration, Filter, Lifecycle, NoncurrentExpiration, Rule, Scope, Setting, Versioning};
use crate::index::{Bucket, Change, RecordUpdate, UpdateChange, VersionsQuery};
use crate::objects::tests::{PK_ONLY, World, bucket, key};
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

    fn bucket(&self) -> std::sync::Arc<Bucket> {
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
        let item = DeleteItem { key: key(at), version: None, condition: Default::default() };
        let delete = DeleteRequest { bucket: bucket(), item, bypass_governance: false };
        self.objects.delete(&self.asks(), delete).await.unwrap();
    }
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
    let found = world.put("ali/a", b"old").await;
    world.put("ali/a", b"new").await;
    let went = world.objects.expire(&world.bucket(), &key("ali/a"), Expiring::Current(found.summary.id), None).await;
    assert!(!went.unwrap());
    let went =
        world.objects.expire(&world.bucket(), &key("ali/a"), Expiring::Version(VersionId::Null, found.summary.id), None).await;
    assert!(!went.unwrap());
    assert_eq!(world.read("ali/a").await.unwrap(), b"new");
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
    let (index, bucket) = (&world.objects.index, world.bucket());
    world.put("ali/a", b"x").await;
    let found = index.current(&bucket, &key("ali/a")).unwrap().unwrap().summary;
    let due = vec![("keep".to_owned(), "no".to_owned())];
    for what in [Expiring::Current(found.id), Expiring::Version(VersionId::Null, found.id)] {
        assert!(!world.objects.expire(&bucket, &key("ali/a"), what, Some(&due)).await.unwrap());
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
    assert!(world.objects.expire(&bucket, &key("ali/a"), Expiring::Current(found.id), Some(&due)).await.unwrap());
    assert!(world.versions().await.is_empty());
}
