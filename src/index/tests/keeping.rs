//! What is kept for the policies' sake, held against in the committer.

use super::*;
use crate::index::{Keeper, Kept, Term};

/// Keeps what keys beginning with `kept` hold, and knows one policy.
struct Stubborn;

impl Keeper for Stubborn {
    fn term(&self, revision: PolicyRevision, version: Kept<'_>) -> Option<Term> {
        let until = version.key.as_str().starts_with("kept").then_some(Timestamp::from_seconds(2_000_000));
        (revision == POLICY).then(|| Term { at_least: until, ..Term::default() })
    }
}

#[tokio::test]
async fn a_version_that_would_be_gone_at_once_is_not_taken_when_it_has_to_stay() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    index.keep_by(Arc::new(Stubborn));
    for (at, is_kept) in [("kept", true), ("free", false)] {
        let late = record(&index, 1, SITES[0], "s");
        index.commit(put(&bucket, at, record(&index, 2, SITES[0], "s")), event()).await.unwrap();
        let outcome = index.commit(put(&bucket, at, late), event()).await;
        assert_eq!(matches!(outcome, Err(CommitError::Kept { .. })), is_kept, "{outcome:?}");
        assert_eq!(outcome.is_ok_and(|committed| committed.superseded), !is_kept);
        let outcome = index.commit(delete(&bucket, at, index.ticket().unwrap()), event()).await;
        assert_eq!(matches!(outcome, Err(CommitError::Kept { .. })), is_kept, "{outcome:?}");
    }
    check_whole(&index).await;
}

#[tokio::test]
async fn nothing_is_removed_while_nobody_knows_what_the_policy_says() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    index.keep_by(Arc::new(Stubborn));
    index.commit(put(&bucket, "free", record(&index, 2, SITES[0], "s")), event()).await.unwrap();
    index.commit(Change::Policy(PolicyChange::in_force(PolicyRevision::from_bytes([8; 32]))), event()).await.unwrap();
    let outcome = index.commit(delete(&bucket, "free", index.ticket().unwrap()), event()).await;
    assert!(matches!(outcome, Err(CommitError::Stale(Stale::Policy))), "{outcome:?}");
}
