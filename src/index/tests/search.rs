//! Finding records page by page.

use super::*;

#[tokio::test]
async fn a_cursor_goes_on_only_with_its_own_query() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    for at in NAMES {
        index.commit(put(&bucket, at, record(&index, 1, SITES[0], "ayesha")), event()).await.unwrap();
    }
    let query = RecordsQuery { bucket: Some(bucket.name.clone()), limit: 1, ..RecordsQuery::default() };
    let with = |cursor: &str| RecordsQuery { cursor: Some(cursor.to_owned()), ..query.clone() };
    let cursor = index.search(query.clone()).await.unwrap().next.unwrap();
    let rest = index.search(RecordsQuery { limit: 100, ..with(&cursor) }).await.unwrap();
    assert_eq!((rest.records.len(), rest.next), (NAMES.len() - 1, None));

    let flipped = cursor.replacen(|digit| digit != '0', "0", 1);
    let others = RecordsQuery { bucket: None, ..with(&cursor) };
    let elsewhere = RecordsQuery { bucket: Some(BucketName::new("elsewhere").unwrap()), ..with(&cursor) };
    let damaged = ["", "forged", "00", &"00".repeat(40), &cursor[2..], &cursor[..cursor.len() - 2], &flipped].map(with);
    for query in damaged.into_iter().chain([others, elsewhere]) {
        let answer = index.search(query.clone()).await;
        assert!(matches!(answer, Err(IndexError::Cursor)), "{query:?}: {answer:?}");
    }
}
