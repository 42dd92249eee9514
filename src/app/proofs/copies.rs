//! The copies, each looked at now: the site's marker, how its place is set up, heads and lengths of the copy's blobs.

use std::time::Duration;

use futures_util::future::join_all;

use crate::admin::GatewayError;
use crate::audit::residence::{BlobFault, Blobs, CheckedCopy, CopyState as State, CopyStatement, Outcome, SiteVerdict};
use crate::backend::{Finding, Looked};
use crate::digest::Sha256;
use crate::index::{CopyRow, CopyState, FoundRecord, Layout, PartEntry};
use crate::objects::{Fault, ObjectError, Objects};
use crate::policy::Role;
use crate::residency::PlannedCopy;
use crate::types::{Country, KeyId, SiteId};

/// Blobs of a copy that are looked at, at the most.
const LOOKED_AT: u64 = 100;
/// Names of blobs that are told.
const TOLD: usize = 1000;
/// How long the look at one copy may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Every copy that there is or will be.
pub(super) async fn look(objects: &Objects, found: &FoundRecord) -> Result<Vec<CopyStatement>, GatewayError> {
    let parts = match found.record.detail.layout {
        Layout::Parts { table, .. } => objects.index.parts_of(table)?.to_vec(),
        Layout::Whole { .. } | Layout::Extents { .. } => Vec::new(),
    };
    let detail = &found.record.detail;
    let stored =
        join_all(detail.copies.iter().filter(|copy| copy.is_stored()).map(|copy| one(objects, found, copy, &parts))).await;
    Ok(stored.into_iter().chain(found.record.queued().map(|copy| awaited(objects, copy))).collect())
}

fn awaited(objects: &Objects, copy: &PlannedCopy) -> CopyStatement {
    CopyStatement {
        site: copy.site.clone(),
        country: copy.country,
        key: copy.key.clone(),
        key_country: country_of(objects, &copy.key),
        role: role(copy.role),
        state: State::Awaited,
        since: None,
        entry: None,
        blobs: None,
        check: None,
    }
}

async fn one(objects: &Objects, found: &FoundRecord, copy: &CopyRow, parts: &[PartEntry]) -> CopyStatement {
    let blobs = blobs(found, &copy.site, parts);
    let check = match tokio::time::timeout(PATIENCE, check(objects, found, copy, blobs.count)).await {
        Ok(check) => check,
        Err(_) => not_reached(objects, &copy.site, format!("no answer in {} s", PATIENCE.as_secs())),
    };
    CopyStatement {
        site: copy.site.clone(),
        country: copy.country,
        key: copy.key.clone(),
        key_country: country_of(objects, &copy.key),
        role: role(copy.role),
        state: State::Stored,
        since: match copy.state {
            CopyState::Stored { at } => Some(at.to_rfc3339()),
            CopyState::Pending => None,
        },
        entry: copy.entry,
        blobs: Some(blobs),
        check: Some(CheckedCopy { at: objects.clock.now().to_rfc3339(), ..check }),
    }
}

/// The blobs of the copy at one site.
fn blobs(found: &FoundRecord, site: &SiteId, parts: &[PartEntry]) -> Blobs {
    let (mut all, mut told) = (Sha256::new(), Blobs { count: 0, sealed: 0, sha256: String::new(), names: Vec::new() });
    for blob in found.record.blobs(parts).filter(|blob| blob.site == *site) {
        let name = blob.name.to_string();
        all.update(format!("{name}\n").as_bytes());
        told.count += 1;
        told.sealed = told.sealed.saturating_add(blob.len.unwrap_or(0));
        if told.names.len() < TOLD {
            told.names.push(name);
        }
    }
    Blobs { sha256: hex::encode(all.finish()), ..told }
}

async fn check(objects: &Objects, found: &FoundRecord, copy: &CopyRow, blobs: u64) -> CheckedCopy {
    match objects.sites.examine_one(&copy.site).await {
        Looked::Sound => {}
        Looked::Wrong(why) => {
            return CheckedCopy { outcome: Outcome::Faulty, ..not_reached(objects, &copy.site, why) };
        }
        Looked::NotReached(why) => return not_reached(objects, &copy.site, why),
    }
    let examined = match objects.glance(found, copy, blobs.saturating_sub(1).div_ceil(LOOKED_AT)).await {
        Ok(examined) => examined,
        Err(error) => return not_reached(objects, &copy.site, told(&error)),
    };
    let site = verdicts(objects, &copy.site);
    let faults: Vec<BlobFault> =
        examined.faulty.iter().map(|faulty| BlobFault { blob: faulty.name.to_string(), fault: fault(&faulty.fault) }).collect();
    let alarms: Vec<&str> =
        site.iter().filter(|verdict| verdict.state == "alarm").map(|verdict| verdict.check.as_str()).collect();
    let detail = match (faults.len(), alarms.as_slice()) {
        (0, []) => None,
        (0, alarms) => Some(format!("an alarm stands at the site: {}", alarms.join(", "))),
        (faults, []) => Some(format!("{faults} blobs are not as they were stored")),
        (faults, alarms) => {
            Some(format!("{faults} blobs are not as they were stored; an alarm stands at the site: {}", alarms.join(", ")))
        }
    };
    let outcome = if detail.is_none() { Outcome::Sound } else { Outcome::Faulty };
    CheckedCopy { at: String::new(), outcome, detail, looked_at: examined.blobs, faults, site }
}

fn not_reached(objects: &Objects, site: &SiteId, why: String) -> CheckedCopy {
    CheckedCopy {
        at: String::new(),
        outcome: Outcome::NotReached,
        detail: Some(why),
        looked_at: 0,
        faults: Vec::new(),
        site: verdicts(objects, site),
    }
}

fn verdicts(objects: &Objects, site: &SiteId) -> Vec<SiteVerdict> {
    let verdict = |finding: Finding| SiteVerdict {
        check: finding.check.to_string(),
        state: finding.state().to_owned(),
        detail: finding.detail(),
    };
    objects.sites.get(site).map(|site| site.findings().into_iter().map(verdict).collect()).unwrap_or_default()
}

fn fault(fault: &Fault) -> String {
    match fault {
        Fault::Missing => "it is not there".to_owned(),
        Fault::WrongLength { due, found } => format!("it has {found} bytes instead of {due}"),
        Fault::Unreadable(why) | Fault::Tampered(why) => why.clone(),
    }
}

/// What an error says of a site or a key.
fn told(error: &ObjectError) -> String {
    error.to_string()
}

fn country_of(objects: &Objects, key: &KeyId) -> Option<Country> {
    objects.hierarchy.countries().find(|(id, _)| *id == key).map(|(_, country)| country)
}

fn role(role: Role) -> String {
    match role {
        Role::Primary => "primary",
        Role::Required => "required",
        Role::Queued => "queued",
    }
    .to_owned()
}
