//! From a request's signals to whose data it is and what is known of them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Directory, DirectoryEntry, PrincipalFacts, Refusal, Signals};
use crate::{
    policy::{AttributeRule, AttributeSource, Gateway, SubjectSource},
    types::{Attributes, Generation, SubjectId},
};

/// One signal that was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenSignal {
    /// What it is about: `subject` or an attribute's name.
    pub about: String,
    /// Where it was seen, as gateway.toml writes sources; `source record` for the records a copy reads.
    pub source: String,
    /// What it says.
    pub value: String,
}

/// Whose data it is and what is known.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub subject: Option<SubjectId>,
    /// Attributes whose sources agree.
    pub attributes: Attributes,
    /// Attributes whose sources differ: every value once, in the order of sources.
    pub disputed: Vec<(String, Vec<String>)>,
    pub generation: Generation,
    /// What each was read from, each source once.
    pub signals: BTreeMap<String, Vec<String>>,
    /// Every signal, for an explanation. Filled only when one is asked for.
    pub seen: Option<Vec<SeenSignal>>,
}

const SOURCE_RECORD: &str = "source record";
const STATED: &str = "import map";

impl Collected {
    /// Reads every signal. `self.seen` tells whether to keep them.
    pub(super) fn read(
        &mut self,
        gateway: &Gateway,
        principal: PrincipalFacts<'_>,
        signals: &Signals<'_>,
        directory: &dyn Directory,
    ) -> Result<(), Refusal> {
        self.read_subject(gateway, principal, signals)?;
        let Some(subject) = &self.subject else {
            // Something is known of somebody: that is not data of nobody.
            if signals.stated.is_some_and(|stated| !stated.attributes.is_empty()) {
                return Err(Refusal::Unknown { reason: format!("`{STATED}` has attributes, but nothing names a subject") });
            }
            return Ok(());
        };
        let entry = directory.lookup(subject).map_err(|_| Refusal::DirectoryUnavailable)?.unwrap_or_default();
        self.generation = entry.generation;
        for (name, rule) in &gateway.attributes {
            self.read_attribute(name, rule, principal, signals, &entry)?;
        }
        Ok(())
    }

    pub(super) fn read_subject(
        &mut self,
        gateway: &Gateway,
        principal: PrincipalFacts<'_>,
        signals: &Signals<'_>,
    ) -> Result<(), Refusal> {
        let mut found: Option<(SubjectId, String)> = None;
        for source in &gateway.subject {
            let values: Vec<&str> = match source {
                SubjectSource::Metadata(name) => signals.metadata.get(name).map(String::as_str).into_iter().collect(),
                SubjectSource::Tag(name) => tags(signals, name).collect(),
                SubjectSource::Key(template) => template.subject(signals.key.as_str()).into_iter().collect(),
                SubjectSource::Principal => principal.attributes.get("subject").map(String::as_str).into_iter().collect(),
            };
            for value in values {
                self.named(&mut found, source, value)?;
            }
        }
        for (source, value) in signals.stated.iter().flat_map(|stated| &stated.subjects) {
            self.named(&mut found, source, value)?;
        }
        for record in signals.sources {
            if let Some(subject) = &record.subject {
                self.see("subject", &SOURCE_RECORD, subject.as_str());
                agree(&mut found, subject.clone(), SOURCE_RECORD.to_owned())?;
            }
        }
        self.subject = found.map(|(subject, _)| subject);
        Ok(())
    }

    /// Takes what a source says as the subject, if that is one and no other has been named.
    fn named(
        &mut self,
        found: &mut Option<(SubjectId, String)>,
        source: &dyn std::fmt::Display,
        value: &str,
    ) -> Result<(), Refusal> {
        let subject = SubjectId::new(value)
            .map_err(|error| Refusal::Unknown { reason: format!("the subject that `{source}` names is malformed: {error}") })?;
        self.see("subject", source, value);
        agree(found, subject, source.to_string())
    }

    fn read_attribute(
        &mut self,
        name: &str,
        rule: &AttributeRule,
        principal: PrincipalFacts<'_>,
        signals: &Signals<'_>,
        entry: &DirectoryEntry,
    ) -> Result<(), Refusal> {
        let mut values: Vec<String> = Vec::new();
        for source in &rule.from {
            let given: Vec<&str> = match source {
                AttributeSource::Directory => entry.attributes.get(name).map(String::as_str).into_iter().collect(),
                AttributeSource::Metadata(key) => signals.metadata.get(key).map(String::as_str).into_iter().collect(),
                AttributeSource::Tag(key) => tags(signals, key).collect(),
                AttributeSource::Principal => principal.attributes.get(name).map(String::as_str).into_iter().collect(),
            };
            for value in given {
                self.see(name, source, value);
                push_new(&mut values, normal(name, rule, source, value)?);
            }
        }
        if let Some(value) = signals.stated.and_then(|stated| stated.attributes.get(name)) {
            self.see(name, &STATED, value);
            push_new(&mut values, normal(name, rule, &STATED, value)?);
        }
        // What was known where the bytes come from fills what the destination leaves open. Where the two differ, both count: the decision is the
        // meet of the destination and of every place the bytes have been.
        let from_sources = values.is_empty();
        for record in signals.sources {
            if let Some(value) = record.attributes.get(name) {
                self.see(name, &SOURCE_RECORD, value);
                if from_sources {
                    push_new(&mut values, value.clone());
                }
            }
        }
        match values.len() {
            0 => {}
            1 => self.attributes.extend(values.pop().map(|value| (name.to_owned(), value))),
            _ => self.disputed.push((name.to_owned(), values)),
        }
        Ok(())
    }

    fn see(&mut self, about: &str, source: &dyn std::fmt::Display, value: &str) {
        let sources = self.signals.entry(about.to_owned()).or_default();
        let source = source.to_string();
        if let Some(seen) = &mut self.seen {
            seen.push(SeenSignal { about: about.to_owned(), source: source.clone(), value: value.to_owned() });
        }
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
}

/// The values of a tag. A request that gives a tag twice gives two signals.
fn tags<'s>(signals: &Signals<'s>, name: &str) -> impl Iterator<Item = &'s str> {
    signals.tags.iter().filter(move |(tag, _)| tag == name).map(|(_, value)| value.as_str())
}

fn agree(found: &mut Option<(SubjectId, String)>, subject: SubjectId, source: String) -> Result<(), Refusal> {
    match found {
        None => *found = Some((subject, source)),
        Some((other, first)) if *other != subject => {
            return Err(Refusal::Conflict { reason: format!("`{first}` and `{source}` name different subjects") });
        }
        Some(_) => {}
    }
    Ok(())
}

fn normal(name: &str, rule: &AttributeRule, source: &dyn std::fmt::Display, value: &str) -> Result<String, Refusal> {
    let reason = || format!("`{name}` from `{source}` is not {}", rule.kind.describe());
    rule.kind.normalise(value).ok_or_else(|| Refusal::Unknown { reason: reason() })
}

fn push_new(values: &mut Vec<String>, value: String) {
    if !values.contains(&value) {
        values.push(value);
    }
}
