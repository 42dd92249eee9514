//! Who comes with a bearer token, and how much they may ask for.

use std::sync::Arc;

use super::{
    Quotas,
    login::{Oidc, OidcRefused},
};
use crate::authn::{TokenIdentity, Tokens};

/// Whom the API and the console know. Clones share it.
#[derive(Clone)]
pub struct Guard {
    /// The tokens of the configuration.
    pub tokens: Arc<Tokens>,
    /// The provider whose tokens are taken besides.
    pub oidc: Option<Arc<Oidc>>,
    /// What each of them may use up.
    pub quotas: Arc<Quotas>,
}

impl Guard {
    /// Who bears `token`, if anybody. The configuration's tokens come first, and need no provider.
    ///
    /// # Errors
    /// It is of the provider, and not taken.
    pub(super) async fn identify(&self, token: &str) -> Result<Option<TokenIdentity>, OidcRefused> {
        if let Some(who) = self.tokens.verify(token) {
            return Ok(Some(who));
        }
        match &self.oidc {
            Some(oidc) if Oidc::may_be_one(token) => oidc.bearer(token).await.map(Some),
            _ => Ok(None),
        }
    }
}

impl From<Arc<Tokens>> for Guard {
    fn from(tokens: Arc<Tokens>) -> Self {
        Self { tokens, oidc: None, quotas: Arc::default() }
    }
}
