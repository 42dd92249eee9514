//! Writes that are only thought of: what would be decided of them, and whose data they would be.

use serde_json::Value;

use super::gateway::{AppGateway, internal};
use crate::admin::{ExplainRequest, GatewayError};
use crate::authn::{Principal, Principals};
use crate::residency::Signals;
use crate::types::SubjectId;

impl AppGateway {
    pub(super) fn explain_write(&self, request: &ExplainRequest) -> Result<Value, GatewayError> {
        let principals = self.access.principals.load();
        let principal = writer(&principals, request)?;
        let residency = &self.objects.residency;
        let explanation = residency.explain(residency.facts_of(principal), &signals(request, &tags(request)));
        serde_json::to_value(explanation).map_err(internal)
    }

    /// Whose data the write would be.
    pub(super) fn named_subject(&self, request: &ExplainRequest) -> Option<SubjectId> {
        let principals = self.access.principals.load();
        let principal = self.objects.residency.facts_of(writer(&principals, request).ok()?);
        self.objects.residency.named_subject(principal, &signals(request, &tags(request)))
    }
}

/// The principal that a write that is only thought of comes from.
fn writer<'p>(principals: &'p Principals, request: &ExplainRequest) -> Result<&'p Principal, GatewayError> {
    let mut candidates = principals.iter().filter(|one| request.principal.as_ref().is_none_or(|id| *id == one.id));
    match (candidates.next(), candidates.next()) {
        (Some(principal), None) => Ok(principal),
        (None, _) => Err(GatewayError::NotFound("there is no such principal")),
        _ => Err(GatewayError::Invalid("say which principal writes".to_owned())),
    }
}

fn tags(request: &ExplainRequest) -> Vec<(String, String)> {
    request.tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn signals<'r>(request: &'r ExplainRequest, tags: &'r [(String, String)]) -> Signals<'r> {
    Signals { bucket: &request.bucket, key: &request.key, metadata: &request.metadata, tags, sources: &[], stated: None }
}
