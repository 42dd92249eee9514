//! What is the same on every page: navigation, reader, theme; and pages as answers.

use std::sync::Arc;

use askama::Template;
use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use super::{
    assets, filters,
    places::{PLACES, Place},
    seat::Seat,
};
use crate::admin::Problem;

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Theme {
    /// As the reader's system says.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// The cookie that keeps it. It says nothing of anybody, so scripts may write it.
    pub(super) const COOKIE: &'static str = "domicile-theme";

    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// The word for it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// By its word.
    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == word)
    }

    /// The one that a request asks for.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == Self::COOKIE).and_then(|(_, word)| Self::named(word)).unwrap_or_default()
    }
}

/// A heading of the navigation with its pages.
pub(super) struct Group {
    /// The heading.
    pub(super) title: &'static str,
    /// The pages, and whether each is the one that is shown.
    pub(super) places: Vec<(Place, bool)>,
}

/// The frame of one page.
pub(super) struct Chrome {
    /// The page's name.
    pub(super) title: String,
    /// The pages that the reader may see.
    pub(super) groups: Vec<Group>,
    /// The name of the reader's token.
    pub(super) who: String,
    /// Its role.
    pub(super) role: &'static str,
    /// Goes with every form that changes something.
    pub(super) csrf: String,
    /// Light or dark.
    pub(super) theme: Theme,
    /// Where it is.
    pub(super) path: String,
    /// When it was made.
    pub(super) now: String,
    /// Whether somebody is logged in.
    pub(super) seated: bool,
}

impl Chrome {
    /// For a page of `place`, or one below it.
    pub(super) fn new(seat: &Seat, title: impl Into<String>, place: Option<Place>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for one in PLACES.iter().filter(|one| seat.sees(**one)) {
            let entry = (*one, place == Some(*one));
            match groups.last_mut() {
                Some(group) if group.title == one.group => group.places.push(entry),
                _ => groups.push(Group { title: one.group, places: vec![entry] }),
            }
        }
        Self {
            title: title.into(),
            groups,
            who: seat.who().id.to_string(),
            role: seat.who().role.as_str(),
            csrf: seat.csrf().to_owned(),
            theme: seat.theme,
            path: seat.path.clone(),
            now: seat.now.to_rfc3339(),
            seated: true,
        }
    }

    /// For nobody known.
    pub(super) fn of_strangers(title: &str, theme: Theme) -> Self {
        Self {
            title: title.to_owned(),
            groups: Vec::new(),
            who: String::new(),
            role: "",
            csrf: String::new(),
            theme,
            path: "/console/login".to_owned(),
            now: String::new(),
            seated: false,
        }
    }

    /// Where the style sheet is.
    pub(super) fn style(&self) -> &'static str {
        assets::style_path()
    }

    /// Where the script is.
    pub(super) fn script(&self) -> &'static str {
        assets::script_path()
    }

    /// Where the icon is.
    pub(super) fn icon(&self) -> &'static str {
        assets::icon_path()
    }

    /// Every theme, and whether it is the one that is shown.
    pub(super) fn themes(&self) -> [(&'static str, &'static str, bool); 3] {
        [("auto", "Auto"), ("light", "Light"), ("dark", "Dark")].map(|(word, label)| (word, label, self.theme.as_str() == word))
    }
}

/// What a page could not be made for. Whoever let the request in makes a page of it, in the reader's frame.
pub(super) struct Trouble(Problem);

impl<T: Into<Problem>> From<T> for Trouble {
    fn from(problem: T) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let mut response = self.0.status().into_response();
        response.extensions_mut().insert(Arc::new(self.0));
        response
    }
}

/// What a page is answered with.
pub(super) type Answer = Result<Response, Trouble>;

/// A page as an answer.
pub(super) fn page(template: &impl Template) -> Answer {
    let html = template.render().map_err(|error| {
        tracing::error!(%error, "a page could not be made");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the page could not be made; the log says why")
    })?;
    Ok(Html(html).into_response())
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    chrome: Chrome,
    status: u16,
    heading: &'a str,
    detail: &'a str,
    help: &'a str,
    request: &'a str,
}

/// A problem as a page: what went wrong, and what to do about it.
pub(super) fn problem_page(chrome: Chrome, problem: &Problem, request: &str) -> Response {
    let (heading, help) = match problem.status() {
        StatusCode::BAD_REQUEST => ("This cannot be asked", "Go back, correct what the message names, and ask again."),
        StatusCode::FORBIDDEN => (
            "Your role does not show this",
            "Ask whoever runs the gateway for a token whose role may see it. The navigation lists what yours may.",
        ),
        StatusCode::NOT_FOUND => {
            ("There is nothing here", "Check how it is spelt. What was deleted or erased is not shown any more.")
        }
        StatusCode::CONFLICT => ("Something stands in the way", "The message says what. Ask again when it is gone."),
        StatusCode::SERVICE_UNAVAILABLE => {
            ("Not just now", "Wait some seconds and load the page again. If it stays so, tell the operator.")
        }
        StatusCode::GATEWAY_TIMEOUT => ("This took too long", "Ask for less at once: a shorter period, or one bucket."),
        _ => (
            "The gateway failed",
            "Load the page again. If it stays so, give the request's number to the operator: the log has the reason.",
        ),
    };
    let status = problem.status();
    let template = ErrorPage { chrome, status: status.as_u16(), heading, detail: problem.detail(), help, request };
    let mut response = page(&template).unwrap_or_else(IntoResponse::into_response);
    *response.status_mut() = status;
    response
}
