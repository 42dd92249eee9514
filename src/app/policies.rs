//! Where policies come from: a folder, or those compiled into the program.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::config::PolicySource;
use crate::policy::PolicyFile;

/// The largest policy file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The files of policies, compiled into the program.
macro_rules! bundled {
    ($($instrument:literal)*) => {
        &[
            ("gateway.toml", include_str!("../../policies/gateway.toml")),
            $(
                (concat!($instrument, "/policy.toml"), include_str!(concat!("../../policies/", $instrument, "/policy.toml"))),
                (concat!($instrument, "/cases.toml"), include_str!(concat!("../../policies/", $instrument, "/cases.toml"))),
            )*
        ]
    };
}

/// The policies compiled into the program.
const BUNDLED: &[(&str, &str)] = bundled!(
    "ae-health"
    "cn-pipl"
    "eu-gdpr-chapter5"
    "id-pse"
    "in-dpdp"
    "in-rbi-payments"
    "pk-cpoh-2020"
    "pk-cpoh-2020-plain"
    "pk-pdp-bill"
    "pk-pdp-bill-export"
    "pk-pdp-bill-sensitive"
    "pk-peca-traffic"
    "pk-rbuoc-2021"
    "ru-242fz"
    "sa-pdpl"
    "sg-users-contract"
    "vn-decree53"
);

/// A policy folder cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the policies in `{}`: {source}", path.display())]
pub struct PoliciesError {
    /// The file or folder.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// `policies/` in the working folder when it is there, else those compiled in.
pub fn default_source() -> PolicySource {
    let folder = Path::new("policies");
    if folder.join("gateway.toml").is_file() { PolicySource::Folder(folder.to_owned()) } else { PolicySource::Bundled }
}

/// A source in words.
pub fn describe(source: &PolicySource) -> String {
    match source {
        PolicySource::Folder(folder) => folder.display().to_string(),
        PolicySource::Bundled => "the policies built into the program".to_owned(),
    }
}

/// Reads `gateway.toml` and, in every folder beside it, `policy.toml` and `cases.toml`.
///
/// # Errors
/// When a file or folder cannot be read. What the files say is for [`crate::policy::PolicySet::parse`].
pub fn files(source: &PolicySource) -> Result<Vec<PolicyFile>, PoliciesError> {
    match source {
        PolicySource::Bundled => {
            Ok(BUNDLED.iter().map(|(path, text)| PolicyFile { path: (*path).to_owned(), text: (*text).to_owned() }).collect())
        }
        PolicySource::Folder(folder) => folder_files(folder),
    }
}

fn folder_files(folder: &Path) -> Result<Vec<PolicyFile>, PoliciesError> {
    let mut names = vec!["gateway.toml".to_owned()];
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PoliciesError { path, source }
    };
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') || !entry.path().is_dir() {
            continue;
        }
        let inside = ["policy.toml", "cases.toml"].map(|file| format!("{name}/{file}"));
        names.extend(inside.into_iter().filter(|path| folder.join(path).is_file()));
    }
    names.sort();
    let read = |path: String| {
        let file = folder.join(&path);
        let text = small_file(&file).map_err(failed(&file))?;
        Ok(PolicyFile { path, text })
    };
    names.into_iter().map(read).collect()
}

fn small_file(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicySet;

    #[test]
    fn the_bundled_policies_are_sound_and_those_of_the_source_tree() {
        let bundled = PolicySet::parse(&files(&PolicySource::Bundled).unwrap()).unwrap();
        assert!(bundled.run_cases().passed());
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        let tree = PolicySet::parse(&files(&PolicySource::Folder(folder)).unwrap()).unwrap();
        assert_eq!(bundled.revision(), tree.revision(), "a policy of the source tree is missing in BUNDLED");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = files(&PolicySource::Folder("/nonexistent/policies".into())).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/policies"));
    }
}
