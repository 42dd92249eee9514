//! `domicile policy history | show | approve | reject | rollback`.

use std::{fs, io, path::Path};

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure, Output, Table,
    args::{PolicyHistoryArgs, PolicyShowArgs, PolicyVerdictArgs},
    client::{Client, encode},
    output::text,
};

/// Digits of a revision that people are shown.
const SHORT: usize = 12;

/// Shows how policy sets came into force.
pub(super) fn history(args: &PolicyHistoryArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let before = args.before.map(|before| format!("&before={before}")).unwrap_or_default();
    let path = format!("/v1/policies/history?limit={}{before}", args.limit);
    let answer = Client::new(&args.remote)?.json(Method::GET, &path, None)?;
    out.value(&answer)?;
    let mut table = Table::new(["NO", "REVISION", "STATE", "ASKED", "BY", "DECIDED BY", "IN FORCE", "UNTIL", "COMMENT"]);
    for entry in answer["entries"].as_array().into_iter().flatten() {
        let comment = [&entry["asked"]["comment"], &entry["decided"]["comment"]].map(text);
        let comment = comment.into_iter().filter(|comment| !comment.is_empty()).collect::<Vec<_>>().join(" / ");
        let back = if entry["rollback"] == true { " (rollback)" } else { "" };
        table.row([
            text(&entry["number"]),
            short(&entry["revision"]),
            format!("{}{back}", text(&entry["state"])),
            text(&entry["asked"]["at"]),
            who(&entry["asked"]["by"]),
            who(&entry["decided"]["by"]),
            text(&entry["in_force"]),
            text(&entry["ended"]),
            comment,
        ]);
    }
    out.table(&table)
}

/// Shows the files of a set, or writes them to a folder.
pub(super) fn show(args: &PolicyShowArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let path = format!("/v1/policies/revisions/{}", encode(&args.revision));
    let answer = Client::new(&args.remote)?.json(Method::GET, &path, None)?;
    out.value(&answer)?;
    let files = answer["files"].as_object().into_iter().flatten();
    let files = files.map(|(path, file)| (path.as_str(), file.as_str().unwrap_or_default()));
    if let Some(folder) = &args.write {
        let count = write(folder, files)?;
        return out.line(format!("{count} files of {} in {}", text(&answer["revision"]), folder.display()));
    }
    out.line(format!("# revision {}", text(&answer["revision"])))?;
    for (path, file) in files {
        out.line(format!("\n# {path}\n"))?;
        file.lines().try_for_each(|line| out.line(line))?;
    }
    Ok(())
}

/// Puts in force what somebody else has proposed.
pub(super) fn approve(args: &PolicyVerdictArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    decide("approve", args, out)
}

/// Drops what is proposed.
pub(super) fn reject(args: &PolicyVerdictArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    decide("reject", args, out)
}

/// Puts an earlier set back in force, or proposes it.
pub(super) fn roll_back(args: &PolicyVerdictArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let body = json!({ "revision": args.revision, "comment": args.comment });
    let answer = Client::new(&args.remote)?.json(Method::POST, "/v1/policies/rollback", Some(&body))?;
    out.value(&answer)?;
    standing(&answer, out)
}

fn decide(verdict: &str, args: &PolicyVerdictArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let path = format!("/v1/policies/proposals/{}/{verdict}", encode(&args.revision));
    let body = json!({ "comment": args.comment });
    let answer = Client::new(&args.remote)?.json(Method::POST, &path, Some(&body))?;
    out.value(&answer)?;
    standing(&answer, out)
}

/// What is in force, what waits and how the folder stands to it.
pub(super) fn standing(answer: &Value, out: &mut Output<'_>) -> Result<(), Failure> {
    out.line(format!("in force: revision {} from {}", text(&answer["revision"]), text(&answer["source"])))?;
    let proposal = &answer["proposal"];
    if proposal.is_object() {
        let by = who(&proposal["asked"]["by"]);
        out.line(format!("waits for approval: revision {}, proposed by {by}", text(&proposal["revision"])))?;
    }
    let folder = &answer["folder"];
    if folder["in_force"] == false {
        let why = if folder["put_aside"] == true { ", which is put aside" } else { "" };
        out.line(format!("the folder holds revision {}{why}", text(&folder["revision"])))?;
    }
    Ok(())
}

/// Who did something, without the braces.
fn who(by: &Value) -> String {
    match by.get("token") {
        Some(token) => text(token),
        None => text(by),
    }
}

pub(super) fn short(revision: &Value) -> String {
    text(revision).chars().take(SHORT).collect()
}

/// Files of a policy folder have known names; anything else is not written.
fn write<'f>(folder: &Path, files: impl Iterator<Item = (&'f str, &'f str)>) -> Result<usize, Failure> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| Failure::Usage(format!("cannot write `{path}`: {error}"))
    };
    if folder.exists() && fs::read_dir(folder).map_err(failed(folder))?.next().is_some() {
        return Err(Failure::Usage(format!("`{}` is not empty", folder.display())));
    }
    let mut count = 0;
    for (path, file) in files {
        let parts: Vec<&str> = path.split('/').collect();
        let plain = |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0', ':']);
        if parts.len() > 2 || !parts.iter().all(plain) || !path.ends_with(".toml") {
            return Err(Failure::Check(format!("`{path}` is no file of a policy folder")));
        }
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        fs::write(&path, file).map_err(failed(&path))?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_as_a_policy_folder_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("policies");
        let files = [("gateway.toml", "version = 1\n"), ("pk/policy.toml", "x")];
        assert_eq!(write(&inside, files.into_iter()).unwrap(), 2);
        assert_eq!(fs::read_to_string(inside.join("pk/policy.toml")).unwrap(), "x");
        assert!(matches!(write(&inside, files.into_iter()), Err(Failure::Usage(_))), "it is not empty");
        for outside in ["../x.toml", "/x.toml", "a/b/c.toml", "a/../x.toml", ".hidden/policy.toml", "a/x.sh"] {
            let empty = tempfile::tempdir().unwrap();
            assert!(write(empty.path(), [(outside, "x")].into_iter()).is_err(), "{outside}");
            assert!(fs::read_dir(empty.path()).unwrap().next().is_none(), "{outside}");
        }
    }
}
