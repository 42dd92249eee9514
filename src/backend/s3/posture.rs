//! Asks a bucket how it is set up. Every question stands alone: what a service does not have, or does not let this key pair ask, leaves the
//! others as they are.

mod judge;
mod policy_text;
#[cfg(test)]
mod tests;

use std::{error::Error, time::Duration};

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::{S3Backend, error};
use crate::backend::{
    BackendError, Check,
    posture::{Posture, Unknown, Verdict, told},
};

/// How long one question may take, its repetitions included.
const PATIENCE: Duration = Duration::from_secs(4);

/// What a service answers to one question.
enum Answer<T> {
    /// This is set.
    Told(T),
    /// Nothing of the kind is set.
    Absent,
    /// The question is open.
    Open(Unknown),
}

/// A question: which right it needs, and the code by which services say that nothing is set.
#[derive(Clone, Copy)]
struct Question {
    right: &'static str,
    absent: Option<&'static str>,
}

impl Question {
    const fn new(right: &'static str, absent: Option<&'static str>) -> Self {
        Self { right, absent }
    }

    async fn ask<T, E>(self, request: impl Future<Output = Result<T, SdkError<E>>>) -> Answer<T>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        match tokio::time::timeout(PATIENCE, request).await {
            Ok(Ok(answer)) => Answer::Told(answer),
            Ok(Err(error)) => self.unanswered(&error),
            Err(_) => Answer::Open(Unknown::Failed(format!("nothing came in {} s", PATIENCE.as_secs()))),
        }
    }

    fn unanswered<T, E>(self, failure: &SdkError<E>) -> Answer<T>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let SdkError::ServiceError(answer) = failure else {
            return Answer::Open(Unknown::Failed(told(&error::chain(failure))));
        };
        let (status, code) = (answer.raw().status().as_u16(), answer.err().code());
        match (status, code) {
            (_, Some(code)) if Some(code) == self.absent => Answer::Absent,
            (405 | 501, _) | (_, Some("NotImplemented" | "MethodNotAllowed" | "NotSupported" | "UnsupportedOperation")) => {
                Answer::Open(Unknown::NotSupported)
            }
            (200..300, _) => Answer::Open(Unknown::Failed("what came is no answer to the question".to_owned())),
            (401 | 403, _) => Answer::Open(Unknown::NotPermitted(self.right)),
            (_, code) => Answer::Open(Unknown::Failed(told(&error::told(status, code.map(str::to_owned))))),
        }
    }
}

impl S3Backend {
    /// One verdict for each of [`Check::OF_BUCKETS`].
    pub(super) async fn posture(&self) -> Result<Posture, BackendError> {
        const LOCATION: Question = Question::new("s3:GetBucketLocation", None);
        const REPLICATION: Question =
            Question::new("s3:GetReplicationConfiguration", Some("ReplicationConfigurationNotFoundError"));
        const STATUS: Question = Question::new("s3:GetBucketPolicyStatus", Some("NoSuchBucketPolicy"));
        const POLICY: Question = Question::new("s3:GetBucketPolicy", Some("NoSuchBucketPolicy"));
        const ACL: Question = Question::new("s3:GetBucketAcl", None);
        const BLOCK: Question = Question::new("s3:GetBucketPublicAccessBlock", Some("NoSuchPublicAccessBlockConfiguration"));
        const VERSIONING: Question = Question::new("s3:GetBucketVersioning", None);
        const LIFECYCLE: Question = Question::new("s3:GetLifecycleConfiguration", Some("NoSuchLifecycleConfiguration"));
        let (client, bucket) = (&self.client, &self.bucket);
        let (location, replication, status, policy, acl, block, versioning, lifecycle) = tokio::join!(
            LOCATION.ask(client.get_bucket_location().bucket(bucket).send()),
            REPLICATION.ask(client.get_bucket_replication().bucket(bucket).send()),
            STATUS.ask(client.get_bucket_policy_status().bucket(bucket).send()),
            POLICY.ask(client.get_bucket_policy().bucket(bucket).send()),
            ACL.ask(client.get_bucket_acl().bucket(bucket).send()),
            BLOCK.ask(client.get_public_access_block().bucket(bucket).send()),
            VERSIONING.ask(client.get_bucket_versioning().bucket(bucket).send()),
            LIFECYCLE.ask(client.get_bucket_lifecycle_configuration().bucket(bucket).send()),
        );
        let held_back = judge::held_back(&block);
        let versions = judge::versioning(versioning, &lifecycle);
        let versions = if versions == judge::Versions::Suspended { self.old_versions().await } else { versions.verdict() };
        let verdicts = [
            (Check::Region, judge::region(&self.region, self.at_aws, location)),
            (Check::Replication, judge::replication(replication)),
            (Check::PublicPolicy, judge::public_policy(status, policy, held_back.policy)),
            (Check::PublicAcl, judge::public_acl(acl, held_back.acl)),
            (Check::PublicAccessBlock, judge::public_access_block(block)),
            (Check::Versioning, versions),
            (Check::Lifecycle, judge::lifecycle(lifecycle)),
        ];
        let failed = |(_, verdict): &(Check, Verdict)| match verdict {
            Verdict::Unknown(Unknown::Failed(why)) => Some(why.clone()),
            _ => None,
        };
        // When every question failed, the bucket was not looked at, whatever the reasons.
        match verdicts.iter().map(failed).collect::<Option<Vec<String>>>() {
            Some(reasons) => Err(BackendError::Unavailable {
                site: self.site.clone(),
                reason: reasons.into_iter().next().unwrap_or_default(),
                cause: None,
            }),
            None => Ok(Posture(verdicts.into())),
        }
    }

    /// Whether a bucket whose versioning is suspended has versions from before.
    async fn old_versions(&self) -> Verdict {
        const VERSIONS: Question = Question::new("s3:ListBucketVersions", None);
        judge::old_versions(VERSIONS.ask(self.client.list_object_versions().bucket(&self.bucket).send()).await)
    }
}
