//! `domicile site check`.

use super::{Failure, Output, args::RemoteArgs, client::Client, policy::table};

/// Shows which sites answer; fails when one does not.
pub(super) fn check(remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let answer = Client::new(remote)?.get("/v1/sites")?;
    out.value(&answer)?;
    let columns = [("SITE", "id"), ("COUNTRY", "country"), ("KEY", "key"), ("UP", "up"), ("DETAIL", "detail")];
    out.table(&table(&answer["sites"], &columns))?;
    let down = answer["sites"].as_array().into_iter().flatten().filter(|site| site["up"] != true).count();
    if down > 0 { Err(Failure::Check(format!("{down} sites do not answer"))) } else { Ok(()) }
}
