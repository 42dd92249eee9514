//! Whatever a client sends is read or refused, never a panic.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use proptest::prelude::*;

use super::query::Query;
use super::target::Target;
use super::{conditions, headers, percent, ranges, router};
use crate::authn::HostRules;

/// Headers that something here reads.
const NAMES: [&str; 22] = [
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "content-md5",
    "content-type",
    "content-encoding",
    "expires",
    "x-amz-tagging",
    "x-amz-meta-a",
    "x-amz-acl",
    "x-amz-copy-source",
    "x-amz-copy-source-range",
    "x-amz-copy-source-if-match",
    "x-amz-checksum-crc32",
    "x-amz-checksum-sha256",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-type",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
    "x-amz-storage-class",
    "x-amz-server-side-encryption",
];

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        Just(Method::GET),
        Just(Method::PUT),
        Just(Method::POST),
        Just(Method::HEAD),
        Just(Method::DELETE),
        Just(Method::OPTIONS),
        "[A-Z]{1,8}".prop_map(|name| Method::from_bytes(name.as_bytes()).unwrap()),
    ]
}

fn header() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let value = prop_oneof![
        proptest::collection::vec(32_u8..=255, 0..40),
        "(bytes=|=\\?UTF-8\\?[BQ]\\?|\\*|W/|\")?[ -~]{0,20}".prop_map(String::into_bytes),
    ];
    (proptest::sample::select(&NAMES[..]), value).prop_filter_map("not a header value", |(name, value)| {
        Some((HeaderName::from_static(name), HeaderValue::from_bytes(&value).ok()?))
    })
}

fn read_everything(method: &Method, uri: &str, host: &str, headers: HeaderMap) {
    let Ok(request) = Request::builder().method(method).uri(uri).body(()) else { return };
    let mut parts = request.into_parts().0;
    parts.headers = headers;
    parts.headers.extend(HeaderValue::from_str(host).ok().map(|host| (http::header::HOST, host)));
    let hosts = HostRules::new(["s3.example.com".to_owned()], []);
    if let (Ok(query), Ok(target)) = (Query::parse(parts.uri.query()), Target::of(&parts, &hosts)) {
        let _ = router::route(method, target.scope(), &query, &parts.headers);
    }
    let headers = &parts.headers;
    let _ = (ranges::range(headers), ranges::copy_source_range(headers));
    let _ = (conditions::of_read(headers), conditions::of_write(headers), conditions::of_copy_source(headers));
    let _ = (headers::content_md5(headers), headers::expected_checksum(headers), headers::trailing_algorithm(headers));
    let _ = headers::take_customer_keys(&mut headers.clone(), true);
    let _ = (headers::check_object_features(headers), headers::acl(headers, &crate::authn::Principals::default()));
    if let Ok(description) = headers::description(headers) {
        for value in description.content.values().chain(description.metadata.values()) {
            let _ = headers::encode_value(value);
        }
    }
}

proptest! {
    #[test]
    fn requests_never_panic(
        method in method(),
        path in "/[ -~]{0,60}",
        host in "[a-z0-9.:\\[\\]-]{0,40}",
        headers in proptest::collection::vec(header(), 0..8),
    ) {
        read_everything(&method, &path, &host, headers.into_iter().collect());
    }

    #[test]
    fn percent_decoding_never_panics(text in "[%0-9a-fA-F+é]{0,30}") {
        let _ = (percent::decode(&text), percent::decode_form(&text));
    }
}
