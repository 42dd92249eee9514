//! `domicile subject import`: any number of subjects from a file, in constant memory.
//!
//! Lines go to the gateway a batch at a time; after each the import keeps how far it has come beside the file, so that a later one can go on
//! there. Bad lines are reported, written to a file of their own to be corrected, and passed over.

use std::{
    collections::{BTreeSet, VecDeque},
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
    time::Instant,
};

use serde_json::{Value, json};

use super::{
    lines::{Format, Line, Lines},
    state::{Kept, State},
    warn,
};
use crate::{
    cli::{
        Failure, Output,
        args::SubjectImportArgs,
        client::{Client, encode},
        output::text,
        progress::Bar,
    },
    recovery::Progress,
};

/// Lines that go in one request, at the most.
const BATCH: usize = 1000;
/// Bytes that go in one request, at the most.
const BATCH_BYTES: usize = 8 << 20;
/// Bad lines that are told one by one; a file of bad lines takes all.
const MOST_TOLD: usize = 1000;

/// Imports a file, or what is left of it.
pub(in crate::cli) fn import(args: &SubjectImportArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let is_stdin = args.file == Path::new("-");
    let format = args.format.unwrap_or_else(|| by_name(&args.file));
    if let Some(bad) = args.bad.as_deref().filter(|bad| is_same_file(bad, &args.file)) {
        let message = format!("`{}` is what is imported: name another file for the bad lines", bad.display());
        return Err(Failure::Usage(message));
    }
    let source: Box<dyn Read> = if is_stdin { Box::new(io::stdin()) } else { Box::new(open(&args.file)?) };
    let mut kept = if is_stdin || args.dry_run { None } else { Some(Kept::of(&args.file)?) };
    let state = begin(args, kept.as_mut(), out)?;
    let total = std::fs::metadata(&args.file).ok().map(|file| file.len()).filter(|_| !is_stdin);
    let mut lines = Lines::begin(source, format)?;
    let bad = args.bad.as_deref().map(|path| bad_lines(path, state.line > 0, &lines.head())).transpose()?;
    let client = Client::new(&args.remote)?;
    let work = Work {
        client,
        path: path(args),
        state,
        kept,
        bad,
        told: Vec::new(),
        unasked: BTreeSet::new(),
        bar: Bar::new(),
        began: Instant::now(),
    };
    work.run(&mut lines, total, args.dry_run, out)
}

/// What an earlier import left to do.
fn begin(args: &SubjectImportArgs, kept: Option<&mut Kept>, out: &mut Output<'_>) -> Result<State, Failure> {
    let (gateway, effective, reason) = (args.remote.url.clone(), args.effective.clone(), args.reason.clone());
    let fresh = State { gateway, effective, reason, ..State::default() };
    let Some(kept) = kept else {
        let none = "only an import of a file can be resumed, and no dry run";
        return if args.resume { Err(Failure::Usage(none.to_owned())) } else { Ok(fresh) };
    };
    match kept.read()? {
        Some(state) if args.resume => {
            if (&state.gateway, &state.effective, &state.reason) != (&fresh.gateway, &fresh.effective, &fresh.reason) {
                let message =
                    "the import was begun with another gateway, day or reason: resume it with these, or import from the start";
                return Err(Failure::Usage(message.to_owned()));
            }
            kept.resume(&state)?;
            out.line(format!("going on behind line {}", state.line))?;
            Ok(state)
        }
        Some(state) => {
            out.line(format!("an earlier import of this file stopped behind line {}; --resume goes on there", state.line))?;
            Ok(fresh)
        }
        None => {
            if args.resume {
                out.line("no import of this file was broken off: it begins at the first line")?;
            }
            Ok(fresh)
        }
    }
}

struct Work {
    client: Client,
    path: String,
    state: State,
    kept: Option<Kept>,
    bad: Option<File>,
    /// Bad lines, for machines.
    told: Vec<Value>,
    /// Attributes for which no policy in force asks.
    unasked: BTreeSet<String>,
    bar: Bar,
    began: Instant,
}

impl Work {
    fn run<R: Read>(
        mut self,
        lines: &mut Lines<R>,
        total: Option<u64>,
        dry_run: bool,
        out: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let from = self.state.bytes;
        self.bar.begin("importing", total);
        self.bar.advance(from);
        let mut waiting = VecDeque::new();
        let (mut bytes, mut done) = (0, 0);
        let stopped = loop {
            let next = match lines.next() {
                Ok(next) => next,
                Err(failure) => break Some((self.state.line + 1, failure)),
            };
            let ends = next.is_none();
            if let Some(line) = next.filter(|line| line.end > from) {
                bytes += line.raw.len();
                waiting.push_back(line);
            }
            if !waiting.is_empty() && (ends || waiting.len() == BATCH || bytes >= BATCH_BYTES) {
                done += waiting.len() as u64;
                if let Err(stopped) = self.send(std::mem::take(&mut waiting), out)? {
                    break Some(stopped);
                }
                bytes = 0;
                let rate = done * 1000 / u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
                self.bar.name(format!("{} lines, {rate} lines/s", self.state.line));
            }
            if ends {
                break None;
            }
        };
        self.bar.finish();
        self.end(stopped, dry_run, out)
    }

    /// Sends lines and takes in what became of them. What stops the import comes with its line.
    fn send(&mut self, batch: VecDeque<Line>, out: &mut Output<'_>) -> Result<Result<(), (u64, Failure)>, Failure> {
        let good: Vec<&Line> = batch.iter().filter(|line| line.sent.is_ok()).collect();
        let body = good.iter().filter_map(|line| line.sent.as_deref().ok()).collect::<Vec<_>>().join(&b'\n');
        let (answer, failure) = match good.is_empty() {
            true => (Value::Null, None),
            false => match self.client.lines(&self.path, body.into()) {
                Ok(answer) => (answer, None),
                Err((failure, problem)) => (problem, Some(failure)),
            },
        };
        let nth = |value: &Value| value.as_u64().and_then(|line| usize::try_from(line).ok()?.checked_sub(1));
        // Where it stopped; everything, when nothing says so.
        let stopped = failure.map(|failure| {
            (nth(&answer["line"]).and_then(|at| good.get(at)).or(good.first()).map_or(0, |line| line.number), failure)
        });
        let before = stopped.as_ref().map_or(u64::MAX, |(line, _)| *line);
        let mut bad: Vec<(&Line, &str)> = Vec::new();
        for error in answer["errors"].as_array().into_iter().flatten() {
            if let Some(line) = nth(&error["line"]).and_then(|at| good.get(at)) {
                bad.push((line, error["message"].as_str().unwrap_or_default()));
            }
        }
        bad.extend(batch.iter().filter_map(|line| Some((line, line.sent.as_ref().err()?.as_str()))));
        // What follows where it stopped is sent again, and told then.
        bad.retain(|(line, _)| line.number < before);
        bad.sort_by_key(|(line, _)| line.number);
        for (line, why) in &bad {
            self.refuse(line, why, out)?;
        }
        self.state.failed += bad.len() as u64;
        self.unasked.extend(answer["unasked"].as_array().into_iter().flatten().map(text));
        self.state.imported += answer["imported"].as_u64().unwrap_or(0);
        self.state.unchanged += answer["unchanged"].as_u64().unwrap_or(0);
        if let Some(last) = batch.iter().rfind(|line| line.number < before) {
            self.bar.advance(last.end - self.state.bytes);
            (self.state.bytes, self.state.line) = (last.end, last.number);
        }
        if let Some(kept) = &mut self.kept {
            kept.keep(&mut self.state)?;
        }
        Ok(stopped.map_or(Ok(()), Err))
    }

    fn refuse(&mut self, line: &Line, why: &str, out: &mut Output<'_>) -> Result<(), Failure> {
        if self.told.len() < MOST_TOLD {
            out.line(format!("line {}: {why}", line.number))?;
            self.told.push(json!({ "line": line.number, "message": why }));
        }
        match &mut self.bad {
            Some(bad) => Ok(bad.write_all(&line.raw)?),
            None => Ok(()),
        }
    }

    fn end(self, stopped: Option<(u64, Failure)>, dry_run: bool, out: &mut Output<'_>) -> Result<(), Failure> {
        let Self { state: State { imported, unchanged, failed, .. }, kept, told, unasked, .. } = self;
        let line = stopped.as_ref().map(|(line, _)| line);
        out.value(&json!({
            "imported": imported, "unchanged": unchanged, "failed": failed, "errors": told, "stopped": line, "dry_run": dry_run,
            "unasked": unasked,
        }))?;
        let word = if dry_run { "would be set" } else { "set" };
        out.line(format!("{imported} subjects {word}, {unchanged} unchanged, {failed} lines refused"))?;
        warn(unasked.into_iter(), out)?;
        match stopped {
            Some((line, failure)) => {
                let how = if kept.is_some() { "--resume goes on there" } else { "import it again from there" };
                out.line(format!("stopped at line {line} of the file: {how}"))?;
                Err(failure)
            }
            None => {
                kept.map_or(Ok(()), |kept| kept.forget())?;
                if failed > 0 { Err(Failure::Check(format!("{failed} lines were refused"))) } else { Ok(()) }
            }
        }
    }
}

fn path(args: &SubjectImportArgs) -> String {
    let said = [("effective", &args.effective), ("reason", &args.reason)];
    let said = said.into_iter().filter_map(|(name, value)| Some(format!("&{name}={}", encode(value.as_deref()?))));
    format!("/v1/subjects:import?dry-run={}{}", args.dry_run, said.collect::<String>())
}

fn by_name(file: &Path) -> Format {
    let is_csv = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    if is_csv { Format::Csv } else { Format::Ndjson }
}

fn open(file: &Path) -> Result<File, Failure> {
    File::open(file).map_err(|error| Failure::Usage(format!("cannot read `{}`: {error}", file.display())))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// The file of bad lines: that of the import that is resumed, or a new one.
fn bad_lines(path: &Path, resume: bool, head: &[u8]) -> Result<File, Failure> {
    let failed = |error: io::Error| Failure::Usage(format!("cannot write `{}`: {error}", path.display()));
    let mut options = OpenOptions::new();
    let options = if resume { options.append(true) } else { options.write(true).truncate(true) };
    let mut file = options.create(true).open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() == 0 {
        file.write_all(head).map_err(failed)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        net::TcpListener,
        sync::mpsc,
        thread,
    };

    use super::*;
    use crate::cli::args::RemoteArgs;

    /// Answers one request after the other as told; returns its address and what it is sent.
    fn gateway(answers: Vec<(&'static str, Value)>) -> (String, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, bodies) = mpsc::channel();
        thread::spawn(move || {
            for (status, answer) in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut length = 0;
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                sender.send(String::from_utf8(body).unwrap()).unwrap();
                let answer = answer.to_string();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
                (&stream).write_all([head.as_bytes(), answer.as_bytes()].concat().as_slice()).unwrap();
            }
        });
        (format!("http://{address}"), bodies)
    }

    fn args(file: &Path, url: &str) -> SubjectImportArgs {
        SubjectImportArgs {
            file: file.to_owned(),
            format: None,
            effective: None,
            reason: None,
            dry_run: false,
            resume: false,
            bad: Some(file.with_extension("bad")),
            remote: RemoteArgs { url: url.to_owned(), token: Some("token".to_owned()), ..RemoteArgs::default() },
        }
    }

    fn run(args: &SubjectImportArgs) -> (Result<(), Failure>, Value) {
        let mut printed = Vec::new();
        let result = import(args, &mut Output::new(&mut printed, true));
        (result, serde_json::from_slice(&printed).unwrap_or_default())
    }

    #[test]
    fn an_import_that_stops_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people.csv");
        let rows: String = (0..BATCH + 100).map(|number| format!("u-{number},PK\n")).collect();
        std::fs::write(&file, format!("subject,residence\n{rows}one field too,many,here\n")).unwrap();
        let bad = json!([{ "line": 7, "message": "bad" }]);
        let later = json!([{ "line": 3, "message": "bad" }, { "line": 30, "message": "behind" }]);
        let (url, bodies) = gateway(vec![
            ("200 OK", json!({ "imported": 900, "unchanged": 99, "failed": 1, "errors": bad })),
            (
                "503 Service Unavailable",
                json!({ "detail": "busy", "line": 20, "imported": 18, "unchanged": 0, "failed": 1, "errors": later }),
            ),
            ("200 OK", json!({ "imported": 81, "unchanged": 0, "failed": 0, "errors": [] })),
        ]);
        let first = args(&file, &url);
        let (stopped, said) = run(&first);
        let failure = stopped.unwrap_err();
        assert_eq!((failure.exit_code(), failure.to_string()), (3, "busy".to_owned()));
        assert_eq!([&said["imported"], &said["failed"], &said["stopped"]], [&json!(918), &json!(2), &json!(1021)]);
        assert_eq!([&said["errors"][0]["line"], &said["errors"][1]["line"]], [&json!(8), &json!(1004)]);
        assert_eq!(bodies.recv().unwrap().lines().count(), BATCH);
        assert_eq!(bodies.recv().unwrap().lines().count(), 100);

        let again = SubjectImportArgs { resume: true, ..first.clone() };
        let other = SubjectImportArgs { effective: Some("2026-01-01".to_owned()), ..again.clone() };
        assert!(matches!(run(&other).0, Err(Failure::Usage(_))));
        let (done, said) = run(&again);
        assert!(matches!(done, Err(Failure::Check(_))), "the last line has too many fields");
        assert_eq!([&said["imported"], &said["failed"], &said["unchanged"]], [&json!(999), &json!(3), &json!(99)]);
        let sent = bodies.recv().unwrap();
        assert_eq!((sent.lines().count(), sent.contains("u-1019"), sent.contains("u-1018\"")), (81, true, false));
        let written = std::fs::read_to_string(first.bad.as_ref().unwrap()).unwrap();
        assert_eq!(written, "subject,residence\nu-6,PK\nu-1002,PK\none field too,many,here\n");
        assert!(!folder.path().join("people.csv.import-state").exists());
    }

    #[test]
    fn nothing_is_sent_of_what_cannot_be_read_and_nothing_kept_of_a_dry_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people");
        std::fs::write(&file, format!("{}\n{{\"id\":\"a\",\"attributes\":{{}}}}\n", "x".repeat(70_000))).unwrap();
        let (url, bodies) = gateway(vec![("200 OK", json!({ "imported": 1, "unchanged": 0, "failed": 0, "errors": [] }))]);
        let dry = SubjectImportArgs { dry_run: true, reason: Some("a b".to_owned()), ..args(&file, &url) };
        assert_eq!(path(&dry), "/v1/subjects:import?dry-run=true&reason=a%20b");
        let (done, said) = run(&dry);
        assert!(matches!(done, Err(Failure::Check(_))));
        assert_eq!([&said["imported"], &said["failed"], &said["dry_run"]], [&json!(1), &json!(1), &json!(true)]);
        assert_eq!(bodies.recv().unwrap(), "{\"id\":\"a\",\"attributes\":{}}");
        assert!(!folder.path().join("people.import-state").exists());
    }
}
