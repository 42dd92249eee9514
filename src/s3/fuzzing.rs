//! The readers of this module that a client's bytes reach, for the fuzz targets outside the crate.

use http::request::Parts;

use super::{conditions, form, headers, query::Query, ranges, router, target::Target, xml};
use crate::authn::HostRules;

/// Reads everything that the head of a request says.
pub fn read_request(parts: &Parts, hosts: &HostRules) {
    if let (Ok(query), Ok(target)) = (Query::parse(parts.uri.query()), Target::of(parts, hosts)) {
        let _ = router::route(&parts.method, target.scope(), &query, &parts.headers);
    }
    let headers = &parts.headers;
    let _ = (ranges::range(headers), ranges::copy_source_range(headers));
    let _ = (conditions::of_read(headers), conditions::of_write(headers), conditions::of_copy_source(headers));
    let _ = (headers::content_md5(headers), headers::expected_checksum(headers), headers::trailing_algorithm(headers));
    let _ = headers::take_customer_keys(&mut headers.clone(), true);
    let _ = (headers::check_object_features(headers), headers::acl(headers, &crate::authn::Principals::default()));
    let _ = headers::description(headers);
}

/// Takes a form apart, in pieces of `cut` bytes.
pub fn read_form(boundary: &str, form: &[u8], cut: usize) {
    form::decode(boundary, form, cut);
}

/// Reads an XML document as every operation that takes one does.
pub fn read_document(document: &[u8]) {
    for root in ["CreateBucketConfiguration", "CompleteMultipartUpload", "Delete"] {
        let _ = xml::parse(document, root);
    }
}
