//! What is imported, from where to where, and what the operator says of it.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use crate::{
    authn::TokenIdentity,
    objects::Pace,
    policy::KeyTemplate,
    residency::Stated,
    types::{Attributes, BucketName, InvalidName, ObjectKey, PrincipalId, RequestId, SourceId},
};

/// An import as it was ordered.
#[derive(Debug, Clone)]
pub struct Order {
    /// The request that ordered it: it stands in the ledger's entry of every object.
    pub request: RequestId,
    /// Who ordered it.
    pub who: TokenIdentity,
    /// In whose name objects are written: what this principal may not write is refused.
    pub principal: PrincipalId,
    /// The source.
    pub source: SourceId,
    /// The bucket there.
    pub bucket: String,
    /// Only keys that begin so.
    pub prefix: String,
    /// The bucket to write to.
    pub to: BucketName,
    /// What keys begin with instead of `prefix`; they stay as they are when absent.
    pub to_prefix: Option<String>,
    /// Where keys at the source name the subject, beside what the policies read.
    pub template: Option<KeyTemplate>,
    /// Whether objects are removed at the source once their records have been read back.
    pub delete_source: bool,
    /// Whether other objects that are at a key already are replaced.
    pub overwrite: bool,
    /// Whether it only plans.
    pub dry_run: bool,
    /// How fast it may go.
    pub pace: Pace,
    /// Objects at the same time.
    pub concurrency: usize,
    /// How often what fails is tried again.
    pub retries: u32,
}

/// What the operator says of objects, by their keys at the source.
#[derive(Debug, Default)]
pub struct SubjectMap(HashMap<String, MapRow>);

/// What the operator says of one object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapRow {
    /// Its key at the source.
    pub key: String,
    /// Whose data it is.
    pub subject: Option<String>,
    /// What is known of the subject.
    #[serde(default)]
    pub attributes: Attributes,
}

/// A map says two things of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the map says something else of this key before")]
pub struct Twice;

impl Order {
    /// Retries of an order that somebody waits for: with the pauses between them, a quarter of a minute for each object.
    pub const RETRIES: u32 = 4;

    /// Where an object goes.
    pub(super) fn target(&self, key: &str) -> Result<ObjectKey, InvalidName> {
        match (&self.to_prefix, key.strip_prefix(&self.prefix)) {
            (Some(prefix), Some(rest)) => ObjectKey::new(format!("{prefix}{rest}")),
            _ => ObjectKey::new(key),
        }
    }

    /// What the operator says of an object.
    pub(super) fn stated(&self, key: &str, map: &SubjectMap) -> Stated {
        let mut stated = Stated::default();
        if let Some(subject) = self.template.as_ref().and_then(|template| template.subject(key)) {
            stated.subjects.push(("import template", subject.to_owned()));
        }
        if let Some(row) = map.0.get(key) {
            stated.subjects.extend(row.subject.clone().map(|subject| ("import map", subject)));
            stated.attributes.clone_from(&row.attributes);
        }
        stated
    }
}

impl SubjectMap {
    /// Adds a row. The same one again changes nothing.
    ///
    /// # Errors
    /// [`Twice`] when another one is of the same key.
    pub fn add(&mut self, row: MapRow) -> Result<(), Twice> {
        match self.0.get(&row.key) {
            Some(other) if *other != row => Err(Twice),
            Some(_) => Ok(()),
            None => {
                self.0.insert(row.key.clone(), row);
                Ok(())
            }
        }
    }

    /// How many objects it knows of.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it knows of none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The attributes that it names.
    pub fn attributes(&self) -> HashSet<&str> {
        self.0.values().flat_map(|row| row.attributes.keys().map(String::as_str)).collect()
    }
}
