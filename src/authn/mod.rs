//! Who asks: S3 credentials and API tokens.
//!
//! [`S3Authenticator`] checks an AWS Signature Version 4, in the `Authorization` header, presigned or in a form, and mints the
//! [`Authenticated`] that everything behind it demands: of a principal, or of nobody. A [`Session`] lends a principal's rights, or a
//! part of them, for a time. [`Tokens`] is for the admin API's bearer tokens. Nothing here does I/O or asks for the date.
//!
//! Architecture invariant: an [`Authenticated`] is made in [`S3Authenticator::verify`] and [`S3Authenticator::verify_form`], and in
//! [`Principals::lend`] for an operator's token, and nowhere else.

mod authenticator;
mod authorization;
mod canonical;
mod chunk_signer;
mod error;
mod form;
mod form_policy;
mod host;
mod oidc;
mod pattern;
mod principal;
mod principals;
mod query;
mod quota;
mod session;
mod signing_key;
mod token;

pub use authenticator::{Mechanism, Payload, S3Authenticator, UnsignedPayload, Verified};
pub use authorization::Signature;
pub use chunk_signer::{ChunkSigner, SignatureMismatch};
pub use error::AuthnError;
pub use form::{FormFields, VerifiedForm};
pub use host::HostRules;
pub use oidc::{Claims, Expected, JwtAlgorithm, JwtRefused, KeySet, RoleMap};
pub use pattern::{BucketPattern, InvalidBucketPattern};
pub use principal::{
    ANONYMOUS, AccessKey, Action, Authenticated, DEFAULT_ACCOUNT, Forbidden, InvalidPermission, Permissions, Principal, Scope,
};
pub use principals::{DuplicateAccessKey, Principals};
pub use query::QueryPairs;
pub use quota::Quota;
pub use session::{Narrowing, Session, SessionCredentials, SessionKey, SessionTooLong};
pub use token::{InvalidToken, Role, Token, TokenHash, TokenIdentity, Tokens};
