//! What a site could do to a blob, each of which must be an error and never data.

use super::*;

fn refused(world: &World, id: ExtentId, plan: &ReadPlan, blob: &[u8]) -> bool {
    world.open(id, plan, blob, 50_000).is_err()
}

#[test]
fn every_flipped_bit_of_a_small_blob_is_an_error() {
    let world = world();
    let blob = world.seal(world.id(), b"some plaintext", Some(b"a manifest"));
    let (plan, bytes) = (full_plan(&blob), whole(&blob));
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut altered = bytes.clone();
            altered[position] ^= 1 << bit;
            assert!(refused(&world, world.id(), &plan, &altered), "byte {position}, bit {bit}");
        }
    }
}

#[test]
fn flips_in_a_large_blob_are_errors_and_nothing_after_them_comes_out() {
    let world = world();
    let plain = pattern(400_000);
    let blob = world.seal(world.id(), &plain, None);
    let (plan, bytes) = (full_plan(&blob), whole(&blob));
    for position in (0..bytes.len()).step_by(7_919).chain([bytes.len() - 1]) {
        let mut altered = bytes.clone();
        altered[position] ^= 0x80;
        let mut opener = ExtentOpener::new(world.id(), world.key.country(), &world.key, &plan).unwrap();
        let mut out = Vec::new();
        assert!(opener.push(Bytes::from(altered), &mut out).is_err(), "byte {position}");
        let came = out.concat();
        assert!(plain.starts_with(&came) && came.len() <= position, "byte {position}");
        assert!(matches!(opener.push(Bytes::from(bytes.clone()), &mut out), Err(SealError::Failed)));
        assert_eq!(out.concat(), came);
        assert!(opener.finish().is_err());
    }
}

#[test]
fn every_other_length_is_an_error_even_where_the_site_lies_about_it() {
    let world = world();
    for size in [0, 1, 65_480, 131_000, 140_000] {
        let blob = world.seal(world.id(), &pattern(size), None);
        let (plan, bytes) = (full_plan(&blob), whole(&blob));
        let cuts = (0..bytes.len()).step_by(997).chain([bytes.len() - 1, bytes.len().saturating_sub(65_536)]);
        for cut in cuts.filter(|cut| *cut < bytes.len()) {
            assert!(refused(&world, world.id(), &plan, &bytes[..cut]), "{size} cut at {cut}");
            assert!(world.open_unchecked(world.id(), &plan, &bytes[..cut], 9_999).is_err(), "{size} cut at {cut}");
        }
        for tail in [&[0][..], &[0; 16], &[0; 70_000], &bytes] {
            let longer = [&bytes[..], tail].concat();
            assert!(refused(&world, world.id(), &plan, &longer), "{size}");
            let mut opener = ExtentOpener::new(world.id(), world.key.country(), &world.key, &plan).unwrap();
            assert!(opener.push(Bytes::from(longer), &mut Vec::new()).is_err(), "{size}");
        }
    }
}

#[test]
fn segments_do_not_move_repeat_or_vanish() {
    let world = world();
    let blob = world.seal(world.id(), &pattern(65_480 + 3 * 65_520), None);
    let (plan, bytes) = (full_plan(&blob), whole(&blob));
    let (front, segments) = bytes.split_at(HEAD_LEN + 65_536);
    let segments: Vec<&[u8]> = segments.chunks(65_536).collect();
    let build = |order: &[usize]| [front.to_vec(), order.iter().flat_map(|at| segments[*at].to_vec()).collect()].concat();
    assert!(world.open(world.id(), &plan, &build(&[0, 1, 2]), 50_000).is_ok());
    for order in [&[1, 0, 2][..], &[0, 2, 1], &[0, 0, 2], &[2, 1, 0], &[0, 2], &[0, 1], &[2]] {
        assert!(refused(&world, world.id(), &plan, &build(order)), "{order:?}");
        assert!(world.open_unchecked(world.id(), &plan, &build(order), 50_000).is_err(), "{order:?}");
    }
    assert!(refused(&world, world.id(), &plan, &build(&[0, 1, 2, 2])), "a tail that no read would fetch");
    // A stream cut at a segment and claimed to end there: the last segment's nonce says otherwise.
    let shorter = ReadPlan::new(blob.head_len(), 65_480 + 2 * 65_520, 70_000..140_000);
    assert!(world.open(world.id(), &shorter, &build(&[0, 1]), 50_000).is_err());
}

#[test]
fn blobs_do_not_stand_in_for_each_other() {
    let world = world();
    let plain = pattern(70_000);
    let own = world.id();
    let others = [
        ExtentId { part: 1, ..own },
        ExtentId { extent: 1, ..own },
        ExtentId { attempt: AttemptId::from_bytes([9; 16]), ..own },
        ExtentId::manifest(own.record, own.attempt),
    ];
    // From the start, where the head says so, and from behind it, where only the keys do.
    for range in [0..70_000, 66_000..70_000] {
        let plan = ReadPlan::new(HEAD_LEN as u32, 70_000, range);
        assert!(world.open(own, &plan, &whole(&world.seal(own, &plain, None)), 50_000).is_ok());
        for other in others {
            assert!(refused(&world, own, &plan, &whole(&world.seal(other, &plain, None))), "{other:?}");
        }
        let strangers = [world_in("SG", own.record), world_in("PK", own.record), world_in("PK", RecordId::from_bytes([8; 16]))];
        for stranger in strangers {
            assert!(refused(&world, own, &plan, &whole(&stranger.seal(stranger.id(), &plain, None))));
        }
    }
}

#[test]
fn an_opener_refuses_another_records_key_or_country_at_once() {
    let world = world();
    let plan = ReadPlan::new(HEAD_LEN as u32, 1, 0..1);
    let id = ExtentId { record: RecordId::from_bytes([8; 16]), ..world.id() };
    assert!(ExtentOpener::new(id, world.key.country(), &world.key, &plan).is_err());
    assert!(ExtentOpener::new(world.id(), "SG".parse().unwrap(), &world.key, &plan).is_err());
}

#[test]
fn the_length_that_the_index_remembers_must_be_the_heads() {
    let world = world();
    let blob = world.seal(world.id(), b"abc", None);
    for plan in [ReadPlan::new(blob.head_len(), 2, 0..2), ReadPlan::new(blob.head_len(), 4, 0..4)] {
        assert!(world.open_unchecked(world.id(), &plan, &whole(&blob), 50).is_err());
    }
    // Another site's manifest of another length would have moved the stream.
    let longer = whole(&world.seal(world.id(), b"abc", Some(b"m")));
    assert!(world.open_unchecked(world.id(), &full_plan(&blob), &longer, 50).is_err());
}
