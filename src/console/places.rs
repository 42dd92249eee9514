//! Every page that is in the navigation, and the question that a role must be allowed to ask to see it.

/// One page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The heading under which it stands.
    pub(super) group: &'static str,
    /// Its path.
    pub(super) path: &'static str,
    /// What it is called.
    pub(super) label: &'static str,
    /// The API's route that asks what it shows: who may use that sees the page.
    pub(super) asks: &'static str,
}

const fn place(group: &'static str, path: &'static str, label: &'static str, asks: &'static str) -> Place {
    Place { group, path, label, asks }
}

/// What everybody sees first. Its parts ask different questions, and each role sees those that it may ask.
pub(super) const OVERVIEW: Place = place("Where", "/console", "Overview", "GET /v1/policies");
/// Records by where they are and whose.
pub(super) const RECORDS: Place = place("Where", "/console/records", "Records", "GET /v1/records");
/// One subject.
pub(super) const SUBJECTS: Place = place("Where", "/console/subject", "Subjects", "GET /v1/subjects/{id}");
/// The sets of policies.
pub(super) const POLICIES: Place = place("Why", "/console/policies", "Policies", "GET /v1/policies");
/// What lies where only an exception lets it.
pub(super) const EXCEPTIONS: Place = place("Why", "/console/exceptions", "Exceptions", "GET /v1/ledger/entries");
/// What was not done.
pub(super) const REFUSALS: Place = place("Why", "/console/refusals", "Refusals", "GET /v1/ledger/entries");
/// The log and its head.
pub(super) const LEDGER: Place = place("Proof", "/console/ledger", "Ledger", "GET /v1/ledger/checkpoint");
/// What happened in a period.
pub(super) const REPORT: Place = place("Proof", "/console/report", "Report", "GET /v1/report");
/// All records, to take along.
pub(super) const POPULATION: Place = place("Proof", "/console/population", "Population", "GET /v1/population");
/// Some of them, drawn by a seed.
pub(super) const SAMPLE: Place = place("Proof", "/console/sample", "Sample", "GET /v1/sample");
/// The sites.
pub(super) const SITES: Place = place("Health", "/console/sites", "Sites", "GET /v1/sites");
/// The country keys.
pub(super) const KEYS: Place = place("Health", "/console/keys", "Keys", "GET /v1/keys");
/// What verifications found.
pub(super) const FINDINGS: Place = place("Health", "/console/findings", "Findings", "GET /v1/findings");
/// Records on their way.
pub(super) const RELOCATIONS: Place = place("Health", "/console/relocations", "Relocations", "GET /v1/relocations");
/// Who was forgotten, without saying who.
pub(super) const ERASURES: Place = place("Health", "/console/erasures", "Erasures", "GET /v1/erasures");

/// All of them, in the order of the navigation.
pub(super) const PLACES: &[Place] = &[
    OVERVIEW,
    RECORDS,
    SUBJECTS,
    POLICIES,
    EXCEPTIONS,
    REFUSALS,
    LEDGER,
    REPORT,
    POPULATION,
    SAMPLE,
    SITES,
    KEYS,
    FINDINGS,
    RELOCATIONS,
    ERASURES,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Route;

    #[test]
    fn pages_are_shown_by_the_table_of_the_api() {
        for (place, next) in PLACES.iter().zip(&PLACES[1..]) {
            assert_ne!(place.path, next.path);
        }
        for Place { path, asks, .. } in PLACES {
            let (method, route) = asks.split_once(' ').unwrap();
            assert!(method == "GET" && Route::find(method, route).is_some(), "{path} asks {asks}");
            assert!(path.starts_with("/console"), "{path}");
        }
    }
}
