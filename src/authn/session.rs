//! Temporary credentials: a key pair with an end, and the token that says whose it is and what it is good for.
//!
//! The token holds all that is needed to check a request, sealed under a key of the installation. The gateway keeps nothing of it, so a
//! session survives a restart and needs no clean-up; whose session it is, is looked up in the configuration at every request.
//!
//! A token is base64url (RFC 4648 section 5, without padding) of `version (1) ‖ salt (16) ‖ AES-256-GCM of the content`. Salt and
//! installation key give, by HKDF-SHA-256, the token's own sealing key and the two halves of its key pair.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{pattern::BucketPattern, principal::AccessKey, principal::Permissions};
use crate::digest;
use crate::types::{BucketName, PrincipalId, Timestamp};

const VERSION: u8 = 1;
const SALT: usize = 16;
/// What the id of every temporary key pair begins with.
const ID_PREFIX: &str = "DOMS";
/// A token is looked at only up to this length, in bytes. Must be more than the longest that is issued.
const MOST_TOKEN: usize = 8 * 1024;
/// Bytes of a session's content. Tokens travel in headers and URLs.
const MOST_CONTENT: usize = 2 * 1024;

/// What a session may do of what its principal may. It takes away and never gives: a request must be allowed by both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narrowing {
    /// The buckets it may name; as its principal when there is none.
    pub buckets: Vec<BucketPattern>,
    /// What the keys it may name begin with; as its principal when there is none.
    pub prefixes: Vec<String>,
    /// What it may do.
    pub allow: Permissions,
}

impl Narrowing {
    /// Takes nothing away.
    pub const NONE: Self = Self { buckets: Vec::new(), prefixes: Vec::new(), allow: Permissions::ALL };

    pub(super) fn covers(&self, bucket: &BucketName) -> bool {
        self.buckets.is_empty() || self.buckets.iter().any(|pattern| pattern.matches(bucket))
    }
}

/// A principal's rights for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose.
    pub principal: PrincipalId,
    /// How much of them.
    pub narrowing: Narrowing,
    /// Until when.
    pub not_after: Timestamp,
}

/// What a client needs to use a session.
#[derive(Debug)]
pub struct SessionCredentials {
    /// Its key pair.
    pub access_key: AccessKey,
    /// Goes with every request, as `x-amz-security-token`. Useless without the secret.
    pub token: String,
}

/// A session that says more than a header should carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session's buckets and prefixes are too long: together with the principal's name at most {MOST_CONTENT} bytes")]
pub struct SessionTooLong;

/// The installation's key for sessions.
pub struct SessionKey(Zeroizing<[u8; 32]>);

/// What a token's salt gives.
struct Derived {
    key: LessSafeKey,
    access_key_id: String,
    secret: SecretString,
}

/// The sealed part of a token.
#[derive(Serialize, Deserialize)]
struct Content {
    principal: PrincipalId,
    not_after: Timestamp,
    allow: Permissions,
    buckets: Vec<String>,
    prefixes: Vec<String>,
}

impl SessionKey {
    /// Uses `key`, which must be for this purpose alone. Another key ends all sessions.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Makes the credentials of a session.
    ///
    /// # Errors
    /// [`SessionTooLong`]; nothing else goes wrong.
    pub fn issue(&self, session: &Session) -> Result<SessionCredentials, SessionTooLong> {
        let content = Content {
            principal: session.principal.clone(),
            not_after: session.not_after,
            allow: session.narrowing.allow,
            buckets: session.narrowing.buckets.iter().map(ToString::to_string).collect(),
            prefixes: session.narrowing.prefixes.clone(),
        };
        let mut sealed = rmp_serde::to_vec(&content).map_err(|_| SessionTooLong)?;
        if sealed.len() > MOST_CONTENT {
            return Err(SessionTooLong);
        }
        let salt: [u8; SALT] = digest::random();
        let derived = self.derive(&salt).ok_or(SessionTooLong)?;
        derived.key.seal_in_place_append_tag(nonce(), Aad::from([VERSION]), &mut sealed).map_err(|_| SessionTooLong)?;
        let token = URL_SAFE_NO_PAD.encode([&[VERSION], &salt[..], &sealed].concat());
        Ok(SessionCredentials { access_key: derived.access_key(session.not_after), token })
    }

    /// The session that a token is of, and the key pair that goes with it. Nothing for a token that was not issued here, whatever is
    /// wrong with it.
    pub(super) fn open(&self, token: &str) -> Option<(Session, AccessKey)> {
        if token.len() > MOST_TOKEN {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (head, sealed) = bytes.split_at_mut_checked(1 + SALT)?;
        let (version, salt) = head.split_first()?;
        if *version != VERSION {
            return None;
        }
        let derived = self.derive(salt)?;
        let content = derived.key.open_in_place(nonce(), Aad::from([VERSION]), sealed).ok()?;
        let content: Content = rmp_serde::from_slice(content).ok()?;
        let buckets = content.buckets.iter().map(|pattern| pattern.parse()).collect::<Result<_, _>>().ok()?;
        let narrowing = Narrowing { buckets, prefixes: content.prefixes, allow: content.allow };
        let access_key = derived.access_key(content.not_after);
        Some((Session { principal: content.principal, narrowing, not_after: content.not_after }, access_key))
    }

    fn derive(&self, salt: &[u8]) -> Option<Derived> {
        let mut out = Zeroizing::new([0; 32 + 8 + 30]);
        digest::hkdf_sha256(&*self.0, salt, &[b"domicile session token v1"], &mut out);
        let (key, pair) = out.split_at_checked(32)?;
        let (id, secret) = pair.split_at_checked(8)?;
        Some(Derived {
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?),
            access_key_id: format!("{ID_PREFIX}{}", hex::encode_upper(id)),
            secret: SecretString::from(URL_SAFE_NO_PAD.encode(secret)),
        })
    }
}

impl Derived {
    fn access_key(self, not_after: Timestamp) -> AccessKey {
        AccessKey { id: self.access_key_id, secret: self.secret, not_after: Some(not_after) }
    }
}

/// Always the same: each token has a key of its own, which seals once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use arc_swap::ArcSwap;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::authn::{AuthnError, HostRules, Principal, Principals, S3Authenticator};

    fn session() -> Session {
        Session {
            principal: PrincipalId::new("feed").unwrap(),
            narrowing: Narrowing {
                buckets: vec!["media-*".parse().unwrap()],
                prefixes: vec!["ali/".to_owned()],
                allow: Permissions::from_words(["read"]).unwrap(),
            },
            not_after: Timestamp::from_seconds(1_800_000_000),
        }
    }

    #[test]
    fn a_token_says_what_was_issued_and_no_two_are_alike() {
        let key = SessionKey::new([7; 32]);
        let (one, two) = (key.issue(&session()).unwrap(), key.issue(&session()).unwrap());
        assert!(one.token != two.token && one.access_key.id != two.access_key.id);
        let (opened, access_key) = key.open(&one.token).unwrap();
        assert_eq!(opened, session());
        assert_eq!(access_key.id, one.access_key.id);
        assert_eq!(access_key.secret.expose_secret(), one.access_key.secret.expose_secret());
        assert_eq!(access_key.secret.expose_secret().len(), 40);
        assert!(SessionKey::new([8; 32]).open(&one.token).is_none());
        assert!(!format!("{one:?} {key:?}").contains(one.access_key.secret.expose_secret()));
    }

    #[test]
    fn no_byte_of_a_token_can_be_changed_added_or_left_out() {
        let key = SessionKey::new([7; 32]);
        let token = key.issue(&session()).unwrap().token;
        for at in 0..token.len() {
            for other in [b'A', b'B', b'_', b'=', b' ', b'/'] {
                let mut changed = token.clone().into_bytes();
                if changed[at] == other {
                    continue;
                }
                changed[at] = other;
                assert!(key.open(std::str::from_utf8(&changed).unwrap()).is_none(), "{at}");
            }
            assert!(key.open(&token[..at]).is_none(), "{at}");
        }
        assert!(key.open(&format!("{token}A")).is_none());
        assert!(key.open(&"A".repeat(1 << 20)).is_none());
    }

    #[test]
    fn what_a_header_cannot_carry_is_refused() {
        let mut long = session();
        long.narrowing.prefixes = vec!["x".repeat(1024); 3];
        assert_eq!(SessionKey::new([7; 32]).issue(&long).unwrap_err(), SessionTooLong);
        long.narrowing.prefixes.truncate(1);
        let token = SessionKey::new([7; 32]).issue(&long).unwrap().token;
        assert!(token.len() < MOST_TOKEN / 2);
    }

    type InForce = Arc<ArcSwap<Principals>>;

    fn sessions(principals: Vec<Principal>) -> (S3Authenticator, InForce, impl Fn(&str, i64) -> SessionCredentials) {
        let principals = Arc::new(ArcSwap::from_pointee(Principals::new(principals).unwrap()));
        let authenticator = S3Authenticator::new(Arc::clone(&principals), "khi".to_owned(), HostRules::default());
        let issue = |principal: &str, end: i64| {
            let (principal, not_after) = (PrincipalId::new(principal).unwrap(), Timestamp::from_seconds(end));
            SessionKey::new([7; 32]).issue(&Session { principal, narrowing: Narrowing::NONE, not_after }).unwrap()
        };
        (authenticator.with_sessions(SessionKey::new([7; 32])), principals, issue)
    }

    #[test]
    fn a_token_goes_with_its_own_access_key_and_with_a_principal_that_is_there() {
        let pair = |id: &str| AccessKey::new(id, "hush".to_owned().into());
        let principal = |id: &str, key| Principal::unrestricted(id, vec![pair(key)]).unwrap();
        let (authenticator, in_force, issue) = sessions(vec![principal("feed", "AK"), principal("ads", "AK2")]);
        let (one, two) = (issue("feed", 60), issue("feed", 60));
        let find = |id: &str, token: Option<&str>| authenticator.find(id, token, b"19700101");

        let (who, _) = find(&one.access_key.id, Some(&one.token)).unwrap();
        assert_eq!((who.principal().id.as_str(), who.access_key_id()), ("feed", one.access_key.id.as_str()));
        assert_eq!(who.check_end(Some(&one.token), Timestamp::from_seconds(60)), Ok(()));
        assert_eq!(who.check_end(Some(&one.token), Timestamp::from_millis(60_001)).unwrap_err().code(), "ExpiredToken");
        for (id, token) in [(&*one.access_key.id, &*two.token), ("AK", &one.token), (&one.access_key.id, ""), ("AK", "")] {
            assert_eq!(find(id, Some(token)).unwrap_err(), AuthnError::InvalidToken, "{id}");
        }
        assert_eq!(find(&one.access_key.id, None).unwrap_err().code(), "InvalidAccessKeyId");

        let only_ads = Principals::new([principal("ads", "AK2")]).unwrap();
        in_force.store(Arc::new(only_ads));
        assert_eq!(find(&one.access_key.id, Some(&one.token)).unwrap_err().code(), "InvalidAccessKeyId");
    }

    #[test]
    fn each_session_signs_with_a_key_of_its_own() {
        let (authenticator, _, issue) = sessions(vec![Principal::unrestricted("feed", Vec::new()).unwrap()]);
        let tags: BTreeSet<Vec<u8>> = (0..20)
            .map(|_| {
                let session = issue("feed", 60);
                let (_, key) = authenticator.find(&session.access_key.id, Some(&session.token), b"19700101").unwrap();
                ring::hmac::sign(&key, b"x").as_ref().to_vec()
            })
            .collect();
        assert_eq!(tags.len(), 20);
    }
}
