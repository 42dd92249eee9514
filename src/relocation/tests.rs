//! What would move, over an index and sites in memory.

use std::sync::Arc;

use super::*;
use crate::access::Action;
use crate::audit::{Actor, Event, Kind};
use crate::bucket::{Setting, Versioning};
use crate::index::{Change, Stock, Tally};
use crate::objects::tests::{PK_ONLY, World, bucket, policies, policies_with};
use crate::policy::PolicySet;
use crate::types::{Attributes, SubjectId};

/// Residents of Pakistan are kept in Singapore alone.
fn sg_law() -> Arc<PolicySet> {
    let law = "backlog-deadline = 2027-01-31\n[when]\nresidence = [\"PK\"]\n[require]\ncopies = \"only\"\ncountries = [\"SG\"]\n";
    policies_with("[require]\nnot-countries = [\"DE\"]\n", &[("sg-law", law)])
}

const NOWHERE: &str = "[require]\nnot-countries = [\"SG\", \"PK\"]\n";

impl World {
    async fn planned(&self, set: &PolicySet) -> Plan {
        plan(&self.objects, set, Stock::default()).await.unwrap()
    }

    async fn plan_in_force(&self) -> Plan {
        self.planned(&self.objects.policies.load_full()).await
    }

    async fn resides(&self, subject: &str, country: &str) {
        let attributes = Attributes::from([("residence".to_owned(), country.to_owned())]);
        let change = Change::Subject { id: SubjectId::new(subject).unwrap(), attributes: Some(attributes) };
        self.objects.index.commit(change, Event::new(Kind::SubjectSet, Actor::System)).await.unwrap();
    }
}

fn countries(names: &[&str]) -> Vec<crate::types::Country> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_changed_policy_moves_every_version_and_says_who_asks_until_when() {
    let world = World::new(PK_ONLY).await;
    let versioning = Setting::Versioning(Versioning::Enabled);
    world.objects.configure_bucket(&world.asks(), &bucket(), Action::PutBucketVersioning, versioning).await.unwrap();
    for bytes in [b"1".as_slice(), b"22", b"333"] {
        world.put("ali/a", bytes).await;
    }
    world.put("amna/b", b"4444").await;
    let still = world.plan_in_force().await;
    assert_eq!((still.records, still.moving), (Tally { objects: 4, bytes: 10 }, Tally::default()));
    assert_eq!((still.moves.len(), still.refused), (0, Tally::default()));

    let shadow = world.planned(&sg_law()).await;
    world.decide_by(sg_law()).await;
    let now = world.plan_in_force().await;
    assert_eq!(now, shadow, "planned before it is in force, and after");
    let [way] = now.moves.as_slice() else { panic!("{now:?}") };
    assert_eq!((&way.from, &way.to), (&countries(&["PK"]), &countries(&["SG"])));
    assert_eq!(way.records, Tally { objects: 4, bytes: 10 });
    assert_eq!(way.instruments.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["pk", "sg-law"]);
    assert_eq!(way.deadline.as_deref(), Some("2027-01-31"));
}

#[tokio::test]
async fn a_subject_that_moved_is_decided_by_where_it_lives_now() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/a", b"ali's").await;
    world.put("amna/a", b"amna's").await;
    world.resides("ali", "SG").await;
    let plan = world.plan_in_force().await;
    assert_eq!(plan.moving, Tally { objects: 1, bytes: 5 });
    assert_eq!((plan.moves[0].instruments.len(), plan.moves[0].deadline.as_deref()), (0, None), "the default asks");
    world.resides("ali", "PK").await;
    assert_eq!(world.plan_in_force().await.moving, Tally::default());
}

#[tokio::test]
async fn records_without_a_place_are_listed_with_the_reason() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/a", b"12345").await;
    world.decide_by(policies(NOWHERE)).await;
    let plan = world.plan_in_force().await;
    assert_eq!((plan.moving, plan.refused), (Tally::default(), Tally { objects: 1, bytes: 5 }));
    let [refused] = plan.refusals.as_slice() else { panic!("{plan:?}") };
    assert_eq!((refused.key.as_str(), refused.bucket.as_str()), ("ali/a", "media"));
    assert!(refused.reason.contains("leave no country"), "{}", refused.reason);
}

#[tokio::test]
async fn a_record_with_copies_in_two_countries_counts_once() {
    let world = World::new("[require]\ncopies = \"also\"\ncountries = [\"PK\"]\n").await;
    for number in 0..300 {
        world.put(&format!("ali/{number}"), b"x").await;
    }
    let plan = world.plan_in_force().await;
    assert_eq!((plan.records, plan.moving), (Tally { objects: 300, bytes: 300 }, Tally::default()));
    world.decide_by(policies(PK_ONLY)).await;
    let plan = world.plan_in_force().await;
    assert_eq!(plan.moving, Tally { objects: 300, bytes: 300 });
    assert_eq!((&plan.moves[0].from, &plan.moves[0].to), (&countries(&["PK", "SG"]), &countries(&["PK"])));
    let of_others = Stock { subject: Some(SubjectId::new("amna").unwrap()), ..Stock::default() };
    let one = Stock { bucket: Some(bucket()), prefix: Some("ali/29".to_owned()), subject: None };
    let ali = Stock { subject: Some(SubjectId::new("ali").unwrap()), ..one.clone() };
    for (stock, objects) in [(of_others, 0), (one, 11), (ali, 11)] {
        let plan = super::plan(&world.objects, &world.objects.policies.load_full(), stock).await.unwrap();
        assert_eq!((plan.records.objects, plan.moving.objects), (objects, objects));
    }
}

#[tokio::test]
async fn a_copy_that_is_queued_does_not_move() {
    let world = World::new("[require]\ncopies = \"first\"\ncountries = [\"PK\"]\n").await;
    world.put("ali/a", b"x").await;
    assert_eq!(world.plan_in_force().await.moving, Tally::default());
    world.objects.replicate_round().await.unwrap();
    let plan = world.plan_in_force().await;
    assert_eq!((plan.records.objects, plan.moving), (1, Tally::default()));
    world.put("ali/b", b"x").await;
    world.decide_by(policies("[require]\ncopies = \"also\"\ncountries = [\"PK\"]\n")).await;
    assert_eq!(world.plan_in_force().await.moving, Tally { objects: 1, bytes: 1 }, "what was to follow is required now");
}
