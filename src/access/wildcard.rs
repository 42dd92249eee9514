//! Text in which `*` and `?` stand for others.
