//! `domicile index export`.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{Failure, Output, args::RemoteArgs, client::Client, progress::Bar};
use crate::digest::Sha256;
use crate::recovery::Progress;

/// Writes the index of a running gateway to a file.
pub(super) fn run(output: &Path, remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let client = Client::new(remote)?;
    let (bytes, sha256) = to_file(&client, "/v1/index/export", "exporting the index (bytes)", output, |_| {})?;
    out.value(&json!({ "file": output, "bytes": bytes, "sha256": sha256 }))?;
    out.line(format!("{bytes} bytes in `{}`, SHA-256 {sha256}", output.display()))?;
    out.line(format!(
        "try it: `domicile index import {} --dry-run` on a machine with the keyring and the sites",
        output.display()
    ))
}

/// Writes an answer to a file: beside it first, so that a file of that name is whole. Answers with its bytes and SHA-256.
pub(super) fn to_file(
    client: &Client,
    path: &str,
    label: &str,
    output: &Path,
    mut seen: impl FnMut(&[u8]),
) -> Result<(u64, String), Failure> {
    let failed = |error: std::io::Error| Failure::Usage(format!("cannot write `{}`: {error}", output.display()));
    if output.file_name().is_none() || output.is_dir() {
        return Err(Failure::Usage(format!("`{}` is no name for a file", output.display())));
    }
    let mut part = output.as_os_str().to_owned();
    part.push(".part");
    let mut unfinished = Unfinished { path: part.into(), done: false };
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished.path).map_err(failed)?;
    let bar = Bar::new();
    bar.begin(label, None);
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let downloaded = client.download(path, |piece| {
        hash.update(piece);
        seen(piece);
        bytes += piece.len() as u64;
        bar.advance(piece.len() as u64);
        file.write_all(piece).map_err(failed)
    });
    bar.finish();
    downloaded?;
    file.sync_all().map_err(failed)?;
    fs::rename(&unfinished.path, output).map_err(failed)?;
    unfinished.done = true;
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok((bytes, hex::encode(hash.finish())))
}

/// Goes when it is not finished.
struct Unfinished {
    path: PathBuf,
    done: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.path);
        }
    }
}
