//! `domicile population export | verify | sample`.

use std::{fs::File, io::BufRead, io::BufReader, path::Path};

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};

use super::{
    Failure, Output, Table,
    args::{PopulationExportArgs, PopulationFilter, PopulationSampleArgs},
    client::{Client, encode},
    export,
    output::text,
};
use crate::audit::Frontier;

/// Writes the population of a running gateway to a file, and says what it came to.
pub(super) fn export(args: &PopulationExportArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let client = Client::new(&args.remote)?;
    let path = format!("/v1/population?format={}{}", args.format, filter(&args.filter));
    let (bytes, sha256) = export::to_file(&client, &path, "exporting the population (bytes)", &args.output, |_| {})?;
    let totals = totals(&args.output, &args.format)?;
    if args.format == "ndjson" {
        check(&args.output)?;
    }
    out.value(&json!({ "file": args.output, "file_bytes": bytes, "sha256": sha256, "population": totals }))?;
    out.line(format!("{} records, {} bytes, root {}", text(&totals["rows"]), text(&totals["bytes"]), text(&totals["root"])))?;
    out.line(format!("as of {}; the ledger says so in entry {}", text(&totals["taken"]), text(&totals["entry"])))
}

/// Holds an NDJSON export against its own totals.
pub(super) fn verify(file: &Path, out: &mut Output<'_>) -> Result<(), Failure> {
    let totals = check(file)?;
    out.value(&json!({ "ok": true, "population": totals }))?;
    out.line(format!("ok: {} records, root {}", text(&totals["rows"]), text(&totals["root"])))?;
    out.line(format!("compare with entry {} of a ledger that you have verified", text(&totals["entry"])))
}

/// Draws a sample.
pub(super) fn sample(args: &PopulationSampleArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let client = Client::new(&args.remote)?;
    let answer = client.get(&format!("/v1/sample?seed={}&n={}{}", encode(&args.seed), args.n, filter(&args.filter)))?;
    out.value(&answer)?;
    let mut table = Table::new(["OBJECT", "VERSION", "COUNTRIES", "ENTRY"]);
    for drawn in answer["records"].as_array().into_iter().flatten() {
        let record = &drawn["record"];
        table.row([
            format!("s3://{}/{}", text(&record["bucket"]), text(&record["key"])),
            text(&record["version"]),
            text(&record["countries"]),
            text(&drawn["entry"]),
        ]);
    }
    out.table(&table)?;
    let drawn = answer["records"].as_array().map_or(0, Vec::len);
    out.line(format!("{drawn} of {} records, as of {}", text(&answer["population"]), text(&answer["taken"])))
}

fn filter(filter: &PopulationFilter) -> String {
    let PopulationFilter { bucket, prefix, subject, country, site, instrument } = filter;
    let named = [
        ("bucket", bucket),
        ("prefix", prefix),
        ("subject", subject),
        ("country", country),
        ("site", site),
        ("instrument", instrument),
    ];
    let given = named.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("&{name}={}", encode(value))));
    given.collect()
}

/// Reads each line of an NDJSON export; answers with its totals.
fn check(file: &Path) -> Result<Value, Failure> {
    let unreadable = |error: std::io::Error| Failure::Unreachable(format!("cannot read `{}`: {error}", file.display()));
    let mut lines = BufReader::new(File::open(file).map_err(unreadable)?).split(b'\n').peekable();
    let (mut root, mut bytes) = (Frontier::default(), 0_u64);
    while let Some(line) = lines.next() {
        let line = line.map_err(unreadable)?;
        let row: Value = serde_json::from_slice(&line).map_err(|_| {
            Failure::Check(format!(
                "line {} is not JSON: the export is of another format than NDJSON, damaged or cut off",
                root.size() + 1
            ))
        })?;
        if let Some(totals) = row.get("population").filter(|_| lines.peek().is_none()) {
            let found = [json!(root.size()), json!(bytes), json!(hex::encode(root.root()))];
            if found.iter().zip(["rows", "bytes", "root"]).any(|(found, name)| *found != totals[name]) {
                return Err(Failure::Check(format!(
                    "the rows are {} with root {}, the export says {} with root {}",
                    root.size(),
                    hex::encode(root.root()),
                    text(&totals["rows"]),
                    text(&totals["root"])
                )));
            }
            return Ok(totals.clone());
        }
        bytes = bytes.saturating_add(row["size"].as_u64().unwrap_or(0));
        root.push(&line);
    }
    Err(Failure::Check("the export's last line is not its totals: it is cut off".to_owned()))
}

/// What a whole file says of itself.
fn totals(file: &Path, format: &str) -> Result<Value, Failure> {
    let missing = || Failure::Check("the export has no totals: it is cut off".to_owned());
    let open = || File::open(file).map_err(|error| Failure::Unreachable(format!("cannot read `{}`: {error}", file.display())));
    let found = match format {
        "parquet" => {
            let reader = SerializedFileReader::new(open()?).map_err(|_| missing())?;
            let pairs = reader.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
            pairs.into_iter().find(|pair| pair.key == "domicile.population").and_then(|pair| pair.value)
        }
        "csv" => {
            let mut last = None;
            for row in csv::Reader::from_reader(BufReader::new(open()?)).records() {
                last = Some(row.map_err(|_| missing())?);
            }
            last.filter(|row| row.get(0) == Some("#population")).and_then(|row| row.get(1).map(str::to_owned))
        }
        _ => {
            let last = BufReader::new(open()?).lines().map_while(Result::ok).last();
            let last = last.and_then(|line| serde_json::from_str::<Value>(&line).ok());
            last.and_then(|line| line.get("population").map(Value::to_string))
        }
    };
    found.and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_that_was_changed_does_not_verify() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("population.ndjson");
        let rows = ["{\"size\":1}", "{\"size\":2}", "{\"size\":3}"];
        let mut root = Frontier::default();
        rows.iter().for_each(|row| root.push(row.as_bytes()));
        let end = json!({ "population": { "rows": 3, "bytes": 6, "root": hex::encode(root.root()), "entry": 9 } }).to_string();
        let verified = |lines: &[&str]| {
            std::fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
            check(&file)
        };
        assert_eq!(verified(&[rows[0], rows[1], rows[2], &end]).unwrap()["rows"], 3);
        for wrong in [
            &[rows[1], rows[0], rows[2], &end][..],
            &[rows[0], rows[2], &end],
            &[rows[0], rows[1], rows[2]],
            &[rows[0], rows[1], rows[2], rows[2], &end],
            &["{\"size\":1 }", rows[1], rows[2], &end],
        ] {
            assert!(matches!(verified(wrong), Err(Failure::Check(_))), "{wrong:?}");
        }
    }
}
