//! The index on its way out.

use futures_util::stream::{self, StreamExt};

use crate::admin::{ExportBytes, GatewayError};
use crate::audit::Event;
use crate::objects::Objects;

/// Begins an export and records `event`, before a byte of it leaves.
pub(super) async fn begin(objects: &Objects, event: Event) -> Result<ExportBytes, GatewayError> {
    // Begun first, so that one which cannot be is not in the ledger.
    let export = objects.index.export(objects.hierarchy.installation()).await?;
    objects.record(event).await?;
    let bytes = stream::try_unfold(export, |mut export| async move {
        let bytes = export.next().await.inspect_err(|error| tracing::error!(%error, "an export of the index broke off"))?;
        Ok(bytes.map(|bytes| (bytes, export)))
    });
    Ok(bytes.boxed())
}
