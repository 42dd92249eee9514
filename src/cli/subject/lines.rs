//! The lines of a file of subjects, one at a time: JSON objects, or CSV whose first line names its columns.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read},
    rc::Rc,
};

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::cli::Failure;

/// The longest line, and the longest record of CSV: the gateway takes no longer one.
const MOST_LINE: u64 = 64 << 10;
/// What the reader of CSV reads at a time.
const BUFFER: u64 = 64 << 10;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A JSON object a line.
    Ndjson,
    /// Comma-separated values (RFC 4180); the first line names the columns.
    Csv,
}

/// One line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number in the file, from 1 on; of a record of several lines, the first.
    pub(super) number: u64,
    /// Where what follows begins.
    pub(super) end: u64,
    /// What the gateway is sent, or why that is nothing.
    pub(super) sent: Result<Vec<u8>, String>,
    /// The line as a file of bad lines takes it, with its end.
    pub(super) raw: Vec<u8>,
}

/// A file that is being read.
pub(super) enum Lines<R> {
    Ndjson(Json<R>),
    Csv(Box<Csv<R>>),
}

impl<R: Read> Lines<R> {
    /// Begins at the start of a file.
    ///
    /// # Errors
    /// The columns of CSV are not such.
    pub(super) fn begin(source: R, format: Format) -> Result<Self, Failure> {
        Ok(match format {
            Format::Ndjson => Self::Ndjson(Json { source: BufReader::new(source), number: 0, end: 0 }),
            Format::Csv => Self::Csv(Box::new(Csv::begin(source)?)),
        })
    }

    /// What a file of bad lines begins with.
    pub(super) fn head(&self) -> Vec<u8> {
        match self {
            Self::Ndjson(_) => Vec::new(),
            Self::Csv(csv) => csv.write(&csv.head),
        }
    }

    /// The next line that is not blank; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read on.
    pub(super) fn next(&mut self) -> Result<Option<Line>, Failure> {
        match self {
            Self::Ndjson(lines) => lines.next(),
            Self::Csv(records) => records.next().map_err(io::Error::from),
        }
        .map_err(|error| Failure::Usage(format!("the file cannot be read: {error}")))
    }
}

pub(super) struct Json<R> {
    source: BufReader<R>,
    number: u64,
    end: u64,
}

impl<R: Read> Json<R> {
    fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.source).take(MOST_LINE + 1).read_until(b'\n', &mut line)? as u64;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.end += read;
            let too_long = read > MOST_LINE;
            if too_long && !line.ends_with(b"\n") {
                self.skip()?;
            }
            if line.trim_ascii().is_empty() && !too_long {
                continue;
            }
            let sent = line.trim_ascii().to_vec();
            let (number, end) = (self.number, self.end);
            let sent = if too_long { Err(format!("has more than {MOST_LINE} bytes")) } else { Ok(sent) };
            // The rest of a line that is too long is not kept, so neither is its beginning.
            let raw = if sent.is_ok() { [line.trim_ascii(), b"\n"].concat() } else { Vec::new() };
            return Ok(Some(Line { number, end, sent, raw }));
        }
    }

    /// Passes over the rest of a line.
    fn skip(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.source.fill_buf()?;
            let (used, ends) = match memchr::memchr(b'\n', buffer) {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.source.consume(used);
            self.end += used as u64;
            if ends {
                return Ok(());
            }
        }
    }
}

/// Lets no record of CSV grow without bounds, as one does behind a quote that is not closed.
struct Bounded<R> {
    source: R,
    seen: Rc<RefCell<Seen>>,
}

/// What has been read of a file so far.
#[derive(Default)]
struct Seen {
    bytes: u64,
    /// Bytes since the last record.
    since: u64,
    /// Line ends before the last record's own.
    lines: u64,
    /// Where those behind it are.
    ends: VecDeque<u64>,
}

impl Seen {
    /// The last line of a record that ends at `end`. The reader itself counts blank lines before a record as its own.
    fn record(&mut self, end: u64) -> u64 {
        self.since = 0;
        while self.ends.front().is_some_and(|at| at + 1 < end) {
            self.ends.pop_front();
            self.lines += 1;
        }
        self.lines + 1
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut seen = self.seen.borrow_mut();
        if seen.since > MOST_LINE + BUFFER {
            return Err(io::Error::other(format!("a record has more than {MOST_LINE} bytes; is a quote not closed?")));
        }
        let read = self.source.read(buffer)?;
        let before = seen.bytes;
        seen.ends.extend(memchr::memchr_iter(b'\n', buffer.get(..read).unwrap_or_default()).map(|at| before + at as u64));
        seen.bytes += read as u64;
        seen.since += read as u64;
        Ok(read)
    }
}

pub(super) struct Csv<R> {
    reader: csv::Reader<Bounded<R>>,
    seen: Rc<RefCell<Seen>>,
    head: csv::ByteRecord,
    columns: Vec<Column>,
    record: csv::ByteRecord,
}

enum Column {
    /// A field of the line: `id`, `effective` or `reason`.
    Field(&'static str),
    Attribute(String),
}

impl<R: Read> Csv<R> {
    fn begin(source: R) -> Result<Self, Failure> {
        let seen = Rc::new(RefCell::new(Seen::default()));
        let source = Bounded { source, seen: Rc::clone(&seen) };
        let buffer = usize::try_from(BUFFER).unwrap_or(usize::MAX);
        let mut reader = csv::ReaderBuilder::new().flexible(true).buffer_capacity(buffer).from_reader(source);
        let head = reader.byte_headers().map_err(|error| Failure::Usage(format!("the file cannot be read: {error}")))?.clone();
        seen.borrow_mut().since = 0;
        let columns = columns(&head).map_err(Failure::Usage)?;
        Ok(Self { reader, seen, head, columns, record: csv::ByteRecord::new() })
    }

    fn next(&mut self) -> Result<Option<Line>, csv::Error> {
        if !self.reader.read_byte_record(&mut self.record)? {
            return Ok(None);
        }
        let end = self.reader.position().byte();
        let within = memchr::memchr_iter(b'\n', self.record.as_slice()).count() as u64;
        let number = self.seen.borrow_mut().record(end) - within;
        Ok(Some(Line { number, end, sent: self.line(), raw: self.write(&self.record) }))
    }

    /// The record as a line for the gateway. An empty field says nothing.
    fn line(&self) -> Result<Vec<u8>, String> {
        if self.record.len() != self.columns.len() {
            return Err(format!("{} fields where the first line names {}", self.record.len(), self.columns.len()));
        }
        let (mut line, mut attributes) = (Map::new(), Map::new());
        for (column, value) in self.columns.iter().zip(&self.record) {
            let value = std::str::from_utf8(value).map_err(|_| "is not UTF-8".to_owned())?;
            match column {
                _ if value.is_empty() => None,
                Column::Field(name) => line.insert((*name).to_owned(), value.into()),
                Column::Attribute(name) => attributes.insert(name.clone(), value.into()),
            };
        }
        line.insert("attributes".to_owned(), attributes.into());
        Ok(Value::Object(line).to_string().into_bytes())
    }

    fn write(&self, record: &csv::ByteRecord) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        // To memory it does not fail.
        let _ = writer.write_byte_record(record);
        writer.into_inner().unwrap_or_default()
    }
}

fn columns(head: &csv::ByteRecord) -> Result<Vec<Column>, String> {
    let wrong =
        || "the first line names the columns: `subject`, attributes such as `residence`, `effective` and `reason`".to_owned();
    let mut names: Vec<&str> = Vec::new();
    for name in head {
        let name = std::str::from_utf8(name).map_err(|_| wrong())?.trim();
        let name = if name == "subject" { "id" } else { name };
        if name.is_empty() || names.contains(&name) {
            return Err(format!("{}; each once", wrong()));
        }
        names.push(name);
    }
    if !names.contains(&"id") {
        return Err(wrong());
    }
    let column = |name: &str| match name {
        "id" => Column::Field("id"),
        "effective" => Column::Field("effective"),
        "reason" => Column::Field("reason"),
        other => Column::Attribute(other.to_owned()),
    };
    Ok(names.into_iter().map(column).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, format: Format) -> Vec<Line> {
        let mut lines = Lines::begin(text.as_bytes(), format).unwrap();
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    fn sent(line: &Line) -> Value {
        serde_json::from_slice(line.sent.as_ref().unwrap()).unwrap()
    }

    #[test]
    fn columns_become_lines_of_json_with_number_and_place() {
        let text =
            "\u{feff}residence,subject,effective,reason\r\nPK,\"a, \"\"b\"\"\",2026-01-01,\r\n\n,ali,,\"moved\nhome\"\nSG,x\n";
        let lines = all(text, Format::Csv);
        let expected = serde_json::json!({ "id": "a, \"b\"", "attributes": { "residence": "PK" }, "effective": "2026-01-01" });
        assert_eq!((lines[0].number, sent(&lines[0])), (2, expected));
        assert_eq!(sent(&lines[1]), serde_json::json!({ "id": "ali", "attributes": {}, "reason": "moved\nhome" }));
        assert_eq!(lines[1].number, 4);
        assert_eq!((lines[2].number, lines[2].sent.as_ref().unwrap_err().as_str()), (6, "2 fields where the first line names 4"));
        assert_eq!((lines[2].end, lines[2].raw.as_slice()), (text.len() as u64, b"SG,x\n".as_slice()));
        assert_eq!(lines[0].raw, b"PK,\"a, \"\"b\"\"\",2026-01-01,\n");
    }

    #[test]
    fn columns_that_name_no_subject_or_one_thing_twice_are_refused() {
        for head in ["residence\n", "", "subject,residence,residence\n", "subject,id\n", "subject,\n"] {
            assert!(matches!(Lines::begin(head.as_bytes(), Format::Csv), Err(Failure::Usage(_))), "{head:?}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_takes_no_more_memory_than_a_record() {
        let text = format!("subject,residence\nali,\"PK\n{}", "amna,SG\n".repeat(100_000));
        let mut lines = Lines::begin(text.as_bytes(), Format::Csv).unwrap();
        assert!(lines.next().unwrap_err().to_string().contains("is a quote not closed"));
    }

    #[test]
    fn lines_of_json_go_as_they_are() {
        let long = "x".repeat(200_000);
        let text = format!("{{\"a\":1}}\r\n\n  \n{long}\nnonsense");
        let lines = all(&text, Format::Ndjson);
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 4, 5]);
        assert_eq!((lines[0].sent.as_deref(), lines[0].end), (Ok(b"{\"a\":1}".as_slice()), 9));
        assert!(lines[1].sent.is_err() && lines[1].raw.is_empty());
        assert_eq!((lines[2].end, lines[2].raw.as_slice()), (text.len() as u64, b"nonsense\n".as_slice()));
    }
}
