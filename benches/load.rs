//! The gateway under load, against its own backend hit directly in the same run.
//!
//! `cargo bench --bench load -- [--full] [--keys N] [--rounds N] [--seconds S] [--reads all|cross-border|none]`. Each line is the median of interleaved rounds, as
//! operations a second through the gateway, directly, and their ratio; then the gateway's processor time an operation. Set
//! `DOMICILE_BINARY` for a binary outside `target/release`, `DOMICILE_WEED` for a SeaweedFS outside the path. Without SeaweedFS the sites are folders
//! and there is nothing to compare with.
#![expect(clippy::print_stdout, reason = "the report")]

use std::{
    env, io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use client::{Endpoint, Signed};

#[expect(dead_code, reason = "another bench uses the rest")]
#[path = "load/client.rs"]
mod client;
#[expect(dead_code, reason = "another bench uses the rest")]
#[path = "load/servers.rs"]
mod servers;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Keys that the requests of a case go round.
const KEYS: usize = 64;

struct Options {
    full: bool,
    keys: usize,
    rounds: usize,
    seconds: f64,
    /// Which reads are in the ledger, where it is not what the gateway does by itself.
    reads: Option<String>,
}

/// Makes a case's requests for a server and a bucket there.
type Requests = Box<dyn Fn(&Endpoint, &str) -> Vec<Signed>>;

/// One line of the report.
struct Case {
    name: String,
    connections: usize,
    requests: Requests,
}

fn main() -> io::Result<()> {
    let options = Options::read();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(&options))
}

async fn run(options: &Options) -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let backend = servers::seaweed(&folder.path().join("weed")).await?;
    let gateway = servers::gateway(
        &folder.path().join("gateway"),
        backend.as_ref().map(|server| &server.endpoint),
        &options.reads.as_ref().map(|reads| format!("[ledger]\nreads = \"{reads}\"\n")).unwrap_or_default(),
        &servers::shipped(),
    )
    .await?;
    let direct = backend.as_ref().map(|server| &server.endpoint);
    println!("backend: {}", if direct.is_some() { "SeaweedFS" } else { "folders (no direct figures)" });
    println!("{:<22} {:>5} {:>12} {:>12} {:>7} {:>11}", "operation", "conns", "gateway/s", "direct/s", "ratio", "CPU ms/op");
    for case in cases(options) {
        let through = (case.requests)(&gateway.endpoint, "static-load");
        let past = direct.map(|endpoint| (endpoint, (case.requests)(endpoint, "direct")));
        let (mut rates, mut direct_rates, mut costs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            if let Some((endpoint, requests)) = &past {
                let (operations, seconds) = load(endpoint, requests, case.connections, options.seconds).await?;
                direct_rates.push(operations / seconds);
            }
            let before = gateway.cpu_ms()?;
            let (operations, seconds) = load(&gateway.endpoint, &through, case.connections, options.seconds).await?;
            costs.push((gateway.cpu_ms()? - before) / operations);
            rates.push(operations / seconds);
        }
        let (rate, cost) = (median(rates), median(costs));
        let (direct_rate, ratio) = match past {
            Some(_) => {
                let direct_rate = median(direct_rates);
                (format!("{direct_rate:.1}"), format!("{:.2}", rate / direct_rate))
            }
            None => ("-".to_owned(), "-".to_owned()),
        };
        println!("{:<22} {:>5} {rate:>12.1} {direct_rate:>12} {ratio:>7} {cost:>11.3}", case.name, case.connections);
    }
    fill_and_list(options, &gateway, direct).await?;
    println!("memory of the gateway in the end: {} MiB", gateway.resident()? >> 20);
    Ok(())
}

/// PUT before GET of a size: the one writes what the other reads.
fn cases(options: &Options) -> Vec<Case> {
    let mut cases = Vec::new();
    for (label, size) in [("4 KiB", 4 * KIB), ("1 MiB", MIB), ("64 MiB", 64 * MIB)] {
        let keys = if size > MIB { 4 } else { KEYS };
        let body = Bytes::from((0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<u8>>());
        for method in ["PUT", "GET"] {
            for connections in [1, 16, 64] {
                if size > MIB && connections > 16 && !options.full {
                    continue;
                }
                let sent = if method == "PUT" { body.clone() } else { Bytes::new() };
                let requests = move |endpoint: &Endpoint, bucket: &str| {
                    (0..keys).map(|key| endpoint.sign(method, &format!("/{bucket}/{size}/{key}"), "", sent.clone())).collect()
                };
                cases.push(Case { name: format!("{method} {label}"), connections, requests: Box::new(requests) });
            }
        }
    }
    for connections in [1, 16, 64] {
        let requests = |endpoint: &Endpoint, bucket: &str| {
            (0..KEYS).map(|key| endpoint.sign("HEAD", &format!("/{bucket}/4096/{key}"), "", Bytes::new())).collect()
        };
        cases.push(Case { name: "HEAD".to_owned(), connections, requests: Box::new(requests) });
    }
    cases
}

/// LIST of 1,000 keys somewhere among all of them, which are written first.
async fn fill_and_list(options: &Options, gateway: &servers::Server, direct: Option<&Endpoint>) -> io::Result<()> {
    let mut sides = vec![(&gateway.endpoint, "static-load", Vec::new())];
    sides.extend(direct.map(|endpoint| (endpoint, "direct", Vec::new())));
    for (endpoint, bucket, _) in &sides {
        for start in (0..options.keys).step_by(10_000) {
            let puts: Vec<Signed> = (start..options.keys.min(start + 10_000))
                .map(|key| endpoint.sign("PUT", &format!("/{bucket}/list/{key:09}"), "", Bytes::from_static(b"x")))
                .collect();
            once_each(endpoint, puts).await?;
        }
    }
    let step = (options.keys.saturating_sub(1000) / 16).max(1);
    let lists = |endpoint: &Endpoint, bucket: &str| -> Vec<Signed> {
        let query = |at: usize| format!("list-type=2&max-keys=1000&prefix=list%2F&start-after=list%2F{:09}", at * step);
        (0..16).map(|at| endpoint.sign("GET", &format!("/{bucket}"), &query(at), Bytes::new())).collect()
    };
    for connections in [1, 16] {
        let before = gateway.cpu_ms()?;
        let mut total = 0.0;
        for _ in 0..options.rounds {
            for (endpoint, bucket, rates) in &mut sides {
                let (operations, seconds) = load(endpoint, &lists(endpoint, bucket), connections, options.seconds).await?;
                rates.push(operations / seconds);
                total += if *bucket == "direct" { 0.0 } else { operations };
            }
        }
        let cost = (gateway.cpu_ms()? - before) / total;
        let rates: Vec<f64> = sides.iter_mut().map(|(_, _, rates)| median(std::mem::take(rates))).collect();
        let direct_rate = rates.get(1).map_or("-".to_owned(), |rate| format!("{rate:.1}"));
        let ratio = rates.get(1).map_or("-".to_owned(), |rate| format!("{:.2}", rates[0] / rate));
        let name = format!("LIST 1000 of {}", options.keys);
        println!("{name:<22} {connections:>5} {:>12.1} {direct_rate:>12} {ratio:>7} {cost:>11.3}", rates[0]);
    }
    Ok(())
}

/// Sends the requests round and round over `connections` for some seconds: operations done, seconds taken.
async fn load(endpoint: &Endpoint, requests: &[Signed], connections: usize, seconds: f64) -> io::Result<(f64, f64)> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(endpoint.connect().await?);
    }
    let requests: Arc<[Signed]> = requests.into();
    let started = Instant::now();
    let end = started + Duration::from_secs_f64(seconds);
    let workers = open.into_iter().enumerate().map(|(worker, mut connection)| {
        let requests = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut done = 0_u32;
            while done == 0 || Instant::now() < end {
                connection.send(&requests[(worker + done as usize) % requests.len()]).await?;
                done += 1;
            }
            io::Result::Ok(done)
        })
    });
    let mut operations = 0.0;
    for worker in workers.collect::<Vec<_>>() {
        operations += f64::from(worker.await.map_err(io::Error::other)??);
    }
    Ok((operations, started.elapsed().as_secs_f64()))
}

/// Sends every request once.
async fn once_each(endpoint: &Endpoint, requests: Vec<Signed>) -> io::Result<()> {
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let mut workers = Vec::new();
    for _ in 0..KEYS {
        let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
        let mut connection = endpoint.connect().await?;
        workers.push(tokio::spawn(async move {
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                connection.send(request).await?;
            }
            io::Result::Ok(())
        }));
    }
    for worker in workers {
        worker.await.map_err(io::Error::other)??;
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = env::args().collect();
        let value = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
        let full = arguments.iter().any(|argument| argument == "--full");
        Self {
            full,
            keys: value("--keys").and_then(|keys| keys.parse().ok()).unwrap_or(if full { 1_000_000 } else { 10_000 }),
            rounds: value("--rounds").and_then(|rounds| rounds.parse().ok()).unwrap_or(if full { 7 } else { 3 }),
            seconds: value("--seconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(if full { 3.0 } else { 1.0 }),
            reads: value("--reads").cloned(),
        }
    }
}
