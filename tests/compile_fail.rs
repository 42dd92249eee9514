//! What must not compile: each stage of a write asks for the proof that the stage before it minted, and no other crate can make one.
//!
//! Each file under `tests/compile_fail` is compiled against the library; its first line says what the compiler must answer. One of
//! them, the control, must compile, so that none of the others fails for want of the library.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

#[test]
fn proofs_are_not_made_by_hand() {
    let library = library();
    let out = tempfile::tempdir().unwrap();
    let mut faults = Vec::new();
    let cases = cases();
    assert!(cases.len() > 5, "the cases were not found");
    for case in cases {
        let text = fs::read_to_string(&case).unwrap();
        let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (said, compiled) = compile(&case, &library, out.path());
        match text.lines().next().and_then(|line| line.strip_prefix("// ")?.split_once(": ")) {
            Some(("compiles", _)) if !compiled => faults.push(format!("{name} does not compile:\n{said}")),
            Some(("compiles", _)) => {}
            Some(_) if compiled => faults.push(format!("{name} compiles")),
            Some((code, message)) if !(said.contains(&format!("error[{code}]")) && said.contains(message)) => {
                faults.push(format!("{name} fails, but not with {code} and `{message}`:\n{said}"));
            }
            Some(_) if said.matches("error[").count() != 1 => faults.push(format!("{name} has other faults too:\n{said}")),
            Some(_) => {}
            None => faults.push(format!("{name} does not begin with `// CODE: message`")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.iter().any(|case| case.ends_with("control.rs")), "there is no control");
    cases
}

/// What the compiler says, and whether it was content.
fn compile(case: &Path, library: &Path, out: &Path) -> (String, bool) {
    let deps = library.parent().unwrap_or(library);
    let done = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--color", "never"])
        .arg("--out-dir")
        .arg(out)
        .arg("--extern")
        .arg(format!("domicile={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .arg(case)
        .output()
        .unwrap_or_else(|error| panic!("the compiler cannot be run: {error}"));
    (String::from_utf8_lossy(&done.stderr).into_owned(), done.status.success())
}

/// The library that this test was built with: the newest beside it.
fn library() -> PathBuf {
    let test = env::current_exe().unwrap();
    let deps = test.parent().unwrap_or(&test);
    let is_library = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "rlib")
            && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libdomicile-"))
    };
    let built = |path: &PathBuf| fs::metadata(path).and_then(|facts| facts.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    fs::read_dir(deps)
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_library)
        .max_by_key(built)
        .unwrap_or_else(|| panic!("no libdomicile-*.rlib in {}", deps.display()))
}
