//! A request's body as the use cases see it: decoded, authenticated piece by piece, of bounded length.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;

use crate::digest::Checksum;

/// The pieces of a body, in order. Ends with `None` only when the whole body arrived and every signature, length and hash that the
/// protocol put on it has been checked; anything else is an error item, after which nothing follows.
pub type Body = Pin<Box<dyn Stream<Item = Result<Piece, BodyError>> + Send>>;

/// One item of a [`Body`].
#[derive(Debug)]
pub enum Piece {
    /// Bytes of the object.
    Data(Bytes),
    /// A checksum that arrived behind the bytes, which the object must have.
    Expect(Checksum),
}

/// What is known of the number of a body's bytes before they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// As many as these; a body that ends before or goes on behind them is an error.
    Exact(u64),
    /// These or fewer: the body's end says how many.
    AtMost(u64),
}

impl Length {
    /// The most bytes that it can be.
    pub const fn most(self) -> u64 {
        match self {
            Self::Exact(bytes) | Self::AtMost(bytes) => bytes,
        }
    }
}

/// Why a body did not arrive whole, or is not what it may be. The client's fault or the network's, never the site's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// A chunk's or trailer's signature is wrong.
    #[error("a chunk of the body has a wrong signature")]
    Signature,
    /// The body does not hash to `x-amz-content-sha256`.
    #[error("the body does not match x-amz-content-sha256")]
    Sha256Mismatch,
    /// More or fewer bytes than declared.
    #[error("the body has {got} bytes where {expected} were declared")]
    Length {
        /// Declared bytes.
        expected: u64,
        /// Bytes that came.
        got: u64,
    },
    /// The framing is broken.
    #[error("malformed body: {0}")]
    Malformed(&'static str),
    /// A trailer is missing, unexpected or unreadable.
    #[error("malformed trailer: {0}")]
    Trailer(&'static str),
    /// The connection ended first.
    #[error("the connection ended before the body did")]
    Disconnected,
    /// The object that a copy reads could not be read to its end.
    #[error("the source of the copy could not be read")]
    Source,
    /// The form that the body lies in is broken.
    #[error("malformed form: {0}")]
    Form(&'static str),
    /// More bytes than the form's policy allows.
    #[error("the file is larger than one upload may be, or than the form's policy allows")]
    TooLarge {
        /// The most bytes.
        max: u64,
    },
    /// Fewer bytes than the form's policy allows.
    #[error("the file is smaller than the form's policy allows")]
    TooSmall {
        /// Bytes that came.
        size: u64,
        /// The fewest bytes.
        min: u64,
    },
    /// The client paused for longer than allowed.
    #[error("the body arrived too slowly")]
    TooSlow,
}
