//! How far an import of a file has come, kept beside the file: what a later one needs to go on there.
//!
//! The file's beginning is named by its hash, so that an import never goes on in another file. The lines behind may be corrected or added to
//! meanwhile.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::cli::Failure;
use crate::digest::Sha256;

/// How far an import has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// The version of this format.
    pub(super) version: u32,
    /// The gateway's address.
    pub(super) gateway: String,
    /// The day and the reason that lines without their own get.
    pub(super) effective: Option<String>,
    pub(super) reason: Option<String>,
    /// Bytes of the file that are done.
    pub(super) bytes: u64,
    /// SHA-256 of them, in hex.
    pub(super) sha256: String,
    /// The last line that is done.
    pub(super) line: u64,
    pub(super) imported: u64,
    pub(super) unchanged: u64,
    pub(super) failed: u64,
}

const VERSION: u32 = 1;

/// The state of an import of one file, and the hash of what is done of it.
pub(super) struct Kept {
    path: PathBuf,
    source: File,
    hash: Sha256,
    hashed: u64,
}

impl Kept {
    /// Of a file, with nothing done.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn of(file: &Path) -> Result<Self, Failure> {
        let source = File::open(file).map_err(|error| Failure::Usage(format!("cannot read `{}`: {error}", file.display())))?;
        let mut name = file.as_os_str().to_owned();
        name.push(".import-state");
        Ok(Self { path: name.into(), source, hash: Sha256::new(), hashed: 0 })
    }

    /// What an earlier import left behind.
    ///
    /// # Errors
    /// That cannot be read.
    pub(super) fn read(&self) -> Result<Option<State>, Failure> {
        let wrong = |why: &dyn std::fmt::Display| Failure::Usage(format!("cannot read `{}`: {why}", self.path.display()));
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(&error)),
        };
        let state: State = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
        if state.version == VERSION { Ok(Some(state)) } else { Err(wrong(&"it has another version")) }
    }

    /// Makes sure that the file still begins with what is done.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn resume(&mut self, state: &State) -> Result<(), Failure> {
        let other = || {
            Failure::Usage(format!("the first {} bytes are not those that were imported: import it from the start", state.bytes))
        };
        self.advance(state.bytes).map_err(|_| other())?;
        if self.hex() == state.sha256 { Ok(()) } else { Err(other()) }
    }

    /// Keeps how far it has come, so that a crash leaves either this or what was kept before.
    ///
    /// # Errors
    /// File or state cannot be read or written.
    pub(super) fn keep(&mut self, state: &mut State) -> Result<(), Failure> {
        self.advance(state.bytes).map_err(|error| Failure::Usage(format!("the file cannot be read again: {error}")))?;
        let failed = |error: io::Error| Failure::Usage(format!("cannot write `{}`: {error}", self.path.display()));
        state.version = VERSION;
        state.sha256 = self.hex();
        let text = serde_json::to_vec_pretty(state).map_err(|error| failed(error.into()))?;
        let next = self.path.with_extension("import-state.next");
        std::fs::write(&next, text).and_then(|()| std::fs::rename(&next, &self.path)).map_err(failed)
    }

    /// Forgets it: everything is done.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn forget(&self) -> Result<(), Failure> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::Usage(format!("cannot remove `{}`: {error}", self.path.display())))
            }
            _ => Ok(()),
        }
    }

    fn hex(&self) -> String {
        hex::encode(self.hash.clone().finish())
    }

    fn advance(&mut self, to: u64) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        while self.hashed < to {
            let most = usize::try_from(to - self.hashed).unwrap_or(usize::MAX).min(buffer.len());
            let read = self.source.read(&mut buffer[..most])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.hash.update(&buffer[..read]);
            self.hashed += read as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_goes_on_only_in_the_file_that_it_began() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people.csv");
        std::fs::write(&file, "one\ntwo\nthree\n").unwrap();
        let mut kept = Kept::of(&file).unwrap();
        assert_eq!(kept.read().unwrap(), None);
        let mut state = State { bytes: 4, line: 1, ..State::default() };
        kept.keep(&mut state).unwrap();
        state = State { bytes: 8, line: 2, ..state };
        kept.keep(&mut state).unwrap();
        std::fs::write(&file, "one\ntwo\nTHREE\nfour\n").unwrap();
        let mut later = Kept::of(&file).unwrap();
        let found = later.read().unwrap().unwrap();
        assert_eq!(found, state);
        later.resume(&found).unwrap();
        for other in ["one\nTWO\nthree\n", "one\n"] {
            std::fs::write(&file, other).unwrap();
            assert!(Kept::of(&file).unwrap().resume(&found).is_err());
        }
        later.forget().unwrap();
        later.forget().unwrap();
        assert_eq!(later.read().unwrap(), None);
    }
}
