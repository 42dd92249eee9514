//! Signing in to the console at an OpenID provider.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::{
    Caller, Holder, Login, LoginMethod, LoginRefused, OIDC_BACK, Oidc, OidcRefused,
    cookie::FLOW,
    oidc::{Answer, Flow},
};
use crate::types::RequestId;

impl Login {
    /// Whether people can sign in at an OpenID provider.
    pub fn has_oidc(&self) -> bool {
        self.oidc().is_ok()
    }

    /// Begins to sign somebody in who wants to see the page `next`: where to send the browser, and the `Set-Cookie` that ties the answer to it.
    ///
    /// # Errors
    /// There is no provider, or it cannot be asked.
    pub async fn begin_oidc(
        &self,
        request: &RequestId,
        caller: Caller,
        next: &str,
    ) -> Result<(HeaderValue, HeaderValue), LoginRefused> {
        let (oidc, back) = self.oidc()?;
        let flow = Flow::begin(next);
        match oidc.there(&flow, &back).await {
            Ok(there) => {
                let cookie = self.cookies(caller).set(FLOW, &flow.cookie(&self.0.flow_key, oidc.now()));
                let there = HeaderValue::try_from(there).map_err(|_| OidcRefused::Unavailable)?;
                Ok((there, cookie.ok_or(OidcRefused::Unavailable)?))
            }
            Err(refused) => Err(self.refuse(request, LoginMethod::Oidc, refused.into()).await),
        }
    }

    /// Makes a session of the provider's answer, the query of the address that it has sent the browser to: the values of the `Set-Cookie`s
    /// for it, and the page to go on to. It is in the ledger before that.
    ///
    /// # Errors
    /// The answer is not to what this browser has begun, or the provider or the gateway does not let them in. Recorded, in bounded number.
    pub async fn finish_oidc(
        &self,
        request: &RequestId,
        caller: Caller,
        headers: &HeaderMap,
        query: &str,
    ) -> Result<([HeaderValue; 2], String), LoginRefused> {
        let method = LoginMethod::Oidc;
        let cookies = self.cookies(caller);
        let came_in = async {
            let (oidc, back) = self.oidc()?;
            let answer: Answer = serde_urlencoded::from_str(query).map_err(|_| OidcRefused::State)?;
            let flow = cookies.find(headers, FLOW).and_then(|cookie| Flow::of_cookie(cookie, &self.0.flow_key, oidc.now()));
            let flow = flow.ok_or(OidcRefused::State)?;
            self.0.attempts.admit(caller.address, Instant::now())?;
            Ok((oidc.back(&flow, &answer, &back).await?, flow.next))
        };
        match came_in.await {
            Ok((who, next)) => {
                let session = self.begin(request, caller, headers, &who, Holder::Oidc(Arc::new(who.clone())), method).await?;
                Ok(([session, cookies.remove(FLOW)], next))
            }
            Err(refused) => Err(self.refuse(request, method, refused).await),
        }
    }

    /// The provider, and where it sends browsers back to. That is configured, and never what a request says of its host.
    fn oidc(&self) -> Result<(&Oidc, String), LoginRefused> {
        let oidc = self.0.guard.oidc.as_deref().zip(self.0.external.as_ref());
        oidc.map(|(oidc, external)| (oidc, format!("{external}{OIDC_BACK}"))).ok_or(LoginRefused::NoOidc)
    }
}
