//! `[keys]`: when subject keys get another generation by themselves.

use super::span;
use crate::diagnostics::Table;
use crate::objects::SubjectKeyLife;

pub(super) fn read(table: &Table<'_>) -> SubjectKeyLife {
    let default = SubjectKeyLife::default();
    let wraps = table.optional("subject-key-max-wraps").and_then(|item| {
        let wraps = item.u64()?;
        let fits = (1..=SubjectKeyLife::MOST_WRAPS).contains(&wraps);
        if !fits {
            item.error(format!("`{}` must be 1 to {}", item.key(), SubjectKeyLife::MOST_WRAPS), None);
        }
        fits.then_some(wraps)
    });
    SubjectKeyLife { max_age: span(table, "subject-key-max-age"), max_wraps: wraps.unwrap_or(default.max_wraps) }
}
