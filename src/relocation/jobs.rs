//! Relocations as jobs. One that was broken off is ordered again and goes on where the other came to: what has moved by then stays where
//! it is.

use parking_lot::Mutex;
use serde::Serialize;

use super::{
    plan::{Plan, plan},
    run::{Counting, Order, Progress, run},
};
use crate::{
    jobs::{self, Jobs, Task},
    objects::{ObjectError, Objects},
    types::{BucketName, SubjectId},
};

/// A relocation that was ordered.
#[derive(Debug, Clone)]
pub struct Relocation {
    /// What to move.
    pub order: Order,
    /// Whether it only plans.
    pub dry_run: bool,
}

/// What is told of a relocation.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// Whether it only plans.
    pub dry_run: bool,
    /// Only this bucket.
    pub bucket: Option<BucketName>,
    /// Only keys that begin so.
    pub prefix: Option<String>,
    /// Only this subject.
    pub subject: Option<SubjectId>,
    /// What has been done.
    pub progress: Progress,
    /// What there was to do when it began: what it does is held against this, and each way of it against the backlog deadline.
    pub plan: Option<Plan>,
}

/// One relocation.
pub type Job = jobs::Job<View>;
/// The relocations of a gateway.
pub type Relocations = Jobs<Relocation>;

/// What a relocation has come to.
#[derive(Default)]
pub struct Done {
    moved: Counting,
    plan: Mutex<Option<Plan>>,
}

impl Task for Relocation {
    type Counting = Done;
    type View = View;

    const NAME: &'static str = "relocation";

    fn view(&self, done: &Done) -> View {
        let stock = &self.order.stock;
        View {
            dry_run: self.dry_run,
            bucket: stock.bucket.clone(),
            prefix: stock.prefix.clone(),
            subject: stock.subject.clone(),
            progress: done.moved.progress(),
            plan: done.plan.lock().clone(),
        }
    }

    async fn work(&self, objects: &Objects, done: &Done) -> Result<(), ObjectError> {
        let set = objects.policies.load_full();
        let planned = plan(objects, &set, self.order.stock.clone()).await?;
        *done.plan.lock() = Some(planned);
        if self.dry_run {
            return Ok(());
        }
        Ok(run(objects, &self.order, &done.moved).await?)
    }
}
