//! Typed reading of a TOML table that reports every mistake and goes on.

use std::{cell::RefCell, collections::BTreeSet, fmt, str::FromStr};

use time::format_description::well_known::Rfc3339;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Diagnostics, Origin, Severity, document::Source, nearest};

/// A table being read. Every key that is asked for is a known key; [`Table::finish`] reports the others.
#[derive(Debug)]
pub struct Table<'d> {
    source: &'d Source<'d>,
    sink: &'d Diagnostics,
    entries: &'d DeTable<'d>,
    /// Where the table begins, in bytes.
    at: usize,
    /// What messages call the table.
    name: &'d str,
    known: RefCell<BTreeSet<String>>,
}

/// One value of a table, not yet read as any type.
#[derive(Debug, Clone, Copy)]
pub struct Item<'d> {
    source: &'d Source<'d>,
    sink: &'d Diagnostics,
    key: &'d str,
    value: &'d Spanned<DeValue<'d>>,
}

impl<'d> Table<'d> {
    pub(super) fn new(source: &'d Source<'d>, entries: &'d DeTable<'d>, at: usize, name: &'d str, sink: &'d Diagnostics) -> Self {
        Self { source, sink, entries, at, name, known: RefCell::default() }
    }

    /// The value of `key`, if it is there.
    pub fn optional(&self, key: &str) -> Option<Item<'d>> {
        self.known.borrow_mut().insert(key.to_owned());
        self.entries.iter().find(|(name, _)| name.get_ref() == key).map(|(name, value)| self.item(name.get_ref(), value))
    }

    /// The value of `key`; a mistake when it is missing.
    pub fn required(&self, key: &str) -> Option<Item<'d>> {
        let found = self.optional(key);
        if found.is_none() {
            self.error(format!("`{key}` is missing in {}", self.describe()), None);
        }
        found
    }

    /// An optional string.
    pub fn str(&self, key: &str) -> Option<&'d str> {
        self.optional(key)?.str()
    }

    /// An optional list of strings.
    pub fn string_list(&self, key: &str) -> Option<Vec<&'d str>> {
        self.optional(key)?.string_list()
    }

    /// An optional boolean.
    pub fn bool(&self, key: &str) -> Option<bool> {
        self.optional(key)?.bool()
    }

    /// An optional integer of at least 0.
    pub fn u64(&self, key: &str) -> Option<u64> {
        self.optional(key)?.u64()
    }

    /// An optional string in the form of `T`.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&self, key: &str) -> Option<T> {
        self.optional(key)?.parsed()
    }

    /// An optional list of strings in the form of `T`.
    pub fn parsed_list<T: FromStr<Err: fmt::Display>>(&self, key: &str) -> Option<Vec<T>> {
        self.optional(key)?.parsed_list()
    }

    /// An optional table (`[key]`).
    pub fn table(&self, key: &str) -> Option<Table<'d>> {
        self.optional(key)?.table()
    }

    /// An array of tables (`[[key]]`); empty when there is none.
    pub fn tables(&self, key: &str) -> Vec<Table<'d>> {
        self.optional(key).and_then(Item::tables).unwrap_or_default()
    }

    /// Every entry in the order of names, for tables whose keys are the author's own. All of them count as known.
    pub fn entries(&self) -> impl Iterator<Item = (&'d str, Item<'d>)> + '_ {
        self.entries.iter().map(|(name, value)| {
            self.known.borrow_mut().insert(name.get_ref().to_string());
            (name.get_ref().as_ref(), self.item(name.get_ref(), value))
        })
    }

    /// Where the table begins.
    pub fn origin(&self) -> Origin {
        self.source.origin(self.at)
    }

    /// Reports a mistake about the table as a whole.
    pub fn error(&self, message: impl Into<String>, hint: Option<String>) {
        self.sink.report(self.origin().diagnostic(Severity::Error, message, hint));
    }

    /// Reports every key that was never asked for.
    pub fn finish(self) {
        let known = self.known.borrow();
        for (name, _) in self.entries.iter().filter(|(name, _)| !known.contains(name.get_ref().as_ref())) {
            let hint = match nearest(name.get_ref(), known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys are {}", quoted(known.iter().map(String::as_str))),
            };
            let message = format!("unknown key `{}` in {}", name.get_ref(), self.describe());
            self.sink.report(self.source.origin(name.span().start).diagnostic(Severity::Error, message, Some(hint)));
        }
    }

    fn describe(&self) -> String {
        if self.at == 0 { self.name.to_owned() } else { format!("`{}`", self.name) }
    }

    fn item(&self, key: &'d str, value: &'d Spanned<DeValue<'d>>) -> Item<'d> {
        Item { source: self.source, sink: self.sink, key, value }
    }
}

impl<'d> Item<'d> {
    /// As a string.
    pub fn str(self) -> Option<&'d str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => self.mismatch("a string"),
        }
    }

    /// As a boolean.
    pub fn bool(self) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.mismatch("true or false"),
        }
    }

    /// As an integer of at least 0.
    pub fn u64(self) -> Option<u64> {
        match self.value.get_ref() {
            DeValue::Integer(digits) => match u64::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(value) => Some(value),
                Err(_) => self.mismatch("an integer of at least 0"),
            },
            _ => self.mismatch("an integer of at least 0"),
        }
    }

    /// As a date without a time (`2020-01-21`).
    pub fn date(self) -> Option<time::Date> {
        let DeValue::Datetime(datetime) = self.value.get_ref() else {
            return self.mismatch("a date such as 2020-01-21, without quotes");
        };
        let (Some(date), None) = (datetime.date, datetime.time) else {
            return self.mismatch("a date without a time");
        };
        let month = time::Month::try_from(date.month).ok()?;
        match time::Date::from_calendar_date(i32::from(date.year), month, date.day) {
            Ok(date) => Some(date),
            Err(_) => self.mismatch("a date of the calendar"),
        }
    }

    /// As a date with time and offset (`2027-01-31T00:00:00Z`).
    pub fn instant(self) -> Option<time::OffsetDateTime> {
        let wanted = "a date with time and offset such as 2027-01-31T00:00:00Z, without quotes";
        let DeValue::Datetime(datetime) = self.value.get_ref() else { return self.mismatch(wanted) };
        let instant = time::OffsetDateTime::parse(&datetime.to_string(), &Rfc3339).ok();
        if instant.is_none() { self.mismatch(wanted) } else { instant }
    }

    /// As a string in the form of `T`.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(self) -> Option<T> {
        match self.str()?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(format!("`{}`: {error}", self.key), None);
                None
            }
        }
    }

    /// As a string in the form of `T`, where `T`'s own errors neither quote the text nor say what to write: `wanted` says it.
    pub fn parsed_as<T: FromStr>(self, wanted: &str) -> Option<T> {
        let text = self.str()?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.error(format!("`{}` cannot be `{}`", self.key, shortened(text)), Some(format!("write {wanted}")));
        }
        parsed
    }

    /// As a list of anything.
    pub fn list(self) -> Option<Vec<Item<'d>>> {
        match self.value.get_ref() {
            DeValue::Array(items) => Some(items.iter().map(|value| Item { value, ..self }).collect()),
            _ => self.mismatch("a list"),
        }
    }

    /// As a list of strings. Elements of another type are reported and left out.
    pub fn string_list(self) -> Option<Vec<&'d str>> {
        Some(self.list()?.into_iter().filter_map(Item::str).collect())
    }

    /// As a list of strings in the form of `T`. Elements of another form are reported and left out.
    pub fn parsed_list<T: FromStr<Err: fmt::Display>>(self) -> Option<Vec<T>> {
        Some(self.list()?.into_iter().filter_map(Item::parsed).collect())
    }

    /// As a table.
    pub fn table(self) -> Option<Table<'d>> {
        match self.value.get_ref() {
            DeValue::Table(entries) => Some(Table::new(self.source, entries, self.value.span().start, self.key, self.sink)),
            _ => self.mismatch("a table"),
        }
    }

    /// As a list of tables.
    pub fn tables(self) -> Option<Vec<Table<'d>>> {
        Some(self.list()?.into_iter().filter_map(Item::table).collect())
    }

    /// Whether it is a string, for keys that take either a word or a table.
    pub fn is_str(self) -> bool {
        matches!(self.value.get_ref(), DeValue::String(_))
    }

    /// Whether it is a list, for keys that take either a word or a list.
    pub fn is_list(self) -> bool {
        matches!(self.value.get_ref(), DeValue::Array(_))
    }

    /// The key it stands under.
    pub fn key(self) -> &'d str {
        self.key
    }

    /// Where it stands.
    pub fn origin(self) -> Origin {
        self.source.origin(self.value.span().start)
    }

    /// Reports a mistake at this value.
    pub fn error(self, message: impl Into<String>, hint: Option<String>) {
        self.sink.report(self.origin().diagnostic(Severity::Error, message, hint));
    }

    /// Reports something at this value that is allowed but probably not meant.
    pub fn warn(self, message: impl Into<String>, hint: Option<String>) {
        self.sink.report(self.origin().diagnostic(Severity::Warning, message, hint));
    }

    /// One of a fixed list of words.
    pub fn one_of<T: Copy>(self, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.str()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let all = quoted(words.iter().map(|(word, _)| *word));
        let hint = nearest(text, words.iter().map(|(word, _)| *word)).map(|near| format!("did you mean `{near}`?"));
        self.error(format!("`{}` must be one of {all}, not `{}`", self.key, shortened(text)), hint);
        None
    }

    fn mismatch<T>(self, wanted: &str) -> Option<T> {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(format!("`{}` must be {wanted}, not {found}", self.key), None);
        None
    }
}

fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Keeps a message readable when the value is a novel.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
