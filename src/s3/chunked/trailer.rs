//! The header fields that follow the last chunk.

use super::error::ChunkedError;
use crate::authn::{ChunkSigner, Signature};

/// The most bytes of trailers, line breaks included.
pub(super) const MAX_TRAILERS: usize = 8 * 1024;

const SIGNATURE: &str = "x-amz-trailer-signature";

/// The trailers of a body that was read to its end: names in lower case, values without white space around them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailers(Vec<(String, String)>);

impl Trailers {
    /// The value of the trailer `name`, in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(each, _)| *each == name).map(|(_, value)| value)
    }

    /// All trailers, in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Reads the lines after the last chunk.
#[derive(Debug)]
pub(super) struct TrailerSection {
    announced: Vec<String>,
    found: Trailers,
    /// Whether the signature was there and right; none when it need not be.
    signed: Option<bool>,
    size: usize,
    blank_line_seen: bool,
}

impl TrailerSection {
    /// `announced` is the value of `x-amz-trailer`. With `needs_signature` the trailers end with their signature.
    pub(super) fn new(announced: &str, needs_signature: bool) -> Self {
        let names = announced.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
        let signed = needs_signature.then_some(false);
        Self { announced: names.collect(), found: Trailers::default(), signed, size: 0, blank_line_seen: false }
    }

    /// How many more bytes the section may have.
    pub(super) fn room(&self) -> usize {
        MAX_TRAILERS.saturating_sub(self.size)
    }

    /// Takes a line, with the `\n` that ends it. True after the last one.
    pub(super) fn take(&mut self, line: &[u8], signer: Option<&mut ChunkSigner>) -> Result<bool, ChunkedError> {
        self.size = self.size.saturating_add(line.len());
        let line = std::str::from_utf8(line).map_err(|_| ChunkedError::Trailer)?.trim_ascii();
        if line.is_empty() {
            // Some clients end the trailers with an empty line before they sign them, and with another one after that.
            let tolerated = self.signed == Some(false) && !self.found.0.is_empty() && !self.blank_line_seen;
            self.blank_line_seen = true;
            return if tolerated { Ok(false) } else { self.end().map(|()| true) };
        }
        let (name, value) = line.split_once(':').ok_or(ChunkedError::Trailer)?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim_ascii());
        let visible = |text: &str| text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        if name.is_empty() || name.contains(' ') || !visible(&name) || !visible(value) {
            return Err(ChunkedError::Trailer);
        }
        match (self.signed, signer) {
            (Some(true), _) => return Err(ChunkedError::TrailerUnexpected),
            (Some(false), Some(signer)) if name == SIGNATURE => {
                self.check_signature(value, signer)?;
                return Ok(false);
            }
            _ => {}
        }
        if !self.announced.contains(&name) || self.found.get(&name).is_some() {
            return Err(ChunkedError::TrailerUnexpected);
        }
        self.found.0.push((name, value.to_owned()));
        Ok(false)
    }

    fn check_signature(&mut self, value: &str, signer: &mut ChunkSigner) -> Result<(), ChunkedError> {
        let signature: Signature = value.parse().map_err(|_| ChunkedError::TrailerSignature)?;
        let canonical: String = self.found.iter().flat_map(|(name, value)| [name, ":", value, "\n"]).collect();
        signer.verify_trailer(canonical.as_bytes(), &signature).map_err(|_| ChunkedError::TrailerSignature)?;
        self.signed = Some(true);
        Ok(())
    }

    fn end(&self) -> Result<(), ChunkedError> {
        if let Some(missing) = self.announced.iter().find(|name| self.found.get(name).is_none()) {
            return Err(ChunkedError::TrailerMissing(missing.clone()));
        }
        if self.signed == Some(false) { Err(ChunkedError::TrailerSignatureMissing) } else { Ok(()) }
    }

    pub(super) fn into_trailers(self) -> Trailers {
        self.found
    }
}
