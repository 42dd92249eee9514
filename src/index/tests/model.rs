//! Random histories of one bucket against a plain map.

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Put(usize, u64, usize),
    Delete(usize),
    Upload(usize, u64, bool),
    List(usize),
    Reopen,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..NAMES.len(), 0..100_000u64, 0..2usize).prop_map(|(key, size, site)| Op::Put(key, size, site)),
        2 => (0..NAMES.len()).prop_map(Op::Delete),
        2 => (0..NAMES.len(), 1..100_000u64, any::<bool>()).prop_map(|(key, size, complete)| Op::Upload(key, size, complete)),
        1 => (1..4usize).prop_map(Op::List),
        1 => Just(Op::Reopen),
    ];
    prop::collection::vec(op, 1..30)
}

async fn run_model(reopen: &mut dyn FnMut(Option<Index>) -> Arc<dyn Engine>, ops: Vec<Op>) {
    let (mut index, bucket) = prepared(reopen(None)).await;
    let mut model: BTreeMap<&str, RecordId> = BTreeMap::new();
    for op in ops {
        match op {
            Op::Put(at, size, site) => {
                let record = record(&index, size, SITES[site], "ayesha");
                let id = record.summary.id;
                let committed = index.commit(put(&bucket, NAMES[at], record), event()).await.unwrap();
                assert_eq!(committed.replaced.map(|old| old.id), model.insert(NAMES[at], id));
            }
            Op::Delete(at) => {
                let ticket = index.ticket().unwrap();
                let committed = index.commit(delete(&bucket, NAMES[at], ticket), event()).await.unwrap();
                assert_eq!(committed.replaced.map(|old| old.id), model.remove(NAMES[at]));
            }
            Op::Upload(at, size, complete) => {
                if let Some(id) = multipart(&index, &bucket, NAMES[at], size, complete).await {
                    model.insert(NAMES[at], id);
                }
            }
            Op::List(limit) => {
                let items = list_all(&index, &bucket, "", None, limit).await;
                let keys: Vec<&str> = items
                    .iter()
                    .map(|item| match item {
                        ListItem::Object { key, .. } => key.as_str(),
                        ListItem::Prefix(_) => panic!("no delimiter"),
                    })
                    .collect();
                assert_eq!(keys, model.keys().copied().collect::<Vec<&str>>());
            }
            Op::Reopen => {
                let before = index.ticket().unwrap();
                index = open(reopen(Some(index)));
                assert!(index.ticket().unwrap() > before);
            }
        }
    }
    for name in NAMES {
        let found = index.current(&bucket, &key(name)).unwrap();
        assert_eq!(found.map(|record| record.summary.id), model.get(name).copied());
    }
    let query = RecordsQuery { subject: Some(SubjectId::new("ayesha").unwrap()), limit: 100, ..RecordsQuery::default() };
    let found: BTreeSet<_> =
        index.search(query).await.unwrap().records.into_iter().map(|found| found.record.summary.id).collect();
    assert_eq!(found, model.values().copied().collect());
    check_whole(&index).await;
    // Sweeping everything leaves only what the records need.
    while let Some((row, garbage)) = index.garbage(Timestamp::from_millis(i64::MAX), None, 1).await.unwrap().pop() {
        let blobs = index.garbage_blobs(&garbage).await.unwrap().unwrap();
        for id in model.keys() {
            let live = index.current(&bucket, &key(id)).unwrap().unwrap();
            let parts = match live.detail.layout {
                Layout::Parts { table, .. } => index.parts_of(table).unwrap(),
                _ => Arc::default(),
            };
            assert!(
                live.blobs(&parts).all(|needed| blobs.iter().all(|blob| blob.name != needed.name)),
                "live data is no garbage"
            );
        }
        index.commit(Change::Collected { garbage: vec![row] }, event()).await.unwrap();
    }
    for name in model.keys() {
        let live = index.current(&bucket, &key(name)).unwrap().unwrap();
        if let Layout::Parts { table, .. } = live.detail.layout {
            assert_eq!(index.inner.part_table(&table).unwrap().unwrap().len(), 2, "the part table of a live record stays");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn behaves_as_a_map_in_memory(ops in ops()) {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
        Runtime::new().unwrap().block_on(run_model(&mut |old| { drop(old); Arc::clone(&engine) }, ops));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]
    #[test]
    fn behaves_as_a_map_on_sled(ops in ops()) {
        let folder = tempfile::tempdir().unwrap();
        Runtime::new().unwrap().block_on(run_model(
            &mut |old| { drop(old); Arc::new(SledEngine::open(folder.path(), 8 << 20).unwrap()) },
            ops,
        ));
    }

    #[test]
    fn delimiter_listings_equal_a_naive_one(
        keys in prop::collection::btree_set("[a/\0\u{ffff}\u{10ffff}]{1,5}", 0..25),
        prefix in "[a/\0\u{10ffff}]{0,2}",
        delimiter in prop_oneof![Just(""), Just("/"), Just("//"), Just("\0"), Just("\u{10ffff}"), Just("a")],
        limit in 1..5usize,
    ) {
        Runtime::new().unwrap().block_on(async {
            let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
            for at in &keys {
                index.commit(put(&bucket, at, record(&index, 1, SITES[0], "s")), event()).await.unwrap();
            }
            let mut expected: Vec<String> = Vec::new();
            for at in keys.iter().filter(|at| at.starts_with(&prefix)) {
                let cut = if delimiter.is_empty() { None } else { at[prefix.len()..].find(delimiter) };
                let line = cut.map_or(at.clone(), |cut| at[..prefix.len() + cut + delimiter.len()].to_owned() + "|");
                if expected.last() != Some(&line) {
                    expected.push(line);
                }
            }
            let items = list_all(&index, &bucket, &prefix, Some(delimiter), limit).await;
            let found: Vec<String> = items.into_iter().map(|item| match item {
                ListItem::Object { key, .. } => key,
                ListItem::Prefix(prefix) => prefix + "|",
            }).collect();
            assert_eq!(found, expected);
        });
    }
}
