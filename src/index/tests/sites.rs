//! What is remembered of sites.

use super::*;
use crate::backend::{Check, Severity, Standing};
use crate::index::SiteRow;

fn finding(check: Check, severity: Severity, accepted: bool) -> Standing {
    Standing { check, severity, accepted }
}

async fn find(index: &Index, finding: Standing, stands: bool) -> Result<(), CommitError> {
    let change = Change::SiteFinding { site: SiteId::new("pk-khi").unwrap(), country: "PK".parse().unwrap(), finding, stands };
    index.commit(change, event()).await.map(drop)
}

#[tokio::test]
async fn what_stands_at_a_site_survives_its_next_claim_and_goes_check_by_check() {
    let (index, _) = prepared(Arc::new(MemoryEngine::new())).await;
    let site = SiteId::new("pk-khi").unwrap();
    let row = || index.site(&site).unwrap().unwrap();
    let replication = finding(Check::Replication, Severity::Alarm, false);
    let versioning = finding(Check::Versioning, Severity::Warning, false);
    find(&index, replication, true).await.unwrap();
    assert_eq!(row().epoch, 0, "it was never in service");
    find(&index, versioning, true).await.unwrap();

    let first_seen = row().first_seen;
    let claimed = SiteRow { site: site.clone(), country: "PK".parse().unwrap(), first_seen, epoch: 1, standing: Vec::new() };
    index.commit(Change::Site(claimed), event()).await.unwrap();
    assert_eq!((row().epoch, row().standing), (1, vec![replication, versioning]));

    let accepted = Standing { accepted: true, ..replication };
    find(&index, accepted, true).await.unwrap();
    assert_eq!(row().standing, [versioning, accepted]);
    find(&index, versioning, false).await.unwrap();
    find(&index, versioning, false).await.unwrap();
    assert_eq!((row().epoch, row().standing), (1, vec![accepted]));
}

#[tokio::test]
async fn a_site_that_comes_back_in_another_country_is_refused() {
    let (index, _) = prepared(Arc::new(MemoryEngine::new())).await;
    find(&index, finding(Check::Marker, Severity::Alarm, false), true).await.unwrap();
    let site = SiteId::new("pk-khi").unwrap();
    let elsewhere = finding(Check::Marker, Severity::Alarm, false);
    let change = Change::SiteFinding { site, country: "SG".parse().unwrap(), finding: elsewhere, stands: true };
    assert!(matches!(index.commit(change, event()).await, Err(CommitError::SiteConflict)));
}

/// What an index of an earlier version holds.
#[test]
fn a_row_without_findings_is_read() {
    #[derive(serde::Serialize)]
    struct Before {
        site: &'static str,
        country: &'static str,
        first_seen: Timestamp,
        epoch: u64,
    }
    let before = Before { site: "pk-khi", country: "PK", first_seen: Timestamp::from_seconds(7), epoch: 3 };
    let row: SiteRow = rmp_serde::from_slice(&rmp_serde::to_vec_named(&before).unwrap()).unwrap();
    assert_eq!((row.epoch, row.standing), (3, vec![]));
}
