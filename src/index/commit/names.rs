//! Puts the ledger's own names into entries, in the place of pseudonyms that last as long as the installation.

use super::{
    group::{CACHED, Group, sealed},
    plan::{Draft, Planned},
};
use crate::{
    audit::{Event, Kind, ProviderCalls},
    index::{BucketId, IndexError, SubjectRow, directory::Entry, keys, names::SaltRow},
    kms::LedgerSalt,
    types::{Country, Generation, ObjectKey, Pseudonym},
};

impl Group<'_> {
    /// Gives the names of an event the form in which they stand in its entry. To be done once.
    ///
    /// What is about somebody who was erased, and is no reason to name them anew, gets no names at all: it tells of what was under way then.
    pub(super) fn name(&mut self, event: &mut Event) -> Result<(), IndexError> {
        for calls in &mut event.key_calls {
            self.name_calls(calls)?;
        }
        let Some(whose) = event.subject.or(event.whose) else { return Ok(()) };
        let prefix = event.query.as_ref().and_then(|query| query.prefix);
        if event.subject.or(event.key).or(prefix).is_none() {
            return Ok(());
        }
        let salt = match self.known_salt(&whose)? {
            Some(salt) => Some(salt),
            None if event.begins() || !self.was_erased(&whose)? => Some(self.begin_salt(&whose, event)?),
            None => None,
        };
        let pseudonyms = &self.inner.keys.pseudonyms;
        let named = |name: Pseudonym| salt.as_ref().map(|salt| pseudonyms.in_ledger(salt, &name));
        event.subject = event.subject.and_then(named);
        event.key = event.key.and_then(named);
        if let Some(query) = &mut event.query {
            query.prefix = query.prefix.and_then(named);
        }
        Ok(())
    }

    /// Says whose the key of a change is where its plan does not: a delete marker has no subject, what lies under it has.
    pub(super) fn with_whose(&self, mut draft: Draft, bucket: BucketId, key: &ObjectKey) -> Planned {
        if draft.whose.is_none() {
            draft.whose = self.inner.whose(bucket, key)?;
        }
        Ok(draft)
    }

    /// Calls are told of up to a second late. By then somebody can have been erased: they count as not named.
    fn name_calls(&mut self, calls: &mut ProviderCalls) -> Result<(), IndexError> {
        let mut names = Vec::with_capacity(calls.subjects.len());
        for subject in std::mem::take(&mut calls.subjects) {
            match self.known_salt(&subject)? {
                Some(salt) => names.push(self.inner.keys.pseudonyms.in_ledger(&salt, &subject)),
                None => calls.unnamed = calls.unnamed.saturating_add(1),
            }
        }
        // In the order of the pseudonyms they would go on telling where somebody stood who is erased by then.
        names.sort_unstable();
        calls.subjects = names;
        Ok(())
    }

    /// That of whatever is told of a subject; none where there is but one of questions.
    fn known_salt(&mut self, subject: &Pseudonym) -> Result<Option<LedgerSalt>, IndexError> {
        if let Some(salt) = self.state.salts.get(subject) {
            return Ok(Some(salt.clone()));
        }
        let kept: Option<SaltRow> = self.row(&keys::salt(subject))?;
        Ok(kept.filter(|kept| !kept.asked).map(|kept| {
            self.remember_salt(*subject, &kept.salt);
            kept.salt
        }))
    }

    /// That of questions where there is one, else a new one. What is told by `event` says whether it is for questions alone.
    fn begin_salt(&mut self, subject: &Pseudonym, event: &Event) -> Result<LedgerSalt, IndexError> {
        let of_questions: Option<SaltRow> = self.row(&keys::salt(subject))?;
        let asked = event.asks() && self.was_erased(subject)?;
        if let Some(kept) = of_questions.as_ref().filter(|_| asked) {
            return Ok(kept.salt.clone());
        }
        let row: Option<SubjectRow> = self.row(&keys::subject(subject))?;
        let row = row.map(|row| row.at(self.now));
        let salt = of_questions.map_or_else(LedgerSalt::random, |kept| kept.salt);
        let kept = SaltRow {
            salt: salt.clone(),
            country: self.told_in(row.as_ref().and_then(SubjectRow::residence), event),
            generation: row.map_or(Generation::default(), |row| row.generation),
            asked,
        };
        self.overlay.insert(keys::salt(subject), Some(sealed(&kept)?));
        if !asked {
            self.remember_salt(*subject, &salt);
        }
        Ok(salt)
    }

    fn remember_salt(&mut self, subject: Pseudonym, salt: &LedgerSalt) {
        if self.state.salts.len() >= CACHED {
            self.state.salts.clear();
        }
        self.state.salts.insert(subject, salt.clone());
    }

    /// Whether the last that is known of a subject is that it was erased; it can have come back since.
    fn was_erased(&self, subject: &Pseudonym) -> Result<bool, IndexError> {
        let row: Option<Entry> = self.row(&keys::subject(subject))?;
        Ok(row.is_some_and(|row| row.erased.is_some()))
    }

    /// Whose journal is told of a new salt: where the subject lives, else where what is stored of it lies.
    fn told_in(&self, residence: Option<Country>, event: &Event) -> Option<Country> {
        let stored = matches!(event.kind, Kind::PutObject | Kind::CopyObject | Kind::ImportObject | Kind::CreateUpload);
        let countries = residence.into_iter().chain(event.countries.iter().copied().filter(|_| stored));
        let chains = self.inner.journal.countries();
        countries.into_iter().find(|country| chains.contains(country))
    }
}
