//! Country keys as the admin API shows them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::gateway::internal;
use crate::admin::{GatewayError, KeyVersionView, KeyView};
use crate::kms::{KeyStanding, KeyState};
use crate::objects::Objects;
use crate::types::KeyId;

/// How long a count is good for: it reads the row of every subject key, about a second for each million of them.
const COUNT_LIFE: Duration = Duration::from_secs(60);

const DAY: i64 = 24 * 60 * 60 * 1000;

/// How many subject keys each version wraps, as last counted. One count at a time: who asks meanwhile waits for it.
#[derive(Default)]
pub(super) struct KeyUse(tokio::sync::Mutex<Option<Counted>>);

struct Counted {
    at: Instant,
    uses: BTreeMap<(KeyId, u32), u64>,
}

/// Every country key, with state, age and use of its versions.
pub(super) async fn all(objects: &Objects, known: &KeyUse) -> Result<Vec<KeyView>, GatewayError> {
    let mut known = known.0.lock().await;
    if known.as_ref().is_none_or(|counted| counted.at.elapsed() >= COUNT_LIFE) {
        // That the keys cannot be counted is no reason not to show them.
        let uses = objects.subject_keys_by_version().await;
        let uses = uses.inspect_err(|error| tracing::warn!(%error, "subject keys cannot be counted"));
        *known = uses.ok().map(|uses| Counted { at: Instant::now(), uses });
    }
    let now = objects.clock.now();
    let mut keys = Vec::new();
    for (id, country) in objects.hierarchy.countries() {
        let provider = objects.hierarchy.provider(id).map_err(internal)?;
        let described = provider.describe().await;
        let trouble = match (objects.hierarchy.standing(id).map_err(internal)?, &described) {
            (KeyStanding::Down(error), _) => Some(error.to_string()),
            (KeyStanding::Up, described) => described.as_ref().err().map(ToString::to_string),
        };
        let versions = described.unwrap_or_default().into_iter().rev().map(|version| KeyVersionView {
            id: version.version.to_string(),
            state: match version.state {
                KeyState::Primary => "primary",
                KeyState::DecryptOnly => "decrypt-only",
                KeyState::Destroying => "destroying",
                KeyState::Destroyed => "destroyed",
            }
            .to_owned(),
            created: version.created.map(|time| time.to_rfc3339()),
            age_days: version.created.map(|time| now.millis().saturating_sub(time.millis()) / DAY),
            wraps: known.as_ref().map(|counted| counted.uses.get(&(id.clone(), version.version)).copied().unwrap_or(0)),
        });
        let (up, kind) = (trouble.is_none(), provider.kind());
        keys.push(KeyView { id: id.clone(), country, provider: kind, up, trouble, versions: versions.collect() });
    }
    Ok(keys)
}
