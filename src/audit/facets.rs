//! By what ledger entries are found: whose key and subject they name, what sort they are of, which records they say are removed. Read from
//! the leaf itself, so that what an entry is found by derives from the ledger alone.

use serde::{Deserialize, de::IgnoredAny};

use crate::types::{Pseudonym, RecordId};

macro_rules! classes {
    ($($(#[$doc:meta])* $class:ident, $letter:literal, $word:literal;)*) => {
        /// Sorts of entries that somebody looks for. An entry can be of several, or of none: a write as the policy wants it is found by
        /// its key, its subject and its time.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class {
            $($(#[$doc])* $class,)*
        }

        impl Class {
            /// Every class.
            pub const ALL: &[Self] = &[$(Self::$class),*];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$class => $word,)* }
            }

            /// The letter that stands for it in keys of rows.
            pub const fn letter(self) -> u8 {
                match self { $(Self::$class => $letter,)* }
            }
        }
    };
}

classes! {
    /// Whatever was refused.
    Refusals, b'r', "refusals";
    /// A record was put where only an exception of an instrument lets it be.
    Exceptions, b'e', "exceptions";
    /// A record came to live elsewhere, or a queued copy followed.
    Relocations, b'm', "relocations";
    /// A version, a key or what lay of it at a site is gone.
    Removals, b'd', "removals";
    /// Country keys and subject keys.
    Keys, b'k', "keys";
    /// Calls to providers of country keys.
    KeyUses, b'u', "key-uses";
    /// Steps of policy sets.
    Policies, b'p', "policies";
    /// What was said of subjects.
    Subjects, b's', "subjects";
    /// Erasures.
    Erasures, b'x', "erasures";
    /// What verifications found and came to.
    Findings, b'f', "findings";
    /// Sites and what was found of how they are set up.
    Sites, b'w', "sites";
    /// Questions, sessions, orders and what was given out.
    Queries, b'q', "queries";
    /// Starts and stops, configuration, the index.
    Gateway, b'g', "gateway";
    /// Reads of content, as far as they are recorded.
    Reads, b'a', "reads";
}

impl Class {
    /// The class of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.as_str() == name)
    }

    /// The class that a kind of entry is always of.
    fn of_kind(kind: &str) -> Option<Self> {
        Some(match kind {
            "copy-begun" | "copy-stored" | "relocated" => Self::Relocations,
            "delete-object" | "expired" | "collected" | "source-deleted" | "delete-bucket" => Self::Removals,
            "key-created" | "key-rewrapped" | "key-stored" | "key-rotating" | "key-rotated" | "key-destroyed"
            | "key-exported" => Self::Keys,
            "key-used" => Self::KeyUses,
            kind if kind.starts_with("policy-") => Self::Policies,
            "subject-set" | "subject-removed" | "subject-due" | "subject-settled" => Self::Subjects,
            "erasure-accepted" | "erased" | "erasure-complete" => Self::Erasures,
            "found" | "cleared" | "repaired" | "scrubbed" => Self::Findings,
            "site-seen" | "site-alarm" | "site-clear" => Self::Sites,
            "audit-query"
            | "admin-action"
            | "session-created"
            | "population-exported"
            | "index-exported"
            | "login"
            | "logout" => Self::Queries,
            "started" | "stopped" | "index-rebuilt" | "index-imported" => Self::Gateway,
            "get-object" => Self::Reads,
            _ => return None,
        })
    }
}

/// What one entry is found by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facets {
    /// The key that it names.
    pub key: Option<Pseudonym>,
    /// The subject that it names.
    pub subject: Option<Pseudonym>,
    /// Its classes.
    pub classes: Vec<Class>,
    /// The records of which it says that something was removed from sites: they are named by nothing else by then.
    pub collected: Vec<RecordId>,
}

#[derive(Deserialize)]
struct Leaf<'a> {
    kind: &'a str,
    key: Option<&'a str>,
    subject: Option<&'a str>,
    outcome: Outcome,
    #[serde(default)]
    exceptions: Vec<IgnoredAny>,
    #[serde(default)]
    gone: Vec<IgnoredAny>,
    #[serde(default, borrow)]
    collected: Vec<Collected<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Ok,
    Refused {},
}

#[derive(Deserialize)]
struct Collected<'a> {
    record: &'a str,
}

impl Facets {
    /// Those of a leaf; none of what is no entry.
    pub fn of(leaf: &[u8]) -> Self {
        let Ok(leaf) = serde_json::from_slice::<Leaf<'_>>(leaf) else { return Self::default() };
        let refused = matches!(leaf.outcome, Outcome::Refused {}).then_some(Class::Refusals);
        let exception = (!leaf.exceptions.is_empty()).then_some(Class::Exceptions);
        // A version that another takes the place of is gone, too.
        let removal = (!leaf.gone.is_empty()).then_some(Class::Removals);
        let mut classes: Vec<Class> = [refused, exception, removal, Class::of_kind(leaf.kind)].into_iter().flatten().collect();
        classes.sort_unstable();
        classes.dedup();
        Self {
            key: leaf.key.and_then(|key| key.parse().ok()),
            subject: leaf.subject.and_then(|subject| subject.parse().ok()),
            classes,
            collected: leaf.collected.iter().filter_map(|collected| collected.record.parse().ok()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::audit::{Actor, CollectedCopies, Event, Kind, LeantOn, entry};
    use crate::types::{InstrumentId, Timestamp};

    fn facets(event: &Event) -> Facets {
        Facets::of(&entry::leaf(3, Timestamp::from_seconds(7), event).unwrap())
    }

    #[test]
    fn an_entry_is_found_by_what_it_says() {
        let (key, subject) = (Pseudonym::from_bytes([1; 16]), Pseudonym::from_bytes([2; 16]));
        let plain = Event { key: Some(key), subject: Some(subject), ..Event::new(Kind::PutObject, Actor::System) };
        let expected = Facets { key: Some(key), subject: Some(subject), ..Facets::default() };
        assert_eq!(facets(&plain), expected);

        let classes = |event: &Event| facets(event).classes;
        assert_eq!(classes(&plain.clone().refused("ResidencyUnknown")), [Class::Refusals]);
        assert_eq!(
            classes(&Event::new(Kind::PolicyApproved, Actor::System).refused("same-person")),
            [Class::Refusals, Class::Policies]
        );
        let leant = LeantOn {
            instrument: InstrumentId::new("pk").unwrap(),
            basis: "consent",
            reference: "x \"y\"".to_owned(),
            countries: Vec::new(),
        };
        let record = RecordId::from_bytes([9; 16]);
        assert_eq!(
            classes(&Event { exceptions: vec![leant], gone: vec![record], ..plain }),
            [Class::Exceptions, Class::Removals]
        );
        let collected = vec![CollectedCopies { record, sites: Vec::new() }];
        let collected = facets(&Event { collected, ..Event::new(Kind::Collected, Actor::System) });
        assert_eq!(collected, Facets { classes: vec![Class::Removals], collected: vec![record], ..Facets::default() });
        assert_eq!(Facets::of(b"{}"), Facets::default());
    }

    #[test]
    fn keys_that_leave_and_people_who_sign_in_are_found() {
        let classes = |kind| facets(&Event::new(kind, Actor::System)).classes;
        assert_eq!(classes(Kind::KeyExported), [Class::Keys]);
        assert_eq!((classes(Kind::Login), classes(Kind::Logout)), (vec![Class::Queries], vec![Class::Queries]));
    }

    #[test]
    fn classes_have_letters_and_names_of_their_own() {
        let letters: BTreeSet<u8> = Class::ALL.iter().map(|class| class.letter()).collect();
        assert_eq!(letters.len(), Class::ALL.len());
        assert!(Class::ALL.iter().all(|class| Class::from_name(class.as_str()) == Some(*class)));
    }
}
