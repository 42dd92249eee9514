//! GetObject, and the headers that it shares with HeadObject.

use http::{HeaderMap, Response, StatusCode};

use super::Context;
use super::upload::version_header;
use crate::objects::{CustomerKeys, Found, GetRequest, VersionName};
use crate::s3::errors::{Code, S3Error};
use crate::s3::headers::{check_read_features, encode_value, text};
use crate::s3::query::Query;
use crate::s3::response::{ResponseBody, set, set_checksum, set_encryption, set_etag, set_expiration, set_lock, set_residence};
use crate::s3::{conditions, ranges};
use crate::types::VersionId;

/// Query parameters of a signed request that replace headers of the answer.
const OVERRIDES: [(&str, &str); 6] = [
    ("response-content-type", "content-type"),
    ("response-content-language", "content-language"),
    ("response-expires", "expires"),
    ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
];

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let (found, body) = context.objects.get(&context.request, read_request(context)?).await?;
    let mut response = Response::new(ResponseBody::stream(body, found.length, context.request.id.clone()));
    describe(context.query, (context.headers(), context.request.keys), &mut response, &found)?;
    Ok(response)
}

/// What a GET or HEAD asks for.
pub(super) fn read_request(context: &Context<'_>) -> Result<GetRequest, S3Error> {
    let (bucket, key) = context.object()?;
    let headers = context.headers();
    check_read_features(headers)?;
    if context.request.auth.is_anonymous() && OVERRIDES.iter().any(|(parameter, _)| context.query.contains(parameter)) {
        let message = "Request specific response headers cannot be used for anonymous GET requests.";
        return Err(S3Error::with(Code::InvalidRequest, message));
    }
    let (range, part) = (ranges::range(headers)?, context.query.parsed("partNumber", "a number from 1 to 10000")?);
    if range.is_some() && part.is_some() {
        return Err(S3Error::with(Code::InvalidRequest, "Cannot specify both Range header and partNumber query parameter."));
    }
    if part.is_some_and(|part: u32| !(1..=10_000).contains(&part)) {
        return Err(
            S3Error::with(Code::InvalidArgument, "The part number must be from 1 to 10000.").detail("ArgumentName", "partNumber")
        );
    }
    let condition = conditions::of_read(headers)?;
    Ok(GetRequest { bucket: bucket.clone(), key: key.clone(), version: version(context)?, range, part, condition })
}

/// `versionId`. One that has another form than ours names no version.
pub(super) fn version(context: &Context<'_>) -> Result<Option<VersionId>, S3Error> {
    match context.query.get("versionId") {
        None => Ok(None),
        Some("") => {
            Err(S3Error::with(Code::InvalidArgument, "Version id cannot be the empty string.")
                .detail("ArgumentName", "versionId"))
        }
        Some(text) => text.parse().map(Some).map_err(|_| S3Error::new(Code::NoSuchVersion)),
    }
}

/// The version that a request about an object's description names.
pub(super) fn version_name<'c>(context: &'c Context<'_>) -> Result<VersionName<'c>, S3Error> {
    let (bucket, key) = context.object()?;
    Ok(VersionName { bucket, key, version: version(context)? })
}

/// Status and headers of an answer about an object.
pub(super) fn describe(
    query: &Query<'_>,
    (request, keys): (&HeaderMap, &CustomerKeys),
    response: &mut Response<ResponseBody>,
    found: &Found,
) -> Result<(), S3Error> {
    let record = &found.record;
    if let Some(range) = &found.range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        if !range.is_empty() {
            let last = range.end.saturating_sub(1);
            set(response.headers_mut(), "content-range", &format!("bytes {}-{last}/{}", range.start, record.summary.size));
        }
    }
    let headers = response.headers_mut();
    set(headers, "content-length", &found.length.to_string());
    set(headers, "accept-ranges", "bytes");
    set(headers, "last-modified", &record.summary.modified.to_http_date());
    set_etag(headers, &record.summary.etag);
    version_header(headers, &record.summary.version);
    set(headers, "content-type", "binary/octet-stream");
    for (name, value) in &record.detail.content {
        if let (Some(name), Some(value)) = (content_header(name), encode_value(value)) {
            headers.insert(name, value);
        }
    }
    for (name, value) in &record.detail.metadata {
        let name = format!("x-amz-meta-{name}").parse::<http::HeaderName>();
        if let (Ok(name), Some(value)) = (name, encode_value(value)) {
            headers.insert(name, value);
        }
    }
    if !record.detail.tags.is_empty() {
        set(headers, "x-amz-tagging-count", &record.detail.tags.len().to_string());
    }
    if let Some(parts) = found.parts.filter(|_| query.contains("partNumber")) {
        set(headers, "x-amz-mp-parts-count", &parts.to_string());
    }
    let wants_checksum = text(request, "x-amz-checksum-mode")?.is_some_and(|mode| mode.eq_ignore_ascii_case("ENABLED"));
    if let Some(checksum) = found.checksum.as_ref().filter(|_| wants_checksum) {
        set_checksum(headers, checksum);
        // Of a part, too, S3 tells how the checksum of the whole was made.
        if let Some((_, kind)) = record.summary.checksum_algorithm {
            set(headers, "x-amz-checksum-type", &kind.to_string());
        }
    }
    set_lock(headers, &record.detail.lock);
    set_encryption(headers, keys);
    set_residence(headers, &found.residence);
    set_expiration(headers, found.expiration.as_deref());
    override_headers(query, headers);
    Ok(())
}

fn override_headers(query: &Query<'_>, headers: &mut HeaderMap) {
    for (parameter, header) in OVERRIDES {
        if let Some(value) = query.get_filled(parameter) {
            set(headers, header, value);
        }
    }
}

/// The name of a content header that an object may carry; anything else in the row is not for HTTP.
fn content_header(name: &str) -> Option<&'static str> {
    OVERRIDES.iter().map(|(_, header)| *header).find(|header| *header == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Checksum, ChecksumAlgorithm};
    use crate::index::{Detail, Layout, Record, Summary};
    use crate::objects::Residence;
    use crate::policy::DecisionSource;
    use crate::residency::PlacementRecord;
    use crate::types::{AccountId, AttemptId, Generation, PolicyRevision, PrincipalId, RecordId, Ticket, Timestamp};

    fn found() -> Found {
        let principal = PrincipalId::new("feed").unwrap();
        let placement = PlacementRecord {
            subject: None,
            attributes: Default::default(),
            assumed: Default::default(),
            principal: principal.clone(),
            origins: Vec::new(),
            copies: Vec::new(),
            instruments: Vec::new(),
            shadow: Vec::new(),
            revision: PolicyRevision::from_bytes([0; 32]),
            subject_generation: Generation(0),
            decided_at: Timestamp::from_seconds(0),
            source: DecisionSource::Default,
            principal_country: None,
            exceptions: Vec::new(),
            signals: Default::default(),
        };
        let summary = Summary {
            id: RecordId::from_bytes([1; 16]),
            version: VersionId::Null,
            ticket: Ticket(1),
            modified: Timestamp::from_millis(1_999),
            size: 10,
            etag: "900150983cd24fb0d6963f7d28e17f72".parse().unwrap(),
            checksum_algorithm: None,
            owner: AccountId::new("domicile").unwrap(),
            delete_marker: false,
        };
        let detail = Detail {
            content: [("content-type", "text/plain"), ("x-odd", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            metadata: [("who".to_owned(), "پاک".to_owned())].into(),
            tags: vec![("a".to_owned(), "b".to_owned())],
            checksum: Some(Checksum::parse(ChecksumAlgorithm::Crc32, "y/Q5Jg==").unwrap()),
            lock: Default::default(),
            customer: None,
            acl: None,
            placement,
            copies: Vec::new(),
            layout: Layout::Whole { attempt: AttemptId::from_bytes([2; 16]) },
            moves: 0,
            imported: None,
            entry: None,
        };
        let residence = Residence { countries: vec!["PK".parse().unwrap(), "SG".parse().unwrap()], ..Residence::default() };
        let checksum = detail.checksum;
        Found {
            record: Record { summary, detail },
            range: None,
            length: 10,
            parts: Some(3),
            checksum,
            residence,
            expiration: None,
        }
    }

    fn described(query: &str, request: &HeaderMap, found: &Found) -> Response<ResponseBody> {
        let mut response = crate::s3::response::ok();
        describe(&Query::parse(Some(query)).unwrap(), (request, CustomerKeys::none()), &mut response, found).unwrap();
        response
    }

    #[test]
    fn a_whole_object_is_described_by_what_was_kept() {
        let response = described("", &HeaderMap::new(), &found());
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(response.status(), 200);
        for (name, expected) in [
            ("content-length", Some("10")),
            ("content-type", Some("text/plain")),
            ("etag", Some("\"900150983cd24fb0d6963f7d28e17f72\"")),
            ("last-modified", Some("Thu, 01 Jan 1970 00:00:01 GMT")),
            ("accept-ranges", Some("bytes")),
            ("x-amz-meta-who", Some("=?UTF-8?B?2b7Yp9qp?=")),
            ("x-amz-tagging-count", Some("1")),
            ("x-amz-server-side-encryption", Some("AES256")),
            ("x-domicile-country", Some("PK, SG")),
            ("x-odd", None),
            ("x-amz-version-id", None),
            ("x-amz-mp-parts-count", None),
            ("x-amz-checksum-crc32", None),
            ("content-range", None),
        ] {
            assert_eq!(header(name), expected, "{name}");
        }
    }

    #[test]
    fn a_range_is_partial_and_overrides_replace_headers() {
        let partial = Found { range: Some(2..5), length: 3, checksum: None, ..found() };
        let mode = HeaderMap::from_iter([("x-amz-checksum-mode".parse().unwrap(), http::HeaderValue::from_static("ENABLED"))]);
        let response = described("partNumber=1&response-content-type=text%2Fcsv", &mode, &partial);
        assert_eq!(response.status(), 206);
        assert_eq!(response.headers()["content-range"], "bytes 2-4/10");
        assert_eq!(response.headers()["content-type"], "text/csv");
        assert_eq!(response.headers()["x-amz-mp-parts-count"], "3");
        assert!(!response.headers().contains_key("x-amz-checksum-crc32"));
        assert_eq!(described("", &mode, &found()).headers()["x-amz-checksum-crc32"], "y/Q5Jg==");
    }
}
