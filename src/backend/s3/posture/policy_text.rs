//! Whether a bucket's policy lets everybody in, judged by its text alone: for services that do not say so themselves.
//!
//! Not the evaluation of a policy: conditions, actions and denials are not weighed, so what may be open counts as open.

use serde_json::Value;

/// How open a policy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Openness {
    /// No statement allows everybody anything.
    Closed,
    /// One does, under conditions that are not judged here.
    Conditional,
    /// One does.
    Public,
}

/// Judges the text; `None` when it is no policy.
pub(super) fn judge(text: &str) -> Option<Openness> {
    let policy: Value = serde_json::from_str(text.trim()).ok()?;
    let statements = match policy.as_object()?.get("Statement")? {
        Value::Array(statements) => statements.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => return None,
    };
    statements.iter().try_fold(Openness::Closed, |openness, statement| Some(openness.max(of_statement(statement)?)))
}

fn of_statement(statement: &Value) -> Option<Openness> {
    let statement = statement.as_object()?;
    // An effect that is neither is no reason to call the statement harmless.
    if statement.get("Effect").and_then(Value::as_str) == Some("Deny") {
        return Some(Openness::Closed);
    }
    // All but those named are nearly everybody.
    let everybody = statement.contains_key("NotPrincipal") || statement.get("Principal").is_some_and(names_everybody);
    let condition = match statement.get("Condition") {
        None | Some(Value::Null) => false,
        Some(condition) => condition.as_object().is_none_or(|condition| !condition.is_empty()),
    };
    Some(match (everybody, condition) {
        (false, _) => Openness::Closed,
        (true, true) => Openness::Conditional,
        (true, false) => Openness::Public,
    })
}

/// `"*"`, `{"AWS": "*"}` and `{"AWS": ["*", …]}`, under whatever name.
fn names_everybody(principal: &Value) -> bool {
    match principal {
        Value::String(name) => name == "*",
        Value::Array(names) => names.iter().any(names_everybody),
        Value::Object(kinds) => kinds.contains_key("*") || kinds.values().any(names_everybody),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openness(statement: &str) -> Option<Openness> {
        judge(&format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#))
    }

    #[test]
    fn everybody_is_found_however_it_is_written() {
        for everybody in
            [r#""*""#, r#"{"AWS":"*"}"#, r#"{"AWS":["arn:aws:iam::1:root","*"]}"#, r#"{"CanonicalUser":"*"}"#, r#"["*"]"#]
        {
            let allow = format!(r#"{{"Effect":"Allow","Principal":{everybody},"Action":"s3:GetObject","Resource":"*"}}"#);
            assert_eq!(openness(&allow), Some(Openness::Public), "{everybody}");
            assert_eq!(openness(&format!("[{allow}]")), Some(Openness::Public), "{everybody}");
            let deny = allow.replace("Allow", "Deny");
            assert_eq!(openness(&deny), Some(Openness::Closed), "{everybody}");
            assert_eq!(openness(&format!("[{deny},{allow}]")), Some(Openness::Public), "a denial is not weighed: {everybody}");
        }
        let nearly = r#"{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::1:root"},"Action":"*","Resource":"*"}"#;
        assert_eq!(openness(nearly), Some(Openness::Public));
    }

    #[test]
    fn somebody_is_not_everybody_and_conditions_are_told_apart() {
        let somebody = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"},"Action":"*","Resource":"*"}"#;
        assert_eq!(openness(somebody), Some(Openness::Closed));
        let condition = |condition: &str| {
            openness(&format!(r#"{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{condition}}}"#))
        };
        assert_eq!(condition(r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#), Some(Openness::Conditional));
        assert_eq!(condition("{}"), Some(Openness::Public));
    }

    #[test]
    fn what_is_no_policy_is_not_judged() {
        for text in ["", "<ListBucketResult/>", "[]", "{}", r#"{"Statement":"*"}"#, r#"{"Statement":["*"]}"#] {
            assert_eq!(judge(text), None, "{text}");
        }
        assert_eq!(judge(r#"{"Statement":[]}"#), Some(Openness::Closed));
        let odd = r#"{"Effect":"allow","Principal":"*","Action":"*","Resource":"*"}"#;
        assert_eq!(openness(odd), Some(Openness::Public), "an effect that is not known is not harmless");
    }
}
