//! Folders that only the gateway's user may enter: object keys lie in the clear in the index's files, and credentials in theirs.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

/// What group and others may do.
const OTHERS: u32 = 0o077;
const PRIVATE_FOLDER: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

/// Makes a folder, private, and those above it that are missing. One that is there is left as it is, for it may be a volume of somebody
/// else's making; the answer is whether others can enter it.
pub(super) fn make(folder: &Path) -> io::Result<bool> {
    fs::DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder)?;
    Ok(fs::metadata(folder)?.permissions().mode() & OTHERS != 0)
}

/// Makes a folder of the gateway's own; one that is there and open to others is closed to them.
///
/// # Errors
/// When it cannot be made, or belongs to somebody else and others can enter it.
pub(super) fn private(folder: &Path) -> io::Result<()> {
    if make(folder)? { close(folder, PRIVATE_FOLDER) } else { Ok(()) }
}

/// Closes a file of the gateway's own to others.
///
/// # Errors
/// When it belongs to somebody else and others can use it.
pub(super) fn private_file(file: &Path) -> io::Result<()> {
    if fs::metadata(file)?.permissions().mode() & OTHERS == 0 { Ok(()) } else { close(file, PRIVATE_FILE) }
}

fn close(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| {
        let advice = format!("others can use it and this user may not change that ({error}); make it mode {mode:o}");
        io::Error::new(error.kind(), advice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn open_up(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_folder_is_private_and_one_of_its_own_is_closed() {
        let outside = tempfile::tempdir().unwrap();
        let (upper, folder) = (outside.path().join("data"), outside.path().join("data/index"));
        private(&folder).unwrap();
        assert_eq!((mode(&upper), mode(&folder)), (0o700, 0o700));
        open_up(&folder, 0o755);
        private(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
    }

    #[test]
    fn a_folder_of_somebody_elses_making_is_reported_and_left_alone() {
        let outside = tempfile::tempdir().unwrap();
        let volume = outside.path().join("volume");
        assert!(!make(&volume).unwrap());
        open_up(&volume, 0o775);
        assert!(make(&volume).unwrap());
        assert_eq!(mode(&volume), 0o775);
    }

    #[test]
    fn a_file_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("operator.token");
        fs::write(&file, "x").unwrap();
        open_up(&file, 0o644);
        private_file(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
    }
}
