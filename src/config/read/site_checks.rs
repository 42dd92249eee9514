//! `[site-checks]`, and what a site's table accepts of them.

use std::{collections::BTreeSet, time::Duration};

use super::span;
use crate::backend::Check;
use crate::config::{Backend, SiteChecks};
use crate::diagnostics::Table;

/// More often than that would be a load of its own.
const LEAST: Duration = Duration::from_secs(1);

impl Default for SiteChecks {
    fn default() -> Self {
        Self { every: Duration::from_secs(3600), refuse_writes: true }
    }
}

pub(super) fn read(table: &Table<'_>) -> SiteChecks {
    let default = SiteChecks::default();
    let every = span(table, "every");
    if let (Some(every), Some(item)) = (every, table.optional("every"))
        && every < LEAST
    {
        item.error("`every` must be at least 1s", None);
    }
    let on_alarm = table.optional("on-alarm").and_then(|item| item.one_of(&[("refuse-writes", true), ("report", false)]));
    SiteChecks { every: every.unwrap_or(default.every), refuse_writes: on_alarm.unwrap_or(default.refuse_writes) }
}

/// What may stay as it is, of what is looked at in such a place.
pub(super) fn accepted(table: &Table<'_>, backend: Option<&Backend>) -> BTreeSet<Check> {
    let checks = match backend {
        Some(Backend::Fs { .. }) => Check::OF_FOLDERS,
        Some(Backend::S3(_)) => Check::OF_BUCKETS,
        None => &Check::ALL,
    };
    let words: Vec<(&'static str, Check)> = checks.iter().map(|check| (check.as_str(), *check)).collect();
    let items = table.optional("accept").and_then(|item| item.list()).unwrap_or_default();
    items.into_iter().filter_map(|item| item.one_of(&words)).collect()
}
