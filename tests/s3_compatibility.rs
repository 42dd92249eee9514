//! `docs/s3-compatibility.md` says of every operation of S3 what the code says of it.

use std::{env, fs, path::Path};

use domicile::s3::{Operation, Status};

const BEGIN: &str = "<!-- begin: operations";
const END: &str = "<!-- end: operations -->";

#[test]
fn the_table_of_operations_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/s3-compatibility.md");
    let text = fs::read_to_string(&path).unwrap();
    let begin = text.find(BEGIN).unwrap();
    let begin = begin + text[begin..].find('\n').unwrap() + 1;
    let end = text.find(END).unwrap();
    let table = table();
    if env::var_os("DOMICILE_WRITE").is_some() {
        fs::write(&path, format!("{}{table}{}", &text[..begin], &text[end..])).unwrap();
        return;
    }
    assert!(text[begin..end] == table, "run this test with DOMICILE_WRITE=1; the table should be:\n{table}");
}

/// One row for each status, as one for each operation would be too long to read.
fn table() -> String {
    let mut table = "\n| | operations |\n|---|---|\n".to_owned();
    for (status, means) in [
        (Status::Built, "built"),
        (Status::Off, "answered truthfully: the feature is off"),
        (Status::NotBuilt, "`501 NotImplemented`, by name"),
    ] {
        let of_status = Operation::ALL.iter().filter(|operation| operation.status() == status);
        let names: Vec<_> = of_status.map(|operation| operation.name()).collect();
        if !names.is_empty() {
            table.push_str(&format!("| {means} ({}) | {} |\n", names.len(), names.join(", ")));
        }
    }
    table + "\n"
}
