//! Brings exports of keys into the ledger, which were made while nobody served or by another process.

use std::{sync::Arc, time::Duration};

use crate::audit::{Actor, Event, KeyExport, Kind};
use crate::kms::{ExportNote, ExportNotes, KeyOwner, TakenNotes};
use crate::objects::{ObjectError, Objects};

/// Between two looks for notes.
const LOOK: Duration = Duration::from_secs(5);

/// Takes notes of exports into the ledger, again and again. Does not end.
pub(super) async fn record(notes: ExportNotes, objects: &Objects) {
    let notes = Arc::new(notes);
    loop {
        let looked = Arc::clone(&notes);
        // A small file, but whoever writes it has it locked for a moment.
        match tokio::task::spawn_blocking(move || looked.take()).await {
            // Interrupted: with the runtime that runs this.
            Err(_) | Ok(Ok(None)) => {}
            Ok(Ok(Some(taken))) => {
                if let Err(error) = enter(taken, objects).await {
                    tracing::error!(%error, "exports of keys are not in the ledger yet");
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "notes of exports of keys cannot be read: they are in no ledger"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Enters each, then forgets them: a crash in between enters them once more, under the same ids.
async fn enter(taken: TakenNotes, objects: &Objects) -> Result<(), ObjectError> {
    for note in &taken.notes {
        objects.record(event(note)).await?;
    }
    if taken.unreadable > 0 {
        tracing::error!(lines = taken.unreadable, "notes of exports of keys were not written with this keyring: dropped");
    }
    taken.forget().map_err(|error| ObjectError::Internal(error.to_string()))
}

fn event(note: &ExportNote) -> Event {
    let (subject, bucket) = match note.owner {
        KeyOwner::Subject(subject) => (Some(subject), None),
        KeyOwner::Bucket(bucket) => (None, Some(bucket)),
        KeyOwner::Site(_) => (None, None),
    };
    let exported = KeyExport { id: hex::encode(note.id), at: note.at.to_rfc3339(), keys: note.keys };
    Event {
        subject,
        bucket,
        record: note.record,
        countries: note.countries.iter().copied().collect(),
        key_export: Some(Box::new(exported)),
        ..Event::new(Kind::KeyExported, Actor::Keyholder)
    }
}
