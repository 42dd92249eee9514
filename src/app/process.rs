//! What the operating system may show of this process to others.

use std::io;

use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, setrlimit, umask},
};

/// Keeps keys and plaintext out of core dumps, keeps other processes of the same user from reading this one's memory (root still can),
/// and makes every file that is created from now on readable by this user alone. Comes first, before a secret is read.
///
/// # Errors
/// When the system refuses: nothing should be served then.
pub fn close_to_others() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    umask(Mode::RWXG | Mode::RWXO);
    Ok(())
}
