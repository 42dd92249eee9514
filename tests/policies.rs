//! The policies that come with Domicile: they parse without a warning, their golden cases pass, and the default installation can follow them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

use domicile::{
    diagnostics::Diagnostic,
    policy::{Available, Enforcement, PolicyFile, PolicySet},
    types::Country,
};

const TODAY: time::Date = time::macros::date!(2026 - 06 - 01);

fn shipped() -> Vec<PolicyFile> {
    fn walk(root: &Path, folder: &Path, files: &mut Vec<PolicyFile>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, files);
            } else {
                let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push(PolicyFile { path: relative, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    files
}

fn countries(codes: &[&str]) -> BTreeSet<Country> {
    codes.iter().map(|code| code.parse().unwrap()).collect()
}

#[test]
fn parse_without_warnings_and_pass_their_golden_cases() {
    let set = PolicySet::parse(&shipped()).unwrap();
    assert_eq!(set.warnings(), []);
    let report = set.run_cases();
    assert!(report.cases.len() >= 60);
    for case in &report.cases {
        assert_eq!(case.problem, None, "{}: {}", case.origin.file, case.name);
    }
}

#[test]
fn are_all_told_of_in_the_documentation_with_what_is_not_verified() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/residency.md")).unwrap();
    let set = PolicySet::parse(&shipped()).unwrap();
    for instrument in set.instruments() {
        let line = page.lines().find(|line| line.starts_with(&format!("| `{}` |", instrument.id)));
        let line = line.unwrap_or_else(|| panic!("`{}` is not in docs/residency.md", instrument.id));
        let note = instrument.note.as_deref().unwrap_or_default();
        let unverified = ["unverified", "not verified", "not be verified"].iter().any(|word| note.to_lowercase().contains(word));
        assert!(!unverified || line.contains("**[U]**"), "{}", instrument.id);
        assert_eq!(line.contains("**on**"), instrument.enforcement == Enforcement::On, "{}", instrument.id);
    }
}

#[test]
fn clash_nowhere_and_hold_no_idle_rule() {
    assert_eq!(PolicySet::parse(&shipped()).unwrap().analyse(TODAY), []);
}

#[test]
fn show_every_rule_in_a_case() {
    let coverage = PolicySet::parse(&shipped()).unwrap().coverage();
    let missing: Vec<_> = coverage.rules.iter().filter(|rule| !rule.is_covered()).collect();
    assert!(coverage.is_complete(), "{missing:#?}");
    assert!(coverage.rules.len() >= 50, "{}", coverage.rules.len());
}

/// Whoever turns on what ships turned off is told what it does: each alone beside what is on.
#[test]
fn are_sound_one_by_one_when_they_are_turned_on() {
    let files = shipped();
    let off = files.iter().filter(|file| file.text.contains("enforcement = \"off\""));
    for path in off.map(|file| file.path.clone()).collect::<Vec<_>>() {
        let mut files = files.clone();
        let file = files.iter_mut().find(|file| file.path == path).unwrap();
        file.text = file.text.replace("enforcement = \"off\"", "enforcement = \"on\"");
        let found = PolicySet::parse(&files).unwrap().analyse(TODAY);
        let sound = |diagnostic: &Diagnostic| {
            // Two laws of different countries clash for whom both bind, and the two readings of one rule ask the same.
            diagnostic.message.contains("can be refused")
                || diagnostic.message.contains("never changes a decision")
                || diagnostic.message.contains("not in effect any more")
        };
        assert!(found.iter().all(sound), "{path}: {found:#?}");
    }
}

#[test]
fn suit_the_default_installation() {
    let set = PolicySet::parse(&shipped()).unwrap();
    let both = countries(&["PK", "SG"]);
    let available = |sites: &BTreeSet<Country>| Available {
        countries_with_site: sites.clone(),
        countries_with_key: both.clone(),
        ..Available::default()
    };
    assert_eq!(set.check(&available(&both)), []);
    let without = set.check(&available(&countries(&["SG"])));
    assert!(without.iter().any(|diagnostic| diagnostic.file == "pk-cpoh-2020/policy.toml"), "{without:?}");
}

#[test]
fn the_revision_does_not_depend_on_comments_or_the_order_of_files() {
    let mut files = shipped();
    let revision = PolicySet::parse(&files).unwrap().revision();
    files.reverse();
    files.iter_mut().for_each(|file| file.text.push_str("\n# a comment\n"));
    assert_eq!(PolicySet::parse(&files).unwrap().revision(), revision);
    let policy = files.iter_mut().find(|file| file.path == "pk-cpoh-2020/policy.toml").unwrap();
    policy.text = policy.text.replace("copies = \"only\"", "copies = \"also\"");
    assert_ne!(PolicySet::parse(&files).unwrap().revision(), revision);
}
