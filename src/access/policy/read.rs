//! From a document's text to statements: what can be said without knowing the bucket.

use std::collections::HashSet;

use super::{
    BucketPolicy, MalformedPolicy,
    condition::Condition,
    json::Json,
    operator::Operator,
    principal::Principals,
    statement::{ActionSet, Effect, Resources, Statement},
};
use crate::access::{Action, Key, Resource, wildcard::Pattern};

/// What the ARN of every bucket and object begins with.
const ARN: &str = "arn:aws:s3:::";

/// The statements of a document.
pub(super) fn statements(text: &str) -> Result<Vec<Statement>, MalformedPolicy> {
    if text.len() > BucketPolicy::MAX_BYTES {
        return Err(MalformedPolicy::at("document", format!("policy exceeds the maximum of {} bytes", BucketPolicy::MAX_BYTES)));
    }
    let document = serde_json::from_str::<Json>(text).map_err(|error| MalformedPolicy::at("document", error.to_string()))?;
    let members = object(&document, "document")?;
    known(members, &["Version", "Id", "Statement"], "")?;
    let variables = match optional_text(members, "Version", "")? {
        None | Some("2008-10-17") => false,
        Some("2012-10-17") => true,
        Some(_) => {
            return Err(MalformedPolicy::at("Version", "the policy must contain a valid version: `2012-10-17` or `2008-10-17`"));
        }
    };
    optional_text(members, "Id", "")?;
    let list = member(members, "Statement").ok_or_else(|| missing("Statement", ""))?.one_or_many();
    if list.is_empty() {
        return Err(MalformedPolicy::at("Statement", "the list of statements is empty"));
    }
    let statements: Vec<Statement> =
        list.iter().enumerate().map(|(index, value)| statement(index, value, variables)).collect::<Result<_, _>>()?;
    let mut sids = HashSet::new();
    for statement in &statements {
        if let Some(sid) = statement.sid.as_ref().filter(|sid| !sid.is_empty())
            && !sids.insert(sid)
        {
            return Err(MalformedPolicy::at(format!("Statement[{}].Sid", statement.index), "statement ids must be unique"));
        }
    }
    Ok(statements)
}

fn statement(index: usize, value: &Json, variables: bool) -> Result<Statement, MalformedPolicy> {
    let place = format!("Statement[{index}]");
    let members = object(value, &place)?;
    let names = ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    known(members, &names, &place)?;
    let sid = optional_text(members, "Sid", &place)?.map(str::to_owned);
    let effect = match optional_text(members, "Effect", &place)?.ok_or_else(|| missing("Effect", &place))? {
        "Allow" => Effect::Allow,
        "Deny" => Effect::Deny,
        _ => return Err(MalformedPolicy::at(format!("{place}.Effect"), "invalid effect: use `Allow` or `Deny`")),
    };
    let (principals, negated, at) = one_of(members, "Principal", "NotPrincipal", &place)?;
    if negated && effect == Effect::Allow {
        return Err(MalformedPolicy::at(at, "`Allow` with `NotPrincipal` would let everybody else in; name whom to allow"));
    }
    let principals = Principals::read(principals, negated, &at)?;
    let (named_actions, actions) = actions(members, &place)?;
    let resources = resources(members, &place, variables)?;
    let conditions = match member(members, "Condition") {
        Some(block) => conditions(block, &format!("{place}.Condition"), variables)?,
        None => Vec::new(),
    };
    Ok(Statement { index, sid, effect, principals, actions, named_actions, resources, conditions })
}

/// The actions of the document one by one (none for `NotAction`), and all together.
fn actions(members: &[(String, Json)], place: &str) -> Result<(Vec<ActionSet>, ActionSet), MalformedPolicy> {
    let (value, negated, at) = one_of(members, "Action", "NotAction", place)?;
    let mut named = Vec::new();
    for text in texts(value, &at)? {
        let set = ActionSet::matching(text);
        if !set.iter().any(|action| action.resource() != Resource::Account) {
            let text: String = text.chars().take(128).collect();
            return Err(MalformedPolicy::at(
                at,
                format!("policy has invalid action: `{text}` is no action on buckets or objects"),
            ));
        }
        named.push(set);
    }
    let all = named.iter().copied().fold(ActionSet::default(), ActionSet::union);
    Ok(if negated { (Vec::new(), all.complement()) } else { (named, all) })
}

fn resources(members: &[(String, Json)], place: &str, variables: bool) -> Result<Resources, MalformedPolicy> {
    let (value, negated, at) = one_of(members, "Resource", "NotResource", place)?;
    let mut patterns = Vec::new();
    for text in texts(value, &at)? {
        let wrong = |hint: &str| {
            let text: String = text.chars().take(128).collect();
            MalformedPolicy::at(&at, format!("policy has invalid resource: `{text}` {hint}"))
        };
        let named = text.strip_prefix(ARN).filter(|rest| !rest.is_empty());
        let named = named.ok_or_else(|| wrong("is not of the form `arn:aws:s3:::bucket` or `arn:aws:s3:::bucket/key`"))?;
        let pattern = Pattern::read(named, variables).map_err(|_| wrong("has a policy variable that is not closed"))?;
        check_pattern(&pattern, &at)?;
        patterns.push(pattern);
    }
    Ok(Resources { patterns, negated })
}

fn conditions(block: &Json, place: &str, variables: bool) -> Result<Vec<Condition>, MalformedPolicy> {
    let mut conditions = Vec::new();
    for (name, keys) in object(block, place)? {
        let operator = Operator::parse(name).ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            MalformedPolicy::at(place, format!("invalid condition operator `{shown}`"))
        })?;
        let place = format!("{place}.{name}");
        for (key, values) in object(keys, &place)? {
            conditions.push(Condition::read(operator, key, values, &place, variables)?);
        }
    }
    Ok(conditions)
}

/// Every variable has to be a key that there is, and matching must not take long.
pub(super) fn check_pattern(pattern: &Pattern, place: &str) -> Result<(), MalformedPolicy> {
    if pattern.is_costly() {
        return Err(MalformedPolicy::at(place, "a value has at most 1152 bytes, of which at most 64 are `?`"));
    }
    match pattern.variables().find(|name| Key::parse(name).is_none()) {
        Some(name) => {
            let name: String = name.chars().take(128).collect();
            Err(MalformedPolicy::at(place, format!("unknown policy variable `${{{name}}}`")))
        }
        None => Ok(()),
    }
}

fn object<'a>(value: &'a Json, place: &str) -> Result<&'a [(String, Json)], MalformedPolicy> {
    match value {
        Json::Object(members) => Ok(members),
        other => Err(MalformedPolicy::at(place, format!("should be an object and is {}", other.kind()))),
    }
}

fn member<'a>(members: &'a [(String, Json)], name: &str) -> Option<&'a Json> {
    members.iter().find(|(one, _)| one == name).map(|(_, value)| value)
}

fn optional_text<'a>(members: &'a [(String, Json)], name: &str, place: &str) -> Result<Option<&'a str>, MalformedPolicy> {
    match member(members, name) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(other) => Err(MalformedPolicy::at(below(place, name), format!("should be a string and is {}", other.kind()))),
    }
}

/// A string or a list of strings that is not empty.
fn texts<'a>(value: &'a Json, place: &str) -> Result<Vec<&'a str>, MalformedPolicy> {
    let values = value.one_or_many();
    if values.is_empty() {
        return Err(MalformedPolicy::at(place, "the list is empty"));
    }
    let text = |value: &'a Json| match value {
        Json::Text(text) => Ok(text.as_str()),
        other => Err(MalformedPolicy::at(place, format!("should be a string or a list of strings and has {}", other.kind()))),
    };
    values.iter().map(text).collect()
}

/// The one of two members that is there, whether it is the second, and its place.
fn one_of<'a>(
    members: &'a [(String, Json)],
    name: &str,
    negation: &str,
    place: &str,
) -> Result<(&'a Json, bool, String), MalformedPolicy> {
    match (member(members, name), member(members, negation)) {
        (Some(value), None) => Ok((value, false, below(place, name))),
        (None, Some(value)) => Ok((value, true, below(place, negation))),
        (None, None) => Err(missing(name, place)),
        (Some(_), Some(_)) => {
            Err(MalformedPolicy::at(place, format!("`{name}` and `{negation}` stand in one statement; keep one of them")))
        }
    }
}

fn known(members: &[(String, Json)], names: &[&str], place: &str) -> Result<(), MalformedPolicy> {
    match members.iter().find(|(name, _)| !names.contains(&name.as_str())) {
        Some((unknown, _)) => {
            let unknown: String = unknown.chars().take(64).collect();
            let place = if place.is_empty() { "document" } else { place };
            Err(MalformedPolicy::at(place, format!("unknown field `{unknown}`; there are {}", names.join(", "))))
        }
        None => Ok(()),
    }
}

fn missing(name: &str, place: &str) -> MalformedPolicy {
    MalformedPolicy::at(if place.is_empty() { "document" } else { place }, format!("missing required field `{name}`"))
}

fn below(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// Whether some action of the set is about that kind of resource.
pub(super) fn any_about(actions: ActionSet, kind: Resource) -> bool {
    actions.iter().any(|action: Action| action.resource() == kind)
}
