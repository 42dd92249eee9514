//! Rows as NDJSON, CSV or Parquet, with the count, bytes and root behind them.

use std::{io::Write, sync::Arc};

use parking_lot::Mutex;
use parquet::{
    basic::Compression,
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{metadata::KeyValue, properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::Value;

use super::rows::{COLUMNS, Cell, Kind, Row, Rows};
use crate::admin::PopulationFormat;

/// Rows of one row group: it is put together in memory.
const GROUP: usize = 20_000;
/// The name under which a Parquet file's metadata has the totals.
const TOTALS: &str = "domicile.population";

/// A file in the making.
pub(super) enum Writer {
    Ndjson,
    Csv,
    Parquet(Box<Parquet>),
}

/// A Parquet file in the making.
pub(super) struct Parquet {
    file: SerializedFileWriter<Shared>,
    written: Shared,
    waiting: Vec<Row>,
}

/// What the file's writer has written and nobody has taken.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Writer {
    /// Begins a file.
    ///
    /// # Errors
    /// Those of the Parquet library.
    pub(super) fn begin(format: PopulationFormat) -> Result<(Self, Vec<u8>), ParquetError> {
        Ok(match format {
            PopulationFormat::Ndjson => (Self::Ndjson, Vec::new()),
            PopulationFormat::Csv => (Self::Csv, csv_line(COLUMNS.iter().map(|(name, _)| (*name).to_owned()))),
            PopulationFormat::Parquet => {
                let written = Shared::default();
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                let schema = Arc::new(parse_message_type(&schema())?);
                let file = SerializedFileWriter::new(written.clone(), schema, Arc::new(properties))?;
                (Self::Parquet(Box::new(Parquet { file, written, waiting: Vec::new() })), Vec::new())
            }
        })
    }

    /// The bytes of the next rows.
    ///
    /// # Errors
    /// As [`Writer::begin`].
    pub(super) fn rows(&mut self, rows: Rows) -> Result<Vec<u8>, ParquetError> {
        match self {
            Self::Ndjson => Ok(rows.lines),
            Self::Csv => Ok(rows.rows.iter().flat_map(|row| csv_line(row.iter().map(csv_text))).collect()),
            Self::Parquet(parquet) => {
                parquet.waiting.extend(rows.rows);
                if parquet.waiting.len() >= GROUP {
                    parquet.group()?;
                }
                Ok(parquet.written.take())
            }
        }
    }

    /// The last bytes: `totals` as the last line, or in the file's metadata.
    ///
    /// # Errors
    /// As [`Writer::begin`].
    pub(super) fn end(self, totals: &Value) -> Result<Vec<u8>, ParquetError> {
        match self {
            Self::Ndjson => Ok(format!("{}\n", serde_json::json!({ "population": totals })).into_bytes()),
            Self::Csv => {
                // A row as the others, so that readers that want as many cells in each take it; no bucket's name begins so.
                let first = ["#population".to_owned(), totals.to_string()];
                let cells = first.into_iter().chain(std::iter::repeat(String::new()));
                Ok(csv_line(cells.take(COLUMNS.len())))
            }
            Self::Parquet(mut parquet) => {
                parquet.group()?;
                let text = totals.to_string();
                parquet.file.append_key_value_metadata(KeyValue::new(TOTALS.to_owned(), Some(text)));
                parquet.file.finish()?;
                Ok(parquet.written.take())
            }
        }
    }
}

impl Parquet {
    fn group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.waiting);
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        let mut at = 0;
        while let Some(mut column) = group.next_column()? {
            let cells = rows.iter().filter_map(|row| row.get(at));
            match column.untyped() {
                ColumnWriter::ByteArrayColumnWriter(writer) => {
                    let (mut values, mut present) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
                    for cell in cells {
                        let text = match cell {
                            Cell::Text(text) | Cell::Json(text) => Some(ByteArray::from(text.as_str())),
                            _ => None,
                        };
                        present.push(i16::from(text.is_some()));
                        values.extend(text);
                    }
                    let optional = COLUMNS.get(at).is_some_and(|(_, kind)| *kind == Kind::Maybe);
                    writer.write_batch(&values, optional.then_some(present.as_slice()), None)?;
                }
                ColumnWriter::Int64ColumnWriter(writer) => {
                    let number = |cell: &Cell| match cell {
                        Cell::Number(number) => i64::try_from(*number).unwrap_or(i64::MAX),
                        _ => 0,
                    };
                    writer.write_batch(&cells.map(number).collect::<Vec<i64>>(), None, None)?;
                }
                ColumnWriter::BoolColumnWriter(writer) => {
                    let truths: Vec<bool> = cells.map(|cell| *cell == Cell::Truth(true)).collect();
                    writer.write_batch(&truths, None, None)?;
                }
                _ => return Err(ParquetError::General("a column of another type".to_owned())),
            }
            column.close()?;
            at += 1;
        }
        group.close()?;
        Ok(())
    }
}

fn schema() -> String {
    let column = |(name, kind): &(&str, Kind)| match kind {
        Kind::Text => format!("required binary {name} (UTF8);"),
        Kind::Maybe => format!("optional binary {name} (UTF8);"),
        Kind::Number => format!("required int64 {name};"),
        Kind::Truth => format!("required boolean {name};"),
        Kind::Json => format!("required binary {name} (JSON);"),
    };
    format!("message population {{ {} }}", COLUMNS.iter().map(column).collect::<Vec<_>>().join(" "))
}

fn csv_text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => harmless(text),
        Cell::Json(text) => text.clone(),
        Cell::Nothing => String::new(),
        Cell::Number(number) => number.to_string(),
        Cell::Truth(truth) => truth.to_string(),
    }
}

/// Spreadsheets take text that begins so for a formula, some also the wide forms, and clients choose keys: an apostrophe before it makes it text. One that is there
/// already gets another, so that the first one can always be taken away again.
fn harmless(text: &str) -> String {
    const FORMULA: [char; 12] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n', '\''];
    if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
}

/// One line of RFC 4180.
fn csv_line(cells: impl Iterator<Item = String>) -> Vec<u8> {
    let mut line = Vec::new();
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            line.push(b',');
        }
        if cell.contains([',', '"', '\r', '\n']) {
            line.push(b'"');
            line.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            line.push(b'"');
        } else {
            line.extend_from_slice(cell.as_bytes());
        }
    }
    line.extend_from_slice(b"\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_every_cell_can_be_read_back() {
        let nasty = [
            "=1+2",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "'quoted",
            "plain",
            "a,\"b\"\nc",
            "",
            "\u{e4}=1",
            "＝1+2",
            "＠SUM(A1)",
        ];
        let line = csv_line(nasty.iter().map(|text| csv_text(&Cell::Text((*text).to_owned()))));
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_slice());
        let read = reader.records().next().unwrap().unwrap();
        assert_eq!(read.len(), nasty.len());
        for (cell, text) in read.iter().zip(nasty) {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
            assert!(!cell.starts_with(['＝', '＋', '－', '＠']), "{cell}");
            assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), text);
        }
    }
}
