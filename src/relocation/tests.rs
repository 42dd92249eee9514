//! What would move, over an index and sites in memory.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::access::Action;
use crate::audit::{Actor, Event, Kind};
use crate::bucket::{Setting, Versioning};
use crate::clock::Clock;
use crate::index::{Change, Counter, Saying, Stock, SubjectChange, Tally};
use crate::jobs::{JobState, TooMany};
use crate::objects::Pace;
use crate::objects::tests::{PK_ONLY, World, bucket, policies, policies_with};
use crate::policy::PolicySet;
use crate::types::{Attributes, ObjectKey, SubjectId};

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

    async fn lives_in(&self, subject: &str, country: &str) {
        let attributes = Attributes::from([("residence".to_owned(), country.to_owned())]);
        let change = Change::Subject(Box::new(SubjectChange::now(SubjectId::new(subject).unwrap(), Some(attributes))));
        self.objects.index.commit(change, Event::new(Kind::SubjectSet, Actor::System)).await.unwrap();
    }

    /// From `millis` after now on, or before it.
    async fn lives_from(&self, subject: &str, country: &str, millis: i64) {
        let attributes = Some(Attributes::from([("residence".to_owned(), country.to_owned())]));
        let effective = Some(self.clock.now().plus_millis(millis));
        let saying = Saying { attributes, effective, ..Saying::default() };
        let subject = SubjectId::new(subject).unwrap();
        self.objects.say_of_subject(self.asks().id, &Actor::System, &subject, saying).await.unwrap();
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
    world.lives_in("ali", "SG").await;
    let plan = world.plan_in_force().await;
    assert_eq!(plan.moving, Tally { objects: 1, bytes: 5 });
    assert_eq!((plan.moves[0].instruments.len(), plan.moves[0].deadline.as_deref()), (0, None), "the default asks");
    world.lives_in("ali", "PK").await;
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
    assert_eq!((refused.key.as_ref().map(ObjectKey::as_str), refused.bucket.as_str()), (Some("ali/a"), "media"));
    assert!(refused.reason.contains("leaves no country"), "{}", refused.reason);
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
    let one = Stock { bucket: Some(bucket()), prefix: Some("ali/29".to_owned()), ..Stock::default() };
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

impl World {
    async fn moved(&self, stock: Stock) -> Progress {
        let counting = Counting::default();
        run(&self.objects, &Order { stock, retries: Order::RETRIES, ..Order::default() }, &counting).await.unwrap();
        counting.progress()
    }

    async fn swept(&self) {
        self.clock.advance(1);
        while self.objects.collect_round(Duration::ZERO).await.unwrap() > 0 {}
    }

    async fn counters_are_right(&self) {
        assert_eq!(self.objects.index.summary(), self.objects.index.recount().await.unwrap());
    }

    fn stored_in(&self, country: &str) -> u64 {
        let country = country.parse().unwrap();
        let of = |counter: &Counter| matches!(counter, Counter::Site(of, ..) if *of == country);
        self.objects.index.summary().iter().filter(|(counter, _)| of(counter)).map(|(_, tally)| tally.objects).sum()
    }
}

#[tokio::test]
async fn what_was_planned_moves_and_then_nothing_is_left_to_do() {
    let world = World::new(PK_ONLY).await;
    let versioning = Setting::Versioning(Versioning::Enabled);
    world.objects.configure_bucket(&world.asks(), &bucket(), Action::PutBucketVersioning, versioning).await.unwrap();
    for number in 0..300 {
        world.put(&format!("ali/{}", number % 100), format!("{number}").as_bytes()).await;
    }
    for law in [sg_law(), policies(PK_ONLY)] {
        world.decide_by(law).await;
        let plan = world.plan_in_force().await;
        assert_eq!(plan.moving, plan.records);
        let progress = world.moved(Stock::default()).await;
        assert_eq!((progress.moved, progress.failed, progress.overtaken), (plan.moving, 0, 0));
        let ways: Vec<_> = progress.ways.iter().map(|way| (&way.from, &way.to, way.records)).collect();
        let planned: Vec<_> = plan.moves.iter().map(|way| (&way.from, &way.to, way.records)).collect();
        assert_eq!(ways, planned);
        assert_eq!(world.plan_in_force().await.moving, Tally::default());
        assert_eq!(world.moved(Stock::default()).await.moved, Tally::default());
        world.counters_are_right().await;
        world.swept().await;
        for number in 200..300 {
            assert_eq!(world.read(&format!("ali/{}", number % 100)).await.unwrap(), format!("{number}").as_bytes());
        }
    }
    assert_eq!((world.stored_in("PK"), world.stored_in("SG")), (300, 0));
    assert_eq!(world.count("relocated"), 600);
}

#[tokio::test]
async fn what_has_no_place_stays_and_is_listed() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/a", b"12345").await;
    world.decide_by(policies(NOWHERE)).await;
    let progress = world.moved(Stock::default()).await;
    assert_eq!((progress.moved, progress.failed), (Tally::default(), 1));
    assert!(progress.failures[0].reason.contains("leaves no country"), "{:?}", progress.failures);
    assert_eq!(world.read("ali/a").await.unwrap(), b"12345");
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/a", b"12345").await;
    world.decide_by(sg_law()).await;
    world.fail_puts("sg-sin", 2);
    let progress = world.moved(Stock::default()).await;
    assert_eq!((progress.moved, progress.failed), (Tally { objects: 1, bytes: 5 }, 0), "{:?}", progress.failures);
    assert_eq!(world.read("ali/a").await.unwrap(), b"12345");
}

#[tokio::test]
async fn only_what_was_ordered_moves() {
    let world = World::new(PK_ONLY).await;
    for at in ["ali/a", "ali/b", "amna/a"] {
        world.put(at, b"x").await;
    }
    world.decide_by(sg_law()).await;
    let of = |prefix: &str| Stock { bucket: Some(bucket()), prefix: Some(prefix.to_owned()), ..Stock::default() };
    assert_eq!(world.moved(of("ali/b")).await.moved.objects, 1);
    let ali = Stock { subject: Some(SubjectId::new("ali").unwrap()), ..Stock::default() };
    assert_eq!(world.moved(ali).await.moved.objects, 1);
    assert_eq!((world.stored_in("PK"), world.stored_in("SG")), (1, 2));
}

#[tokio::test]
async fn the_records_of_a_subject_that_moved_follow() {
    let world = World::new(PK_ONLY).await;
    world.lives_in("nobody-yet", "SG").await;
    for at in ["ali/a", "ali/b", "amna/a"] {
        world.put(at, b"x").await;
    }
    let mut waiting = Waiting::default();
    assert_eq!(settle_round(&world.objects, &mut waiting).await.unwrap(), 0, "who has no records has nothing to move");
    world.lives_in("ali", "SG").await;
    assert_eq!(world.objects.index.unsettled(None, 10).await.unwrap().len(), 1);
    assert_eq!(settle_round(&world.objects, &mut waiting).await.unwrap(), 1);
    assert_eq!((world.stored_in("PK"), world.stored_in("SG")), (1, 2));
    assert_eq!(world.objects.index.unsettled(None, 10).await.unwrap(), []);
    assert_eq!(world.count("subject-settled"), 1);
    world.lives_in("ali", "SG").await;
    assert_eq!(settle_round(&world.objects, &mut waiting).await.unwrap(), 0, "the same place again is no move");
    world.counters_are_right().await;
}

#[tokio::test]
async fn a_move_that_is_said_for_a_later_day_happens_then() {
    let world = World::new(PK_ONLY).await;
    for at in ["ali/a", "amna/a"] {
        world.put(at, b"x").await;
    }
    world.lives_from("ali", "SG", 1000).await;
    let mut waiting = Waiting::default();
    assert_eq!(world.objects.take_effect_round().await.unwrap(), 0);
    assert_eq!(settle_round(&world.objects, &mut waiting).await.unwrap(), 0, "not before its time");
    assert_eq!((world.stored_in("PK"), world.stored_in("SG")), (2, 0));
    world.clock.advance(1000);
    assert_eq!(world.plan_in_force().await.moving.objects, 1, "decided by the time, before it is written down");
    assert!(world.try_put("ali/b", b"x").await.is_err(), "the principal says PK still");
    let world = world.restart().await;
    assert_eq!(world.objects.take_effect_round().await.unwrap(), 1);
    assert_eq!((world.objects.take_effect_round().await.unwrap(), world.count("subject-due")), (0, 1));
    assert_eq!(settle_round(&world.objects, &mut waiting).await.unwrap(), 1);
    assert_eq!((world.stored_in("PK"), world.stored_in("SG")), (1, 1));
    world.counters_are_right().await;
}

#[tokio::test]
async fn a_move_that_is_learned_of_late_happens_at_once() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/a", b"x").await;
    world.lives_from("ali", "SG", -86_400_000).await;
    assert_eq!(settle_round(&world.objects, &mut Waiting::default()).await.unwrap(), 1);
    assert_eq!((world.stored_in("PK"), world.stored_in("SG")), (0, 1));
}

#[tokio::test]
async fn a_move_that_was_called_off_does_not_happen() {
    let world = World::new(PK_ONLY).await;
    world.lives_in("ali", "PK").await;
    world.put("ali/a", b"x").await;
    world.lives_from("ali", "SG", 1000).await;
    world.lives_from("ali", "PK", 1000).await;
    world.clock.advance(2000);
    assert_eq!(world.objects.take_effect_round().await.unwrap(), 1);
    assert_eq!(settle_round(&world.objects, &mut Waiting::default()).await.unwrap(), 0);
    assert_eq!((world.stored_in("PK"), world.stored_in("SG")), (1, 0));
}

#[tokio::test]
async fn who_has_no_place_to_go_stays_in_the_queue() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/a", b"x").await;
    world.decide_by(policies("[require]\nnot-countries = [\"SG\", \"PK\"]\n")).await;
    world.lives_in("ali", "SG").await;
    world.lives_in("ali", "PK").await;
    let mut waiting = Waiting::default();
    assert_eq!(settle_round(&world.objects, &mut waiting).await.unwrap(), 0);
    assert_eq!(world.objects.index.unsettled(None, 10).await.unwrap().len(), 1);
    world.decide_by(policies(PK_ONLY)).await;
    assert_eq!(settle_round(&world.objects, &mut waiting).await.unwrap(), 0, "not again at once");
    assert_eq!(settle_round(&world.objects, &mut Waiting::default()).await.unwrap(), 1);
}

#[tokio::test]
async fn records_count_as_looked_at_when_they_had_their_turn() {
    let world = World::new(PK_ONLY).await;
    for number in 0..20 {
        world.put(&format!("ali/{number}"), b"x").await;
    }
    world.decide_by(sg_law()).await;
    let counting = Counting::default();
    let pace = Pace { bytes_per_second: None, requests_per_second: Some(1) };
    let order = Order { pace, ..Order::default() };
    let first = async {
        while counting.progress().moved.objects == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        ended = run(&world.objects, &order, &counting) => panic!("it takes 19 seconds: {ended:?}"),
        () = first => {}
    }
    let progress = counting.progress();
    assert_eq!(progress.records.objects, progress.moved.objects, "the others wait for their turn");
}

#[tokio::test]
async fn a_copy_that_is_to_follow_now_is_planned_and_follows() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/a", b"x").await;
    world.decide_by(policies("[require]\ncopies = \"first\"\ncountries = [\"PK\"]\n")).await;
    assert_eq!(world.plan_in_force().await.moving.objects, 1);
    assert_eq!(world.moved(Stock::default()).await.moved.objects, 1);
    assert_eq!(world.plan_in_force().await.moving.objects, 0);
    assert_eq!(world.objects.replicate_round().await.unwrap(), 1);
    assert_eq!((world.stored_in("PK"), world.stored_in("SG")), (1, 1));
    world.counters_are_right().await;
    world.decide_by(policies(PK_ONLY)).await;
    assert_eq!(world.moved(Stock::default()).await.moved.objects, 1);
    assert_eq!((world.stored_in("PK"), world.stored_in("SG")), (1, 0));
    world.swept().await;
    assert_eq!(world.read("ali/a").await.unwrap(), b"x");
    world.counters_are_right().await;
}

#[tokio::test]
async fn jobs_have_their_turns_and_can_be_called_off() {
    let world = World::new(PK_ONLY).await;
    for number in 0..5 {
        world.put(&format!("ali/{number}"), b"x").await;
    }
    world.decide_by(sg_law()).await;
    let jobs = Relocations::new(world.objects.clone());
    let order = |dry_run| jobs.order(Relocation { order: Order::default(), dry_run });
    let planning = order(true).unwrap().id;
    let called_off = order(false).unwrap().id;
    assert_eq!(jobs.cancel(called_off).unwrap().state, JobState::Cancelled);
    let all = order(false).unwrap().id;
    let state = |id| jobs.job(id).unwrap().state;
    let ended = async {
        while state(all) != JobState::Done {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = jobs.serve() => {}
        () = ended => {}
    }
    assert_eq!((state(planning), state(called_off)), (JobState::Done, JobState::Cancelled));
    assert_eq!(jobs.job(planning).unwrap().view.plan.unwrap().moving.objects, 5, "before the other began");
    assert_eq!(jobs.job(all).unwrap().view.progress.moved.objects, 5);
    assert!(jobs.cancel(99).is_none());
    for _ in 0..97 {
        order(false).unwrap();
    }
    for _ in 0..3 {
        order(false).unwrap();
    }
    assert_eq!(order(false).unwrap_err(), TooMany, "all that are remembered wait");
}
