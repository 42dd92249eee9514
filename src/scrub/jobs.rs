//! Scrubs as jobs. One that was broken off is ordered again.

use serde::Serialize;

use super::{Counting, Order, Progress, Sample, run};
use crate::{
    jobs::{self, Jobs, Task},
    objects::{Depth, ObjectError, Objects},
    types::{BucketName, SubjectId},
};

/// What is told of a scrub.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// Whether every byte is opened.
    pub deep: bool,
    /// Whether what can safely be put right is.
    pub repair: bool,
    /// Only this bucket.
    pub bucket: Option<BucketName>,
    /// Only keys that begin so.
    pub prefix: Option<String>,
    /// Only this subject.
    pub subject: Option<SubjectId>,
    /// Only a part drawn by chance.
    pub sample: Option<Sample>,
    /// What has been done.
    pub progress: Progress,
}

/// One scrub.
pub type Job = jobs::Job<View>;
/// The scrubs of a gateway.
pub type Scrubs = Jobs<Order>;

impl Task for Order {
    type Counting = Counting;
    type View = View;

    const NAME: &'static str = "scrub";

    fn view(&self, counting: &Counting) -> View {
        View {
            deep: self.depth == Depth::Whole,
            repair: self.repair,
            bucket: self.stock.bucket.clone(),
            prefix: self.stock.prefix.clone(),
            subject: self.stock.subject.clone(),
            sample: self.sample,
            progress: counting.progress(),
        }
    }

    async fn work(&self, objects: &Objects, counting: &Counting) -> Result<(), ObjectError> {
        run(objects, self, counting).await
    }
}
