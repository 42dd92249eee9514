//! The server against plain sockets and a TLS client.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use rcgen::{BasicConstraints, CertificateParams, CertifiedKey, IsCa, Issuer, KeyPair, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, oneshot},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::{Drained, Limits, Peer, Reserved, Tls, TlsError, TlsFiles, serve};

/// A server that answers `/slow` when it is told to and everything else at once.
struct Running {
    address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    ended: JoinHandle<Drained>,
    slow_begun: Arc<Notify>,
    slow_may_end: Arc<Notify>,
}

async fn start(tls: Option<Tls>, limits: Limits) -> Running {
    let listener = Reserved::new("127.0.0.1:0".parse().unwrap()).unwrap().listen().unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, stop) = oneshot::channel::<()>();
    let (slow_begun, slow_may_end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begun, may_end) = (Arc::clone(&slow_begun), Arc::clone(&slow_may_end));
    let service = move |request: Request<Incoming>, peer: Peer| {
        let (begun, may_end) = (Arc::clone(&begun), Arc::clone(&may_end));
        async move {
            if request.uri().path() == "/slow" {
                begun.notify_one();
                may_end.notified().await;
            }
            assert_ne!(request.uri().path(), "/panic");
            let text = format!("tls={} certificate={}", peer.tls.is_some(), peer.certificate.is_some());
            let mut answer = Response::new(Full::new(Bytes::from(text)));
            if request.uri().path() == "/refused" {
                answer.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
            }
            answer
        }
    };
    let shutdown_signal = async {
        let _ = stop.await;
    };
    let ended = tokio::spawn(serve(listener, tls, limits, shutdown_signal, service));
    Running { address, shutdown, ended, slow_begun, slow_may_end }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) -> Drained {
        self.shutdown.send(()).unwrap();
        self.ended.await.unwrap()
    }
}

/// Sends one request and reads until the server closes.
async fn get(mut io: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> std::io::Result<String> {
    io.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    io.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn self_signed() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

fn write_pair(folder: &Path, pair: &CertifiedKey<KeyPair>) {
    std::fs::write(folder.join("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
}

fn files(folder: &TempDir, client_ca: bool) -> TlsFiles {
    let path = |name| folder.path().join(name);
    TlsFiles { certificate: path("cert.pem"), key: path("key.pem"), client_ca: client_ca.then(|| path("ca.pem")) }
}

/// A client that trusts only `server`, and shows `client`'s certificate when asked.
fn connector(server: &CertifiedKey<KeyPair>, client: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(server.cert.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config))
}

async fn get_tls(running: &Running, connector: &TlsConnector) -> std::io::Result<String> {
    let name = ServerName::try_from("localhost").unwrap();
    get(connector.connect(name, running.connect().await).await?, "/").await
}

#[tokio::test]
async fn serves_plain_http_and_drains_at_once_when_idle() {
    let running = start(None, Limits::default()).await;
    let idle = running.connect().await;
    let answer = get(running.connect().await, "/").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("tls=false certificate=false"), "{answer}");
    assert_eq!(running.stop().await, Drained { cut_off: 0 });
    drop(idle);
}

/// Without lingering the client's writes fail, and its unread answer is gone with the connection.
#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_read_arrives() {
    const BODY: usize = 16 * 1024 * 1024;
    let folder = TempDir::new().unwrap();
    let pair = self_signed();
    write_pair(folder.path(), &pair);
    let plain = start(None, Limits::default()).await;
    let encrypted = start(Some(Tls::load(files(&folder, false)).unwrap()), Limits::default()).await;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connector(&pair, None).connect(name, encrypted.connect().await).await.unwrap();
    let unasked = put(plain.connect().await, "/", BODY).await;
    for answer in [put(plain.connect().await, "/refused", BODY).await, put(stream, "/refused", BODY).await, unasked] {
        assert!(answer.unwrap().starts_with("HTTP/1.1 200"));
    }
    plain.stop().await;
    encrypted.stop().await;
}

/// Sends all of a body that the server does not read, then reads the answer.
async fn put(mut io: impl AsyncRead + AsyncWrite + Unpin, path: &str, length: usize) -> std::io::Result<String> {
    let head = format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    io.write_all(head.as_bytes()).await?;
    io.write_all(&vec![0; length]).await?;
    io.shutdown().await?;
    let mut answer = String::new();
    io.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_panic_ends_one_connection_only() {
    let running = start(None, Limits::default()).await;
    assert!(get(running.connect().await, "/panic").await.unwrap_or_default().is_empty());
    assert!(get(running.connect().await, "/").await.unwrap().starts_with("HTTP/1.1 200"));
    running.stop().await;
}

#[tokio::test]
async fn a_head_that_does_not_end_is_given_up() {
    let limits = Limits { head_timeout: Duration::from_millis(50), ..Limits::default() };
    let running = start(None, limits).await;
    let mut slow = running.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nhost: local").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(!answer.contains("200"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn heads_are_bounded() {
    let limits = Limits { max_head_bytes: 16 * 1024, max_headers: 20, ..Limits::default() };
    let running = start(None, limits).await;
    for extra in [format!("a: {}\r\n", "x".repeat(20_000)), "a: b\r\n".repeat(30)] {
        let mut io = running.connect().await;
        io.write_all(format!("GET / HTTP/1.1\r\nhost: a\r\n{extra}\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = io.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    }
    running.stop().await;
}

#[tokio::test]
async fn connections_above_the_limit_wait_for_a_slot() {
    let running = start(None, Limits { max_connections: 1, ..Limits::default() }).await;
    let first = running.connect().await;
    let slow = tokio::spawn(get(first, "/slow"));
    running.slow_begun.notified().await;
    let second = tokio::spawn(get(running.connect().await, "/"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!second.is_finished());
    running.slow_may_end.notify_one();
    assert!(slow.await.unwrap().unwrap().starts_with("HTTP/1.1 200"));
    assert!(second.await.unwrap().unwrap().starts_with("HTTP/1.1 200"));
    running.stop().await;
}

#[tokio::test]
async fn idle_connections_give_way_to_new_ones_and_busy_ones_do_not() {
    let running = start(None, Limits { max_connections: 3, ..Limits::default() }).await;
    let slow = tokio::spawn(get(running.connect().await, "/slow"));
    running.slow_begun.notified().await;
    let mut idle = running.connect().await;
    let mut unfinished = running.connect().await;
    unfinished.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    for _ in 0..2 {
        assert!(get(running.connect().await, "/").await.unwrap().starts_with("HTTP/1.1 200"));
    }
    let mut keep = Vec::new();
    for _ in 0..2 {
        let mut one = running.connect().await;
        one.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut status = [0; 12];
        one.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        keep.push(one);
    }
    let mut rest = Vec::new();
    assert_eq!(idle.read_to_end(&mut rest).await.unwrap_or(0), 0);
    assert_eq!(unfinished.read_to_end(&mut rest).await.unwrap_or(0), 0);
    running.slow_may_end.notify_one();
    assert!(slow.await.unwrap().unwrap().starts_with("HTTP/1.1 200"));
    drop(keep);
    running.stop().await;
}

/// Gets its answer and then neither sends its body nor closes.
async fn stay(running: &Running) -> TcpStream {
    let mut io = running.connect().await;
    io.write_all(b"PUT /refused HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
    let mut status = [0; 12];
    io.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    io
}

#[tokio::test]
async fn clients_that_stay_after_their_answer_hold_no_slot_and_are_bounded() {
    let forever = Duration::from_secs(3600);
    let limits = Limits {
        max_connections: 1,
        max_lingering: 1,
        linger_timeout: forever,
        drain_timeout: Duration::ZERO,
        ..Limits::default()
    };
    let running = start(None, limits).await;
    let mut first = stay(&running).await;
    let mut second = stay(&running).await;
    assert!(get(running.connect().await, "/").await.unwrap().starts_with("HTTP/1.1 200"));
    // One is still read; what is sent to the other, which is closed for good, is answered with a reset.
    let mut closed = 0;
    for io in [&mut first, &mut second] {
        let _ = io.read_to_end(&mut Vec::new()).await;
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if io.write_all(b"more").await.is_err() {
                closed += 1;
                break;
            }
        }
    }
    assert_eq!(closed, 1);
    running.stop().await;
}

#[tokio::test]
async fn requests_in_flight_finish_before_the_end() {
    let running = start(None, Limits::default()).await;
    let slow = tokio::spawn(get(running.connect().await, "/slow"));
    running.slow_begun.notified().await;
    let (address, may_end) = (running.address, Arc::clone(&running.slow_may_end));
    let ended = tokio::spawn(running.stop());
    // New connections are refused as soon as the drain begins.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!ended.is_finished());
    may_end.notify_one();
    assert!(slow.await.unwrap().unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(ended.await.unwrap(), Drained { cut_off: 0 });
}

#[tokio::test]
async fn requests_that_do_not_finish_are_cut_off() {
    let running = start(None, Limits { drain_timeout: Duration::from_millis(50), ..Limits::default() }).await;
    let slow = tokio::spawn(get(running.connect().await, "/slow"));
    running.slow_begun.notified().await;
    assert_eq!(running.stop().await, Drained { cut_off: 1 });
    assert!(slow.await.unwrap().unwrap_or_default().is_empty());
}

#[tokio::test]
async fn certificates_are_taken_over_without_dropping_connections() {
    let folder = TempDir::new().unwrap();
    let (old, new) = (self_signed(), self_signed());
    write_pair(folder.path(), &old);
    let tls = Tls::load(files(&folder, false)).unwrap();
    let running = start(Some(tls.clone()), Limits::default()).await;

    let name = ServerName::try_from("localhost").unwrap();
    let kept = connector(&old, None).connect(name, running.connect().await).await.unwrap();
    assert!(get_tls(&running, &connector(&old, None)).await.unwrap().ends_with("tls=true certificate=false"));
    assert!(get_tls(&running, &connector(&new, None)).await.is_err());
    assert!(!tls.reload_if_changed().unwrap());

    // A certificate whose key is not there yet changes nothing.
    std::fs::write(folder.path().join("cert.pem"), new.cert.pem()).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Pair { .. })));
    assert!(get_tls(&running, &connector(&old, None)).await.is_ok());

    write_pair(folder.path(), &new);
    tls.reload().unwrap();
    assert!(get_tls(&running, &connector(&new, None)).await.is_ok());
    assert!(get_tls(&running, &connector(&old, None)).await.is_err());
    assert!(get(kept, "/").await.unwrap().starts_with("HTTP/1.1 200"));
    running.stop().await;
}

#[tokio::test]
async fn changed_files_are_noticed() {
    let folder = TempDir::new().unwrap();
    let (old, new) = (self_signed(), self_signed());
    write_pair(folder.path(), &old);
    let tls = Tls::load(files(&folder, false)).unwrap();
    let limits = Limits { certificate_check: Duration::from_millis(5), ..Limits::default() };
    let running = start(Some(tls), limits).await;
    write_pair(folder.path(), &new);
    let connector = connector(&new, None);
    while get_tls(&running, &connector).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn clients_need_a_certificate_of_the_authority() {
    let folder = TempDir::new().unwrap();
    let server = self_signed();
    write_pair(folder.path(), &server);
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    std::fs::write(folder.path().join("ca.pem"), params.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let client_key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(vec!["client".to_owned()]).unwrap().signed_by(&client_key, &issuer).unwrap();
    let key = |pair: &KeyPair| PrivateKeyDer::from_pem_slice(pair.serialize_pem().as_bytes()).unwrap();

    let running = start(Some(Tls::load(files(&folder, true)).unwrap()), Limits::default()).await;
    let right = connector(&server, Some((client.der().clone(), key(&client_key))));
    assert!(get_tls(&running, &right).await.unwrap().ends_with("tls=true certificate=true"));
    assert!(get_tls(&running, &connector(&server, None)).await.is_err());
    let stranger = self_signed();
    let wrong = connector(&server, Some((stranger.cert.der().clone(), key(&stranger.signing_key))));
    assert!(get_tls(&running, &wrong).await.is_err());
    running.stop().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    let folder = TempDir::new().unwrap();
    write_pair(folder.path(), &self_signed());
    let limits = Limits { handshake_timeout: Duration::from_millis(50), ..Limits::default() };
    let running = start(Some(Tls::load(files(&folder, false)).unwrap()), limits).await;
    let mut silent = running.connect().await;
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);
    running.stop().await;
}

#[test]
fn files_that_make_no_server_are_named() {
    let folder = TempDir::new().unwrap();
    let missing = Tls::load(files(&folder, false)).unwrap_err();
    assert!(missing.to_string().contains("key.pem"), "{missing}");
    write_pair(folder.path(), &self_signed());
    std::fs::write(folder.path().join("cert.pem"), "").unwrap();
    assert!(matches!(Tls::load(files(&folder, false)), Err(TlsError::NoCertificate(_))));
}
