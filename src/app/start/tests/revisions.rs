//! Which policies a gateway decides by after reloads, proposals, rollbacks and starts.

use std::ops::{Bound, ControlFlow};

use super::*;
use crate::admin::{GatewayError, PoliciesView, Verdict};
use crate::authn::{Role, Token, TokenHash, TokenIdentity};
use crate::index::engine::Batch;
use crate::index::{Engine, PolicyChange, PolicyOrder, PolicyState, SledEngine};
use crate::policy::Approval;
use crate::types::{PolicyRevision, PrincipalId, RequestId, Timestamp};

/// A gateway whose folder holds one instrument that the tests rewrite.
struct Place {
    folder: tempfile::TempDir,
    approval: Approval,
}

/// Stricter from top to bottom.
const LOOSE: &str = "[require]\ncopies = \"only\"\ncountries = [\"PK\", \"SG\"]\n";
const STRICT: &str = "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n";

fn who(id: &str) -> TokenIdentity {
    TokenIdentity { id: PrincipalId::new(id).unwrap(), role: Role::PolicyAdmin }
}

fn request() -> RequestId {
    RequestId::new("test").unwrap()
}

impl Place {
    fn new(approval: Approval) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), approval };
        place.holds(LOOSE);
        place
    }

    fn holds(&self, requirement: &str) {
        let folder = self.folder.path().join("policies");
        fs::create_dir_all(folder.join("one")).unwrap();
        let gateway = "version = 1\n[subject]\nfrom = [\"key:{subject}/**\"]\n[attributes.residence]\nfrom = [\"directory\"]\n\
                       [no-subject]\notherwise = [\"PK\"]\n[default]\ncountries = [\"PK\"]\n";
        fs::write(folder.join("gateway.toml"), gateway).unwrap();
        let head = "version = 1\nid = \"one\"\ntitle = \"One\"\nsection = \"1\"\nenforcement = \"on\"\nlegal-status = \"in-force\"\n\
                    effective = 2020-01-01\n[when]\nresidence = [\"PK\"]\n";
        fs::write(folder.join("one/policy.toml"), format!("{head}{requirement}")).unwrap();
    }

    async fn start(&self) -> Running {
        self.try_start().await.unwrap()
    }

    async fn try_start(&self) -> Result<Running, StartError> {
        let data_dir = self.folder.path().join("data");
        let mut config = crate::app::Installation::open(&data_dir, any_port(), any_port(), &Nothing).unwrap().config;
        config.policies = PolicySource::Folder(self.folder.path().join("policies"));
        config.approval = self.approval;
        App::start(config).await
    }
}

impl Running {
    fn view(&self) -> PoliciesView {
        let view = self.gateway.policies();
        assert_eq!(Some(view.revision), self.index.policy(), "the gateway decides by what the index knows to be in force");
        view
    }

    async fn decide(&self, id: &str, verdict: Verdict) -> Result<PoliciesView, GatewayError> {
        let proposed = self.index.policy_standing().proposed.clone().expect("a proposal");
        let name = proposed.revision.to_string();
        self.gateway.decide_policies(&request(), &who(id), &name[..12], verdict, Some("seen".to_owned())).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_allows_no_more_comes_into_force_at_once_and_what_does_waits_for_a_second_person() {
    let place = Place::new(Approval::Loosening);
    let running = place.start().await;
    let loose = running.view().revision;
    place.holds(STRICT);
    let view = running.gateway.reload_policies(&request(), &who("ann")).await.unwrap();
    let strict = running.view().revision;
    assert_ne!(strict, loose);
    assert!(view.proposal.is_none() && view.folder.in_force);

    place.holds(LOOSE);
    let view = running.gateway.reload_policies(&request(), &who("ann")).await.unwrap();
    assert_eq!((view.revision, view.proposal.as_ref().map(|entry| entry.revision)), (strict, Some(loose)));
    assert_eq!(running.view().revision, strict, "the old set stays");
    assert!(!view.folder.in_force);
    let proposal = view.proposal.unwrap();
    assert_eq!((proposal.allows_more, proposal.before), (Some(true), Some(strict)));
    assert!(matches!(running.decide("ann", Verdict::Approve).await, Err(GatewayError::Conflict(_))));
    assert_eq!(running.view().revision, strict);
    let view = running.decide("ben", Verdict::Approve).await.unwrap();
    assert_eq!(view.revision, loose);
    assert_eq!(running.view().revision, loose);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_is_no_way_around_an_approval() {
    let mut place = Place::new(Approval::Loosening);
    place.holds(STRICT);
    let running = place.start().await;
    let strict = running.view().revision;
    running.shutdown().await;

    place.holds(LOOSE);
    let running = place.start().await;
    let view = running.view();
    assert_eq!(view.revision, strict);
    let proposal = view.proposal.unwrap();
    running.shutdown().await;
    // The same start again proposes nothing new.
    let running = place.start().await;
    assert_eq!(running.view().proposal.unwrap().number, proposal.number);
    running.decide("ann", Verdict::Reject).await.unwrap();
    assert!(running.view().folder.put_aside);
    running.shutdown().await;
    // Neither does one after the rejection, also where nobody has to approve any more.
    for approval in [Approval::Loosening, Approval::Never] {
        place.approval = approval;
        let running = place.start().await;
        let view = running.view();
        assert_eq!((view.revision, view.proposal.is_none(), view.folder.put_aside), (strict, true, true));
        running.shutdown().await;
    }
    // A reload that is ordered, and then nobody has to approve.
    let running = place.start().await;
    running.gateway.reload_policies(&request(), &who("ann")).await.unwrap();
    assert_ne!(running.view().revision, strict);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_outlives_starts_until_the_folder_changes_or_a_reload_is_ordered() {
    let place = Place::new(Approval::Never);
    let running = place.start().await;
    let loose = running.view().revision;
    place.holds(STRICT);
    running.gateway.reload(Actor::Signal, None).await.unwrap();
    let strict = running.view().revision;
    let why = Some("too strict".to_owned());
    let view = running.gateway.roll_back_policies(&request(), &who("ann"), &loose.to_string(), why).await.unwrap();
    assert_eq!((view.revision, view.folder.in_force, view.folder.put_aside), (loose, false, true));
    assert!(running.gateway.readiness().await.components.iter().any(|part| part.detail.contains("is put aside")));
    let again = running.gateway.roll_back_policies(&request(), &who("ann"), &loose.to_string(), None).await;
    assert!(matches!(again, Err(GatewayError::Conflict(_))), "it is in force");
    running.shutdown().await;

    let running = place.start().await;
    let view = running.view();
    assert_eq!((view.revision, view.folder.revision), (loose, strict));
    let history = running.gateway.policy_history(None, 10).await.unwrap();
    let states: Vec<PolicyState> = history.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [PolicyState::InForce, PolicyState::RolledBack, PolicyState::Superseded]);
    assert_eq!(history[0].asked.comment.as_deref(), Some("too strict"));
    running.gateway.reload_policies(&request(), &who("ann")).await.unwrap();
    assert_eq!(running.view().revision, strict, "a reload is ordered");
    running.gateway.roll_back_policies(&request(), &who("ann"), &loose.to_string()[..8], None).await.unwrap();
    running.shutdown().await;

    place.holds("[require]\ncopies = \"only\"\ncountries = [\"SG\"]\n");
    let running = place.start().await;
    let other = running.view().revision;
    assert!(other != loose && other != strict, "the folder has changed");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_allows_more_waits_and_the_folder_stays_aside_once_it_is_approved() {
    let place = Place::new(Approval::Loosening);
    let running = place.start().await;
    let loose = running.view().revision;
    place.holds(STRICT);
    running.gateway.reload_policies(&request(), &who("ann")).await.unwrap();
    let strict = running.view().revision;
    let never = running.gateway.roll_back_policies(&request(), &who("ann"), &"ab".repeat(32), None).await;
    assert!(matches!(never, Err(GatewayError::NotFound(_))));
    running.gateway.roll_back_policies(&request(), &who("ann"), &loose.to_string(), None).await.unwrap();
    assert_eq!(running.view().revision, strict);
    running.decide("ben", Verdict::Approve).await.unwrap();
    assert_eq!(running.view().revision, loose);
    running.shutdown().await;
    let running = place.start().await;
    assert_eq!(running.view().revision, loose);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_the_index_and_the_gateway_leaves_the_set_that_the_index_knows() {
    let place = Place::new(Approval::Always);
    let running = place.start().await;
    let loose = running.view().revision;
    place.holds(STRICT);
    running.gateway.reload_policies(&request(), &who("ann")).await.unwrap();
    let proposed = running.index.policy_standing().proposed.clone().unwrap().revision;
    // The commit of the approval, and no more of it.
    let approve =
        PolicyChange::Approve(proposed, crate::audit::By::Token(PrincipalId::new("ben").unwrap()), Default::default(), None);
    let event = Event::new(Kind::PolicyApproved, Actor::System);
    running.index.commit(Change::Policy(Box::new(approve)), event).await.unwrap();
    assert_eq!(running.gateway.policies().revision, loose);
    running.shutdown().await;
    let running = place.start().await;
    assert_eq!(running.view().revision, proposed);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_lost_is_no_way_around_an_approval() {
    let place = Place::new(Approval::Loosening);
    place.holds(STRICT);
    let running = place.start().await;
    let strict = running.view().revision;
    running.shutdown().await;
    // As after a rebuild from journals with a gap: which set is in force is known, and its files, and not how it came to be.
    let engine = SledEngine::open(&place.folder.path().join("data/index"), 64 << 20).unwrap();
    let (mut batch, mut entries) = (Batch::default(), 0);
    engine
        .scan(Bound::Included(b"Pe"), Bound::Excluded(b"Pf"), &mut |row, _| {
            batch.delete(row.to_vec());
            entries += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(entries, 1);
    engine.apply(batch).unwrap();
    drop(engine);

    place.holds(LOOSE);
    let running = place.start().await;
    let view = running.view();
    assert_eq!((view.revision, view.proposal.is_some()), (strict, true));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_steps_leave_gateway_and_index_with_the_same_set() {
    let place = Place::new(Approval::Never);
    let running = place.start().await;
    let loose = running.view().revision;
    place.holds(STRICT);
    running.gateway.reload(Actor::Signal, None).await.unwrap();
    let gateway = &running.gateway;
    let name = loose.to_string();
    for _ in 0..5 {
        let (request, ann) = (request(), who("ann"));
        let back = || gateway.roll_back_policies(&request, &ann, &name, None);
        let _ = tokio::join!(gateway.reload(Actor::Signal, None), back(), gateway.reload(Actor::System, None), back());
        running.view();
    }
    let history = running.index.policy_history(None, 1000).await.unwrap();
    let in_force = history.iter().filter(|entry| entry.state == PolicyState::InForce).count();
    assert_eq!(in_force, 1);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_read_stops_a_start_and_not_a_gateway() {
    let place = Place::new(Approval::Loosening);
    let running = place.start().await;
    let loose = running.view().revision;
    place.holds("[require]\ncopies = \"nowhere\"\n");
    assert!(matches!(running.gateway.reload(Actor::Signal, None).await, Err(GatewayError::Policies(_))));
    assert_eq!(running.view().revision, loose);
    running.shutdown().await;
    assert!(matches!(place.try_start().await, Err(StartError::Policies(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_is_called_otherwise_by_now_goes_on_under_its_new_name() {
    let place = Place::new(Approval::Loosening);
    let running = place.start().await;
    let loose = running.view().revision;
    let texts = running.index.policy_texts(loose).unwrap().unwrap();
    // As an earlier version of the program might have called it.
    let order = PolicyOrder {
        revision: PolicyRevision::from_bytes([9; 32]),
        texts,
        by: crate::audit::By::System,
        comment: None,
        held_against: None,
        allows_more: None,
        rollback: false,
        passed_over: None,
    };
    let event = Event::new(Kind::PolicyActivated, Actor::System);
    running.index.commit(Change::Policy(Box::new(PolicyChange::Activate(order))), event).await.unwrap();
    running.shutdown().await;
    let running = place.start().await;
    let view = running.view();
    assert_eq!((view.revision, view.proposal.is_none(), view.folder.in_force), (loose, true, true));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_with_two_tokens_is_not_two() {
    let place = Place::new(Approval::Loosening);
    place.holds(STRICT);
    let running = place.start().await;
    let token = |id: &str, person: Option<&str>| Token {
        id: PrincipalId::new(id).unwrap(),
        role: Role::PolicyAdmin,
        hash: TokenHash::of(id),
        person: person.map(|name| PrincipalId::new(name).unwrap()),
    };
    let tokens = vec![token("ann", Some("oidc.ann")), token("ann-2", Some("oidc.ann")), token("ben", None)];
    running.gateway.access.tokens.replace(tokens);
    place.holds(LOOSE);
    running.gateway.reload_policies(&request(), &who("ann")).await.unwrap();
    for own in ["ann", "ann-2", "oidc.ann"] {
        let refused = running.decide(own, Verdict::Approve).await.unwrap_err();
        assert!(matches!(&refused, GatewayError::Conflict(why) if why.contains("somebody else")), "{own}: {refused}");
    }
    running.decide("ben", Verdict::Approve).await.unwrap();
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_questions_take_turns_and_a_reload_does_not_wait_for_them() {
    let place = Place::new(Approval::Loosening);
    let running = place.start().await;
    let mut taken = Vec::new();
    let soon = Duration::from_millis(100);
    while let Ok(place) = tokio::time::timeout(soon, running.gateway.place_for_long()).await {
        taken.push(place.unwrap());
    }
    assert!(!taken.is_empty());
    let (since, until) = (Timestamp::from_seconds(0), Timestamp::from_seconds(1));
    let all = || crate::index::RecordsQuery { limit: 1, ..Default::default() };
    assert!(tokio::time::timeout(soon, running.gateway.plan(None)).await.is_err());
    assert!(tokio::time::timeout(soon, running.gateway.policy_diff(None, None)).await.is_err());
    assert!(tokio::time::timeout(soon, running.gateway.report(since, until)).await.is_err());
    assert!(tokio::time::timeout(soon, running.gateway.sample(all(), "seed")).await.is_err());
    place.holds(STRICT);
    running.gateway.reload_policies(&request(), &who("ann")).await.unwrap();
    drop(taken);
    running.gateway.plan(None).await.unwrap();
    running.gateway.policy_diff(None, None).await.unwrap();
    running.gateway.report(since, until).await.unwrap();
    running.gateway.sample(all(), "seed").await.unwrap();
    running.shutdown().await;
}
