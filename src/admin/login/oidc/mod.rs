//! Signing in with an OpenID provider (OpenID Connect Core 1.0) beside tokens.
//!
//! [`Oidc::bearer`] takes the provider's JSON Web Tokens on the API; [`Login::begin_oidc`] and [`Login::finish_oidc`] sign people in to
//! the console with a code (PKCE, state and nonce). What the provider cannot be asked for is refused; tokens of the configuration go on.
//!
//! [`Login::begin_oidc`]: super::Login::begin_oidc
//! [`Login::finish_oidc`]: super::Login::finish_oidc

mod flow;
mod provider;

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;

pub(super) use self::flow::{Answer, Flow};
use self::provider::Provider;
use crate::authn::{Claims, Expected, JwtAlgorithm, JwtRefused, RoleMap, TokenIdentity};
use crate::clock::Clock;

/// The provider, and what is made of what it says.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// The provider's name, which is also where it is found.
    pub issuer: String,
    /// Who we are to it.
    pub client_id: String,
    /// By what it knows us; a public client, which PKCE alone protects, has none.
    pub client_secret: Option<SecretString>,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// For whom tokens on the API are to be.
    pub audience: String,
    /// The clients that such tokens may have been given to.
    pub parties: Vec<String>,
    /// How tokens may be signed.
    pub algorithms: Vec<JwtAlgorithm>,
    /// By how much the provider's clock may be wrong.
    pub skew: Duration,
    /// Who somebody is here.
    pub roles: RoleMap,
    /// The authorities to hold the provider against, in PEM, instead of the system's.
    pub ca: Option<String>,
}

impl OidcSettings {
    /// Algorithms when nothing else is said.
    pub const ALGORITHMS: [JwtAlgorithm; 2] = [JwtAlgorithm::Rs256, JwtAlgorithm::Es256];
    /// The skew when nothing else is said.
    pub const SKEW: Duration = Duration::from_secs(30);
}

/// Why the provider's word is not taken, or cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OidcRefused {
    /// It cannot be asked; why is for the log.
    #[error("the OpenID provider cannot be asked")]
    Unavailable,
    /// A token of it is not taken.
    #[error("the token is not taken: {0}")]
    Token(#[from] JwtRefused),
    /// It did not let somebody in.
    #[error("the OpenID provider did not let you in")]
    Denied,
    /// What came back is not the answer to what this browser asked for.
    #[error("this is no answer to what this browser has begun, or it took too long; begin again")]
    State,
}

impl OidcRefused {
    /// A stable word for it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unavailable => "provider-unavailable",
            Self::Token(refused) => refused.code(),
            Self::Denied => "provider-denied",
            Self::State => "wrong-state",
        }
    }
}

/// One provider.
pub struct Oidc {
    settings: OidcSettings,
    provider: Provider,
    clock: Arc<dyn Clock>,
}

impl Oidc {
    /// Prepares to ask the provider; the first token or sign-in does.
    ///
    /// # Errors
    /// There is no authority to hold it against, in words.
    pub fn new(settings: OidcSettings, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let provider = Provider::new(&settings)?;
        Ok(Self { settings, provider, clock })
    }

    /// Whether a bearer's text can be a JSON Web Token. The provider is asked for nothing because of any other.
    pub(in crate::admin) fn may_be_one(text: &str) -> bool {
        text.starts_with("ey") && text.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// Who bears a JSON Web Token on the API.
    ///
    /// # Errors
    /// [`OidcRefused::Token`], and [`OidcRefused::Unavailable`] when its key cannot be had.
    pub async fn bearer(&self, text: &str) -> Result<TokenIdentity, OidcRefused> {
        let claims = self.verify(text, &self.settings.audience, &self.settings.parties).await?;
        Ok(self.settings.roles.identity(&claims, &self.settings.issuer)?)
    }

    /// Seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().millis().div_euclid(1000)
    }

    /// With the keys that are known, and with newer ones where the token names one that is not.
    async fn verify(&self, token: &str, audience: &str, parties: &[String]) -> Result<Claims, OidcRefused> {
        let expected = Expected {
            issuer: &self.settings.issuer,
            audience,
            parties,
            algorithms: &self.settings.algorithms,
            skew: self.settings.skew,
        };
        let now = self.now();
        let known = self.provider.known().await?;
        match Claims::verify(token, &known.keys, &expected, now) {
            Err(JwtRefused::UnknownKey) => {
                let newer = self.provider.newer_than(&known).await?;
                Ok(Claims::verify(token, &newer.keys, &expected, now)?)
            }
            verified => Ok(verified?),
        }
    }
}
