//! `domicile demo`.

use clap::Args;

use super::{Failure, Output};

/// What `domicile demo` takes.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Keep the folder with everything the demo made.
    #[arg(long)]
    pub keep: bool,
}

/// Shows what the gateway does.
///
/// # Errors
/// [`Failure::NotBuilt`].
pub fn run(_: &DemoArgs, _: &mut Output<'_>) -> Result<(), Failure> {
    Err(Failure::NotBuilt("demo"))
}
