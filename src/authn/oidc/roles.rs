//! Who somebody is here by what an issuer says of them.

use super::{Claims, JwtRefused};
use crate::authn::{Role, TokenIdentity};
use crate::digest::hmac_sha256;
use crate::types::PrincipalId;

/// What names of people that come from an issuer begin with. No token of the configuration may be called so.
pub(super) const PREFIX: &str = "oidc.";
/// The same where the issuer's name for them cannot be one of ours, and a hash stands for it.
pub(super) const HASHED_PREFIX: &str = "oidc-";

/// Which claim names somebody, and which gives them their role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleMap {
    /// The claim that names somebody: one that is nobody else's, ever, and that they cannot change.
    pub user_claim: String,
    /// The claim that has their groups or roles at the issuer.
    pub role_claim: String,
    /// What it may hold, and the role that this gives. The first that fits counts.
    pub roles: Vec<(String, Role)>,
}

impl RoleMap {
    /// Who bears a token with these claims.
    ///
    /// # Errors
    /// [`JwtRefused::NoRole`], and [`JwtRefused::Claim`] where nothing names them.
    pub fn identity(&self, claims: &Claims, issuer: &str) -> Result<TokenIdentity, JwtRefused> {
        let user = claims.list(&self.user_claim).filter(|names| names.len() == 1).and_then(|names| names.first().copied());
        let user = user.filter(|user| !user.is_empty()).ok_or(JwtRefused::Claim("user-claim"))?;
        let by_mail = self.user_claim == "email";
        // An address that nobody has confirmed can be anybody's.
        if by_mail && !claims.is_true("email_verified") {
            return Err(JwtRefused::Claim("email_verified"));
        }
        // Whoever may write their address otherwise would be two persons by it.
        let user = if by_mail { user.to_lowercase() } else { user.to_owned() };
        let held = claims.list(&self.role_claim).ok_or(JwtRefused::NoRole)?;
        let given = self.roles.iter().find(|(value, _)| held.contains(&value.as_str()));
        let (_, role) = given.ok_or(JwtRefused::NoRole)?;
        Ok(TokenIdentity { id: name(&user, issuer)?, role: *role })
    }
}

/// What somebody is called here: by the issuer's name, or by a hash of it where that has signs that ours have not.
fn name(user: &str, issuer: &str) -> Result<PrincipalId, JwtRefused> {
    PrincipalId::new(format!("{PREFIX}{user}")).or_else(|_| {
        let hash = hmac_sha256(issuer.as_bytes(), &[user.as_bytes()]);
        PrincipalId::new(format!("{HASHED_PREFIX}{}", hex::encode(&hash[..16]))).map_err(|_| JwtRefused::Claim("user-claim"))
    })
}
