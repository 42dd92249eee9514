//! Which sets of patterns can fit one name together, and a name for each.
//!
//! Every pattern is a small automaton over characters. Run side by side over all names of a kind, breadth first, they visit every set of
//! patterns that some name fits, by a shortest such name. Nothing is guessed: a set that is not visited cannot occur. Patterns that tangle
//! (`*a*b*` by the dozen) can take more states than are looked at; then the answer says that it is not complete.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

use crate::types::{BucketName, ObjectKey, PrincipalId};

/// More states than this are not visited. Five hundred plain patterns take a few thousand.
const MAX_STATES: usize = 1 << 14;

/// One step of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// This character.
    Is(char),
    /// Any run of characters, also none.
    Run,
    /// Any run of characters other than `/`, also none.
    RunInSegment,
}

/// A pattern: its steps, one after the other, to the end of the name.
pub(super) type Pattern = Vec<Step>;

/// The names that patterns are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Buckets,
    Principals,
    Keys,
}

/// Names of one kind, one for every set of patterns that a name can fit.
#[derive(Debug)]
pub(super) struct Witnesses {
    /// A shortest name and the places of the patterns that it fits, in order.
    pub(super) found: Vec<(String, Vec<usize>)>,
    /// Whether these are all.
    pub(super) complete: bool,
}

impl Names {
    /// A name for every set of `patterns` that some name fits; the empty set first, if there is a name that fits none.
    pub(super) fn witnesses(self, patterns: &[Pattern]) -> Witnesses {
        // What is reserved is told apart like any pattern, so that a name is not given up because its shortest kin is none.
        let reserved: &[&str] = if self == Self::Buckets { &["xn--*", "*-s3alias"] } else { &[] };
        let asked = patterns.len();
        let patterns = &[patterns, &reserved.iter().map(|text| glob(text)).collect::<Vec<_>>()].concat();
        let alphabet = self.alphabet(patterns);
        let start = State { at: closed(patterns, (0..patterns.len()).map(|pattern| (pattern, 0))), shape: Shape::default() };
        let mut seen: HashMap<Rc<State>, usize> = HashMap::new();
        // Each state with the state and the character it was first reached by: the way back is the name.
        let mut visited: Vec<(Rc<State>, usize, char)> = Vec::new();
        let start = Rc::new(start);
        seen.insert(Rc::clone(&start), 0);
        visited.push((start, 0, '\0'));
        let mut found: BTreeMap<Vec<usize>, String> = BTreeMap::new();
        let mut next = 0;
        while let Some((state, ..)) = visited.get(next) {
            let state = Rc::clone(state);
            let fits = state.fits(patterns);
            if !found.contains_key(&fits) && fits.iter().all(|pattern| *pattern < asked) {
                let name = spelled(&visited, next);
                if self.is_valid(&name) {
                    found.insert(fits, name);
                }
            }
            for &character in &alphabet {
                let Some(shape) = self.after(state.shape, character) else { continue };
                let reached = Rc::new(State { at: state.after(patterns, character), shape });
                if !seen.contains_key(&reached) {
                    if visited.len() >= MAX_STATES {
                        return Witnesses { found: listed(found), complete: false };
                    }
                    seen.insert(Rc::clone(&reached), visited.len());
                    visited.push((reached, next, character));
                }
            }
            next += 1;
        }
        Witnesses { found: listed(found), complete: true }
    }

    /// Every character that a pattern tells from others, and one that stands for all the rest.
    fn alphabet(self, patterns: &[Pattern]) -> Vec<char> {
        let told: BTreeSet<char> = patterns
            .iter()
            .flatten()
            .filter_map(|step| match step {
                Step::Is(character) => Some(*character),
                Step::Run | Step::RunInSegment => None,
            })
            .collect();
        // The rest are all alike, but that those which matter to the kind of name are always told apart.
        let matter: &[char] = match self {
            Self::Buckets => &['-', '.'],
            Self::Principals => &[],
            Self::Keys => &['/'],
        };
        let others = ['-', '_', '.'].into_iter().chain((0x21..).map_while(char::from_u32));
        let rest = ('a'..='z')
            .chain('0'..='9')
            .chain('A'..='Z')
            .chain(others.take_while(|other| self == Self::Keys || other.is_ascii()));
        let rest = rest.into_iter().find(|other| !told.contains(other) && self.after(Shape::default(), *other).is_some());
        let all = rest.into_iter().chain(told.iter().copied()).chain(matter.iter().copied().filter(|c| !told.contains(c)));
        all.collect()
    }

    /// What the name looks like with one more character; `None` when no name of the kind begins like that.
    fn after(self, shape: Shape, character: char) -> Option<Shape> {
        match self {
            Self::Keys => Some(Shape { length: 1, ..Shape::default() }),
            Self::Principals => {
                let allowed = character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
                allowed.then_some(Shape { length: 1, ..Shape::default() })
            }
            Self::Buckets => {
                let allowed = character.is_ascii_lowercase() || character.is_ascii_digit() || matches!(character, '-' | '.');
                let next = Shape {
                    length: shape.length.saturating_add(1).min(3),
                    last: Some(Last::of(character)),
                    worded: shape.worded || character.is_ascii_lowercase() || character == '-',
                };
                let begins = shape.length > 0 || next.last == Some(Last::Alphanumeric);
                let two_dots = shape.last == Some(Last::Dot) && next.last == Some(Last::Dot);
                (allowed && begins && !two_dots).then_some(next)
            }
        }
    }

    pub(super) fn is_valid(self, name: &str) -> bool {
        match self {
            Self::Buckets => BucketName::new(name).is_ok(),
            Self::Principals => PrincipalId::new(name).is_ok(),
            Self::Keys => ObjectKey::new(name).is_ok(),
        }
    }
}

/// What of a name so far decides which characters may follow and whether it may end, apart from what [`Names::is_valid`] asks of the whole.
/// Names are never cut short by their greatest length: the shortest is looked at first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Shape {
    /// Up to three, of keys and principals up to one: a name is not empty.
    length: u8,
    last: Option<Last>,
    /// Whether it has more than digits and dots, as an IP address has not.
    worded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Last {
    Alphanumeric,
    Dash,
    Dot,
}

impl Last {
    const fn of(character: char) -> Self {
        match character {
            '-' => Self::Dash,
            '.' => Self::Dot,
            _ => Self::Alphanumeric,
        }
    }
}

/// Where all patterns are after some characters.
#[derive(Debug, PartialEq, Eq, Hash)]
struct State {
    /// Patterns and the steps they can be before, in order. A pattern that no longer fits is not there.
    at: Vec<(usize, usize)>,
    shape: Shape,
}

impl State {
    fn after(&self, patterns: &[Pattern], character: char) -> Vec<(usize, usize)> {
        let moved = self.at.iter().filter_map(|&(pattern, at)| match patterns.get(pattern)?.get(at)? {
            Step::Is(wanted) => (*wanted == character).then_some((pattern, at + 1)),
            Step::Run => Some((pattern, at)),
            Step::RunInSegment => (character != '/').then_some((pattern, at)),
        });
        closed(patterns, moved)
    }

    /// The patterns that fit when the name ends here.
    fn fits(&self, patterns: &[Pattern]) -> Vec<usize> {
        let ended = self.at.iter().filter(|(pattern, at)| patterns.get(*pattern).is_some_and(|steps| steps.len() == *at));
        ended.map(|(pattern, _)| *pattern).collect()
    }
}

/// The places and all that can be reached from them without a character: a run may be empty.
fn closed(patterns: &[Pattern], places: impl Iterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for (pattern, mut at) in places {
        all.push((pattern, at));
        while let Some(Step::Run | Step::RunInSegment) = patterns.get(pattern).and_then(|steps| steps.get(at)) {
            at += 1;
            all.push((pattern, at));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn spelled(visited: &[(Rc<State>, usize, char)], mut at: usize) -> String {
    let mut characters = Vec::new();
    while at != 0 {
        let Some((_, before, character)) = visited.get(at) else { break };
        characters.push(*character);
        at = *before;
    }
    characters.iter().rev().collect()
}

fn listed(found: BTreeMap<Vec<usize>, String>) -> Vec<(String, Vec<usize>)> {
    found.into_iter().map(|(fits, name)| (name, fits)).collect()
}

/// The steps of a pattern in which `*` stands for any run of characters.
pub(super) fn glob(text: &str) -> Pattern {
    text.chars().map(|character| if character == '*' { Step::Run } else { Step::Is(character) }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::policy::Glob;

    fn sets(names: Names, patterns: &[&str]) -> Vec<(String, Vec<usize>)> {
        let witnesses = names.witnesses(&patterns.iter().map(|text| glob(text)).collect::<Vec<_>>());
        assert!(witnesses.complete);
        witnesses.found
    }

    #[test]
    fn every_set_of_patterns_has_a_shortest_name() {
        let found = sets(Names::Buckets, &["media-*", "*-x", "media-x"]);
        let fits: Vec<Vec<usize>> = found.iter().map(|(_, fits)| fits.clone()).collect();
        assert_eq!(fits, [vec![], vec![0], vec![0, 1], vec![0, 1, 2], vec![1]]);
        assert_eq!(found[3].0, "media-x");
        assert_eq!(found[4].0.len(), 3, "{found:?}");
    }

    #[test]
    fn names_that_cannot_be_are_not_found() {
        for never in ["Media-*", "a..*", "*..b", "-*", "*-", "xn--*", "10.0.0.1", "a b", &"x".repeat(64)] {
            assert_eq!(sets(Names::Buckets, &[never]).len(), 1, "{never}");
        }
        for can in ["10.0.0.*", "10.0.0.*1", "ab*", "*.b", "xn*--a", &"x".repeat(63), "10.0.0.256"] {
            assert_eq!(sets(Names::Buckets, &[can]).len(), 2, "{can}");
        }
        // Everything fits `*`, so nothing fits no pattern.
        assert_eq!(sets(Names::Principals, &["*"]).len(), 1);
        assert_eq!(sets(Names::Principals, &["a/b"]).len(), 1);
        assert_eq!(sets(Names::Keys, &["a/b", "گ*"]).len(), 3);
    }

    #[test]
    fn tangled_patterns_end_in_an_honest_answer() {
        let letters: Vec<char> = ('a'..='r').collect();
        let tangled: Vec<Pattern> = letters.iter().map(|one| glob(&format!("*{one}*{one}*{one}*"))).collect();
        let witnesses = Names::Keys.witnesses(&tangled);
        assert!(!witnesses.complete);
        assert!(!witnesses.found.is_empty());
    }

    #[test]
    fn hundreds_of_plain_patterns_are_nothing() {
        let plain: Vec<Pattern> = (0..500).map(|at| glob(&format!("tenant-{at}-*"))).collect();
        let witnesses = Names::Buckets.witnesses(&plain);
        assert!(witnesses.complete);
        assert_eq!(witnesses.found.len(), 501);
    }

    proptest! {
        /// Against all principals of up to five characters, which is long enough for every set that these short patterns can make.
        #[test]
        fn the_sets_are_those_of_brute_force(patterns in vec("[ab*]{1,3}", 1..4)) {
            let globs: Vec<Glob> = patterns.iter().map(|text| text.parse().unwrap()).collect();
            let mut names = vec![String::new()];
            let mut all: BTreeSet<Vec<usize>> = BTreeSet::new();
            for _ in 0..6 {
                names = names.iter().flat_map(|name| ["a", "b", "c"].map(|letter| format!("{name}{letter}"))).collect();
                let fits = |name: &String| (0..globs.len()).filter(|at| globs[*at].matches(name)).collect::<Vec<_>>();
                all.extend(names.iter().map(fits));
            }
            let found = sets(Names::Principals, &patterns.iter().map(String::as_str).collect::<Vec<_>>());
            for (name, fits) in &found {
                prop_assert_eq!(fits.clone(), (0..globs.len()).filter(|at| globs[*at].matches(name)).collect::<Vec<_>>());
            }
            prop_assert_eq!(found.into_iter().map(|(_, fits)| fits).collect::<BTreeSet<_>>(), all);
        }
    }
}
