//! The policy routes of the admin API.

use std::sync::Arc;

use super::{
    gateway::{AppGateway, actor},
    open::ReadSet,
    policies,
    revisions::Asker,
};
use crate::admin::{
    GatewayError, PoliciesView, PolicyDiffView, PolicyEntryView, PolicyFolderView, PolicyRevisionView, SetToCompare, Verdict,
};
use crate::authn::TokenIdentity;
use crate::policy::PolicySet;
use crate::types::RequestId;

impl AppGateway {
    pub(super) fn policies_view(&self) -> PoliciesView {
        let set = self.objects.policies.load();
        let standing = self.objects.index.policy_standing();
        let seen = self.revisions.seen();
        let passed_over = standing.in_force.as_ref().and_then(|entry| entry.passed_over);
        PoliciesView {
            revision: set.revision(),
            source: policies::describe(&self.revisions.source),
            warnings: set.warnings().to_vec(),
            approval: self.revisions.approval.as_str(),
            in_force: standing.in_force.as_ref().map(PolicyEntryView::from),
            proposal: standing.proposed.as_ref().map(PolicyEntryView::from),
            folder: PolicyFolderView {
                revision: seen.revision,
                in_force: seen.revision == set.revision(),
                put_aside: passed_over.is_some_and(|passed| passed.is_same(&seen)),
            },
        }
    }

    pub(super) async fn history_views(&self, before: Option<u64>, limit: usize) -> Result<Vec<PolicyEntryView>, GatewayError> {
        let entries = self.objects.index.policy_history(before, limit).await?;
        Ok(entries.iter().map(PolicyEntryView::from).collect())
    }

    pub(super) fn revision_view(&self, name: &str) -> Result<PolicyRevisionView, GatewayError> {
        let revision = self.named_set(name)?;
        let files = self.objects.index.policy_texts(revision)?.unwrap_or_default();
        Ok(PolicyRevisionView { revision, files })
    }

    pub(super) async fn decide(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        name: &str,
        verdict: Verdict,
        comment: Option<String>,
    ) -> Result<PoliciesView, GatewayError> {
        let revision = self.named_set(name)?;
        let asker = Asker { actor: actor(who), request: Some(request.clone()) };
        match verdict {
            Verdict::Approve => self.approve(asker, revision, comment).await?,
            Verdict::Reject => self.reject(asker, revision, comment).await?,
        }
        tracing::info!(%request, actor = %who.id, %revision, ?verdict, "policy proposal");
        Ok(self.policies_view())
    }

    pub(super) async fn compare(
        &self,
        from: Option<SetToCompare>,
        to: Option<SetToCompare>,
    ) -> Result<PolicyDiffView, GatewayError> {
        let place = self.place_for_long().await?;
        let from = match from {
            None => self.objects.policies.load_full(),
            Some(from) => self.set_to_compare(from).await?,
        };
        let proposed = self.objects.index.policy_standing().proposed.as_ref().map(|entry| entry.revision);
        let to = match (to, proposed) {
            (Some(to), _) => self.set_to_compare(to).await?,
            (None, Some(proposed)) => Arc::new(self.kept_set(proposed).await?.set),
            (None, None) => Arc::new(self.revisions.read_folder().await?.set),
        };
        let (before, after) = (from.revision(), to.revision());
        Ok(PolicyDiffView::new(before, after, self.difference(from, to, Some(place)).await?))
    }

    async fn set_to_compare(&self, set: SetToCompare) -> Result<Arc<PolicySet>, GatewayError> {
        match set {
            SetToCompare::Kept(name) => Ok(Arc::new(self.kept_set(self.named_set(&name)?).await?.set)),
            SetToCompare::Files(texts) => {
                let available = self.revisions.available.clone();
                let read = tokio::task::spawn_blocking(move || ReadSet::of(texts, &available));
                let read = read.await.map_err(super::gateway::internal)?.map_err(GatewayError::Policies)?;
                Ok(Arc::new(read.set))
            }
        }
    }
}
