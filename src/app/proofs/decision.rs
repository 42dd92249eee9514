//! The decision, with what the policy set that decided says of its instruments.

use crate::admin::GatewayError;
use crate::app::gateway::{AppGateway, internal};
use crate::audit::residence::{DecisionStatement, ExceptionStatement, InstrumentStatement};
use crate::index::{FolderSet, PolicyTexts, Record};
use crate::policy::{PolicyFile, PolicySet, UsedException};
use crate::types::{InstrumentId, PolicyRevision};

impl AppGateway {
    pub(super) async fn decision(&self, record: &Record) -> Result<DecisionStatement, GatewayError> {
        let placement = &record.detail.placement;
        let revision = placement.revision;
        let texts = self.objects.index.policy_texts(revision)?.filter(|texts| !texts.is_empty());
        let (set, files) = tokio::task::spawn_blocking(move || read(revision, texts)).await.map_err(internal)?;
        let told = |ids: &[InstrumentId]| ids.iter().map(|id| instrument(id, set.as_ref())).collect();
        Ok(DecisionStatement {
            revision,
            files,
            decided: placement.decided_at.to_rfc3339(),
            by: word(&placement.source),
            attributes: placement.attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            assumed: placement.assumed.iter().cloned().collect(),
            instruments: told(&placement.instruments),
            shadow: told(&placement.shadow),
            exceptions: placement.exceptions.iter().map(exception).collect(),
            entry: record.detail.entry,
        })
    }
}

/// The set of a revision, and the hash of its files. One that an earlier version of the program kept may not be readable any more.
fn read(revision: PolicyRevision, texts: Option<PolicyTexts>) -> (Option<PolicySet>, Option<String>) {
    let Some(texts) = texts else { return (None, None) };
    let hash = hex::encode(FolderSet::of(revision, &texts).texts);
    let files: Vec<PolicyFile> = texts.into_iter().map(|(path, text)| PolicyFile { path, text }).collect();
    (PolicySet::parse(&files).ok(), Some(hash))
}

fn instrument(id: &InstrumentId, set: Option<&PolicySet>) -> InstrumentStatement {
    let found = set.and_then(|set| set.instruments().iter().find(|instrument| instrument.id == *id));
    InstrumentStatement {
        id: id.clone(),
        title: found.map(|instrument| instrument.title.clone()),
        section: found.and_then(|instrument| instrument.section.clone()),
        legal_status: found.map(|instrument| word(&instrument.legal_status)),
        note: found.and_then(|instrument| instrument.note.clone()),
    }
}

fn exception(used: &UsedException) -> ExceptionStatement {
    ExceptionStatement {
        instrument: used.instrument.clone(),
        basis: used.basis.word().to_owned(),
        reference: used.reference.clone(),
        countries: used.countries.clone(),
    }
}

/// The word that files and rows have for it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}
