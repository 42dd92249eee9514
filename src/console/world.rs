//! Countries: what they are called, and where a map without borders has them. How the files were made is told in `map/make.mjs`.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::types::Country;

/// Rows of dots where there is land, in a field of [`WIDTH`] by [`HEIGHT`].
pub(super) const LAND: &str = include_str!("map/land.txt");
/// The map's width.
pub(super) const WIDTH: u32 = 1000;
/// The map's height.
pub(super) const HEIGHT: u32 = 432;

struct Known {
    name: &'static str,
    at: Option<(u32, u32)>,
}

static COUNTRIES: LazyLock<HashMap<&'static str, Known>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let mut fields = line.split('\t');
        let (code, name) = (fields.next()?, fields.next()?);
        let at = fields.next().zip(fields.next()).and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)));
        Some((code, Known { name, at }))
    };
    include_str!("map/countries.tsv").lines().filter_map(line).collect()
});

/// What a country is called in English; its code where it has no name.
pub(super) fn name(country: Country) -> String {
    COUNTRIES.get(country.as_str()).map_or_else(|| country.to_string(), |known| known.name.to_owned())
}

/// Where on the map it is.
pub(super) fn place(country: Country) -> Option<(u32, u32)> {
    COUNTRIES.get(country.as_str())?.at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_have_names_and_lie_on_the_map() {
        assert!(COUNTRIES.len() >= 249);
        for (code, known) in COUNTRIES.iter() {
            let country: Country = code.parse().unwrap();
            assert!(!name(country).is_empty(), "{code}");
            // Antarctica is the one that may lie below the edge.
            let (x, y) = known.at.unwrap_or_else(|| panic!("{code} is nowhere"));
            assert!(x <= WIDTH && (y <= HEIGHT || *code == "AQ"), "{code} at {x}, {y}");
        }
        assert_eq!(name("PK".parse().unwrap()), "Pakistan");
        assert_eq!(name("ZZ".parse().unwrap()), "ZZ");
    }
}
