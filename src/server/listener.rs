//! The accept loop and what happens on each connection.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, Response, header::CONNECTION};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{ProtocolVersion, pki_types::CertificateDer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    patience::Patient,
    seats::{Busy, Seat, Seats},
    tls::Tls,
};
use crate::telemetry::metric;

/// What a connection that has to leave may still take for the head of a request.
const UNFINISHED_HEAD: Duration = Duration::from_millis(100);

/// What a stranger may hold open.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The listener's name in logs and metrics: `s3`, `admin`.
    pub name: &'static str,
    /// Connections at once. For one more, the one that has been idle for longest is closed; when none is, it waits, and others behind
    /// it in the kernel's backlog.
    pub max_connections: usize,
    /// Bytes of a request's head; more is answered with 431.
    pub max_head_bytes: usize,
    /// Header fields of a request; more is answered with 431.
    pub max_headers: usize,
    /// From the opening of a connection, or from the answer before, to the end of a request's head.
    pub head_timeout: Duration,
    /// From the opening of a connection to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// How long a client may take nothing of an answer; then the connection is reset.
    pub write_timeout: Duration,
    /// How long a connection is read on after its last answer, for clients that are still sending.
    pub linger_timeout: Duration,
    /// Connections read on at once, beside [`Limits::max_connections`]; more are closed without that.
    pub max_lingering: usize,
    /// From the shutdown signal until connections with unfinished requests are cut off.
    pub drain_timeout: Duration,
    /// How often to look whether the certificates have changed.
    pub certificate_check: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            name: "http",
            max_connections: 4096,
            max_head_bytes: 64 * 1024,
            max_headers: 128,
            head_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            linger_timeout: Duration::from_secs(5),
            max_lingering: 256,
            drain_timeout: Duration::from_secs(30),
            certificate_check: Duration::from_secs(10),
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where the connection comes from; a proxy's address when there is one in between.
    pub address: SocketAddr,
    /// The client's certificate, checked against the client authorities; none without TLS or without such authorities.
    pub certificate: Option<CertificateDer<'static>>,
    /// The version of TLS, `1.2` or `1.3`, when the connection is encrypted.
    pub tls: Option<&'static str>,
}

/// How the drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut off because their requests did not finish in time.
    pub cut_off: usize,
}

/// Serves HTTP/1.1 until `shutdown` completes. Then stops accepting, closes idle connections, lets requests in flight finish for
/// [`Limits::drain_timeout`], and cuts off the rest. Certificates that change on disk are taken for new connections.
///
/// A panic in `service` ends its connection and no other. An answer may leave the request's body unread: the client gets the answer
/// before the socket is closed. Such a connection has given up its place among [`Limits::max_connections`] by then.
pub async fn serve<S, F, B>(
    listener: TcpListener,
    tls: Option<Tls>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
    service: S,
) -> Drained
where
    S: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut shutdown = pin!(shutdown);
    register(limits.name);
    let seats = Seats::new(limits.max_connections);
    let (drain, draining) = watch::channel(false);
    let lingering = Arc::new(Semaphore::new(limits.max_lingering.min(Semaphore::MAX_PERMITS)));
    let context = Context { tls: tls.clone(), limits: limits.clone(), draining, lingering };
    let mut background = JoinSet::new();
    if let Some(tls) = tls {
        background.spawn(tls.watch(limits.certificate_check));
    }

    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => {
                report_panic(ended, limits.name);
                continue;
            }
            accepted = accept(&listener, &seats) => accepted,
        };
        match accepted {
            Ok((stream, address, seat)) => {
                connections.spawn(connection(stream, address, seat, context.clone(), service.clone()));
            }
            Err(error) => {
                count_error(limits.name, "accept");
                tracing::warn!(listener = limits.name, %error, "cannot accept a connection");
                // Out of file descriptors, most likely: trying again at once would only spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    drop(listener);
    drain.send_replace(true);
    let finish = async {
        while let Some(ended) = connections.join_next().await {
            report_panic(ended, limits.name);
        }
    };
    if timeout(limits.drain_timeout, finish).await.is_ok() {
        return Drained { cut_off: 0 };
    }
    let cut_off = connections.len();
    tracing::warn!(listener = limits.name, cut_off, "connections cut off at the end of the drain");
    connections.shutdown().await;
    Drained { cut_off }
}

/// Takes a seat only for a connection that is there, so that nobody has to leave for none.
async fn accept(listener: &TcpListener, seats: &Seats) -> io::Result<(TcpStream, SocketAddr, Seat)> {
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, seats.take().await))
}

fn report_panic(ended: Result<(), tokio::task::JoinError>, listener: &'static str) {
    if let Err(error) = ended {
        tracing::error!(listener, %error, "a connection's task failed");
    }
}

/// Makes the listener's metrics appear before the first connection.
fn register(listener: &'static str) {
    metrics::gauge!(metric::CONNECTIONS, "listener" => listener).increment(0.0);
    for reason in ["accept", "tls", "http"] {
        metrics::counter!(metric::CONNECTION_ERRORS, "listener" => listener, "reason" => reason).increment(0);
    }
}

fn count_error(listener: &'static str, reason: &'static str) {
    metrics::counter!(metric::CONNECTION_ERRORS, "listener" => listener, "reason" => reason).increment(1);
}

/// What connections share.
#[derive(Clone)]
struct Context {
    tls: Option<Tls>,
    limits: Limits,
    draining: watch::Receiver<bool>,
    lingering: Arc<Semaphore>,
}

/// Counts a connection for as long as it lives.
struct Open(metrics::Gauge);

impl Open {
    fn new(listener: &'static str) -> Self {
        let gauge = metrics::gauge!(metric::CONNECTIONS, "listener" => listener);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

async fn connection<S, F, B>(stream: TcpStream, address: SocketAddr, seat: Seat, mut context: Context, service: S)
where
    S: Fn(Request<Incoming>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let listener = context.limits.name;
    let _open = Open::new(listener);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(listener, %error, "cannot set TCP_NODELAY");
    }
    let stream = Patient::new(stream, context.limits.write_timeout);
    let Some(tls) = context.tls.take() else {
        return http1(stream, Peer { address, certificate: None, tls: None }, seat, context, service).await;
    };
    let standing = seat.standing();
    let handshake = timeout(context.limits.handshake_timeout, TlsAcceptor::from(tls.config()).accept(stream));
    let handshake = tokio::select! {
        biased;
        handshake = handshake => handshake,
        () = drained(&mut context.draining) => return,
        () = standing.asked_to_leave() => return,
    };
    match handshake {
        Ok(Ok(stream)) => {
            let certificate =
                stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|first| first.clone().into_owned());
            let version = match stream.get_ref().1.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "1.2",
                _ => "1.3",
            };
            http1(stream, Peer { address, certificate, tls: Some(version) }, seat, context, service).await;
        }
        Ok(Err(error)) => {
            count_error(listener, "tls");
            tracing::debug!(listener, %address, %error, "TLS handshake failed");
        }
        Err(_) => {
            count_error(listener, "tls");
            tracing::debug!(listener, %address, "TLS handshake took too long");
        }
    }
}

async fn http1<I, S, F, B>(mut io: I, peer: Peer, seat: Seat, mut context: Context, service: S)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Fn(Request<Incoming>, Peer) -> F,
    F: Future<Output = Response<B>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let address = peer.address;
    let limits = &context.limits;
    let closes = AtomicBool::new(false);
    let standing = seat.standing();
    let answer = service_fn(|request| {
        let busy = standing.work();
        let answer = service(request, peer.clone());
        async {
            let answer = answer.await;
            closes.fetch_or(closes_connection(&answer), Relaxed);
            Ok::<_, Infallible>(answer.map(|body| keeping(busy, body)))
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.max_headers)
        .max_header_size(limits.max_head_bytes);
    let ended = {
        let mut connection = pin!(builder.serve_connection(TokioIo::new(&mut io), answer));
        let draining = tokio::select! {
            ended = connection.as_mut() => Err(ended),
            () = drained(&mut context.draining) => Ok(true),
            () = standing.asked_to_leave() => Ok(false),
        };
        match draining {
            Err(ended) => ended,
            Ok(draining) => {
                connection.as_mut().graceful_shutdown();
                match timeout(UNFINISHED_HEAD, connection.as_mut()).await {
                    Ok(ended) => ended,
                    // Nothing has come but part of a head, which may never end.
                    Err(_) if !draining && !standing.is_busy() => Ok(()),
                    Err(_) => connection.await,
                }
            }
        }
    };
    if let Err(error) = &ended {
        count_error(limits.name, "http");
        tracing::debug!(listener = limits.name, %address, %error, "connection broke");
    }
    // An idle connection that the drain ended has nothing under way; any other may have, whoever ended it.
    let drained = *context.draining.borrow();
    if ended.is_err() || closes.load(Relaxed) || !drained {
        drop(seat);
        if let Ok(_place) = context.lingering.try_acquire() {
            linger(io, limits.linger_timeout).await;
        }
    }
}

/// The body, busy until it is dropped.
fn keeping<B: Body>(busy: Busy, body: B) -> impl Body<Data = B::Data, Error = B::Error> {
    body.map_err(move |error| {
        // The closure lives as long as the body.
        let _busy = &busy;
        error
    })
}

/// Ends our side, then takes what the client still sends until it has ended its own: closing a socket with unread bytes resets it,
/// and the answer may be lost with it (RFC 9112 section 9.6).
async fn linger(mut io: impl AsyncRead + AsyncWrite + Unpin, time: Duration) {
    let rest = async {
        io.shutdown().await?;
        tokio::io::copy(&mut io, &mut tokio::io::sink()).await
    };
    // Whatever goes wrong here, the socket is closed next.
    let _ = timeout(time, rest).await;
}

fn closes_connection<B>(answer: &Response<B>) -> bool {
    answer.headers().get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

/// Completes when the drain begins.
async fn drained(draining: &mut watch::Receiver<bool>) {
    // An error means that the accept loop is gone, which is a drain too.
    let _ = draining.wait_for(|draining| *draining).await;
}
