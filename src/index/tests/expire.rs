//! What goes by itself, against what was written since it was found due.

use super::*;
use crate::{
    bucket::{Expiration, Lifecycle, Rule, Scope, Setting, Versioning},
    index::{Beside, ExpireChange, Expires},
};

async fn set(index: &Index, bucket: &Bucket, setting: Setting) {
    let (name, setting) = (bucket.name.clone(), Box::new(setting));
    index.commit(Change::SetBucket { name, id: bucket.id, setting }, event()).await.unwrap();
}

fn rules(expiration: Expiration) -> Lifecycle {
    let scope = Scope::Prefix(String::new());
    Lifecycle::new(vec![Rule { enabled: true, scope, expiration: Some(expiration), ..Rule::default() }]).unwrap()
}

/// A delete marker that was all there was of its key is not taken away when a write that began before the delete has come behind it: what
/// was deleted would be there again.
#[tokio::test]
async fn a_marker_goes_only_while_it_is_alone() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let markers = rules(Expiration::LoneMarkers(true));
    set(&index, &bucket, Setting::Versioning(Versioning::Enabled)).await;
    set(&index, &bucket, Setting::Lifecycle(Some(markers.clone()))).await;
    let marked = index.commit(delete(&bucket, "k", index.ticket().unwrap()), event()).await.unwrap().marker.unwrap();
    let versioned = |mut record: Record| {
        record.summary.version = VersionId::new(record.summary.ticket, [0; 8]);
        record
    };
    let late = versioned(record(&index, 1, SITES[0], "s"));
    let second = index.commit(delete(&bucket, "k", index.ticket().unwrap()), event()).await.unwrap().marker.unwrap();
    let expire = |marker: &Summary, rules: &Lifecycle| {
        let delete = deletion(&bucket, "k", index.ticket().unwrap());
        let delete = Box::new(DeleteChange { version: Some(marker.version), record: Some(marker.id), ..delete });
        let what = Expires::Version { delete, beside: Beside::Nothing };
        index.commit(Change::Expire(Box::new(ExpireChange { rules: Arc::new(rules.clone()), what })), event())
    };
    for marker in [&second, &marked] {
        assert!(matches!(expire(marker, &markers).await, Err(CommitError::Conflict)), "there are two");
    }
    index
        .commit(
            Change::Delete(Box::new(DeleteChange { version: Some(marked.version), ..deletion(&bucket, "k", second.ticket) })),
            event(),
        )
        .await
        .unwrap();
    index.commit(put(&bucket, "k", late.clone()), event()).await.unwrap();
    assert!(matches!(expire(&second, &markers).await, Err(CommitError::Conflict)), "a version came behind it");
    assert!(index.current(&bucket, &key("k")).unwrap().is_none());
    let gone = DeleteChange { version: Some(late.summary.version), ..deletion(&bucket, "k", index.ticket().unwrap()) };
    index.commit(Change::Delete(Box::new(gone)), event()).await.unwrap();
    assert!(matches!(expire(&second, &rules(Expiration::Days(1))).await, Err(CommitError::Conflict)), "not by other rules");
    assert!(expire(&second, &markers).await.unwrap().replaced.is_some());
    assert!(index.latest(&bucket, &key("k")).unwrap().is_none());
    check_whole(&index).await;
}
