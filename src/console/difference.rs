//! What two kept sets of policies say differently: their files, line by line, and their decisions, by example.

use std::collections::BTreeSet;

use askama::Template;
use axum::{Extension, extract::Query as Parameters};
use serde::Deserialize;

use super::{
    chrome::{Answer, Chrome, page as answer},
    decisions::Change,
    filters,
    lines::{self, Changes, Line},
    places,
    policies::{by, state},
    seat::Seat,
};
use crate::admin::{
    GatewayError, PoliciesView, PolicyDiffView, PolicyEntryView, PolicyRevisionView, Problem, Query, SetToCompare,
};
use crate::audit::By;
use crate::index::PolicyState;
use crate::types::PolicyRevision;

/// Sets to choose from: those of the last entries of the history.
const CHOICES: usize = 100;

/// Names of two sets; what is left empty is chosen.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    from: String,
    to: String,
}

#[derive(Template)]
#[template(path = "difference.html")]
struct DifferencePage {
    chrome: Chrome,
    from: Side,
    to: Side,
    choices: Vec<Choice>,
    files: Changes,
    decisions: Decisions,
}

/// One of the two sets.
struct Side {
    revision: PolicyRevision,
    /// The newest word of the history on it.
    entry: Option<PolicyEntryView>,
}

/// A set that can be chosen.
struct Choice {
    revision: PolicyRevision,
    label: String,
}

/// What is said of decisions.
enum Decisions {
    /// It is the same set.
    Same,
    /// The reader's role does not show them.
    NotShown,
    /// The gateway cannot read one of the sets as it did once.
    NotComparable(String),
    /// What changes.
    Compared(Compared),
}

struct Compared {
    changes: Vec<Change>,
    signals: Vec<String>,
    asked_less: Vec<String>,
    allows_more: bool,
    exhaustive: bool,
    /// Whether somebody else has to approve the step.
    approval: Needed,
}

/// Whether the second set needs a second person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    /// It is held against the set in force, and this is the rule.
    Yes,
    /// Likewise.
    No,
    /// Nobody has to approve anything here.
    Never,
    /// The first set is not the one in force: it is not this step that would be made.
    NotThisStep,
}

impl DifferencePage {
    fn by(&self, who: &By) -> String {
        by(who)
    }

    fn state(&self, state_of: &PolicyState) -> &'static str {
        state(*state_of)
    }

    const fn sides(&self) -> [(&'static str, &Side); 2] {
        [("From", &self.from), ("To", &self.to)]
    }

    /// Whether the comparison is with nothing but itself, because there is nothing else.
    fn is_alone(&self) -> bool {
        self.choices.len() < 2 && self.from.revision == self.to.revision
    }
}

impl Compared {
    fn new(view: PolicyDiffView, approval: Needed) -> Self {
        let PolicyDiffView { changes, signals, asked_less, allows_more, exhaustive, .. } = view;
        Self { changes: changes.into_iter().map(Change::from).collect(), signals, asked_less, allows_more, exhaustive, approval }
    }

    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.signals.is_empty() && self.asked_less.is_empty() && self.exhaustive
    }
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(asked): Parameters<Asked>) -> Answer {
    let policies = seat.ask(Query::Policies).await?.policies();
    let query = Query::PolicyHistory { before: None, limit: CHOICES };
    let history = seat.ask(query).await?.policy_history(None, CHOICES).await?;
    let (from, to) = chosen(asked, &policies, &history);
    let (from, to) = (set(&seat, &from).await?, set(&seat, &to).await?);
    let decisions = decisions(&seat, &policies, (from.revision, to.revision)).await?;
    let (old, new) = (from.files, to.files);
    let compared = tokio::task::spawn_blocking(move || lines::changes(&old, &new)).await;
    let files = compared.map_err(|error| GatewayError::Internal(error.to_string()))?;
    answer(&DifferencePage {
        chrome: Chrome::new(&seat, "Policy difference", Some(places::POLICIES)),
        choices: choices(&history, [from.revision, to.revision]),
        from: side(from.revision, &history),
        to: side(to.revision, &history),
        files,
        decisions,
    })
}

/// The two that are asked for. Without a word it is the set in force and the one before; where there was none before, what is proposed.
fn chosen(asked: Asked, policies: &PoliciesView, history: &[PolicyEntryView]) -> (String, String) {
    let (in_force, proposed) = (policies.revision, policies.proposal.as_ref().map(|entry| entry.revision));
    let was = history.iter().find(|entry| entry.in_force.is_some() && entry.revision != in_force).map(|entry| entry.revision);
    let before = policies.in_force.as_ref().and_then(|entry| entry.before).filter(|before| *before != in_force).or(was);
    let (from, to) = before.map_or_else(|| (in_force, proposed.unwrap_or(in_force)), |before| (before, in_force));
    match (asked.from.trim(), asked.to.trim()) {
        ("", "") => (from.to_string(), to.to_string()),
        ("", to) if !in_force.to_string().starts_with(to) => (in_force.to_string(), to.to_owned()),
        ("", to) => (from.to_string(), to.to_owned()),
        (from, "") => (from.to_owned(), in_force.to_string()),
        (from, to) => (from.to_owned(), to.to_owned()),
    }
}

async fn set(seat: &Seat, name: &str) -> Result<PolicyRevisionView, Problem> {
    let named =
        |problem: Problem| problem.explained(|detail| format!("`{}`: {detail}", name.chars().take(64).collect::<String>()));
    let found = seat.ask(Query::PolicyRevision).await?.policy_revision(name).await;
    found.map_err(|error| named(error.into()))
}

async fn decisions(
    seat: &Seat,
    policies: &PoliciesView,
    (from, to): (PolicyRevision, PolicyRevision),
) -> Result<Decisions, Problem> {
    if from == to {
        return Ok(Decisions::Same);
    }
    let Some(gateway) = seat.ask_if_allowed(Query::PolicyDiff).await? else { return Ok(Decisions::NotShown) };
    let kept = |revision: PolicyRevision| Some(SetToCompare::Kept(revision.to_string()));
    match gateway.policy_diff(kept(from), kept(to)).await {
        Ok(view) => {
            let approval = needed(policies, from, view.allows_more || !view.exhaustive);
            Ok(Decisions::Compared(Compared::new(view, approval)))
        }
        // A set of long ago: its files can be shown, and its decisions not be made any more.
        Err(error @ (GatewayError::Conflict(_) | GatewayError::Policies(_))) => Ok(Decisions::NotComparable(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn needed(policies: &PoliciesView, from: PolicyRevision, allows_more: bool) -> Needed {
    match policies.approval {
        _ if from != policies.revision => Needed::NotThisStep,
        "never" => Needed::Never,
        "loosening" if !allows_more => Needed::No,
        _ => Needed::Yes,
    }
}

fn side(revision: PolicyRevision, history: &[PolicyEntryView]) -> Side {
    Side { revision, entry: history.iter().find(|entry| entry.revision == revision).cloned() }
}

/// Every set of the history once, with the newest word on it, and those that are shown.
fn choices(history: &[PolicyEntryView], shown: [PolicyRevision; 2]) -> Vec<Choice> {
    let mut seen = BTreeSet::new();
    let mut choices: Vec<Choice> = Vec::new();
    for entry in history.iter().filter(|entry| seen.insert(entry.revision)) {
        let (word, at) = match entry.state {
            PolicyState::InForce => ("in force since", entry.in_force.as_ref()),
            PolicyState::Proposed => ("proposed", Some(&entry.asked.at)),
            PolicyState::Superseded => ("in force until", entry.ended.as_ref()),
            PolicyState::Rejected => ("rejected", entry.ended.as_ref()),
            PolicyState::RolledBack => ("rolled back", entry.ended.as_ref()),
        };
        let at = at.map(|at| filters::to_the_second(at)).unwrap_or_default();
        choices.push(Choice { revision: entry.revision, label: format!("{} · {word} {at}", short(entry.revision)) });
    }
    for revision in shown {
        if seen.insert(revision) {
            choices.push(Choice { revision, label: format!("{} · longer ago", short(revision)) });
        }
    }
    choices
}

fn short(revision: PolicyRevision) -> String {
    revision.to_string().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{PolicyFolderView, SaidView};
    use crate::console::chrome::Theme;
    use crate::console::decisions::tests::{compared, set as made};

    const STRICT: &str = "copies = \"only\"\ncountries = [\"PK\"]\n";
    const LOOSE: &str = "copies = \"only\"\ncountries = [\"PK\", \"SG\"]\n";

    const fn named(byte: u8) -> PolicyRevision {
        PolicyRevision::from_bytes([byte; 32])
    }

    fn entry(number: u64, revision: PolicyRevision, state: PolicyState) -> PolicyEntryView {
        let at = format!("2026-11-{:02}T08:00:00.000Z", number + 1);
        let comment = Some("<b>ticket 7</b>".to_owned());
        let came = (!matches!(state, PolicyState::Proposed | PolicyState::Rejected)).then(|| at.clone());
        PolicyEntryView {
            number,
            revision,
            state,
            before: None,
            asked: SaidView { at, by: By::System, comment },
            decided: None,
            in_force: came,
            ended: None,
            rollback: false,
            allows_more: None,
        }
    }

    fn policies(history: &[PolicyEntryView]) -> PoliciesView {
        let newest = |state: PolicyState| history.iter().find(|entry| entry.state == state).cloned();
        let in_force = newest(PolicyState::InForce);
        let revision = in_force.as_ref().unwrap().revision;
        PoliciesView {
            revision,
            source: "test".to_owned(),
            warnings: Vec::new(),
            approval: "loosening",
            in_force,
            proposal: newest(PolicyState::Proposed),
            folder: PolicyFolderView { revision, in_force: true, put_aside: false },
        }
    }

    #[test]
    fn without_a_word_it_is_what_is_in_force_and_what_was_before() {
        let history = [
            entry(3, named(4), PolicyState::Proposed),
            entry(2, named(3), PolicyState::InForce),
            entry(1, named(2), PolicyState::Rejected),
            entry(0, named(1), PolicyState::Superseded),
        ];
        let chosen = |history: &[PolicyEntryView], from: &str, to: &str| {
            let asked = Asked { from: from.to_owned(), to: to.to_owned() };
            let (from, to) = chosen(asked, &policies(history), history);
            (from.get(..2).unwrap().to_owned(), to.get(..2).unwrap().to_owned())
        };
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(chosen(&history, "", ""), pair("01", "03"));
        assert_eq!(chosen(&history[..2], "", ""), pair("03", "04"), "there was none before");
        assert_eq!(chosen(&history[1..2], "", ""), pair("03", "03"), "there is none else");
        assert_eq!(chosen(&history, "", "04040404"), pair("03", "04"));
        assert_eq!(chosen(&history, "", "03030303"), pair("01", "03"), "not with itself");
        assert_eq!(chosen(&history, "02020202", " "), pair("02", "03"));
        let labels: Vec<String> = choices(&history, [named(3), named(9)]).into_iter().map(|choice| choice.label).collect();
        assert_eq!(labels.len(), 5);
        assert_eq!(labels[1], "030303030303 · in force since 2026-11-03 08:00:00 UTC");
        assert_eq!(labels[4], "090909090909 · longer ago");
    }

    #[test]
    fn who_has_to_approve_is_said_of_a_step_that_would_be_made() {
        let mut policies = policies(&[entry(0, named(3), PolicyState::InForce)]);
        assert_eq!(needed(&policies, named(3), true), Needed::Yes);
        assert_eq!(needed(&policies, named(3), false), Needed::No);
        assert_eq!(needed(&policies, named(1), true), Needed::NotThisStep);
        policies.approval = "always";
        assert_eq!(needed(&policies, named(3), false), Needed::Yes);
        policies.approval = "never";
        assert_eq!(needed(&policies, named(3), true), Needed::Never);
    }

    fn page(decisions: Decisions) -> String {
        let ((from, old), (to, new)) = (made(STRICT), made(LOOSE));
        let (from, to) = (from.revision(), to.revision());
        let history = [entry(1, to, PolicyState::Proposed), entry(0, from, PolicyState::InForce)];
        let page = DifferencePage {
            chrome: Chrome::of_strangers("Policy difference", Theme::Auto),
            from: side(from, &history),
            to: side(to, &history),
            choices: choices(&history, [from, to]),
            files: lines::changes(&old, &new),
            decisions,
        };
        page.render().unwrap()
    }

    #[test]
    fn the_page_shows_files_decisions_and_who_has_to_approve() {
        let ((strict, _), (loose, _)) = (made(STRICT), made(LOOSE));
        let html = page(Decisions::Compared(Compared::new(compared(&strict, &loose), Needed::Yes)));
        for part in [
            "<del>-countries = [&#34;PK&#34;]</del>",
            "<ins>+countries = [&#34;PK&#34;, &#34;SG&#34;]</ins>",
            "<strong>copies only in PK, SG</strong>",
            "PK primary",
            "Allows more",
            "needs a second person",
            "&#60;b&#62;ticket 7",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("<b>ticket"));
        let back = page(Decisions::Compared(Compared::new(compared(&loose, &strict), Needed::No)));
        assert!(back.contains("Allows no more") && back.contains("without a second person"), "{back}");
    }

    #[test]
    fn what_cannot_be_compared_or_is_not_shown_still_has_its_files() {
        for (decisions, said) in [
            (Decisions::NotShown, "Your role is not shown"),
            (Decisions::NotComparable("this one reads it otherwise".to_owned()), "this one reads it otherwise"),
        ] {
            let html = page(decisions);
            assert!(html.contains(said) && html.contains("<ins>+countries"), "{html}");
            assert!(!html.contains("PK primary"));
        }
        assert!(page(Decisions::Same).contains("Both are the same set"));
    }
}
