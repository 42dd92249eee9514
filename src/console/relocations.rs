//! Records on their way, as it goes on.

use askama::Template;
use axum::{Extension, extract::Path};

use super::{
    chrome::{Answer, Chrome, page as answer},
    filters, places,
    seat::Seat,
};
use crate::admin::{Problem, Query};
use crate::jobs::JobState;
use crate::relocation::{Job, Move};

/// The look of a job's state.
pub(super) const fn mood(state: JobState) -> &'static str {
    match state {
        JobState::Waiting => "quiet",
        JobState::Running => "busy",
        JobState::Done => "ok",
        JobState::Cancelled => "warn",
        JobState::Failed => "bad",
    }
}

/// The word for it.
pub(super) const fn word(state: JobState) -> &'static str {
    match state {
        JobState::Waiting => "Waiting",
        JobState::Running => "Running",
        JobState::Done => "Done",
        JobState::Cancelled => "Called off",
        JobState::Failed => "Broken off",
    }
}

/// What the templates of a job ask of it.
macro_rules! of_a_job {
    ($page:ty) => {
        impl $page {
            const fn job_mood(&self, state: &JobState) -> &'static str {
                mood(*state)
            }

            const fn job_word(&self, state: &JobState) -> &'static str {
                word(*state)
            }

            const fn is_live(&self, job: &Job) -> bool {
                matches!(job.state, JobState::Waiting | JobState::Running)
            }

            /// Of the records that were to go one way, how many have.
            fn moved(&self, job: &Job, way: &Move) -> u64 {
                let same = |done: &&crate::relocation::Way| {
                    done.from == way.from && done.to == way.to && done.instruments == way.instruments
                };
                job.view.progress.ways.iter().filter(same).map(|done| done.records.objects).sum()
            }
        }
    };
}

#[derive(Template)]
#[template(path = "relocations.html")]
struct RelocationsPage {
    chrome: Chrome,
    jobs: Vec<Job>,
}

#[derive(Template)]
#[template(path = "relocation_page.html")]
struct RelocationPage {
    chrome: Chrome,
    job: Job,
}

of_a_job!(RelocationsPage);
of_a_job!(RelocationPage);

pub(super) async fn page(Extension(seat): Extension<Seat>) -> Answer {
    let mut jobs = seat.ask(Query::Relocations).await?.relocations();
    jobs.reverse();
    answer(&RelocationsPage { chrome: Chrome::new(&seat, "Relocations", Some(places::RELOCATIONS)), jobs })
}

pub(super) async fn one(Extension(seat): Extension<Seat>, Path(id): Path<u64>) -> Answer {
    let job = seat.ask(Query::Relocation).await?.relocation(id);
    let job = job.ok_or_else(|| Problem::not_found("there is no such relocation in this run of the gateway"))?;
    answer(&RelocationPage { chrome: Chrome::new(&seat, format!("Relocation {id}"), Some(places::RELOCATIONS)), job })
}
