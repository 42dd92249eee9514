//! Imports as jobs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::Serialize;

use super::{Counting, Order, Progress, SubjectMap, walk::Walk};
use crate::{
    authn::Principals,
    backend::Source,
    jobs::{self, Jobs, Task},
    objects::{Gate, ObjectError, Objects},
    types::{BucketName, PrincipalId, SourceId},
};

/// An import that was ordered.
#[derive(Clone)]
pub struct Import {
    order: Arc<Order>,
    source: Arc<dyn Source>,
    principals: Arc<ArcSwap<Principals>>,
    /// Kept no longer than the job needs it: maps are large, and jobs are remembered.
    map: Arc<Mutex<Arc<SubjectMap>>>,
}

/// What is told of an import.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// The source.
    pub source: SourceId,
    /// The bucket there.
    pub bucket: String,
    /// Only keys that begin so.
    pub prefix: String,
    /// The bucket written to.
    pub to: BucketName,
    /// What keys begin with instead of `prefix`.
    pub to_prefix: Option<String>,
    /// In whose name.
    pub principal: PrincipalId,
    /// Whether it only plans.
    pub dry_run: bool,
    /// Whether objects are removed at the source.
    pub delete_source: bool,
    /// What has been done.
    pub progress: Progress,
}

/// One import.
pub type Job = jobs::Job<View>;
/// The imports of a gateway.
pub type Imports = Jobs<Import>;

impl Import {
    /// Imports from `source` as `order` says, in the name of one of `principals`.
    pub fn new(order: Order, source: Arc<dyn Source>, principals: Arc<ArcSwap<Principals>>, map: SubjectMap) -> Self {
        Self { order: Arc::new(order), source, principals, map: Arc::new(Mutex::new(Arc::new(map))) }
    }
}

#[cfg(test)]
impl Import {
    /// How many objects its map knows of.
    pub(super) fn known(&self) -> usize {
        self.map.lock().len()
    }
}

impl Task for Import {
    type Counting = Counting;
    type View = View;

    const NAME: &'static str = "import";

    fn view(&self, counting: &Counting) -> View {
        let order = &self.order;
        View {
            source: order.source.clone(),
            bucket: order.bucket.clone(),
            prefix: order.prefix.clone(),
            to: order.to.clone(),
            to_prefix: order.to_prefix.clone(),
            principal: order.principal.clone(),
            dry_run: order.dry_run,
            delete_source: order.delete_source,
            progress: counting.progress(),
        }
    }

    fn release(&self) {
        *self.map.lock() = Arc::default();
    }

    async fn work(&self, objects: &Objects, counting: &Counting) -> Result<(), ObjectError> {
        let walk = Walk {
            objects,
            order: &self.order,
            source: Arc::clone(&self.source),
            principals: &self.principals,
            map: Arc::clone(&*self.map.lock()),
            counting,
            gate: Gate::new(self.order.pace),
        };
        walk.run().await
    }
}
