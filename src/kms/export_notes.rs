//! Exports of keys that the ledger does not know yet: a file beside the keyring.
//!
//! Keys are exported off-line, where nothing runs that writes a ledger. So each export is noted before its keys are written, and a gateway
//! that serves with the keyring takes the notes into its ledger. A note bears an HMAC under a key of the keyring: nobody without it makes
//! one up. Whoever has it can export without this program, too, and leave no note.

use std::{
    collections::BTreeSet,
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::{KeyOwner, KmsError, SecretKey};
use crate::{
    digest,
    types::{Country, RecordId, Timestamp},
};

/// What is read of the file at a time; the rest stays for the next.
const MOST: usize = 1 << 20;
/// How long whoever adds a note waits for who reads them.
const PATIENCE: Duration = Duration::from_secs(10);

/// The notes of one keyring.
pub struct ExportNotes {
    path: PathBuf,
    key: SecretKey,
}

/// One export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExportNote {
    /// Tells it apart: one that was taken twice, because of a crash, is the same.
    #[serde(with = "crate::digest::as_hex")]
    pub id: [u8; 16],
    /// When it was made.
    pub at: Timestamp,
    /// Whose keys.
    pub owner: KeyOwner,
    /// The one record that the key opens; otherwise all of the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// The countries whose copies they open.
    pub countries: BTreeSet<Country>,
    /// How many keys.
    pub keys: u64,
}

/// Notes that were read. Nobody adds one until this is dropped.
pub struct TakenNotes {
    /// What they say.
    pub notes: Vec<ExportNote>,
    /// Lines that this keyring has not written, or not to their end.
    pub unreadable: usize,
    path: PathBuf,
    file: File,
    rest: Vec<u8>,
}

impl ExportNotes {
    pub(super) fn beside(keyring: &Path, key: SecretKey) -> Self {
        let mut name = keyring.file_name().unwrap_or_default().to_owned();
        name.push(".exports");
        Self { path: keyring.with_file_name(name), key }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a note, durably.
    ///
    /// # Errors
    /// [`KmsError::Io`].
    pub fn add(&self, note: &ExportNote) -> Result<(), KmsError> {
        let text = serde_json::to_string(note).map_err(|_| KmsError::Crypto)?;
        let line = format!("{} {text}\n", hex::encode(self.mac(&text)));
        let write = || {
            let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
            let began = Instant::now();
            while !lock(&file)? {
                if began.elapsed() > PATIENCE {
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, "another process has it locked"));
                }
                thread::sleep(Duration::from_millis(20));
            }
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
            File::open(self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|error| io_error(&self.path, error))
    }

    /// Reads the notes; `None` where there are none, or one is being added just now. [`TakenNotes::forget`] removes them once they are kept elsewhere.
    ///
    /// # Errors
    /// [`KmsError::Io`].
    pub fn take(&self) -> Result<Option<TakenNotes>, KmsError> {
        let read = || {
            let mut file = match OpenOptions::new().read(true).write(true).open(&self.path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            if file.metadata()?.len() == 0 || !lock(&file)? {
                return Ok(None);
            }
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(Some((file, bytes)))
        };
        let Some((file, mut bytes)) = read().map_err(|error| io_error(&self.path, error))? else { return Ok(None) };
        let whole = bytes.iter().take(MOST).rposition(|byte| *byte == b'\n').filter(|_| bytes.len() > MOST);
        let rest = whole.map_or_else(Vec::new, |end| bytes.split_off(end + 1));
        let (mut notes, mut unreadable) = (Vec::new(), 0);
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match self.read(line) {
                Some(note) => notes.push(note),
                None => unreadable += 1,
            }
        }
        Ok(Some(TakenNotes { notes, unreadable, path: self.path.clone(), file, rest }))
    }

    fn read(&self, line: &[u8]) -> Option<ExportNote> {
        let (mac, text) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let is_ours = hex::decode(mac).ok()? == self.mac(text);
        if is_ours { serde_json::from_str(text).ok() } else { None }
    }

    fn mac(&self, text: &str) -> [u8; 32] {
        digest::hmac_sha256(self.key.expose(), &[text.as_bytes()])
    }
}

impl TakenNotes {
    /// Removes what was read.
    ///
    /// # Errors
    /// [`KmsError::Io`].
    pub fn forget(mut self) -> Result<(), KmsError> {
        let forget = |file: &mut File, rest: &[u8]| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(rest)?;
            file.sync_all()
        };
        forget(&mut self.file, &self.rest).map_err(|error| io_error(&self.path, error))
    }
}

impl fmt::Debug for ExportNotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportNotes").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Until the file is closed; `false` when somebody else has it.
fn lock(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn io_error(path: &Path, source: io::Error) -> KmsError {
    KmsError::Io { path: path.to_owned(), source: source.into() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::types::Pseudonym;

    fn note(keys: u64) -> ExportNote {
        ExportNote {
            id: digest::random(),
            at: Timestamp::from_seconds(7),
            owner: KeyOwner::Subject(Pseudonym::from_bytes([1; 16])),
            record: (keys == 1).then(|| RecordId::from_bytes([2; 16])),
            countries: ["PK".parse().unwrap()].into(),
            keys,
        }
    }

    #[test]
    fn notes_are_read_until_they_are_forgotten_and_only_those_of_the_keyring() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = folder.path().join("keyring.age");
        let notes = ExportNotes::beside(&keyring, SecretKey::random());
        assert_eq!(notes.path(), folder.path().join("keyring.age.exports"));
        assert!(notes.take().unwrap().is_none());
        let (one, two) = (note(1), note(2));
        notes.add(&one).unwrap();
        notes.add(&two).unwrap();
        // Somebody else's, one that was changed, and one that a crash cut short.
        let another = ExportNotes::beside(&keyring, SecretKey::random());
        another.add(&note(3)).unwrap();
        let text = fs::read_to_string(notes.path()).unwrap();
        let changed = text.lines().next().unwrap().replace("\"keys\":1", "\"keys\":9");
        fs::write(notes.path(), format!("{text}{changed}\n{}", &changed[..90])).unwrap();
        for _ in 0..2 {
            let taken = notes.take().unwrap().unwrap();
            assert_eq!((taken.notes, taken.unreadable), (vec![one.clone(), two.clone()], 3));
        }
        let taken = notes.take().unwrap().unwrap();
        assert!(notes.take().unwrap().is_none(), "nobody waits for a look");
        taken.forget().unwrap();
        assert!(notes.take().unwrap().is_none());
        notes.add(&one).unwrap();
        assert_eq!(notes.take().unwrap().unwrap().notes, [one]);
    }

    #[test]
    fn many_are_read_a_part_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let notes = ExportNotes::beside(&folder.path().join("keyring.age"), SecretKey::random());
        notes.add(&note(5)).unwrap();
        let line = fs::read_to_string(notes.path()).unwrap();
        let many = MOST / line.len() + 10;
        fs::write(notes.path(), line.repeat(many)).unwrap();
        let mut read = 0;
        while let Some(taken) = notes.take().unwrap() {
            assert_eq!(taken.unreadable, 0);
            read += taken.notes.len();
            taken.forget().unwrap();
        }
        assert_eq!(read, many);
    }
}
