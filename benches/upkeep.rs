//! What a move and a deep scrub cost, against a plain copy between the same sites in the same run.
//!
//! `cargo bench --bench upkeep -- [--rounds N]`. Each line is the median of interleaved rounds: megabytes a second of a plain copy of the blobs from
//! one site's folder to the other's, as durable as the gateway's own writes and as many at a time; of a relocation, which reads, opens,
//! compares, seals anew, stores and reads back; and of a scrub that opens every byte. Set `DOMICILE_BINARY` for a binary outside `target/release`.
#![expect(clippy::print_stdout, reason = "the report")]

use std::{
    env, fs, io,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use domicile::backend::{Backend, FsBackend};
use domicile::digest::sha256;
use domicile::types::SiteId;
use futures_util::{StreamExt, TryStreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

#[expect(dead_code, reason = "another bench uses the rest")]
#[path = "load/client.rs"]
mod client;
#[expect(dead_code, reason = "another bench uses the rest")]
#[path = "load/servers.rs"]
mod servers;

const TOKEN: &str = "a-token-for-benches";
/// Records that a relocation moves at the same time.
const TOGETHER: usize = 4;

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let rounds = arguments.iter().skip_while(|argument| *argument != "--rounds").nth(1).and_then(|rounds| rounds.parse().ok());
    let rounds: usize = rounds.unwrap_or(3);
    println!(
        "{:<16} {:>9} {:>12} {:>12} {:>12} {:>9} {:>9}",
        "records", "copy MB/s", "move MB/s", "scrub MB/s", "", "move", "scrub"
    );
    for (count, size) in [(2000, 4 << 10), (300, 1 << 20), (16, 32 << 20)] {
        let mut figures: [Vec<f64>; 3] = Default::default();
        let store = Store::new(count, size).await?;
        for round in 0..rounds {
            let (home, country) = if round % 2 == 0 { ("sg", "PK") } else { ("pk", "SG") };
            figures[0].push(store.copied(home).await?);
            figures[2].push(store.scrubbed().await?);
            figures[1].push(store.moved(country).await?);
        }
        let [copy, moves, scrub] = figures.map(median);
        let name = format!("{count} × {} KiB", size >> 10);
        println!(
            "{name:<16} {copy:>9.1} {moves:>12.1} {scrub:>12.1} {:>12} {:>9.2} {:>9.2}",
            "to the copy:",
            moves / copy,
            scrub / copy
        );
    }
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A gateway over two folders with records in a bucket of nobody's data, which the policy keeps in one country.
struct Store {
    folder: tempfile::TempDir,
    _server: servers::Server,
    admin: u16,
    bytes: f64,
}

impl Store {
    async fn new(count: usize, size: usize) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let policies = folder.path().join("policies");
        fs::create_dir_all(&policies)?;
        let home = folder.path().join("gateway");
        fs::create_dir_all(&home)?;
        private(&home.join("token"), &hex::encode(sha256(TOKEN.as_bytes())))?;
        place(&policies, "SG")?;
        let tables = format!(
            "[gc]\ngrace = \"1s\"\n[scrub]\ncontinuous = false\n[[token]]\nid = \"bench\"\nrole = \"operator\"\nhash-file = \"{}/token\"\n",
            home.display()
        );
        let server = servers::gateway(&home, None, &tables, &policies).await?;
        let body = Bytes::from(vec![7_u8; size]);
        let endpoint = &server.endpoint;
        let puts =
            stream::iter(0..count).map(|number| {
                let body = body.clone();
                async move {
                    endpoint.connect().await?.send(&endpoint.sign("PUT", &format!("/static-load/{number:06}"), "", body)).await
                }
            });
        puts.buffer_unordered(8).try_collect::<Vec<_>>().await?;
        let admin = server.admin;
        Ok(Self { folder, _server: server, admin, bytes: (count * size) as f64 })
    }

    /// Copies the blobs of a site to an empty folder beside the other.
    async fn copied(&self, from: &str) -> io::Result<f64> {
        let source = self.backend(&self.folder.path().join("gateway").join(from))?;
        let target = tempfile::tempdir_in(self.folder.path())?;
        let target = self.backend(target.path())?;
        let blobs = source.list(None, usize::MAX).await.map_err(io::Error::other)?.blobs;
        let (source, target) = (&source, &target);
        let began = Instant::now();
        let copies = blobs.into_iter().filter(|blob| blob.name.number().is_some()).map(|blob| async move {
            let read = source.get(&blob.name, None).await?;
            let pieces: Vec<Bytes> = read.body.try_collect().await?;
            target.put(&blob.name, &pieces).await
        });
        stream::iter(copies).buffer_unordered(TOGETHER).try_collect::<Vec<_>>().await.map_err(io::Error::other)?;
        Ok(self.rate(began.elapsed()))
    }

    async fn moved(&self, country: &str) -> io::Result<f64> {
        place(&self.folder.path().join("policies"), country)?;
        self.ask("POST", "/v1/policies/reload", None).await?;
        let job = self.job("/v1/relocations", json!({})).await?;
        let spent = job.1;
        let moved = job.0["progress"]["moved"]["bytes"].as_f64().unwrap_or(0.0);
        if moved != self.bytes {
            return Err(io::Error::other(format!("{moved} bytes moved, not {}", self.bytes)));
        }
        // What it left is collected before the next is measured.
        tokio::time::sleep(Duration::from_secs(4)).await;
        Ok(self.rate(spent))
    }

    async fn scrubbed(&self) -> io::Result<f64> {
        let (job, spent) = self.job("/v1/scrubs", json!({ "deep": true })).await?;
        match job["progress"]["findings"].as_object() {
            Some(findings) if findings.is_empty() => Ok(self.rate(spent)),
            _ => Err(io::Error::other(job.to_string())),
        }
    }

    /// Orders a job and waits for its end; the time is the job's own.
    async fn job(&self, path: &str, order: Value) -> io::Result<(Value, Duration)> {
        let began = Instant::now();
        let mut job = self.ask("POST", path, Some(order)).await?;
        let path = format!("{path}/{}", job["id"]);
        while matches!(job["state"].as_str(), Some("waiting" | "running")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            job = self.ask("GET", &path, None).await?;
        }
        if job["state"] == "done" { Ok((job, began.elapsed())) } else { Err(io::Error::other(job.to_string())) }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> io::Result<Value> {
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{}{path}", self.admin))
            .header("authorization", format!("Bearer {TOKEN}"))
            .body(Full::new(Bytes::from(text)))
            .map_err(io::Error::other)?;
        let answer = client.request(request).await.map_err(io::Error::other)?;
        let status = answer.status();
        let text = answer.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        if status.is_success() {
            serde_json::from_slice(&text).map_err(io::Error::other)
        } else {
            Err(io::Error::other(format!("{status} {text:?}")))
        }
    }

    fn backend(&self, folder: &Path) -> io::Result<FsBackend> {
        let site = SiteId::new("bench").map_err(|error| io::Error::other(error.to_string()))?;
        FsBackend::open(site, folder).map_err(io::Error::other)
    }

    fn rate(&self, spent: Duration) -> f64 {
        self.bytes / spent.as_secs_f64() / 1e6
    }
}

/// Policies that keep the bucket in `country`.
fn place(folder: &Path, country: &str) -> io::Result<()> {
    let text = format!(
        "version = 1\n[subject]\nfrom = [\"metadata:domicile-subject\"]\n[no-subject]\nbuckets = {{ \"static-*\" = [\"{country}\"] }}\n\
         [default]\ncountries = [\"SG\"]\n"
    );
    fs::write(folder.join("gateway.toml"), text)
}

fn private(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}
