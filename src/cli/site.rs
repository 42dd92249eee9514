//! `domicile site check` and `site init`.

use http::Method;
use serde_json::Value;

use super::{Failure, Output, Table, args::RemoteArgs, client::Client, output::text, policy::table};
use crate::types::SiteId;

/// Shows which sites answer and what was found at them; fails when one does not answer or an alarm stands that nobody has accepted.
pub(super) fn check(now: bool, remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let client = Client::new(remote)?;
    let answer = if now { client.json(Method::POST, "/v1/sites/check", None)? } else { client.get("/v1/sites")? };
    out.value(&answer)?;
    let columns = [
        ("SITE", "id"),
        ("COUNTRY", "country"),
        ("KEY", "key"),
        ("UP", "up"),
        ("NEW RECORDS", "takes_records"),
        ("DETAIL", "detail"),
    ];
    out.table(&table(&answer["sites"], &columns))?;
    out.line("")?;
    let mut checks = Table::new(["SITE", "CHECK", "STATE", "DETAIL"]);
    let (mut down, mut alarms) = (0, 0);
    for site in list(&answer["sites"]) {
        down += usize::from(site["up"] != true);
        for check in list(&site["checks"]) {
            alarms += usize::from(check["state"] == "alarm");
            checks.row([text(&site["id"]), text(&check["check"]), text(&check["state"]), text(&check["detail"])]);
        }
    }
    out.table(&checks)?;
    match (down, alarms) {
        (0, 0) => Ok(()),
        (0, alarms) => Err(Failure::Check(format!("{alarms} alarms stand"))),
        (down, 0) => Err(Failure::Check(format!("{down} sites do not answer"))),
        (down, alarms) => Err(Failure::Check(format!("{down} sites do not answer, {alarms} alarms stand"))),
    }
}

/// Takes a site into service now.
pub(super) fn init(site: &SiteId, remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let answer = Client::new(remote)?.json(Method::POST, &format!("/v1/sites/{site}/init"), None)?;
    out.value(&answer)?;
    out.line(match answer["created"] == true {
        true => format!("{site}: the marker is made, the site is in service"),
        false => format!("{site}: in service, with the marker that was there"),
    })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
