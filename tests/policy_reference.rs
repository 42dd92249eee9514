//! Policies against a second evaluator, written from the documentation alone, and analysis against trying everything.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use domicile::policy::{Decision, Denial, DenialKind, PolicySet, Role, diff};
use proptest::prelude::*;

#[path = "policy_reference/model.rs"]
mod model;
#[path = "policy_reference/naive.rs"]
mod naive;

use model::{EVERYWHERE, Request, Set, TODAY, country, id, requests, set};
use naive::Outcome;

fn parsed(set: &Set) -> PolicySet {
    PolicySet::parse(&set.files())
        .unwrap_or_else(|found| panic!("{}", found.iter().map(|d| format!("{d}\n")).collect::<String>()))
}

/// What the real evaluator decides, as a request would get it.
fn decide(set: &PolicySet, request: &Request) -> Result<Decision, Denial> {
    decide_from(set, request, &[])
}

/// The same for a copy.
fn decide_from(set: &PolicySet, request: &Request, sources: &[domicile::policy::Facts<'_>]) -> Result<Decision, Denial> {
    request.told(|subject, mut attributes, facts| {
        if subject && let Err(name) = set.complete(&mut attributes) {
            return Err(Denial { kind: DenialKind::Unknown, message: name.to_owned(), instruments: Vec::new() });
        }
        set.decide_copy(&domicile::policy::Facts { attributes: &attributes, ..*facts }, sources)
    })
}

fn outcome(decision: &Decision) -> Outcome {
    let role = |role: Role| match role {
        Role::Primary => "primary",
        Role::Required => "required",
        Role::Queued => "queued",
    };
    let listed = |countries: &BTreeSet<domicile::types::Country>| {
        EVERYWHERE.into_iter().filter(|code| countries.contains(&country(code))).collect::<BTreeSet<_>>()
    };
    let periods = |limits: &[domicile::policy::RetentionLimit]| {
        let asked: BTreeSet<String> = limits.iter().map(|limit| limit.period.to_string()).collect();
        ["1y", "2y", "3y"].into_iter().filter(|period| asked.contains(*period)).collect::<BTreeSet<_>>()
    };
    let permitted = EVERYWHERE.into_iter().filter(|code| decision.permits(country(code)));
    let key = |code: &str| {
        let key = decision.key_country(country(code));
        EVERYWHERE.into_iter().find(|code| country(code) == key).unwrap()
    };
    Outcome {
        placement: decision.placement.iter().map(|planned| (planned.country.to_string(), role(planned.role))).collect(),
        permitted: permitted.clone().collect(),
        keys: permitted.map(|code| (code, key(code))).collect(),
        processing: decision.processing.countries.as_ref().map(listed),
        at_least: periods(&decision.retention.at_least),
        at_most: periods(&decision.retention.at_most),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn decisions_are_those_of_the_reference(set in set(6), seed in any::<prop::sample::Index>()) {
        let real = parsed(&set);
        let all = requests(&[&set]);
        // Every request would be slow in a debug build; some from all over are as good over many cases.
        let step = all.len().div_ceil(400).max(1);
        for request in all.iter().skip(seed.index(step)).step_by(step) {
            let decision = decide(&real, request);
            let found = decision.as_ref().ok().map(outcome);
            prop_assert_eq!(&found, &naive::decide(&set, request), "{:?}\n{:?}", request, decision);
        }
    }

    /// A copy is bound by what binds its destination and its source, each with the exceptions that hold there.
    #[test]
    fn decisions_of_copies_are_those_of_the_reference(set in set(5), seed in any::<prop::sample::Index>()) {
        let real = parsed(&set);
        let all = requests(&[&set]);
        let step = all.len().div_ceil(25).max(1);
        for from in all.iter().skip(seed.index(step)).step_by(step) {
            let from = naive::known(&set, from);
            for to in all.iter().skip(seed.index(7)).step_by(step).filter(|to| to.day == from.day) {
                let found = from.told(|_, _, source| decide_from(&real, to, &[*source]));
                let found = found.as_ref().ok().map(outcome);
                prop_assert_eq!(&found, &naive::decide_copy(&set, to, std::slice::from_ref(&from)), "{:?} to {:?}", from, to);
            }
        }
    }

    #[test]
    fn no_decision_permits_a_country_that_a_matching_only_forbids(set in set(6), seed in any::<prop::sample::Index>()) {
        let real = parsed(&set);
        let all = requests(&[&set]);
        let step = all.len().div_ceil(400).max(1);
        for request in all.iter().skip(seed.index(step)).step_by(step) {
            let Ok(decision) = decide(&real, request) else { continue };
            let known = naive::known(&set, request);
            for instrument in naive::binding(&set, &known) {
                for code in EVERYWHERE.into_iter().filter(|code| !naive::allows(instrument, code, &known)) {
                    prop_assert!(!decision.permits(country(code)), "{} permitted against {:?}", code, instrument);
                    prop_assert!(decision.placement.iter().all(|planned| planned.country != country(code)));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A warning of a clash for some facts, exactly when some request is refused for one; each names instruments that do clash.
    #[test]
    fn clashes_are_those_of_brute_force(mut set in set(4)) {
        for instrument in set.instruments.iter_mut().filter(|instrument| instrument.enforcement == "shadow") {
            instrument.enforcement = "on";
        }
        let real = parsed(&set);
        let told: Vec<String> = real.analyse(TODAY).iter().map(ToString::to_string).filter(|text| text.contains("can be refused")).collect();
        let mut clashing: BTreeSet<BTreeSet<String>> = BTreeSet::new();
        for request in requests(&[&set]) {
            if let Err(denial) = decide(&real, &request) && denial.kind == DenialKind::Clash {
                let known = naive::known(&set, &request);
                let binding = set.instruments.iter().enumerate().filter(|(_, i)| i.enforcement == "on" && naive::applies(i, &known));
                clashing.insert(binding.map(|(at, _)| id(at)).collect());
            }
        }
        let named = |text: &String| -> BTreeSet<String> {
            let subject = text.split(" can be refused").next().unwrap_or_default();
            (0..set.instruments.len()).map(id).filter(|id| subject.contains(&format!("`{id}`"))).collect()
        };
        let cores: Vec<BTreeSet<String>> = told.iter().map(named).collect();
        for binding in &clashing {
            prop_assert!(cores.iter().any(|core| core.is_subset(binding)), "nothing told of {:?}: {:#?}", binding, told);
        }
        for core in &cores {
            prop_assert!(clashing.iter().any(|binding| core.is_subset(binding)), "{:?} do not clash: {:#?}", core, told);
            let mut alone = set.clone();
            let others = alone.instruments.iter_mut().enumerate().filter(|(at, _)| !core.contains(&id(*at)));
            others.for_each(|(_, instrument)| instrument.enforcement = "off");
            let alone_real = parsed(&alone);
            let clash = |request: &Request| decide(&alone_real, request).is_err_and(|denial| denial.kind == DenialKind::Clash);
            prop_assert!(requests(&[&set]).iter().any(clash), "{:?} do not clash alone: {:#?}", core, told);
        }
    }

    /// A change exactly when some request is decided otherwise, and more allowed exactly when it is for some request.
    #[test]
    fn differences_are_those_of_brute_force(old in set(3), new in set(3), keep in 0..4usize) {
        let mut new = new;
        // Most changes of a policy are small.
        for (at, instrument) in old.instruments.iter().enumerate().take(keep) {
            match new.instruments.get_mut(at) {
                Some(other) => *other = instrument.clone(),
                None => new.instruments.push(instrument.clone()),
            }
        }
        if keep > 1 {
            new.gateway = old.gateway.clone();
        }
        let (before, after) = (parsed(&old), parsed(&new));
        let found = diff(&before, &after, TODAY);
        prop_assert!(found.exhaustive);
        let more_here = found.changes.iter().any(|change| change.allows_more);
        prop_assert_eq!(found.allows_more, more_here || !found.asked_less.is_empty());
        let mut differs = false;
        let mut grows = false;
        for request in requests(&[&old, &new]) {
            let (was, is) = (naive::decide(&old, &request), naive::decide(&new, &request));
            differs |= was != is;
            grows |= was != is && allows_more(&old, was.as_ref(), &new, is.as_ref(), &request);
        }
        prop_assert_eq!(!found.changes.is_empty(), differs, "{:#?}", found.changes.first());
        prop_assert_eq!(more_here, grows, "{:#?}", found.changes.first());
        if !found.allows_more {
            // Then no copy between any two places is allowed more either.
            let all = requests(&[&old, &new]);
            let step = all.len().div_ceil(40).max(1);
            for from in all.iter().step_by(step).filter(|from| from.residence.is_some() || !from.subject) {
                for to in all.iter().skip(step / 2).step_by(step).filter(|to| to.day == from.day) {
                    // Whose it is and what is known of them, a copy has from its source where its own place says nothing.
                    let to = &Request {
                        subject: to.subject || from.subject,
                        residence: to.residence.or(from.residence),
                        class: to.class.or(from.class),
                        ..to.clone()
                    };
                    let sources = [from.clone()];
                    let (was, is) = (naive::decide_copy(&old, to, &sources), naive::decide_copy(&new, to, &sources));
                    let (Some(was), Some(is)) = (was.as_ref(), is.as_ref()) else {
                        prop_assert!(is.is_none(), "{from:?} to {to:?} is no longer refused");
                        continue;
                    };
                    prop_assert!(is.permitted.is_subset(&was.permitted), "{from:?} to {to:?}: {was:?} {is:?}");
                    let processed = |outcome: &Outcome| outcome.processing.clone().unwrap_or_else(|| EVERYWHERE.into());
                    prop_assert!(processed(is).is_subset(&processed(was)), "{from:?} to {to:?}: {was:?} {is:?}");
                    prop_assert!(is.at_least.iter().max() >= was.at_least.iter().max() && is.at_most == was.at_most);
                }
            }
        }
    }
}

/// What "allows more" means, in the words of docs/residency.md.
fn allows_more(old: &Set, was: Option<&Outcome>, new: &Set, is: Option<&Outcome>, request: &Request) -> bool {
    let Some(is) = is else { return false };
    let Some(was) = was else { return true };
    let asked = |set: &Set, copies: &[&str]| -> BTreeSet<&'static str> {
        let known = naive::known(set, request);
        let binding = naive::binding(set, &known).into_iter();
        let asking = binding.filter(|i| i.copies.is_some_and(|asked| copies.contains(&asked)));
        asking.flat_map(|i| i.countries.clone()).collect()
    };
    let has = |outcome: &Outcome, code: &str| outcome.placement.iter().any(|(country, _)| country == code);
    let permitted = !is.permitted.is_subset(&was.permitted);
    let own = if request.subject { &new.gateway.default } else { &new.gateway.statics };
    let wanted = |code: &str| {
        asked(new, &["first", "also"]).contains(code) || (asked(new, &["only"]).contains(code) && !own.contains(&code))
    };
    let placed = is.placement.iter().any(|(code, _)| !has(was, code) && !wanted(code));
    let must_be = |set: &Set, outcome: &Outcome, copies: &[&str]| {
        let sole = outcome.permitted.first().filter(|_| outcome.permitted.len() == 1);
        asked(set, copies).into_iter().chain(sole.copied()).collect::<BTreeSet<_>>()
    };
    let drops = |copies: &[&str]| !must_be(old, was, copies).is_subset(&must_be(new, is, copies));
    let dropped = drops(&["first", "also"]) || drops(&["first"]);
    let processed = match (&was.processing, &is.processing) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(was), Some(is)) => !is.is_subset(was),
    };
    let floor = was.at_least.iter().max() > is.at_least.iter().max();
    let ceiling = was.at_most != is.at_most;
    permitted || placed || dropped || processed || floor || ceiling || keys_grow(old, new, was, is, request)
}

/// Whether a key may seal a copy that might not before.
fn keys_grow(old: &Set, new: &Set, was: &Outcome, is: &Outcome, request: &Request) -> bool {
    let binding = |set| naive::binding(set, &naive::known(set, request));
    let (before, after) = (binding(old), binding(new));
    was.permitted.intersection(&is.permitted).any(|code| {
        let (was, is) = (naive::key_countries(&before, code), naive::key_countries(&after, code));
        is.iter().any(|key| !was.contains(key))
    })
}
