//! Hashes, checksums and randomness.
