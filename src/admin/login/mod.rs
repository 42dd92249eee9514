//! Signing in with a browser: sessions for the console.
//!
//! [`Login::with_token`] makes a session of a token, [`SessionUser`] is whoever comes with one, and [`Posted`] is a form that such a
//! person has sent on purpose. A session lends what its token may and nothing else: it ends with the token, and the API takes no
//! cookies, so that no page of another site can use it.
//!
//! Sessions are in this process's memory alone, under the hashes of their ids. They end when the gateway does.

mod attempts;
mod cookie;
mod oidc;
mod origin;
mod refusal;
mod routes;
mod sessions;
#[cfg(test)]
mod tests;
mod user;
mod with_oidc;

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use self::{attempts::Attempts, cookie::CookieRules, sessions::Sessions};
pub use self::{
    oidc::{Oidc, OidcRefused, OidcSettings},
    origin::Origin,
    refusal::LoginRefused,
    routes::{HOME, LOGIN, LOGOUT, OIDC, OIDC_BACK, ShowRefused, inside, provider, router},
    user::{Posted, SessionUser},
};
use super::{GatewayError, Guard};
use crate::authn::{TokenHash, TokenIdentity};
use crate::digest::random;
use crate::types::RequestId;

/// Whose connection a request came on. Whoever serves the routers adds it to each request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The other end's address; a proxy's where there is one.
    pub address: IpAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// What the ledger is told of signing in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginEntry<'a> {
    /// Somebody has a session.
    In(&'a TokenIdentity, LoginMethod),
    /// Somebody has ended theirs.
    Out(&'a TokenIdentity),
    /// Somebody did not get one, and the code of the reason.
    Refused(LoginMethod, &'static str),
}

/// Where signing in and out is recorded.
#[async_trait]
pub trait LoginLedger: Send + Sync + 'static {
    /// Records it. Nobody has a session before that has succeeded; refusals beyond a bounded number are counted instead.
    ///
    /// # Errors
    /// Whatever keeps it from being recorded.
    async fn record(&self, request: &RequestId, entry: LoginEntry<'_>) -> Result<(), GatewayError>;
}

/// How somebody shows who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginMethod {
    /// With a token of the configuration.
    Token,
    /// At an OpenID provider.
    Oidc,
}

impl LoginMethod {
    /// The word in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Oidc => "oidc",
        }
    }
}

/// How long sessions last, and how many there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSettings {
    /// Where browsers reach the console, when that is not where it listens: behind a proxy. Its scheme decides about cookies.
    pub external: Option<Origin>,
    /// A session that is not used for so long ends.
    pub idle: Duration,
    /// Every session ends after so long.
    pub lifetime: Duration,
    /// So many at a time, at the most; beyond it the one that was not used for longest ends.
    pub sessions: usize,
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self { external: None, idle: Duration::from_secs(30 * 60), lifetime: Duration::from_secs(8 * 60 * 60), sessions: 1000 }
    }
}

/// Signs people in and out. Clones share their sessions.
#[derive(Clone)]
pub struct Login(Arc<Parts>);

struct Parts {
    ledger: Arc<dyn LoginLedger>,
    guard: Guard,
    sessions: Sessions,
    attempts: Attempts,
    external: Option<Origin>,
    /// Marks sign-ins that this process has begun.
    flow_key: [u8; 32],
}

/// On what a session rests. Looked at anew with every request.
#[derive(Debug, Clone)]
enum Holder {
    /// As long as the configuration has this token, and in the role that it has there.
    Token(TokenHash),
    /// Until its time is over: what the provider said is not asked for again.
    Oidc(Arc<TokenIdentity>),
}

impl Login {
    /// For whomever `guard` knows; what happens is recorded in `ledger`.
    pub fn new(ledger: Arc<dyn LoginLedger>, guard: impl Into<Guard>, settings: &LoginSettings) -> Self {
        Self(Arc::new(Parts {
            ledger,
            guard: guard.into(),
            sessions: Sessions::new(settings.idle, settings.lifetime, settings.sessions),
            attempts: Attempts::default(),
            external: settings.external.clone(),
            flow_key: random(),
        }))
    }

    /// Makes a session for the bearer of `token`: the value of the `Set-Cookie` that gives it to the browser. It is in the ledger
    /// before that. A session that the browser has already ends.
    ///
    /// # Errors
    /// [`LoginRefused`]: the form came from another site, or too many were sent, or nobody bears such a token. Recorded, in bounded
    /// number.
    pub async fn with_token(
        &self,
        request: &RequestId,
        caller: Caller,
        headers: &HeaderMap,
        token: &str,
    ) -> Result<HeaderValue, LoginRefused> {
        let method = LoginMethod::Token;
        let verified = self
            .same_origin(caller, headers)
            .and_then(|()| self.0.attempts.admit(caller.address, Instant::now()))
            .and_then(|()| self.0.guard.tokens.verify(token).ok_or(LoginRefused::WrongToken));
        match verified {
            Ok(who) => self.begin(request, caller, headers, &who, Holder::Token(TokenHash::of(token)), method).await,
            Err(refused) => Err(self.refuse(request, method, refused).await),
        }
    }

    /// Ends the session of `user`: the value of the `Set-Cookie` that takes it from the browser. It has ended also when that cannot be
    /// recorded.
    ///
    /// # Errors
    /// Only those of the ledger.
    pub async fn sign_out(&self, request: &RequestId, user: &SessionUser) -> Result<HeaderValue, LoginRefused> {
        self.0.sessions.end(&user.session);
        self.0.ledger.record(request, LoginEntry::Out(&user.identity)).await?;
        Ok(user.cookies.remove(cookie::SESSION))
    }

    async fn begin(
        &self,
        request: &RequestId,
        caller: Caller,
        headers: &HeaderMap,
        who: &TokenIdentity,
        holder: Holder,
        method: LoginMethod,
    ) -> Result<HeaderValue, LoginRefused> {
        self.0.ledger.record(request, LoginEntry::In(who, method)).await?;
        let cookies = self.cookies(caller);
        if let Some((before, _)) = cookies.find(headers, cookie::SESSION).and_then(|id| self.0.sessions.find(id, Instant::now()))
        {
            self.0.sessions.end(&before);
        }
        let id = self.0.sessions.begin(&who.id, holder, Instant::now());
        cookies.set(cookie::SESSION, &id).ok_or(LoginRefused::NotSignedIn)
    }

    /// Records that somebody was not let in. What cannot be recorded is an error of its own.
    async fn refuse(&self, request: &RequestId, method: LoginMethod, refused: LoginRefused) -> LoginRefused {
        match self.0.ledger.record(request, LoginEntry::Refused(method, refused.code())).await {
            Ok(()) => refused,
            Err(error) => error.into(),
        }
    }

    /// Who comes with the cookie in `headers`.
    fn user(&self, caller: Caller, headers: &HeaderMap) -> Result<SessionUser, LoginRefused> {
        let cookies = self.cookies(caller);
        let found = cookies.find(headers, cookie::SESSION).and_then(|id| self.0.sessions.find(id, Instant::now()));
        let (session, holder) = found.ok_or(LoginRefused::NotSignedIn)?;
        let Some(identity) = self.stands(&holder) else {
            self.0.sessions.end(&session);
            return Err(LoginRefused::NotSignedIn);
        };
        let turn = self.0.guard.quotas.enter(&identity.id).map_err(LoginRefused::TooFast)?;
        Ok(SessionUser { identity, csrf: self.0.sessions.csrf(&session), session, cookies, _turn: Arc::new(turn) })
    }

    /// Whom a session is of now, if it still is of somebody.
    fn stands(&self, holder: &Holder) -> Option<TokenIdentity> {
        match holder {
            Holder::Token(hash) => self.0.guard.tokens.holder(hash),
            Holder::Oidc(who) => Some(TokenIdentity::clone(who)),
        }
    }

    fn same_origin(&self, caller: Caller, headers: &HeaderMap) -> Result<(), LoginRefused> {
        if origin::is_same(headers, self.0.external.as_ref(), caller.tls) { Ok(()) } else { Err(LoginRefused::CrossOrigin) }
    }

    fn cookies(&self, caller: Caller) -> CookieRules {
        CookieRules { secure: self.0.external.as_ref().map_or(caller.tls, Origin::is_https) }
    }
}
