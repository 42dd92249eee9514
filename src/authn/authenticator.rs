//! Checks a request's Signature Version 4 and says who sent it and how its body is signed.
//!
//! Source: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API Reference.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use http::{HeaderMap, Method, header, request::Parts};
use ring::{
    digest::{SHA256, digest},
    hmac::{Key, verify},
};

use super::{
    authorization::{ALGORITHM, Claim, Credential, RequestTime, SIGNATURE_PARAMETER, Signature, malformed, wrong_query},
    canonical::CanonicalRequest,
    chunk_signer::{ChunkSigner, push_hex},
    error::AuthnError,
    host::HostRules,
    principal::Authenticated,
    principals::Principals,
    session::SessionKey,
    signing_key::{self, Day},
};
use crate::types::Timestamp;

/// How far a request's time may be from ours, either way, in milliseconds: 15 minutes.
pub(super) const MAX_SKEW_MILLIS: i64 = 15 * 60 * 1000;

/// The header with the token of a session. As every `x-amz-` header it must be signed, and be there once.
const SECURITY_TOKEN: &str = "x-amz-security-token";

/// Checks signatures for one region against the principals in force.
#[derive(Debug)]
pub struct S3Authenticator {
    principals: Arc<ArcSwap<Principals>>,
    region: String,
    hosts: HostRules,
    sessions: Option<SessionKey>,
    form_version_2: bool,
}

/// A request whose signature is right, or that has none.
#[derive(Debug)]
pub struct Verified {
    /// Who sent it.
    pub authenticated: Authenticated,
    /// What is promised of its body and has yet to be checked.
    pub payload: Payload,
    /// Where the signature stood.
    pub mechanism: Mechanism,
    /// When it was made.
    pub signed: Option<Timestamp>,
}

/// Where a signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// In the `Authorization` header.
    Header,
    /// In the query of a presigned URL.
    Presigned,
    /// In the fields of a form, over its policy.
    Form,
    /// There, made by Signature Version 2.
    FormVersion2,
    /// Nowhere: the request is anonymous.
    Absent,
}

/// How a request's body is framed and signed. Whoever reads the body has to hold it to that: compare the hash, or check every
/// chunk with the [`ChunkSigner`].
#[derive(Debug)]
pub enum Payload {
    /// Not covered by the signature: `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// The body's SHA-256 is covered by the signature; the body must have it.
    Sha256([u8; 32]),
    /// aws-chunked, each chunk signed: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, and with `trailer` `…-TRAILER`.
    SignedChunks {
        /// Seeded with the request's own signature.
        signer: ChunkSigner,
        /// Whether signed trailers follow the last chunk.
        trailer: bool,
    },
    /// aws-chunked without signatures, followed by trailers: `STREAMING-UNSIGNED-PAYLOAD-TRAILER`.
    UnsignedTrailer,
}

/// Which bodies may come that no signature covers. A presigned upload and most SDKs' uploads over HTTPS are of that kind: TLS is
/// what keeps them from being changed on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnsignedPayload {
    /// All of them. Whether a proxy in front ends TLS cannot be seen from here.
    #[default]
    Allow,
    /// Those that come over TLS to this gateway.
    TlsOnly,
}

impl UnsignedPayload {
    /// Whether the body of a verified request may be read, which came over TLS when `tls` is set. A request that brings no body has
    /// nothing that could be changed.
    pub fn admits(self, verified: &Verified, parts: &Parts, tls: bool) -> Result<(), AuthnError> {
        let unsigned = matches!(verified.payload, Payload::Unsigned | Payload::UnsignedTrailer);
        let empty = matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE);
        if tls || self == Self::Allow || !unsigned || empty {
            return Ok(());
        }
        Err(AuthnError::UnsignedPayload { access_key_id: verified.authenticated.access_key_id().to_owned() })
    }
}

impl S3Authenticator {
    /// Checks against whatever `principals` holds at the time of a request. Requests must be signed for `region`.
    pub fn new(principals: Arc<ArcSwap<Principals>>, region: String, hosts: HostRules) -> Self {
        Self { principals, region, hosts, sessions: None, form_version_2: false }
    }

    /// Takes temporary credentials that were issued under `key`.
    #[must_use]
    pub fn with_sessions(self, key: SessionKey) -> Self {
        Self { sessions: Some(key), ..self }
    }

    /// Whether forms may also be signed by Signature Version 2, whose HMAC is one of SHA-1.
    #[must_use]
    pub fn with_form_version_2(self, offered: bool) -> Self {
        Self { form_version_2: offered, ..self }
    }

    pub(super) const fn takes_form_version_2(&self) -> bool {
        self.form_version_2
    }

    /// The principals in force.
    pub fn principals(&self) -> Guard<Arc<Principals>> {
        self.principals.load()
    }

    /// The region that clients have to sign for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The host names under which clients reach the gateway, for the router.
    pub fn hosts(&self) -> &HostRules {
        &self.hosts
    }

    /// Checks the signature of a request as it came over the wire, at the time `now`; a request without any comes from nobody. The
    /// body is not touched.
    pub fn verify(&self, parts: &Parts, now: Timestamp) -> Result<Verified, AuthnError> {
        let host = single_host(&parts.headers)?;
        let Some(claim) = Claim::find(parts)? else { return unsigned(parts) };
        match claim {
            Claim::Header(claim) => {
                let token = parts.headers.get(SECURITY_TOKEN).map(|token| token.to_str().unwrap_or_default());
                let time = RequestTime::from_headers(&parts.headers)?;
                self.check_scope(&claim.credential, &time, malformed)?;
                if now.millis().abs_diff(time.at.millis()) > MAX_SKEW_MILLIS.unsigned_abs() {
                    return Err(AuthnError::RequestTimeTooSkewed { access_key_id: claim.credential.access_key_id.to_owned() });
                }
                let payload = content_sha256(&parts.headers)?.ok_or(AuthnError::MissingContentSha256)?;
                self.check_signature(
                    &Signed {
                        parts,
                        host,
                        mechanism: Mechanism::Header,
                        credential: claim.credential,
                        time,
                        signed_headers: claim.signed_headers,
                        signature: claim.signature,
                        payload,
                        token,
                    },
                    now,
                )
            }
            Claim::Presigned(claim) => {
                if parts.headers.contains_key(SECURITY_TOKEN) {
                    return Err(AuthnError::InvalidToken);
                }
                let (credential, time, expires) = (claim.credential()?, claim.time()?, claim.expires()?);
                self.check_scope(&credential, &time, wrong_query)?;
                let access_key_id = || credential.access_key_id.to_owned();
                if time.at > now.plus_millis(MAX_SKEW_MILLIS) {
                    return Err(AuthnError::PresignedUrlNotYetValid { access_key_id: access_key_id() });
                }
                if expires <= 0 || now > time.at.plus_millis(expires.saturating_mul(1000)) {
                    return Err(AuthnError::ExpiredPresignedUrl { access_key_id: access_key_id() });
                }
                let payload = content_sha256(&parts.headers)?.or(claim.content_sha256()).unwrap_or("UNSIGNED-PAYLOAD");
                self.check_signature(
                    &Signed {
                        parts,
                        host,
                        mechanism: Mechanism::Presigned,
                        time,
                        signed_headers: claim.signed_headers()?,
                        signature: claim.signature()?,
                        payload,
                        token: claim.security_token(),
                        credential,
                    },
                    now,
                )
            }
        }
    }

    /// Region, service and day have to be right before a key is derived for them.
    pub(super) fn check_scope(
        &self,
        credential: &Credential<'_>,
        time: &RequestTime,
        refuse: fn(&str) -> AuthnError,
    ) -> Result<(), AuthnError> {
        if credential.service != "s3" {
            return Err(refuse("the service in `Credential` must be `s3`"));
        }
        if credential.day != time.day() {
            return Err(refuse("the day in `Credential` must be that of the request's time"));
        }
        if credential.region == self.region {
            return Ok(());
        }
        let reason = format!("the region in `Credential` must be `{}`", self.region);
        Err(match refuse(&reason) {
            AuthnError::AuthorizationHeaderMalformed { reason, .. } => {
                AuthnError::AuthorizationHeaderMalformed { reason, region: Some(self.region.clone()) }
            }
            other => other,
        })
    }

    fn check_signature(&self, signed: &Signed<'_>, now: Timestamp) -> Result<Verified, AuthnError> {
        let access_key_id = || signed.credential.access_key_id.to_owned();
        signed.check_coverage()?;
        let kind = PayloadKind::parse(signed.payload, signed.mechanism)?;

        let (authenticated, key) = self.find(signed.credential.access_key_id, signed.token, &signed.credential.day)?;

        let mut buffer = Vec::with_capacity(1024);
        let matches = signed.matches(&key, None, &mut buffer)
            || self.hosts.alternatives(signed.host).any(|host| signed.matches(&key, Some(&host), &mut buffer));
        if !matches {
            return Err(AuthnError::SignatureDoesNotMatch { access_key_id: access_key_id() });
        }
        authenticated.check_end(signed.token, now)?;

        let payload = match kind {
            PayloadKind::Unsigned => Payload::Unsigned,
            PayloadKind::Sha256(hash) => Payload::Sha256(hash),
            PayloadKind::UnsignedTrailer => Payload::UnsignedTrailer,
            PayloadKind::SignedChunks { trailer } => {
                let mut scope = Vec::with_capacity(64);
                signed.write_scope(&mut scope);
                Payload::SignedChunks { signer: ChunkSigner::new(key, scope, signed.signature), trailer }
            }
        };
        Ok(Verified { authenticated, payload, mechanism: signed.mechanism, signed: Some(signed.time.at) })
    }

    /// Whose the access key is by the configuration in force and, with a session's token, by that; and the key that its requests of that
    /// day are signed with. Nothing of it is proven until a signature was checked by that key.
    pub(super) fn find(
        &self,
        access_key_id: &str,
        token: Option<&str>,
        day: &Day,
    ) -> Result<(Authenticated, Arc<Key>), AuthnError> {
        let principals = self.principals.load();
        let unknown = || AuthnError::InvalidAccessKeyId { access_key_id: access_key_id.to_owned() };
        let Some(token) = token else {
            let entry = principals.entry(access_key_id).ok_or_else(unknown)?;
            let key = entry.signing_keys.get(&entry.access_key.secret, day, &self.region);
            return Ok((Authenticated::new(Arc::clone(&entry.principal), Arc::clone(&entry.access_key)), key));
        };
        let opened = self.sessions.as_ref().and_then(|sessions| sessions.open(token));
        let (session, access_key) = opened.filter(|(_, own)| own.id == access_key_id).ok_or(AuthnError::InvalidToken)?;
        let principal = principals.get(&session.principal).ok_or_else(unknown)?;
        // Derived anew each time: as many sessions as there are would push each other out of a cache.
        let key = Arc::new(signing_key::derive(&access_key.secret, day, &self.region));
        Ok((Authenticated::by_session(Arc::clone(principal), access_key, session.narrowing), key))
    }
}

/// A claim with all that its signature is computed from.
struct Signed<'a> {
    parts: &'a Parts,
    host: &'a str,
    mechanism: Mechanism,
    credential: Credential<'a>,
    time: RequestTime,
    signed_headers: &'a str,
    signature: Signature,
    payload: &'a str,
    /// The session's, as sent.
    token: Option<&'a str>,
}

impl Signed<'_> {
    /// Refuses a signature that leaves out something the gateway acts on: whoever holds a presigned URL could add it.
    fn check_coverage(&self) -> Result<(), AuthnError> {
        let access_key_id = || self.credential.access_key_id.to_owned();
        // Strictly ascending, as the specification wants it: a name that came a thousand times would make the canonical request a
        // thousand times as long as the header.
        let ascending = self.signed_headers.split(';').try_fold("", |previous, name| (previous < name).then_some(name));
        if ascending.is_none() || self.signed_headers.bytes().any(|b| b.is_ascii_uppercase()) {
            let reason = "the signed headers must be names in lower case, sorted, separated by `;`";
            return Err(match self.mechanism {
                Mechanism::Header => malformed(reason),
                _ => wrong_query(reason),
            });
        }
        if let Some(absent) = self.signed_headers.split(';').find(|&name| !self.parts.headers.contains_key(name)) {
            return Err(AuthnError::SignedHeaderAbsent { access_key_id: access_key_id(), name: absent.to_owned() });
        }
        let must_be_signed = |name: &str| match name {
            "host" => true,
            "content-type" => self.mechanism == Mechanism::Header,
            other => other.starts_with("x-amz-"),
        };
        for name in self.parts.headers.keys().map(header::HeaderName::as_str) {
            if must_be_signed(name) && !self.signed_headers.split(';').any(|signed| signed == name) {
                return Err(AuthnError::HeaderNotSigned { access_key_id: access_key_id(), name: name.to_owned() });
            }
            if name.starts_with("x-amz-") && is_ambiguous(&self.parts.headers, name) {
                return Err(AuthnError::AmbiguousHeader { access_key_id: access_key_id(), name: name.to_owned() });
            }
        }
        Ok(())
    }

    /// Whether the signature is that of the request, sent to `host` if it is given. Compares in constant time.
    fn matches(&self, key: &Key, host: Option<&str>, buffer: &mut Vec<u8>) -> bool {
        buffer.clear();
        let leave_out = (self.mechanism == Mechanism::Presigned).then_some(SIGNATURE_PARAMETER);
        CanonicalRequest { parts: self.parts, signed_headers: self.signed_headers, host, leave_out, payload: self.payload }
            .write(buffer);
        let hash = digest(&SHA256, buffer);

        buffer.clear();
        buffer.extend_from_slice(ALGORITHM.as_bytes());
        buffer.push(b'\n');
        self.write_scope(buffer);
        push_hex(buffer, hash.as_ref());
        verify(key, buffer, &self.signature.0).is_ok()
    }

    /// Appends the lines with the time and the scope, as every string to sign has them.
    fn write_scope(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time.text);
        out.push(b'\n');
        out.extend_from_slice(&self.credential.day);
        out.push(b'/');
        out.extend_from_slice(self.credential.region.as_bytes());
        out.extend_from_slice(b"/s3/aws4_request\n");
    }
}

/// [`Payload`] before the signature is known to be right.
enum PayloadKind {
    Unsigned,
    Sha256([u8; 32]),
    SignedChunks { trailer: bool },
    UnsignedTrailer,
}

impl PayloadKind {
    fn parse(text: &str, mechanism: Mechanism) -> Result<Self, AuthnError> {
        match text {
            "UNSIGNED-PAYLOAD" => Ok(Self::Unsigned),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::UnsignedTrailer),
            // The chain of chunk signatures starts from a signature in the header.
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" if mechanism == Mechanism::Header => Ok(Self::SignedChunks { trailer: false }),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" if mechanism == Mechanism::Header => {
                Ok(Self::SignedChunks { trailer: true })
            }
            hash => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(hash, &mut bytes).map_err(|_| AuthnError::InvalidContentSha256)?;
                Ok(Self::Sha256(bytes))
            }
        }
    }
}

/// A request that nobody signed. What it promises of its body it can only promise by a hash.
fn unsigned(parts: &Parts) -> Result<Verified, AuthnError> {
    let text = content_sha256(&parts.headers)?.unwrap_or("UNSIGNED-PAYLOAD");
    let payload = match PayloadKind::parse(text, Mechanism::Absent)? {
        PayloadKind::Sha256(hash) => Payload::Sha256(hash),
        PayloadKind::UnsignedTrailer => Payload::UnsignedTrailer,
        PayloadKind::Unsigned | PayloadKind::SignedChunks { .. } => Payload::Unsigned,
    };
    let authenticated = Authenticated::anonymous().map_err(|_| AuthnError::MissingAuthentication)?;
    Ok(Verified { authenticated, payload, mechanism: Mechanism::Absent, signed: None })
}

/// Whether other values of the header would be signed alike: the canonical request joins several by commas and makes runs of spaces
/// one, so what is served would not be what was signed. User metadata may have such runs, as SDKs send them: what decides by
/// metadata must not tell them apart, and no subject id has two spaces side by side.
fn is_ambiguous(headers: &HeaderMap, name: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    let free_text = name.starts_with("x-amz-meta-");
    let spaced =
        values.next().is_some_and(|value| !free_text && value.as_bytes().trim_ascii().windows(2).any(|pair| pair == b"  "));
    spaced || values.next().is_some()
}

fn single_host(headers: &HeaderMap) -> Result<&str, AuthnError> {
    let mut values = headers.get_all(header::HOST).iter();
    match (values.next(), values.next()) {
        (Some(host), None) => host.to_str().map_err(|_| AuthnError::InvalidHost),
        _ => Err(AuthnError::InvalidHost),
    }
}

fn content_sha256(headers: &HeaderMap) -> Result<Option<&str>, AuthnError> {
    let mut values = headers.get_all("x-amz-content-sha256").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(|text| Some(text.trim())).map_err(|_| AuthnError::InvalidContentSha256),
        _ => Err(AuthnError::InvalidContentSha256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::{AccessKey, Principal};

    #[test]
    fn bodies_that_no_signature_covers_may_be_wanted_over_tls_only() {
        let verified = |payload| {
            let access_key = AccessKey::new("AK", "hush".to_owned().into());
            let principal = Principal::unrestricted("feed", vec![access_key]).unwrap();
            Verified { authenticated: Authenticated::for_test(principal), payload, mechanism: Mechanism::Header, signed: None }
        };
        let request = |method| http::Request::builder().method(method).body(()).unwrap().into_parts().0;
        let (put, get) = (request(Method::PUT), request(Method::GET));
        for payload in [Payload::Unsigned, Payload::UnsignedTrailer] {
            let verified = verified(payload);
            assert!(UnsignedPayload::Allow.admits(&verified, &put, false).is_ok());
            assert!(UnsignedPayload::TlsOnly.admits(&verified, &put, true).is_ok());
            assert!(UnsignedPayload::TlsOnly.admits(&verified, &get, false).is_ok());
            let refused = UnsignedPayload::TlsOnly.admits(&verified, &put, false).unwrap_err();
            assert_eq!((refused.code(), refused.status(), refused.access_key_id()), ("AccessDenied", 403, Some("AK")));
        }
        assert!(UnsignedPayload::TlsOnly.admits(&verified(Payload::Sha256([0; 32])), &put, false).is_ok());
    }
}
