//! Lives of records, told entry by entry.

use serde_json::json;

use super::*;

const ONE: &str = "01010101010101010101010101010101";
const TWO: &str = "02020202020202020202020202020202";

/// A ledger of these entries, an hour after each other.
fn ledger(entries: &[Value]) -> Vec<Vec<u8>> {
    let line = |(seq, entry): (usize, &Value)| {
        let mut entry = entry.clone();
        let time = Timestamp::from_seconds(3600 * seq as i64).to_rfc3339();
        let fields = [("seq", json!(seq)), ("time", json!(time)), ("actor", json!("system"))];
        fields.into_iter().for_each(|(name, value)| entry[name] = value);
        if entry.get("outcome").is_none() {
            entry["outcome"] = json!("ok");
        }
        entry.to_string().into_bytes()
    };
    entries.iter().enumerate().map(line).collect()
}

fn told(entries: &[Value], so_many: usize) -> Story {
    let mut story = Story::default();
    ledger(entries).iter().take(so_many).for_each(|leaf| story.tell(leaf));
    story
}

fn put(record: &str, gone: &[&str]) -> Value {
    json!({ "kind": "put-object", "record": record, "version": "null", "size": 5, "countries": ["PK", "SG"],
        "sites": ["pk-khi", "sg-sin"], "instruments": ["pk"], "revision": "aa", "gone": gone,
        "copies": [{ "site": "pk-khi", "key": "pk", "role": "primary" },
            { "site": "sg-sin", "key": "pk", "key-country": "PK", "role": "queued", "pending": true }],
        "decided-by": { "source": "instruments", "signals": { "subject": ["tag:subject"] } } })
}

fn scrubbed(began: i64) -> Value {
    json!({ "kind": "scrubbed", "scrubbed": { "deep": true, "records": 1, "blobs": 1,
        "began": Timestamp::from_seconds(3600 * began + 1).to_rfc3339() } })
}

fn life() -> Vec<Value> {
    vec![
        put(ONE, &[]),
        json!({ "kind": "copy-stored", "record": ONE, "countries": ["SG"], "sites": ["sg-sin"], "copies": [{ "site": "sg-sin", "key": "pk" }] }),
        scrubbed(1),
        json!({ "kind": "relocated", "record": ONE, "countries": ["PK"], "sites": ["pk-lhe"], "left": ["pk-khi", "sg-sin"],
            "revision": "bb", "instruments": ["pk"], "copies": [{ "site": "pk-lhe", "key": "pk", "role": "primary" }] }),
        json!({ "kind": "collected", "sites": ["pk-khi", "sg-sin"], "collected": [{ "record": ONE, "sites": ["pk-khi", "sg-sin"] }] }),
        put(TWO, &[ONE]),
        json!({ "kind": "collected", "sites": ["pk-lhe"], "collected": [{ "record": ONE, "sites": ["pk-lhe"] }] }),
    ]
}

/// Sites and states of what was there after so many entries.
fn standing(so_many: usize) -> Vec<(String, CopyStanding)> {
    let versions = told(&life(), so_many).standing();
    versions.into_iter().flat_map(|version| version.copies).map(|copy| (copy.site, copy.state)).collect()
}

#[test]
fn where_a_record_was_at_any_time_is_told_also_when_it_is_gone() {
    use CopyStanding::{Left, Pending, Stored};
    let at = |sites: &[(&str, CopyStanding)]| sites.iter().map(|(site, state)| ((*site).to_owned(), *state)).collect::<Vec<_>>();
    assert_eq!(standing(0), []);
    assert_eq!(standing(1), at(&[("pk-khi", Stored), ("sg-sin", Pending)]));
    assert_eq!(standing(3), at(&[("pk-khi", Stored), ("sg-sin", Stored)]));
    // Its sealed bytes are where they were until they are removed.
    assert_eq!(standing(4), at(&[("pk-khi", Left), ("sg-sin", Left), ("pk-lhe", Stored)]));
    assert_eq!(standing(5), at(&[("pk-lhe", Stored)]));
    assert_eq!(standing(6), at(&[("pk-lhe", Left), ("pk-khi", Stored), ("sg-sin", Pending)]));
    assert_eq!(standing(7), at(&[("pk-khi", Stored), ("sg-sin", Pending)]));

    let story = told(&life(), 7);
    let [one, two] = story.versions() else { panic!("{story:?}") };
    assert_eq!((one.state, two.state), ("gone", "live"));
    assert_eq!(one.gone.as_ref().map(|gone| gone.entry), Some(5));
    assert_eq!(one.placed.iter().map(|placed| placed.revision.as_deref()).collect::<Vec<_>>(), [Some("aa"), Some("bb")]);
    let [khi, sin, lhe] = one.copies.as_slice() else { panic!("{one:?}") };
    assert_eq!((sin.key_country.as_deref(), sin.country.as_deref()), (Some("PK"), Some("SG")));
    let entries = |copy: &CopyStory| {
        let entry = |moment: &Option<Moment>| moment.as_ref().map(|moment| moment.entry);
        (entry(&copy.stored), entry(&copy.verified), entry(&copy.left), entry(&copy.removed))
    };
    assert_eq!(entries(khi), (Some(0), Some(2), Some(3), Some(4)));
    // It was stored while the verification had not begun, and found whole.
    assert_eq!(entries(sin), (Some(1), Some(2), Some(3), Some(4)));
    assert_eq!(entries(lhe), (Some(3), Some(3), Some(5), Some(6)));
}

#[test]
fn a_verification_vouches_for_what_it_can_have_seen() {
    let verified = |after: &[Value]| {
        let all = [&[put(ONE, &[])], after].concat();
        told(&all, all.len()).versions()[0].copies[0].verified.clone().map(|moment| moment.entry)
    };
    let found = json!({ "kind": "found", "record": ONE, "sites": ["pk-khi"], "finding": "damaged" });
    let cleared = json!({ "kind": "cleared", "record": ONE, "sites": ["pk-khi"], "finding": "damaged" });
    assert_eq!(verified(&[scrubbed(0)]), Some(1));
    assert_eq!(verified(&[scrubbed(-1)]), None, "it began before");
    assert_eq!(verified(&[found.clone(), scrubbed(0)]), None);
    assert_eq!(verified(&[found, cleared, scrubbed(0)]), Some(3));
    let mut partial = scrubbed(0);
    partial["scrubbed"]["partial"] = json!(true);
    let mut unchecked = scrubbed(0);
    unchecked["scrubbed"]["unchecked"] = json!(1);
    let old = json!({ "kind": "scrubbed", "scrubbed": { "deep": true } });
    assert_eq!(verified(&[partial, unchecked, old]), None);
}

#[test]
fn entries_of_older_programs_and_refusals_tell_what_they_know() {
    let old = json!({ "kind": "put-object", "record": ONE, "countries": ["PK"], "sites": ["pk-khi"] });
    let refused = json!({ "kind": "put-object", "record": TWO, "outcome": { "refused": { "code": "X" } } });
    let deleted = json!({ "kind": "delete-object", "record": ONE });
    let story = told(&[old, refused, deleted], 3);
    let [one] = story.versions() else { panic!("{story:?}") };
    assert_eq!((one.state, one.copies[0].state, one.copies[0].key.as_deref()), ("gone", CopyStanding::Left, None));
}
