//! `domicile unseal`.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Failure, Output, Table,
    args::{OpeningKeys, UnsealArgs},
    progress::Bar,
    s3_target,
};
use crate::app::close_to_others;
use crate::digest;
use crate::recovery::Progress;
use crate::seal::CustomerKey;
use crate::types::{BucketName, ObjectKey};
use crate::unseal::{Attempt, Catalogue, Folder, Found, Keys, Restore, SealedRecord, Seen, UnsealError, write_whole};

/// How many failures are shown one by one.
const SHOWN: usize = 20;

/// Opens one record, or all.
pub(super) fn run(args: &UnsealArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    close_to_others().map_err(|error| Failure::Check(format!("cannot keep memory private: {error}")))?;
    if !args.blobs.is_dir() {
        return Err(Failure::Usage(format!("`{}` is no folder", args.blobs.display())));
    }
    let keys = opening_keys(&args.keys).map_err(failed)?;
    let customer = args.customer_key.as_deref().map(customer_key).transpose()?;
    match &args.record {
        None if args.list => list(args, keys, out),
        None => all(args, keys, customer, out),
        Some(text) if text.starts_with("s3://") => by_name(text, args, keys, customer.as_ref(), out),
        Some(file) => by_file(Path::new(file), args, keys, customer.as_ref(), out),
    }
}

/// The keys that the arguments name.
fn opening_keys(args: &OpeningKeys) -> Result<Keys, UnsealError> {
    match (&args.keyring, &args.identity, &args.subject_key) {
        (Some(keyring), Some(identity), _) => Keys::of_keyring(keyring, identity),
        (_, _, Some(file)) => Keys::exported(file),
        // The command line's rules leave no other; an empty path opens nothing.
        _ => Keys::exported(Path::new("")),
    }
}

/// 32 bytes as they are, or their base64.
fn customer_key(path: &Path) -> Result<CustomerKey, Failure> {
    let wrong = |reason: &str| Failure::Usage(format!("`{}`: {reason}", path.display()));
    let mut text = Zeroizing::new(Vec::with_capacity(256));
    let file = fs::File::open(path).map_err(|error| wrong(&error.to_string()))?;
    file.take(255).read_to_end(&mut text).map_err(|error| wrong(&error.to_string()))?;
    let key = CustomerKey::from_slice(&text).or_else(|| {
        let decoded = Zeroizing::new(STANDARD.decode(text.trim_ascii()).ok()?);
        CustomerKey::from_slice(&decoded)
    });
    key.ok_or_else(|| wrong("a customer key has 32 bytes, as they are or in base64"))
}

fn by_file(
    path: &Path,
    args: &UnsealArgs,
    mut keys: Keys,
    customer: Option<&CustomerKey>,
    out: &mut Output<'_>,
) -> Result<(), Failure> {
    let folder = Folder::scan(&args.blobs, &mut |seen| {
        if let Seen::SubjectKey(wrapped) = seen {
            keys.learn(*wrapped);
        }
    });
    let folder = folder.map_err(failed)?;
    let record = SealedRecord::open(path, &keys, &args.blobs).map_err(failed)?;
    write_one(&record, args, &|to| record.unseal(&folder, customer, to), out).map_err(failed_or_output)?;
    told(&record, args, out)
}

fn by_name(
    text: &str,
    args: &UnsealArgs,
    keys: Keys,
    customer: Option<&CustomerKey>,
    out: &mut Output<'_>,
) -> Result<(), Failure> {
    let (bucket, key) = s3_target(text)?;
    let wrong = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let (bucket, key) = (BucketName::new(bucket).map_err(|e| wrong(&e))?, ObjectKey::new(key).map_err(|e| wrong(&e))?);
    let catalogue = Catalogue::read(&args.blobs, keys).map_err(failed)?;
    let Some(found) = catalogue.version(&bucket, &key, args.version_id).cloned() else {
        let missing = UnsealError::NoSuchRecord { what: text.to_owned(), folder: args.blobs.clone() };
        let hint = match catalogue.unopened.as_slice() {
            [] => String::new(),
            [first, ..] => format!("; {} manifests do not open, the first because {first}", catalogue.unopened.len()),
        };
        return Err(Failure::Check(format!("{missing}{hint}")));
    };
    let mut from = None;
    let outcome = catalogue.unseal(&found, customer, &mut |record, unseal| {
        let written = write_one(record, args, unseal, out);
        from = Some(told_of(record, args));
        match written {
            Ok(()) => Ok(()),
            Err(OneFailure::Unseal(error)) => Err(error),
            Err(OneFailure::Output(error)) => Err(UnsealError::Io { path: PathBuf::from("standard output"), source: error }),
        }
    });
    outcome.map_err(failed)?;
    from.map_or(Ok(()), |value| out_told(&value, args, out))
}

/// Why one record was not written.
enum OneFailure {
    Unseal(UnsealError),
    Output(io::Error),
}

/// To the file, or to standard output: there it is opened twice, and nothing is written before all of it has been verified.
fn write_one(record: &SealedRecord, args: &UnsealArgs, unseal: Attempt<'_>, out: &mut Output<'_>) -> Result<(), OneFailure> {
    let Some(path) = &args.output else {
        unseal(&mut io::sink()).map_err(OneFailure::Unseal)?;
        let mut output = Raw { out, failure: None };
        return match (unseal(&mut output), output.failure) {
            (_, Some(error)) => Err(OneFailure::Output(error)),
            (outcome, None) => outcome.map_err(OneFailure::Unseal),
        };
    };
    if path.symlink_metadata().is_ok() {
        return Err(OneFailure::Unseal(UnsealError::Exists(path.clone())));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", hex::encode(digest::random::<8>())));
    write_whole(path, &beside, record.manifest.summary.modified, |to| unseal(to)).map_err(OneFailure::Unseal)
}

/// Standard output as a writer that remembers why it failed: a closed pipe is no damaged record.
struct Raw<'a, 'w> {
    out: &'a mut Output<'w>,
    failure: Option<io::Error>,
}

impl Write for Raw<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.out.raw(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(Failure::Output(error)) => {
                self.failure = Some(error);
                Err(io::ErrorKind::BrokenPipe.into())
            }
            Err(other) => Err(io::Error::other(other.to_string())),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn told_of(record: &SealedRecord, args: &UnsealArgs) -> serde_json::Value {
    let manifest = &record.manifest;
    json!({
        "bucket": manifest.bucket,
        "key": manifest.key,
        "version": manifest.summary.version,
        "size": manifest.summary.size,
        "etag": manifest.summary.etag.to_string(),
        "content": manifest.detail.content,
        "metadata": manifest.detail.metadata,
        "file": args.output,
    })
}

fn told(record: &SealedRecord, args: &UnsealArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    out_told(&told_of(record, args), args, out)
}

/// Standard output is the record's where it goes there.
fn out_told(value: &serde_json::Value, args: &UnsealArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let Some(path) = &args.output else { return Ok(()) };
    out.value(value)?;
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    out.line(format!(
        "s3://{}/{}, version {}: {} bytes in `{}`, verified",
        text("bucket"),
        text("key"),
        text("version"),
        value["size"],
        path.display()
    ))
}

fn all(args: &UnsealArgs, keys: Keys, customer: Option<CustomerKey>, out: &mut Output<'_>) -> Result<(), Failure> {
    let output = args.output.clone().unwrap_or_default();
    let used = fs::read_dir(&output).is_ok_and(|mut entries| entries.next().is_some());
    if used && !args.resume {
        return Err(Failure::Usage(format!("`{}` is not empty: give --resume to go on there", output.display())));
    }
    let bar = Bar::new();
    bar.begin("reading the manifests", None);
    let catalogue = Catalogue::read(&args.blobs, keys).map_err(failed)?;
    let wanted = catalogue.found.iter().filter(|found| args.versions || found.latest);
    bar.begin("unsealing (bytes)", Some(wanted.map(|found| found.size).sum()));
    let how = Restore { versions: args.versions, resume: args.resume, customer };
    let restored = catalogue.restore(&output, &how, &mut |found: &Found| bar.advance(found.size)).map_err(failed)?;
    bar.finish();
    let failures: Vec<_> = restored.failed.iter().map(|(what, why)| json!({ "record": what, "why": why.to_string() })).collect();
    let unopened: Vec<_> = catalogue.unopened.iter().map(ToString::to_string).collect();
    out.value(&json!({
        "written": restored.written,
        "bytes": restored.bytes,
        "already-there": restored.there,
        "failed": failures,
        "unopened": unopened,
    }))?;
    out.line(format!(
        "{} records, {} bytes, in `{}`; {} were there already",
        restored.written,
        restored.bytes,
        output.display(),
        restored.there
    ))?;
    let lines = restored.failed.iter().map(|(what, why)| format!("{what}: {why}")).chain(unopened);
    let lines: Vec<String> = lines.collect();
    for line in lines.iter().take(SHOWN) {
        out.line(line)?;
    }
    match lines.len() {
        0 => Ok(()),
        count => Err(Failure::Check(format!("{count} records did not come out"))),
    }
}

fn list(args: &UnsealArgs, keys: Keys, out: &mut Output<'_>) -> Result<(), Failure> {
    let catalogue = Catalogue::read(&args.blobs, keys).map_err(failed)?;
    let mut table = Table::new(["BUCKET", "KEY", "VERSION", "LATEST", "MODIFIED", "SIZE", "MISSING BLOBS", "MANIFEST"]);
    let mut values = Vec::new();
    for found in &catalogue.found {
        let Some((_, path)) = found.manifests.first() else { continue };
        let record = SealedRecord::open(path, &catalogue.keys, &args.blobs).map_err(failed)?;
        let missing = record.missing(&catalogue.folder);
        table.row([
            found.bucket.to_string(),
            found.key.as_str().to_owned(),
            found.version.to_string(),
            found.latest.to_string(),
            found.modified.to_rfc3339(),
            found.size.to_string(),
            missing.len().to_string(),
            path.display().to_string(),
        ]);
        values.push(json!({
            "bucket": found.bucket,
            "key": found.key,
            "version": found.version,
            "latest": found.latest,
            "modified": found.modified.to_rfc3339(),
            "size": found.size,
            "missing": missing.iter().map(|(piece, name)| format!("{piece}: {name}")).collect::<Vec<_>>(),
            "manifest": path,
        }));
    }
    let unopened: Vec<_> = catalogue.unopened.iter().map(ToString::to_string).collect();
    out.value(&json!({ "records": values, "unopened": unopened }))?;
    out.table(&table)?;
    for line in unopened.iter().take(SHOWN) {
        out.line(line)?;
    }
    Ok(())
}

fn failed_or_output(error: OneFailure) -> Failure {
    match error {
        OneFailure::Unseal(error) => failed(error),
        OneFailure::Output(error) => Failure::Output(error),
    }
}

/// What cannot be read or is in the way is a matter of the command; the rest, of the records.
pub(super) fn failed(error: UnsealError) -> Failure {
    match error {
        UnsealError::Io { path, source } if path == Path::new("standard output") => Failure::Output(source),
        UnsealError::KeyFile(_) | UnsealError::Exists(_) | UnsealError::NeedsCustomerKey(_) => Failure::Usage(error.to_string()),
        UnsealError::Io { .. } => Failure::Unreachable(error.to_string()),
        other => Failure::Check(other.to_string()),
    }
}
