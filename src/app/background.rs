//! What a gateway does beside answering requests: probing and inspecting sites, watching the providers of keys and recording what is asked of them, collecting garbage, storing queued copies, writing and compacting the
//! journal, carrying out lifecycle rules, doing the jobs that were ordered, letting changes of the subject directory take
//! effect, moving the records of subjects that moved, erasing subjects, scrubbing the
//! sites and summing up floods of refusals.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};

use super::{gateway::Work, key_uses::KeyUses};
use crate::backend::Probe;
use crate::erasure;
use crate::lifecycle::{self, Pace};
use crate::notary::Notary;
use crate::objects::{GarbagePolicy, Objects};
use crate::relocation;
use crate::scrub::{self, Continuous};

/// Pause between two rounds of garbage collection.
const PAUSE: Duration = Duration::from_secs(30);
/// Pause between two looks at the queued copies.
const PAUSE_REPLICATION: Duration = Duration::from_secs(2);
/// Pause between two looks at the subjects that moved, and at the changes of the directory whose time has come.
const PAUSE_SETTLING: Duration = Duration::from_secs(2);
/// Pause between two entries that say how many refusals were not written one by one.
const PAUSE_REFUSALS: Duration = Duration::from_secs(10);

/// How often the providers of keys are asked how they are.
const WATCH_KEYS: Duration = Duration::from_secs(1);

/// The background tasks of one gateway. They end when this is dropped.
pub(super) struct Background {
    tasks: JoinSet<()>,
    _probes: [Probe; 2],
}

impl Background {
    pub(super) fn start(
        objects: &Objects,
        probes: [Probe; 2],
        key_uses: Arc<KeyUses>,
        (grace, pace, continuous): (Duration, Pace, Continuous),
        Work { relocations, rotations, erasures, scrubs, imports }: Work,
        notary: Notary,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let collector = objects.clone();
        let pause = PAUSE.min(grace.max(Duration::from_secs(1)));
        spawn(&mut tasks, stopped.clone(), async move { collector.collect_garbage(GarbagePolicy { grace, pause }).await });
        let recorder = objects.clone();
        spawn(&mut tasks, stopped.clone(), async move { recorder.sum_up_refusals(PAUSE_REFUSALS).await });
        let hierarchy = Arc::clone(&objects.hierarchy);
        spawn(&mut tasks, stopped.clone(), async move { hierarchy.watch(WATCH_KEYS).await });
        let recorder = objects.clone();
        spawn(&mut tasks, stopped.clone(), async move { key_uses.record(&recorder).await });
        lifecycle::register();
        let keeper = objects.clone();
        spawn(&mut tasks, stopped.clone(), async move { lifecycle::run(&keeper, pace).await });
        relocation::register();
        let settler = objects.clone();
        spawn(&mut tasks, stopped.clone(), async move { relocation::settle(&settler, PAUSE_SETTLING).await });
        let keeper = objects.clone();
        spawn(&mut tasks, stopped.clone(), async move { keeper.keep_directory(PAUSE_SETTLING).await });
        spawn(&mut tasks, stopped.clone(), async move { relocations.serve().await });
        scrub::register();
        spawn(&mut tasks, stopped.clone(), async move { scrubs.serve().await });
        let scrubber = objects.clone();
        spawn(&mut tasks, stopped.clone(), async move { scrub::scrub(&scrubber, continuous).await });
        spawn(&mut tasks, stopped.clone(), async move { imports.serve().await });
        spawn(&mut tasks, stopped.clone(), async move { rotations.serve().await });
        erasure::register();
        spawn(&mut tasks, stopped.clone(), async move { erasures.serve().await });
        spawn(&mut tasks, stopped.clone(), async move { notary.run().await });
        let journal = objects.clone();
        spawn(&mut tasks, stopped.clone(), async move { journal.keep_journal().await });
        let compactor = objects.clone();
        spawn(&mut tasks, stopped.clone(), async move { compactor.compact_journal().await });
        let replicator = objects.clone();
        spawn(&mut tasks, stopped, async move { replicator.replicate(PAUSE_REPLICATION).await });
        Self { tasks, _probes: probes }
    }

    /// Waits until every task has ended; the stop signal has been given before.
    pub(super) async fn stop(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Runs `work` until it ends or the gateway stops. Work is cancelled at its next wait: every step of it can be repeated.
fn spawn(tasks: &mut JoinSet<()>, mut stopped: watch::Receiver<bool>, work: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(async move {
        tokio::select! {
            () = work => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    });
}
