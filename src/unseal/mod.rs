//! The way out: opens sealed blobs that lie in a folder, with exported keys or a keyring. No gateway, no index, no network.
//!
//! Everything that a GET verifies is verified: heads and segments authenticate, lengths are exact, parts and extents are in their order, and
//! the content is what the entity tag and the checksum were taken of. `docs/unseal.md` does the same with other people's tools.

mod error;
mod everything;
mod folder;
mod keys;
mod names;
mod record;

pub use error::{Piece, UnsealError};
pub use everything::{Attempt, Catalogue, Found, Restore, Restored};
pub use folder::{Folder, Seen};
pub use keys::Keys;
pub use names::relative_path;
pub use record::{SealedRecord, write_whole};
