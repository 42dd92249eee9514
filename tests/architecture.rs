//! The shape of the source tree: which module may name which, which crate is named where, and how large a file may be.
//!
//! The sources are read as text. Code under `#[cfg(test)]` may name what it likes.
#![expect(clippy::panic, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
};

#[path = "architecture/scan.rs"]
mod scan;

// ---------------------------------------------------------------------------------------------------------------- the rules

/// Modules that all others may name; between themselves only what [`MODULES`] says.
const COMMON: &str = "types digest clock telemetry diagnostics";

/// Each module, and the modules that it may name besides [`COMMON`] ones. The order is that of the layers: no row names a later one.
const MODULES: &[(&str, &str)] = &[
    ("types", ""),
    ("diagnostics", ""),
    ("digest", "types"),
    ("clock", "types"),
    ("telemetry", "types"),
    ("server", ""),
    ("policy", "types digest diagnostics"),
    ("authn", ""),
    ("access", "types authn"),
    ("bucket", "types access"),
    ("outbound", ""),
    ("kms", "outbound"),
    ("audit", ""),
    ("residency", "authn policy"),
    ("seal", "kms residency"),
    ("backend", "residency seal"),
    ("index", "access bucket audit kms policy residency backend"),
    ("objects", "authn access bucket policy kms audit residency seal backend index"),
    ("jobs", "index objects"),
    ("relocation", "authn access bucket policy kms audit residency seal backend index objects jobs"),
    ("import", "authn access bucket policy kms audit residency seal backend index objects jobs"),
    ("rotation", "authn access bucket policy kms audit residency seal backend index objects jobs"),
    ("scrub", "authn access bucket policy kms audit residency seal backend index objects jobs"),
    ("recovery", "authn access bucket policy kms audit residency seal backend index objects"),
    ("unseal", "kms seal backend index objects"),
    ("lifecycle", "authn access bucket policy kms audit residency seal backend index objects"),
    ("erasure", "authn access bucket policy kms audit residency seal backend index objects"),
    ("notary", "audit index outbound"),
    ("orders", "authn access bucket policy kms audit residency seal backend index objects"),
    ("s3", "authn access bucket objects"),
    (
        "admin",
        "authn access bucket policy outbound kms audit residency seal backend index objects jobs relocation rotation import scrub recovery lifecycle erasure orders",
    ),
    ("console", "authn policy audit index jobs relocation scrub admin"),
    (
        "config",
        "authn access bucket policy kms audit residency seal backend index objects lifecycle erasure scrub notary s3 admin server",
    ),
    (
        "app",
        "authn access bucket policy kms audit residency seal backend index objects jobs relocation rotation import scrub recovery lifecycle erasure notary s3 admin console server config",
    ),
    (
        "cli",
        "authn access bucket policy kms audit residency seal backend index objects recovery unseal s3 admin server config app",
    ),
    ("main", "app cli"),
];

/// Modules that name no common module but those of their row: what decides is pure, and what all stand on stands on little.
const STRICT: &str = "types diagnostics digest clock telemetry policy access bucket";

/// Edges that the layers do not give, each with what it is for.
const BEYOND: &[(&str, &str, &str)] = &[
    ("backend", "kms", "a site's marker is sealed under a key of the site's country"),
    ("index", "seal", "a record's row holds the names and wrapped keys of its blobs"),
    ("s3", "index", "answers are written from the catalogue's records and pages, which `objects` hands through"),
    ("s3", "residency", "refusals have an S3 code each"),
    ("s3", "audit", "a refused request is recorded before it is answered"),
];

/// Third-party crates that hold a decision of the design, and the modules in which they may be named.
const CRATES: &[(&str, &str)] = &[
    ("sled", "index"),
    ("aws_sdk_s3", "backend cli"),
    ("aws_sdk_kms", "kms"),
    ("cryptoki", "kms"),
    ("aws_smithy_http_client", "backend kms cli"),
    ("aws_smithy_types", "backend cli"),
    ("aws_smithy_runtime_api", "backend cli"),
    ("aws_credential_types", "backend cli"),
    ("hyper", "s3 admin server backend outbound kms cli"),
    ("hyper_util", "s3 admin server backend outbound kms cli"),
    ("axum", "admin console"),
    ("askama", "console"),
    ("rustls", "server backend outbound kms cli"),
    ("tokio_rustls", "server backend outbound kms cli"),
    ("ring", "authn kms seal audit digest"),
    ("aes", "seal"),
    ("ctr", "seal"),
    ("age", "kms"),
];

/// Crates named beyond [`CRATES`], each with what it is for.
const CRATES_BEYOND: &[(&str, &str, &str)] = &[
    ("index", "ring", "values are sealed under the index key, which no blob's format knows"),
    ("app", "hyper", "each listener's connections are joined with the service that answers on them"),
    ("app", "hyper_util", "each listener's connections are joined with the service that answers on them"),
];

const MOST_LINES: usize = 500;

const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

// ---------------------------------------------------------------------------------------------------------------- the tests

#[test]
fn modules_name_only_what_the_layers_allow() {
    let found: Vec<Finding> = production_sources().iter().flat_map(edges_not_allowed).collect();
    report(&found);
}

#[test]
fn crates_are_named_only_in_their_modules() {
    let found: Vec<Finding> = production_sources().iter().flat_map(crates_not_allowed).collect();
    report(&found);
}

#[test]
fn files_are_of_a_size_to_read() {
    let found: Vec<Finding> = sources().iter().filter_map(too_long).collect();
    report(&found);
}

#[test]
fn every_module_says_what_it_is_for() {
    let found: Vec<Finding> = sources().iter().filter_map(no_purpose).collect();
    report(&found);
}

#[test]
fn nothing_is_left_unfinished() {
    let found: Vec<Finding> = production_sources().iter().flat_map(unfinished).collect();
    report(&found);
}

/// Were the table to allow a circle, the layers would be none.
#[test]
fn the_layers_are_layers() {
    let order: BTreeMap<&str, usize> = MODULES.iter().enumerate().map(|(place, (module, _))| (*module, place)).collect();
    let rows = MODULES.iter().flat_map(|(module, names)| names.split_whitespace().map(move |name| (*module, name)));
    for (module, name) in rows.chain(BEYOND.iter().map(|(module, name, _)| (*module, *name))) {
        assert!(order[name] < order[module], "`{module}` may name `{name}`, which stands above it");
    }
    for name in COMMON.split_whitespace().chain(STRICT.split_whitespace()) {
        assert!(order.contains_key(name), "`{name}` has no row");
    }
}

#[test]
fn a_forbidden_edge_is_found_however_it_is_spelt() {
    let found =
        |text: &str| edges_not_allowed(&Source::fixture("src/seal/blob.rs", text)).iter().map(Finding::to_string).collect();
    let edge = |line| vec![format!("src/seal/blob.rs:{line}: `seal` must not name `backend`")];
    let cases: [(&str, Vec<String>); 14] = [
        ("use crate::backend::Site;", edge(1)),
        ("use crate::{kms::{Dek, SecretKey}, backend};", edge(1)),
        ("use crate::{\n    types::Country,\n    backend::{Site, Sites as Many},\n};", edge(3)),
        ("fn f() { let site: Vec<crate::backend::Site> = Vec::new(); }", edge(1)),
        ("use super::super::backend::Site;", edge(1)),
        ("macro_rules! m { () => { $crate::backend::Site } }", edge(1)),
        ("#[serde(with = \"crate::backend::codec\")]", edge(1)),
        ("#[cfg(not(test))]\nuse crate::backend::Site;", edge(2)),
        ("#[cfg(test)]\nuse crate::backend::{Site};\nuse crate::backend::Sites;", edge(3)),
        ("const Q: char = '\"';\nuse crate::backend::Site;\nconst R: char = '\"';", edge(2)),
        ("// crate::backend\n/* use crate::backend::Site; /* */ */ const S: &str = \"use crate::backend::Site\";", vec![]),
        ("#[cfg(test)]\nmod tests {\n    use crate::backend::Site;\n}", vec![]),
        ("#[cfg(any(test, feature = \"test-util\"))]\nimpl Blob { fn f() { crate::backend::f() } }", vec![]),
        ("pub(crate) use crate::{kms::Dek, residency::Placement, types::Country};\nuse super::backend;", vec![]),
    ];
    for (text, expected) in cases {
        let found: Vec<String> = found(text);
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn strict_modules_may_not_name_every_common_one() {
    let found = edges_not_allowed(&Source::fixture("src/policy/set.rs", "use crate::{clock::Clock, digest::sha256, authn::X};"));
    let found: Vec<String> = found.iter().map(Finding::to_string).collect();
    assert_eq!(found, ["authn", "clock"].map(|name| format!("src/policy/set.rs:1: `policy` must not name `{name}`")));
}

#[test]
fn an_unknown_module_is_found() {
    let found = edges_not_allowed(&Source::fixture("src/cache/mod.rs", "use crate::types::Country;"));
    assert!(found[0].to_string().contains("`cache` has no row"), "{}", found[0]);
}

#[test]
fn a_forbidden_crate_is_found_however_it_is_spelt() {
    for text in ["use sled;", "use ::sled::Db;", "use {bytes::Bytes, sled::Db};", "fn f(db: sled::Db) {}", "extern crate sled;"] {
        assert_eq!(crates_not_allowed(&Source::fixture("src/objects/put.rs", text)).len(), 1, "{text}");
        assert_eq!(crates_not_allowed(&Source::fixture("src/index/engine/sled.rs", text)).len(), 0, "{text}");
    }
    for text in ["use self::sled::Engine;", "use crate::index::sled::Engine;", "rustls_pki_types::Der", "let sled = 1; f(sled)"] {
        assert_eq!(crates_not_allowed(&Source::fixture("src/objects/put.rs", text)).len(), 0, "{text}");
    }
}

#[test]
fn other_faults_are_found() {
    let long = "\n".repeat(MOST_LINES + 1);
    assert!(too_long(&Source::fixture("src/a.rs", &long)).is_some());
    assert!(no_purpose(&Source::fixture("src/a/mod.rs", "use x::y;")).is_some());
    assert_eq!(unfinished(&Source::fixture("src/a.rs", "fn f() {\n    todo!()\n}\n#[cfg(test)]\nfn g() { dbg!(1) }")).len(), 1);
}

// -------------------------------------------------------------------------------------------------------------- the checking

/// One source file, by its path from the root of the repository.
struct Source {
    path: PathBuf,
    text: String,
}

/// A fault, and where it is.
struct Finding {
    path: PathBuf,
    line: usize,
    fault: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.fault)
    }
}

impl Source {
    fn fixture(path: &str, text: &str) -> Self {
        Self { path: PathBuf::from(path), text: text.to_owned() }
    }

    fn finding(&self, line: usize, fault: String) -> Finding {
        Finding { path: self.path.clone(), line, fault }
    }

    /// The module path of the file: `src/seal/blob.rs` is `[seal, blob]`, `src/seal/mod.rs` is `[seal]`.
    fn module_path(&self) -> Vec<String> {
        let below = self.path.strip_prefix("src").unwrap_or(&self.path).with_extension("");
        let mut segments: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if segments.len() > 1 {
            segments.pop_if(|last| last == "mod");
        }
        segments
    }

    fn module(&self) -> String {
        self.module_path().swap_remove(0)
    }
}

/// The edges out of a file that no rule allows.
fn edges_not_allowed(source: &Source) -> Vec<Finding> {
    let module = source.module();
    if module == "lib" {
        return Vec::new();
    }
    let Some((_, names)) = MODULES.iter().find(|(name, _)| *name == module) else {
        return vec![source.finding(1, format!("`{module}` has no row in the table of modules"))];
    };
    let is_in = |list: &str, name: &str| list.split_whitespace().any(|entry| entry == name);
    let allowed = |name: &str| {
        name == module
            || is_in(names, name)
            || (is_in(COMMON, name) && !is_in(STRICT, &module))
            || BEYOND.iter().any(|(from, to, _)| *from == module && *to == name)
    };
    let depth = source.module_path().len();
    let named: BTreeSet<(usize, String)> = scan::named_paths(&source.text)
        .into_iter()
        .filter_map(|path| Some((path.line, from_the_root(&path.segments, depth)?.to_owned())))
        .collect();
    named
        .into_iter()
        .filter(|(_, name)| !allowed(name))
        .map(|(line, name)| source.finding(line, format!("`{module}` must not name `{name}`")))
        .collect()
}

/// The module that a path begins with when it begins at the crate's root, in a file `depth` modules below it.
fn from_the_root(segments: &[String], depth: usize) -> Option<&str> {
    let segments = if segments.first().is_some_and(|first| first == "self") { &segments[1..] } else { segments };
    let root = match segments.first()?.as_str() {
        "crate" | "domicile" => 1,
        "super" => segments.iter().take_while(|segment| *segment == "super").count(),
        _ => return None,
    };
    if segments[0] == "super" && root != depth {
        return None;
    }
    segments.get(root).map(String::as_str)
}

/// The crates that a file names and may not.
fn crates_not_allowed(source: &Source) -> Vec<Finding> {
    let module = source.module();
    scan::named_paths(&source.text)
        .into_iter()
        .filter_map(|path| {
            let (name, modules) = CRATES.iter().find(|(name, _)| path.segments.first().is_some_and(|first| first == name))?;
            let allowed = modules.split_whitespace().any(|entry| entry == module)
                || CRATES_BEYOND.iter().any(|(from, to, _)| *from == module && to == name);
            (!allowed).then(|| source.finding(path.line, format!("`{module}` must not name the crate `{name}`")))
        })
        .collect()
}

fn too_long(source: &Source) -> Option<Finding> {
    let lines = source.text.lines().count();
    (lines > MOST_LINES).then(|| source.finding(lines, format!("{lines} lines; look for the second concept past {MOST_LINES}")))
}

fn no_purpose(source: &Source) -> Option<Finding> {
    let is_root = source.path.file_name().is_some_and(|name| name == "mod.rs" || name == "lib.rs" || name == "main.rs");
    (is_root && !source.text.starts_with("//!"))
        .then(|| source.finding(1, "does not begin with `//!` and its purpose".to_owned()))
}

fn unfinished(source: &Source) -> Vec<Finding> {
    scan::macro_calls(&source.text, UNFINISHED)
        .into_iter()
        .map(|(line, name)| source.finding(line, format!("`{name}!` is left in")))
        .collect()
}

// --------------------------------------------------------------------------------------------------------------- the sources

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(&root.join("src"), root, &mut found);
    assert!(found.len() > 20, "the sources were not found under {}", root.display());
    found
}

fn collect(folder: &Path, root: &Path, found: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, root, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            found.push(Source { path: path.strip_prefix(root).unwrap_or(&path).to_owned(), text });
        }
    }
}

/// The sources less the files of modules that are declared under `#[cfg(test)]`.
fn production_sources() -> Vec<Source> {
    let mut all = sources();
    let tests: Vec<Vec<String>> = all
        .iter()
        .flat_map(|source| {
            let parent = match source.module_path() {
                root if root == ["lib"] || root == ["main"] => Vec::new(),
                path => path,
            };
            scan::test_modules(&source.text).into_iter().map(move |name| [parent.clone(), vec![name]].concat())
        })
        .collect();
    all.retain(|source| {
        let path = source.module_path();
        !tests.iter().any(|test| path.starts_with(test))
    });
    all
}

/// Fails the test with every finding, one a line.
fn report(found: &[Finding]) {
    let lines: Vec<String> = found.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "{} found:\n{}", lines.len(), lines.join("\n"));
}
