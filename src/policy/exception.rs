//! Exceptions: what lets data leave where an instrument keeps it.

use serde::{Deserialize, Serialize};

use super::{Condition, Facts};
use crate::{
    diagnostics::Origin,
    types::{Country, InstrumentId},
};

/// One exception of an instrument. It widens that instrument alone, and asks for no copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// What it rests on.
    pub basis: ExceptionBasis,
    /// Where an auditor finds the proof: a contract, a decision, a file.
    pub reference: String,
    /// The countries that the instrument allows then as well.
    pub countries: Vec<Country>,
    /// Whether copies may be there.
    pub copies: bool,
    /// Whether content may be processed there.
    pub processing: bool,
    /// The last day (UTC) on which it holds; without one it holds for good.
    pub expires: Option<time::Date>,
    /// When it holds, beside the conditions of the instrument: all must.
    pub when: Vec<Condition>,
    /// Where it stands.
    #[serde(skip)]
    pub origin: Origin,
}

/// What an exception rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExceptionBasis {
    /// The person agreed.
    Consent,
    /// A contract: standard clauses, binding rules, what the person ordered.
    Contract,
    /// The other country was found to protect enough.
    Adequacy,
    /// An assessment that was made, and filed or passed where that is asked.
    Assessment,
    /// A treaty.
    Treaty,
    /// An authority allowed it.
    Approval,
    /// Legal claims are made or defended.
    LegalClaim,
    /// Somebody's life or health.
    VitalInterest,
    /// A reason of public interest that the law names.
    PublicInterest,
}

/// An exception that a decision leans on: without it, these countries would not be allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedException {
    /// The instrument that it widens.
    pub instrument: InstrumentId,
    /// What it rests on.
    pub basis: ExceptionBasis,
    /// Where an auditor finds the proof.
    pub reference: String,
    /// The countries that only it lets in.
    pub countries: Vec<Country>,
}

impl Exception {
    /// Whether it has not expired on `today`.
    pub fn in_effect(&self, today: time::Date) -> bool {
        self.expires.is_none_or(|expires| today <= expires)
    }

    /// The first condition that is not known to hold.
    pub(super) fn failing(&self, facts: &Facts<'_>) -> Option<&Condition> {
        self.when.iter().find(|condition| !condition.surely_holds(facts))
    }
}

impl ExceptionBasis {
    /// Its word in a policy file.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, basis)| *basis == self).map_or("", |(word, _)| *word)
    }

    /// Every basis with its word in a policy file.
    pub const WORDS: [(&'static str, Self); 9] = [
        ("consent", Self::Consent),
        ("contract", Self::Contract),
        ("adequacy", Self::Adequacy),
        ("assessment", Self::Assessment),
        ("treaty", Self::Treaty),
        ("approval", Self::Approval),
        ("legal-claim", Self::LegalClaim),
        ("vital-interest", Self::VitalInterest),
        ("public-interest", Self::PublicInterest),
    ];
}
