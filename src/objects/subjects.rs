//! The subject directory's one way of changing, recorded in the ledger.

use crate::audit::{Actor, Event, Kind};
use crate::index::Change;
use crate::objects::{ObjectError, Objects};
use crate::types::{Attributes, Generation, RequestId, SubjectId};

impl Objects {
    /// Sets a subject's attributes, or forgets them with `None`. Records already written stay where they are until they are
    /// relocated; decisions from now on see the new attributes.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn set_subject(
        &self,
        request: &RequestId,
        actor: &Actor,
        subject: &SubjectId,
        attributes: Option<Attributes>,
    ) -> Result<Generation, ObjectError> {
        let kind = if attributes.is_some() { Kind::SubjectSet } else { Kind::SubjectRemoved };
        let event = Event {
            request: Some(request.clone()),
            subject: Some(self.pseudonyms.subject(subject)),
            ..Event::new(kind, actor.clone())
        };
        self.index.commit(Change::Subject { id: subject.clone(), attributes }, event).await?;
        Ok(self.index.subject(subject)?.map_or(Generation::default(), |row| row.generation))
    }
}
