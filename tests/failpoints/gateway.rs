//! Each way of a write through a gateway, failed at each of its points.

use std::time::Duration;

use tokio::sync::RwLock;

use crate::{
    acts::{self, Act},
    harness::{Copies, Data, How},
    inventory::Inventory,
    stock,
};

/// Held for writing by whoever sets failpoints in this process.
pub(crate) static POINTS: RwLock<()> = RwLock::const_new(());

/// Whether the act happened although it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happens {
    Never,
    Always,
    Either,
}

use Copies::{Abroad, Also, First};
use Happens::{Always, Either, Never};
use How::{Crash, Error, Fatal};

/// Fails `act` at `point`, looks at what is left, starts again, and does what did not happen.
async fn fails(act: Act, point: &str, how: How, happens: Happens) {
    fails_with(if act == Act::Queue { First } else { Also }, act, point, how, happens).await;
}

async fn fails_with(copies: Copies, act: Act, point: &str, how: How, happens: Happens) {
    let _shared = POINTS.read().await;
    let case = format!("{act:?} with {copies:?} at {point}, {how:?}");
    let data = Data::new(copies);
    data.fail(act, point, how).await;

    let left = Inventory::of(&data).await;
    assert!(left.missing.is_empty(), "{case}: {left:?}");
    // What the process leaves that dies, or whose index does, before the attempt has lasted long enough for an intent. The others have a name.
    assert!(dies_early(point, how) || left.unnamed.is_empty(), "{case}: {left:?}");
    assert!(how != Error || left.intended.is_empty(), "{case}: {left:?}");
    // A person's first write makes a key that only its commit names; until then it opens nothing.
    // So does a key that is wrapped again.
    let by_their_commit = ["objects::subject-key-stored", "objects::key-rewrapped", "objects::subject-key-rotated"];
    assert!(by_their_commit.contains(&point) || left.keys.is_empty(), "{case}: {left:?}");

    let gateway = data.start(Duration::from_secs(3600)).await;
    let client = &gateway.client;
    if act == Act::FirstStart {
        stock::prepare(client, act).await;
    }
    stock::check(client, act).await;
    let happened = act.happened(client).await;
    assert!(happens == Either || happened == (happens == Always), "{case}: it happened is {happened}");
    // With the commit that accepts it, neither before nor after.
    assert!(act != Act::Erase || left.told != happened, "{case}: {left:?}");
    if happened && act == Act::Complete {
        // A client that missed the answer asks again.
        assert_eq!(acts::complete(client, &data.upload()).await, Ok(()), "{case}: once more");
    }
    if !happened {
        assert_eq!(act.perform(client).await, Ok(()), "{case}: once more");
        gateway.order(act).await;
    }
    assert!(act.happened(client).await, "{case}");
    if act == Act::Rotate {
        // Ordered again it goes on; while nobody does, every version opens what it wrapped.
        gateway.renewed(&case).await;
    }
    stock::check(client, act).await;
    gateway.stop().await;

    let last = settle(&data).await;
    assert_eq!(last.rows_of_garbage + last.queued, 0, "{case}: {last:?}");
    assert!(last.garbage.is_empty() && last.missing.is_empty(), "{case}: {last:?}");
    assert_eq!((last.intended, last.unnamed, last.keys), (left.intended, left.unnamed, left.keys), "{case}");
    assert!(act != Act::Erase || !last.told, "{case}: the ledger still tells of the erased");

    data.lose_the_index().await;
    let gateway = data.start(Duration::from_secs(3600)).await;
    stock::check(&gateway.client, act).await;
    assert!(act.happened(&gateway.client).await, "{case}: after a rebuild");
    gateway.stop().await;
    let rebuilt = Inventory::of(&data).await;
    assert!(rebuilt.garbage.is_empty() && rebuilt.missing.is_empty(), "{case}: {rebuilt:?}");
    assert!(act != Act::Erase || !rebuilt.told, "{case}: and so it does after a rebuild");
}

/// Breaks off a rebuild or an import at `point`. The gateway then starts with the index that was there, or with the new one; and what was broken
/// off can be done again.
async fn breaks_off(act: Act, point: &str, decided: bool) {
    let _shared = POINTS.read().await;
    let case = format!("{act:?} at {point}");
    for again in [false, true] {
        let data = Data::new(Also);
        data.fail(act, point, Crash).await;
        if again {
            let resumed = data.build(act).await;
            // An export made a moment ago leaves nothing to read of the journal; at the end nothing is kept of the way.
            let goes_on = act == Act::Rebuild && ["rebuild::piece", "rebuild::replayed"].contains(&point);
            assert_eq!(resumed > 0, goes_on, "{case}: {resumed} pieces were not read again");
        }
        let gateway = data.start(Duration::from_secs(3600)).await;
        let beside = data.indexes();
        assert!(!beside.iter().any(|name| name == "index.rebuilt"), "{case}: what was decided is carried out");
        assert_eq!(
            beside.iter().filter(|name| *name == "index.replaced").count(),
            usize::from(decided) + usize::from(again),
            "{case}"
        );
        stock::check(&gateway.client, act).await;
        assert_eq!(stock::put(&gateway.client, "users/kept/later", 3000, 1).await, Ok(()), "{case}");
        gateway.stop().await;
        let found = Inventory::of(&data).await;
        assert!(found.missing.is_empty() && found.unnamed.is_empty(), "{case}: {found:?}");
    }
}

macro_rules! breaking_off {
    ($($test:ident: $act:ident at $point:literal, $decided:literal;)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            breaks_off(Act::$act, $point, $decided).await;
        })+
    };
}

breaking_off! {
    a_rebuild_in_the_middle_of_the_journal: Rebuild at "rebuild::piece", false;
    a_rebuild_that_has_replayed_the_journal: Rebuild at "rebuild::replayed", false;
    a_rebuild_that_has_looked_through_the_sites: Rebuild at "rebuild::adopted", false;
    a_rebuild_whose_index_is_decided_upon: Rebuild at "rebuild::decided", true;
    a_rebuild_with_the_old_index_aside: Rebuild at "rebuild::aside", true;
    an_import_that_has_read_the_export: Import at "rebuild::loaded", false;
    an_import_that_has_replayed_the_journal: Import at "rebuild::replayed", false;
    an_import_with_the_old_index_aside: Import at "rebuild::aside", true;
}

fn dies_early(point: &str, how: How) -> bool {
    how != Error && point.starts_with("index::")
}

/// Runs the gateway until its background work is done.
async fn settle(data: &Data) -> Inventory {
    for _ in 0..20 {
        let found = Inventory::of(data).await;
        if found.rows_of_garbage + found.queued == 0 {
            return found;
        }
        let gateway = data.start(Duration::from_secs(1)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        gateway.stop().await;
    }
    Inventory::of(data).await
}

macro_rules! failing {
    ($($test:ident: $act:ident at $point:literal is [$($how:ident $happens:ident),+];)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            tokio::join!($(fails(Act::$act, $point, $how, $happens)),+);
        })+
    };
}

failing! {
    a_key_of_a_person_that_is_stored_and_not_committed: PutNew at "objects::subject-key-stored" is [Crash Never, Error Never];
    an_attempt_that_has_not_written: PutNew at "objects::intent-declared" is [Crash Never, Error Never];
    one_copy_of_two_is_stored: Overwrite at "objects::copy-stored" is [Crash Never, Error Never];
    one_copy_of_two_is_stored_of_an_extent: PutLarge at "objects::copy-stored" is [Crash Never, Error Never];
    an_extent_is_stored: PutLarge at "objects::extent-stored" is [Crash Never, Error Never];
    all_extents_and_no_manifest: PutLarge at "objects::before-manifest" is [Crash Never, Error Never];
    a_record_that_is_stored_and_not_committed: Overwrite at "objects::before-commit" is [Crash Never, Error Never];
    a_large_record_that_is_stored_and_not_committed: PutLarge at "objects::before-commit" is [Crash Never, Error Never];
    a_record_that_is_committed_and_not_answered: Overwrite at "objects::after-commit" is [Crash Always, Error Always];
    a_record_whose_commit_fails: Overwrite at "index::before-apply" is [Crash Never];
    a_record_whose_commit_is_not_synced: Overwrite at "index::after-apply" is [Crash Either, Fatal Either];
    a_record_whose_commit_is_synced: Overwrite at "index::after-sync" is [Crash Always];

    a_delete_whose_commit_fails: Delete at "index::before-apply" is [Crash Never];
    a_delete_whose_commit_is_not_synced: Delete at "index::after-apply" is [Crash Either, Fatal Either];
    a_delete_whose_commit_is_synced: Delete at "index::after-sync" is [Crash Always];
    a_delete_that_the_journal_has_and_nobody_knows: Delete at "objects::journal-written" is [Crash Either];
    a_new_bucket_whose_commit_fails: CreateBucket at "index::before-apply" is [Crash Never];
    a_new_bucket_whose_commit_is_not_synced: CreateBucket at "index::after-apply" is [Crash Either, Fatal Either];
    a_new_bucket_whose_commit_is_synced: CreateBucket at "index::after-sync" is [Crash Always];
    a_bucket_whose_deletion_fails: DeleteBucket at "index::before-apply" is [Crash Never];
    a_bucket_whose_deletion_is_not_synced: DeleteBucket at "index::after-apply" is [Crash Either, Fatal Either];
    a_bucket_whose_deletion_is_synced: DeleteBucket at "index::after-sync" is [Crash Always];

    a_new_upload_that_is_not_committed: CreateUpload at "objects::before-commit" is [Crash Never, Error Never];
    a_new_upload_that_is_committed_and_not_answered: CreateUpload at "objects::after-commit" is [Crash Always, Error Always];
    a_part_that_has_not_written: UploadPart at "objects::intent-declared" is [Crash Never, Error Never];
    a_part_with_one_copy_of_an_extent: UploadPart at "objects::copy-stored" is [Crash Never, Error Never];
    a_part_with_some_extents: UploadPart at "objects::extent-stored" is [Crash Never, Error Never];
    a_part_that_is_stored_and_not_committed: UploadPart at "objects::before-commit" is [Crash Never, Error Never];
    a_part_that_is_committed_and_not_answered: UploadPart at "objects::after-commit" is [Crash Always, Error Always];
    a_completion_with_one_copy_of_the_manifest: Complete at "objects::copy-stored" is [Crash Never, Error Never];
    a_completion_that_is_not_committed: Complete at "objects::before-commit" is [Crash Never, Error Never];
    a_completion_that_is_committed_and_not_answered: Complete at "objects::after-commit" is [Crash Always, Error Always];
    an_abort_whose_commit_fails: Abort at "index::before-apply" is [Crash Never];
    an_abort_whose_commit_is_synced: Abort at "index::after-sync" is [Crash Always];

    a_queued_copy_that_has_begun: Queue at "objects::copy-begun" is [Crash Always, Error Always];
    a_queued_copy_that_is_written_and_not_committed: Queue at "objects::copy-written" is [Crash Always, Error Always];
    a_move_that_has_begun: Move at "objects::move-begun" is [Crash Always, Error Always];
    a_move_that_is_written_and_not_read_back: Move at "objects::move-written" is [Crash Always, Error Always];
    a_move_that_is_not_switched_to: Move at "objects::before-switch" is [Crash Always, Error Always];
    garbage_of_which_one_blob_is_removed: Collect at "backend::removed" is [Crash Always];
    garbage_that_is_removed_while_its_row_is_not: Collect at "objects::garbage-removed" is [Crash Always, Error Always];
    garbage_whose_row_is_gone: Collect at "objects::garbage-collected" is [Crash Always, Error Always];
    a_journal_that_is_told_again_and_not_shortened: FirstStart at "objects::journal-retold" is [Crash Always, Error Always];

    an_erasure_whose_commit_fails: Erase at "index::before-apply" is [Crash Never];
    an_erasure_whose_commit_is_not_synced: Erase at "index::after-apply" is [Crash Either, Fatal Either];
    an_erasure_whose_commit_is_synced: Erase at "index::after-sync" is [Crash Always];
    an_erasure_that_is_accepted_and_not_answered: Erase at "objects::erasure-accepted" is [Crash Always, Error Always];
    an_erasure_of_which_one_record_is_gone: Erase at "objects::erased" is [Crash Always, Error Always];
    an_erasure_that_is_swept: Erase at "erasure::swept" is [Crash Always, Error Always];
    an_erasure_whose_journal_is_told_again: Erase at "objects::journal-renewed" is [Crash Always, Error Always];
    an_erasure_with_new_versions: Erase at "objects::key-rotated" is [Crash Always, Error Always];
    an_erasure_with_one_key_wrapped_again: Erase at "objects::key-rewrapped" is [Crash Always, Error Always];
    an_erasure_before_a_version_is_destroyed: Erase at "objects::key-destroyed" is [Crash Always, Error Always];
    an_erasure_that_is_done_and_does_not_say_so: Erase at "erasure::before-complete" is [Crash Always, Error Always];

    a_renewal_with_a_version_that_is_in_no_entry: Rotate at "objects::key-version-made" is [Crash Always, Error Always];
    a_renewal_with_a_new_version: Rotate at "objects::key-rotated" is [Crash Always, Error Always];
    a_renewal_with_one_key_wrapped_again: Rotate at "objects::key-rewrapped" is [Crash Always, Error Always];
    a_renewal_before_a_version_is_destroyed: Rotate at "objects::key-destroyed" is [Crash Always, Error Always];

    a_subject_key_with_a_new_generation_that_is_not_committed: NewGeneration at "objects::subject-key-rotated" is [Crash Always, Error Always];

    a_first_start_whose_marker_is_not_recorded: FirstStart at "backend::marker-written" is [Crash Always, Error Always];
    a_restart_whose_marker_is_not_recorded: Restart at "backend::marker-written" is [Crash Always, Error Always];
}

macro_rules! failing_abroad {
    ($($test:ident: $act:ident at $point:literal is [$($how:ident $happens:ident),+];)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            tokio::join!($(fails_with(Abroad, Act::$act, $point, $how, $happens)),+);
        })+
    };
}

failing_abroad! {
    a_key_that_is_stored_abroad_and_not_committed: PutNew at "objects::subject-key-stored" is [Crash Never, Error Never];
    a_record_under_a_key_of_another_country: PutLarge at "objects::before-commit" is [Crash Never, Error Never];
    a_renewal_of_a_key_that_seals_abroad: Rotate at "objects::key-rewrapped" is [Crash Always, Error Always];
    a_new_generation_of_a_key_that_lies_abroad: NewGeneration at "objects::subject-key-rotated" is [Crash Always, Error Always];
    an_erasure_of_what_lies_abroad: Erase at "objects::key-destroyed" is [Crash Always, Error Always];
}
