//! Which policy sets a second person has to approve.

use super::PolicyDiff;

/// `[policy-approval] require`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Approval {
    /// None: whoever may reload decides alone.
    #[default]
    Never,
    /// Those that allow anything that the set in force does not. What is stricter comes into force at once: nobody should have to wait for
    /// that.
    Loosening,
    /// Every one that decides otherwise.
    Always,
}

impl Approval {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Loosening => "loosening",
            Self::Always => "always",
        }
    }

    /// Whether a set that differs so from the one in force waits for approval. `None` where it was not compared.
    pub fn asks(self, diff: Option<&PolicyDiff>) -> bool {
        match self {
            Self::Never => false,
            // What was not looked at could allow anything.
            Self::Loosening => diff.is_none_or(|diff| diff.allows_more || !diff.exhaustive),
            Self::Always => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_allows_more_or_is_not_known_to_the_end_asks_for_approval() {
        let diff = |allows_more, exhaustive| PolicyDiff {
            changes: Vec::new(),
            asked_less: Vec::new(),
            allows_more,
            exhaustive,
            signals: Vec::new(),
        };
        for (allows_more, exhaustive, asks) in
            [(false, true, false), (true, true, true), (false, false, true), (true, false, true)]
        {
            let diff = diff(allows_more, exhaustive);
            assert!(!Approval::Never.asks(Some(&diff)));
            assert!(Approval::Always.asks(Some(&diff)));
            assert_eq!(Approval::Loosening.asks(Some(&diff)), asks, "{allows_more} {exhaustive}");
        }
        assert!(Approval::Loosening.asks(None) && !Approval::Never.asks(None));
    }
}
