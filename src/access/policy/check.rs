//! What a policy has to be to be set on a bucket.

use super::{
    MalformedPolicy,
    read::any_about,
    statement::{ActionSet, Statement},
};
use crate::{access::Resource, types::BucketName};

/// Every resource covers the bucket or objects in it, and every action some resource.
pub(super) fn against(statements: &[Statement], bucket: &BucketName) -> Result<(), MalformedPolicy> {
    statements.iter().try_for_each(|statement| one(statement, bucket))
}

fn one(statement: &Statement, bucket: &BucketName) -> Result<(), MalformedPolicy> {
    let place = format!("Statement[{}]", statement.index);
    let inside = format!("{bucket}/");
    let (mut the_bucket, mut objects) = (false, false);
    for pattern in &statement.resources.patterns {
        let (is_bucket, is_objects) = (pattern.may_match(bucket.as_str()), pattern.may_match_beyond(&inside));
        if !is_bucket && !is_objects {
            return Err(MalformedPolicy::at(place, "policy has invalid resource: one is neither this bucket nor in it"));
        }
        the_bucket |= is_bucket;
        objects |= is_objects;
    }
    if statement.resources.negated {
        return Ok(());
    }
    let applies = |actions: ActionSet| {
        (the_bucket && any_about(actions, Resource::Bucket)) || (objects && any_about(actions, Resource::Object))
    };
    match statement.named_actions.iter().find(|actions| !applies(**actions)).and_then(|actions| actions.iter().next()) {
        Some(action) => Err(MalformedPolicy::at(
            format!("{place}.Action"),
            format!(
                "action does not apply to any resource(s) in statement: `{action}` is about {}",
                match action.resource() {
                    Resource::Object => format!("objects, such as `arn:aws:s3:::{bucket}/*`"),
                    Resource::Bucket | Resource::Account => format!("the bucket, `arn:aws:s3:::{bucket}`"),
                }
            ),
        )),
        None => Ok(()),
    }
}
