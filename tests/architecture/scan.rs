//! Reads Rust source as text: which paths it names, on which line. Comments, string literals and test code name nothing.

/// A path as the source spells it, grouped imports expanded: `use crate::{a::B, c}` gives `crate::a::B` and `crate::c`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Colons,
    Mark(char),
    Text(String),
}

#[derive(Debug, Clone)]
struct Placed {
    token: Token,
    line: usize,
}

/// Every path of two segments or more that the code outside `#[cfg(test)]` items names, and every `use` and
/// `extern crate` of one.
pub(crate) fn named_paths(source: &str) -> Vec<NamedPath> {
    let tokens = without_tests(tokens(source));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].token {
            Token::Word(word) if word == "use" => {
                at = use_tree(&tokens, at + 1, &mut Vec::new(), &mut found);
            }
            Token::Text(text) if text.starts_with("crate::") => {
                // `#[serde(with = "crate::…")]` is a path in a literal.
                found
                    .extend(named_paths(&format!("{text};")).into_iter().map(|path| NamedPath { line: tokens[at].line, ..path }));
                at += 1;
            }
            Token::Word(word) => {
                let is_extern_crate = word == "crate" && at > 0 && tokens[at - 1].token == Token::Word("extern".to_owned());
                let (path, next) = plain_path(&tokens, if is_extern_crate { at + 1 } else { at });
                if is_extern_crate || path.segments.len() > 1 {
                    found.push(path);
                }
                at = next;
            }
            _ => at += 1,
        }
    }
    found
}

/// The names of the modules that the source declares as `#[cfg(test)] mod name;`, each in a file of its own.
pub(crate) fn test_modules(source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let mut names = Vec::new();
    for at in 0..tokens.len() {
        let Some(mut next) = test_attribute(&tokens, at) else { continue };
        while next < tokens.len() && tokens[next].token == Token::Mark('#') {
            next = closing(&tokens, next + 1) + 1;
        }
        if let [Token::Word(keyword), Token::Word(name), Token::Mark(';')] =
            [next, next + 1, next + 2].map(|at| tokens.get(at).map_or(Token::Colons, |placed| placed.token.clone()))
            && keyword == "mod"
        {
            names.push(name);
        }
    }
    names
}

/// The lines on which a macro of one of these names is called outside `#[cfg(test)]` items.
pub(crate) fn macro_calls(source: &str, names: &[&str]) -> Vec<(usize, String)> {
    let tokens = without_tests(tokens(source));
    tokens
        .windows(2)
        .filter_map(|pair| match (&pair[0].token, &pair[1].token) {
            (Token::Word(word), Token::Mark('!')) if names.contains(&word.as_str()) => Some((pair[0].line, word.clone())),
            _ => None,
        })
        .collect()
}

/// Reads `a::b::c` from `at`; stops before a turbofish.
fn plain_path(tokens: &[Placed], mut at: usize) -> (NamedPath, usize) {
    let line = tokens[at].line;
    let mut segments = Vec::new();
    while let Some(Token::Word(word)) = tokens.get(at).map(|placed| &placed.token) {
        segments.push(word.clone());
        at += 1;
        if tokens.get(at).is_none_or(|placed| placed.token != Token::Colons) {
            break;
        }
        at += 1;
    }
    (NamedPath { segments, line }, at)
}

/// Reads one tree of a `use` from `at`, under `prefix`; gives the place after it.
fn use_tree(tokens: &[Placed], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<NamedPath>) -> usize {
    let depth = prefix.len();
    let line = tokens.get(at).map_or(0, |placed| placed.line);
    let mut group = false;
    while let Some(placed) = tokens.get(at) {
        match &placed.token {
            Token::Colons => {}
            Token::Mark('*') => prefix.push("*".to_owned()),
            Token::Word(word) if word == "as" => at += 1,
            Token::Word(word) => prefix.push(word.clone()),
            Token::Mark('{') => {
                group = true;
                at += 1;
                while tokens.get(at).is_some_and(|placed| placed.token != Token::Mark('}')) {
                    at = use_tree(tokens, at, prefix, found);
                    if tokens.get(at).is_some_and(|placed| placed.token == Token::Mark(',')) {
                        at += 1;
                    }
                }
            }
            _ => break,
        }
        at += 1;
    }
    if !group && prefix.len() > depth {
        found.push(NamedPath { segments: prefix.clone(), line });
    }
    prefix.truncate(depth);
    at
}

/// The tokens less every item that an attribute `#[cfg(test)]` (or `any(test, …)`, `all(test, …)`) stands before.
fn without_tests(tokens: Vec<Placed>) -> Vec<Placed> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        match test_attribute(&tokens, at) {
            Some(item) => at = end_of_item(&tokens, item),
            None => {
                kept.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    kept
}

/// Where the item begins whose attribute for tests begins at `at`.
fn test_attribute(tokens: &[Placed], at: usize) -> Option<usize> {
    let word = |at: usize, wanted: &str| matches!(tokens.get(at).map(|p| &p.token), Some(Token::Word(word)) if word == wanted);
    let mark = |at: usize, wanted: char| tokens.get(at).is_some_and(|placed| placed.token == Token::Mark(wanted));
    if !(mark(at, '#') && mark(at + 1, '[') && word(at + 2, "cfg")) {
        return None;
    }
    let end = closing(tokens, at + 1);
    let names_test = (at..end).any(|at| word(at, "test") && !(at >= 2 && word(at - 2, "not")));
    names_test.then_some(end + 1)
}

/// The place after the item that begins at `at`: behind its `;`, its `}` or its `,`.
fn end_of_item(tokens: &[Placed], mut at: usize) -> usize {
    while let Some(placed) = tokens.get(at) {
        match placed.token {
            Token::Mark('(' | '[') => at = closing(tokens, at) + 1,
            Token::Mark('{') => {
                at = closing(tokens, at) + 1;
                // `use a::{b, c};`
                return if tokens.get(at).is_some_and(|placed| placed.token == Token::Mark(';')) { at + 1 } else { at };
            }
            Token::Mark(';' | ',') => return at + 1,
            Token::Mark('}') => return at,
            _ => at += 1,
        }
    }
    at
}

/// Where the bracket that opens at `at` is closed.
fn closing(tokens: &[Placed], at: usize) -> usize {
    let mut depth = 0_usize;
    for (place, placed) in tokens.iter().enumerate().skip(at) {
        match placed.token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return place;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Words, `::`, single marks and string literals; comments, character literals and lifetimes are left out.
fn tokens(source: &str) -> Vec<Placed> {
    let text: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let rest = &text[at..];
        let (token, length) = match rest {
            ['/', '/', ..] => (None, rest.iter().position(|&c| c == '\n').unwrap_or(rest.len())),
            ['/', '*', ..] => (None, block_comment(rest)),
            ['b' | 'c', '"', ..] => string(rest, 2),
            ['"', ..] => string(rest, 1),
            ['r', '"' | '#', ..] if raw_string(rest, 1).is_some() => (None, raw_string(rest, 1).unwrap_or(1)),
            ['b' | 'c', 'r', '"' | '#', ..] if raw_string(rest, 2).is_some() => (None, raw_string(rest, 2).unwrap_or(1)),
            ['b', '\'', ..] => (None, 1 + character(&rest[1..])),
            ['\'', ..] => (None, character(rest)),
            [':', ':', ..] => (Some(Token::Colons), 2),
            [first, ..] if first.is_alphanumeric() || *first == '_' => {
                let length = rest.iter().position(|c| !c.is_alphanumeric() && *c != '_').unwrap_or(rest.len());
                (Some(Token::Word(rest[..length].iter().collect())), length)
            }
            [first, ..] if first.is_whitespace() => (None, 1),
            [first, ..] => (Some(Token::Mark(*first)), 1),
            [] => (None, 1),
        };
        tokens.extend(token.map(|token| Placed { token, line }));
        line += rest[..length.min(rest.len())].iter().filter(|&&c| c == '\n').count();
        at += length;
    }
    tokens
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] if depth == 1 => return at + 2,
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn string(rest: &[char], opening: usize) -> (Option<Token>, usize) {
    let mut at = opening;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    let end = at.min(rest.len());
    (Some(Token::Text(rest[opening..end].iter().collect())), at + 1)
}

fn raw_string(rest: &[char], prefix: usize) -> Option<usize> {
    let hashes = rest[prefix..].iter().take_while(|&&c| c == '#').count();
    let body = prefix + hashes + 1;
    if rest.get(body - 1) != Some(&'"') {
        return None;
    }
    let ends = |at: &usize| rest[*at] == '"' && rest[at + 1..].iter().take_while(|&&c| c == '#').count() >= hashes;
    Some((body..rest.len()).find(ends).map_or(rest.len(), |at| at + 1 + hashes))
}

/// The length of a character literal, or of the mark that begins a lifetime.
fn character(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', ..] => rest.iter().skip(3).position(|&c| c == '\'').map_or(rest.len(), |at| at + 4),
        ['\'', _, '\'', ..] => 3,
        _ => 1,
    }
}
