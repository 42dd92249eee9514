//! Signature Version 4 against the examples that AWS publishes in the Amazon S3 API Reference: "Authenticating Requests: Using the
//! Authorization Header", "… Using Query Parameters", "Transferring Payload in Multiple Chunks" and "… Including Trailing Headers".
//! Then every rule that refuses, starting from those examples.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use domicile::{
    authn::{AccessKey, AuthnError, HostRules, Mechanism, Payload, Principal, Principals, S3Authenticator, Verified},
    s3::chunked::{ChunkedError, Decoder, Framing, Trailers},
    types::Timestamp,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, request::Builder};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const HOST: &str = "examplebucket.s3.amazonaws.com";
/// 2013-05-24T00:00:00Z, the time of all examples.
const THEN: i64 = 1_369_353_600;

fn authenticator_with(secret: &str, region: &str, external: &[&str]) -> S3Authenticator {
    authenticator_for(AccessKey::new("AKIAIOSFODNN7EXAMPLE", secret.to_owned().into()), region, external)
}

fn authenticator_for(access_key: AccessKey, region: &str, external: &[&str]) -> S3Authenticator {
    let successor = AccessKey::new("AKIDSUCCESSOR", "other".to_owned().into());
    let principal = Principal::unrestricted("example", vec![successor, access_key]).unwrap();
    let principals = Arc::new(ArcSwap::from_pointee(Principals::new([principal]).unwrap()));
    S3Authenticator::new(principals, region.to_owned(), HostRules::new([], external.iter().map(|&host| host.to_owned())))
}

fn authenticator() -> S3Authenticator {
    authenticator_with("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", &[])
}

fn verify_at(request: Request<()>, seconds: i64) -> Result<Verified, AuthnError> {
    authenticator().verify(&request.into_parts().0, Timestamp::from_seconds(seconds))
}

fn verify(request: Request<()>) -> Result<Verified, AuthnError> {
    verify_at(request, THEN)
}

fn authorization(signed_headers: &str, signature: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
         SignedHeaders={signed_headers},Signature={signature}"
    )
}

fn signed(builder: Builder, payload: &str, signed_headers: &str, signature: &str) -> Request<()> {
    builder
        .header("x-amz-content-sha256", payload)
        .header("x-amz-date", "20130524T000000Z")
        .header("authorization", authorization(signed_headers, signature))
        .body(())
        .unwrap()
}

fn get_object() -> Request<()> {
    signed(
        Request::get("/test.txt").header("host", HOST).header("range", "bytes=0-9"),
        EMPTY,
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    )
}

const PRESIGNED: &str = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
    &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
    &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
    &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

fn presigned(uri: &str) -> Request<()> {
    Request::get(uri).header("host", HOST).body(()).unwrap()
}

fn header(mut request: Request<()>, name: &'static str, value: &str) -> Request<()> {
    set(request.headers_mut(), name, value);
    request
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
}

#[test]
fn get_object_example() {
    let verified = verify(get_object()).unwrap();
    assert_eq!(verified.authenticated.principal().id.as_str(), "example");
    assert_eq!(verified.mechanism, Mechanism::Header);
    assert!(matches!(verified.payload, Payload::Sha256(hash) if hex::encode(hash) == EMPTY));
}

#[test]
fn put_object_example() {
    let request = |path| {
        signed(
            Request::put(path)
                .header("host", HOST)
                .header("date", "Fri, 24 May 2013 00:00:00 GMT")
                .header("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        )
    };
    assert!(verify(request("/test$file.text")).is_ok());
    assert!(verify(request("/test%24file.text")).is_ok());
    assert!(verify(request("/test%2524file.text")).is_err());
}

#[test]
fn get_bucket_lifecycle_example() {
    let request = |uri| {
        let builder = Request::get(uri).header("host", HOST);
        let signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
        signed(builder, EMPTY, "host;x-amz-content-sha256;x-amz-date", signature)
    };
    assert!(verify(request("/?lifecycle")).is_ok());
    assert!(verify(request("/?lifecycle=")).is_ok());
    assert!(verify(request("/?policy")).is_err());
}

#[test]
fn list_objects_example() {
    let request = |uri| {
        let builder = Request::get(uri).header("host", HOST);
        let signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        signed(builder, EMPTY, "host;x-amz-content-sha256;x-amz-date", signature)
    };
    assert!(verify(request("/?max-keys=2&prefix=J")).is_ok());
    assert!(verify(request("/?prefix=%4a&max-keys=2")).is_ok());
    assert!(verify(request("/?max-keys=2&prefix=J&prefix=J")).is_err());
}

#[test]
fn presigned_example() {
    let verified = verify(presigned(PRESIGNED)).unwrap();
    assert_eq!(verified.mechanism, Mechanism::Presigned);
    assert!(matches!(verified.payload, Payload::Unsigned));
    assert!(verify(presigned(&format!("{PRESIGNED}&versionId=1"))).is_err());
}

fn chunked_request(payload: &str, trailer: Option<&str>, signature: &str) -> Request<()> {
    let mut builder = Request::put("/examplebucket/chunkObject.txt")
        .header("host", "s3.amazonaws.com")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "66560")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY");
    let headers = match trailer {
        None => {
            builder = builder.header("content-length", "66824");
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class"
        }
        Some(trailer) => {
            builder = builder.header("x-amz-trailer", trailer);
            "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer"
        }
    };
    signed(builder, payload, headers, signature)
}

fn decode(request: Request<()>, body: &[u8], step: usize) -> Result<(Vec<u8>, Trailers), ChunkedError> {
    let announced = request.headers().get("x-amz-trailer").map_or("", |value| value.to_str().unwrap()).to_owned();
    let Payload::SignedChunks { signer, trailer } = verify(request).unwrap().payload else { panic!("not signed chunks") };
    let mut decoder = Decoder::new(Framing::Signed { signer, trailer }, 66_560, &announced);
    let mut pieces = Vec::new();
    for input in body.chunks(step) {
        decoder.push(Bytes::copy_from_slice(input), &mut pieces)?;
    }
    Ok((pieces.concat(), decoder.finish()?))
}

fn frame(signatures: [&str; 3], end: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (len, signature) in [65_536, 1024, 0].into_iter().zip(signatures) {
        body.extend(format!("{len:x};chunk-signature={signature}\r\n").into_bytes());
        body.extend(vec![b'a'; len]);
        body.extend(if len > 0 { b"\r\n".as_slice() } else { b"" });
    }
    body.extend(end.as_bytes());
    body
}

#[test]
fn chunked_upload_example() {
    let request = || {
        let signature = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
        chunked_request("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", None, signature)
    };
    let signatures = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ];
    let body = frame(signatures, "\r\n");
    assert_eq!(body.len(), 66_824);
    for step in [1, 7, 65_536, 100_000] {
        assert_eq!(decode(request(), &body, step).unwrap().0, vec![b'a'; 66_560]);
    }
    let [first, second, last] = signatures;
    assert_eq!(decode(request(), &frame([second, first, last], "\r\n"), 8192).unwrap_err(), ChunkedError::ChunkSignature);
    assert_eq!(decode(request(), &frame([first, second, first], "\r\n"), 8192).unwrap_err(), ChunkedError::ChunkSignature);
}

#[test]
fn chunked_upload_with_trailer_example() {
    let request = || {
        let signature = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
        chunked_request("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Some("x-amz-checksum-crc32c"), signature)
    };
    let body = |checksum: &str| {
        frame(
            [
                "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
            ],
            &format!(
                "x-amz-checksum-crc32c:{checksum}\r\n\
                 x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
            ),
        )
    };
    let (data, trailers) = decode(request(), &body("sOO8/Q=="), 1000).unwrap();
    assert_eq!(data.len(), 66_560);
    assert_eq!(trailers.get("x-amz-checksum-crc32c"), Some("sOO8/Q=="));
    assert_eq!(decode(request(), &body("sOO8/R=="), 1000).unwrap_err(), ChunkedError::TrailerSignature);
}

#[test]
fn a_wrong_secret_or_any_change_is_a_mismatch() {
    let (parts, ()) = get_object().into_parts();
    let wrong = authenticator_with("wrong", "us-east-1", &[]).verify(&parts, Timestamp::from_seconds(THEN)).unwrap_err();
    assert_eq!(
        (wrong.code(), wrong.status(), wrong.access_key_id()),
        ("SignatureDoesNotMatch", 403, Some("AKIAIOSFODNN7EXAMPLE"))
    );
    for changed in [
        header(get_object(), "range", "bytes=0-99"),
        header(get_object(), "host", "other.s3.amazonaws.com"),
        header(get_object(), "x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ] {
        assert_eq!(verify(changed).unwrap_err().code(), "SignatureDoesNotMatch");
    }
}

#[test]
fn everything_the_gateway_acts_on_must_be_signed() {
    for (request, name) in [
        (header(get_object(), "x-amz-copy-source", "/secret/key"), "x-amz-copy-source"),
        (header(get_object(), "content-type", "text/html"), "content-type"),
        (header(presigned(PRESIGNED), "x-amz-copy-source", "/secret/key"), "x-amz-copy-source"),
        (header(presigned(PRESIGNED), "x-amz-content-sha256", EMPTY), "x-amz-content-sha256"),
        (presigned(&PRESIGNED.replace("SignedHeaders=host", "SignedHeaders=range")), "range"),
    ] {
        match verify(request).unwrap_err() {
            AuthnError::HeaderNotSigned { name: found, .. } | AuthnError::SignedHeaderAbsent { name: found, .. } => {
                assert_eq!(found, name);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(verify(header(presigned(PRESIGNED), "content-type", "text/html")).is_ok());
    let no_host = header(get_object(), "authorization", &authorization("x-amz-content-sha256;x-amz-date", EMPTY));
    assert!(matches!(verify(no_host).unwrap_err(), AuthnError::HeaderNotSigned { name, .. } if name == "host"));
}

/// The signature is that of the values joined and collapsed, so only the shape can be refused.
#[test]
fn headers_that_are_signed_like_others_are_refused() {
    let refused = |name: &'static str, values: [&'static str; 2]| {
        let mut request = get_object();
        for value in values {
            request.headers_mut().append(name, HeaderValue::from_static(value));
        }
        let list = format!("host;range;x-amz-content-sha256;x-amz-date;{name}");
        let error = verify(header(request, "authorization", &authorization(&list, EMPTY))).unwrap_err();
        assert!(matches!(&error, AuthnError::AmbiguousHeader { name: found, .. } if found == name), "{error:?}");
        assert_eq!((error.status(), error.access_key_id()), (400, Some("AKIAIOSFODNN7EXAMPLE")));
    };
    refused("x-amz-tagging", ["purpose=demo", "domicile-subject=PK"]);
    refused("x-amz-meta-a", ["=?UTF-8?Q?a?=", "b"]);
    let spaced = |name: &'static str, value| {
        let list = format!("host;range;x-amz-content-sha256;x-amz-date;{name}");
        verify(header(header(get_object(), "authorization", &authorization(&list, EMPTY)), name, value)).unwrap_err()
    };
    assert!(matches!(spaced("x-amz-tagging", "a  b"), AuthnError::AmbiguousHeader { .. }));
    assert_eq!(spaced("x-amz-tagging", "a b").code(), "SignatureDoesNotMatch");
    assert_eq!(spaced("x-amz-meta-a", "a  b").code(), "SignatureDoesNotMatch");
}

#[test]
fn time_is_bounded() {
    for (request, seconds, code) in [
        (get_object(), THEN + 900, None),
        (get_object(), THEN - 900, None),
        (get_object(), THEN + 901, Some("RequestTimeTooSkewed")),
        (get_object(), THEN - 901, Some("RequestTimeTooSkewed")),
        (presigned(PRESIGNED), THEN + 86_400, None),
        (presigned(PRESIGNED), THEN + 86_401, Some("AccessDenied")),
        (presigned(PRESIGNED), THEN - 900, None),
        (presigned(PRESIGNED), THEN - 901, Some("AccessDenied")),
        (header(get_object(), "x-amz-date", "yesterday"), THEN, Some("AccessDenied")),
        (header(get_object(), "x-amz-date", "20130525T000000Z"), THEN, Some("AuthorizationHeaderMalformed")),
    ] {
        assert_eq!(verify_at(request, seconds).err().map(|error| error.code()), code, "{seconds}");
    }
    for expires in ["0", "-1"] {
        let request = presigned(&PRESIGNED.replace("Expires=86400", &format!("Expires={expires}")));
        assert!(matches!(verify(request).unwrap_err(), AuthnError::ExpiredPresignedUrl { .. }), "{expires}");
    }
    for expires in ["604801", "+1", "--1", "-", "", "1e3", "99999999999999999999"] {
        let request = presigned(&PRESIGNED.replace("Expires=86400", &format!("Expires={expires}")));
        assert_eq!(verify(request).unwrap_err().code(), "AuthorizationQueryParametersError", "{expires}");
    }
}

#[test]
fn an_access_key_ends_and_with_it_the_urls_presigned_by_it() {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned();
    let ends = AccessKey {
        not_after: Some(Timestamp::from_seconds(THEN + 100)),
        ..AccessKey::new("AKIAIOSFODNN7EXAMPLE", secret.into())
    };
    let authenticator = authenticator_for(ends, "us-east-1", &[]);
    for make in [get_object, || presigned(PRESIGNED)] {
        let verify = |seconds| authenticator.verify(&make().into_parts().0, Timestamp::from_seconds(seconds));
        assert_eq!(verify(THEN + 100).unwrap().authenticated.access_key_id(), "AKIAIOSFODNN7EXAMPLE");
        let error = verify(THEN + 101).unwrap_err();
        assert!(matches!(error, AuthnError::ExpiredAccessKey { .. }), "{error:?}");
        assert_eq!((error.code(), error.status()), ("InvalidAccessKeyId", 403));
    }
}

#[test]
fn scope_is_checked() {
    let other_region = authenticator_with("any", "eu-west-1", &[]);
    let error = other_region.verify(&get_object().into_parts().0, Timestamp::from_seconds(THEN)).unwrap_err();
    assert!(matches!(error, AuthnError::AuthorizationHeaderMalformed { region: Some(region), .. } if region == "eu-west-1"));
    let error = other_region.verify(&presigned(PRESIGNED).into_parts().0, Timestamp::from_seconds(THEN)).unwrap_err();
    assert_eq!(error.code(), "AuthorizationQueryParametersError");
    let with = |from: &str, to: &str| {
        let value = get_object().headers()["authorization"].to_str().unwrap().replace(from, to);
        verify(header(get_object(), "authorization", &value)).unwrap_err()
    };
    assert_eq!(with("/s3/", "/iam/").code(), "AuthorizationHeaderMalformed");
    assert_eq!(with("aws4_request", "aws5_request").code(), "AuthorizationHeaderMalformed");
    assert_eq!(with("AKIAIOSFODNN7EXAMPLE", "AKIAUNKNOWN").code(), "InvalidAccessKeyId");
    assert_eq!(with("AKIAIOSFODNN7EXAMPLE", "AKIAUNKNOWN").access_key_id(), Some("AKIAUNKNOWN"));
}

#[test]
fn missing_repeated_and_mixed_claims_are_refused() {
    let code = |request| verify(request).unwrap_err().code();
    let nobody = verify(presigned("/")).unwrap();
    assert!(nobody.authenticated.is_anonymous() && nobody.mechanism == Mechanism::Absent);
    for parameter in ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"] {
        let renamed = PRESIGNED.replace(&format!("X-Amz-{parameter}="), "other=");
        assert_eq!(code(presigned(&renamed)), "AuthorizationQueryParametersError", "{parameter}");
        let twice = format!("{PRESIGNED}&X-Amz-{parameter}=1");
        assert_eq!(code(presigned(&twice)), "AuthorizationQueryParametersError", "{parameter}");
    }
    for field in ["Credential", "SignedHeaders", "Signature"] {
        let value = get_object().headers()["authorization"].to_str().unwrap().to_owned();
        let renamed = header(get_object(), "authorization", &value.replace(&format!("{field}="), "Other="));
        assert_eq!(code(renamed), "AuthorizationHeaderMalformed", "{field}");
        let twice = header(get_object(), "authorization", &format!("{value},{field}=1"));
        assert_eq!(code(twice), "AuthorizationHeaderMalformed", "{field}");
    }
    let both = presigned(PRESIGNED);
    assert_eq!(code(header(both, "authorization", &authorization("host", EMPTY))), "InvalidArgument");
    let mut two_hosts = get_object();
    two_hosts.headers_mut().append("host", HeaderValue::from_static(HOST));
    assert_eq!(code(two_hosts), "InvalidRequest");
    let mut no_payload = get_object();
    no_payload.headers_mut().remove("x-amz-content-sha256");
    assert_eq!(code(no_payload), "InvalidRequest");
    assert_eq!(code(header(get_object(), "x-amz-content-sha256", "nonsense")), "InvalidArgument");
    assert_eq!(code(header(get_object(), "x-amz-security-token", "token")), "AccessDenied", "it is not signed");
    assert_eq!(code(presigned(&format!("{PRESIGNED}&X-Amz-Security-Token=t"))), "InvalidToken");
}

#[test]
fn signed_headers_are_sorted_lower_case_and_each_there_once() {
    for list in ["", "host;", "x-amz-date;host", "host;host", "Host;x-amz-content-sha256;x-amz-date"] {
        let request = header(get_object(), "authorization", &authorization(list, EMPTY));
        assert_eq!(verify(request).unwrap_err().code(), "AuthorizationHeaderMalformed", "{list}");
        let request = presigned(&PRESIGNED.replace("SignedHeaders=host", &format!("SignedHeaders={list}")));
        assert_eq!(verify(request).unwrap_err().code(), "AuthorizationQueryParametersError", "{list}");
    }
}

#[test]
fn other_methods_are_refused_clearly() {
    for value in
        ["AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=", "Basic dTpw", "AWS4-ECDSA-P256-SHA256 Credential=x", ""]
    {
        let error = verify(header(get_object(), "authorization", value)).unwrap_err();
        assert_eq!(error, AuthnError::UnsupportedMethod, "{value}");
    }
    let version_2 = "/k?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1141889120&Signature=vjbyPxybdZaNmGa%2ByT272YEAiv4%3D";
    assert_eq!(verify(presigned(version_2)).unwrap_err(), AuthnError::UnsupportedMethod);
    assert_eq!(AuthnError::UnsupportedMethod.code(), "InvalidRequest");
}

#[test]
fn a_host_that_a_proxy_changed_is_made_good_by_configuration() {
    let behind_proxy = header(get_object(), "host", "10.0.0.7:9000").into_parts().0;
    let now = Timestamp::from_seconds(THEN);
    assert!(authenticator().verify(&behind_proxy, now).is_err());
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    assert!(authenticator_with(secret, "us-east-1", &["s3.example.com", HOST]).verify(&behind_proxy, now).is_ok());
}
