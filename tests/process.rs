//! What the gateway does to its own process, in a process of its own.

use domicile::app;
use rustix::{
    fs::Mode,
    process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit, umask},
};

#[test]
fn memory_is_not_dumped_and_files_are_private() {
    app::close_to_others().unwrap();
    assert_eq!(getrlimit(Resource::Core).current, Some(0));
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    assert_eq!(umask(Mode::RWXG | Mode::RWXO), Mode::RWXG | Mode::RWXO);
}
