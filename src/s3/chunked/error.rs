//! What can be wrong with an aws-chunked body.

use super::{decoder::MAX_CHUNK_HEADER, trailer::MAX_TRAILERS};

/// A body that is not what its headers promise. Whatever was decoded of it must not be committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkedError {
    /// The line before a chunk's data cannot be read.
    #[error("malformed chunk header: expected `<hex length>` and, in a signed body, `;chunk-signature=<64 hex digits>`")]
    ChunkHeader,
    /// The line before a chunk's data is too long.
    #[error("a chunk header is longer than {MAX_CHUNK_HEADER} bytes")]
    ChunkHeaderTooLong,
    /// No line break where a chunk's data should end.
    #[error("a chunk's data is not followed by CR LF; its length in the chunk header is wrong")]
    ChunkEnd,
    /// A chunk's signature is wrong.
    #[error("the signature of a chunk does not match")]
    ChunkSignature,
    /// The chunks hold more than was announced.
    #[error("the body is longer than `x-amz-decoded-content-length`")]
    TooLong,
    /// The last chunk came before all that was announced.
    #[error("the body is shorter than `x-amz-decoded-content-length`")]
    TooShort,
    /// The body ended without a chunk of length zero.
    #[error("the body ended before its last chunk (of length zero)")]
    LastChunkMissing,
    /// The body ended after the last chunk, but not at its end.
    #[error("the body ended within its trailers or without the empty line that ends them")]
    EndMissing,
    /// A trailer cannot be read.
    #[error("malformed trailer: expected `name:value`")]
    Trailer,
    /// The trailers are too long together.
    #[error("the trailers are longer than {MAX_TRAILERS} bytes")]
    TrailersTooLong,
    /// A trailer that `x-amz-trailer` names did not come.
    #[error("the trailer `{0}` that `x-amz-trailer` announces is missing")]
    TrailerMissing(String),
    /// A trailer that `x-amz-trailer` does not name, or one that is there twice.
    #[error("a trailer was not announced by `x-amz-trailer`, or is there twice")]
    TrailerUnexpected,
    /// Signed trailers without a signature.
    #[error("`x-amz-trailer-signature` is missing")]
    TrailerSignatureMissing,
    /// The trailers' signature is wrong.
    #[error("the signature of the trailers does not match")]
    TrailerSignature,
    /// More bytes after the end.
    #[error("there are more bytes after the end of the body")]
    AfterEnd,
}

impl ChunkedError {
    /// The `Code` of S3's error document.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ChunkSignature | Self::TrailerSignature => "SignatureDoesNotMatch",
            Self::TooShort | Self::LastChunkMissing | Self::EndMissing => "IncompleteBody",
            Self::Trailer
            | Self::TrailersTooLong
            | Self::TrailerMissing(_)
            | Self::TrailerUnexpected
            | Self::TrailerSignatureMissing => "MalformedTrailerError",
            Self::ChunkHeader | Self::ChunkHeaderTooLong | Self::ChunkEnd | Self::TooLong | Self::AfterEnd => "InvalidRequest",
        }
    }

    /// The HTTP status that S3 answers with.
    pub const fn status(&self) -> u16 {
        match self {
            Self::ChunkSignature | Self::TrailerSignature => 403,
            _ => 400,
        }
    }
}
