//! How numbers, sizes and times are written.

#![expect(unreachable_pub, reason = "what the macro makes of a filter")]

use std::fmt::Display;

use askama::{Result, Values, filter_fn};

/// `1234567` as `1,234,567`.
#[filter_fn]
pub(super) fn count(number: impl Display, _: &dyn Values) -> Result<String> {
    Ok(grouped(&number.to_string()))
}

/// Bytes as people say them: `1.4 GiB`.
#[filter_fn]
pub(super) fn bytes(number: &u64, _: &dyn Values) -> Result<String> {
    Ok(size(*number))
}

/// An RFC 3339 time, to the second: `2026-11-29 08:24:47 UTC`.
#[filter_fn]
pub(super) fn moment(time: impl Display, _: &dyn Values) -> Result<String> {
    Ok(to_the_second(&time.to_string()))
}

/// The first digits of a long name in hex.
#[filter_fn]
pub(super) fn short(name: impl Display, _: &dyn Values) -> Result<String> {
    Ok(name.to_string().chars().take(12).collect())
}

/// With its words behind each other.
#[filter_fn]
pub(super) fn listed<T: Display>(items: &[T], _: &dyn Values) -> Result<String> {
    Ok(items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// A part of a query string.
#[filter_fn]
pub(super) fn query(text: impl Display, _: &dyn Values) -> Result<String> {
    Ok(encoded(&text.to_string()))
}

/// Text as an address that a link downloads: exactly what the page shows, which the gateway may not be able to give again.
#[filter_fn]
pub(super) fn attached(text: impl Display, _: &dyn Values) -> Result<String> {
    Ok(format!("data:text/plain;charset=utf-8,{}", encoded(&text.to_string())))
}

pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

pub(super) fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut whole, mut unit) = (bytes as f64 / 1024.0, 0);
    // What would be written as 1024.0 is one of the next.
    while whole >= 1023.95 && unit + 1 < UNITS.len() {
        whole /= 1024.0;
        unit += 1;
    }
    format!("{whole:.1} {}", UNITS[unit])
}

pub(super) fn to_the_second(time: &str) -> String {
    match (time.get(..10), time.get(11..19)) {
        (Some(day), Some(clock)) if time.as_bytes().get(10) == Some(&b'T') => format!("{day} {clock} UTC"),
        _ => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (number, text) in [("0", "0"), ("999", "999"), ("1000", "1,000"), ("1234567", "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        let sizes = [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_048_575, "1.0 MiB"), (1_610_612_736, "1.5 GiB")];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "16.0 EiB");
        assert_eq!(to_the_second("2026-11-29T08:24:47.123Z"), "2026-11-29 08:24:47 UTC");
        assert_eq!(to_the_second("2027-01-01"), "2027-01-01");
    }
}
