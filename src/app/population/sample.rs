//! A sample that anybody can draw again from the export: the records whose hashes with the seed are the least.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use serde_json::{Value, json};

use super::{key_countries, rows, rows::Cell};
use crate::admin::{GatewayError, SampleView, SampledView};
use crate::digest::sha256;
use crate::index::{EntriesQuery, Index, RecordsQuery};
use crate::objects::Objects;
use crate::types::{BucketName, ObjectKey};

/// Draws `n` records of those that `query` asks for.
pub(in crate::app) async fn sample(
    objects: &Objects,
    query: RecordsQuery,
    seed: &str,
    n: usize,
) -> Result<SampleView, GatewayError> {
    let population = objects.index.population(query).await?;
    let taken = population.taken();
    let mut pages = super::pages(population, key_countries(objects));
    let mut drawn: BTreeMap<[u8; 32], Vec<u8>> = BTreeMap::new();
    let mut count = 0;
    while let Some(page) = pages.try_next().await? {
        for row in &page.rows {
            count += 1;
            let Some(Cell::Text(record)) = row.get(3) else { continue };
            let place = sha256(format!("{seed}:{record}").as_bytes());
            if drawn.len() < n || drawn.last_key_value().is_some_and(|(last, _)| place < *last) {
                let mut line = Vec::new();
                rows::line(row, &mut line);
                drawn.insert(place, line);
                if drawn.len() > n {
                    drawn.pop_last();
                }
            }
        }
    }
    drop(pages);
    let mut records = Vec::with_capacity(drawn.len());
    for (place, line) in drawn {
        let row: Value = serde_json::from_slice(&line).map_err(super::internal)?;
        let proven = proven(&objects.index, &row, taken.ledger.size).await?;
        records.push(SampledView { place: hex::encode(place), entry: proven.0, leaf: proven.1, proof: proven.2, record: row });
    }
    Ok(SampleView {
        seed: seed.to_owned(),
        population: count,
        taken: taken.time.to_rfc3339(),
        ledger: json!({ "size": taken.ledger.size, "root": hex::encode(taken.ledger.root) }),
        records,
    })
}

/// The last entry that placed the record, and that it is in the ledger of that moment.
async fn proven(index: &Index, row: &Value, size: u64) -> Result<(Option<u64>, Option<String>, Vec<String>), GatewayError> {
    let names = row["bucket"].as_str().and_then(|name| BucketName::new(name).ok());
    let Some(names) = names.zip(row["key"].as_str().and_then(|key| ObjectKey::new(key).ok())) else {
        return Ok((None, None, Vec::new()));
    };
    let mut found = None;
    let mut query = EntriesQuery { limit: 1000, key: Some(names), ..EntriesQuery::default() };
    loop {
        let page = index.ledger_search(query.clone()).await?;
        for leaf in page.leaves {
            let Ok(entry) = serde_json::from_slice::<Value>(&leaf) else { continue };
            let places = matches!(
                entry["kind"].as_str(),
                Some("put-object" | "copy-object" | "import-object" | "complete-upload" | "relocated" | "copy-stored")
            );
            let seq = entry["seq"].as_u64().filter(|seq| *seq < size);
            if let Some(seq) = seq.filter(|_| places && entry["outcome"] == "ok" && entry["record"] == row["record"]) {
                found = Some((seq, leaf));
            }
        }
        match page.next.filter(|next| *next < size) {
            Some(next) => query.from = next,
            None => break,
        }
    }
    let Some((seq, leaf)) = found else { return Ok((None, None, Vec::new())) };
    let proof = index.inclusion(seq, size).await?;
    let hashes = proof.map(|proof| proof.hashes.iter().map(hex::encode).collect());
    Ok((Some(seq), String::from_utf8(leaf).ok(), hashes.unwrap_or_default()))
}
