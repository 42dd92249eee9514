//! Bringing the objects of a plain S3 bucket under the gateway: the backlog that was there before it.
//!
//! An [`Import`] is a job. It goes through a foreign bucket in the order of its keys; each object takes the way of a PUT, decided by the policies
//! from what the object says of itself and what the operator says of it ([`Order`], [`SubjectMap`]), and is refused where they cannot tell. Its
//! bytes are held against what the source says of them before anything is committed (`verify.rs`).
//!
//! Nothing is remembered between two imports: each record says what it was imported from, so an import that was broken off is ordered again and
//! passes over what is there. What a client has written meanwhile is never overwritten unasked. Only what has been read back from every site may be
//! removed at the source.

#[cfg(test)]
mod fixture;
mod job;
mod object;
mod order;
mod progress;
#[cfg(test)]
mod tests;
mod verify;
mod walk;

pub use job::{Import, Imports, Job, View};
pub use order::{MapRow, Order, SubjectMap, Twice};
pub use progress::{Counting, Left, Placed, Progress, Why};
