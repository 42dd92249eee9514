//! The file: a prelude in the clear, then sealed lines and what the export says of itself.
//!
//! ```text
//! file  = "DOMINDEX" (8) ‖ version (2) ‖ installation (16) ‖ Tink stream (see `seal::archive`) with all before as associated data
//! lines = ( length of row (4) ‖ row ‖ length of body (4) ‖ body )* ‖ 0 (4) ‖ Exported as MessagePack
//! ```
//!
//! Numbers are big-endian. A body of length 2³²−1 has no bytes: the row is gone. A body is the row's plaintext, of a ledger row its leaf.

use std::io::{self, Read};

use super::Exported;
use crate::{
    index::{
        IndexError,
        codec::{decode, encode},
    },
    kms::SecretKey,
    seal::{ArchiveOpener, ArchiveSealer, SealError},
};

const MAGIC: &[u8; 8] = b"DOMINDEX";
/// The version of the format; a reader refuses a higher one.
pub const EXPORT_VERSION: u16 = 1;
const PRELUDE: usize = MAGIC.len() + 2 + 16;
/// In place of a body's length.
const GONE: u32 = u32::MAX;
/// Longer than any row's key: an object key twice its length, and what is around it.
const MOST_ROW: u32 = 64 * 1024;
/// Longer than any body: a part table has less than 2 MB.
const MOST_BODY: u32 = 256 * 1024 * 1024;

/// Why an export cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file.
    #[error("the export cannot be read: {0}")]
    Read(#[source] io::Error),
    /// Something else.
    #[error("this is no export of an index")]
    NotAnExport,
    /// A later format.
    #[error("the export has format {0}, which this version does not know: use a newer one")]
    Format(u16),
    /// It was made with another keyring.
    #[error("the export is of installation {found}, the keyring of installation {own}")]
    Foreign {
        /// The export's.
        found: String,
        /// The keyring's.
        own: String,
    },
    /// It does not authenticate.
    #[error("the export does not open: it was altered or cut off, or its keyring is another")]
    Altered,
    /// It opens and cannot be understood.
    #[error("the export is malformed: {0}")]
    Malformed(&'static str),
    /// The index that it is read into.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// The key that seals exports.
fn key(index_key: &SecretKey) -> SecretKey {
    index_key.derive(b"", &[b"domicile index export v1"])
}

/// Begins a file.
pub(super) fn begin(index_key: &SecretKey, installation: [u8; 16]) -> Result<ArchiveSealer, SealError> {
    let prelude = [&MAGIC[..], &EXPORT_VERSION.to_be_bytes(), &installation].concat();
    ArchiveSealer::new(&key(index_key), &prelude)
}

/// Appends a line.
pub(super) fn line(row: &[u8], body: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), IndexError> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|error| IndexError::Encode(error.to_string()));
    out.extend_from_slice(&length(row)?.to_be_bytes());
    out.extend_from_slice(row);
    out.extend_from_slice(&body.map_or(Ok(GONE), length)?.to_be_bytes());
    out.extend_from_slice(body.unwrap_or_default());
    Ok(())
}

/// The last of it.
pub(super) fn end(exported: &Exported) -> Result<Vec<u8>, IndexError> {
    Ok([&0_u32.to_be_bytes()[..], &encode(exported)?].concat())
}

/// Shows the lines of a file in order, and answers with what it says of itself.
pub(in crate::index) fn read(
    mut source: impl Read,
    index_key: &SecretKey,
    installation: [u8; 16],
    mut visit: impl FnMut(Vec<u8>, Option<Vec<u8>>) -> Result<(), IndexError>,
) -> Result<Exported, ExportError> {
    let mut prelude = [0; PRELUDE];
    source.read_exact(&mut prelude).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ExportError::NotAnExport,
        _ => ExportError::Read(error),
    })?;
    let (magic, rest) = prelude.split_at(MAGIC.len());
    let (version, found) = rest.split_at(2);
    let version = version.try_into().map_or(u16::MAX, u16::from_be_bytes);
    if magic != MAGIC {
        return Err(ExportError::NotAnExport);
    }
    if version > EXPORT_VERSION {
        return Err(ExportError::Format(version));
    }
    if found != installation {
        return Err(ExportError::Foreign { found: hex::encode(found), own: hex::encode(installation) });
    }
    let mut opener = ArchiveOpener::new(&key(index_key), &prelude, source).map_err(unread)?;
    let mut lines = 0;
    loop {
        let row = match number(&mut opener)? {
            0 => break,
            length if length > MOST_ROW => return Err(ExportError::Malformed("a row's key is too long")),
            length => bytes(&mut opener, length)?,
        };
        let body = match number(&mut opener)? {
            GONE => None,
            length if length > MOST_BODY => return Err(ExportError::Malformed("a row is too long")),
            length => Some(bytes(&mut opener, length)?),
        };
        lines += 1;
        visit(row, body)?;
    }
    let mut last = Vec::new();
    // To the very end: only there it is certain that nothing was cut off.
    opener.take(u64::from(MOST_BODY)).read_to_end(&mut last).map_err(unread)?;
    let exported: Exported = decode('m', &last).map_err(|_| ExportError::Malformed("its end cannot be read"))?;
    if exported.lines == lines { Ok(exported) } else { Err(ExportError::Malformed("lines are missing")) }
}

/// Seals `plain` as the lines of an export and reads them: what a fuzz target can change behind a seal that nobody else can make.
///
/// # Errors
/// As reading an export.
#[cfg(any(test, feature = "test-util"))]
pub fn read_sealed(plain: &[u8]) -> Result<Exported, ExportError> {
    let (index_key, installation) = (SecretKey::take(&mut [7; 32]), [1; 16]);
    let sealed = begin(&index_key, installation).and_then(|mut sealer| sealer.push(plain).and_then(|()| sealer.finish()));
    let sealed = sealed.map_err(|_| ExportError::Altered)?;
    read(&sealed[..], &index_key, installation, |_, _| Ok(()))
}

fn number(opener: &mut impl Read) -> Result<u32, ExportError> {
    let mut number = [0; 4];
    opener.read_exact(&mut number).map_err(unread)?;
    Ok(u32::from_be_bytes(number))
}

fn bytes(opener: &mut impl Read, length: u32) -> Result<Vec<u8>, ExportError> {
    let mut bytes = Vec::new();
    opener.take(u64::from(length)).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() == length as usize { Ok(bytes) } else { Err(ExportError::Malformed("it ends within a row")) }
}

fn unread(error: io::Error) -> ExportError {
    if error.get_ref().is_some_and(|inner| inner.is::<SealError>()) {
        return ExportError::Altered;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ExportError::Malformed("it ends too early"),
        _ => ExportError::Read(error),
    }
}
