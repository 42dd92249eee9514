//! What the ledger says of who signs in to the console.

use async_trait::async_trait;

use super::gateway::{AppGateway, actor};
use crate::admin::{
    GatewayError,
    login::{LoginEntry, LoginLedger, LoginRefused},
};
use crate::audit::{Event, Kind};
use crate::types::RequestId;

#[async_trait]
impl LoginLedger for AppGateway {
    async fn record(&self, request: &RequestId, entry: LoginEntry<'_>) -> Result<(), GatewayError> {
        let event = match entry {
            LoginEntry::In(who, method) => {
                tracing::info!(%request, actor = %who.id, role = %who.role, method = method.as_str(), "signed in");
                Event { login: Some(method.as_str()), ..Event::new(Kind::Login, actor(who)) }
            }
            LoginEntry::Out(who) => {
                tracing::info!(%request, actor = %who.id, "signed out");
                Event::new(Kind::Logout, actor(who))
            }
            LoginEntry::Refused(method, code) => {
                // The metric has them: whoever goes on trying does not fill the log.
                if code != LoginRefused::TOO_MANY {
                    tracing::info!(%request, method = method.as_str(), code, "not let in");
                }
                return Ok(self.objects.record_failed_login(request, method.as_str(), code).await?);
            }
        };
        Ok(self.objects.record(Event { request: Some(request.clone()), ..event }).await?)
    }
}
