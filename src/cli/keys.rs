//! `domicile keys list`.

use super::{Failure, Output, Table, args::RemoteArgs, client::Client, output::text};

/// Shows every country's key versions.
pub(super) fn list(remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let answer = Client::new(remote)?.get("/v1/keys")?;
    out.value(&answer)?;
    let mut table = Table::new(["KEY", "COUNTRY", "UP", "VERSION", "STATE", "CREATED"]);
    for key in answer["keys"].as_array().into_iter().flatten() {
        for version in key["versions"].as_array().into_iter().flatten() {
            table.row([
                text(&key["id"]),
                text(&key["country"]),
                text(&key["up"]),
                text(&version["id"]),
                text(&version["state"]),
                text(&version["created"]),
            ]);
        }
    }
    out.table(&table)
}
