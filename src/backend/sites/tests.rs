//! Sites with faulty backends.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{
    backend::{
        Check, KnownSites, S3Backend, S3Config, S3Credentials, Severity, SiteLimits, Standing, Unknown, Verdict,
        memory::MemoryBackend,
    },
    kms::SecretKey,
    residency::SiteSpec,
    seal::{BlobName, MarkerContent, SealTarget, SealedBlob, seal_marker},
    types::{Country, KeyId},
};

/// Epochs, what stands, what was recorded of it in order, and whether nothing more can be.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<SiteId, u64>>, Mutex<BTreeMap<SiteId, Vec<Standing>>>, Mutex<Vec<(Standing, bool)>>, AtomicBool);

impl KnownSites for Memory {
    fn last_epoch(&self, site: &SiteId) -> Result<Option<u64>, Box<dyn Error + Send + Sync>> {
        Ok(self.0.lock().get(site).copied())
    }

    fn remember(&self, site: &SiteId, epoch: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.0.lock().insert(site.clone(), epoch);
        Ok(())
    }

    fn standing(&self, site: &SiteId) -> Result<Vec<Standing>, Box<dyn Error + Send + Sync>> {
        Ok(self.1.lock().get(site).cloned().unwrap_or_default())
    }

    fn record(&self, site: &SiteId, finding: Standing, stands: bool) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.3.load(Ordering::Relaxed) {
            return Err("full".into());
        }
        let mut all = self.1.lock();
        let kept = all.entry(site.clone()).or_default();
        kept.retain(|standing| standing.check != finding.check);
        if stands {
            kept.push(finding);
        }
        self.2.lock().push((finding, stands));
        Ok(())
    }
}

const EVERY: Duration = Duration::from_secs(5);

fn id() -> SiteId {
    SiteId::new("pk-khi").unwrap()
}

fn country(code: &str) -> Country {
    code.parse().unwrap()
}

fn site_key() -> SecretKey {
    SecretKey::from_slice(&[9; 32]).unwrap()
}

fn sites_as(site: &str, backend: &MemoryBackend, known: &Arc<Memory>, limits: SiteLimits) -> Arc<Sites> {
    let spec = SiteSpec { id: SiteId::new(site).unwrap(), country: country("PK"), key: KeyId::new("pk").unwrap() };
    let site = Site::new(spec, Arc::new(backend.clone()), limits);
    Arc::new(Sites::new(vec![site], Installation::new([1; 16], site_key(), Arc::clone(known) as _)))
}

fn sites(backend: &MemoryBackend, known: &Arc<Memory>) -> Arc<Sites> {
    sites_as("pk-khi", backend, known, SiteLimits::default())
}

fn fixture() -> (MemoryBackend, Arc<Memory>) {
    (MemoryBackend::new(id()), Arc::default())
}

async fn verify(sites: &Sites) -> Result<Claim, IdentityError> {
    sites.verify().await.pop().unwrap().1
}

/// Any sealed blob will do: a marker is the one that needs the least.
fn blob(site: &str, country_code: &str) -> SealedBlob {
    let target = SealTarget::for_test(site, country(country_code), &KeyId::new("pk").unwrap()).unwrap();
    let content = MarkerContent { installation: [1; 16], site: id(), country: country("PK"), epoch: 99 };
    seal_marker(&target, &site_key(), &content).unwrap()
}

#[tokio::test]
async fn a_new_site_gets_a_marker_and_each_start_counts_up() {
    let (backend, known) = fixture();
    let first = sites(&backend, &known);
    assert!(!first.is_up(&id()));
    assert_eq!(verify(&first).await.unwrap(), Claim { epoch: 1, created: true });
    assert!(first.is_up(&id()));
    assert_eq!(verify(&sites(&backend, &known)).await.unwrap(), Claim { epoch: 2, created: false });
    assert_eq!(known.0.lock()[&id()], 2);
}

/// A service that makes a bucket of whatever name on the first write, and the methods that it was asked for.
async fn eager_service() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") && connection.read_buf(&mut head).await.unwrap_or(0) > 0 {}
            let method = String::from_utf8_lossy(&head).split(' ').next().unwrap_or_default().to_owned();
            let status = if method == "PUT" { "200 OK" } else { "404 Not Found" };
            log.lock().push(method);
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            drop(connection.write_all(answer.as_bytes()).await);
        }
    });
    (endpoint, asked)
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_not_made_by_its_marker() {
    let (endpoint, asked) = eager_service().await;
    let credentials = S3Credentials { access_key_id: "id".to_owned(), secret_access_key: "secret".to_owned().into() };
    let backend = S3Backend::new(id(), &S3Config::new(&endpoint, "us-east-1", "mistyped", credentials)).unwrap();
    let spec = SiteSpec { id: id(), country: country("PK"), key: KeyId::new("pk").unwrap() };
    let site = Site::new(spec, Arc::new(backend), SiteLimits::default());
    let known: Arc<Memory> = Arc::default();
    let sites = Sites::new(vec![site], Installation::new([1; 16], site_key(), known.clone()));
    let error = verify(&sites).await.unwrap_err();
    assert!(error.to_string().contains("no bucket `mistyped`") && error.to_string().contains("create it"), "{error}");
    assert!(error.is_transient(), "it is asked again, and found once it is there");
    assert!(asked.lock().iter().all(|method| method == "HEAD") && known.0.lock().is_empty(), "{asked:?}");
}

#[tokio::test]
async fn a_site_that_lost_its_marker_or_carries_anothers_is_refused() {
    let (backend, known) = fixture();
    verify(&sites(&backend, &known)).await.unwrap();

    let empty = sites(&MemoryBackend::new(id()), &known);
    assert!(matches!(verify(&empty).await, Err(IdentityError::MarkerMissing { .. })));
    assert!(matches!(empty.get(&id()).unwrap().state(), SiteState::Refused { .. }));
    assert!(empty.get(&id()).unwrap().store(&blob("pk-khi", "PK")).await.is_err());

    let error = verify(&sites_as("pk-isb", &backend, &Arc::default(), SiteLimits::default())).await.unwrap_err();
    assert!(matches!(&error, IdentityError::Another { .. }) && error.to_string().contains("pk-khi"), "{error}");

    assert!(backend.corrupt(&BlobName::marker(), 60));
    assert!(matches!(verify(&sites(&backend, &known)).await, Err(IdentityError::Foreign { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_site_out_of_reach_at_the_start_is_verified_before_its_first_use() {
    let (backend, known) = fixture();
    let sites = sites(&backend, &known);
    backend.faults().set_unavailable(true);
    assert!(verify(&sites).await.unwrap_err().is_transient());
    backend.faults().set_unavailable(false);
    let site = sites.get(&id()).unwrap();
    assert!(matches!(site.store(&blob("pk-khi", "PK")).await, Err(BackendError::Unavailable { .. })));
    assert!(backend.blobs().is_empty(), "nothing was sent");
    let _probe = sites.watch(EVERY);
    tokio::time::sleep(EVERY * 2).await;
    settle(|| sites.is_up(&id())).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_marks_down_at_once_and_the_probe_marks_up_again() {
    let (backend, known) = fixture();
    let sites = sites(&backend, &known);
    verify(&sites).await.unwrap();
    let _probe = sites.watch(EVERY);
    backend.faults().set_unavailable(true);
    assert!(sites.get(&id()).unwrap().remove(&BlobName::marker()).await.is_err());
    assert!(!sites.is_up(&id()));
    tokio::time::sleep(EVERY * 4).await;
    assert!(!sites.is_up(&id()));
    backend.faults().set_unavailable(false);
    tokio::time::sleep(EVERY * 2).await;
    settle(|| sites.is_up(&id())).await;
}

#[tokio::test]
async fn a_second_gateway_fences_the_first() {
    let (backend, known) = fixture();
    let (first, second) = (sites(&backend, &known), sites(&backend, &known));
    verify(&first).await.unwrap();
    assert!(first.check().await.iter().all(|(_, outcome)| outcome.is_ok()));
    verify(&second).await.unwrap();
    let outcome = first.check().await.pop().unwrap().1;
    assert!(matches!(outcome, Err(IdentityError::TakenOver { own: 1, found: 2, .. })), "{outcome:?}");
    assert!(!first.is_up(&id()) && second.is_up(&id()));
    assert!(matches!(first.get(&id()).unwrap().read(&BlobName::marker(), None).await, Err(BackendError::Refused { .. })));
}

#[tokio::test]
async fn a_receipt_is_only_for_the_site_that_a_blob_was_sealed_for() {
    let (backend, known) = fixture();
    let sites = sites(&backend, &known);
    verify(&sites).await.unwrap();
    let site = sites.get(&id()).unwrap();
    let before = backend.blobs();
    for (other, country_code) in [("pk-isb", "PK"), ("pk-khi", "SG")] {
        assert!(matches!(site.store(&blob(other, country_code)).await, Err(BackendError::WrongSite { .. })));
    }
    assert_eq!(backend.blobs(), before, "nothing was sent");
    let blob = blob("pk-khi", "PK");
    let receipt = site.store(&blob).await.unwrap();
    assert_eq!((receipt.site(), receipt.country(), receipt.len()), (&id(), country("PK"), blob.len()));
    backend.faults().lose_put_answers(1);
    assert!(matches!(site.store(&blob).await, Err(BackendError::UnknownOutcome { .. })), "no receipt for a lost answer");
    let read: Vec<Bytes> = site.read(receipt.name(), None).await.unwrap().body.try_collect().await.unwrap();
    assert_eq!(read.concat(), blob.pieces().concat());
}

#[tokio::test(start_paused = true)]
async fn a_site_takes_no_more_at_a_time_than_its_limit_and_reads_count_until_dropped() {
    let (backend, known) = fixture();
    let sites = sites_as("pk-khi", &backend, &known, SiteLimits { concurrency: 1, ..SiteLimits::default() });
    verify(&sites).await.unwrap();
    let site = sites.get(&id()).unwrap();
    let open = site.read(&BlobName::marker(), None).await.unwrap();
    assert!(matches!(site.remove(&BlobName::marker()).await, Err(BackendError::Busy { .. })));
    drop(open);
    site.remove(&BlobName::marker()).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_breaks_marks_the_site_down() {
    let (backend, known) = fixture();
    let sites = sites(&backend, &known);
    verify(&sites).await.unwrap();
    backend.faults().cut_streams(1);
    let read = sites.get(&id()).unwrap().read(&BlobName::marker(), None).await.unwrap();
    assert!(read.body.try_collect::<Vec<Bytes>>().await.is_err());
    assert!(!sites.is_up(&id()));
}

/// Waits, in bounded steps, for work on other threads to show.
async fn settle(holds: impl Fn() -> bool) {
    for _ in 0..100 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("does not settle");
}

fn alarm(to: &str) -> Verdict {
    Verdict::Found { severity: Severity::Alarm, detail: to.to_owned() }
}

fn standing(check: Check, severity: Severity) -> Standing {
    Standing { check, severity, accepted: false }
}

#[tokio::test]
async fn a_site_is_looked_at_before_its_first_record() {
    let (backend, known) = fixture();
    backend.faults().set_verdict(Check::Replication, alarm("abroad"));
    let sites = sites(&backend, &known);
    verify(&sites).await.unwrap();
    let site = sites.get(&id()).unwrap();
    assert_eq!(site.state(), SiteState::Up);
    assert!(!sites.is_up(&id()) && sites.answers(&id()) && site.inspected().is_some());
    let before = backend.blobs();
    let refused = site.store(&blob("pk-khi", "PK")).await.unwrap_err();
    assert!(matches!(&refused, BackendError::Unavailable { .. }) && refused.to_string().contains("replication"), "{refused}");
    assert_eq!(backend.blobs(), before, "nothing was sent");
    assert!(site.read(&BlobName::marker(), None).await.is_ok(), "what is there is read");
    assert_eq!(*known.2.lock(), [(standing(Check::Replication, Severity::Alarm), true)]);
}

#[tokio::test]
async fn an_alarm_that_appears_and_goes_closes_and_opens_the_site_and_is_recorded_once_each() {
    let (backend, known) = fixture();
    let sites = sites(&backend, &known);
    verify(&sites).await.unwrap();
    let site = sites.get(&id()).unwrap();
    backend.faults().set_verdict(Check::PublicAcl, alarm("everybody"));
    for _ in 0..3 {
        sites.examine().await;
        assert!(!sites.is_up(&id()) && site.store(&blob("pk-khi", "PK")).await.is_err());
    }
    backend.faults().set_verdict(Check::PublicAcl, Verdict::Unknown(Unknown::NotSupported));
    sites.examine().await;
    assert!(!sites.is_up(&id()), "what cannot be looked at any more still stands");
    backend.faults().set_verdict(Check::PublicAcl, Verdict::Fine);
    for _ in 0..3 {
        sites.examine().await;
        assert!(sites.is_up(&id()));
    }
    site.store(&blob("pk-khi", "PK")).await.unwrap();
    let finding = standing(Check::PublicAcl, Severity::Alarm);
    assert_eq!(*known.2.lock(), [(finding, true), (finding, false)]);
}

#[tokio::test]
async fn an_alarm_stands_across_a_start_until_it_was_looked_at() {
    let (backend, known) = fixture();
    backend.faults().set_verdict(Check::Replication, alarm("abroad"));
    verify(&sites(&backend, &known)).await.unwrap();
    backend.faults().set_verdict(Check::Replication, Verdict::Unknown(Unknown::NotPermitted("s3:GetReplicationConfiguration")));
    let again = sites(&backend, &known);
    verify(&again).await.unwrap();
    assert!(!again.is_up(&id()), "taking the right to look away does not end it");
    backend.faults().set_verdict(Check::Replication, Verdict::Fine);
    let third = sites(&backend, &known);
    verify(&third).await.unwrap();
    assert!(third.is_up(&id()));
    assert_eq!(known.2.lock().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_recorded_keeps_a_site_closed() {
    let (backend, known) = fixture();
    backend.faults().set_verdict(Check::Replication, alarm("abroad"));
    let sites = sites(&backend, &known);
    verify(&sites).await.unwrap();
    known.3.store(true, Ordering::Relaxed);
    backend.faults().set_verdict(Check::Replication, Verdict::Fine);
    sites.examine().await;
    assert!(!sites.is_up(&id()), "its end is not in the ledger");
    known.3.store(false, Ordering::Relaxed);
    sites.examine().await;
    assert!(sites.is_up(&id()));
}

#[tokio::test]
async fn a_refused_site_is_an_alarm_of_its_marker_until_it_is_in_service_again() {
    let (backend, known) = fixture();
    let (first, second) = (sites(&backend, &known), sites(&backend, &known));
    verify(&first).await.unwrap();
    verify(&second).await.unwrap();
    assert!(first.check().await.pop().unwrap().1.is_err());
    let marker = standing(Check::Marker, Severity::Alarm);
    let shown = first.get(&id()).unwrap().findings().remove(0);
    assert!(shown.is_alarm() && shown.detail().contains("taken over"), "{}", shown.detail());
    assert_eq!(*known.2.lock(), [(marker, true)]);

    backend.faults().set_unavailable(true);
    let third = sites(&backend, &known);
    assert!(verify(&third).await.is_err());
    assert_eq!(known.2.lock().len(), 1, "a site out of reach says nothing of its marker");
    backend.faults().set_unavailable(false);
    verify(&third).await.unwrap();
    assert_eq!(*known.2.lock(), [(marker, true), (marker, false)]);
}

#[tokio::test]
async fn a_site_is_taken_into_service_once_however_many_ask() {
    let (backend, known) = fixture();
    let sites = sites(&backend, &known);
    let (id, absent) = (id(), SiteId::new("sg-sin").unwrap());
    let (first, second, ()) = tokio::join!(sites.init(&id), sites.init(&id), sites.examine());
    let claims = [first, second].map(|claim| claim.unwrap().unwrap());
    assert!(
        claims.iter().all(|claim| claim.epoch == 1) && claims.iter().filter(|claim| claim.created).count() <= 1,
        "{claims:?}"
    );
    assert!(sites.is_up(&id) && sites.init(&absent).await.is_none());

    backend.faults().set_unavailable(true);
    assert!(sites.check().await.pop().unwrap().1.is_err());
    assert!(sites.init(&id).await.unwrap().is_err(), "a site that is down is not said to be in service");
    backend.faults().set_unavailable(false);
    assert_eq!(sites.init(&id).await.unwrap().unwrap(), Claim { epoch: 1, created: false });
}

#[tokio::test]
async fn an_alarm_closes_also_when_it_cannot_be_recorded_and_is_recorded_later() {
    let (backend, known) = fixture();
    let sites = sites(&backend, &known);
    verify(&sites).await.unwrap();
    known.3.store(true, Ordering::Relaxed);
    backend.faults().set_verdict(Check::Lifecycle, alarm("deletes"));
    sites.examine().await;
    assert!(!sites.is_up(&id()) && known.2.lock().is_empty());
    known.3.store(false, Ordering::Relaxed);
    sites.examine().await;
    assert_eq!(*known.2.lock(), [(standing(Check::Lifecycle, Severity::Alarm), true)]);
}

#[tokio::test(start_paused = true)]
async fn sites_are_looked_at_every_so_often_and_by_nobody_after_that() {
    let (backend, known) = fixture();
    let sites = sites(&backend, &known);
    verify(&sites).await.unwrap();
    let inspector = sites.keep_inspecting(EVERY);
    backend.faults().set_verdict(Check::Replication, alarm("abroad"));
    tokio::time::sleep(EVERY * 2).await;
    settle(|| !sites.is_up(&id())).await;
    drop(inspector);
    backend.faults().set_verdict(Check::Replication, Verdict::Fine);
    tokio::time::sleep(EVERY * 10).await;
    assert!(!sites.is_up(&id()));
}
