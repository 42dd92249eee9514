//! The [`Backend`] contract as tests that run on every implementation. A violation panics with what was violated.

use std::{collections::BTreeSet, ops::Range};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Backend, BackendError, Check, Verdict};
use crate::seal::BlobName;

/// Lengths at which chunking, buffering and small-blob paths change.
const LENGTHS: &[usize] = &[0, 1, 2, 4096, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 1_048_577, 8 * 1024 * 1024 + 4096];

/// Runs all of it. The place may hold other blobs, but nobody else may change it meanwhile. Leaves nothing behind on success.
pub async fn run(backend: &dyn Backend) -> Result<(), BackendError> {
    backend.probe().await?;
    whole_blobs_come_back(backend).await?;
    ranges_are_half_open_and_cut(backend).await?;
    ranges_outside_are_corrupt(backend).await?;
    a_second_put_replaces(backend).await?;
    absent_blobs_are_not_found_and_deletable(backend).await?;
    listings_are_ordered_and_complete(backend).await?;
    readers_see_whole_blobs_only(backend).await?;
    an_inspection_says_something_of_every_check(backend).await
}

/// The `number`th of many names.
pub fn name(number: u64) -> BlobName {
    let hash = crate::digest::sha256(&number.to_be_bytes());
    let digits = hex::encode(&hash[..16]);
    format!("d1/{}/{digits}", &digits[..2]).parse().unwrap_or_else(|_| BlobName::marker())
}

async fn whole_blobs_come_back(backend: &dyn Backend) -> Result<(), BackendError> {
    for &len in LENGTHS {
        let content = content(len, 1);
        let head = content.slice(..len.min(300));
        let rest = content.slice(len.min(300)..);
        backend.put(&name(1), &[head, rest]).await?;
        let (total, range, bytes) = read(backend, &name(1), None).await?;
        assert_eq!((total, range), (len as u64, 0..len as u64), "lengths told for a blob of {len} bytes");
        assert!(bytes == content, "a blob of {len} bytes comes back as it was");
    }
    backend.put(&name(1), &[]).await?;
    assert_eq!(read(backend, &name(1), None).await?.0, 0, "a blob of no pieces is empty");
    backend.delete(&name(1)).await
}

async fn ranges_are_half_open_and_cut(backend: &dyn Backend) -> Result<(), BackendError> {
    let len = 3 * 1024 * 1024 + 17_u64;
    let content = content(len as usize, 2);
    backend.put(&name(2), std::slice::from_ref(&content)).await?;
    let ranges: [Range<u64>; 8] =
        [0..1, 0..len, 0..len + 1, 1..65_537, len - 1..len, len - 1..u64::MAX, 1_000_000..1_300_000, 65_536..2_200_000];
    for asked in ranges {
        let (total, range, bytes) = read(backend, &name(2), Some(asked.clone())).await?;
        let expected = asked.start..asked.end.min(len);
        assert_eq!((total, range), (len, expected.clone()), "lengths told for {asked:?}");
        assert!(bytes == content[expected.start as usize..expected.end as usize], "bytes of {asked:?}");
    }
    backend.delete(&name(2)).await
}

async fn ranges_outside_are_corrupt(backend: &dyn Backend) -> Result<(), BackendError> {
    backend.put(&name(3), &[content(100, 3)]).await?;
    #[expect(clippy::reversed_empty_ranges, reason = "the contract says what an empty range is")]
    for outside in [100..101, 1000..2000, 5..5, 7..3] {
        let outcome = backend.get(&name(3), Some(outside.clone())).await;
        assert!(matches!(outcome, Err(BackendError::Corrupt { .. })), "{outside:?} of 100 bytes is corrupt: {outcome:?}");
    }
    backend.delete(&name(3)).await
}

async fn a_second_put_replaces(backend: &dyn Backend) -> Result<(), BackendError> {
    for (len, seed) in [(9000, 4), (70_000, 5), (10, 6)] {
        backend.put(&name(4), &[content(len, seed)]).await?;
        assert!(read(backend, &name(4), None).await?.2 == content(len, seed), "the last put wins");
    }
    backend.delete(&name(4)).await
}

async fn absent_blobs_are_not_found_and_deletable(backend: &dyn Backend) -> Result<(), BackendError> {
    backend.delete(&name(5)).await?;
    backend.delete(&name(5)).await?;
    for range in [None, Some(0..10)] {
        let outcome = backend.get(&name(5), range).await;
        assert!(matches!(outcome, Err(BackendError::NotFound { .. })), "absent is not found: {outcome:?}");
    }
    backend.put(&name(5), &[content(10, 7)]).await?;
    backend.delete(&name(5)).await?;
    let outcome = backend.get(&name(5), None).await;
    assert!(matches!(outcome, Err(BackendError::NotFound { .. })), "deleted is not found: {outcome:?}");
    Ok(())
}

async fn listings_are_ordered_and_complete(backend: &dyn Backend) -> Result<(), BackendError> {
    let names: BTreeSet<BlobName> = (100..140).map(name).collect();
    for name in &names {
        backend.put(name, &[content(name.to_string().len(), 8)]).await?;
    }
    for limit in [1, 7, 40, 5000] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = backend.list(after.as_ref(), limit).await?.blobs;
            assert!(page.len() <= limit, "at most the limit");
            let last = page.len() < limit;
            after = page.last().map(|blob| blob.name).or(after);
            seen.extend(page);
            if last {
                break;
            }
        }
        assert!(seen.is_sorted_by(|a, b| a.name.to_string() < b.name.to_string()), "byte order, each name once");
        let ours: Vec<_> = seen.iter().filter(|blob| names.contains(&blob.name)).collect();
        assert_eq!(ours.len(), names.len(), "every blob is listed with pages of {limit}");
        assert!(ours.iter().all(|blob| blob.len == blob.name.to_string().len() as u64), "with its length");
        assert!(ours.iter().all(|blob| blob.modified.seconds() > 1_000_000_000), "with its date");
    }
    for name in &names {
        backend.delete(name).await?;
    }
    let left = backend.list(None, 5000).await?.blobs;
    assert!(left.iter().all(|blob| !names.contains(&blob.name)), "deleted blobs are not listed");
    Ok(())
}

async fn readers_see_whole_blobs_only(backend: &dyn Backend) -> Result<(), BackendError> {
    let versions: Vec<Bytes> = (0..4).map(|seed| content(400_000, 20 + seed)).collect();
    backend.put(&name(6), &[versions[0].clone()]).await?;
    let work = stream::iter(0..24_usize).map(|turn| {
        let versions = &versions;
        async move {
            if turn % 3 == 0 {
                return backend.put(&name(6), &[versions[turn / 3 % 4].clone()]).await;
            }
            let (_, _, bytes) = read(backend, &name(6), None).await?;
            assert!(versions.contains(&bytes), "a reader beside writers sees one whole blob");
            Ok(())
        }
    });
    work.buffer_unordered(6).try_collect::<()>().await?;
    backend.delete(&name(6)).await
}

async fn an_inspection_says_something_of_every_check(backend: &dyn Backend) -> Result<(), BackendError> {
    let before = backend.list(None, 5000).await?;
    let posture = backend.inspect().await?;
    let looked_at: Vec<Check> = posture.0.iter().map(|(check, _)| *check).collect();
    assert_eq!(looked_at, backend.checks(), "one verdict for each check, in their order");
    assert!(looked_at.iter().all(|check| *check != Check::Marker), "a marker is for who knows what it should say");
    for (check, verdict) in &posture.0 {
        let text = match verdict {
            Verdict::Fine => continue,
            Verdict::Found { detail, .. } => detail.clone(),
            Verdict::Unknown(unknown) => unknown.to_string(),
        };
        assert!(!text.is_empty() && !text.contains(char::is_control), "what is said of `{check}` is one line: {text:?}");
    }
    assert_eq!(backend.inspect().await?, posture, "looked at again, it is the same");
    assert_eq!(backend.list(None, 5000).await?, before, "nothing was changed");
    Ok(())
}

async fn read(
    backend: &dyn Backend,
    name: &BlobName,
    range: Option<Range<u64>>,
) -> Result<(u64, Range<u64>, Bytes), BackendError> {
    let opened = backend.get(name, range).await?;
    let pieces: Vec<Bytes> = opened.body.try_collect().await?;
    Ok((opened.total_len, opened.range, pieces.concat().into()))
}

/// Bytes that differ by position and seed.
fn content(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}
