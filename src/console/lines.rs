//! What two sets of files say differently, line by line.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use similar::{Algorithm, ChangeTag, TextDiff};

/// Lines that are shown, at the most.
const MOST: usize = 3000;
/// Said of a last line that does not end.
const NO_END: &str = " (no line end)";
/// Lines around each change.
const AROUND: usize = 3;
/// After so long what is left is shown as taken out and put in as a whole: right, and longer than it had to be.
const TIME: Duration = Duration::from_secs(2);

/// The files that differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// In the order of their paths.
    pub(super) files: Vec<FileChange>,
    /// Lines that are left out, as there are too many.
    pub(super) left_out: usize,
}

/// One file that differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileChange {
    pub(super) path: String,
    /// What became of it: a word, and the look of it.
    pub(super) what: (&'static str, &'static str),
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) hunks: Vec<Hunk>,
}

/// Lines next to each other of which some differ.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    /// Where they are in both, as unified diffs say it.
    pub(super) place: String,
    pub(super) lines: Vec<Line>,
}

/// One line with the sign before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// In both.
    Same(String),
    /// In the second alone.
    Added(String),
    /// In the first alone.
    Removed(String),
}

/// Compares files by their paths.
pub(super) fn changes(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Changes {
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    let deadline = Instant::now() + TIME;
    let (mut found, mut room) = (Changes::default(), MOST);
    for path in paths {
        let (old, new) = (before.get(path), after.get(path));
        if old == new {
            continue;
        }
        let what = match (old, new) {
            (None, _) => ("Added", "ok"),
            (_, None) => ("Removed", "warn"),
            _ => ("Changed", "quiet"),
        };
        let mut file = FileChange { path: path.clone(), what, added: 0, removed: 0, hunks: Vec::new() };
        let empty = String::new();
        let texts = (old.unwrap_or(&empty).as_str(), new.unwrap_or(&empty).as_str());
        found.left_out += file.fill(texts, deadline, &mut room);
        found.files.push(file);
    }
    found
}

impl FileChange {
    /// Takes as many lines as there is `room` for. Answers with how many it left out.
    fn fill(&mut self, (old, new): (&str, &str), deadline: Instant, room: &mut usize) -> usize {
        let diff = TextDiff::configure().algorithm(Algorithm::Patience).deadline(deadline).diff_lines(old, new);
        let mut left_out = 0;
        for hunk in diff.unified_diff().context_radius(AROUND).iter_hunks() {
            let mut lines = Vec::new();
            for change in hunk.iter_changes() {
                let (value, end) = change.value().strip_suffix('\n').map_or((change.value(), NO_END), |line| (line, ""));
                let text = legible(value) + end;
                let line = match change.tag() {
                    ChangeTag::Equal => Line::Same(text),
                    ChangeTag::Insert => Line::Added(text),
                    ChangeTag::Delete => Line::Removed(text),
                };
                self.added += usize::from(matches!(line, Line::Added(_)));
                self.removed += usize::from(matches!(line, Line::Removed(_)));
                if *room == 0 {
                    left_out += 1;
                    continue;
                }
                *room -= 1;
                lines.push(line);
            }
            if !lines.is_empty() {
                self.hunks.push(Hunk { place: hunk.header().to_string(), lines });
            }
        }
        left_out
    }
}

/// Text as whoever approves it must see it: what has no look of its own, or makes other letters change places, is written out, so that no text
/// looks like another.
pub(super) fn legible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\t' | '\n' => seen.push(letter),
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' => {
                seen.extend(letter.escape_unicode())
            }
            '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e01ef}' => {
                seen.extend(letter.escape_unicode())
            }
            letter if letter.is_control() => seen.extend(letter.escape_unicode()),
            letter => seen.push(letter),
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn files_are_compared_line_by_line() {
        let before = files(&[("a", "1\n2\n3\n4\n5\n6\n7\n8\n9\n"), ("gone", "x\n"), ("same", "y\n")]);
        let after = files(&[("a", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n"), ("new", "z"), ("same", "y\n")]);
        let Changes { files, left_out } = changes(&before, &after);
        let seen: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.what.0, file.added, file.removed)).collect();
        assert_eq!(seen, [("a", "Changed", 1, 1), ("gone", "Removed", 0, 1), ("new", "Added", 1, 0)]);
        assert_eq!(files[0].hunks[0].place, "@@ -2,7 +2,7 @@");
        let same = |text: &str| Line::Same(text.to_owned());
        let changed = [Line::Removed("5".to_owned()), Line::Added("five".to_owned())];
        let lines = [same("2"), same("3"), same("4")].into_iter().chain(changed).chain([same("6"), same("7"), same("8")]);
        assert_eq!(files[0].hunks[0].lines, lines.collect::<Vec<_>>());
        assert_eq!(files[2].hunks[0].lines, [Line::Added("z (no line end)".to_owned())]);
        assert_eq!(left_out, 0);
        assert_eq!(changes(&before, &before), Changes::default());
    }

    #[test]
    fn no_text_looks_like_another() {
        assert_eq!(legible("[\"PK\"] # عید \u{202e}]\"GS\"[\r\n\t1"), "[\"PK\"] # عید \\u{202e}]\"GS\"[\\u{d}\n\t1");
        assert_eq!(legible("a\u{200b}b\u{feff}"), "a\\u{200b}b\\u{feff}");
        assert_eq!(legible("P\u{ad}K\u{61c}\u{2028}\u{fe0f}\u{e0041}"), "P\\u{ad}K\\u{61c}\\u{2028}\\u{fe0f}\\u{e0041}");
        // Letters of Urdu and Persian are joined and parted by these.
        assert_eq!(legible("می\u{200c}خواهم"), "می\u{200c}خواهم");
    }

    #[test]
    fn what_is_too_long_is_counted() {
        let text = |word: &str| (0..MOST).map(|line| format!("{word} {line}\n")).collect::<String>();
        let found = changes(&files(&[("a", &text("old"))]), &files(&[("a", &text("new"))]));
        assert_eq!((found.files[0].added, found.files[0].removed, found.left_out), (MOST, MOST, MOST));
        assert_eq!(found.files[0].hunks.iter().map(|hunk| hunk.lines.len()).sum::<usize>(), MOST);
    }
}
