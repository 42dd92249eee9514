//! Forms of values that several sections share.

use std::{num::NonZeroU32, time::Duration};

use crate::{
    config::{Size, Span},
    diagnostics::{Item, Table},
};

pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(table: &Table<'_>, key: &str) -> Option<T> {
    table.required(key).and_then(Item::parsed)
}

pub(super) fn span(table: &Table<'_>, key: &str) -> Option<Duration> {
    let item = table.optional(key)?;
    let Span(span) = item.parsed()?;
    if span.is_zero() {
        item.error(format!("`{key}` must be more than nothing"), None);
        return None;
    }
    Some(span)
}

pub(super) fn bounded(item: Item<'_>, least: u64, most: u64) -> Option<u64> {
    let Size(size) = item.parsed()?;
    if size < least {
        item.error(format!("`{}` must be at least {}", item.key(), Size(least)), None);
        return None;
    }
    if size > most {
        item.error(format!("`{}` must be at most {}", item.key(), Size(most)), None);
        return None;
    }
    Some(size)
}

pub(super) fn at_least_one(item: Item<'_>) -> Option<usize> {
    match usize::try_from(item.u64()?) {
        Ok(number) if number > 0 => Some(number),
        _ => {
            item.error(format!("`{}` must be at least 1", item.key()), None);
            None
        }
    }
}

pub(super) fn positive(table: &Table<'_>, key: &str) -> Option<NonZeroU32> {
    let item = table.optional(key)?;
    let number = u32::try_from(item.u64()?).ok().and_then(NonZeroU32::new);
    if number.is_none() {
        item.error(format!("`{key}` must be 1 to {}", u32::MAX), None);
    }
    number
}

pub(super) fn non_empty<'d>(item: Item<'d>) -> Option<&'d str> {
    let text = item.str()?;
    if text.is_empty() {
        item.error(format!("`{}` must not be empty", item.key()), None);
        return None;
    }
    Some(text)
}

pub(super) fn endpoint(item: Item<'_>) -> Option<String> {
    let text = item.str()?;
    let right = text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && matches!(uri.path(), "" | "/")
    });
    if !right {
        let message = format!("`{}` must be `https://host` or `http://host`, with a port if need be and no path", item.key());
        item.error(message, None);
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

pub(super) fn owned(list: Option<Vec<&str>>) -> Vec<String> {
    list.unwrap_or_default().into_iter().map(str::to_owned).collect()
}
