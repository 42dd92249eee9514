//! What a request says about whose data it carries.

use std::collections::BTreeMap;

use super::Origin;
use crate::{
    authn::{ANONYMOUS, Principal},
    types::{Attributes, BucketName, Country, ObjectKey, PrincipalId, SubjectId},
};

/// The signals of one request, all from its signed part.
#[derive(Debug, Clone, Copy)]
pub struct Signals<'a> {
    /// The bucket written to.
    pub bucket: &'a BucketName,
    /// The key written to.
    pub key: &'a ObjectKey,
    /// User metadata; names in lower case without `x-amz-meta-`.
    pub metadata: &'a BTreeMap<String, String>,
    /// Tags as the request gives them.
    pub tags: &'a [(String, String)],
    /// The records a copy reads from; empty for a write of new bytes.
    pub sources: &'a [SourceFacts],
    /// What an operator says who brings the bytes; `None` for what a client writes.
    pub stated: Option<&'a Stated>,
}

/// What an operator says of an object that he brings, beside what it says of itself. Signals like any other: they have to agree with those
/// that the policies read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    /// Subjects as they were said, each with where.
    pub subjects: Vec<(&'static str, String)>,
    /// What is known of the subject.
    pub attributes: Attributes,
}

/// A record that a copy reads from. Made by [`PlacementRecord::as_source`](super::PlacementRecord::as_source).
#[derive(Debug, Clone)]
pub struct SourceFacts {
    /// Whose data it is.
    pub subject: Option<SubjectId>,
    /// What was known of the subject when it was placed.
    pub attributes: Attributes,
    /// Where it is.
    pub bucket: BucketName,
    /// Where it is.
    pub key: ObjectKey,
    /// Who wrote it; `None` when the record does not say.
    pub principal: Option<PrincipalId>,
    /// Where whoever wrote it processed; `None` when the record does not say.
    pub principal_country: Option<Country>,
    /// Where its bytes had been before, when it is a copy itself.
    pub origins: Vec<Origin>,
}

/// What a placement asks of a principal.
#[derive(Debug, Clone, Copy)]
pub struct PrincipalFacts<'a> {
    /// Its name.
    pub id: &'a PrincipalId,
    /// What it says of the people it speaks for.
    pub attributes: &'a Attributes,
    /// Where it processes; `None` when nobody knows.
    pub country: Option<Country>,
}

impl<'a> PrincipalFacts<'a> {
    /// Those of `principal` at a gateway in `gateway`, where a principal processes whose own country is not known. Of whoever does not sign nobody
    /// knows where it is.
    pub fn at(principal: &'a Principal, gateway: Option<Country>) -> Self {
        let country = principal.country.or(gateway).filter(|_| principal.id.as_str() != ANONYMOUS);
        Self { id: &principal.id, attributes: &principal.attributes, country }
    }
}
