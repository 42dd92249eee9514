//! The subject directory's ways of changing, recorded in the ledger: by what is said of subjects, and by time.

use std::time::Duration;

use futures_util::future::join_all;

use crate::audit::{Actor, Event, Kind};
use crate::index::{Change, CommitError, IndexError, Saying, SubjectChange};
use crate::objects::{ObjectError, Objects};
use crate::types::{Attributes, Generation, Pseudonym, RequestId, SubjectId};

/// Changes that take effect together: as many as the committer queues at once.
const TOGETHER: usize = 512;

/// What the directory keeps of a subject's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DirectoryIds {
    /// The id, sealed.
    #[default]
    Kept,
    /// A keyed hash of it alone.
    Hashed,
}

/// What came of something that was said of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It is kept, and holds from its day on.
    Changed,
    /// It had been known before.
    Unchanged,
    /// It is refused: more is to come of the subject than its entry takes.
    TooMuch,
}

impl Objects {
    /// Takes what is said of a subject. Where it changes what holds now, decisions from now on see it, and the subject's records follow;
    /// what is to hold later comes to hold by itself.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn say_of_subject(
        &self,
        request: &RequestId,
        actor: &Actor,
        subject: &SubjectId,
        saying: Saying,
    ) -> Result<Said, ObjectError> {
        let kind = if saying.attributes.is_some() { Kind::SubjectSet } else { Kind::SubjectRemoved };
        let event = Event {
            request: Some(request.clone()),
            subject: Some(self.pseudonyms.subject(subject)),
            effective: saying.effective.map(|effective| effective.to_rfc3339()),
            record_refusal: true,
            ..Event::new(kind, actor.clone())
        };
        let keep_id = self.directory_ids == DirectoryIds::Kept;
        let change = Change::Subject(Box::new(SubjectChange { subject: subject.clone(), keep_id, saying }));
        match self.index.commit(change, event).await {
            Ok(committed) if committed.unchanged => Ok(Said::Unchanged),
            Ok(_) => Ok(Said::Changed),
            Err(CommitError::TooMuchToCome) => Ok(Said::TooMuch),
            Err(other) => Err(other.into()),
        }
    }

    /// Sets a subject's attributes from now on, or forgets them with `None`.
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
        self.say_of_subject(request, actor, subject, Saying { attributes, ..Saying::default() }).await?;
        Ok(self.index.subject(subject)?.map_or(Generation::default(), |row| row.generation))
    }

    /// Writes down what has come to hold until the task is dropped. Meant to be spawned once. Decisions do not wait for it; the records of
    /// whom it is about do.
    pub async fn keep_directory(&self, pause: Duration) {
        loop {
            if let Err(error) = self.take_effect_round().await {
                tracing::warn!(%error, "changes of the subject directory whose time has come");
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Writes down everything that has come to hold; answers of how many subjects.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn take_effect_round(&self) -> Result<usize, IndexError> {
        let mut all = 0;
        loop {
            let due = self.index.due(TOGETHER).await?;
            let mut done = 0;
            for outcome in join_all(due.iter().map(|subject| self.take_effect(*subject))).await {
                done += usize::from(outcome?);
            }
            all += done;
            // What was not done now, a clock that was set back can explain: the next round looks again.
            if due.len() < TOGETHER || done == 0 {
                return Ok(all);
            }
        }
    }

    async fn take_effect(&self, subject: Pseudonym) -> Result<bool, IndexError> {
        let event = Event { subject: Some(subject), ..Event::new(Kind::SubjectDue, Actor::System) };
        match self.index.commit(Change::Due(subject), event).await {
            Ok(_) => Ok(true),
            Err(CommitError::Fatal(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }
}
