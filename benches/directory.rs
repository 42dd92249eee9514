//! The subject directory on sled, with a million subjects: what an import commits a second, what a look on the data path costs, what a line
//! that changes nothing costs, and what all of it takes of memory.
//!
//! `cargo bench --bench directory`; `DOMICILE_BENCH_SUBJECTS=100000` takes fewer.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench may stop, and this is its report")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use domicile::{
    index::{Change, Index, Saying, SubjectChange},
    residency::Directory,
    types::{Attributes, SubjectId, Timestamp},
};
use futures_util::future::join_all;
use tokio::runtime::Runtime;

use self::catalogue::{event, open};

#[expect(dead_code, reason = "another bench uses the rest")]
mod catalogue;

/// As many as an import of the gateway commits together.
const TOGETHER: u32 = 1000;

fn main() {
    let subjects = std::env::var("DOMICILE_BENCH_SUBJECTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000_u32);
    let (runtime, folder) = (Runtime::new().expect("a runtime"), tempfile::tempdir().expect("a folder"));
    let (index, _) = runtime.block_on(open(folder.path()));
    for tenth in 1..=10 {
        let (from, to) = (subjects / 10 * (tenth - 1), subjects / 10 * tenth);
        let took = timed(|| runtime.block_on(set(&index, from..to)));
        println!("import {to:>9}   {:>9.0} subjects/s   {:>6} MiB resident", rate(to - from, took), resident());
    }
    let looks = 200_000;
    let nth = |look: u32| look.wrapping_mul(7919) % subjects;
    let look_up = |look| drop(black_box(index.lookup(&id(nth(look))).expect("reads").expect("is there")));
    let took = timed(|| (0..looks).for_each(look_up));
    println!("lookup             {:>9.2} µs", micros(took, looks));
    let again = |look| assert!(!index.is_news(&id(nth(look)), &saying(nth(look))).expect("reads"), "is known");
    let took = timed(|| (0..looks).for_each(again));
    println!("unchanged line     {:>9.2} µs", micros(took, looks));
    let one = timed(|| (0..200).for_each(|nth| runtime.block_on(set(&index, subjects + nth..subjects + nth + 1))));
    println!("one set            {:>9.2} ms", one.as_secs_f64() * 1000.0 / 200.0);
    println!("                   {:>9} MiB resident, {} MiB on disk", resident(), index.stats().disk_bytes >> 20);
}

fn id(nth: u32) -> SubjectId {
    SubjectId::new(format!("person-{nth:08}")).expect("valid")
}

fn lives(nth: u32) -> Attributes {
    let country = if nth.is_multiple_of(2) { "PK" } else { "SG" };
    Attributes::from([("residence".to_owned(), country.to_owned()), ("citizenship".to_owned(), "PK".to_owned())])
}

fn saying(nth: u32) -> Saying {
    Saying {
        attributes: Some(lives(nth)),
        effective: Some(Timestamp::from_seconds(1_700_000_000)),
        reason: Some("registered at the counter".to_owned()),
        ..Saying::default()
    }
}

async fn set(index: &Index, subjects: std::ops::Range<u32>) {
    let mut from = subjects.start;
    while from < subjects.end {
        let to = (from + TOGETHER).min(subjects.end);
        let commits = (from..to).map(|nth| {
            let change = SubjectChange { saying: saying(nth), ..SubjectChange::now(id(nth), None) };
            index.commit(Change::Subject(Box::new(change)), event())
        });
        for committed in join_all(commits).await {
            committed.expect("commits");
        }
        from = to;
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn rate(count: u32, took: Duration) -> f64 {
    f64::from(count) / took.as_secs_f64()
}

fn micros(took: Duration, count: u32) -> f64 {
    took.as_secs_f64() * 1e6 / f64::from(count)
}

/// Resident memory of this process, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() >> 10
}
