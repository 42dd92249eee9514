//! What can be told about policies without any record: where instruments clash, what never applies, and what a change changes.
//!
//! The space of facts is cut into regions in which every condition is either true or false (`space`): attributes by the values that
//! conditions name, names by exact intersection of their patterns (`language`), days by the dates on which something begins or ends. A
//! decision tree (`tree`) walks the regions and splits only on conditions that can still matter. In each region one example stands for all
//! facts, and the evaluator itself says what it decides: there is no second set of rules here that could drift from the first.

mod asked;
mod clash;
mod diff;
mod example;
mod judge;
mod language;
mod reach;
mod space;
#[cfg(test)]
mod tests;
mod tree;

pub use diff::{DecisionChange, PolicyDiff, diff};
pub use example::Example;

use clash::{Clashes, Clashing};
use reach::Reaching;
use space::Space;
use tree::{Region, Tree, Visit, items};

use super::PolicySet;
use crate::diagnostics::{Diagnostic, Severity};

/// What was found in one walk.
struct Survey<'a> {
    clashing: Clashing<'a>,
    reaching: Reaching<'a>,
}

impl Visit for Survey<'_> {
    fn region(&mut self, region: &Region<'_>) {
        self.clashing.region(region);
        self.reaching.region(region);
    }
}

impl PolicySet {
    /// Warns of instruments that clash for some facts, of rules that never apply, have run out or change nothing, on `today` and every day after
    /// it. In the order of files and places.
    pub fn analyse(&self, today: time::Date) -> Vec<Diagnostic> {
        let space = Space::of(&[self], today);
        let items = items(&space, self, |_| true);
        let clashing = Clashing { set: self, items: &items, clashes: Clashes::default() };
        let mut survey = Survey { clashing, reaching: Reaching::new(self, &items) };
        let exhaustive = Tree::new(&space, &[self], &items, today).walk(&mut survey);
        let mut found = survey.clashing.clashes.diagnostics(self);
        found.extend(reach::values(&space, self));
        found.extend(self.expired(today));
        if exhaustive {
            found.extend(survey.reaching.diagnostics(today));
        } else {
            let message = "the conditions tell more kinds of records apart than can be looked at: some clashes and idle rules are not found";
            let diagnostic = Diagnostic::of_file("gateway.toml", message, None);
            found.push(Diagnostic { severity: Severity::Warning, ..diagnostic });
        }
        found.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        found
    }
}
