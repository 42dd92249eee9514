//! What every engine must do.

use std::ops::{Bound, ControlFlow};

use super::{Batch, Engine};

fn rows(engine: &dyn Engine, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut up = Vec::new();
    let collect = |rows: &mut Vec<_>, key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    engine.scan(from, to, &mut |key, value| collect(&mut up, key, value)).unwrap();
    let mut down = Vec::new();
    engine.scan_back(from, to, &mut |key, value| collect(&mut down, key, value)).unwrap();
    down.reverse();
    assert_eq!(up, down, "both directions show the same rows");
    up
}

/// Runs on an empty engine.
pub(crate) fn suite(engine: &dyn Engine) {
    assert!(engine.get(b"a").unwrap().is_none());
    let mut batch = Batch::default();
    for n in 0..=255u8 {
        batch.put([n], [n; 3]);
        batch.put([n, 0], []);
    }
    engine.apply(batch).unwrap();
    assert_eq!(engine.get(&[9]).unwrap().as_deref(), Some(&[9u8; 3][..]));
    assert_eq!(engine.get(&[9, 0]).unwrap().as_deref(), Some(&[][..]), "an empty value is a value");
    assert_eq!(rows(engine, Bound::Unbounded, Bound::Unbounded).len(), 512);
    let keys = |from, to| rows(engine, from, to).into_iter().map(|row| row.0).collect::<Vec<_>>();
    assert_eq!(keys(Bound::Included(&[7][..]), Bound::Excluded(&[8][..])), [vec![7], vec![7, 0]]);
    assert_eq!(keys(Bound::Excluded(&[7][..]), Bound::Included(&[8][..])), [vec![7, 0], vec![8]]);
    assert!(keys(Bound::Included(&[8][..]), Bound::Excluded(&[8][..])).is_empty());
    assert!(keys(Bound::Excluded(&[9][..]), Bound::Excluded(&[8][..])).is_empty());
    assert!(keys(Bound::Excluded(&[8][..]), Bound::Excluded(&[8][..])).is_empty());

    let mut seen = 0;
    let stop = &mut |_: &[u8], _: &[u8]| {
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    engine.scan(Bound::Unbounded, Bound::Unbounded, stop).unwrap();
    assert_eq!(seen, 3);

    let mut batch = Batch::default();
    batch.delete([1]);
    batch.put([1, 0], *b"first");
    batch.put([1, 0], *b"last");
    batch.put([2], *b"short-lived");
    batch.delete([2]);
    batch.delete(*b"never there");
    engine.apply(batch).unwrap();
    assert!(engine.get(&[1]).unwrap().is_none());
    assert_eq!(engine.get(&[1, 0]).unwrap().as_deref(), Some(&b"last"[..]));
    assert!(engine.get(&[2]).unwrap().is_none(), "the last write of a key counts");
}

/// Runs on an engine whose next apply fails.
pub(crate) fn poisoned(engine: &dyn Engine) {
    let mut batch = Batch::default();
    batch.put(*b"k", *b"v");
    assert!(engine.apply(batch).is_err());
    assert!(engine.apply(Batch::default()).is_err());
    assert!(engine.get(b"k").is_err());
    assert!(engine.scan(Bound::Unbounded, Bound::Unbounded, &mut |_, _| ControlFlow::Continue(())).is_err());
}
