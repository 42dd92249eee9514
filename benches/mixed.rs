//! Many clients at once, and three that behave badly: whether the others keep their rate, and memory stays flat.
//!
//! `cargo bench --bench mixed -- [--seconds S] [--clients N]`. N (64) clients read, write, look at and list objects of 1 KiB to 1 MiB without rest
//! for S seconds (60), first by themselves, then together with one that takes its answers at a crawl, one that sends nonsense and one that
//! asks over hundreds of connections for what it may not have. Then, side by side: operations a second, answers by status, memory.
#![expect(clippy::print_stdout, reason = "the report")]

use std::{
    collections::BTreeMap,
    env, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use client::{Endpoint, Signed};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

#[path = "load/client.rs"]
mod client;
#[expect(dead_code, reason = "another bench uses the rest")]
#[path = "load/servers.rs"]
mod servers;

const SIZES: [usize; 4] = [1 << 10, 4 << 10, 64 << 10, 1 << 20];
/// Objects of each size.
const OBJECTS: usize = 32;
/// Connections of the abusive client.
const ABUSE: usize = 300;
/// What is overwritten goes at once: the clients write more in ten minutes than a disk may hold.
const COLLECT: &str = "[gc]\ngrace = \"2s\"\n";
const MIB: f64 = 1024.0 * 1024.0;

/// What the clients saw.
#[derive(Default)]
struct Seen {
    done: AtomicU64,
    answers: Mutex<BTreeMap<String, u64>>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let value = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
    let seconds = value("--seconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(60.0);
    let clients = value("--clients").and_then(|clients| clients.parse().ok()).unwrap_or(64);
    let folder = tempfile::tempdir()?;
    let backend = servers::seaweed(&folder.path().join("weed")).await?;
    let gateway = servers::gateway(
        &folder.path().join("gateway"),
        backend.as_ref().map(|server| &server.endpoint),
        COLLECT,
        &servers::shipped(),
    )
    .await?;
    let endpoint = &gateway.endpoint;
    let requests = requests(endpoint);
    for request in requests.iter().filter(|request| request.is_write()) {
        endpoint.connect().await?.send(request).await?;
    }
    println!("{:<28} {:>10} {:>26} {:>8}  answers", "", "ops/s", "RSS MiB, most a quarter", "CPUs");
    let mut rates = Vec::new();
    for bad in [false, true, false] {
        let name = if bad { "with the three bad clients" } else { "by themselves" };
        let before = gateway.cpu_ms()?;
        let (rate, memory, answers) = run(&gateway, &requests, clients, seconds, bad).await?;
        let cpu = (gateway.cpu_ms()? - before) / seconds / 1000.0;
        let memory = memory.iter().map(|bytes| format!("{:.0}", *bytes as f64 / MIB)).collect::<Vec<_>>().join(" ");
        println!("{name:<28} {rate:>10.0} {memory:>26} {cpu:>8.2}  {answers:?}");
        rates.push(rate);
    }
    println!("ratio with to without the three: {:.2}", rates[1] / ((rates[0] + rates[2]) / 2.0));
    Ok(())
}

/// A mix: as many reads as writes, some looks, a few listings.
fn requests(endpoint: &Endpoint) -> Arc<[Signed]> {
    let mut requests = Vec::new();
    for object in 0..OBJECTS {
        for size in SIZES {
            let path = format!("/static-load/{size}/{object}");
            requests.push(endpoint.sign("PUT", &path, "", Bytes::from(vec![7; size])));
            requests.push(endpoint.sign("GET", &path, "", Bytes::new()));
            requests.push(endpoint.sign("HEAD", &path, "", Bytes::new()));
        }
        requests.push(endpoint.sign("GET", "/static-load", "list-type=2&max-keys=100", Bytes::new()));
    }
    requests.into()
}

/// One phase: operations a second, memory at the end of each of its quarters, answers by status.
async fn run(
    gateway: &servers::Server,
    requests: &Arc<[Signed]>,
    clients: usize,
    seconds: f64,
    bad: bool,
) -> io::Result<(f64, Vec<u64>, BTreeMap<String, u64>)> {
    let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    let started = Instant::now();
    let mut others = JoinSet::new();
    let good = if bad { clients - 3 } else { clients };
    let mut working = JoinSet::new();
    for number in 0..good {
        let (endpoint, requests) = (gateway.endpoint.clone(), Arc::clone(requests));
        let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
        working.spawn(async move { work(&endpoint, &requests, number, &seen, &stop).await });
    }
    if bad {
        let endpoint = &gateway.endpoint;
        others.spawn(crawl(endpoint.port, endpoint.sign("GET", &format!("/static-load/{}/0", 1 << 20), "", Bytes::new())));
        others.spawn(nonsense(endpoint.port));
        let stranger = Endpoint { secret_key: "wrong".to_owned(), ..endpoint.clone() };
        for _ in 0..ABUSE {
            let request = stranger.sign("GET", "/static-load/1024/0", "", Bytes::new());
            others.spawn(abuse(stranger.clone(), request));
        }
    }
    let mut memory = Vec::new();
    for quarter in 1..=4 {
        let mut most = 0;
        while started.elapsed().as_secs_f64() < seconds / 4.0 * f64::from(quarter) {
            tokio::time::sleep(Duration::from_millis(250)).await;
            most = most.max(gateway.resident()?);
        }
        memory.push(most);
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = working.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    let rate = seen.done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64() / good as f64 * clients as f64;
    others.shutdown().await;
    let answers = std::mem::take(&mut *seen.answers.lock());
    Ok((rate, memory, answers))
}

async fn work(endpoint: &Endpoint, requests: &[Signed], number: usize, seen: &Seen, stop: &AtomicBool) -> io::Result<()> {
    let mut connection = endpoint.connect().await?;
    let mut at = number * 7;
    while !stop.load(Ordering::Relaxed) {
        at += 5;
        let answer = match connection.send(&requests[at % requests.len()]).await {
            Ok(_) => {
                seen.done.fetch_add(1, Ordering::Relaxed);
                "2xx".to_owned()
            }
            Err(error) => {
                connection = endpoint.connect().await?;
                error.to_string()
            }
        };
        *seen.answers.lock().entry(answer).or_default() += 1;
    }
    Ok(())
}

/// Takes an answer of 1 MiB at 4 KiB a second, again and again.
async fn crawl(port: u16, request: Signed) -> io::Result<()> {
    loop {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(request.head()).await?;
        let mut buffer = vec![0; 4096];
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Heads that are none, bodies that break off, XML that is none.
async fn nonsense(port: u16) -> io::Result<()> {
    let sent: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PUT /static-load/x HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"POST /static-load?delete HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n<<<<<",
        b"PUT /static-load/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ];
    loop {
        for bytes in sent {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.write_all(bytes).await?;
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(Duration::from_millis(200), stream.read_to_end(&mut answer)).await;
        }
    }
}

/// Asks with a wrong secret, as fast as it is refused.
async fn abuse(endpoint: Endpoint, request: Signed) -> io::Result<()> {
    loop {
        let Ok(mut connection) = endpoint.connect().await else { continue };
        while let Err(error) = connection.send(&request).await {
            if !error.to_string().contains(" 403 ") {
                break;
            }
            // One pause: a client without any would only measure how fast it can be itself on the same processors.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
