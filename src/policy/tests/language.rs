//! The parts of the language one by one: groups, negation, exceptions, processing, retention, dates.

use proptest::{collection::btree_set, option, prelude::*};

use super::*;
use crate::types::{InstrumentId, Timestamp};

const LANGUAGE_GATEWAY: &str = r#"
version = 1
[groups]
gulf = ["AE", "QA"]
near = ["PK", "IN"]
[subject]
from = ["key:users/{subject}/**"]
[attributes.residence]
from = ["directory"]
unknown = "omit"
[attributes.data-class]
from = ["directory"]
type = "text"
unknown = "omit"
[no-subject]
buckets = { "static-*" = ["@near", "PK"] }
[default]
countries = ["SG"]
"#;

/// A set of instruments, each with what follows its head.
fn set(bodies: &[&str]) -> Result<PolicySet, Vec<crate::diagnostics::Diagnostic>> {
    let mut files = vec![PolicyFile { path: "gateway.toml".to_owned(), text: LANGUAGE_GATEWAY.to_owned() }];
    files.extend(bodies.iter().enumerate().map(|(at, body)| PolicyFile {
        path: format!("i{at}/policy.toml"),
        text: format!(
            "version = 1\nid = \"i{at}\"\ntitle = \"t\"\nenforcement = \"on\"\nlegal-status = \"in-force\"\nsources = [\"s\"]\n{body}"
        ),
    }));
    PolicySet::parse(&files)
}

fn problems(body: &str) -> Vec<String> {
    let found = match set(&[body]) {
        Ok(set) => set.warnings().to_vec(),
        Err(found) => found,
    };
    found.iter().map(ToString::to_string).collect()
}

/// What is known of a record: attributes, key, principal's country, date.
struct Known {
    attributes: Attributes,
    key: Option<ObjectKey>,
    country: Option<Country>,
    today: time::Date,
}

fn known(attributes: &[(&str, &str)]) -> Known {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Known { attributes, key: ObjectKey::new("users/a/1").ok(), country: None, today: time::macros::date!(2026 - 06 - 01) }
}

fn with_facts<T>(known: &Known, ask: impl FnOnce(&Facts<'_>) -> T) -> T {
    ask(&Facts {
        has_subject: true,
        attributes: &known.attributes,
        bucket: &BucketName::new("media").unwrap(),
        key: known.key.as_ref(),
        principal: &PrincipalId::new("feed").unwrap(),
        principal_country: known.country,
        today: known.today,
    })
}

fn placed(set: &PolicySet, known: &Known) -> Vec<String> {
    let decision = with_facts(known, |facts| set.decide(facts)).unwrap();
    decision.placement.iter().map(|planned| planned.country.to_string()).collect()
}

#[test]
fn a_set_that_uses_nothing_new_keeps_its_revision() {
    let policy = "version = 1\nid = \"i\"\ntitle = \"t\"\nsection = \"s. 1\"\nenforcement = \"on\"\nlegal-status = \"draft\"\nnote = \"n\"\n\
        sources = [\"s\"]\neffective = 2020-01-21\nbacklog-deadline = 2021-01-21\n[when]\nresidence = [\"PK\", \"SG\"]\nbucket = [\"media-*\"]\n\
        principal = [\"feed\"]\n[require]\ncopies = \"only\"\ncountries = [\"PK\"]\nkeys = [\"PK\"]\nnot-countries = [\"US\"]\n";
    let revision = |gateway: &str, policy: &str| {
        let file = |path: &str, text: &str| PolicyFile { path: path.to_owned(), text: text.to_owned() };
        PolicySet::parse(&[file("gateway.toml", gateway), file("i/policy.toml", policy)]).unwrap().revision().to_string()
    };
    // As the gateway before computed it.
    let before = "6e567f3eb7550c2e1b40a8118a228c5e74aa4b0a5380c60c8cbca5ec197c31a0";
    assert_eq!(revision(GATEWAY, policy), before);
    let changes = [
        ("effective = 2020-01-21", "effective = 2020-01-21\nuntil = 2099-01-01"),
        ("effective = 2020-01-21", "effective = 2020-01-21\nduties = [\"access\"]"),
        ("keys = [\"PK\"]", "keys = [\"PK\"]\nprocessing = [\"PK\"]"),
        ("residence = [\"PK\", \"SG\"]", "residence = { not = [\"PK\", \"SG\"] }"),
        ("bucket = [\"media-*\"]", "bucket = [\"media-*\"]\nkey = [\"**\"]"),
        ("[require]", "[retention]\nat-least = \"1y\"\n[require]"),
        (
            "[require]",
            "[[exception]]\nbasis = \"consent\"\nreference = \"r\"\ncountries = [\"SG\"]\nexpires = 2027-01-01\n[require]",
        ),
    ];
    let mut seen = vec![before.to_owned()];
    for (from, to) in changes {
        let changed = revision(GATEWAY, &policy.replace(from, to));
        assert!(!seen.contains(&changed), "{to}");
        seen.push(changed);
    }
    assert_ne!(revision(&format!("{GATEWAY}[groups]\ngulf = [\"AE\"]\n"), policy), before);
}

#[test]
fn groups_stand_for_their_countries_wherever_countries_are() {
    let only =
        set(&["[when]\nresidence = [\"@gulf\", \"PK\"]\n[require]\ncopies = \"only\"\ncountries = [\"@near\"]\n"]).unwrap();
    for (residence, expected) in [("AE", "PK"), ("QA", "PK"), ("PK", "PK"), ("SG", "SG")] {
        assert_eq!(placed(&only, &known(&[("residence", residence)])), [expected]);
    }
    assert_eq!(only.gateway().no_subject.buckets[0].1, [country("PK"), country("IN")], "written and in the group: once");
    let not = set(&["[require]\nnot-countries = [\"@near\", \"SG\"]\nprocessing = [\"@gulf\"]\n"]).unwrap();
    let require = &not.instruments()[0].require;
    assert_eq!((require.not_countries.len(), &require.processing), (3, &vec![country("AE"), country("QA")]));
    let found = problems("[when]\nresidence = [\"@golf\"]\n[require]\nnot-countries = [\"@nea\"]\n");
    let unknown = found.iter().filter(|problem| problem.contains("is not a group that gateway.toml knows"));
    assert!(unknown.clone().all(|problem| problem.contains("did you mean `@")), "{found:?}");
    assert_eq!(unknown.count(), 2, "{found:?}");
    let nested = LANGUAGE_GATEWAY.replace("[\"AE\", \"QA\"]", "[\"AE\", \"@near\"]");
    let found = PolicySet::parse(&[PolicyFile { path: "gateway.toml".to_owned(), text: nested }]).unwrap_err();
    assert!(found.iter().any(|d| d.message.contains("a group cannot name another group")), "{found:?}");
}

#[test]
fn a_negated_condition_wants_a_value_that_is_none_of_these() {
    let abroad =
        set(&["[when]\nresidence = { not = [\"PK\", \"@gulf\"] }\n[require]\ncopies = \"only\"\ncountries = [\"DE\"]\n"])
            .unwrap();
    assert_eq!(placed(&abroad, &known(&[("residence", "US")])), ["DE"]);
    for value in [&[("residence", "PK")][..], &[("residence", "QA")], &[]] {
        assert_eq!(placed(&abroad, &known(value)), ["SG"], "{value:?}");
    }
    assert!(
        problems("[when]\nresidence = { nott = [\"PK\"] }\n[require]\nkeys = [\"PK\"]\n")
            .iter()
            .any(|p| p.contains("did you mean `not`?"))
    );
    assert!(
        problems("[when]\nresidence = { not = [] }\n[require]\nkeys = [\"PK\"]\n").iter().any(|p| p.contains("excludes nothing"))
    );
}

#[test]
fn keys_and_the_country_of_the_principal_are_conditions() {
    let kyc = set(&["[when]\nkey = [\"users/*/kyc/**\"]\n[require]\ncopies = \"only\"\ncountries = [\"DE\"]\n"]).unwrap();
    let at = |key: &str| Known { key: ObjectKey::new(key).ok(), ..known(&[]) };
    assert_eq!(placed(&kyc, &at("users/a/kyc/1")), ["DE"]);
    assert_eq!(placed(&kyc, &at("users/a/photos/1")), ["SG"]);
    assert_eq!(placed(&kyc, &Known { key: None, ..known(&[]) }), ["DE"], "keys that are not told apart are bound");

    let condition =
        |when: &str| set(&[&format!("[when]\nprincipal-country = {when}\n[require]\ncopies = \"only\"\ncountries = [\"DE\"]\n")]);
    let from = |code: &str| Known { country: Some(country(code)), ..known(&[]) };
    let gulf = condition("[\"@gulf\"]").unwrap();
    assert_eq!(placed(&gulf, &from("AE")), ["DE"]);
    assert_eq!(placed(&gulf, &from("SG")), ["SG"]);
    let elsewhere = condition("{ not = [\"@gulf\"] }").unwrap();
    assert_eq!(placed(&elsewhere, &from("SG")), ["DE"]);
    for (set, known) in [(&elsewhere, from("AE")), (&elsewhere, known(&[])), (&gulf, known(&[]))] {
        assert_eq!(placed(set, &known), ["SG"], "known and one of them, or not known");
    }
}

#[test]
fn a_key_that_nobody_knows_widens_nothing_and_ends_nothing() {
    let exception = "[[exception]]\nbasis = \"consent\"\nreference = \"r\"\ncountries = [\"SG\"]\nexpires = 2027-01-01\n";
    let kyc = format!(
        "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\nprocessing = [\"PK\"]\n{exception}when = {{ key = [\"public/**\"] }}\n"
    );
    let set = set(&[&kyc, "[when]\nkey = [\"tmp/**\"]\n[retention]\nat-least = \"1y\"\nat-most = \"2y\"\n"]).unwrap();
    let nobody_knows = Known { key: None, ..known(&[]) };
    assert_eq!(placed(&set, &nobody_knows), ["PK"], "only a key that is known to be public lets it out");
    assert_eq!(placed(&set, &Known { key: ObjectKey::new("public/1").ok(), ..known(&[]) }), ["SG"]);
    let retention = |known: &Known| with_facts(known, |facts| set.retention(facts, &[]));
    let sure = retention(&Known { key: ObjectKey::new("tmp/1").ok(), ..known(&[]) });
    assert_eq!((sure.at_least.len(), sure.at_most.len()), (1, 1));
    // What may have to be kept is kept; what nobody knows to have run out is not removed.
    let unsure = retention(&nobody_knows);
    assert_eq!((unsure.at_least.len(), unsure.at_most.len()), (1, 0));
    // A place where it is known is enough.
    let elsewhere = known(&[]);
    let both = with_facts(&elsewhere, |here| {
        with_facts(&nobody_knows, |first| {
            with_facts(&Known { key: ObjectKey::new("tmp/1").ok(), ..known(&[]) }, |second| {
                set.retention(here, &[*first, *second])
            })
        })
    });
    assert_eq!(both.at_most.len(), 1);
}

#[test]
fn an_instrument_binds_from_its_first_day_to_its_last() {
    let dated =
        set(&["effective = 2026-01-01\nuntil = 2026-06-30\n[require]\ncopies = \"only\"\ncountries = [\"DE\"]\n"]).unwrap();
    use time::macros::date;
    let days = [
        (date!(2025 - 12 - 31), "SG"),
        (date!(2026 - 01 - 01), "DE"),
        (date!(2026 - 06 - 30), "DE"),
        (date!(2026 - 07 - 01), "SG"),
    ];
    for (today, expected) in days {
        assert_eq!(placed(&dated, &Known { today, ..known(&[]) }), [expected], "{today}");
    }
    let explained = with_facts(&Known { today: date!(2026 - 07 - 01), ..known(&[]) }, |facts| dated.explain(facts));
    assert_eq!(explained.instruments[0].matching, MatchExplanation::Ended { until: date!(2026 - 06 - 30) });
    assert!(
        problems("effective = 2026-02-01\nuntil = 2026-01-01\nduties = [\"access\"]\n")
            .iter()
            .any(|p| p.contains("`until` is before"))
    );
    assert_eq!((dated.expired(date!(2026 - 06 - 30)).len(), dated.expired(date!(2026 - 07 - 01)).len()), (0, 1));
}

#[test]
fn duties_and_retention_stand_without_a_requirement_and_place_nothing() {
    let duty = set(&["duties = [\"access\", \"takedown\"]\n", "[retention]\nat-least = \"1y\"\n"]).unwrap();
    let decision = with_facts(&known(&[]), |facts| duty.decide(facts)).unwrap();
    assert_eq!((decision.source, decision.instruments.len()), (DecisionSource::Default, 2));
    assert!(problems("").iter().any(|p| p.contains("`require` is missing")));
    assert!(problems("duties = [\"acces\"]\n").iter().any(|p| p.contains("did you mean `access`?")));
    assert!(problems("[retention]\n").iter().any(|p| p.contains("asks for nothing")));
}

const EXCEPTED: &str = "[when]\nresidence = [\"PK\"]\n[require]\ncopies = \"only\"\ncountries = [\"PK\"]\nprocessing = [\"PK\"]\n\
    [[exception]]\nbasis = \"consent\"\nreference = \"form 12\"\ncountries = [\"SG\"]\nexpires = 2026-12-31\n[exception.when]\ndata-class = [\"agreed\"]\n";

fn agreed() -> Known {
    known(&[("residence", "PK"), ("data-class", "agreed")])
}

#[test]
fn an_exception_lets_the_default_in_and_is_remembered() {
    let set = set(&[EXCEPTED]).unwrap();
    assert_eq!(placed(&set, &known(&[("residence", "PK")])), ["PK"]);
    assert_eq!(placed(&set, &known(&[("residence", "PK"), ("data-class", "other")])), ["PK"]);
    let decision = with_facts(&agreed(), |facts| set.decide(facts)).unwrap();
    assert_eq!(decision.placement[0].country, country("SG"));
    let [used] = decision.exceptions.as_slice() else { panic!("{decision:?}") };
    assert_eq!((used.instrument.as_str(), used.basis, used.reference.as_str()), ("i0", ExceptionBasis::Consent, "form 12"));
    assert_eq!(used.countries, [country("SG")]);
    // On its last day it holds, and on the next one it does not.
    use time::macros::date;
    for (today, expected) in [(date!(2026 - 12 - 31), "SG"), (date!(2027 - 01 - 01), "PK")] {
        assert_eq!(placed(&set, &Known { today, ..agreed() }), [expected], "{today}");
    }
    assert_eq!((set.expired(date!(2026 - 12 - 31)).len(), set.expired(date!(2027 - 01 - 01)).len()), (0, 1));
    let outcome = |known: &Known| with_facts(known, |facts| set.explain(facts).instruments[0].exceptions[0].holds.clone());
    assert_eq!(outcome(&agreed()), ExceptionOutcome::Used { placed: vec![country("SG")] });
    assert_eq!(
        outcome(&Known { today: date!(2027 - 01 - 01), ..agreed() }),
        ExceptionOutcome::Expired { expires: date!(2026 - 12 - 31) }
    );
    assert!(matches!(outcome(&known(&[("residence", "PK")])), ExceptionOutcome::Unmatched { found: None, .. }));
}

#[test]
fn an_exception_widens_its_own_instrument_alone_and_asks_for_no_copy() {
    let other = "[require]\ncopies = \"only\"\ncountries = [\"PK\", \"IN\"]\n";
    assert_eq!(placed(&set(&[EXCEPTED, other]).unwrap(), &agreed()), ["PK"], "the other one still keeps it in PK and IN");
    // The default is outside: the exception's country is allowed, and yet no copy goes there.
    let elsewhere = EXCEPTED.replace("[\"SG\"]", "[\"DE\"]");
    assert_eq!(placed(&set(&[&elsewhere]).unwrap(), &agreed()), ["PK"]);
    // Another instrument may put one there.
    let also = "[require]\ncopies = \"also\"\ncountries = [\"DE\"]\n";
    assert_eq!(placed(&set(&[&elsewhere, also]).unwrap(), &agreed()), ["DE"]);
    assert!(with_facts(&known(&[("residence", "PK")]), |facts| set(&[&elsewhere, also]).unwrap().decide(facts)).is_err());
    // A negative list is widened likewise.
    let not = "[require]\nnot-countries = [\"SG\", \"CN\"]\n[[exception]]\nbasis = \"adequacy\"\nreference = \"r\"\ncountries = [\"SG\"]\n";
    let decision = with_facts(&known(&[]), |facts| set(&[not]).unwrap().decide(facts)).unwrap();
    assert_eq!((decision.placement[0].country, decision.exceptions.len()), (country("SG"), 1));
    assert!(!decision.permits(country("CN")));
}

#[test]
fn what_lets_the_destination_out_does_not_let_a_source_out() {
    let set = set(&[EXCEPTED]).unwrap();
    let (to, from) = (agreed(), known(&[("residence", "PK")]));
    let copied = with_facts(&to, |to| with_facts(&from, |from| set.decide_copy(to, &[*from]))).unwrap();
    assert_eq!((copied.placement[0].country, copied.exceptions.len()), (country("PK"), 0));
    let agreed = with_facts(&to, |to| set.decide_copy(to, &[*to])).unwrap();
    assert_eq!((agreed.placement[0].country, agreed.exceptions.len()), (country("SG"), 1));
    let objecting = |known: &Known| {
        let bound_by = [InstrumentId::new("i0").unwrap()];
        with_facts(known, |facts| set.objecting(facts, &bound_by, &[country("SG")]).is_some())
    };
    assert_eq!((objecting(&to), objecting(&from)), (false, true));
}

#[test]
fn processing_is_the_intersection_and_names_who_forbids() {
    let set = set(&[EXCEPTED, "[require]\nprocessing = [\"PK\", \"SG\", \"@gulf\"]\n"]).unwrap();
    let ask = |known: &Known, code: Option<&str>| {
        with_facts(known, |facts| {
            let decision = set.decide(facts).unwrap();
            assert_eq!(decision.processing, set.processing(facts, &[]), "the short way says the same");
            decision.may_process(code.map(country))
        })
    };
    let strict = known(&[("residence", "PK")]);
    assert!(ask(&strict, Some("PK")).unwrap().is_empty());
    let denial = ask(&strict, Some("SG")).unwrap_err();
    assert_eq!(denial.to_string(), "`i0` does not allow that content is processed in SG");
    let used = ask(&agreed(), Some("SG")).unwrap();
    assert_eq!(used.iter().map(|used| used.basis).collect::<Vec<_>>(), [ExceptionBasis::Consent]);
    assert_eq!(ask(&agreed(), Some("US")).unwrap_err().instruments.len(), 2);
    assert_eq!(ask(&known(&[]), None).unwrap_err().instruments.len(), 1, "a country that nobody knows is none of them");
    let free = with_facts(&known(&[]), |facts| self::set(&[]).unwrap().processing(facts, &[]));
    assert!(free.countries.is_none() && free.allow(None).is_ok());
}

#[test]
fn retention_takes_the_latest_floor_and_the_earliest_ceiling() {
    let asks = |least: &str, most: &str| format!("[retention]\nat-least = \"{least}\"\nat-most = \"{most}\"\n");
    let of = |bodies: &[&str]| {
        let set = set(bodies).unwrap();
        with_facts(&known(&[]), |facts| {
            let retention = set.decide(facts).unwrap().retention;
            assert_eq!(retention, set.retention(facts, &[]));
            retention.of_version(Timestamp::parse_rfc3339("2024-01-31T10:00:00Z").unwrap())
        })
    };
    let at = |term: Option<Term>| term.map(|term| (term.at.to_rfc3339(), term.instrument.to_string()));
    let met = of(&[&asks("1m", "3y"), &asks("30d", "2y")]);
    assert_eq!(at(met.at_least), Some(("2024-03-01T10:00:00.000Z".to_owned(), "i1".to_owned())));
    assert_eq!(at(met.at_most), Some(("2026-01-31T10:00:00.000Z".to_owned(), "i1".to_owned())));
    let crossed = of(&["[retention]\nat-least = \"5y\"\n", "[retention]\nat-most = \"1y\"\n"]);
    assert_eq!(
        at(crossed.at_most),
        Some(("2029-01-31T10:00:00.000Z".to_owned(), "i0".to_owned())),
        "the floor beats the ceiling"
    );
    assert!(problems(&asks("2y", "1y")).iter().any(|p| p.contains("error: `at-least` is longer than `at-most`")));
    assert!(problems(&asks("30d", "1m")).iter().any(|p| p.contains("warning: `at-least` is longer")));
    assert!(problems(&asks("12m", "1y")).is_empty());
}

#[test]
fn the_strictest_decision_is_strictest_in_every_part() {
    let decide = |bodies: &[&str]| with_facts(&known(&[]), |facts| set(bodies).unwrap().decide(facts)).unwrap();
    let (free, processing) = (decide(&[]), decide(&["[require]\nprocessing = [\"PK\"]\n"]));
    let keeping = |period: &str| decide(&[&format!("[retention]\nat-least = \"{period}\"\n")]);
    for (strict, loose) in [(&processing, &free), (&keeping("1y"), &free), (&keeping("2y"), &keeping("1y"))] {
        assert!(strict.at_least_as_strict_as(loose));
        assert!(!loose.at_least_as_strict_as(strict));
    }
    assert!(!processing.at_least_as_strict_as(&keeping("1y")) && !keeping("1y").at_least_as_strict_as(&processing));
    assert!(!keeping("30d").at_least_as_strict_as(&keeping("1m")) && !keeping("1m").at_least_as_strict_as(&keeping("30d")));
}

#[test]
fn exceptions_that_do_nothing_or_run_for_ever_are_told() {
    let exception = |rest: &str| format!("[[exception]]\nbasis = \"treaty\"\nreference = \"r\"\ncountries = [\"SG\"]\n{rest}");
    let only = "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n";
    let says = |body: &str, word: &str| problems(body).iter().any(|problem| problem.contains(word));
    assert!(says(&format!("{only}{}", exception("")), "warning: the exception has no `expires`"));
    assert!(problems(&format!("{only}{}", exception("expires = 2030-01-01\n"))).is_empty());
    assert!(says(
        &format!("[require]\ncopies = \"also\"\ncountries = [\"PK\"]\n{}", exception("")),
        "error: the instrument does not restrict"
    ));
    assert!(says(&format!("{only}{}", exception("for = [\"processing\"]\n")), "does not restrict processing"));
    assert!(says(&format!("{}{}", only.replace("PK", "SG"), exception("")), "allows SG without the exception"));
    assert!(says(&format!("{only}{}", exception("").replace("\"r\"", "\" \"")), "`reference` is empty"));
    assert!(says(&format!("{only}{}", exception("").replace("treaty", "treat")), "did you mean `treaty`?"));
}

#[test]
fn a_configuration_has_to_let_the_gateway_process() {
    let set = set(&[
        "[require]\nprocessing = [\"PK\"]\n[[exception]]\nbasis = \"treaty\"\nreference = \"r\"\ncountries = [\"SG\"]\n",
        "[when]\nprincipal-country = [\"PK\"]\n[require]\nprocessing = [\"@near\"]\n",
    ])
    .unwrap();
    let errors = |gateway: Option<&str>| {
        let found = set.check(&Available { gateway_country: gateway.map(country), ..Available::default() });
        let of = |severity| found.iter().filter(|d| d.severity == severity && d.file != "gateway.toml").count();
        (of(Severity::Error), of(Severity::Warning))
    };
    assert_eq!(errors(Some("PK")), (0, 0));
    assert_eq!(errors(Some("SG")), (1, 0));
    assert_eq!(errors(Some("US")), (2, 0));
    assert_eq!(errors(None), (2, 1));
}

#[test]
fn cases_can_assume_instruments_and_expect_every_part() {
    let run = |cases: &str| {
        let head =
            "version = 1\nid = \"pk\"\ntitle = \"t\"\nenforcement = \"off\"\nlegal-status = \"in-force\"\nsources = [\"s\"]\n";
        let file = |path: &str, text: String| PolicyFile { path: path.to_owned(), text };
        let files = [
            file("gateway.toml", LANGUAGE_GATEWAY.to_owned()),
            file("pk/policy.toml", format!("{head}[retention]\nat-least = \"1y\"\n{EXCEPTED}")),
            file("pk/cases.toml", format!("version = 1\n{cases}")),
            file(
                "cases.toml",
                "version = 1\n[[case]]\nname = \"off\"\ngiven = { residence = \"PK\" }\nexpect = { countries = [\"SG\"] }\n"
                    .to_owned(),
            ),
        ];
        PolicySet::parse(&files).map(|set| set.run_cases().cases.into_iter().filter_map(|case| case.problem).collect::<Vec<_>>())
    };
    let case = |given: &str, expect: &str| {
        format!(
            "[assume]\non = [\"pk\"]\n[[case]]\nname = \"n\"\ngiven = {{ date = 2026-06-01, residence = \"PK\", {given} }}\nexpect = {{ {expect} }}\n"
        )
    };
    for (given, expect) in [
        (
            "data-class = \"agreed\"",
            "countries = [\"SG\"], exceptions = [\"consent\"], retain-at-least = \"12m\", retain-at-most = \"none\"",
        ),
        ("data-class = \"agreed\", read-from = \"SG\"", "read = true"),
        ("read-from = \"SG\"", "countries = [\"PK\"], exceptions = [], read = false"),
        ("principal-country = \"SG\"", "read = false"),
    ] {
        assert_eq!(run(&case(given, expect)).unwrap(), Vec::<String>::new(), "{given} {expect}");
    }
    for (given, expect, problem) in [
        ("read-from = \"SG\"", "read = true", "it cannot be read: `pk` does not allow that content is processed in SG"),
        ("read-from = \"PK\"", "read = false", "it can be read"),
        ("subject = true", "retain-at-least = \"2y\"", "`retain-at-least` is 1y, not 2y"),
        ("subject = true", "exceptions = [\"consent\"]", "`exceptions` is [], not [\"consent\"]"),
    ] {
        assert_eq!(run(&case(given, expect)).unwrap(), [problem]);
    }
    let unknown = run(&case("subject = true", "read = true").replace("[\"pk\"]", "[\"pkk\"]")).unwrap_err();
    assert!(unknown[0].to_string().contains("there is no instrument `pkk` (hint: did you mean `pk`?)"), "{unknown:?}");
}

proptest! {
    /// Negation, groups and the selector: what is offered and asked is what the words say.
    #[test]
    fn conditions_hold_as_their_words_say(
        listed in btree_set(0..COUNTRIES.len(), 1..4), negated in any::<bool>(), as_group in any::<bool>(),
        by_country in any::<bool>(), value in option::of(0..COUNTRIES.len()),
    ) {
        let codes: Vec<&str> = listed.iter().map(|at| COUNTRIES[*at]).collect();
        let list = if as_group { "[\"@some\"]".to_owned() } else { format!("{codes:?}") };
        let field = if by_country { "principal-country" } else { "residence" };
        let condition = if negated { format!("{{ not = {list} }}") } else { list };
        let text = format!("version = 1\nid = \"i\"\ntitle = \"t\"\nenforcement = \"on\"\nlegal-status = \"in-force\"\nsources = [\"s\"]\n\
            [when]\n{field} = {condition}\n[require]\ncopies = \"only\"\ncountries = [\"DE\"]\n");
        let gateway = LANGUAGE_GATEWAY.replace("[groups]", &format!("[groups]\nsome = {codes:?}"));
        let file = |path: &str, text: String| PolicyFile { path: path.to_owned(), text };
        let set = PolicySet::parse(&[file("gateway.toml", gateway), file("i/policy.toml", text)]).unwrap();
        let value = value.map(|at| COUNTRIES[at]);
        let attributes: Vec<(&str, &str)> = value.filter(|_| !by_country).map(|code| ("residence", code)).into_iter().collect();
        let facts = Known { country: value.filter(|_| by_country).map(country), ..known(&attributes) };
        let holds = value.is_some_and(|code| codes.contains(&code) != negated);
        prop_assert_eq!(placed(&set, &facts), [if holds { "DE" } else { "SG" }]);
    }
}
