//! Whether the decision that bytes are being stored under still stands.
//!
//! A body may take longer than what its decision rests on lasts. The commit would refuse it, but by then its bytes would be where
//! they may not be: so before each blob is stored the decision is held against the policy set in force and the subject's entry,
//! and taken again when one of them has moved. The same sites go on; others end the write.

use crate::audit::Kind;
use crate::index::Bucket;
use crate::objects::commit::{Decided, WAIT, WAITS};
use crate::objects::{ObjectError, Objects, Request};
use crate::residency::{Directory, Placement, Refusal, SourceFacts};
use crate::types::ObjectKey;

/// The decision for a record whose bytes are being stored.
pub(super) struct Standing<'a> {
    objects: &'a Objects,
    bucket: &'a Bucket,
    key: &'a ObjectKey,
    decider: Decider<'a>,
    placement: Placement,
    /// The state of the directory that the decision is known to fit, as [`Index::directory_changes`] counts.
    ///
    /// [`Index::directory_changes`]: crate::index::Index::directory_changes
    seen: Option<u64>,
}

/// In whose name it is decided again.
enum Decider<'a> {
    /// Whoever sends the bytes, which come from `sources` where they are copied. A refusal is recorded as one of `kind`.
    Caller { request: Request<'a>, kind: Kind, sources: &'a [SourceFacts] },
    /// The gateway, which copies a record by itself.
    Gateway,
}

impl<'a> Standing<'a> {
    /// Of bytes that a request brings. `seen` is what the index counted before `placement` was decided, where that is known.
    pub(super) fn of_request(
        request: Request<'a>,
        kind: Kind,
        (objects, bucket, key): (&'a Objects, &'a Bucket, &'a ObjectKey),
        (placement, sources): (Placement, &'a [SourceFacts]),
        seen: Option<u64>,
    ) -> Self {
        Self { objects, bucket, key, decider: Decider::Caller { request, kind, sources }, placement, seen }
    }

    /// Of a stored record that the gateway copies.
    pub(super) const fn of_copy((objects, bucket, key): (&'a Objects, &'a Bucket, &'a ObjectKey), placement: Placement) -> Self {
        Self { objects, bucket, key, decider: Decider::Gateway, placement, seen: None }
    }

    /// The decision as it was last found to stand.
    pub(super) const fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Answers when the decision stands, which costs no read while nothing has changed.
    ///
    /// # Errors
    /// [`ObjectError::Residency`] when it does not: nothing more may be stored under it. The refusal is recorded.
    pub(super) async fn check(&mut self) -> Result<(), ObjectError> {
        let Err(refusal) = self.stands().await else { return Ok(()) };
        if let Decider::Caller { request, kind, .. } = &self.decider {
            self.objects.record_refusal(request, *kind, &self.bucket.name, Some(self.key), refusal.code()).await?;
        }
        Err(refusal.into())
    }

    async fn stands(&mut self) -> Result<(), Refusal> {
        for _ in 0..WAITS {
            let changes = self.objects.index.directory_changes();
            if self.fits(changes)? {
                self.seen = Some(changes);
                return Ok(());
            }
            let again = self.decide_again()?;
            // The index learns of a policy set a moment before the gateway decides by it.
            if again.basis() == self.placement.basis() {
                tokio::time::sleep(WAIT).await;
            }
            self.placement = again;
        }
        Err(Refusal::Stale { reason: "what the decision rests on changes too fast".to_owned() })
    }

    /// Whether policy, day and subject are those of the decision, as far as it depends on them.
    fn fits(&self, changes: u64) -> Result<bool, Refusal> {
        let basis = self.placement.basis();
        let is_over = basis.until.is_some_and(|until| until <= self.objects.clock.now());
        if is_over || self.objects.index.policy() != Some(basis.policy) {
            return Ok(false);
        }
        let Some(subject) = self.placement.subject().filter(|_| self.seen != Some(changes)) else { return Ok(true) };
        let entry = self.objects.index.lookup(subject).map_err(|_| Refusal::DirectoryUnavailable)?;
        Ok(entry.unwrap_or_default().generation == basis.subject_generation)
    }

    fn decide_again(&self) -> Result<Placement, Refusal> {
        let Self { objects, bucket, key, placement, .. } = self;
        match &self.decider {
            Decider::Caller { request, sources, .. } => {
                objects.decide_again(request, Decided { bucket, key, placement, sources }, placement.record())
            }
            Decider::Gateway => {
                objects.check_not_erased(placement.record())?;
                objects.residency.resume_stored(placement.record(), &bucket.name, key)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::audit::Actor;
    use crate::clock::{Clock, ManualClock, SystemClock};
    use crate::index::Saying;
    use crate::objects::fixture::{self, AT_HOME, World, bucket, described, interrupted_body, policies, put, until};
    use crate::objects::{CreateUpload, GetRequest, PartRequest, ReadCondition};
    use crate::policy::{PolicyFile, PolicySet};
    use crate::residency::Signals;
    use crate::seal::EXTENT_SIZE;
    use crate::types::{Attributes, SubjectId, Timestamp};

    /// Other policies with the same places for residents, and ones with another.
    const SAME: [&str; 2] = ["DE", "PK"];
    const ELSEWHERE: [&str; 2] = ["SG", "DE"];
    const LENGTH: usize = 3 * EXTENT_SIZE;

    /// A world where `amna` lives in Pakistan and has written before, so that her key is there; and how many blobs `pk` has.
    async fn world() -> (Arc<World>, usize) {
        let world = Arc::new(World::new(256 << 20).await);
        world.lives_in("amna", "PK").await;
        world.objects.put(&world.request(), put("before", "amna", 1), fixture::body(1)).await.unwrap();
        let blobs = world.blobs("pk");
        (world, blobs)
    }

    /// Does `change` once the first extent is stored.
    async fn after_the_first_extent((world, before): (Arc<World>, usize), change: impl Future<Output = ()>) {
        until(|| world.blobs("pk") > before).await;
        change.await;
    }

    async fn reload(world: Arc<World>, set: PolicySet) {
        world.reload(set).await;
    }

    fn is_stale<T>(outcome: &Result<T, ObjectError>) -> bool {
        matches!(outcome, Err(ObjectError::Residency(Refusal::Stale { .. })))
    }

    async fn assert_refused_once(world: &World, kind: &str) {
        let refusals = world.refusals().await;
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        assert!(refusals[0].contains("ResidencyUnavailable") && refusals[0].contains(kind), "{refusals:?}");
    }

    #[tokio::test]
    async fn nothing_more_is_stored_after_a_policy_forbids_the_site() {
        let (world, before) = world().await;
        let change = reload(Arc::clone(&world), policies(ELSEWHERE));
        let between = after_the_first_extent((Arc::clone(&world), before), change);
        let body = interrupted_body(EXTENT_SIZE + 1, between, LENGTH - EXTENT_SIZE - 1);
        let outcome = world.objects.put(&world.request(), put("k", "amna", LENGTH), body).await;
        assert!(is_stale(&outcome), "{outcome:?}");
        assert_eq!(world.blobs("pk"), before + 1);
        assert_eq!(world.blobs("de"), 1, "only its marker");
        assert_refused_once(&world, "put-object").await;
        // What was stored before has a name: the committer enters it as garbage when the attempt is given up.
        while world.objects.collect_round(Duration::ZERO).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(world.blobs("pk"), before);
    }

    #[tokio::test]
    async fn nothing_more_is_stored_after_the_subject_has_moved() {
        let (world, before) = world().await;
        let moving = Arc::clone(&world);
        let change = async move { moving.lives_in("amna", "SG").await };
        let between = after_the_first_extent((Arc::clone(&world), before), change);
        let body = interrupted_body(EXTENT_SIZE + 1, between, LENGTH - EXTENT_SIZE - 1);
        let outcome = world.objects.put(&world.request(), put("k", "amna", LENGTH), body).await;
        assert!(is_stale(&outcome), "{outcome:?}");
        assert_eq!(world.blobs("pk"), before + 1);
        assert_refused_once(&world, "put-object").await;
    }

    #[tokio::test]
    async fn nothing_more_is_stored_once_a_move_that_was_said_before_has_come() {
        let (world, before) = world().await;
        let comes = Timestamp::from_millis(SystemClock.now().millis() + 1500);
        let attributes = Attributes::from([("residence".to_owned(), "SG".to_owned())]);
        let saying = Saying { attributes: Some(attributes), effective: Some(comes), ..Saying::default() };
        let amna = SubjectId::new("amna").unwrap();
        world.objects.say_of_subject(world.request().id, &Actor::System, &amna, saying).await.unwrap();
        let change = async move { until(|| SystemClock.now() >= comes).await };
        let between = after_the_first_extent((Arc::clone(&world), before), change);
        let body = interrupted_body(EXTENT_SIZE + 1, between, LENGTH - EXTENT_SIZE - 1);
        let outcome = world.objects.put(&world.request(), put("k", "amna", LENGTH), body).await;
        assert!(is_stale(&outcome), "{outcome:?}");
        assert_eq!(world.blobs("pk"), before + 1);
        assert_refused_once(&world, "put-object").await;
    }

    /// A clock at noon of 31 May 2026, and policies by which all that is somebody's moves to Germany on 1 June.
    fn eve() -> (Arc<ManualClock>, PolicySet) {
        let later = "version = 1\nid = \"later\"\ntitle = \"t\"\nenforcement = \"on\"\nlegal-status = \"in-force\"\nsources = [\"s\"]\n\
                     effective = 2026-06-01\n[require]\ncopies = \"only\"\ncountries = [\"DE\"]\n";
        let gateway = "version = 1\n[subject]\nfrom = [\"metadata:domicile-subject\"]\n[default]\ncountries = [\"PK\"]\n";
        let file = |path: &str, text: &str| PolicyFile { path: path.to_owned(), text: text.to_owned() };
        let set = PolicySet::parse(&[file("gateway.toml", gateway), file("later/policy.toml", later)]).unwrap();
        (Arc::new(ManualClock::new(Timestamp::parse_rfc3339("2026-05-31T12:00:00Z").unwrap())), set)
    }

    const HALF_A_DAY: i64 = 12 * 3600 * 1000;

    #[tokio::test]
    async fn nothing_more_is_stored_once_the_day_of_a_rule_has_come() {
        let (clock, set) = eve();
        let world = Arc::new(World::at(256 << 20, Arc::clone(&clock) as _).await);
        world.reload(set).await;
        world.objects.put(&world.request(), put("before", "amna", 1), fixture::body(1)).await.unwrap();
        let before = world.blobs("pk");
        let between = after_the_first_extent((Arc::clone(&world), before), async move { clock.advance(HALF_A_DAY) });
        let body = interrupted_body(EXTENT_SIZE + 1, between, LENGTH - EXTENT_SIZE - 1);
        let outcome = world.objects.put(&world.request(), put("k", "amna", LENGTH), body).await;
        assert!(is_stale(&outcome), "{outcome:?}");
        assert_eq!(world.blobs("pk"), before + 1);
        assert_refused_once(&world, "put-object").await;
        // Begun again it goes where it has to be from then on.
        world.objects.put(&world.request(), put("k", "amna", 1), fixture::body(1)).await.unwrap();
        assert!(world.blobs("de") > 1);
    }

    #[tokio::test]
    async fn a_decision_of_the_day_before_does_not_commit() {
        let (clock, set) = eve();
        let world = Arc::new(World::at(256 << 20, Arc::clone(&clock) as _).await);
        world.reload(set).await;
        clock.advance(HALF_A_DAY - 1);
        let amna = put("k", "amna", 1);
        let signals = Signals {
            bucket: &amna.bucket,
            key: &amna.key,
            metadata: &amna.description.metadata,
            tags: &[],
            sources: &[],
            stated: None,
        };
        let placement = world.objects.residency.place(world.request().auth, &signals).unwrap();
        let until = placement.basis().until.unwrap();
        assert_eq!(until.to_rfc3339(), "2026-06-01T00:00:00.000Z");
        assert!(
            world.objects.residency.place(world.request().auth, &signals).is_ok_and(|again| again.basis() == placement.basis())
        );
        clock.advance(1);
        let now = world.objects.residency.place(world.request().auth, &signals).unwrap();
        assert_eq!(now.basis().until, None, "nothing is to come after that");
    }

    #[tokio::test]
    async fn a_body_of_one_extent_is_held_against_the_policy_before_it_is_stored() {
        let (world, before) = world().await;
        let body = interrupted_body(1000, reload(Arc::clone(&world), policies(ELSEWHERE)), 1000);
        let outcome = world.objects.put(&world.request(), put("k", "amna", 2000), body).await;
        assert!(is_stale(&outcome), "{outcome:?}");
        assert_eq!(world.blobs("pk"), before);
        assert_refused_once(&world, "put-object").await;
    }

    #[tokio::test]
    async fn a_part_is_stopped_like_a_body() {
        let (world, before) = world().await;
        let request = world.request();
        let create = CreateUpload {
            bucket: bucket(),
            key: fixture::key("k"),
            description: described("amna"),
            checksum: None,
            acl: Default::default(),
        };
        let (upload, _) = world.objects.create_upload(&request, create).await.unwrap();
        let change = reload(Arc::clone(&world), policies(ELSEWHERE));
        let between = after_the_first_extent((Arc::clone(&world), before), change);
        let body = interrupted_body(EXTENT_SIZE + 1, between, LENGTH - EXTENT_SIZE - 1);
        let part = PartRequest {
            bucket: bucket(),
            key: fixture::key("k"),
            upload,
            number: 1,
            length: LENGTH as u64,
            content_md5: None,
            checksum: None,
        };
        let outcome = world.objects.upload_part(&request, part, body).await;
        assert!(is_stale(&outcome), "{outcome:?}");
        assert_eq!(world.blobs("pk"), before + 1);
        assert_refused_once(&world, "upload-part").await;
    }

    #[tokio::test]
    async fn the_same_sites_go_on_under_the_policy_of_now() {
        let (world, before) = world().await;
        let now = policies(SAME).revision();
        assert_ne!(now, policies(AT_HOME).revision());
        let change = reload(Arc::clone(&world), policies(SAME));
        let between = after_the_first_extent((Arc::clone(&world), before), change);
        let body = interrupted_body(EXTENT_SIZE + 1, between, LENGTH - EXTENT_SIZE - 1);
        world.objects.put(&world.request(), put("k", "amna", LENGTH), body).await.unwrap();
        let get = GetRequest {
            bucket: bucket(),
            key: fixture::key("k"),
            version: None,
            range: None,
            part: None,
            condition: ReadCondition::default(),
        };
        let found = world.objects.head(&world.request(), get).await.unwrap();
        assert_eq!(found.record.detail.placement.revision, now);
        assert!(world.refusals().await.is_empty());
    }
}
