//! Signing in, what a session is good for, and how it ends.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{FromRef, State},
    http::{Method, Request, StatusCode, header},
    response::Response,
    routing::get,
};
use parking_lot::Mutex;
use serde::Deserialize;
use tower::ServiceExt;

use super::*;
use crate::admin::Quotas;
use crate::authn::{Quota, Role, Token, Tokens};
use crate::types::PrincipalId;

/// A ledger that remembers, or that cannot be written.
#[derive(Default)]
struct Ledger {
    entries: Mutex<Vec<String>>,
    broken: bool,
}

#[async_trait]
impl LoginLedger for Ledger {
    async fn record(&self, _: &RequestId, entry: LoginEntry<'_>) -> Result<(), GatewayError> {
        if self.broken {
            return Err(GatewayError::Unavailable("the ledger cannot be written"));
        }
        self.entries.lock().push(match entry {
            LoginEntry::In(who, method) => format!("{} in by {}", who.id, method.as_str()),
            LoginEntry::Out(who) => format!("{} out", who.id),
            LoginEntry::Refused(method, code) => format!("{code} by {}", method.as_str()),
        });
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    csrf: String,
    note: String,
}

#[derive(Clone)]
struct Pages {
    login: Login,
    notes: Arc<Mutex<Vec<String>>>,
}

/// A console of one page.
struct Site {
    ledger: Arc<Ledger>,
    tokens: Arc<Tokens>,
    notes: Arc<Mutex<Vec<String>>>,
    router: Router,
}

impl FromRef<Pages> for Login {
    fn from_ref(pages: &Pages) -> Self {
        pages.login.clone()
    }
}

async fn show(user: SessionUser) -> String {
    format!("{} {} {}", user.identity.id, user.identity.role, user.csrf)
}

async fn write(State(pages): State<Pages>, Posted { form, .. }: Posted<Note>) {
    assert!(!form.csrf.is_empty());
    pages.notes.lock().push(form.note);
}

fn token(id: &str, role: Role, text: &str) -> Token {
    Token { id: PrincipalId::new(id).unwrap(), role, hash: TokenHash::of(text), person: None }
}

fn site_with(ledger: Ledger, settings: &LoginSettings) -> Site {
    let (ledger, tokens) = (Arc::new(ledger), Arc::new(Tokens::new(vec![token("ann", Role::Auditor, "ann's token")])));
    let login = Login::new(Arc::clone(&ledger) as _, Arc::clone(&tokens), settings);
    let pages = Pages { login: login.clone(), notes: Arc::default() };
    let notes = Arc::clone(&pages.notes);
    let router = Router::new().route(HOME, get(show).post(write)).with_state(pages).merge(router(login, LoginRefused::shown));
    Site { ledger, tokens, notes, router }
}

fn site() -> Site {
    site_with(Ledger::default(), &LoginSettings::default())
}

/// What a browser sends.
struct Browser<'s> {
    site: &'s Site,
    caller: Caller,
    origin: &'static str,
    cookie: Option<String>,
}

impl<'s> Browser<'s> {
    fn new(site: &'s Site) -> Self {
        let caller = Caller { address: "192.0.2.1".parse().unwrap(), tls: true };
        Self { site, caller, origin: "https://gate.example", cookie: None }
    }

    async fn send(&self, method: Method, path: &str, form: &[(&str, &str)]) -> Response {
        let scheme = if self.caller.tls { "https" } else { "http" };
        let mut request =
            Request::builder().method(&method).uri(path).header(header::HOST, "gate.example").extension(self.caller);
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            let origin = if self.caller.tls { self.origin.to_owned() } else { self.origin.replace("https", scheme) };
            request = request.header(header::ORIGIN, origin);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let body = Body::from(serde_urlencoded::to_string(form).unwrap());
        self.site.router.clone().oneshot(request.body(body).unwrap()).await.unwrap()
    }

    async fn sign_in(&mut self, token: &str) -> StatusCode {
        let answer = self.send(Method::POST, LOGIN, &[("token", token)]).await;
        if let Some(cookie) = answer.headers().get(header::SET_COOKIE) {
            assert_eq!(answer.headers()["cache-control"], "no-store");
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        answer.status()
    }

    async fn look(&self) -> Option<String> {
        let answer = self.send(Method::GET, HOME, &[]).await;
        let found = answer.status() == StatusCode::OK;
        assert!(found || answer.status() == StatusCode::UNAUTHORIZED);
        let body = to_bytes(answer.into_body(), 4096).await.unwrap();
        found.then(|| String::from_utf8(body.to_vec()).unwrap())
    }

    async fn csrf(&self) -> String {
        self.look().await.unwrap().rsplit(' ').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_token_opens_a_session_that_signing_out_ends() {
    let site = site();
    let mut browser = Browser::new(&site);
    assert_eq!(browser.look().await, None);
    assert_eq!(browser.sign_in(" ann's token\n").await, StatusCode::SEE_OTHER);
    assert!(browser.cookie.as_ref().unwrap().starts_with("__Host-domicile-session="));
    assert!(browser.look().await.unwrap().starts_with("ann auditor "));

    let refused = browser.send(Method::POST, LOGOUT, &[("csrf", "guessed")]).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let csrf = browser.csrf().await;
    let answer = browser.send(Method::POST, LOGOUT, &[("csrf", &csrf)]).await;
    assert_eq!((answer.status(), &answer.headers()["location"]), (StatusCode::SEE_OTHER, &LOGIN.parse().unwrap()));
    assert!(answer.headers()["set-cookie"].to_str().unwrap().ends_with("; Max-Age=0"));
    assert_eq!(browser.look().await, None, "the cookie is worth nothing, wherever it was kept");
    assert_eq!(*site.ledger.entries.lock(), ["ann in by token", "ann out"]);
}

#[tokio::test]
async fn who_is_not_let_in_gets_no_cookie_and_is_recorded() {
    let site = site();
    let mut browser = Browser::new(&site);
    assert_eq!(browser.sign_in("bob's token").await, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.sign_in("").await, StatusCode::UNAUTHORIZED);
    browser.origin = "https://evil.example";
    assert_eq!(browser.sign_in("ann's token").await, StatusCode::FORBIDDEN);
    assert_eq!(browser.cookie, None);
    assert_eq!(*site.ledger.entries.lock(), ["wrong-token by token", "wrong-token by token", "cross-origin by token"]);
}

#[tokio::test]
async fn what_cannot_be_recorded_opens_nothing() {
    let site = site_with(Ledger { broken: true, ..Ledger::default() }, &LoginSettings::default());
    let mut browser = Browser::new(&site);
    assert_eq!(browser.sign_in("ann's token").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(browser.sign_in("bob's token").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(browser.cookie, None);
}

#[tokio::test(start_paused = true)]
async fn tries_are_bounded_also_right_ones() {
    let site = site();
    let mut browser = Browser::new(&site);
    for _ in 0..10 {
        assert_eq!(browser.sign_in("guess").await, StatusCode::UNAUTHORIZED);
    }
    let answer = browser.send(Method::POST, LOGIN, &[("token", "ann's token")]).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()["retry-after"], "7");
    assert_eq!(site.ledger.entries.lock().last().unwrap(), "too-many-logins by token");
    tokio::time::advance(Duration::from_secs(7)).await;
    assert_eq!(browser.sign_in("ann's token").await, StatusCode::SEE_OTHER);
    browser.caller.address = "192.0.2.2".parse().unwrap();
    assert_eq!(browser.sign_in("guess").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_follows_its_role() {
    let site = site();
    let mut browser = Browser::new(&site);
    browser.sign_in("ann's token").await;
    site.tokens.replace(vec![token("ann", Role::Legal, "ann's token")]);
    assert!(browser.look().await.unwrap().starts_with("ann legal "));
    site.tokens.replace(vec![token("ann", Role::Auditor, "ann's new token")]);
    assert_eq!(browser.look().await, None);
    site.tokens.replace(vec![token("ann", Role::Auditor, "ann's token")]);
    assert_eq!(browser.look().await, None, "it does not come back with it");
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_by_itself() {
    let site = site();
    let mut browser = Browser::new(&site);
    browser.sign_in("ann's token").await;
    for _ in 0..16 {
        tokio::time::advance(Duration::from_secs(29 * 60)).await;
        assert!(browser.look().await.is_some());
    }
    tokio::time::advance(Duration::from_secs(16 * 60)).await;
    assert_eq!(browser.look().await, None, "eight hours are over");
    browser.sign_in("ann's token").await;
    tokio::time::advance(Duration::from_secs(30 * 60)).await;
    assert_eq!(browser.look().await, None, "nobody was there for half an hour");
}

#[tokio::test]
async fn signing_in_again_makes_another_session_and_ends_the_one_before() {
    let site = site();
    let mut browser = Browser::new(&site);
    browser.sign_in("ann's token").await;
    let first = browser.cookie.clone();
    browser.sign_in("ann's token").await;
    assert_ne!(browser.cookie, first);
    assert!(browser.look().await.is_some());
    assert_eq!(Browser { cookie: first, ..Browser::new(&site) }.look().await, None);
    // An id that somebody else has put there is never taken over.
    let planted = "__Host-domicile-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let mut victim = Browser { cookie: Some(planted.clone()), ..Browser::new(&site) };
    victim.sign_in("ann's token").await;
    assert_ne!(victim.cookie, Some(planted));
}

#[tokio::test]
async fn a_form_counts_only_from_a_page_of_its_session() {
    let site = site();
    let (mut ann, mut other) = (Browser::new(&site), Browser::new(&site));
    ann.sign_in("ann's token").await;
    other.sign_in("ann's token").await;
    let (csrf, others) = (ann.csrf().await, other.csrf().await);
    for (form, status) in [
        (&[("note", "a")][..], StatusCode::BAD_REQUEST),
        (&[("csrf", ""), ("note", "a")], StatusCode::FORBIDDEN),
        (&[("csrf", others.as_str()), ("note", "a")], StatusCode::FORBIDDEN),
        (&[("csrf", csrf.as_str())], StatusCode::BAD_REQUEST),
        (&[("csrf", csrf.as_str()), ("csrf", csrf.as_str()), ("note", "a")], StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(ann.send(Method::POST, HOME, form).await.status(), status, "{form:?}");
    }
    let form = [("csrf", csrf.as_str()), ("note", "meant")];
    let evil = Browser { origin: "https://evil.example", cookie: ann.cookie.clone(), ..Browser::new(&site) };
    assert_eq!(evil.send(Method::POST, HOME, &form).await.status(), StatusCode::FORBIDDEN);
    let nobody = Browser::new(&site);
    assert_eq!(nobody.send(Method::POST, HOME, &form).await.status(), StatusCode::UNAUTHORIZED);
    assert!(site.notes.lock().is_empty());
    assert_eq!(ann.send(Method::POST, HOME, &form).await.status(), StatusCode::OK);
    assert_eq!(*site.notes.lock(), ["meant"]);
}

#[tokio::test]
async fn cookies_are_as_the_way_of_the_browser_is() {
    let site = site();
    let mut plain = Browser { caller: Caller { tls: false, ..Browser::new(&site).caller }, ..Browser::new(&site) };
    assert_eq!(plain.sign_in("ann's token").await, StatusCode::SEE_OTHER);
    assert!(plain.cookie.as_ref().unwrap().starts_with("domicile-session="));
    assert!(plain.look().await.is_some());

    let external = Some("https://gate.example".parse().unwrap());
    let proxied = site_with(Ledger::default(), &LoginSettings { external, ..LoginSettings::default() });
    let mut browser = Browser { caller: Caller { tls: false, ..Browser::new(&proxied).caller }, ..Browser::new(&proxied) };
    assert_eq!(browser.sign_in("ann's token").await, StatusCode::FORBIDDEN, "not by its external address");
    browser.caller.tls = true;
    assert_eq!(browser.sign_in("ann's token").await, StatusCode::SEE_OTHER);
    browser.caller.tls = false;
    assert!(browser.cookie.as_ref().unwrap().starts_with("__Host-") && browser.look().await.is_some());
}

#[tokio::test]
async fn nobody_comes_in_whose_connection_is_not_known() {
    let site = site();
    let request = Request::builder().uri(HOME).body(Body::empty()).unwrap();
    assert_eq!(site.router.clone().oneshot(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_page_is_a_request_under_way_until_it_is_made() {
    let quota = Quota { requests_per_second: None, concurrent_requests: std::num::NonZeroU32::new(1) };
    let tokens = Arc::new(Tokens::new(vec![token("ann", Role::Auditor, "ann's token")]));
    let guard = Guard { tokens, oidc: None, quotas: Arc::new(Quotas::new(quota)) };
    let login = Login::new(Arc::<Ledger>::default(), guard, &LoginSettings::default());
    let caller = Caller { address: "192.0.2.1".parse().unwrap(), tls: true };
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_static("gate.example"));
    headers.insert(header::ORIGIN, HeaderValue::from_static("https://gate.example"));
    let cookie = login.with_token(&crate::telemetry::next_request_id(), caller, &headers, "ann's token").await.unwrap();
    headers.insert(header::COOKIE, cookie.to_str().unwrap().split(';').next().unwrap().parse().unwrap());

    let user = login.user(caller, &headers).unwrap();
    let of_the_page = user.clone();
    drop(user);
    assert!(matches!(login.user(caller, &headers), Err(LoginRefused::TooFast(_))));
    drop(of_the_page);
    login.user(caller, &headers).unwrap();
}

#[tokio::test]
async fn nothing_is_no_token() {
    let site = site();
    site.tokens.replace(vec![token("ann", Role::Operator, "")]);
    let mut browser = Browser::new(&site);
    for nothing in ["", " ", "\r\n"] {
        assert_eq!(browser.sign_in(nothing).await, StatusCode::UNAUTHORIZED);
    }
}
