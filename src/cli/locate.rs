//! `domicile where`: where records live and why.

use serde_json::{Value, json};

use super::{
    Failure, Output, Table,
    args::WhereArgs,
    client::{Client, encode},
    output::text,
    s3_target,
};

/// Records that are asked for at a time.
const PAGE: usize = 1000;

pub(super) fn run(args: &WhereArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let client = Client::new(&args.remote)?;
    let filter = match (&args.target, &args.subject, &args.country) {
        (Some(target), ..) => {
            let (bucket, key) = s3_target(target)?;
            match key.strip_suffix('*') {
                Some(prefix) => format!("bucket={}&prefix={}", encode(bucket), encode(prefix)),
                None if key.is_empty() => format!("bucket={}", encode(bucket)),
                None => return one(&client, bucket, key, out),
            }
        }
        (_, Some(subject), _) => format!("subject={}", encode(subject)),
        (_, _, Some(country)) => format!("country={}", encode(country)),
        _ => return Err(Failure::Usage("say s3://bucket/key, --subject or --country".to_owned())),
    };
    many(&client, &filter, args.limit, out)
}

/// One key with everything that is known of it.
fn one(client: &Client, bucket: &str, key: &str, out: &mut Output<'_>) -> Result<(), Failure> {
    let answer = client.get(&format!("/v1/record?bucket={}&key={}", encode(bucket), encode(key)))?;
    out.value(&answer)?;
    for version in answer["versions"].as_array().into_iter().flatten() {
        out.line(format!("s3://{bucket}/{key}  version {}  {} bytes", text(&version["version"]), text(&version["size"])))?;
        for (name, field) in [
            ("subject", "subject"),
            ("attributes", "attributes"),
            ("instruments", "instruments"),
            ("in shadow", "shadow"),
            ("written by", "owner"),
            ("written", "modified"),
            ("policy", "revision"),
        ] {
            let value = text(&version[field]);
            if !value.is_empty() {
                out.line(format!("  {name:<12} {value}"))?;
            }
        }
        let columns = [("COUNTRY", "country"), ("SITE", "site"), ("KEY", "key"), ("ROLE", "role"), ("STORED", "stored")];
        out.table(&super::policy::table(&version["copies"], &columns))?;
    }
    Ok(())
}

/// One line a record.
fn many(client: &Client, filter: &str, limit: usize, out: &mut Output<'_>) -> Result<(), Failure> {
    let mut records: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    let mut more = false;
    while records.len() < limit {
        let page = PAGE.min(limit - records.len());
        let after = cursor.map(|cursor| format!("&cursor={}", encode(&cursor))).unwrap_or_default();
        let mut answer = client.get(&format!("/v1/records?{filter}&limit={page}{after}"))?;
        if let Value::Array(found) = answer["records"].take() {
            records.extend(found);
        }
        cursor = answer["cursor"].as_str().map(str::to_owned);
        more = cursor.is_some();
        if !more {
            break;
        }
    }
    let mut table = Table::new(["OBJECT", "COUNTRIES", "SITES", "BYTES", "INSTRUMENTS"]);
    for record in &records {
        let sites: Vec<String> = record["copies"].as_array().into_iter().flatten().map(|copy| text(&copy["site"])).collect();
        table.row([
            format!("s3://{}/{}", text(&record["bucket"]), text(&record["key"])),
            text(&record["countries"]),
            sites.join(", "),
            text(&record["size"]),
            text(&record["instruments"]),
        ]);
    }
    out.table(&table)?;
    out.line(format!("{} records{}", records.len(), if more { ", and more: raise --limit" } else { "" }))?;
    out.value(&json!({ "records": records, "truncated": more }))
}
