//! The documentation keeps its word: every test that a page's tables name is in the sources, in the file that is said.
//!
//! A table whose last column is headed `test` names in it, in backticks, files (`tests/e2e/test_x.py`, also without its folders), and behind
//! a file and a colon, or alone, functions.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Rust and Python sources, by their path below the package.
struct Sources(BTreeMap<String, String>);

impl Sources {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = BTreeMap::new();
        let mut ahead: Vec<PathBuf> = ["src", "tests"].iter().map(|folder| root.join(folder)).collect();
        while let Some(folder) = ahead.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    ahead.push(path);
                } else if path.extension().is_some_and(|end| end == "rs" || end == "py") {
                    let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                    found.insert(name, fs::read_to_string(&path).unwrap());
                }
            }
        }
        Self(found)
    }

    /// The files that are called so, or lie in a folder that is.
    fn called<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let is_it = move |path: &str| {
            let folder = name.ends_with('/') && path.starts_with(name);
            folder || path == name || path.strip_suffix(name).is_some_and(|before| before.ends_with('/'))
        };
        self.0.iter().filter(move |(path, _)| is_it(path)).map(|(path, text)| (path.as_str(), text.as_str()))
    }

    fn has_test(&self, name: &str, file: Option<&str>) -> bool {
        let defined = [format!("fn {name}("), format!("def {name}("), format!("    {name}:"), format!("mod {name}")];
        let holds = |text: &str| defined.iter().any(|start| text.contains(start));
        match file {
            Some(file) => self.called(file).any(|(path, text)| holds(text) || self.beside(path).any(holds)),
            None => self.0.values().any(|text| holds(text)),
        }
    }

    /// The modules of a file: `src/x.rs` has those in `src/x/`.
    fn beside<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let folder = path.strip_suffix(".rs").map(|stem| format!("{}/", stem.strip_suffix("/mod").unwrap_or(stem)));
        let within = move |other: &str| folder.as_ref().is_some_and(|folder| other.starts_with(folder.as_str()));
        self.0.iter().filter(move |(other, _)| within(other)).map(|(_, text)| text.as_str())
    }
}

/// The last cells of the tables that are headed `test`, with their line numbers.
fn named_in(page: &str) -> Vec<(usize, String)> {
    let (mut inside, mut found) = (false, Vec::new());
    for (number, line) in page.lines().enumerate() {
        let Some(row) = line.trim().strip_prefix('|').and_then(|row| row.strip_suffix('|')) else {
            inside = false;
            continue;
        };
        // A bar that is escaped is none.
        let row = row.replace("\\|", "\u{0}");
        let last = row.rsplit('|').next().unwrap_or_default().trim().to_owned();
        match last.as_str() {
            "test" => inside = true,
            rule if !rule.is_empty() && rule.chars().all(|c| c == '-') => {}
            _ if inside => found.push((number + 1, last)),
            _ => {}
        }
    }
    found
}

/// What stands in backticks, each with whether a colon came right before it.
fn quoted(cell: &str) -> Vec<(&str, bool)> {
    let pieces: Vec<&str> = cell.split('`').collect();
    pieces.chunks_exact(2).map(|pair| (pair[1], pair[0].trim_end().ends_with(':'))).collect()
}

fn is_function(text: &str) -> bool {
    text.contains('_') && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn faults(page: &str, sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for (line, cell) in named_in(page) {
        let quoted = quoted(&cell);
        if quoted.is_empty() && cell != "the same" {
            faults.push(format!("{line}: no test is named: {cell}"));
        }
        let mut file = None;
        for (text, of_file) in quoted {
            if is_function(text) {
                // Those after the first, with a comma, may be of the same file or not.
                let wanted = if of_file { file } else { None };
                if !sources.has_test(text, wanted) {
                    faults.push(format!("{line}: there is no `{text}` in {}", wanted.unwrap_or("the sources")));
                }
            } else if text.contains('.') || text.ends_with('/') {
                file = Some(text);
                if sources.called(text).next().is_none() {
                    faults.push(format!("{line}: there is no file `{text}`"));
                }
            } else if !sources.0.values().any(|source| source.contains(text)) {
                faults.push(format!("{line}: nothing in the sources is called `{text}`"));
            }
        }
    }
    faults
}

#[test]
fn every_test_that_a_page_names_is_there() {
    let sources = Sources::read();
    let mut all = Vec::new();
    let mut cells = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "md") {
            let page = fs::read_to_string(&path).unwrap();
            cells += named_in(&page).len();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            all.extend(faults(&page, &sources).into_iter().map(|fault| format!("docs/{name}:{fault}")));
        }
    }
    assert!(cells > 50, "the tables were not found: {cells} rows");
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn a_test_that_is_not_there_is_found() {
    let sources = Sources::read();
    let page =
        |cell: &str| format!("| attack | what stops it | test |\n|---|---|---|\n| a | b \\| c | {cell} |\n\nafter | it |\n");
    for right in [
        "`tests/docs.rs`: `a_test_that_is_not_there_is_found`",
        "`every_test_that_a_page_names_is_there`",
        "`docs.rs`",
        "`tests/e2e/`",
        "the same",
    ] {
        assert_eq!(faults(&page(right), &sources), Vec::<String>::new());
    }
    let unheard = ["no", "such", "test"].join("_");
    for wrong in [
        format!("`{unheard}`"),
        format!("`tests/architecture.rs`: `{}`", "a_test_that_is_not_there_is_found"),
        "`tests/nothing.rs`".to_owned(),
        String::new(),
        "none".to_owned(),
    ] {
        assert_eq!(faults(&page(&wrong), &sources).len(), 1, "{wrong}");
    }
}
