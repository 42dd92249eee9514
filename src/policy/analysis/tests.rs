//! Analyses of small sets, each written out. `tests/policy_reference.rs` holds analyses of made-up sets against trying everything.

use time::macros::date;

use super::*;
use crate::policy::PolicyFile;

const TODAY: time::Date = date!(2026 - 01 - 01);

const GATEWAY: &str = r#"
version = 1
[subject]
from = ["metadata:subject"]
[attributes.residence]
from = ["directory"]
[attributes.data-class]
type = "text"
from = ["directory"]
unknown = "omit"
[no-subject]
buckets = { "static-*" = ["SG"] }
[default]
countries = ["SG"]
"#;

/// A set of instruments, each its name and what follows the head of its file.
fn set(gateway: &str, instruments: &[(&str, &str)]) -> PolicySet {
    let mut files = vec![PolicyFile { path: "gateway.toml".to_owned(), text: gateway.to_owned() }];
    files.extend(instruments.iter().map(|(id, rest)| {
        let on = if rest.contains("enforcement") { "" } else { "enforcement = \"on\"\n" };
        let head = format!("version = 1\nid = \"{id}\"\ntitle = \"t\"\nlegal-status = \"in-force\"\nsources = [\"s\"]\n{on}");
        PolicyFile { path: format!("{id}/policy.toml"), text: head + rest }
    }));
    PolicySet::parse(&files).unwrap()
}

fn told(instruments: &[(&str, &str)]) -> Vec<String> {
    set(GATEWAY, instruments).analyse(TODAY).iter().map(ToString::to_string).collect()
}

fn only(country: &str) -> String {
    format!("[require]\ncopies = \"only\"\ncountries = [\"{country}\"]\n")
}

#[test]
fn three_that_clash_only_together_are_found_with_facts() {
    let found = told(&[
        ("a", "[when]\nresidence = [\"PK\"]\n[require]\ncopies = \"only\"\ncountries = [\"PK\", \"SG\"]\n"),
        ("b", "[when]\ndata-class = [\"health\"]\n[require]\ncopies = \"only\"\ncountries = [\"PK\", \"US\"]\n"),
        ("c", "[when]\nbucket = [\"media-*\"]\n[require]\ncopies = \"only\"\ncountries = [\"SG\", \"US\"]\n"),
    ]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("c/policy.toml:2:6: "), "{found:#?}");
    assert!(found[0].contains("what `a`, `b` and `c` all match can be refused"), "{found:#?}");
    assert!(
        found[0].contains("residence = PK, data-class = health") || found[0].contains("data-class = health, residence = PK"),
        "{found:#?}"
    );
    assert!(found[0].contains("bucket = media-"), "{found:#?}");
}

#[test]
fn conditions_that_keep_instruments_apart_are_understood() {
    let (pk, sg) = (only("PK"), only("SG"));
    let apart = [
        ("[when]\nresidence = [\"PK\"]\n", "[when]\nresidence = { not = [\"PK\", \"AE\"] }\n"),
        ("[when]\nbucket = [\"a-*\"]\n", "[when]\nbucket = { not = [\"a-*\"] }\n"),
        ("[when]\nbucket = [\"a-*-z\"]\n", "[when]\nbucket = [\"a-*-y\"]\n"),
        ("[when]\nkey = [\"users/*/kyc/**\"]\n", "[when]\nkey = [\"users/*\"]\n"),
        ("until = 2026-06-30\n", "effective = 2026-07-01\n"),
        ("until = 2025-06-30\n", ""),
    ];
    for (one, other) in apart {
        let found = told(&[("a", &format!("{one}{pk}")), ("b", &format!("{other}{sg}"))]);
        assert!(!found.iter().any(|text| text.contains("can be refused")), "{one} {other} {found:#?}");
    }
    let together = [
        ("[when]\nresidence = [\"PK\"]\n", "[when]\nresidence = { not = [\"AE\"] }\n"),
        ("[when]\nbucket = [\"a-*\"]\n", "[when]\nbucket = [\"*-z\"]\n"),
        ("[when]\nkey = [\"users/**\"]\n", "[when]\nkey = [\"*/*.csv\"]\n"),
        ("until = 2026-07-01\n", "effective = 2026-07-01\n"),
        ("", "effective = 2030-01-01\n"),
    ];
    for (one, other) in together {
        let found = told(&[("a", &format!("{one}{pk}")), ("b", &format!("{other}{sg}"))]);
        assert!(found.iter().any(|text| text.contains("can be refused")), "{one} {other} {found:#?}");
    }
}

#[test]
fn a_clash_with_the_gateways_own_lists_is_one_instruments() {
    let found: Vec<String> = set(&format!("{GATEWAY}[exclude]\ncountries = [\"PK\"]\n"), &[("a", &only("PK"))])
        .analyse(TODAY)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(found[0].contains("what `a` matches can be refused"), "{found:#?}");
}

#[test]
fn shadow_is_told_what_it_would_do() {
    let found = told(&[("a", &only("PK")), ("b", &format!("enforcement = \"shadow\"\n{}", only("SG")))]);
    assert!(found[0].contains("`a` and `b` (in shadow)"), "{found:#?}");
    assert!(told(&[("a", &only("PK")), ("b", &format!("enforcement = \"off\"\n{}", only("SG")))]).is_empty());
}

#[test]
fn what_never_applies_is_told_where_it_stands() {
    let found = told(&[(
        "a",
        "until = 2026-12-31\n[when]\nbucket = [\"Media-*\", \"up-*\", \"up-1*\"]\n[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n\
         [[exception]]\nbasis = \"consent\"\nreference = \"r1\"\ncountries = [\"SG\"]\nexpires = 2025-12-31\n\
         [[exception]]\nbasis = \"consent\"\nreference = \"r2\"\ncountries = [\"SG\"]\nexpires = 2027-12-31\nwhen = { bucket = [\"down\"] }\n",
    )]);
    let expected = [
        "a/policy.toml:9:11: warning: no bucket can be `Media-*`",
        "a/policy.toml:9:30: warning: `up-1*` adds nothing to `up-*` in `bucket`",
        "a/policy.toml:13:1: warning: the exception `consent` of `a` has expired on 2025-12-31",
        "a/policy.toml:18:1: warning: the exception `r2` of `a` never holds",
    ];
    for expected in expected {
        assert!(found.iter().any(|text| text.starts_with(expected)), "{expected}\nnot in\n{found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    let ended = told(&[("a", &format!("until = 2025-12-31\n{}", only("PK")))]);
    assert!(ended[0].contains("not in effect any more since 2025-12-31"), "{ended:#?}");
    let never = told(&[("a", &format!("[when]\nbucket = [\"UP\"]\nresidence = [\"PK\"]\n{}", only("PK")))]);
    assert!(never.iter().any(|text| text.contains("`a` never applies")), "{never:#?}");
}

#[test]
fn what_changes_nothing_is_told_once() {
    let both = told(&[("a", &only("PK")), ("b", &only("PK"))]);
    assert_eq!(both.len(), 1, "{both:#?}");
    assert!(both[0].starts_with("b/policy.toml:") && both[0].contains("wherever it applies, `a` applies too"), "{both:#?}");
    let narrower = told(&[("a", &only("PK")), ("b", &format!("[when]\nresidence = [\"PK\"]\n{}", only("PK")))]);
    assert!(narrower[0].contains("`b` never changes a decision"), "{narrower:#?}");
    let exception = told(&[
        ("a", &only("PK")),
        (
            "b",
            &format!(
                "{}[[exception]]\nbasis = \"consent\"\nreference = \"r\"\ncountries = [\"SG\"]\nexpires = 2027-01-01\n",
                only("PK")
            ),
        ),
    ]);
    assert!(exception.iter().any(|text| text.contains("the exception `r` of `b` never changes a decision")), "{exception:#?}");
    // What asks more somewhere is not idle; nor is a duty, which asks nothing of storage.
    assert!(told(&[("a", &format!("[when]\nresidence = [\"PK\"]\n{}", only("PK"))), ("b", &only("PK"))]).len() == 1);
    assert!(told(&[("a", "duties = [\"access\"]\n")]).is_empty());
}

#[test]
fn patterns_of_nobodys_buckets_can_hide_each_other() {
    let gateway = GATEWAY.replace("\"static-*\" = [\"SG\"]", "\"Static-*\" = [\"SG\"], \"static-*\" = [\"SG\"]");
    let found: Vec<String> = set(&gateway, &[]).analyse(TODAY).iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("`Static-*` of `[no-subject]`"), "{found:#?}");
}

#[test]
fn retention_and_processing_clash_too() {
    let found = told(&[
        ("a", "[require]\nprocessing = [\"PK\"]\n[retention]\nat-least = \"2y\"\n"),
        ("b", "[require]\nprocessing = [\"SG\"]\n[retention]\nat-most = \"1y\"\n"),
    ]);
    assert!(found.iter().any(|text| text.contains("cannot be processed")), "{found:#?}");
    assert!(found.iter().any(|text| text.contains("`a` asks to keep it at least 2y, `b` at most 1y")), "{found:#?}");
}

#[test]
fn a_space_too_large_is_said_to_be() {
    let many: Vec<(String, String)> = (0..24)
        .map(|at| (format!("i{at:02}"), format!("[when]\nbucket = [\"*{}*\"]\n{}", char::from(b'a' + at), only("PK"))))
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    let found = told(&many);
    assert!(found.iter().any(|text| text.contains("more kinds of records apart than can be looked at")), "{found:#?}");
}

fn compared(gateways: (&str, &str), old: &[(&str, &str)], new: &[(&str, &str)]) -> PolicyDiff {
    diff(&set(gateways.0, old), &set(gateways.1, new), TODAY)
}

#[test]
fn a_change_is_shown_by_facts() {
    let pk = format!("[when]\nresidence = [\"PK\"]\n{}", only("PK"));
    let added = compared((GATEWAY, GATEWAY), &[], &[("a", &pk)]);
    assert!(added.exhaustive && !added.allows_more, "{added:#?}");
    assert_eq!(added.changes.len(), 1, "{added:#?}");
    assert_eq!(added.changes[0].example.to_string(), "residence = PK");
    assert!(compared((GATEWAY, GATEWAY), &[("a", &pk)], &[]).allows_more);
    let texts = format!("note = \"another\"\n{pk}");
    let same = compared((GATEWAY, GATEWAY), &[("a", &pk)], &[("a", &texts)]);
    assert!(same.changes.is_empty() && !same.allows_more, "{same:#?}");
}

#[test]
fn what_is_to_lapse_later_is_a_change_today() {
    let (now, later) = (only("PK"), format!("until = 2026-06-30\n{}", only("PK")));
    let found = compared((GATEWAY, GATEWAY), &[("a", &now)], &[("a", &later)]);
    assert!(found.allows_more, "{found:#?}");
    assert_eq!(found.changes[0].example.date, date!(2026 - 07 - 01));
    assert!(found.changes[0].example.to_string().contains("from 2026-07-01 on"), "{}", found.changes[0].example);
}

#[test]
fn other_sources_of_facts_allow_more_whatever_they_say() {
    let gateway = GATEWAY
        .replace("from = [\"directory\"]\n[attributes.data-class]", "from = [\"directory\", \"tag:r\"]\n[attributes.data-class]");
    let found = compared((GATEWAY, &gateway), &[], &[]);
    assert!(found.allows_more && found.changes.is_empty() && found.signals.len() == 1, "{found:#?}");
    let unknown = GATEWAY.replace(
        "from = [\"directory\"]\n[attributes.data-class]",
        "from = [\"directory\"]\nunknown = \"omit\"\n[attributes.data-class]",
    );
    let found = compared((GATEWAY, &unknown), &[], &[]);
    assert!(found.allows_more && found.changes.len() == 1, "a refusal becomes a placement: {found:#?}");
    assert_eq!(found.changes[0].example.to_string(), "residence = (unknown)");
    assert!(!compared((&unknown, GATEWAY), &[], &[]).allows_more);
}

#[test]
fn hundreds_of_instruments_do_not_hide_a_change() {
    let many: Vec<(String, String)> = (0..300)
        .map(|at| {
            let country = format!("{}{}", char::from(b'A' + at as u8 % 26), char::from(b'A' + (at / 26) as u8));
            (
                format!("i{at:03}"),
                format!("[when]\nresidence = [\"{country}\"]\nbucket = [\"tenant-{at}-*\"]\n{}", only(&country)),
            )
        })
        .collect();
    let old: Vec<(&str, &str)> = many.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    let found = compared((GATEWAY, GATEWAY), &old, &old[1..]);
    assert!(found.exhaustive && found.allows_more, "{:#?}", found.changes.first());
    assert_eq!(found.changes.len(), 1, "{:#?}", found.changes);
    assert!(compared((GATEWAY, GATEWAY), &old[1..], &old).changes.len() == 1);
}

#[test]
fn each_way_of_allowing_more_is_seen_and_its_contrary_is_not() {
    let exception = "[[exception]]\nbasis = \"consent\"\nreference = \"r\"\ncountries = [\"SG\"]\nexpires = 2027-01-01\n";
    // What asks more, and what asks less.
    let pairs = [
        (
            "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n".to_owned(),
            "[require]\ncopies = \"only\"\ncountries = [\"PK\", \"SG\"]\n".to_owned(),
        ),
        ("[require]\nnot-countries = [\"CN\", \"US\"]\n".to_owned(), "[require]\nnot-countries = [\"CN\"]\n".to_owned()),
        (only("PK"), only("PK") + exception),
        ("[require]\nprocessing = [\"PK\"]\n".to_owned(), format!("[require]\nprocessing = [\"PK\"]\n{exception}")),
        ("[require]\nprocessing = [\"PK\"]\n".to_owned(), "[require]\nprocessing = [\"PK\", \"SG\"]\n".to_owned()),
        (
            "[require]\ncopies = \"also\"\ncountries = [\"PK\", \"US\"]\n".to_owned(),
            "[require]\ncopies = \"also\"\ncountries = [\"PK\"]\n".to_owned(),
        ),
        (
            "[require]\ncopies = \"only\"\ncountries = [\"PK\", \"SG\"]\nkeys = [\"PK\"]\n".to_owned(),
            "[require]\ncopies = \"only\"\ncountries = [\"PK\", \"SG\"]\nkeys = [\"PK\", \"SG\"]\n".to_owned(),
        ),
        ("[retention]\nat-least = \"2y\"\n".to_owned(), "[retention]\nat-least = \"1y\"\n".to_owned()),
    ];
    for (more, less) in pairs {
        let loosened = compared((GATEWAY, GATEWAY), &[("a", &more)], &[("a", &less)]);
        assert!(loosened.allows_more, "{more} to {less}: {loosened:#?}");
        let tightened = compared((GATEWAY, GATEWAY), &[("a", &less)], &[("a", &more)]);
        assert!(!tightened.allows_more && !tightened.changes.is_empty(), "{less} to {more}: {tightened:#?}");
    }
    // Whatever a ceiling becomes, something is kept longer or removed earlier.
    let (short, long) = ("[retention]\nat-most = \"1y\"\n", "[retention]\nat-most = \"2y\"\n");
    assert!(compared((GATEWAY, GATEWAY), &[("a", short)], &[("a", long)]).allows_more);
    assert!(compared((GATEWAY, GATEWAY), &[("a", long)], &[("a", short)]).allows_more);
    // Where data goes that no instrument sends anywhere.
    let elsewhere = GATEWAY.replace("countries = [\"SG\"]", "countries = [\"SG\", \"US\"]");
    assert!(compared((GATEWAY, &elsewhere), &[], &[]).allows_more);
    let strict = only("SG");
    assert!(
        compared((GATEWAY, &elsewhere), &[("a", &strict)], &[("a", &strict)])
            .changes
            .iter()
            .all(|change| !change.example.subject)
    );
}

/// Steps that a single person could go one after the other must not lead where one step would have needed two.
#[test]
fn what_needs_approval_in_one_step_needs_it_in_two() {
    let pk = "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n";
    let keys = |keys: &str| format!("{pk}keys = [{keys}]\n");
    // The key of another country, by way of no rule for keys, and of one that leaves the choice.
    assert!(compared((GATEWAY, GATEWAY), &[("a", &keys("\"PK\""))], &[("a", &keys("\"US\""))]).allows_more);
    assert!(compared((GATEWAY, GATEWAY), &[("a", pk)], &[("a", &keys("\"US\""))]).allows_more);
    assert!(!compared((GATEWAY, GATEWAY), &[("a", pk)], &[("a", &keys("\"PK\""))]).allows_more);
    let both = &keys("\"PK\", \"US\"");
    let (to, from) = (compared((GATEWAY, GATEWAY), &[("a", pk)], &[("a", both)]), keys("\"US\""));
    assert!(to.allows_more || compared((GATEWAY, GATEWAY), &[("a", both)], &[("a", &from)]).allows_more);
    // A copy that has to be there, by way of a default that happens to put it there.
    let also = "[require]\ncopies = \"also\"\ncountries = [\"PK\"]\n";
    let happens = GATEWAY.replace("[default]\ncountries = [\"SG\"]", "[default]\ncountries = [\"PK\", \"SG\"]");
    let loose = "[require]\ncopies = \"only\"\ncountries = [\"PK\", \"SG\"]\n";
    let found = compared((GATEWAY, &happens), &[("a", also)], &[("a", loose)]);
    assert!(found.allows_more, "nothing asks for the copy in PK any more: {found:#?}");
    assert!(!compared((GATEWAY, GATEWAY), &[("a", also)], &[("a", pk)]).allows_more, "it can be nowhere else");
    // A default that sends data elsewhere, beside an `only` that names the place.
    let elsewhere = GATEWAY.replace("[default]\ncountries = [\"SG\"]", "[default]\ncountries = [\"US\"]");
    let names_it = "[require]\ncopies = \"only\"\ncountries = [\"SG\", \"US\"]\n";
    assert!(compared((GATEWAY, &elsewhere), &[], &[("a", names_it)]).allows_more);
    assert!(!compared((GATEWAY, GATEWAY), &[], &[("a", pk)]).allows_more);
    // The primary copy's country.
    let first = "[require]\ncopies = \"first\"\ncountries = [\"PK\"]\n";
    assert!(compared((GATEWAY, GATEWAY), &[("a", first)], &[("a", also)]).allows_more);
    assert!(!compared((GATEWAY, GATEWAY), &[("a", also)], &[("a", first)]).allows_more);
}

#[test]
fn what_binds_copies_elsewhere_is_compared_too() {
    // Where it is written nothing changes: the default is in SG. A copy into nobody's bucket in PK had to have one in SG as well.
    let gateway = GATEWAY.replace("\"static-*\" = [\"SG\"]", "\"static-*\" = [\"PK\"]");
    let also = "[require]\ncopies = \"also\"\ncountries = [\"SG\"]\n";
    let bucket = format!("[when]\nbucket = [\"media-*\"]\n{also}");
    let found = compared((&gateway, &gateway), &[("a", &bucket)], &[]);
    assert!(found.changes.iter().all(|change| !change.example.subject), "{:#?}", found.changes);
    assert!(
        found.allows_more && found.asked_less.iter().any(|example| example.to_string() == "bucket = media-1"),
        "{:?}",
        found.asked_less
    );
    // What others ask as well binds copies as before.
    let same = format!("[when]\nbucket = [\"media-1\"]\n{also}");
    let found = compared((GATEWAY, GATEWAY), &[("a", also), ("b", &same)], &[("a", also)]);
    assert!(!found.allows_more && found.asked_less.is_empty(), "{found:#?}");
    // Their own key is the one that seals in any case, until a copy's other place asks for another's.
    let pk = "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n";
    let found = compared((GATEWAY, GATEWAY), &[("a", &format!("{pk}keys = [\"PK\"]\n"))], &[("a", pk)]);
    assert!(found.changes.is_empty() && found.allows_more && !found.asked_less.is_empty(), "{found:#?}");
}

#[test]
fn names_of_characters_that_no_pattern_has_are_looked_at() {
    let all = || ('a'..='z').chain('A'..='Z').chain('0'..='9');
    // Every key but those that begin otherwise, as `.hidden` or `ü` do; every principal but those that begin with a dot or the like.
    let keys: String = all().flat_map(|c| [format!("{:?}, ", format!("{c}*")), format!("{:?}, ", format!("{c}*/**"))]).collect();
    let principals: String = all().map(|c| format!("{:?}, ", format!("{c}*"))).collect();
    for condition in [format!("key = {{ not = [{keys}\"/**\"] }}"), format!("principal = {{ not = [{principals}] }}")] {
        let kept = format!("[when]\n{condition}\n{}", only("PK"));
        let found = compared((GATEWAY, GATEWAY), &[("a", &kept)], &[]);
        assert!(found.allows_more, "{condition}");
    }
}
