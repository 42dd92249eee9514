//! The routes that sign people in and out. What they look like is the console's.

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;

use super::{
    Login, LoginRefused, Posted,
    user::{caller, parse, read_form},
};
use crate::telemetry::next_request_id;

/// Where the form to sign in is sent.
pub const LOGIN: &str = "/console/login";
/// Where the form to sign out is sent.
pub const LOGOUT: &str = "/console/logout";
/// Where who has signed in gets to.
pub const HOME: &str = "/console";

/// Shows somebody why they are not let in.
pub type ShowRefused = fn(LoginRefused) -> Response;

#[derive(Clone)]
struct Context {
    login: Login,
    show: ShowRefused,
}

impl axum::extract::FromRef<Context> for Login {
    fn from_ref(context: &Context) -> Self {
        context.login.clone()
    }
}

#[derive(Deserialize)]
struct TokenForm {
    token: String,
}

#[derive(Deserialize)]
struct Nothing {}

/// `POST` [`LOGIN`] with the field `token`, `POST` [`LOGOUT`] with `csrf`. Whoever is not let in sees what `show` makes of the reason.
pub fn router(login: Login, show: ShowRefused) -> Router {
    Router::new()
        .route(LOGIN, post(sign_in))
        .route(LOGOUT, post(sign_out))
        .layer(middleware::from_fn(unkept))
        .with_state(Context { login, show })
}

async fn sign_in(State(context): State<Context>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let signed_in = async {
        let caller = caller(&parts)?;
        let form: TokenForm = parse(&read_form(&parts, body).await?)?;
        context.login.with_token(&next_request_id(), caller, &parts.headers, &form.token).await
    };
    match signed_in.await {
        Ok(cookie) => go(HOME, cookie),
        Err(refused) => (context.show)(refused),
    }
}

async fn sign_out(State(context): State<Context>, posted: Result<Posted<Nothing>, LoginRefused>) -> Response {
    let signed_out = async { context.login.sign_out(&next_request_id(), &posted?.user).await };
    match signed_out.await {
        Ok(cookie) => go(LOGIN, cookie),
        Err(refused) => (context.show)(refused),
    }
}

fn go(to: &'static str, cookie: HeaderValue) -> Response {
    let to = HeaderValue::from_static(to);
    (StatusCode::SEE_OTHER, [(header::LOCATION, to), (header::SET_COOKIE, cookie)]).into_response()
}

/// No cache keeps what has a cookie in it.
async fn unkept(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("same-origin"));
    response
}
