//! Renewals of country keys and erasures of subjects, as the admin API orders them.

use std::time::Duration;

use crate::admin::{ErasureView, GatewayError, SubjectKeyView};
use crate::audit::{Actor, Asked, CountryKeyVersion, Event, Kind};
use crate::erasure::Erasures;
use crate::objects::{Erasing, Objects};
use crate::rotation::{Job, Rotation, Rotations};
use crate::types::{RequestId, SubjectId};

/// How long the answer to an erasure waits for the rows to be gone: mostly nothing of the subject is listed any more by then.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn erase(
    erasures: &Erasures,
    request: &RequestId,
    actor: &Actor,
    subject: &SubjectId,
    now: bool,
) -> Result<ErasureView, GatewayError> {
    match erasures.erase(request, actor, subject, now).await? {
        Erasing::Accepted(erasure) => Ok(ErasureView::from(&erasures.swept(erasure, PATIENCE).await?)),
        // Whose order or whose retention it is, is nobody's business here.
        Erasing::Held => Err(GatewayError::Conflict("a hold or retention stands; nothing was erased".to_owned())),
        Erasing::Unknown => Err(GatewayError::NotFound("nothing is stored or known of this subject")),
    }
}

pub(super) async fn rotate(
    objects: &Objects,
    rotations: &Rotations,
    (request, actor): (&RequestId, &Actor),
    task: Rotation,
) -> Result<Job, GatewayError> {
    let key = &task.key;
    if !objects.hierarchy.countries().any(|(id, _)| id == key) {
        return Err(GatewayError::NotFound("there is no such key"));
    }
    let asked = Asked { route: "POST /v1/keys/{id}/rotate", ..Asked::default() };
    let event = Event {
        request: Some(request.clone()),
        query: Some(Box::new(asked)),
        country_key: Some(Box::new(CountryKeyVersion { key: key.clone(), version: None })),
        ..Event::new(Kind::AdminAction, actor.clone())
    };
    objects.record(event).await?;
    rotations.order(task).map_err(|_| GatewayError::Unavailable("too many renewals wait for their turn"))
}

/// In the ledger before it is done, without the subject's name.
pub(super) async fn rotate_subject(
    objects: &Objects,
    (request, actor): (&RequestId, &Actor),
    subject: &SubjectId,
) -> Result<Vec<SubjectKeyView>, GatewayError> {
    let event = Event {
        request: Some(request.clone()),
        query: Some(Box::new(Asked { route: "POST /v1/subjects/{id}/rotate-key", ..Asked::default() })),
        subject: Some(objects.pseudonyms.subject(subject)),
        ..Event::new(Kind::AdminAction, actor.clone())
    };
    objects.record(event).await?;
    let made = objects.rotate_subject_keys(subject).await?;
    if made.is_empty() {
        return Err(GatewayError::NotFound("nothing is stored of this subject"));
    }
    Ok(made.into_iter().map(|(key, generation)| SubjectKeyView { key, generation: generation.0 }).collect())
}
