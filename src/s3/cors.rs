//! Requests of web pages (cross-origin resource sharing; Fetch Standard, "CORS protocol"): preflights, and the headers that let a page
//! read an answer. A request without `Origin` costs one look-up of a header.

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, header};

use super::errors::{Code, S3Error};
use super::headers::text;
use super::response::{ResponseBody, ok, set};
use super::target::Target;
use crate::authn::HostRules;
use crate::bucket::CorsAnswer;
use crate::objects::Objects;

const METHOD: &str = "access-control-request-method";
const HEADERS: &str = "access-control-request-headers";
const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// Answers OPTIONS. Browsers send it without a signature, so it says nothing of a bucket but what its rules let any page do.
pub(super) fn preflight(objects: &Objects, parts: &Parts, hosts: &HostRules) -> Result<Response<ResponseBody>, S3Error> {
    let headers = &parts.headers;
    let needed = |what| S3Error::with(Code::BadRequest, format!("Insufficient information. {what} request header needed."));
    let origin = text(headers, "origin")?.ok_or_else(|| needed("Origin"))?;
    let method = text(headers, METHOD)?.ok_or_else(|| needed("Access-Control-Request-Method"))?;
    let target = Target::of(parts, hosts)?;
    let rules = match target.bucket_name() {
        Some(bucket) => objects.cors(bucket)?,
        None => None,
    };
    let rules =
        rules.ok_or_else(|| S3Error::with(Code::AccessForbidden, "CORSResponse: CORS is not enabled for this bucket."))?;
    let answer = rules.preflight(origin, method, text(headers, HEADERS)?).ok_or_else(|| {
        let message = "CORSResponse: This CORS request is not allowed: no rule of the bucket fits origin, method and headers.";
        S3Error::with(Code::AccessForbidden, message)
    })?;
    let mut response = ok();
    write(response.headers_mut(), &answer);
    Ok(response)
}

/// Adds what lets a page read the answer to its request, also to an error, where a rule of the bucket fits.
pub(super) fn let_read(objects: &Objects, parts: &Parts, hosts: &HostRules, response: &mut Response<ResponseBody>) {
    let Some(origin) = parts.headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else { return };
    if parts.method == http::Method::OPTIONS {
        return;
    }
    let target = Target::of(parts, hosts).ok();
    let Some(bucket) = target.as_ref().and_then(Target::bucket_name) else { return };
    // What is wrong with the index is for the request itself to tell.
    let Ok(Some(rules)) = objects.cors(bucket) else { return };
    let asked = parts.headers.get(METHOD).and_then(|method| method.to_str().ok());
    if let Some(answer) = rules.actual(origin, asked.unwrap_or(parts.method.as_str())) {
        write(response.headers_mut(), &answer);
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static(VARY));
}

fn write(headers: &mut HeaderMap, answer: &CorsAnswer) {
    set(headers, "access-control-allow-origin", &answer.allow_origin);
    set(headers, "access-control-allow-methods", &answer.allow_methods);
    for (name, value) in
        [("access-control-allow-headers", &answer.allow_headers), ("access-control-expose-headers", &answer.expose_headers)]
    {
        if let Some(value) = value {
            set(headers, name, value);
        }
    }
    if let Some(seconds) = answer.max_age {
        set(headers, "access-control-max-age", &seconds.to_string());
    }
    if answer.allow_credentials {
        set(headers, "access-control-allow-credentials", "true");
    }
    headers.insert(header::VARY, HeaderValue::from_static(VARY));
}
