//! Text in which `*` stands for any run of characters, `?` for any one, and `${…}` for a fact of the request.

use std::borrow::Cow;

/// A pattern of the policy language, read once and matched often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// These characters.
    Text(Box<str>),
    /// `?`
    One,
    /// `*`
    Any,
    /// `${name}` or `${name, 'default'}`.
    Variable { name: Box<str>, default: Option<Box<str>> },
}

/// A `${` that is not closed or names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadVariable;

impl Pattern {
    /// Reads `*` and `?` as wildcards and `${…}` as variables, if the policy's version has variables.
    pub(super) fn read(text: &str, variables: bool) -> Result<Self, BadVariable> {
        Self::scan(text, true, variables)
    }

    /// Reads `${…}` as variables; `*` and `?` are themselves.
    pub(super) fn read_exact(text: &str, variables: bool) -> Result<Self, BadVariable> {
        Self::scan(text, false, variables)
    }

    fn scan(text: &str, wildcards: bool, variables: bool) -> Result<Self, BadVariable> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if variables && let Some(inner) = rest.strip_prefix("${") {
                let (variable, after) = inner.split_once('}').ok_or(BadVariable)?;
                rest = after;
                match variable {
                    "*" | "?" | "$" => plain.push_str(variable),
                    _ => {
                        flush(&mut plain, &mut pieces);
                        pieces.push(read_variable(variable)?);
                    }
                }
                continue;
            }
            rest = &rest[next.len_utf8()..];
            match next {
                '*' if wildcards => {
                    flush(&mut plain, &mut pieces);
                    if pieces.last() != Some(&Piece::Any) {
                        pieces.push(Piece::Any);
                    }
                }
                '?' if wildcards => {
                    flush(&mut plain, &mut pieces);
                    pieces.push(Piece::One);
                }
                other => plain.push(other),
            }
        }
        flush(&mut plain, &mut pieces);
        Ok(Self { pieces })
    }

    /// Whether matching it could take long: more than a bucket and a key have characters, or many `?`.
    pub(super) fn is_costly(&self) -> bool {
        let length = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::One | Piece::Any | Piece::Variable { .. } => 1,
        };
        let ones = self.pieces.iter().filter(|piece| **piece == Piece::One).count();
        ones > 64 || self.pieces.iter().map(length).sum::<usize>() > 1152
    }

    /// Whether it has neither wildcard nor variable.
    pub(super) fn is_fixed(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// What every text that it covers begins with.
    pub(super) fn start(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// The pattern in lower case, for comparisons that ignore case.
    pub(super) fn to_lowercase(&self) -> Self {
        let lower = |piece: &Piece| match piece {
            Piece::Text(text) => Piece::Text(text.to_lowercase().into()),
            other => other.clone(),
        };
        Self { pieces: self.pieces.iter().map(lower).collect() }
    }

    /// The names of its variables.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable { name, .. } => Some(&**name),
            _ => None,
        })
    }

    /// The pattern with every variable replaced by what `look_up` says, whose `*` and `?` are only themselves. `None` when a
    /// variable has neither value nor default.
    pub(super) fn resolve(&self, look_up: &dyn Fn(&str) -> Option<String>) -> Option<Cow<'_, Self>> {
        if self.variables().next().is_none() {
            return Some(Cow::Borrowed(self));
        }
        let mut pieces = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            pieces.push(match piece {
                Piece::Variable { name, default } => Piece::Text(look_up(name).map(Into::into).or_else(|| default.clone())?),
                other => other.clone(),
            });
        }
        Some(Cow::Owned(Self { pieces }))
    }

    /// Whether it covers all of `text`. A variable that was not resolved covers nothing.
    ///
    /// Takes the first place for each run between two `*`, since a later one never helps, so that nothing is tried twice: time is
    /// linear in the text for patterns without `?`, and at the worst text × longest run with `?`.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut runs = self.pieces.split(|piece| *piece == Piece::Any).peekable();
        let Some(first) = runs.next() else { return text.is_empty() };
        let Some(mut rest) = run_at_start(first, text) else { return false };
        while let Some(run) = runs.next() {
            if runs.peek().is_none() {
                return run_at_end(run, rest);
            }
            match run_anywhere(run, rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        rest.is_empty()
    }

    /// Whether some text that begins with `prefix` and is longer is covered, whatever variables stand for.
    pub(super) fn may_match_beyond(&self, prefix: &str) -> bool {
        let mut states = Positions::new(self);
        for character in prefix.chars() {
            states.step(character);
        }
        states.goes_on()
    }

    /// Whether `text` is covered, if variables stand for what suits.
    pub(super) fn may_match(&self, text: &str) -> bool {
        let mut states = Positions::new(self);
        for character in text.chars() {
            states.step(character);
        }
        states.accepts()
    }
}

fn flush(plain: &mut String, pieces: &mut Vec<Piece>) {
    if !plain.is_empty() {
        pieces.push(Piece::Text(std::mem::take(plain).into()));
    }
}

fn read_variable(text: &str) -> Result<Piece, BadVariable> {
    let (name, default) = match text.split_once(',') {
        None => (text.trim(), None),
        Some((name, default)) => {
            let default = default.trim().strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).ok_or(BadVariable)?;
            (name.trim(), Some(default.into()))
        }
    };
    if name.is_empty() {
        return Err(BadVariable);
    }
    Ok(Piece::Variable { name: name.into(), default })
}

/// What follows the run, if `text` begins with it.
fn run_at_start<'t>(run: &[Piece], text: &'t str) -> Option<&'t str> {
    run.iter().try_fold(text, |rest, piece| match piece {
        Piece::Text(literal) => rest.strip_prefix(&**literal),
        Piece::One => Some(rest.get(rest.chars().next()?.len_utf8()..).unwrap_or("")),
        Piece::Any | Piece::Variable { .. } => None,
    })
}

/// Whether `text` ends with the run.
fn run_at_end(run: &[Piece], text: &str) -> bool {
    let rest = run.iter().rev().try_fold(text, |rest, piece| match piece {
        Piece::Text(literal) => rest.strip_suffix(&**literal),
        Piece::One => rest.chars().next_back().and_then(|last| rest.get(..rest.len() - last.len_utf8())),
        Piece::Any | Piece::Variable { .. } => None,
    });
    rest.is_some()
}

/// What follows the first place at which `text` has the run.
fn run_anywhere<'t>(run: &[Piece], text: &'t str) -> Option<&'t str> {
    if let [Piece::Text(literal)] = run {
        return text.find(&**literal).and_then(|at| text.get(at + literal.len()..));
    }
    let places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    places.filter_map(|at| text.get(at..)).find_map(|rest| run_at_start(run, rest))
}

/// Every place in a pattern that some reading of a text can have come to, with variables read as `*`.
struct Positions {
    /// The pattern's characters; `None` is `*`.
    steps: Vec<Step>,
    at: Vec<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Exactly(char),
    One,
    Any,
}

impl Positions {
    fn new(pattern: &Pattern) -> Self {
        let mut steps = Vec::new();
        for piece in &pattern.pieces {
            match piece {
                Piece::Text(text) => steps.extend(text.chars().map(Step::Exactly)),
                Piece::One => steps.push(Step::One),
                Piece::Any | Piece::Variable { .. } => steps.push(Step::Any),
            }
        }
        let mut at = vec![false; steps.len() + 1];
        at[0] = true;
        let mut positions = Self { steps, at };
        positions.pass_stars();
        positions
    }

    fn step(&mut self, character: char) {
        let mut next = vec![false; self.at.len()];
        for (place, step) in self.steps.iter().enumerate().filter(|(place, _)| self.at[*place]) {
            match step {
                Step::Any => next[place] = true,
                Step::One => next[place + 1] = true,
                Step::Exactly(wanted) if *wanted == character => next[place + 1] = true,
                Step::Exactly(_) => {}
            }
        }
        self.at = next;
        self.pass_stars();
    }

    fn pass_stars(&mut self) {
        for (place, step) in self.steps.iter().enumerate() {
            if self.at[place] && *step == Step::Any {
                self.at[place + 1] = true;
            }
        }
    }

    fn accepts(&self) -> bool {
        self.at.last().is_some_and(|end| *end)
    }

    /// Whether more text can follow: from any place but the end something more can be read.
    fn goes_on(&self) -> bool {
        self.at.split_last().is_some_and(|(_, before)| before.contains(&true))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::read(text, true).unwrap()
    }

    /// The definition, tried in every way.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|at| naive(rest, &text[at..])),
            Some(('?', rest)) => !text.is_empty() && naive(rest, &text[1..]),
            Some((wanted, rest)) => text.first() == Some(wanted) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn matches_as_defined(wild in "[ab*?ü]{0,9}", text in "[abü]{0,12}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = naive(&chars(&wild), &chars(&text));
            prop_assert_eq!(pattern(&wild).matches(&text), expected);
            prop_assert_eq!(pattern(&wild).may_match(&text), expected);
        }

        #[test]
        fn goes_beyond_a_prefix_if_some_longer_text_matches(wild in "[ab*?]{0,6}", prefix in "[ab]{0,4}", more in "[ab]{1,4}") {
            if pattern(&wild).matches(&format!("{prefix}{more}")) {
                prop_assert!(pattern(&wild).may_match_beyond(&prefix));
            }
        }

        #[test]
        fn any_text_can_be_read(text in ".{0,40}") {
            for read in [Pattern::read(&text, true), Pattern::read_exact(&text, false)].into_iter().flatten() {
                let _ = (read.matches(&text), read.may_match(&text), read.may_match_beyond(&text));
            }
            prop_assert!(Pattern::read_exact(&text, false).unwrap().matches(&text));
        }
    }

    #[test]
    fn variables_are_replaced_and_their_stars_are_stars() {
        let name = |value: &'static str| move |name: &str| (name == "aws:username").then(|| value.to_owned());
        let home = pattern("home/${aws:username}/*");
        assert!(home.resolve(&name("feed")).unwrap().matches("home/feed/x"));
        assert!(!home.resolve(&name("*")).unwrap().matches("home/feed/x"));
        assert!(!home.matches("home//x"), "unresolved");
        assert!(home.resolve(&|_| None).is_none());
        assert!(pattern("${aws:username, 'nobody'}").resolve(&|_| None).unwrap().matches("nobody"));
        assert!(pattern("a${*}b${?}${$}").matches("a*b?$") && !pattern("a${*}b").matches("axb"));
        assert!(Pattern::read("${aws:username}", false).unwrap().matches("${aws:username}"));
        for wrong in ["${", "${}", "${a, b}", "x${aws:username"] {
            assert_eq!(Pattern::read(wrong, true), Err(BadVariable), "{wrong}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_others() {
        let text = "a".repeat(1024);
        assert!(!pattern(&"*a".repeat(5000)).matches(&text));
        assert!(!pattern(&format!("{}b", "a*".repeat(500))).matches(&text));
    }
}
