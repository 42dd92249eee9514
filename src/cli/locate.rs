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
    if (args.history || args.at.is_some()) && args.target.as_deref().is_none_or(|target| target.ends_with(['*', '/'])) {
        return Err(Failure::Usage("a history is that of one s3://bucket/key".to_owned()));
    }
    let filter = match (&args.target, &args.subject, &args.country) {
        (Some(target), ..) => {
            let (bucket, key) = s3_target(target)?;
            match key.strip_suffix('*') {
                Some(prefix) => format!("bucket={}&prefix={}", encode(bucket), encode(prefix)),
                None if key.is_empty() => format!("bucket={}", encode(bucket)),
                None if args.history || args.at.is_some() => return history(&client, bucket, key, args.at.as_deref(), out),
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

/// What the ledger tells of a key, or told of it at a time.
fn history(client: &Client, bucket: &str, key: &str, at: Option<&str>, out: &mut Output<'_>) -> Result<(), Failure> {
    let at = at.map(|at| format!("&at={}", encode(at))).unwrap_or_default();
    let answer = client.get(&format!("/v1/record/history?bucket={}&key={}{at}", encode(bucket), encode(key)))?;
    out.value(&answer)?;
    let moment = |value: &Value| match value["time"].as_str() {
        Some(time) => format!("{time} (entry {})", value["entry"]),
        None => String::new(),
    };
    for version in answer["versions"].as_array().into_iter().flatten() {
        out.line(format!("s3://{bucket}/{key}  version {}  {}", text(&version["version"]), text(&version["state"])))?;
        out.line(format!("  {:<12} {}", "written", moment(&version["written"])))?;
        if version["gone"].is_object() {
            out.line(format!("  {:<12} {}, {}", "gone", moment(&version["gone"]), text(&version["gone"]["kind"])))?;
        }
        for placed in version["placed"].as_array().into_iter().flatten() {
            let (revision, instruments) = (text(&placed["revision"]), text(&placed["instruments"]));
            let source = text(&placed["decided_by"]["source"]);
            out.line(format!("  {:<12} {}: policy {revision}, {instruments} ({source})", "decided", moment(placed)))?;
            for (about, sources) in placed["decided_by"]["signals"].as_object().into_iter().flatten() {
                out.line(format!("  {:<12} {about} from {}", "", text(sources)))?;
            }
        }
        let mut table = Table::new(["COUNTRY", "SITE", "KEY", "KEY OF", "STATE", "STORED", "VERIFIED", "LEFT", "REMOVED"]);
        for copy in version["copies"].as_array().into_iter().flatten() {
            let when = |name: &str| text(&copy[name]["time"]);
            table.row([
                text(&copy["country"]),
                text(&copy["site"]),
                text(&copy["key"]),
                text(&copy["key_country"]),
                text(&copy["state"]),
                when("stored"),
                when("verified"),
                when("left"),
                when("removed"),
            ]);
        }
        out.table(&table)?;
    }
    let count = answer["versions"].as_array().map_or(0, Vec::len);
    out.line(format!("{count} records; told by the {} entries of the ledger so far", text(&answer["ledger"])))
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
