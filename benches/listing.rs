//! Listing a large bucket: whether a page costs the same wherever it is and however many keys there are.
//!
//! `cargo bench --bench listing -- [--keys N]`: a bucket of 10,000 keys and one of N (1,000,000) are listed from end to end in pages of
//! 1,000 keys, and by common prefixes; `DOMICILE_BENCH_CACHE` is the index's cache in MiB. The figures are the index's own; ratios near 1 mean that a page's cost does not depend on what is
//! around it.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench may stop, and reports")]

use std::{
    env,
    time::{Duration, Instant},
};

use domicile::index::{Bucket, Index, ListAfter, ListQuery};

use self::catalogue::{open, write};

mod catalogue;

const SMALL: usize = 10_000;
const PAGE: usize = 1000;
/// Keys under one prefix of the large bucket.
const UNDER: usize = 100;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = env::args().collect();
    let keys = arguments.iter().skip_while(|argument| *argument != "--keys").nth(1).and_then(|keys| keys.parse().ok());
    let keys: usize = keys.unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let (index, small) = open(&folder.path().join("small")).await;
    // One key a prefix here, a hundred there: what a prefix costs must not depend on that.
    write(&index, &small, (0..SMALL).map(|n| format!("folder-{n:08}/{n:08}"))).await;
    let (large_index, large) = open(&folder.path().join("large")).await;
    let started = Instant::now();
    write(&large_index, &large, (0..keys).map(|n| format!("folder-{:08}/{n:08}", n / UNDER))).await;
    println!("{keys} keys written in {:.0} s", started.elapsed().as_secs_f64());

    let rounds = (keys / SMALL).clamp(1, 100);
    let mut few = Vec::new();
    let mut many = Vec::new();
    // Interleaved, so that what else the machine does weighs on both alike.
    for round in 0..rounds {
        few.extend(pages(&index, &small, None).await);
        if round % 10 == 0 {
            many.extend(pages(&large_index, &large, None).await);
        }
    }
    let whole = many.len() / rounds.div_ceil(10);
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for pass in many.chunks(whole) {
        first.extend_from_slice(&pass[..whole.div_ceil(10)]);
        last.extend_from_slice(&pass[whole - whole.div_ceil(10)..]);
    }
    let (few, many, first, last) = (Summary::of(few), Summary::of(many), Summary::of(first), Summary::of(last));
    println!("{:<44} {:>9} {:>9} {:>9}", "page of 1,000 keys", "p50 ms", "p99 ms", "pages");
    for (name, summary) in [
        (format!("of {SMALL}"), &few),
        (format!("of {keys}"), &many),
        (format!("of {keys}, first tenth"), &first),
        (format!("of {keys}, last tenth"), &last),
    ] {
        println!("{name:<44} {:>9.3} {:>9.3} {:>9}", summary.p50, summary.p99, summary.count);
    }
    println!("ratio {keys} to {SMALL}: p50 {:.2}, p99 {:.2}", many.p50 / few.p50, many.p99 / few.p99);
    println!("ratio last to first tenth: p50 {:.2}, p99 {:.2}", last.p50 / first.p50, last.p99 / first.p99);

    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        alone.extend(pages(&index, &small, Some("/")).await);
        together.extend(pages(&large_index, &large, Some("/")).await);
    }
    let (alone, together) = (Summary::of(alone), Summary::of(together));
    println!("{:<44} {:>9} {:>9} {:>9}", "page of 1,000 common prefixes", "p50 ms", "p99 ms", "pages");
    println!("{:<44} {:>9.3} {:>9.3} {:>9}", "1 key under each", alone.p50, alone.p99, alone.count);
    println!("{:<44} {:>9.3} {:>9.3} {:>9}", format!("{UNDER} keys under each"), together.p50, together.p99, together.count);
    println!("ratio: p50 {:.2}", together.p50 / alone.p50);
}

/// The time of every page, from the first to the last.
async fn pages(index: &Index, bucket: &Bucket, delimiter: Option<&str>) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut after: Option<ListAfter> = None;
    loop {
        let delimiter = delimiter.map(str::to_owned);
        let query = ListQuery { bucket: bucket.id, prefix: String::new(), delimiter, after, limit: PAGE };
        let started = Instant::now();
        let page = index.list(query).await.expect("lists");
        times.push(started.elapsed());
        match page.next.filter(|_| page.truncated) {
            Some(next) => after = Some(next),
            None => return times,
        }
    }
}

/// Milliseconds.
struct Summary {
    p50: f64,
    p99: f64,
    count: usize,
}

impl Summary {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
        Self { p50: at(50), p99: at(99), count: times.len() }
    }
}
