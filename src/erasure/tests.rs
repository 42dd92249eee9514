//! What an erasure leaves.
