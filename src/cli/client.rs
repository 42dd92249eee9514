//! A client of the admin API: one connection a request, HTTP or HTTPS.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::Runtime,
    task::JoinHandle,
    time::timeout,
};

use super::{Failure, args::RemoteArgs};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 256 << 20;
/// Where systems keep the authorities they trust, in PEM.
const SYSTEM_CAS: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// What may stand in a segment or value as it is (RFC 3986 section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Talks to one gateway.
pub(super) struct Client {
    runtime: Runtime,
    base: Uri,
    token: String,
    tls: Option<Arc<rustls::ClientConfig>>,
}

/// Percent-encodes one path segment or query value.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

impl Client {
    /// Prepares to talk; connects with the first request.
    ///
    /// # Errors
    /// [`Failure::Usage`] when URL, token or authorities cannot be used.
    pub(super) fn new(remote: &RemoteArgs) -> Result<Self, Failure> {
        let base: Uri = remote.url.parse().map_err(|_| Failure::Usage(format!("`{}` is not a URL", remote.url)))?;
        if base.host().is_none() || !matches!(base.path(), "" | "/") {
            return Err(Failure::Usage(format!("`{}` must be http://host:port or https://host:port", remote.url)));
        }
        let tls = match base.scheme_str() {
            Some("http") => None,
            Some("https") => Some(Arc::new(authorities(remote.ca.as_deref())?)),
            _ => return Err(Failure::Usage(format!("`{}` must begin with http:// or https://", remote.url))),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, base, token: token(remote)?, tls })
    }

    /// `GET`, answered with JSON.
    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.json(Method::GET, path, None)
    }

    /// `GET`, answered with anything.
    pub(super) fn get_bytes(&self, path: &str) -> Result<Bytes, Failure> {
        self.send(Method::GET, path, None, "application/json")
    }

    /// `POST` or `PUT` of JSON, answered with JSON.
    pub(super) fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let answer = self.send(method, path, body, "application/json")?;
        serde_json::from_slice(&answer).map_err(|_| Failure::Unreachable(format!("{} did not answer with JSON", self.base)))
    }

    /// `POST` of lines of JSON, answered with JSON. A failure comes with the document that tells how far it went; null without one.
    pub(super) fn lines(&self, path: &str, body: Bytes) -> Result<Value, (Failure, Value)> {
        let (status, answer) =
            self.ask(Method::POST, path, Some(body), "application/x-ndjson").map_err(|failure| (failure, Value::Null))?;
        let document: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if status.is_success() { Ok(document) } else { Err((failure(status, &document), document)) }
    }

    fn send(&self, method: Method, path: &str, body: Option<Bytes>, kind: &str) -> Result<Bytes, Failure> {
        let (status, answer) = self.ask(method, path, body, kind)?;
        if status.is_success() { Ok(answer) } else { Err(failure(status, &serde_json::from_slice(&answer).unwrap_or_default())) }
    }

    fn ask(&self, method: Method, path: &str, body: Option<Bytes>, kind: &str) -> Result<(StatusCode, Bytes), Failure> {
        let request = self.request(method, path, body, kind)?;
        let unreachable = |reason: String| Failure::Unreachable(format!("cannot reach {}: {reason}", self.base));
        let answer = self.runtime.block_on(async { timeout(PATIENCE, self.exchange(request)).await });
        answer.map_err(|_| unreachable("no answer in time".to_owned()))?.map_err(unreachable)
    }

    /// `GET` of a file of any length, shown piece by piece. Only what ends without an error is whole.
    pub(super) fn download(&self, path: &str, mut take: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let request = self.request(Method::GET, path, None, "application/json")?;
        let unreachable = |reason: String| Failure::Unreachable(format!("cannot reach {}: {reason}", self.base));
        let broken = |reason: &dyn std::fmt::Display| Failure::Unreachable(format!("{} broke off: {reason}", self.base));
        let late = || "no answer in time".to_owned();
        self.runtime.block_on(async {
            let begun = timeout(PATIENCE, self.begin(request)).await.map_err(|_| unreachable(late()))?;
            let (response, _connection) = begun.map_err(unreachable)?;
            let (status, mut body) = (response.status(), response.into_body());
            if !status.is_success() {
                let answer = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| broken(&error))?;
                return Err(failure(status, &serde_json::from_slice(&answer.to_bytes()).unwrap_or_default()));
            }
            while let Some(frame) = timeout(PATIENCE, body.frame()).await.map_err(|_| broken(&late()))? {
                if let Ok(bytes) = frame.map_err(|error| broken(&error))?.into_data() {
                    take(&bytes)?;
                }
            }
            Ok(())
        })
    }

    fn request(&self, method: Method, path: &str, body: Option<Bytes>, kind: &str) -> Result<Request<Full<Bytes>>, Failure> {
        let host = self.base.authority().map(|authority| authority.as_str()).unwrap_or_default();
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, kind)
            .header(header::ACCEPT, "application/json, */*;q=0.5")
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|_| Failure::Usage("the token or a name has characters that HTTP cannot carry".to_owned()))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
        let (response, _connection) = self.begin(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }

    async fn begin(&self, request: Request<Full<Bytes>>) -> Result<(Response<Incoming>, Connection), String> {
        let host = self.base.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = self.base.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
        match &self.tls {
            None => over(stream, request).await,
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
                let connector = tokio_rustls::TlsConnector::from(Arc::clone(tls));
                over(connector.connect(name, stream).await.map_err(|error| error.to_string())?, request).await
            }
        }
    }
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, Connection), String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let connection = Connection(tokio::spawn(connection));
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    Ok((response, connection))
}

/// Ends when it is dropped.
struct Connection(JoinHandle<Result<(), hyper::Error>>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What an error answer means to the person at the terminal.
fn failure(status: StatusCode, problem: &Value) -> Failure {
    let mut message = match problem["detail"].as_str() {
        Some(detail) => detail.to_owned(),
        None => format!("the gateway answered {status}"),
    };
    for diagnostic in problem["diagnostics"].as_array().into_iter().flatten() {
        let place = |name: &str| super::output::text(&diagnostic[name]);
        message.push_str(&format!("\n{}:{}: {}", place("file"), place("line"), place("message")));
    }
    match status {
        StatusCode::UNAUTHORIZED => {
            Failure::Usage("the gateway does not accept the token; set DOMICILE_ADMIN_TOKEN or --token".to_owned())
        }
        StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST | StatusCode::NOT_IMPLEMENTED => Failure::Usage(message),
        status if status.is_server_error() => Failure::Unreachable(message),
        _ => Failure::Check(message),
    }
}

/// The token given, or the operator's of the default installation.
fn token(remote: &RemoteArgs) -> Result<String, Failure> {
    if let Some(token) = remote.token.as_deref().filter(|token| !token.is_empty()) {
        return Ok(token.to_owned());
    }
    let path = remote.data_dir.join(crate::app::OPERATOR_TOKEN_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(_) => Err(Failure::Usage(format!(
            "no token: set DOMICILE_ADMIN_TOKEN or --token, or run where `{}` is readable",
            path.display()
        ))),
    }
}

fn authorities(file: Option<&Path>) -> Result<rustls::ClientConfig, Failure> {
    let unusable = |path: &Path| Failure::Usage(format!("cannot read certificate authorities from `{}`", path.display()));
    let path = match file {
        Some(path) => path,
        None => SYSTEM_CAS
            .iter()
            .map(Path::new)
            .find(|path| path.exists())
            .ok_or_else(|| Failure::Usage("this system has no certificate authorities; give --ca".to_owned()))?,
    };
    let mut roots = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|_| unusable(path))?;
    roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    if roots.is_empty() {
        return Err(unusable(path));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_exit_codes() {
        let problem = serde_json::json!({ "detail": "there is no such record" });
        for (status, code) in [(400, 2), (401, 2), (403, 2), (404, 1), (422, 1), (500, 3), (501, 2), (503, 3)] {
            let code = if status == 501 { 2 } else { code };
            assert_eq!(failure(StatusCode::from_u16(status).unwrap(), &problem).exit_code(), code, "{status}");
        }
    }

    #[test]
    fn names_are_encoded_whole() {
        assert_eq!(encode("a/b c&d=ü"), "a%2Fb%20c%26d%3D%C3%BC");
    }
}
