//! Whether a policy lets strangers in. Amazon S3 User Guide, "The meaning of 'public'": a policy is public unless each of its
//! statements that allow is restricted to fixed principals, networks or sources.

use super::{
    condition::{Arn, Condition, Operand},
    operator::{Quantifier, Test},
    statement::{Effect, Statement},
};
use crate::access::Key;

/// Whether some statement allows what a stranger can ask.
pub(super) fn is_public(statements: &[Statement]) -> bool {
    statements.iter().any(|statement| {
        statement.effect == Effect::Allow
            && statement.principals.include_everyone()
            && !statement.conditions.iter().any(restricts)
    })
}

/// Whether the condition holds only for fixed values of a key that strangers cannot choose. Values with a wildcard or a policy variable
/// are not fixed.
fn restricts(condition: &Condition) -> bool {
    let operator = condition.operator;
    // These hold also when the request says nothing, or anything else.
    if operator.negated || operator.if_exists || operator.quantifier == Some(Quantifier::All) {
        return false;
    }
    match &condition.key {
        Key::SourceIp => {
            operator.test == Test::Ip && all(condition, |operand| matches!(operand, Operand::Ip(range) if !range.is_broad()))
        }
        Key::DataAccessPointArn => all(condition, names_account) || all(condition, is_fixed),
        Key::SourceArn
        | Key::SourceVpc
        | Key::SourceVpce
        | Key::SourceOwner
        | Key::SourceAccount
        | Key::SourceOrgId
        | Key::Userid
        | Key::DataAccessPointAccount
        | Key::PrincipalOrgId
        | Key::PrincipalOrgPaths
        | Key::PrincipalServiceName
        | Key::PrincipalArn
        | Key::PrincipalAccount => all(condition, is_fixed),
        _ => false,
    }
}

fn all(condition: &Condition, test: impl Fn(&Operand) -> bool) -> bool {
    condition.operands.iter().all(test)
}

fn is_fixed(operand: &Operand) -> bool {
    match operand {
        Operand::Text(pattern) => pattern.is_fixed(),
        Operand::Arn(Arn(parts)) => parts.iter().all(|part| part.is_fixed()),
        _ => false,
    }
}

/// Whether everything up to the account of an access point's ARN is fixed; its name need not be.
fn names_account(operand: &Operand) -> bool {
    match operand {
        Operand::Text(pattern) => pattern.start().matches(':').count() >= 5,
        Operand::Arn(Arn(parts)) => {
            parts.split_last().is_some_and(|(_, before)| before.len() == 5 && before.iter().all(|p| p.is_fixed()))
        }
        _ => false,
    }
}
