//! Ledger entries as people read them.

use serde::Deserialize;
use serde_json::Value;

use super::filters::encoded;
use crate::admin::RecordView;

/// One entry, as far as it is shown. What is not known of it is left out: later versions add fields and kinds.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) time: String,
    pub(super) kind: String,
    #[serde(deserialize_with = "actor")]
    pub(super) actor: String,
    pub(super) countries: Vec<String>,
    pub(super) sites: Vec<String>,
    pub(super) instruments: Vec<String>,
    #[serde(rename = "outcome", deserialize_with = "refused")]
    pub(super) refused: Option<String>,
    pub(super) suppressed: u64,
    pub(super) exceptions: Vec<Exception>,
    finding: Option<String>,
    query: Option<Question>,
    left: Vec<String>,
    record: Option<String>,
    /// Where the residency proof of the record is that it wrote, as long as that can be had.
    #[serde(skip)]
    pub(super) proof: Option<String>,
}

/// An exception that a placement leans on.
#[derive(Debug, Deserialize)]
pub(super) struct Exception {
    pub(super) instrument: String,
    pub(super) countries: Vec<String>,
    pub(super) reference: String,
}

#[derive(Debug, Deserialize)]
struct Question {
    route: String,
}

impl Entry {
    /// Reads one line.
    pub(super) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// Reads one that is parsed already.
    pub(super) fn of(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }

    /// Whether it says where a record is placed.
    pub(super) fn is_placement(&self) -> bool {
        let places = ["put-object", "copy-object", "import-object", "complete-upload", "relocated"];
        self.refused.is_none() && places.contains(&self.kind.as_str())
    }

    /// Finds the residency proof of the record that it places among those of the versions that a key still has: the ledger itself names no
    /// key that could be asked for.
    pub(super) fn prove_by(&mut self, versions: &[RecordView]) {
        let Some(record) = self.record.as_ref().filter(|_| self.is_placement()) else { return };
        self.proof = versions.iter().find(|version| version.record.to_string() == *record).map(proof_of);
    }

    /// The kind in words.
    pub(super) fn what(&self) -> String {
        let words = self.kind.replace('-', " ");
        let mut letters = words.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }

    /// What further matters of it.
    pub(super) fn more(&self) -> Option<String> {
        let left = || (!self.left.is_empty()).then(|| format!("left {}", self.left.join(", ")));
        self.query.as_ref().map(|query| query.route.clone()).or_else(|| self.finding.clone()).or_else(left)
    }
}

/// Where the residency proof of a version is.
pub(super) fn proof_of(version: &RecordView) -> String {
    let (bucket, key) = (encoded(version.bucket.as_str()), encoded(version.key.as_str()));
    format!("/console/record/proof.json?bucket={bucket}&key={key}&version={}", encoded(&version.version.to_string()))
}

fn actor<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(match value.as_object().and_then(|object| object.iter().next()) {
        Some((kind, token)) if kind == "token" => format!("{} ({})", text(&token["id"]), text(&token["role"])),
        Some((kind, name)) => format!("{} {}", kind.replace('-', " "), text(name).chars().take(12).collect::<String>()),
        None => text(&value),
    })
}

fn refused<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.pointer("/refused/code").and_then(Value::as_str).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_are_written() {
        let entry = Entry::read(
            r#"{"v":1,"seq":6,"time":"2026-11-29T08:00:00.000Z","kind":"put-object","actor":{"principal":"5f0c00112233445566"},"countries":["PK"],"sites":["pk-khi"],"outcome":{"refused":{"code":"ResidencyConflict"}},"suppressed":3,"exceptions":[{"instrument":"cn-pipl","basis":"contract","reference":"dossier 7","countries":["SG"]}],"new":1}"#,
        )
        .unwrap();
        assert_eq!((entry.seq, entry.what().as_str(), entry.actor.as_str()), (6, "Put object", "principal 5f0c00112233"));
        assert_eq!((entry.refused.as_deref(), entry.suppressed), (Some("ResidencyConflict"), 3));
        assert_eq!(entry.exceptions[0].reference, "dossier 7");
        let question = r#"{"seq":7,"time":"t","kind":"audit-query","actor":{"token":{"role":"auditor","id":"auditor-1"}},"outcome":"ok","query":{"route":"GET /v1/records"}}"#;
        let entry = Entry::read(question).unwrap();
        assert_eq!((entry.actor.as_str(), entry.more().as_deref()), ("auditor-1 (auditor)", Some("GET /v1/records")));
        assert_eq!(entry.refused, None);
        assert!(Entry::read("no entry").is_none());
    }
}
