//! `gateway.toml`: how a request names its subject, and what happens when it doesn't.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Serialize, Serializer};

use super::pattern::{Glob, KeyTemplate};
use crate::types::{BucketName, Country};

/// The gateway's own rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gateway {
    /// Where the subject is named. Every source is read; two that differ are a conflict.
    pub subject: Vec<SubjectSource>,
    /// What has to be known of a subject, by attribute.
    pub attributes: BTreeMap<String, AttributeRule>,
    /// What happens to data of nobody.
    pub no_subject: NoSubject,
    /// The countries of a subject's records that no instrument places.
    pub default: Vec<Country>,
    /// Countries where nothing is ever stored.
    pub exclude: BTreeSet<Country>,
    /// Lists of countries that policies name as `@name`. Wherever one is named, its countries stand instead.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<Country>>,
}

impl Gateway {
    /// The names of the user metadata that says whose data a record is, or what is known of them.
    pub fn metadata(&self) -> impl Iterator<Item = &str> {
        let subject = self.subject.iter().filter_map(|source| match source {
            SubjectSource::Metadata(name) => Some(name.as_str()),
            _ => None,
        });
        let attributes = self.attributes.values().flat_map(|rule| &rule.from).filter_map(|source| match source {
            AttributeSource::Metadata(name) => Some(name.as_str()),
            _ => None,
        });
        subject.chain(attributes)
    }
}

/// A place where a request can name its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectSource {
    /// `metadata:NAME`: the user metadata `x-amz-meta-NAME`.
    Metadata(String),
    /// `tag:NAME`: the tag of that name given with the request.
    Tag(String),
    /// `key:TEMPLATE`: a part of the object key.
    Key(KeyTemplate),
    /// `principal`: the attribute `subject` of the principal.
    Principal,
}

/// A place where an attribute of a subject can be known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeSource {
    /// `directory`: the gateway's subject directory.
    Directory,
    /// `metadata:NAME`: the user metadata `x-amz-meta-NAME`.
    Metadata(String),
    /// `tag:NAME`: the tag of that name given with the request.
    Tag(String),
    /// `principal`: the attribute of the same name of the principal.
    Principal,
}

/// How one attribute becomes known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttributeRule {
    /// The sources. Every one is read.
    pub from: Vec<AttributeSource>,
    /// The form of its values.
    pub kind: AttributeKind,
    /// What happens when two sources differ.
    pub conflict: OnConflict,
    /// What happens when no source knows it.
    pub unknown: OnUnknown,
}

/// The form of an attribute's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttributeKind {
    /// An ISO 3166-1 alpha-2 code; either case is accepted and made upper.
    Country,
    /// Any text of 1 to 256 bytes without control characters, compared exactly.
    Text,
}

/// What happens when two sources of an attribute differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnConflict {
    /// The write is refused.
    Reject,
    /// The value whose decision allows the least is taken: the one whose permitted countries are a subset of every other's; among equals,
    /// the one that requires at least what the others require, of copies and of keys. A value that is denied allows nothing. When no value is at
    /// least as strict as every other, none is strictest and the write is refused.
    Strictest,
}

/// What happens when no source knows an attribute of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnknown {
    /// The write is refused.
    Reject,
    /// The attribute stays unknown, and no condition on it holds. For attributes that most subjects lack.
    Omit,
    /// This value is taken.
    Assume(String),
}

/// What happens to records without a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoSubject {
    /// The countries of buckets, most specific pattern first.
    pub buckets: Vec<(Glob, Vec<Country>)>,
    /// The countries of all other buckets.
    pub otherwise: Otherwise,
}

/// What happens to records without a subject in a bucket that no pattern fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Otherwise {
    /// The write is refused.
    Reject,
    /// They live in these countries.
    Countries(Vec<Country>),
}

impl NoSubject {
    /// The countries of the most specific pattern that fits: the one with most characters that are not `*`, the first in the alphabet among
    /// equals.
    pub(super) fn bucket(&self, bucket: &BucketName) -> Option<&[Country]> {
        self.buckets.iter().find(|(glob, _)| glob.matches(bucket.as_str())).map(|(_, countries)| countries.as_slice())
    }
}

impl fmt::Display for SubjectSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(name) => write!(f, "metadata:{name}"),
            Self::Tag(name) => write!(f, "tag:{name}"),
            Self::Key(template) => write!(f, "key:{template}"),
            Self::Principal => f.write_str("principal"),
        }
    }
}

impl fmt::Display for AttributeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("directory"),
            Self::Metadata(name) => write!(f, "metadata:{name}"),
            Self::Tag(name) => write!(f, "tag:{name}"),
            Self::Principal => f.write_str("principal"),
        }
    }
}

impl Serialize for SubjectSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for AttributeSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl AttributeKind {
    /// The value in its normal form; `None` when it does not have the form.
    pub fn normalise(self, value: &str) -> Option<String> {
        match self {
            Self::Country => value.parse::<Country>().ok().map(|country| country.to_string()),
            Self::Text => {
                let fits = (1..=256).contains(&value.len()) && !value.chars().any(char::is_control);
                fits.then(|| value.to_owned())
            }
        }
    }

    /// The form in words, for messages.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Country => "an ISO 3166-1 alpha-2 country code such as `PK`",
            Self::Text => "a text of 1 to 256 bytes without control characters",
        }
    }
}
