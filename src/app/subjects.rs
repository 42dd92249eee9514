//! The subject directory, as the admin API asks for it and changes it.

use futures_util::future::join_all;

use super::gateway::{actor, internal};
use crate::admin::{GatewayError, ImportedSubject, StatementView, SubjectView};
use crate::audit::{Event, Kind};
use crate::authn::TokenIdentity;
use crate::index::{Saying, Statement, SubjectRow};
use crate::objects::{Objects, Said};
use crate::types::{RequestId, SubjectId, Timestamp};

const TOO_MUCH: &str = "too many changes of this subject are still to come";

/// What a row of now says, at the time that is asked for. `None` when that is now and nothing is known, nor to come.
pub(super) fn view(
    subject: &SubjectId,
    row: &SubjectRow,
    now: Timestamp,
    at: Option<Timestamp>,
    known: Option<Timestamp>,
) -> Option<SubjectView> {
    let asked = at.or(known);
    if asked.is_none() && row.removed && row.coming.is_empty() {
        return None;
    }
    let held = row.held(asked.unwrap_or(now), known.unwrap_or(Timestamp::from_millis(i64::MAX)));
    let attributes = held.as_ref().and_then(|statement| statement.attributes.clone());
    let state = |statement: &Statement| match &held {
        Some(held) if held.generation == statement.generation => "holds",
        _ if row.coming.iter().any(|next| next.generation == statement.generation) => "coming",
        _ => "past",
    };
    let history = row.statements().into_iter().map(|statement| StatementView {
        state: state(&statement),
        attributes: statement.attributes,
        effective: statement.effective.to_rfc3339(),
        recorded: statement.recorded.to_rfc3339(),
        by: statement.by,
        reason: statement.reason,
        generation: statement.generation.0,
    });
    Some(SubjectView {
        unasked: Vec::new(),
        id: subject.clone(),
        known: attributes.is_some(),
        attributes: attributes.unwrap_or_default(),
        generation: row.generation.0,
        updated: row.updated.to_rfc3339(),
        effective: held.as_ref().map(|held| held.effective.to_rfc3339()),
        history: history.collect(),
        history_cut: row.cut.map(|cut| cut.to_rfc3339()),
    })
}

pub(super) async fn set(
    objects: &Objects,
    request: &RequestId,
    who: &TokenIdentity,
    subject: &SubjectId,
    saying: Saying,
) -> Result<(), GatewayError> {
    let is_known = |row: SubjectRow| !row.removed || !row.coming.is_empty();
    if saying.attributes.is_none() && !objects.index.subject(subject)?.is_some_and(is_known) {
        let event = Event {
            request: Some(request.clone()),
            subject: Some(objects.pseudonyms.subject(subject)),
            ..Event::new(Kind::SubjectRemoved, actor(who))
        };
        objects.record(event.refused("NoSuchSubject")).await?;
        return Err(GatewayError::NotFound("nothing is known of this subject"));
    }
    match objects.say_of_subject(request, &actor(who), subject, saying).await? {
        Said::Changed | Said::Unchanged => Ok(()),
        Said::TooMuch => Err(GatewayError::Conflict(TOO_MUCH.to_owned())),
    }
}

/// All at once: the committer makes few batches of them.
pub(super) async fn import(
    objects: &Objects,
    request: &RequestId,
    who: &TokenIdentity,
    sayings: Vec<(SubjectId, Saying)>,
    dry_run: bool,
) -> Vec<Result<ImportedSubject, GatewayError>> {
    let index = objects.index.clone();
    let looking = tokio::task::spawn_blocking(move || {
        // Reads that need the disk, away from the threads that serve.
        let look = |(subject, saying): (SubjectId, Saying)| {
            let is_news = index.is_news(&subject, &saying);
            (subject, saying, is_news)
        };
        sayings.into_iter().map(look).collect::<Vec<_>>()
    });
    let looked = match looking.await {
        Ok(looked) => looked,
        Err(error) => return vec![Err(internal(error))],
    };
    let actor = actor(who);
    join_all(looked.into_iter().map(|(subject, saying, is_news)| {
        let actor = &actor;
        async move {
            match is_news? {
                false => return Ok(ImportedSubject::Unchanged),
                true if dry_run => return Ok(ImportedSubject::Set),
                true => {}
            }
            Ok(match objects.say_of_subject(request, actor, &subject, saying).await? {
                Said::Changed => ImportedSubject::Set,
                Said::Unchanged => ImportedSubject::Unchanged,
                Said::TooMuch => ImportedSubject::Refused(TOO_MUCH),
            })
        }
    }))
    .await
}
