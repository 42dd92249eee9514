//! Where a reader sits: who it is, and the only way to ask the gateway anything.

use std::sync::Arc;

use axum::http::StatusCode;

use super::{chrome::Theme, places::Place};
use crate::admin::{Gateway, Problem, Query, Route, login::SessionUser};
use crate::authn::TokenIdentity;
use crate::types::{RequestId, Timestamp};

/// One request of somebody who is logged in.
#[derive(Clone)]
pub(super) struct Seat {
    gateway: Arc<dyn Gateway>,
    request: RequestId,
    /// Whose request is under way until the page is made.
    user: SessionUser,
    /// What the reader wants to see it in.
    pub(super) theme: Theme,
    /// The page that was asked for.
    pub(super) path: String,
    /// When the request came.
    pub(super) now: Timestamp,
}

impl Seat {
    pub(super) fn new(
        gateway: Arc<dyn Gateway>,
        (request, now): (RequestId, Timestamp),
        user: SessionUser,
        (theme, path): (Theme, String),
    ) -> Self {
        Self { gateway, request, user, theme, path, now }
    }

    /// Who sits there.
    pub(super) const fn who(&self) -> &TokenIdentity {
        &self.user.identity
    }

    /// What goes with every form that changes something.
    pub(super) fn csrf(&self) -> &str {
        &self.user.csrf
    }

    /// The request, for what is recorded beside the question.
    pub(super) const fn request(&self) -> &RequestId {
        &self.request
    }

    /// Whether the reader may ask what the API's `route` asks.
    pub(super) fn may(&self, route: &str) -> bool {
        let route = route.split_once(' ').and_then(|(method, path)| Route::find(method, path));
        route.is_some_and(|route| route.admits(self.who().role))
    }

    /// Whether the reader may see a page.
    pub(super) fn sees(&self, place: Place) -> bool {
        self.may(place.asks)
    }

    /// The gateway, to answer `query`: the reader may ask it, and it is in the ledger.
    ///
    /// # Errors
    /// 403 for a role that may not, and whatever keeps the question out of the ledger.
    pub(super) async fn ask(&self, query: Query<'_>) -> Result<&Arc<dyn Gateway>, Problem> {
        if !self.may(query.route()) {
            return Err(self.forbidden(query.route()));
        }
        self.gateway.record_query(&self.request, self.who(), query).await?;
        Ok(&self.gateway)
    }

    /// Likewise where the reader may ask it, and nothing where not.
    ///
    /// # Errors
    /// Whatever keeps the question out of the ledger.
    pub(super) async fn ask_if_allowed(&self, query: Query<'_>) -> Result<Option<&Arc<dyn Gateway>>, Problem> {
        if self.may(query.route()) { self.ask(query).await.map(Some) } else { Ok(None) }
    }

    /// What is said of a page that the reader may not see, where that has to be said before anything is asked.
    pub(super) fn not_shown(&self, place: Place) -> Problem {
        self.forbidden(place.asks)
    }

    fn forbidden(&self, route: &str) -> Problem {
        let detail = format!("the role `{}` may not ask for this ({route})", self.who().role);
        Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }
}
