//! From files to a policy set.

mod conditions;
mod exception;
mod gateway;
mod instrument;
mod values;

pub(super) use conditions::Known;

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Gateway, Instrument, PolicyFile, PolicySet, cases};
use crate::{
    diagnostics::{Diagnostic, Diagnostics, Document, Severity, Table, nearest},
    digest::sha256,
    types::{InstrumentId, PolicyRevision},
};

const GATEWAY: &str = "gateway.toml";
const POLICY: &str = "policy.toml";
const CASES: &str = "cases.toml";

/// Reads all files of a policy folder.
pub(super) fn set(files: &[PolicyFile]) -> Result<PolicySet, Vec<Diagnostic>> {
    let sink = Diagnostics::new();
    let gateway = gateway(files, &sink);
    let known = gateway.as_ref();
    let mut instruments: BTreeMap<InstrumentId, Instrument> = BTreeMap::new();
    let mut cases = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".toml") && file.path != GATEWAY) {
        match file.path.split('/').collect::<Vec<_>>().as_slice() {
            [folder, POLICY] => {
                let Some(instrument) = document(file, &sink, |table| instrument::read(table, folder, known, &sink)) else {
                    continue;
                };
                if let Some(twin) = instruments.insert(instrument.id.clone(), instrument) {
                    sink.report(twin.origin.diagnostic(Severity::Error, format!("`{}` is there twice", twin.id), None));
                }
            }
            [_, CASES] | [CASES] => {
                cases.extend(document(file, &sink, |table| cases::read(table, known)).unwrap_or_default());
            }
            _ => sink.report(unexpected(&file.path)),
        }
    }
    let Some(gateway) = gateway.filter(|_| !sink.has_errors()) else {
        return Err(sink.into_sorted());
    };
    let instruments: Vec<Instrument> = instruments.into_values().collect();
    let revision = revision(&gateway, &instruments);
    Ok(PolicySet::new(gateway, instruments, cases, revision, sink.into_sorted()))
}

fn gateway(files: &[PolicyFile], sink: &Diagnostics) -> Option<Gateway> {
    let Some(file) = files.iter().find(|file| file.path == GATEWAY) else {
        let hint = "it says how a request names its subject; begin with the one that comes with Domicile".to_owned();
        sink.report(Diagnostic::of_file(GATEWAY, "the policy folder has no `gateway.toml`", Some(hint)));
        return None;
    };
    document(file, sink, gateway::read)
}

/// Reads one file: its syntax, its version and whatever `read` takes from it; then reports the keys that nobody asked for.
fn document<T>(file: &PolicyFile, sink: &Diagnostics, read: impl FnOnce(&Table<'_>) -> Option<T>) -> Option<T> {
    let document = match Document::parse(&file.path, &file.text) {
        Ok(document) => document,
        Err(diagnostic) => {
            sink.report(diagnostic);
            return None;
        }
    };
    let table = document.root(sink);
    if let Some(item) = table.required("version")
        && let Some(version) = item.u64()
        && version != 1
    {
        item.error(format!("version {version} is not known"), Some("this gateway reads version 1".to_owned()));
    }
    let value = read(&table);
    table.finish();
    value
}

fn unexpected(path: &str) -> Diagnostic {
    let name = path.rsplit('/').next().unwrap_or(path);
    let hint = match nearest(name, [GATEWAY, POLICY, CASES]) {
        Some(near) if near != name => format!("did you mean `{near}`?"),
        _ => "a policy folder has `gateway.toml`, `cases.toml`, `<instrument>/policy.toml` and `<instrument>/cases.toml`"
            .to_owned(),
    };
    Diagnostic::of_file(path, "not a file of a policy folder", Some(hint))
}

fn revision(gateway: &Gateway, instruments: &[Instrument]) -> PolicyRevision {
    #[derive(Serialize)]
    struct Normalised<'a> {
        format: &'static str,
        gateway: &'a Gateway,
        instruments: &'a [Instrument],
    }
    let normalised = Normalised { format: "domicile policy set 1", gateway, instruments };
    // Strings, lists and maps with string keys always have a JSON form.
    let text = serde_json::to_vec(&normalised).unwrap_or_default();
    PolicyRevision::from_bytes(sha256(&text))
}
