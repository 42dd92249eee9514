//! The aws-chunked body encoding, decoded as it streams.
//!
//! SDKs frame uploads in chunks so that they can sign, or append a checksum of, what they have not read yet. The three forms are
//! `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, the same with `-TRAILER`, and `STREAMING-UNSIGNED-PAYLOAD-TRAILER`. Source: "Signature
//! Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" in the Amazon S3 API Reference.
//!
//! Data comes out before the signature of its chunk has been seen, since a chunk may be of any size: nothing may be committed
//! before [`Decoder::finish`] has said that the body was whole and right.

mod decoder;
mod error;
mod trailer;

#[cfg(test)]
mod tests;

pub use decoder::{Decoder, Framing};
pub use error::ChunkedError;
pub use trailer::Trailers;
