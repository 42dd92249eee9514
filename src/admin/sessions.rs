//! Temporary credentials.

use axum::{
    Extension, Json,
    extract::{State, rejection::JsonRejection},
};

use super::{
    GatewayError, Problem,
    router::Api,
    views::{SessionRequest, SessionView},
};
use crate::authn::{Narrowing, Permissions, Session, TokenIdentity};
use crate::types::{RequestId, Timestamp};

/// The longest life of a session: 36 hours, as long as AWS gives.
pub(super) const MOST_SECONDS: u64 = 36 * 60 * 60;

pub(super) async fn create(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    body: Result<Json<SessionRequest>, JsonRejection>,
) -> Result<Json<SessionView>, Problem> {
    let Json(body) = body?;
    Ok(Json(api.gateway.create_session(&request, &who, body).await?))
}

impl SessionRequest {
    /// The session that is asked for, made at the time `now`.
    ///
    /// # Errors
    /// [`GatewayError::Invalid`] for what is no bucket pattern or permission, for an empty list, which would mean all instead of
    /// none, and for a life that is too short or too long.
    pub fn session(self, now: Timestamp) -> Result<Session, GatewayError> {
        if !(1..=MOST_SECONDS).contains(&self.seconds) {
            return Err(GatewayError::Invalid(format!("`seconds` must be 1 to {MOST_SECONDS}")));
        }
        let lists = [("buckets", &self.buckets), ("prefixes", &self.prefixes), ("allow", &self.allow)];
        if let Some((name, _)) = lists.iter().find(|(_, list)| list.as_ref().is_some_and(Vec::is_empty)) {
            return Err(GatewayError::Invalid(format!(
                "`{name}` must not be empty; leave it out for all that the principal may"
            )));
        }
        let invalid = |error: &dyn std::fmt::Display| GatewayError::Invalid(error.to_string());
        let buckets = self.buckets.unwrap_or_default();
        let buckets = buckets.iter().map(|pattern| pattern.parse().map_err(|error| invalid(&error)));
        let narrowing = Narrowing {
            buckets: buckets.collect::<Result<_, _>>()?,
            prefixes: self.prefixes.unwrap_or_default(),
            allow: match self.allow {
                Some(words) => Permissions::from_words(words).map_err(|error| invalid(&error))?,
                None => Permissions::ALL,
            },
        };
        let life = i64::try_from(self.seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        Ok(Session { principal: self.principal, narrowing, not_after: now.plus_millis(life) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> Result<Session, GatewayError> {
        serde_json::from_str::<SessionRequest>(json).unwrap().session(Timestamp::from_seconds(1000))
    }

    #[test]
    fn what_is_left_out_narrows_nothing() {
        let session = request(r#"{"principal":"feed","seconds":60}"#).unwrap();
        assert_eq!((session.narrowing, session.not_after), (Narrowing::NONE, Timestamp::from_seconds(1060)));
        let session =
            request(r#"{"principal":"feed","seconds":60,"allow":["read"],"prefixes":["a/"],"buckets":["b-*"]}"#).unwrap();
        assert_eq!(session.narrowing.allow, Permissions { read: true, ..Permissions::default() });
        assert_eq!((session.narrowing.prefixes.len(), session.narrowing.buckets.len()), (1, 1));
    }

    #[test]
    fn nothing_is_guessed() {
        for wrong in [
            r#""seconds":0"#,
            r#""seconds":129601"#,
            r#""seconds":18446744073709551615"#,
            r#""seconds":60,"allow":[]"#,
            r#""seconds":60,"allow":["admin"]"#,
            r#""seconds":60,"buckets":[]"#,
            r#""seconds":60,"buckets":["A"]"#,
            r#""seconds":60,"prefixes":[]"#,
        ] {
            let error = request(&format!(r#"{{"principal":"feed",{wrong}}}"#)).unwrap_err();
            assert!(matches!(error, GatewayError::Invalid(_)), "{wrong}: {error}");
        }
    }
}
