//! The `domicile` binary.

fn main() {}
