//! All records, or those of a question, as rows of one moment: streamed, counted, and bound by a root that the ledger has too. And samples of
//! them that anybody can draw again.

mod formats;
mod rows;
mod sample;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde_json::json;

use self::formats::Writer;
pub use self::rows::{Rows, rows_of};
pub(super) use self::sample::sample;
use super::gateway::internal;
use crate::admin::{ExportBytes, GatewayError, PopulationFormat};
use crate::audit::{Event, Frontier, PopulationGiven};
use crate::index::{Change, IndexError, Population, RecordsQuery, Taken};
use crate::objects::Objects;
use crate::types::{Country, KeyId};

/// Pages that are opened at a time.
const TOGETHER: usize = 4;

/// An export under way.
struct Giving {
    objects: Objects,
    event: Event,
    format: PopulationFormat,
    taken: Taken,
    pages: BoxStream<'static, Result<Rows, GatewayError>>,
    writer: Option<Writer>,
    /// What there is to be sent before the first row.
    begin: Option<Vec<u8>>,
    root: Frontier,
    rows: u64,
    bytes: u64,
}

/// Gives the records out. `event` goes into the ledger with the totals, before they are sent.
pub(super) async fn begin(
    objects: &Objects,
    event: Event,
    query: RecordsQuery,
    format: PopulationFormat,
) -> Result<ExportBytes, GatewayError> {
    let population = objects.index.population(query).await?;
    let taken = population.taken();
    let (writer, begin) = Writer::begin(format).map_err(internal)?;
    let giving = Giving {
        objects: objects.clone(),
        event,
        format,
        taken,
        pages: pages(population, key_countries(objects)),
        writer: Some(writer),
        begin: Some(begin).filter(|bytes| !bytes.is_empty()),
        root: Frontier::default(),
        rows: 0,
        bytes: 0,
    };
    let bytes = stream::try_unfold(giving, |mut giving| async move {
        let next = giving.next().await.inspect_err(|error| tracing::error!(%error, "an export of the population broke off"))?;
        Ok(next.map(|bytes| (bytes, giving)))
    });
    Ok(bytes.boxed())
}

/// Which country each country key belongs to.
fn key_countries(objects: &Objects) -> Arc<BTreeMap<KeyId, Country>> {
    Arc::new(objects.hierarchy.countries().map(|(id, country)| (id.clone(), country)).collect())
}

/// The rows of a population in its order. They are read one page after the other and opened beside that.
fn pages(population: Population, keys: Arc<BTreeMap<KeyId, Country>>) -> BoxStream<'static, Result<Rows, GatewayError>> {
    let read = stream::try_unfold(population, |mut population| async move {
        let page = population.next().await?;
        Ok::<_, IndexError>(page.map(|page| (page, population)))
    });
    read.map_ok(move |page| {
        let keys = Arc::clone(&keys);
        async move { tokio::task::spawn_blocking(move || rows_of(&page, &keys)).await.map_err(|_| IndexError::Stopped)? }
    })
    .try_buffered(TOGETHER)
    .map_err(GatewayError::from)
    .boxed()
}

impl Giving {
    async fn next(&mut self) -> Result<Option<Bytes>, GatewayError> {
        if let Some(begin) = self.begin.take() {
            return Ok(Some(begin.into()));
        }
        while self.writer.is_some() {
            let bytes = match self.pages.try_next().await? {
                Some(rows) => self.take(rows)?,
                None => self.end().await?,
            };
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
        }
        Ok(None)
    }

    fn take(&mut self, rows: Rows) -> Result<Vec<u8>, GatewayError> {
        for hash in &rows.hashes {
            self.root.push_hash(*hash, |_, _| {});
        }
        self.rows = self.root.size();
        self.bytes = self.bytes.saturating_add(rows.bytes);
        self.writer.as_mut().map_or(Ok(Vec::new()), |writer| writer.rows(rows).map_err(internal))
    }

    async fn end(&mut self) -> Result<Vec<u8>, GatewayError> {
        let Some(writer) = self.writer.take() else { return Ok(Vec::new()) };
        let root = hex::encode(self.root.root());
        let given = PopulationGiven {
            format: self.format.as_str(),
            rows: self.rows,
            bytes: self.bytes,
            root: root.clone(),
            ledger: self.taken.ledger.size,
        };
        let event = Event { population: Some(Box::new(given)), ..self.event.clone() };
        let entry = self.objects.index.commit(Change::Note, event).await.map_err(internal)?.ledger;
        let totals = json!({
            "rows": self.rows,
            "bytes": self.bytes,
            "root": root,
            "taken": self.taken.time.to_rfc3339(),
            "ledger": { "size": self.taken.ledger.size, "root": hex::encode(self.taken.ledger.root) },
            "entry": entry,
        });
        writer.end(&totals).map_err(internal)
    }
}
