//! One request from its head to its answer.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::sync::Semaphore;

use super::address::Address;
use super::admission::{Admission, Place, Turn};
use super::body::RequestBody;
use super::cors;
use super::errors::{Code, S3Error};
use super::facts::{Client, RequestFacts};
use super::headers::{add_hoisted, take_customer_keys, text};
use super::operation::{Operation, Status};
use super::ops::{self, Context};
use super::query::Query;
use super::response::{ResponseBody, set, unset_residence};
use super::router;
use super::shared_body::SharedBody;
use super::target::Target;
use crate::authn::{Mechanism, Quota, S3Authenticator, UnsignedPayload, Verified};
use crate::bucket::BucketSettings;
use crate::clock::Clock;
use crate::digest;
use crate::objects::{self, Objects};
use crate::telemetry::metric;
use crate::types::{BucketName, RequestId, Timestamp};

/// How many bodies that nobody reads are taken off the wire at a time; the connections of others are closed.
const MOST_DRAINS: usize = 256;

/// What the S3 front works with.
pub struct S3Parts {
    /// The use cases.
    pub objects: Objects,
    /// Checks signatures; knows the region and the host names.
    pub authenticator: Arc<S3Authenticator>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// `https://host[:port]` for addresses in answers, when it is not that of the request.
    pub external_url: Option<String>,
    /// Which bodies may come that no signature covers.
    pub unsigned_payload: UnsignedPayload,
    /// Whether keys of the client's own may come without TLS to this gateway.
    pub customer_keys_over_http: bool,
    /// Whether answers to unsigned requests say where a record lives and why.
    pub anonymous_residence: bool,
    /// What a bucket is created with unless the request says otherwise.
    pub new_buckets: BucketSettings,
    /// How long a client may pause within a body.
    pub body_patience: Duration,
    /// Requests under way at a time, of all callers.
    pub concurrent_requests: NonZeroU32,
    /// Limits of those who do not sign, together.
    pub anonymous: Quota,
}

/// The S3 endpoint. A clone is another handle on the same one.
#[derive(Clone)]
pub struct S3Service(Arc<Shared>);

struct Shared {
    parts: S3Parts,
    admission: Admission,
    /// Bodies that nobody reads, taken off the wire at a time.
    drains: Semaphore,
}

impl std::ops::Deref for Shared {
    type Target = S3Parts;

    fn deref(&self) -> &S3Parts {
        &self.parts
    }
}

/// What is known of a request by the time it is logged.
#[derive(Default)]
struct Seen {
    operation: Option<Operation>,
    bucket: Option<BucketName>,
    /// Whether a limit on requests refused it: then no log line is its own.
    throttled: bool,
}

impl S3Service {
    /// Puts the parts together.
    pub fn new(parts: S3Parts) -> Self {
        register();
        let admission = Admission::new(parts.concurrent_requests, parts.anonymous);
        Self(Arc::new(Shared { parts, admission, drains: Semaphore::new(MOST_DRAINS) }))
    }

    /// Answers one request of `client`. Never fails: what goes wrong is an answer too.
    ///
    /// The answer to a request whose body was not read has either taken a bounded rest of it off the wire, or carries
    /// `connection: close`; whoever owns the connection should then linger before it closes the socket.
    pub async fn handle<B>(&self, request: Request<B>, client: Client) -> Response<ResponseBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let started = Instant::now();
        let Ok(id) = request_id() else { return unnamed_failure() };
        let (mut parts, body) = request.into_parts();
        let body = SharedBody::new(body);
        let mut seen = Seen::default();
        let place = self.0.admission.enter();
        // The gateway has no time for the body of a request that it has no time for.
        let leave_body = place.is_err() || expects_continue(&parts);
        let (outcome, place) = match place {
            Ok(place) => {
                let outcome = self.answer(&id, &mut parts, client, body.clone(), &place, &mut seen).await;
                seen.throttled = place.is_refused();
                let tells = self.0.anonymous_residence || place.is_signed();
                let outcome = if tells { outcome } else { withhold(outcome, &self.0.objects) };
                // What counts on nobody, or was refused, holds no place for as long as its client takes to send a body that nobody reads.
                (outcome, Some(place).filter(Place::is_counted))
            }
            Err(limit) => {
                seen.throttled = true;
                (Err(limit.into()), None)
            }
        };
        let place = place.filter(|_| outcome.is_ok());
        let code = outcome.as_ref().err().map(S3Error::code);
        if let Err(error) = &outcome {
            tracing::debug!(request = %id, message = error.message(), "refused");
        }
        let mut response =
            outcome.unwrap_or_else(|error| error.into_response(&id, parts.uri.path(), parts.method == Method::HEAD));
        let headers = response.headers_mut();
        set(headers, "x-amz-request-id", id.as_str());
        set(headers, "x-amz-id-2", id.as_str());
        headers.insert(header::SERVER, HeaderValue::from_static("domicile"));
        cors::let_read(&self.0.objects, &parts, self.0.authenticator.hosts(), &mut response);
        if !body.settle(leave_body, &self.0.drains).await {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        report(&id, &seen, &response, code, started.elapsed());
        match place {
            Some(place) => response.map(|body| body.holding(place)),
            None => response,
        }
    }

    async fn answer(
        &self,
        id: &RequestId,
        parts: &mut Parts,
        client: Client,
        body: SharedBody,
        place: &Place,
        seen: &mut Seen,
    ) -> Result<Response<ResponseBody>, S3Error> {
        if parts.method == Method::OPTIONS {
            return cors::preflight(&self.0.objects, parts, self.0.authenticator.hosts());
        }
        let now = self.0.clock.now();
        let Verified { authenticated, payload, mechanism, signed } = self.authenticate(id, parts, client.tls, now).await?;
        let turn = Turn { admission: &self.0.admission, place };
        if mechanism != Mechanism::Absent {
            turn.count_on(&authenticated)?;
        }
        let Parts { uri, headers, .. } = &mut *parts;
        if mechanism == Mechanism::Presigned {
            add_hoisted(&Query::of_request(uri.query())?, headers)?;
        }
        let query = Query::of_request(parts.uri.query())?;
        let target = Target::of(parts, self.0.authenticator.hosts())?;
        seen.bucket = target.bucket_name().cloned();
        let operation = router::route(&parts.method, target.scope(), &query, &parts.headers)?;
        seen.operation = Some(operation);
        // Whose a form is, it says itself.
        if mechanism == Mechanism::Absent && operation != Operation::PostObject {
            turn.count_on(&authenticated)?;
        }
        if operation.status() == Status::NotBuilt {
            return Err(S3Error::not_implemented(operation.name()));
        }
        let takes_keys = client.tls || self.0.customer_keys_over_http;
        let (keys, refused) = match take_customer_keys(&mut parts.headers, takes_keys) {
            Ok(keys) => (keys, None),
            Err(error) => (Default::default(), Some(error)),
        };
        let headers = &parts.headers;
        let region = self.0.authenticator.region();
        let creates_object = matches!(
            operation,
            Operation::PutObject | Operation::PostObject | Operation::CopyObject | Operation::CompleteMultipartUpload
        );
        let facts = RequestFacts {
            method: &parts.method,
            creates_object,
            headers,
            query: &query,
            client,
            region,
            mechanism,
            signed,
            now,
        };
        let context = Context {
            objects: &self.0.objects,
            request: objects::Request {
                id,
                auth: &authenticated,
                now,
                keys: &keys,
                facts: &facts,
                expected_owner: text(headers, "x-amz-expected-bucket-owner")?,
            },
            facts,
            takes_keys,
            parts,
            query: &query,
            target,
            address: Address::of(self.0.external_url.as_deref(), client.tls, parts, self.0.authenticator.hosts()),
            region,
            authenticator: &self.0.authenticator,
            turn,
            new_buckets: &self.0.new_buckets,
        };
        if let Some(error) = refused {
            return Err(ops::refused(operation, &context, error).await);
        }
        // Who sends a form stands in it.
        let unknown = matches!(operation, Operation::CreateBucket | Operation::PostObject);
        if let Some(bucket) = seen.bucket.as_ref().filter(|_| !unknown) {
            context.objects.check_stranger(&context.request, bucket).await?;
        }
        let memory = self.0.objects.memory.clone();
        ops::run(operation, &context, RequestBody { shared: body, payload, patience: self.0.body_patience, memory }).await
    }

    /// Verifies the signature; a refusal is recorded before it is answered.
    async fn authenticate(&self, id: &RequestId, parts: &Parts, tls: bool, now: Timestamp) -> Result<Verified, S3Error> {
        let admitted = |verified: Verified| self.0.unsigned_payload.admits(&verified, parts, tls).map(|()| verified);
        match self.0.authenticator.verify(parts, now).and_then(admitted) {
            Ok(verified) => Ok(verified),
            Err(error) => {
                if let Err(failure) = self.0.objects.record_refused(id, error.code(), error.access_key_id()).await {
                    tracing::error!(request = %id, error = %failure, "a refusal could not be recorded");
                }
                Err(error.into())
            }
        }
    }
}

/// What a stranger is told: neither where a record lives and why, nor what its metadata says of the person whose data it is.
fn withhold(outcome: Result<Response<ResponseBody>, S3Error>, objects: &Objects) -> Result<Response<ResponseBody>, S3Error> {
    let mut response = outcome.map_err(S3Error::without_residence)?;
    let headers = response.headers_mut();
    unset_residence(headers);
    for name in objects.metadata_of_subjects() {
        headers.remove(format!("x-amz-meta-{name}"));
    }
    Ok(response)
}

fn request_id() -> Result<RequestId, crate::types::InvalidName> {
    RequestId::new(hex::encode_upper(digest::random::<8>()))
}

/// The answer when not even a request id can be made.
fn unnamed_failure() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn expects_continue(parts: &Parts) -> bool {
    parts.headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Makes the metrics of requests appear before the first one.
fn register() {
    for operation in Operation::ALL.iter().filter(|operation| operation.status() == Status::Built) {
        metrics::counter!(metric::REQUESTS, "operation" => operation.name(), "status" => "2xx").increment(0);
        let _ = metrics::histogram!(metric::REQUEST_SECONDS, "operation" => operation.name(), "status" => "2xx");
    }
    for code in [Code::AccessDenied, Code::SignatureDoesNotMatch, Code::ResidencyUnknown, Code::ResidencyConflict] {
        metrics::counter!(metric::REFUSALS, "code" => code.as_str()).increment(0);
    }
}

/// One log event and two metrics for each request; throttled ones are logged by [`Admission`], not one by one. A key or a subject is in neither.
fn report(id: &RequestId, seen: &Seen, response: &Response<ResponseBody>, code: Option<Code>, took: Duration) {
    let operation = seen.operation.map_or("-", Operation::name);
    let class = match response.status().as_u16() {
        0..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    metrics::counter!(metric::REQUESTS, "operation" => operation, "status" => class).increment(1);
    metrics::histogram!(metric::REQUEST_SECONDS, "operation" => operation, "status" => class).record(took.as_secs_f64());
    if seen.throttled {
        return;
    }
    tracing::info!(
        request = %id,
        operation,
        bucket = seen.bucket.as_ref().map_or("-", |bucket| bucket.as_str()),
        status = response.status().as_u16(),
        code = code.map_or("-", Code::as_str),
        bytes = http_body::Body::size_hint(response.body()).exact().unwrap_or_default(),
        milliseconds = took.as_secs_f64() * 1000.0,
        "request"
    );
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    /// Compiles only while an answer may move between the threads of a runtime, as a server needs it.
    #[expect(dead_code, reason = "it is enough that it compiles")]
    fn an_answer_can_be_spawned(service: S3Service, request: Request<Full<Bytes>>) {
        fn spawn(_: impl Future<Output = Response<ResponseBody>> + Send + 'static) {}
        spawn(async move { service.handle(request, Client::default()).await });
    }

    #[test]
    fn request_ids_are_names_and_do_not_repeat() {
        assert_ne!(request_id().unwrap(), request_id().unwrap());
        assert_eq!(request_id().unwrap().as_str().len(), 16);
    }

    #[test]
    fn only_100_continue_holds_the_body_back() {
        let expects =
            |value: &'static str| expects_continue(&Request::put("/").header("expect", value).body(()).unwrap().into_parts().0);
        assert!(expects("100-Continue"));
        assert!(!expects("something"));
    }
}
