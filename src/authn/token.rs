//! Bearer tokens of people and tools on the admin API.

use std::{collections::BTreeSet, fmt, hint::black_box, str::FromStr, sync::Arc};

use arc_swap::ArcSwap;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::types::PrincipalId;

/// What the bearer of a token is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sees metadata, proofs and the ledger; never content; changes nothing.
    Auditor,
    /// Plans and reloads policies, and sets subjects' attributes.
    PolicyAdmin,
    /// Runs the gateway: relocations, scrubs, keys.
    Operator,
    /// Handles orders: takedowns, holds, disclosures.
    Legal,
}

impl Role {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auditor => "auditor",
            Self::PolicyAdmin => "policy-admin",
            Self::Operator => "operator",
            Self::Legal => "legal",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        [Self::Auditor, Self::PolicyAdmin, Self::Operator, Self::Legal]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| InvalidToken::Role(text.chars().take(32).collect()))
    }
}

/// A token in the configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Not one of the roles.
    #[error("`{0}` is not a role: use `auditor`, `policy-admin`, `operator` or `legal`")]
    Role(String),
    /// Not a SHA-256 in hex.
    #[error("a token's hash file holds the SHA-256 of the token as 64 hex digits")]
    Hash,
    /// The SHA-256 of no text at all.
    #[error("this is the SHA-256 of nothing: there was no token when it was made")]
    Nothing,
}

/// SHA-256 of a token. Tokens are long and random, so that no slower hash is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a token, without the white space around it.
    pub fn of(bearer: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bearer.trim().as_bytes()).as_ref());
        Self(hash)
    }

    /// Compares in time that depends on neither hash.
    fn equals(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |seen, (a, b)| black_box(seen | (a ^ b)));
        difference == 0
    }
}

impl FromStr for TokenHash {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text.trim(), &mut hash).map_err(|_| InvalidToken::Hash)?;
        let hash = Self(hash);
        if hash == Self::of("") { Err(InvalidToken::Nothing) } else { Ok(hash) }
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash([redacted])")
    }
}

/// One token as the configuration knows it.
#[derive(Debug, Clone)]
pub struct Token {
    /// Who bears it, for the ledger.
    pub id: PrincipalId,
    /// What they may do.
    pub role: Role,
    /// The token's hash; the token itself is nowhere.
    pub hash: TokenHash,
    /// Whose it is, where somebody has several, or a place at the OpenID provider besides: what they propose by one they do not approve
    /// by another. Without, nobody else's.
    pub person: Option<PrincipalId>,
}

impl Token {
    fn person(&self) -> &PrincipalId {
        self.person.as_ref().unwrap_or(&self.id)
    }
}

/// Who bears a token that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenIdentity {
    /// The name in the configuration and the ledger.
    pub id: PrincipalId,
    /// What they may do.
    pub role: Role,
}

/// Every token of the admin API. Replaced as a whole when the configuration changes.
#[derive(Debug, Default)]
pub struct Tokens(ArcSwap<Vec<Token>>);

impl Tokens {
    /// Takes all tokens. When two have the same hash, the first counts.
    pub fn new(tokens: Vec<Token>) -> Self {
        Self(ArcSwap::from_pointee(tokens))
    }

    /// Puts others in their place, for every request from now on.
    pub fn replace(&self, tokens: Vec<Token>) {
        self.0.store(Arc::new(tokens));
    }

    /// Who bears `bearer` (the text after `Bearer `), if anybody. Nobody bears nothing.
    pub fn verify(&self, bearer: &str) -> Option<TokenIdentity> {
        if bearer.trim().is_empty() { None } else { self.holder(&TokenHash::of(bearer)) }
    }

    /// All names that the bearer of `name` goes by: their tokens', and what they are called at the OpenID provider.
    pub fn names_of(&self, name: &PrincipalId) -> BTreeSet<PrincipalId> {
        let tokens = self.0.load();
        let person = tokens.iter().find(|token| token.id == *name).map_or(name, Token::person);
        let theirs = tokens.iter().filter(|token| token.person() == person).map(|token| &token.id);
        theirs.chain([name, person]).cloned().collect()
    }

    /// Who bears the token of a hash, if anybody does now.
    pub fn holder(&self, hash: &TokenHash) -> Option<TokenIdentity> {
        let mut found = None;
        let tokens = self.0.load();
        for token in tokens.iter() {
            // No early exit, so that timing does not tell a token's place in the list.
            if token.hash.equals(hash) && found.is_none() {
                found = Some(token);
            }
        }
        found.map(|token| TokenIdentity { id: token.id.clone(), role: token.role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: &str, person: Option<&str>) -> Token {
        let name = |text: &str| PrincipalId::new(text).unwrap();
        Token { id: name(id), role: Role::PolicyAdmin, hash: TokenHash::of(id), person: person.map(name) }
    }

    #[test]
    fn a_person_has_all_their_names() {
        let tokens = Tokens::new(vec![
            token("ann", None),
            token("ann-on-duty", Some("ann")),
            token("ben", Some("oidc.ben")),
            token("ben-2", Some("oidc.ben")),
            token("eve", None),
        ]);
        let names =
            |of: &str| tokens.names_of(&PrincipalId::new(of).unwrap()).iter().map(ToString::to_string).collect::<Vec<_>>();
        for of in ["ann", "ann-on-duty"] {
            assert_eq!(names(of), ["ann", "ann-on-duty"]);
        }
        for of in ["ben", "ben-2", "oidc.ben"] {
            assert_eq!(names(of), ["ben", "ben-2", "oidc.ben"]);
        }
        assert_eq!(names("eve"), ["eve"]);
        assert_eq!(names("oidc.eve"), ["oidc.eve"], "nobody says that they are one");
    }

    #[test]
    fn finds_the_bearer_by_hash() {
        let token = |id: &str, role, text: &str| Token { role, hash: TokenHash::of(text), ..token(id, None) };
        let tokens = Tokens::new(vec![token("ann", Role::Auditor, "one"), token("bob", Role::Legal, "two")]);
        assert_eq!(tokens.verify("two").map(|who| who.role), Some(Role::Legal));
        assert_eq!(tokens.verify("one\n").map(|who| who.id.to_string()), Some("ann".to_owned()));
        assert_eq!(tokens.verify("three"), None);
        assert_eq!(tokens.verify(""), None);
        tokens.replace(vec![token("eve", Role::Operator, "three")]);
        assert_eq!(tokens.verify("one"), None);
        assert_eq!(tokens.verify("three").map(|who| who.role), Some(Role::Operator));
    }

    #[test]
    fn hashes_and_roles_round_trip_through_text() {
        let hash = TokenHash::of("secret");
        assert!(hash.to_string().parse::<TokenHash>().unwrap().equals(&hash));
        assert_eq!("abc".parse::<TokenHash>(), Err(InvalidToken::Hash));
        assert_eq!(TokenHash::of("\n").to_string().parse::<TokenHash>(), Err(InvalidToken::Nothing));
        assert_eq!("policy-admin".parse::<Role>(), Ok(Role::PolicyAdmin));
        assert!("root".parse::<Role>().is_err());
    }
}
