//! Which web pages may use a bucket's objects (cross-origin resource sharing).

use serde::{Deserialize, Serialize};

use crate::bucket::SettingError;

/// A bucket's rules, in order: the first that fits decides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cors {
    rules: Vec<CorsRule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsRule {
    /// A name, at most 255 characters.
    pub id: Option<String>,
    /// Origins, each with at most one `*`.
    pub origins: Vec<String>,
    /// Methods.
    pub methods: Vec<CorsMethod>,
    /// Request headers that a preflight may ask for, each with at most one `*`.
    pub headers: Vec<String>,
    /// Response headers that the page may see.
    pub expose: Vec<String>,
    /// For how many seconds the browser may remember a preflight's answer.
    pub max_age: Option<u32>,
}

/// A method that a rule can allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CorsMethod {
    /// `GET`
    Get,
    /// `PUT`
    Put,
    /// `POST`
    Post,
    /// `DELETE`
    Delete,
    /// `HEAD`
    Head,
}

/// The headers that a request from a page is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsAnswer {
    /// `access-control-allow-origin`: the origin, or `*`.
    pub allow_origin: String,
    /// `access-control-allow-methods`
    pub allow_methods: String,
    /// `access-control-allow-headers`, of a preflight that asked for some.
    pub allow_headers: Option<String>,
    /// `access-control-expose-headers`
    pub expose_headers: Option<String>,
    /// `access-control-max-age`
    pub max_age: Option<u32>,
    /// Whether `access-control-allow-credentials: true` belongs to it: not if every origin is allowed.
    pub allow_credentials: bool,
}

impl Cors {
    /// Checks the rules.
    pub fn new(_rules: Vec<CorsRule>) -> Result<Self, SettingError> {
        todo!()
    }

    /// The rules.
    pub fn rules(&self) -> &[CorsRule] {
        &self.rules
    }

    /// What a preflight (OPTIONS with `origin`, `access-control-request-method` and `-headers`) is answered; `None` is a refusal.
    pub fn preflight(&self, _origin: &str, _method: &str, _headers: Option<&str>) -> Option<CorsAnswer> {
        todo!()
    }

    /// The headers that the answer to a request with `origin` gets, if a rule fits.
    pub fn actual(&self, _origin: &str, _method: &str) -> Option<CorsAnswer> {
        todo!()
    }
}
