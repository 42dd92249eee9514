//! What the policy in force says of a record that is stored: who may read it, and how long it is kept.

use std::borrow::Cow;

use super::{Origin, PlacementRecord, Refusal, Residency, place::today};
use crate::{
    policy::{Facts, PolicySet, RetentionTerms, UsedException},
    types::{Attributes, BucketName, Country, ObjectKey, Timestamp},
};

impl Residency {
    /// Whether the content of a stored record may be opened for a reader who processes in `reader` ([`Residency::reader_country`]): every instrument in
    /// force that binds the record, or a place where its bytes have been, has to allow that country and the gateway's own. Answers with the
    /// exceptions that this leans on.
    ///
    /// Looks at what the record keeps and at nothing else. Costs next to nothing while no instrument says anything of processing.
    ///
    /// # Errors
    /// [`Refusal::Denied`] with the instruments that do not allow it.
    pub fn read_permission(
        &self,
        stored: &PlacementRecord,
        bucket: &BucketName,
        key: &ObjectKey,
        reader: Option<Country>,
    ) -> Result<Vec<UsedException>, Refusal> {
        let set = self.policies.load();
        if !set.restricts_processing() {
            return Ok(Vec::new());
        }
        let today = today(self.clock.now());
        let processing = stored.ask(&set, bucket, key, today, |destination, sources| set.processing(destination, sources));
        let mut used = processing.allow(reader)?;
        if reader != self.country {
            for exception in processing.allow(self.country)? {
                if !used.contains(&exception) {
                    used.push(exception);
                }
            }
        }
        Ok(used)
    }

    /// How long the instruments in force keep a stored version of that date, at least and at the most. Costs next to nothing while no instrument says
    /// anything of retention.
    pub fn retention(&self, stored: &PlacementRecord, bucket: &BucketName, key: &ObjectKey, date: Timestamp) -> RetentionTerms {
        let set = self.policies.load();
        if !set.keeps() {
            return RetentionTerms::default();
        }
        let today = today(self.clock.now());
        stored.ask(&set, bucket, key, today, |destination, sources| set.retention(destination, sources)).of_version(date)
    }
}

impl PlacementRecord {
    /// Asks a set of the record as it is kept, and of the places where its bytes have been.
    fn ask<T>(
        &self,
        set: &PolicySet,
        bucket: &BucketName,
        key: &ObjectKey,
        today: time::Date,
        ask: impl FnOnce(&Facts<'_>, &[Facts<'_>]) -> T,
    ) -> T {
        let attributes = self.attributes_under(set);
        let destination = Facts {
            has_subject: self.subject.is_some(),
            attributes: &attributes,
            bucket,
            key: Some(key),
            principal: &self.principal,
            principal_country: self.principal_country,
            today,
        };
        let sources: Vec<Facts<'_>> = self.origins.iter().map(|origin| Origin::facts(origin, today)).collect();
        ask(&destination, &sources)
    }

    /// What was known of the subject, with what `set` assumes where nothing was. What an earlier set assumed and this one does not stays until the record
    /// is decided anew: until then, what bound it binds it.
    fn attributes_under(&self, set: &PolicySet) -> Cow<'_, Attributes> {
        let known = |name: &str| self.attributes.contains_key(name) && !self.assumed.contains(name);
        let assumed_anew =
            |(name, value): &(&str, &str)| !known(name) && self.attributes.get(*name).map(String::as_str) != Some(value);
        if self.subject.is_none() || !set.assumptions().any(|assumption| assumed_anew(&assumption)) {
            return Cow::Borrowed(&self.attributes);
        }
        let mut attributes = self.attributes.clone();
        for (name, value) in set.assumptions().filter(assumed_anew) {
            attributes.insert(name.to_owned(), value.to_owned());
        }
        Cow::Owned(attributes)
    }
}
