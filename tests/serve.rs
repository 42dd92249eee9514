//! What `domicile serve` prints, read by a program.

#![expect(clippy::unwrap_used, reason = "a test program")]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Output, Stdio},
};

fn domicile(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_domicile"));
    command.current_dir(folder).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn check(config: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("domicile.toml"), config).unwrap();
    domicile(folder.path()).args(["serve", "--check"]).output().unwrap()
}

#[test]
fn the_process_is_private_and_log_lines_that_go_to_no_terminal_have_no_colours() {
    let folder = tempfile::tempdir().unwrap();
    let anywhere = "127.0.0.1:0";
    let mut process =
        domicile(folder.path()).args(["serve", "--data-dir", "data", "--s3", anywhere, "--admin", anywhere]).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("serving") && lines.read_line(&mut log).unwrap() > 0 {}
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    assert!(status.contains("Umask:\t0077"), "{status}");
    process.kill().unwrap();
    process.wait().unwrap();
    lines.read_to_string(&mut log).unwrap();
    assert!(log.contains("INFO serving") && !log.contains('\u{1b}'), "{log:?}");
}

#[test]
fn mistakes_are_counted_in_words_and_quoted() {
    let site = "version = 1\n[[key]]\nid = \"pk\"\ncountry = \"PK\"\nprovider = \"keyring\"\n\
                [[site]]\nid = \"pk-khi\"\ncountry = \"PK\"\nkey = \"pk\"\nbackend = \"fs\"\npath = \"sites\"\n";
    let one = check(&format!("{site}[s3]\nlisten = \"localhost:9000\"\n"));
    let (out, error) = (String::from_utf8_lossy(&one.stdout), String::from_utf8_lossy(&one.stderr));
    assert!(out.contains("13:10: error: `listen` cannot be `localhost:9000`") && out.contains("127.0.0.1:9000"), "{out}");
    assert!(error.contains("`domicile.toml` has a mistake"), "{error}");
    let error = check(&format!("{site}colour = 1\n[s3]\nlisten = \"9000\"\n")).stderr;
    assert!(String::from_utf8_lossy(&error).contains("has 2 mistakes"));
}
