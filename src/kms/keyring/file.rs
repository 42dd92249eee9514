//! The keyring's file: age encryption, permissions, atomic writing.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use age::{secrecy::ExposeSecret, x25519};
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::keys::KeySet;
use crate::{digest, kms::KmsError};

/// Bounds what is read from files that should be small.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Where a keyring is kept and who can open it.
pub(super) struct KeyringFile {
    path: PathBuf,
    recipients: Vec<x25519::Recipient>,
    /// SHA-256 of the file as it was last read or written here: a file that somebody else has changed since is not written over.
    last: Mutex<[u8; 32]>,
}

/// The three files that creation makes.
pub(super) struct CreatedFiles {
    pub(super) file: KeyringFile,
    pub(super) operator_identity: PathBuf,
    pub(super) recovery_identity: PathBuf,
}

impl KeyringFile {
    /// Makes both identities beside `path`, then the keyring.
    pub(super) fn create(path: &Path, keys: &KeySet) -> Result<CreatedFiles, KmsError> {
        let (operator, recovery) = (x25519::Identity::generate(), x25519::Identity::generate());
        let operator_identity = path.with_file_name("operator.identity");
        let recovery_identity = path.with_file_name("recovery.identity");
        for existing in [path, &operator_identity, &recovery_identity] {
            if existing.symlink_metadata().is_ok() {
                return Err(KmsError::Exists(existing.to_owned()));
            }
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| KmsError::Io { path: folder.to_owned(), source: source.into() })?;
        }
        write_identity(&operator_identity, &operator)?;
        write_identity(&recovery_identity, &recovery)?;
        let recipients = vec![operator.to_public(), recovery.to_public()];
        let file = Self { path: path.to_owned(), recipients, last: Mutex::default() };
        // A hard link, unlike a rename, does not replace what another process made meanwhile.
        let (temporary, hash) = file.write_temporary(keys, &file.recipients)?;
        *file.last.lock() = hash;
        let linked = fs::hard_link(&temporary, path);
        let _ = fs::remove_file(&temporary);
        linked.map_err(|source| io_error(path, source))?;
        sync_folder(path)?;
        Ok(CreatedFiles { file, operator_identity, recovery_identity })
    }

    /// Checks permissions, decrypts, parses.
    pub(super) fn open(path: &Path, identity_file: &Path) -> Result<(Self, KeySet), KmsError> {
        let identity = read_identity(identity_file)?;
        let sealed = read_private(path)?;
        let file = Self { path: path.to_owned(), recipients: Vec::new(), last: Mutex::new(digest::sha256(&sealed)) };
        let json = decrypt(&sealed, &identity).map_err(|reason| {
            file.format_error(format!("the identity in `{}` does not open it: {reason}", identity_file.display()))
        })?;
        let (keys, recipients) = KeySet::from_json(&json).map_err(|reason| file.format_error(reason))?;
        let recipients = recipients.iter().map(|recipient| recipient.parse()).collect::<Result<Vec<_>, _>>();
        let recipients = recipients.map_err(|reason| file.format_error(format!("a recipient is not usable: {reason}")))?;
        if recipients.len() < 2 {
            return Err(file.format_error("it names fewer than two recipients".into()));
        }
        Ok((Self { recipients, ..file }, keys))
    }

    /// Replaces the file atomically: a crash leaves the old keys or the new ones, whole.
    pub(super) fn write(&self, keys: &KeySet) -> Result<(), KmsError> {
        self.replace(keys, &self.recipients, |_| Ok(()))
    }

    /// The same for other recipients, once what is to be the file opens with the identity in `identity_file` and holds the same.
    pub(super) fn write_for(&self, keys: &KeySet, recipients: &[String], identity_file: &Path) -> Result<(), KmsError> {
        let identity = read_identity(identity_file)?;
        let parsed = recipients.iter().map(|recipient| recipient.parse()).collect::<Result<Vec<_>, _>>();
        let parsed = parsed.map_err(|reason| self.format_error(format!("a recipient is not usable: {reason}")))?;
        let due = keys.to_json(recipients).map_err(|error| self.format_error(error.to_string()))?;
        self.replace(keys, &parsed, |temporary| {
            let json = decrypt(&read_private(temporary)?, &identity).map_err(|reason| self.format_error(reason))?;
            if json == due { Ok(()) } else { Err(self.format_error("what was written does not read back".to_owned())) }
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Who can open the file.
    pub(super) fn recipients(&self) -> Vec<String> {
        self.recipients.iter().map(ToString::to_string).collect()
    }

    fn replace(
        &self,
        keys: &KeySet,
        recipients: &[x25519::Recipient],
        check: impl FnOnce(&Path) -> Result<(), KmsError>,
    ) -> Result<(), KmsError> {
        let mut last = self.last.lock();
        let folder = File::open(folder_of(&self.path)).map_err(|source| io_error(&self.path, source))?;
        // Until the folder is closed. Where there are no locks, the look alone has to do.
        let _ = rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive);
        if digest::sha256(&read_private(&self.path)?) != *last {
            return Err(self.format_error(
                "it was changed by another program since it was opened: open it anew (restart the gateway)".to_owned(),
            ));
        }
        let (temporary, hash) = self.write_temporary(keys, recipients)?;
        let replaced =
            check(&temporary).and_then(|()| fs::rename(&temporary, &self.path).map_err(|source| io_error(&self.path, source)));
        if let Err(error) = replaced {
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        *last = hash;
        folder.sync_all().map_err(|source| io_error(&self.path, source))
    }

    pub(super) fn format_error(&self, reason: String) -> KmsError {
        KmsError::Format { path: self.path.clone(), reason }
    }

    /// Writes the encrypted keys, durably, beside the file; answers with where, and the hash of what was written.
    fn write_temporary(&self, keys: &KeySet, recipients: &[x25519::Recipient]) -> Result<(PathBuf, [u8; 32]), KmsError> {
        let texts: Vec<String> = recipients.iter().map(ToString::to_string).collect();
        let json = keys.to_json(&texts).map_err(|error| self.format_error(error.to_string()))?;
        let sealed = encrypt(&json, recipients).map_err(|reason| self.format_error(reason))?;
        let suffix = hex::encode(digest::random::<8>());
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = self.path.with_file_name(format!(".{name}.{suffix}"));
        write_new(&temporary, &sealed)?;
        Ok((temporary, digest::sha256(&sealed)))
    }
}

impl fmt::Debug for KeyringFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.path, f)
    }
}

fn encrypt(plain: &[u8], recipients: &[x25519::Recipient]) -> Result<Vec<u8>, String> {
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(|error| error.to_string())?;
    let mut sealed = Vec::new();
    let write = |mut output: age::stream::StreamWriter<_>| {
        output.write_all(plain)?;
        output.finish()
    };
    encryptor.wrap_output(&mut sealed).and_then(write).map_err(|error| error.to_string())?;
    Ok(sealed)
}

fn decrypt(sealed: &[u8], identity: &x25519::Identity) -> Result<Zeroizing<Vec<u8>>, String> {
    let decryptor = age::Decryptor::new_buffered(sealed).map_err(|error| error.to_string())?;
    let identity: &dyn age::Identity = identity;
    let mut reader = decryptor.decrypt(std::iter::once(identity)).map_err(|error| error.to_string())?;
    // The plaintext is shorter than the file: the buffer never grows, so no unwiped copy of it stays behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    reader.read_to_end(&mut plain).map_err(|error| error.to_string())?;
    Ok(plain)
}

/// The form that `age-keygen` writes.
fn write_identity(path: &Path, identity: &x25519::Identity) -> Result<(), KmsError> {
    let secret = identity.to_string();
    let text = Zeroizing::new(format!("# public key: {}\n{}\n", identity.to_public(), secret.expose_secret()));
    write_new(path, text.as_bytes())
}

fn read_identity(path: &Path) -> Result<x25519::Identity, KmsError> {
    let wrong = |reason: &str| KmsError::Format { path: path.to_owned(), reason: reason.to_owned() };
    let bytes = read_private(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not text"))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines.next().ok_or_else(|| wrong("it holds no age identity"))?;
    line.parse().map_err(|_| wrong("it holds no age X25519 identity (`AGE-SECRET-KEY-1…`)"))
}

/// Makes an identity in a file that must not exist; answers with its recipient.
pub(super) fn generate_identity(path: &Path) -> Result<String, KmsError> {
    let identity = x25519::Identity::generate();
    write_identity(path, &identity)?;
    sync_folder(path)?;
    Ok(identity.to_public().to_string())
}

/// The recipient of the identity in a file.
pub(super) fn recipient_of(identity_file: &Path) -> Result<String, KmsError> {
    Ok(read_identity(identity_file)?.to_public().to_string())
}

/// A recipient as this program writes it.
pub(super) fn parse_recipient(text: &str) -> Result<String, String> {
    let parsed: Result<x25519::Recipient, _> = text.trim().parse();
    parsed
        .map(|recipient| recipient.to_string())
        .map_err(|reason| format!("`{}` is no age recipient (`age1…`): {reason}", text.trim()))
}

/// Reads a file that only its owner may read.
pub(in crate::kms) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KmsError> {
    let at = |source| io_error(path, source);
    let file = File::open(path).map_err(at)?;
    let metadata = file.metadata().map_err(at)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KmsError::Permissions { path: path.to_owned(), mode });
    }
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len().min(MAX_FILE)).unwrap_or(0) + 1));
    file.take(MAX_FILE).read_to_end(&mut content).map_err(at)?;
    Ok(content)
}

/// Writes a file that must not exist yet, mode 0600, down to the disk.
pub(in crate::kms) fn write_new(path: &Path, content: &[u8]) -> Result<(), KmsError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(|source| io_error(path, source))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a rename or a new name in a file's folder durable.
fn sync_folder(path: &Path) -> Result<(), KmsError> {
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| io_error(folder, source))
}

fn io_error(path: &Path, source: io::Error) -> KmsError {
    match source.kind() {
        io::ErrorKind::AlreadyExists => KmsError::Exists(path.to_owned()),
        _ => KmsError::Io { path: path.to_owned(), source: source.into() },
    }
}
