//! Facts made up to show something.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{
    policy::Facts,
    types::{Attributes, BucketName, Country, ObjectKey, PrincipalId},
};

/// One request that shows a clash or a change. Its names are made up; what the policies ask of it is exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Example {
    /// Whether the record is somebody's.
    pub subject: bool,
    /// What is known of the subject.
    pub attributes: Attributes,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Who writes.
    pub principal: PrincipalId,
    /// Where the writer processes.
    pub principal_country: Option<Country>,
    /// The day (UTC).
    #[serde(serialize_with = "iso")]
    pub date: time::Date,
    /// What of it matters, in words: the rest could be anything.
    #[serde(skip)]
    pub(super) told: Vec<String>,
}

impl Example {
    /// As the policies see it.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            has_subject: self.subject,
            attributes: &self.attributes,
            bucket: &self.bucket,
            key: Some(&self.key),
            principal: &self.principal,
            principal_country: self.principal_country,
            today: self.date,
        }
    }
}

impl fmt::Display for Example {
    /// Only what matters: `residence = PK, bucket = media-a`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.told.is_empty() { f.write_str("any record") } else { f.write_str(&self.told.join(", ")) }
    }
}

fn iso<S: Serializer>(date: &time::Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}
