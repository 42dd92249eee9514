//! One condition: an operator, a key and the values it is held against.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use time::{Date, PrimitiveDateTime, macros::format_description};

use super::{
    MalformedPolicy,
    ip::Network,
    json::Json,
    operator::{Operator, Quantifier, Test},
    read::check_pattern,
    statement::Effect,
};
use crate::{
    access::{Key, facts::Facts, wildcard::Pattern},
    types::Timestamp,
};

/// The longest value of a request that is compared, in bytes: keys and tags are shorter, headers may not be.
const LONGEST_VALUE: usize = 2048;

/// A condition. Several values are alternatives; under a negated operator none of them may match.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) operator: Operator,
    pub(super) key: Key,
    pub(super) operands: Vec<Operand>,
}

/// A value of the policy, read as its operator needs it.
#[derive(Debug)]
pub(super) enum Operand {
    Text(Pattern),
    Arn(Arn),
    Number(f64),
    Date(Timestamp),
    Bool(bool),
    Ip(Network),
    Binary(Vec<u8>),
}

/// An ARN whose parts are compared one by one, so that a `*` does not reach across a colon. The last part may have colons.
#[derive(Debug)]
pub(super) struct Arn(pub(super) Vec<Pattern>);

/// What to make of an operand whose policy variable has no value.
enum Unresolved {
    /// It matches nothing.
    MatchesNothing,
    /// The condition does not hold: a negation must not let in whom it could not compare.
    Fails,
}

impl Condition {
    pub(super) fn read(
        operator: Operator,
        key: &str,
        values: &Json,
        place: &str,
        variables: bool,
    ) -> Result<Self, MalformedPolicy> {
        let known = Key::parse(key).ok_or_else(|| {
            let shown: String = key.chars().take(64).collect();
            MalformedPolicy::at(place, format!("policy has an invalid condition key: `{shown}` is unknown"))
        })?;
        let place = format!("{place}.{key}");
        let values = values.one_or_many();
        if values.is_empty() {
            return Err(MalformedPolicy::at(place, "the list of values is empty"));
        }
        let operands = values.iter().map(|value| Operand::read(operator.test, value, &place, variables));
        Ok(Self { operator, key: known, operands: operands.collect::<Result<_, _>>()? })
    }

    /// Whether it holds for the request.
    pub(super) fn holds(&self, facts: &Facts<'_>, effect: Effect) -> bool {
        let value = facts.value(&self.key);
        let values = value.as_slice();
        let Operator { quantifier, test, negated, if_exists } = self.operator;
        if test == Test::Null {
            return self.operands.iter().any(|operand| matches!(operand, Operand::Bool(absent) if *absent == values.is_empty()));
        }
        // What would take long to compare is taken for whatever lets nobody in.
        if values.iter().any(|value| value.len() > LONGEST_VALUE) {
            return effect == Effect::Deny;
        }
        if values.is_empty() {
            return if_exists || quantifier.map_or(negated, |quantifier| quantifier == Quantifier::All);
        }
        let unresolved = if negated && effect == Effect::Allow { Unresolved::Fails } else { Unresolved::MatchesNothing };
        let Some(operands) = self.resolved(facts, &unresolved) else { return false };
        let passes = |value: &str| operands.iter().any(|operand| operand.matches(test, value)) != negated;
        match quantifier {
            Some(Quantifier::All) => values.iter().all(|value| passes(value)),
            Some(Quantifier::Any) => values.iter().any(|value| passes(value)),
            None if negated => values.iter().all(|value| passes(value)),
            None => values.iter().any(|value| passes(value)),
        }
    }

    /// The operands with the request's facts in place of variables.
    fn resolved<'a>(&'a self, facts: &Facts<'_>, unresolved: &Unresolved) -> Option<Vec<Resolved<'a>>> {
        let mut resolved = Vec::with_capacity(self.operands.len());
        for operand in &self.operands {
            match (operand.resolve(facts), unresolved) {
                (Some(operand), _) => resolved.push(operand),
                (None, Unresolved::MatchesNothing) => {}
                (None, Unresolved::Fails) => return None,
            }
        }
        Some(resolved)
    }
}

/// An operand without variables.
enum Resolved<'a> {
    Pattern(std::borrow::Cow<'a, Pattern>),
    Arn(Vec<std::borrow::Cow<'a, Pattern>>),
    Other(&'a Operand),
}

impl Operand {
    fn read(test: Test, value: &Json, place: &str, variables: bool) -> Result<Self, MalformedPolicy> {
        let (Json::Text(text) | Json::Scalar(text)) = value else {
            return Err(MalformedPolicy::at(place, format!("a value is a string, number or boolean, not {}", value.kind())));
        };
        let wrong = |wanted: &str| {
            let text: String = text.chars().take(64).collect();
            MalformedPolicy::at(place, format!("invalid value: `{text}` is not {wanted}"))
        };
        let open = |_| wrong("a value: its policy variable is not closed");
        let checked = |pattern: Pattern| check_pattern(&pattern, place).map(|()| pattern);
        Ok(match test {
            Test::Text | Test::TextIgnoringCase => Self::Text(checked(Pattern::read_exact(text, variables).map_err(open)?)?),
            Test::TextLike => Self::Text(checked(Pattern::read(text, variables).map_err(open)?)?),
            Test::Arn => {
                let parts = arn_parts(text).into_iter();
                let parts = parts.map(|part| Pattern::read(part, variables).map_err(open).and_then(checked));
                Self::Arn(Arn(parts.collect::<Result<_, _>>()?))
            }
            Test::Number(_) => Self::Number(number(text).ok_or_else(|| wrong("a number"))?),
            Test::Date(_) => {
                Self::Date(date(text).ok_or_else(|| wrong("a date such as `2026-11-23T20:40:01Z`, or seconds since 1970"))?)
            }
            Test::Bool | Test::Null => Self::Bool(boolean(text).ok_or_else(|| wrong("`true` or `false`"))?),
            Test::Ip => Self::Ip(Network::parse(text).ok_or_else(|| wrong("an address or a range such as `203.0.113.0/24`"))?),
            Test::Binary => Self::Binary(BASE64.decode(text).map_err(|_| wrong("base64"))?),
        })
    }

    fn resolve(&self, facts: &Facts<'_>) -> Option<Resolved<'_>> {
        let look_up = |name: &str| facts.variable(name);
        Some(match self {
            Self::Text(pattern) => Resolved::Pattern(pattern.resolve(&look_up)?),
            Self::Arn(Arn(parts)) => Resolved::Arn(parts.iter().map(|part| part.resolve(&look_up)).collect::<Option<_>>()?),
            other => Resolved::Other(other),
        })
    }
}

impl Resolved<'_> {
    /// A value of the request that is not of the operator's kind matches nothing.
    fn matches(&self, test: Test, value: &str) -> bool {
        match (self, test) {
            (Self::Pattern(pattern), Test::TextIgnoringCase) => pattern.to_lowercase().matches(&value.to_lowercase()),
            (Self::Pattern(pattern), _) => pattern.matches(value),
            (Self::Arn(parts), _) => {
                // A pattern with fewer parts than an ARN has is held against the whole.
                let values = if parts.len() == ARN_PARTS { arn_parts(value) } else { vec![value] };
                parts.len() == values.len() && parts.iter().zip(values).all(|(part, value)| part.matches(value))
            }
            (Self::Other(Operand::Number(operand)), Test::Number(order)) => {
                number(value).is_some_and(|value| order.holds(value, *operand))
            }
            (Self::Other(Operand::Date(operand)), Test::Date(order)) => {
                date(value).is_some_and(|value| order.holds(value, *operand))
            }
            (Self::Other(Operand::Bool(operand)), _) => boolean(value) == Some(*operand),
            (Self::Other(Operand::Ip(network)), _) => value.parse::<IpAddr>().is_ok_and(|address| network.contains(address)),
            (Self::Other(Operand::Binary(operand)), _) => BASE64.decode(value).is_ok_and(|value| value == *operand),
            (Self::Other(_), _) => false,
        }
    }
}

const ARN_PARTS: usize = 6;

/// The six parts of an ARN, the last with whatever colons it has; or the whole text when it has fewer. Colons within `${…}` do not
/// separate.
fn arn_parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::with_capacity(ARN_PARTS);
    let (mut start, mut in_variable) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if text[..at].ends_with('$') => in_variable = true,
            b'}' => in_variable = false,
            b':' if !in_variable && parts.len() < ARN_PARTS - 1 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    if parts.len() == ARN_PARTS { parts } else { vec![text] }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

fn boolean(text: &str) -> Option<bool> {
    [("true", true), ("false", false)].into_iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|(_, value)| value)
}

/// A date in one of the forms of ISO 8601 that W3C's note names, or seconds since 1970.
fn date(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(Timestamp::from_seconds(seconds));
    }
    if let Some(time) = Timestamp::parse_rfc3339(text) {
        return Some(time);
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let day = || Date::parse(text, format_description!("[year]-[month]-[day]")).ok().map(Date::midnight);
    let minute = || PrimitiveDateTime::parse(text, format_description!("[year]-[month]-[day]T[hour]:[minute]")).ok();
    let second = || PrimitiveDateTime::parse(text, format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]")).ok();
    let date = day().or_else(minute).or_else(second)?;
    Some(Timestamp::from_seconds(date.assume_utc().unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_several_forms() {
        let expected = Timestamp::parse_rfc3339("2026-11-23T20:40:00Z");
        for text in
            ["2026-11-23T20:40:00Z", "2026-11-23T20:40Z", "2026-11-23T20:40:00", "2026-11-23T21:40:00+01:00", "1795466400"]
        {
            assert_eq!(date(text), expected, "{text}");
        }
        assert_eq!(date("2026-11-23"), Timestamp::parse_rfc3339("2026-11-23T00:00:00Z"));
        for wrong in ["", "Z", "today", "2026-13-01", "2026-11-23T"] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn arns_have_six_parts() {
        assert_eq!(arn_parts("arn:aws:iam::feed:user/a:b"), ["arn", "aws", "iam", "", "feed", "user/a:b"]);
        assert_eq!(arn_parts("arn:aws:iam::${aws:PrincipalAccount}:root")[4], "${aws:PrincipalAccount}");
        assert_eq!(arn_parts("arn:*"), ["arn:*"]);
        assert_eq!(arn_parts("ü{:"), ["ü{:"]);
    }
}
