//! The operators of conditions. IAM User Guide, "IAM JSON policy elements: Condition operators".

/// An operator as it stands in a policy: `ForAnyValue:StringLikeIfExists`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operator {
    /// How many of a key's values have to pass.
    pub(super) quantifier: Option<Quantifier>,
    pub(super) test: Test,
    /// Turns the test around: no value of the policy may match.
    pub(super) negated: bool,
    /// Holds when the request says nothing under the key.
    pub(super) if_exists: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    /// `ForAllValues:`
    All,
    /// `ForAnyValue:`
    Any,
}

/// How one value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Text,
    TextIgnoringCase,
    TextLike,
    Arn,
    Number(Order),
    Date(Order),
    Bool,
    Ip,
    Binary,
    Null,
}

/// The request's value stands so to the policy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    const TESTS: [(&'static str, Test, bool); 27] = [
        ("StringEquals", Test::Text, false),
        ("StringNotEquals", Test::Text, true),
        ("StringEqualsIgnoreCase", Test::TextIgnoringCase, false),
        ("StringNotEqualsIgnoreCase", Test::TextIgnoringCase, true),
        ("StringLike", Test::TextLike, false),
        ("StringNotLike", Test::TextLike, true),
        ("ArnEquals", Test::Arn, false),
        ("ArnLike", Test::Arn, false),
        ("ArnNotEquals", Test::Arn, true),
        ("ArnNotLike", Test::Arn, true),
        ("NumericEquals", Test::Number(Order::Equal), false),
        ("NumericNotEquals", Test::Number(Order::Equal), true),
        ("NumericLessThan", Test::Number(Order::Less), false),
        ("NumericLessThanEquals", Test::Number(Order::LessOrEqual), false),
        ("NumericGreaterThan", Test::Number(Order::Greater), false),
        ("NumericGreaterThanEquals", Test::Number(Order::GreaterOrEqual), false),
        ("DateEquals", Test::Date(Order::Equal), false),
        ("DateNotEquals", Test::Date(Order::Equal), true),
        ("DateLessThan", Test::Date(Order::Less), false),
        ("DateLessThanEquals", Test::Date(Order::LessOrEqual), false),
        ("DateGreaterThan", Test::Date(Order::Greater), false),
        ("DateGreaterThanEquals", Test::Date(Order::GreaterOrEqual), false),
        ("Bool", Test::Bool, false),
        ("IpAddress", Test::Ip, false),
        ("NotIpAddress", Test::Ip, true),
        ("BinaryEquals", Test::Binary, false),
        ("Null", Test::Null, false),
    ];

    /// The operator of that name. `Null` asks whether there is a value, so it takes neither quantifier nor `IfExists`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (quantifier, name) = match text.split_once(':') {
            Some(("ForAllValues", name)) => (Some(Quantifier::All), name),
            Some(("ForAnyValue", name)) => (Some(Quantifier::Any), name),
            Some(_) => return None,
            None => (None, text),
        };
        let (name, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |name| (name, true));
        let (_, test, negated) = *Self::TESTS.iter().find(|(one, _, _)| *one == name)?;
        let plain = quantifier.is_none() && !if_exists;
        (test != Test::Null || plain).then_some(Self { quantifier, test, negated, if_exists })
    }
}

impl Order {
    pub(super) fn holds<T: PartialOrd>(self, value: T, operand: T) -> bool {
        match self {
            Self::Equal => value == operand,
            Self::Less => value < operand,
            Self::LessOrEqual => value <= operand,
            Self::Greater => value > operand,
            Self::GreaterOrEqual => value >= operand,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_read_with_prefix_and_suffix() {
        let operator = Operator::parse("ForAnyValue:StringNotLikeIfExists").unwrap();
        let expected = Operator { quantifier: Some(Quantifier::Any), test: Test::TextLike, negated: true, if_exists: true };
        assert_eq!(operator, expected);
        for (name, _, _) in Operator::TESTS {
            assert!(Operator::parse(name).is_some(), "{name}");
            assert_eq!(Operator::parse(&format!("{name}IfExists")).is_some(), name != "Null", "{name}");
        }
        for unknown in
            ["", "IfExists", "stringequals", "ForSome:Bool", "ForAnyValue:", "ForAnyValue:Null", "StringEqualsIfExistsIfExists"]
        {
            assert_eq!(Operator::parse(unknown), None, "{unknown}");
        }
    }
}
