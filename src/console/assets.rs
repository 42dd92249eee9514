//! The style sheet, the script and the icon, each under a path that changes with its bytes.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::digest::sha256;

struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
    path: LazyLock<String>,
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        Asset {
            name: $name,
            kind: $kind,
            text: include_str!(concat!("assets/", $name)),
            path: LazyLock::new(|| path($name, include_str!(concat!("assets/", $name)))),
        }
    };
}

static STYLE: Asset = asset!("console.css", "text/css; charset=utf-8");
static SCRIPT: Asset = asset!("console.js", "text/javascript; charset=utf-8");
static ICON: Asset = asset!("icon.svg", "image/svg+xml");

fn path(name: &str, text: &str) -> String {
    let mark = hex::encode(&sha256(text.as_bytes())[..8]);
    format!("/console/assets/{mark}/{name}")
}

pub(super) fn style_path() -> &'static str {
    &STYLE.path
}

pub(super) fn script_path() -> &'static str {
    &SCRIPT.path
}

pub(super) fn icon_path() -> &'static str {
    &ICON.path
}

/// An asset by the path that pages name; another version's is not there.
pub(super) async fn get(Path((mark, name)): Path<(String, String)>) -> Response {
    let asked = format!("/console/assets/{mark}/{name}");
    let Some(asset) = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.name == name && *asset.path == asked) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, asset.text).into_response()
}
