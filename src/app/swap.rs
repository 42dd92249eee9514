//! Putting a new index in the place of the old one, so that whenever it is broken off either the one or the other is there.
//!
//! The new one is built in a folder of its own. Its name then says that it is whole, and from then on it is the index: whoever takes the
//! data folder next carries out what is left to do.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::open;

/// Where an index is built.
pub(super) fn building(data_dir: &Path) -> PathBuf {
    data_dir.join("index.rebuilding")
}

/// One that is whole.
fn built(data_dir: &Path) -> PathBuf {
    data_dir.join("index.rebuilt")
}

/// Puts the index that was built in place; answers where the one before it is now.
pub(super) fn put_in_place(data_dir: &Path, now: i64) -> io::Result<Option<PathBuf>> {
    fs::rename(building(data_dir), built(data_dir))?;
    sync(data_dir)?;
    fail::fail_point!("rebuild::decided");
    complete(data_dir, now)
}

/// Carries out what a swap that was broken off has left to do.
pub(super) fn complete(data_dir: &Path, now: i64) -> io::Result<Option<PathBuf>> {
    let (place, built) = (open::index_folder(data_dir), built(data_dir));
    if !built.exists() {
        return Ok(None);
    }
    let aside = data_dir.join(format!("index.replaced-{now}"));
    let kept = place.exists().then_some(aside);
    if let Some(aside) = &kept {
        fs::rename(&place, aside)?;
        sync(data_dir)?;
    }
    fail::fail_point!("rebuild::aside");
    fs::rename(&built, &place)?;
    sync(data_dir)?;
    Ok(kept)
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(folder: &Path) -> Option<String> {
        fs::read_to_string(folder.join("index/db")).ok()
    }

    fn index(folder: &Path, name: &str, content: &str) {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("db"), content).unwrap();
    }

    #[test]
    fn wherever_it_is_broken_off_the_new_index_is_there_in_the_end_and_the_old_one_kept() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        index(folder, "index", "old");
        index(folder, "index.rebuilding", "new");
        assert_eq!(complete(folder, 1).unwrap(), None);
        assert_eq!(content(folder).unwrap(), "old", "what is not whole is not taken");
        assert_eq!(put_in_place(folder, 2).unwrap(), Some(folder.join("index.replaced-2")));
        assert_eq!(content(folder).unwrap(), "new");
        assert_eq!(fs::read_to_string(folder.join("index.replaced-2/db")).unwrap(), "old");

        // Before and after the old one was moved.
        index(folder, "index.rebuilt", "newer");
        complete(folder, 3).unwrap();
        assert_eq!((content(folder).unwrap().as_str(), folder.join("index.replaced-3").exists()), ("newer", true));
        fs::rename(folder.join("index"), folder.join("index.replaced-4")).unwrap();
        index(folder, "index.rebuilt", "newest");
        assert_eq!(complete(folder, 5).unwrap(), None);
        assert_eq!(content(folder).unwrap(), "newest");
    }
}
