//! Decisions against a small naive evaluator, and files against mutation.

use std::collections::BTreeSet;

use proptest::{collection::vec, option, prelude::*, sample::subsequence};

use super::*;
use crate::diagnostics::Severity;
use crate::types::{Attributes, BucketName, Country, ObjectKey, PrincipalId};

const COUNTRIES: [&str; 5] = ["DE", "IN", "PK", "SG", "US"];

const GATEWAY: &str = r#"
version = 1
[subject]
from = ["metadata:domicile-subject", "tag:subject", "key:users/{subject}/**", "principal"]
[attributes.residence]
from = ["directory", "metadata:domicile-residence"]
unknown = "omit"
[no-subject]
buckets = { "static-*" = ["SG"], "static-pk-*" = ["PK", "SG"] }
[default]
countries = ["SG"]
"#;

/// An instrument as the naive evaluator sees it.
#[derive(Debug, Clone)]
struct Model {
    enforcement: &'static str,
    residence: Option<Vec<&'static str>>,
    copies: &'static str,
    countries: Vec<&'static str>,
    keys: Vec<&'static str>,
    not: Vec<&'static str>,
}

impl Model {
    fn text(&self, id: &str) -> String {
        let mut text = format!(
            "version = 1\nid = \"{id}\"\ntitle = \"t\"\nlegal-status = \"in-force\"\nsources = [\"s\"]\nenforcement = \"{}\"\n",
            self.enforcement
        );
        if let Some(residence) = &self.residence {
            text += &format!("[when]\nresidence = {residence:?}\n");
        }
        text += &format!("[require]\ncopies = \"{}\"\ncountries = {:?}\n", self.copies, self.countries);
        if !self.keys.is_empty() {
            text += &format!("keys = {:?}\n", self.keys);
        }
        if !self.not.is_empty() {
            text += &format!("not-countries = {:?}\n", self.not);
        }
        text
    }
}

fn model() -> impl Strategy<Value = Model> {
    let some = |sizes| subsequence(COUNTRIES.to_vec(), sizes);
    (
        prop_oneof![4 => Just("on"), 1 => Just("shadow"), 1 => Just("off")],
        option::of(some(1..=3)),
        prop_oneof![3 => Just("only"), 1 => Just("first"), 2 => Just("also")],
        some(1..=4).prop_shuffle(),
        some(0..=2),
        prop_oneof![4 => some(0..=0), 1 => some(0..=3)],
    )
        .prop_map(|(enforcement, residence, copies, mut countries, keys, mut not)| {
            if copies == "first" {
                countries.truncate(1);
            }
            not.retain(|country| !countries.contains(country));
            Model { enforcement, residence, copies, countries, keys, not }
        })
}

/// The countries of the placement, by the words of the design alone; `None` is a denial.
fn naive(models: &[Model], residence: &str, default: &str) -> Option<BTreeSet<&'static str>> {
    let matching: Vec<&Model> =
        models.iter().filter(|m| m.enforcement == "on" && m.residence.as_ref().is_none_or(|r| r.contains(&residence))).collect();
    let has_key = |country: &str| {
        let bound = |m: &&&Model| !m.keys.is_empty() && (m.copies == "only" || m.countries.contains(&country));
        let binding: Vec<&&Model> = matching.iter().filter(bound).collect();
        binding.is_empty() || COUNTRIES.iter().any(|key| binding.iter().all(|m| m.keys.contains(key)))
    };
    let allowed = |country: &str| {
        matching.iter().all(|m| (m.copies != "only" || m.countries.contains(&country)) && !m.not.contains(&country))
            && has_key(country)
    };
    let of = |copies: &'static str| matching.iter().filter(move |m| m.copies == copies).flat_map(|m| m.countries.iter().copied());
    let firsts: BTreeSet<&str> = of("first").collect();
    let mut placement: BTreeSet<&'static str> = of("also").chain(of("first")).collect();
    if firsts.len() > 1 || placement.iter().any(|country| !allowed(country)) {
        return None;
    }
    placement.extend(COUNTRIES.iter().filter(|country| **country == default && allowed(country)));
    if placement.is_empty() {
        placement.extend(matching.iter().find(|m| m.copies == "only")?.countries.iter().find(|country| allowed(country)));
    }
    (!placement.is_empty()).then_some(placement)
}

fn files(models: &[Model]) -> Vec<PolicyFile> {
    let mut files = vec![PolicyFile { path: "gateway.toml".to_owned(), text: GATEWAY.to_owned() }];
    let named = models.iter().enumerate().map(|(at, model)| (format!("i{at:02}"), model));
    files.extend(named.map(|(id, model)| PolicyFile { path: format!("{id}/policy.toml"), text: model.text(&id) }));
    files
}

fn decide(set: &PolicySet, residence: Option<&str>, has_subject: bool, bucket: &str) -> Result<Decision, Denial> {
    let attributes: Attributes = residence.map(|code| ("residence".to_owned(), code.to_owned())).into_iter().collect();
    set.decide(&Facts {
        has_subject,
        attributes: &attributes,
        bucket: &BucketName::new(bucket).unwrap(),
        key: Some(&ObjectKey::new("k").unwrap()),
        principal: &PrincipalId::new("feed").unwrap(),
        principal_country: None,
        today: time::Date::MAX,
    })
}

fn country(code: &str) -> Country {
    code.parse().unwrap()
}

proptest! {
    #[test]
    fn decisions_are_those_of_the_naive_evaluator(models in vec(model(), 0..6), residence in 0..COUNTRIES.len()) {
        let residence = COUNTRIES[residence];
        let set = PolicySet::parse(&files(&models)).unwrap();
        let decision = decide(&set, Some(residence), true, "media");
        let placed = decision.as_ref().ok().map(|d| d.placement.iter().map(|p| p.country.to_string()).collect::<BTreeSet<_>>());
        let expected = naive(&models, residence, "SG").map(|set| set.into_iter().map(str::to_owned).collect());
        prop_assert_eq!(placed, expected, "{:?}", decision);
    }

    #[test]
    fn nothing_is_permitted_that_a_matching_only_or_not_forbids(models in vec(model(), 0..6), residence in 0..COUNTRIES.len()) {
        let set = PolicySet::parse(&files(&models)).unwrap();
        let Ok(decision) = decide(&set, Some(COUNTRIES[residence]), true, "media") else { return Ok(()) };
        prop_assert_eq!(decision.placement.iter().filter(|p| p.role == Role::Primary).count(), 1);
        prop_assert_eq!(decision.placement[0].role, Role::Primary);
        for model in models.iter().filter(|m| m.enforcement == "on") {
            if model.residence.as_ref().is_some_and(|r| !r.contains(&COUNTRIES[residence])) {
                continue;
            }
            for code in COUNTRIES {
                if model.not.contains(&code) || (model.copies == "only" && !model.countries.contains(&code)) {
                    prop_assert!(!decision.permits(country(code)));
                    prop_assert!(decision.placement.iter().all(|p| p.country != country(code)));
                }
            }
            for planned in &decision.placement {
                let bound = model.copies == "only" || model.countries.contains(&planned.country.as_str());
                if bound && !model.keys.is_empty() {
                    prop_assert!(model.keys.contains(&decision.key_country(planned.country).as_str()));
                }
            }
        }
    }

    #[test]
    fn mutated_files_give_diagnostics_and_never_panic(
        models in vec(model(), 1..3), file in 0..2usize, at in any::<prop::sample::Index>(), cut in 0..20usize, put in "[a-z\"\\[\\]{}=#,.\n0-9گ]{0,12}",
    ) {
        let mut files = files(&models);
        let characters: Vec<char> = files[file].text.chars().collect();
        let at = at.index(characters.len());
        let tail = characters.iter().skip(at + cut);
        files[file].text = characters.iter().take(at).chain(put.chars().collect::<Vec<_>>().iter()).chain(tail).collect();
        if let Err(found) = PolicySet::parse(&files) {
            prop_assert!(found.iter().any(|d| d.severity == Severity::Error));
        }
    }

    #[test]
    fn arbitrary_text_never_panics(gateway in "\\PC{0,200}", policy in "\\PC{0,200}", path in "[a-z/.]{0,20}(policy|cases|gateway).toml") {
        let file = |path: &str, text: &str| PolicyFile { path: path.to_owned(), text: text.to_owned() };
        let _ = PolicySet::parse(&[file("gateway.toml", &gateway), file(&path, &policy), file("a/policy.toml", &policy)]);
    }
}

fn model_of(copies: &'static str, countries: &[&'static str]) -> Model {
    Model { enforcement: "on", residence: None, copies, countries: countries.to_vec(), keys: vec![], not: vec![] }
}

fn roles(decision: &Decision) -> Vec<(String, Role)> {
    decision.placement.iter().map(|planned| (planned.country.to_string(), planned.role)).collect()
}

#[test]
fn also_adds_required_copies_and_first_queues_the_default() {
    let also = PolicySet::parse(&files(&[model_of("also", &["PK"])])).unwrap();
    let decision = decide(&also, None, true, "media").unwrap();
    assert_eq!(roles(&decision), [("PK".to_owned(), Role::Primary), ("SG".to_owned(), Role::Required)]);

    let first = PolicySet::parse(&files(&[model_of("also", &["DE"]), model_of("first", &["PK"])])).unwrap();
    let decision = decide(&first, None, true, "media").unwrap();
    let expected = [("PK", Role::Primary), ("DE", Role::Required), ("SG", Role::Queued)];
    assert_eq!(roles(&decision), expected.map(|(code, role)| (code.to_owned(), role)));
}

#[test]
fn a_clash_names_the_instruments() {
    let set = PolicySet::parse(&files(&[model_of("only", &["PK"]), model_of("only", &["DE", "PK"]), model_of("also", &["US"])]))
        .unwrap();
    let told: Vec<String> = set.analyse(time::Date::MAX).iter().map(ToString::to_string).collect();
    let clashes: Vec<&String> = told.iter().filter(|text| text.contains("can be refused")).collect();
    assert_eq!(clashes.len(), 2, "{told:#?}");
    assert!(clashes.iter().all(|text| text.starts_with("i02/policy.toml:")), "{clashes:?}");
    let denial = decide(&set, None, true, "media").unwrap_err();
    assert_eq!(denial.kind, DenialKind::Clash);
    assert_eq!(denial.instruments.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["i02", "i00", "i01"]);
    assert!(denial.message.contains("US"), "{denial}");
}

#[test]
fn shadow_is_recorded_and_does_not_bind() {
    let set = PolicySet::parse(&files(&[Model { enforcement: "shadow", ..model_of("only", &["PK"]) }])).unwrap();
    let decision = decide(&set, None, true, "media").unwrap();
    assert_eq!(decision.source, DecisionSource::Default);
    assert_eq!((decision.instruments.len(), decision.shadow.len()), (0, 1));
    assert!(decision.permits(country("SG")));
}

#[test]
fn data_of_nobody_goes_by_the_most_specific_bucket() {
    let set = PolicySet::parse(&files(&[])).unwrap();
    let pk = decide(&set, None, false, "static-pk-1").unwrap();
    assert_eq!((pk.placement[0].country, pk.source), (country("PK"), DecisionSource::NoSubjectBucket));
    assert_eq!(decide(&set, None, false, "static-1").unwrap().placement[0].country, country("SG"));
    assert_eq!(decide(&set, None, false, "media").unwrap_err().kind, DenialKind::NoSubject);
}

#[test]
fn all_mistakes_are_told_at_once_with_places_and_hints() {
    let gateway = GATEWAY.replace("\"directory\"", "\"directry\"").replace("[no-subject]", "[no-subjects]");
    let policy = r#"
version = 1
id = "other"
title = 5
enforcement = "of"
legal-status = "in-force"
effective = 2021-01-01
backlog-deadline = 2020-01-01
[when]
residense = ["PK"]
[require]
copies = "only"
contries = ["PK"]
"#;
    let file = |path: &str, text: &str| PolicyFile { path: path.to_owned(), text: text.to_owned() };
    let files =
        [file("gateway.toml", &gateway), file("x/policy.toml", policy), file("x/polcy.toml", ""), file("y/policy.toml", "a = [")];
    let found: Vec<String> = PolicySet::parse(&files).unwrap_err().iter().map(ToString::to_string).collect();
    for expected in [
        "gateway.toml:6:9: error: `directry` is not a source (hint: did you mean `directory`?)",
        "gateway.toml:8:2: error: unknown key `no-subjects` in the file (hint: did you mean `no-subject`?)",
        "x/polcy.toml: error: not a file of a policy folder (hint: did you mean `policy.toml`?)",
        "x/policy.toml:3:6: error: `other` is in the folder `x` (hint: an instrument's id is its folder's name)",
        "x/policy.toml:4:9: error: `title` must be a string, not an integer",
        "x/policy.toml:5:15: error: `enforcement` must be one of `on`, `shadow`, `off`, not `of` (hint: did you mean `off`?)",
        "x/policy.toml:8:20: error: `backlog-deadline` is before `effective`",
        "x/policy.toml:10:13: error: `residense` is not an attribute that gateway.toml knows (hint: did you mean `residence`?)",
        "x/policy.toml:13:1: error: unknown key `contries` in `require` (hint: did you mean `countries`?)",
    ] {
        assert!(found.iter().any(|line| line == expected), "{expected}\nnot in\n{}", found.join("\n"));
    }
    assert!(found.iter().any(|line| line.starts_with("y/policy.toml:1:")), "{found:?}");
}

#[test]
fn an_explanation_tells_what_failed() {
    let set = PolicySet::parse(&files(&[Model { residence: Some(vec!["PK"]), ..model_of("only", &["PK"]) }])).unwrap();
    let attributes: Attributes = [("residence".to_owned(), "AE".to_owned())].into();
    let explanation = set.explain(&Facts {
        has_subject: true,
        attributes: &attributes,
        bucket: &BucketName::new("media").unwrap(),
        key: Some(&ObjectKey::new("k").unwrap()),
        principal: &PrincipalId::new("feed").unwrap(),
        principal_country: None,
        today: time::Date::MAX,
    });
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["instruments"][0]["match"]["outcome"], "unmatched");
    assert_eq!(json["instruments"][0]["match"]["found"], "AE");
    assert_eq!(json["result"]["decided"]["source"], "default");
}

#[test]
fn a_failing_case_says_what_is_different() {
    let mut files = files(&[model_of("only", &["PK"])]);
    let text = "version = 1\n[[case]]\nname = \"n\"\ngiven = { residence = \"pk\" }\nexpect = { countries = [\"SG\"] }\n";
    files.push(PolicyFile { path: "i00/cases.toml".to_owned(), text: text.to_owned() });
    let report = PolicySet::parse(&files).unwrap().run_cases();
    assert!(!report.passed());
    assert_eq!(report.cases[0].problem.as_deref(), Some("`countries` is [PK], not [SG]"));
}

#[test]
fn a_key_of_another_country_than_the_copys_is_not_supported_yet() {
    let asking = |enforcement, copies, countries: &[&'static str], keys: &[&'static str]| {
        let model =
            Model { enforcement, residence: None, copies, countries: countries.to_vec(), keys: keys.to_vec(), not: vec![] };
        PolicySet::parse(&files(&[model])).unwrap().unsupported().into_iter().map(|mistake| mistake.severity).collect::<Vec<_>>()
    };
    assert_eq!(asking("on", "only", &["PK"], &["SG"]), [Severity::Error]);
    assert_eq!(asking("on", "also", &["PK", "SG"], &["PK"]), [Severity::Error]);
    assert_eq!(asking("shadow", "only", &["PK"], &["SG"]), [Severity::Warning]);
    for (copies, keys) in [("only", vec!["PK"]), ("first", vec!["PK", "SG"]), ("also", vec![])] {
        assert_eq!(asking("on", copies, &["PK"], &keys), []);
    }
    let alone = |keys: &str| {
        let text =
            Model { enforcement: "on", residence: None, copies: "only", countries: vec![], keys: vec![], not: vec![] }.text("i");
        let text = text.replace("copies = \"only\"\ncountries = []\n", &format!("keys = [{keys}]\n"));
        let file = |path: &str, text: &str| PolicyFile { path: path.to_owned(), text: text.to_owned() };
        PolicySet::parse(&[file("gateway.toml", GATEWAY), file("i/policy.toml", &text)]).unwrap().unsupported().len()
    };
    assert_eq!((alone("\"SG\""), alone("\"SG\", \"PK\"")), (1, 0));
}
