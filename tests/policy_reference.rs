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
    PolicySet::parse(&set.files()).unwrap_or_else(|found| panic!("{}", found.iter().map(|d| format!("{d}\n")).collect::<String>()))
}

/// What the real evaluator decides, as a request would get it.
fn decide(set: &PolicySet, request: &Request) -> Result<Decision, Denial> {
    request.told(|subject, mut attributes, facts| {
        if subject && let Err(name) = set.complete(&mut attributes) {
            return Err(Denial { kind: DenialKind::Unknown, message: name.to_owned(), instruments: Vec::new() });
        }
        set.decide(&domicile::policy::Facts { attributes: &attributes, ..*facts })
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
    #![proptest_config(ProptestConfig::with_cases(96))]

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
    #![proptest_config(ProptestConfig::with_cases(48))]

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
        prop_assert_eq!(found.allows_more, found.changes.iter().any(|change| change.allows_more));
        let mut differs = false;
        let mut grows = false;
        for request in requests(&[&old, &new]) {
            let (was, is) = (naive::decide(&old, &request), naive::decide(&new, &request));
            differs |= was != is;
            grows |= allows_more(&old, was.as_ref(), &new, is.as_ref(), &request);
        }
        prop_assert_eq!(!found.changes.is_empty(), differs, "{:#?}", found.changes.first());
        prop_assert_eq!(found.allows_more, grows, "{:#?}", found.changes.first());
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
    let wanted = asked(new, &["only", "first", "also"]);
    let placed = is.placement.iter().any(|(code, _)| !has(was, code) && !wanted.contains(code.as_str()));
    let durable = |code: &&str| is.placement.iter().any(|(country, role)| country == *code && *role != "queued");
    let dropped = asked(old, &["first", "also"]).iter().any(|code| !durable(code));
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
        let grows = match (naive::key_rule(&before, code), naive::key_rule(&after, code)) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(was), Some(is)) => is.iter().any(|key| !was.contains(key)),
        };
        grows && naive::key(&before, code) != naive::key(&after, code)
    })
}
