//! `domicile subject set | get | import`.

use std::{collections::BTreeMap, io::Read, path::Path};

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure, Output,
    args::RemoteArgs,
    client::{Client, encode},
    output::text,
};

/// Lines that go in one request, at the most.
const BATCH: usize = 10_000;
/// Bytes that go in one request, at the most; the gateway takes 32 MiB.
const BATCH_BYTES: usize = 8 << 20;

/// Replaces what is known of a subject.
pub(super) fn set(id: &str, attributes: &[(String, String)], remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let attributes: BTreeMap<_, _> = attributes.iter().cloned().collect();
    let body = json!({ "attributes": attributes });
    let answer = Client::new(remote)?.json(Method::PUT, &format!("/v1/subjects/{}", encode(id)), Some(&body))?;
    show(&answer, out)
}

/// Shows what is known of a subject.
pub(super) fn get(id: &str, remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    show(&Client::new(remote)?.get(&format!("/v1/subjects/{}", encode(id)))?, out)
}

/// Sets many subjects from lines of JSON, a batch at a time. Bad lines are reported and passed over; a failure of the gateway stops the
/// import and says at which line, after what was done before it.
pub(super) fn import(file: &Path, remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let content = read(file)?;
    let lines: Vec<&str> = content.lines().collect();
    let client = Client::new(remote)?;
    let mut done = Imported::default();
    let mut stopped = None;
    let mut first = 0;
    for batch in batches(&lines) {
        match client.lines("/v1/subjects:import", batch.join("\n").into()) {
            Ok(answer) => done.add(&answer, first, out)?,
            Err((failure, problem)) => {
                done.add(&problem, first, out)?;
                stopped = Some((first + problem["line"].as_u64().unwrap_or(1), failure));
                break;
            }
        }
        first += u64::try_from(batch.len()).unwrap_or(u64::MAX);
    }
    let Imported { imported, failed, errors } = done;
    let line = stopped.as_ref().map(|(line, _)| line);
    out.value(&json!({ "imported": imported, "failed": failed, "errors": errors, "stopped": line }))?;
    out.line(format!("{imported} subjects set, {failed} lines refused"))?;
    match stopped {
        Some((line, failure)) => {
            out.line(format!("stopped at line {line} of the file: import it again from there"))?;
            Err(failure)
        }
        None if failed > 0 => Err(Failure::Check(format!("{failed} lines were refused"))),
        None => Ok(()),
    }
}

/// What has been done of an import.
#[derive(Default)]
struct Imported {
    imported: u64,
    failed: u64,
    errors: Vec<Value>,
}

impl Imported {
    /// Adds what the gateway says of the batch behind the first `before` lines.
    fn add(&mut self, answer: &Value, before: u64, out: &mut Output<'_>) -> Result<(), Failure> {
        self.imported += answer["imported"].as_u64().unwrap_or(0);
        self.failed += answer["failed"].as_u64().unwrap_or(0);
        for error in answer["errors"].as_array().into_iter().flatten() {
            let line = before + error["line"].as_u64().unwrap_or(0);
            out.line(format!("line {line}: {}", text(&error["message"])))?;
            self.errors.push(json!({ "line": line, "message": error["message"] }));
        }
        Ok(())
    }
}

/// Cuts lines into runs that one request carries. A line that is longer than that goes alone, and the gateway says what it thinks of it.
fn batches<'l, 't>(lines: &'l [&'t str]) -> impl Iterator<Item = &'l [&'t str]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take(BATCH).take_while(|line| {
            bytes += line.len() + 1;
            bytes <= BATCH_BYTES
        });
        let (batch, after) = rest.split_at(fits.count().max(1).min(rest.len()));
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

fn show(subject: &Value, out: &mut Output<'_>) -> Result<(), Failure> {
    out.value(subject)?;
    out.line(format!("{}  {}", text(&subject["id"]), text(&subject["attributes"])))
}

/// A file's text; `-` is standard input.
pub(super) fn read(file: &Path) -> Result<String, Failure> {
    let mut content = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut content).map(drop)
    } else {
        std::fs::read_to_string(file).map(|read| content = read)
    };
    read.map_err(|error| Failure::Usage(format!("cannot read `{}`: {error}", file.display())))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Answers one request after the other as told; returns its address.
    fn gateway(answers: Vec<(&'static str, Value)>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
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
                reader.read_exact(&mut vec![0; length]).unwrap();
                let answer = answer.to_string();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
                (&stream).write_all([head.as_bytes(), answer.as_bytes()].concat().as_slice()).unwrap();
            }
        });
        format!("http://{address}")
    }

    #[test]
    fn an_import_that_stops_tells_the_line_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lines");
        std::fs::write(&file, "{}\n".repeat(BATCH + 100)).unwrap();
        let answers = vec![
            ("200 OK", json!({ "imported": 9_999, "failed": 1, "errors": [{ "line": 7, "message": "bad" }] })),
            (
                "503 Service Unavailable",
                json!({ "detail": "busy", "line": 20, "imported": 18, "failed": 1, "errors": [{ "line": 3, "message": "bad" }] }),
            ),
        ];
        let remote = RemoteArgs { url: gateway(answers), token: Some("token".to_owned()), ..RemoteArgs::default() };
        let mut printed = Vec::new();
        let failure = import(&file, &remote, &mut Output::new(&mut printed, true)).unwrap_err();
        assert_eq!((failure.exit_code(), failure.to_string()), (3, "busy".to_owned()));
        let said: Value = serde_json::from_slice(&printed).unwrap();
        assert_eq!([&said["imported"], &said["failed"], &said["stopped"]], [&json!(10_017), &json!(2), &json!(10_020)]);
        assert_eq!([&said["errors"][0]["line"], &said["errors"][1]["line"]], [&json!(7), &json!(10_003)]);
    }

    #[test]
    fn batches_hold_every_line_once_and_no_more_than_a_request_takes() {
        let long = "x".repeat(BATCH_BYTES);
        let half = "y".repeat(BATCH_BYTES / 2);
        let lines = [vec!["a"; BATCH + 1], vec![&long, "b", &half, &half]].concat();
        let batches: Vec<&[&str]> = batches(&lines).collect();
        assert_eq!(batches.concat(), lines);
        assert_eq!(batches.iter().map(|batch| batch.len()).collect::<Vec<_>>(), [BATCH, 1, 1, 2, 1]);
        assert_eq!(super::batches(&[]).count(), 0);
    }
}
