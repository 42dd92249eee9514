//! What is said of subjects, and what comes to hold of them.

use super::{
    group::{Group, sealed},
    plan::{Draft, Planned},
};
use crate::{
    index::{
        CommitError, SubjectChange, SubjectRow,
        directory::UnsettledRow,
        keys::{self, Secondary},
    },
    types::{Generation, Pseudonym},
};

impl Group<'_> {
    pub(super) fn subject(&self, change: SubjectChange) -> Planned {
        let SubjectChange { subject, keep_id, saying } = change;
        let name = self.inner.keys.pseudonyms.subject(&subject);
        let stored: Option<SubjectRow> = self.row(&keys::subject(&name))?;
        let mut row = stored.clone().map_or_else(|| SubjectRow::unknown(Generation::default()), |row| row.at(self.now));
        let mut draft = Draft::default();
        if !row.say(saying, self.now).map_err(|_| CommitError::TooMuchToCome)? {
            draft.committed.unchanged = true;
            return Ok(draft);
        }
        row.id = keep_id.then_some(subject);
        self.rewrite(draft, &name, stored, row)
    }

    pub(super) fn due(&self, name: &Pseudonym) -> Planned {
        let stored: Option<SubjectRow> = self.row(&keys::subject(name))?;
        let Some(row) = stored.clone().map(|row| row.at(self.now)).filter(|row| Some(row) != stored.as_ref()) else {
            return Err(CommitError::Conflict);
        };
        self.rewrite(Draft::default(), name, stored, row)
    }

    /// Writes a subject's row anew, and what follows from it.
    fn rewrite(&self, mut draft: Draft, name: &Pseudonym, stored: Option<SubjectRow>, mut row: SubjectRow) -> Planned {
        let before = stored.unwrap_or_else(|| SubjectRow::unknown(Generation::default()));
        row.told = before.told_in().collect();
        // What is stored of the subject may have to live elsewhere now.
        if before.attributes != row.attributes && self.has_rows(&Secondary::Subject(name).prefix())? {
            let unsettled = UnsettledRow { generation: row.generation, since: self.now };
            draft.put(keys::unsettled(name), sealed(&unsettled)?);
        }
        let is_among = |row: &SubjectRow, time| row.coming.iter().any(|next| next.effective == time);
        for gone in before.coming.iter().filter(|next| !is_among(&row, next.effective)) {
            draft.delete(keys::appointed(gone.effective, name));
        }
        for new in row.coming.iter().filter(|next| !is_among(&before, next.effective)) {
            draft.put(keys::appointed(new.effective, name), super::group::Body::Clear(Vec::new()));
        }
        draft.put(keys::subject(name), sealed(&row)?);
        Ok(draft)
    }

    pub(super) fn settled(&self, subject: &Pseudonym, generation: Generation) -> Planned {
        let row = keys::unsettled(subject);
        let mut draft = Draft::default();
        if self.row::<UnsettledRow>(&row)?.is_some_and(|unsettled| unsettled.generation <= generation) {
            draft.delete(row);
        }
        Ok(draft)
    }
}
