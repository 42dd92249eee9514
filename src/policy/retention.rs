//! How long records are to be kept, and how long they may be.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::types::{InstrumentId, Timestamp};

/// A span of the calendar: `30d`, `2w`, `18m`, `1y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period {
    count: u16,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

/// A text that is not a period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a period is a number from 1 to 9999 and `d`, `w`, `m` or `y`, such as `90d` or `1y`")]
pub struct InvalidPeriod;

impl Period {
    /// The end of the period that begins at `from`, by the calendar in UTC: at the same time of day. Where a month lacks the day, on its last
    /// one: a month after 31 January is 28 or 29 February. Later than the calendar reaches is its last day.
    pub fn after(self, from: Timestamp) -> Timestamp {
        let start = from.to_datetime();
        let moved = match self.unit {
            Unit::Day => start.date().checked_add(time::Duration::days(i64::from(self.count))),
            Unit::Week => start.date().checked_add(time::Duration::weeks(i64::from(self.count))),
            Unit::Month => months_after(start.date(), i32::from(self.count)),
            Unit::Year => months_after(start.date(), i32::from(self.count) * 12),
        };
        let end = start.replace_date(moved.unwrap_or(time::Date::MAX));
        Timestamp::from_millis(i64::try_from(end.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
    }

    /// Which of two is longer; `None` when that depends on the day on which they begin, as with `30d` and `1m`.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        let ((least, most), (other_least, other_most)) = (self.days(), other.days());
        if self.in_months() == other.in_months() {
            return Some(self.units().cmp(&other.units()));
        }
        if least > other_most {
            Some(Ordering::Greater)
        } else if most < other_least {
            Some(Ordering::Less)
        } else {
            None
        }
    }

    const fn in_months(self) -> bool {
        matches!(self.unit, Unit::Month | Unit::Year)
    }

    /// Days, or months.
    fn units(self) -> u32 {
        u32::from(self.count)
            * match self.unit {
                Unit::Day | Unit::Month => 1,
                Unit::Week => 7,
                Unit::Year => 12,
            }
    }

    /// How many days it has at least and at the most.
    fn days(self) -> (u32, u32) {
        let units = self.units();
        if !self.in_months() {
            return (units, units);
        }
        // 400 years have 146,097 days. A run of months strays from its share by less than three days.
        let days = u32::try_from(u64::from(units) * 146_097 / 4_800).unwrap_or(u32::MAX);
        (days.saturating_sub(3), days.saturating_add(3))
    }
}

/// The date `months` later, on the last day of a month that lacks the day.
fn months_after(date: time::Date, months: i32) -> Option<time::Date> {
    let month = date.year() * 12 + i32::from(u8::from(date.month())) - 1 + months;
    let (year, month) = (month.div_euclid(12), u8::try_from(month.rem_euclid(12) + 1).ok()?);
    let month = time::Month::try_from(month).ok()?;
    time::Date::from_calendar_date(year, month, date.day().min(month.length(year))).ok()
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let unit = match text.chars().last() {
            Some('d') => Unit::Day,
            Some('w') => Unit::Week,
            Some('m') => Unit::Month,
            Some('y') => Unit::Year,
            _ => return Err(InvalidPeriod),
        };
        let digits = text.get(..text.len() - 1).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let count: u16 = digits.and_then(|digits| digits.parse().ok()).ok_or(InvalidPeriod)?;
        if (1..=9999).contains(&count) { Ok(Self { count, unit }) } else { Err(InvalidPeriod) }
    }
}

impl TryFrom<String> for Period {
    type Error = InvalidPeriod;

    fn try_from(text: String) -> Result<Self, InvalidPeriod> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Day => 'd',
            Unit::Week => 'w',
            Unit::Month => 'm',
            Unit::Year => 'y',
        };
        write!(f, "{}{unit}", self.count)
    }
}

/// What one instrument says of keeping, counted from a version's date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct RetentionRule {
    /// It may not be deleted before.
    pub at_least: Option<Period>,
    /// It may not be kept longer.
    pub at_most: Option<Period>,
}

impl RetentionRule {
    /// Whether it says nothing.
    pub const fn is_empty(&self) -> bool {
        self.at_least.is_none() && self.at_most.is_none()
    }
}

/// What all binding instruments say of keeping. The floor is the latest of `at_least`, the ceiling the earliest of `at_most`; which that is depends on
/// the version's date.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retention {
    /// It may not be deleted before any of these has passed.
    pub at_least: Vec<RetentionLimit>,
    /// It may not be kept when one of these has passed.
    pub at_most: Vec<RetentionLimit>,
}

/// A period and who asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionLimit {
    /// The instrument.
    pub instrument: InstrumentId,
    /// The period.
    pub period: Period,
}

/// The retention of one version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RetentionTerms {
    /// It may not be deleted before this.
    pub at_least: Option<Term>,
    /// It is to be deleted once this has come. Never before `at_least`.
    pub at_most: Option<Term>,
}

/// A point in time and who sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Term {
    /// The point in time.
    pub at: Timestamp,
    /// The instrument; of several that set the same, the first in the order of names.
    pub instrument: InstrumentId,
}

impl Retention {
    /// Whether nothing is asked.
    pub const fn is_empty(&self) -> bool {
        self.at_least.is_empty() && self.at_most.is_empty()
    }

    /// The retention of a version of that date. Where a ceiling comes before the floor, the floor stands: what must be kept is not deleted.
    pub fn of_version(&self, date: Timestamp) -> RetentionTerms {
        let term = |limit: &RetentionLimit| Term { at: limit.period.after(date), instrument: limit.instrument.clone() };
        let at_least = self.at_least.iter().map(term).reduce(|a, b| if b.at > a.at { b } else { a });
        let at_most = self.at_most.iter().map(term).reduce(|a, b| if b.at < a.at { b } else { a });
        let at_most = match (&at_least, at_most) {
            (Some(floor), Some(ceiling)) if ceiling.at < floor.at => Some(floor.clone()),
            (_, ceiling) => ceiling,
        };
        RetentionTerms { at_least, at_most }
    }

    /// Whether it keeps at least as long and at the most as long as `other` does, whatever the version's date.
    pub(super) fn at_least_as_strict_as(&self, other: &Self) -> bool {
        let longer = |one: &RetentionLimit, other: &RetentionLimit| one.period.compare(other.period).is_some_and(Ordering::is_ge);
        other.at_least.iter().all(|limit| self.at_least.iter().any(|own| longer(own, limit)))
            && other.at_most.iter().all(|limit| self.at_most.iter().any(|own| longer(limit, own)))
    }
}
