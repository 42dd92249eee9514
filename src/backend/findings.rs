//! What is known of how a site's place is set up, and whether the site takes new records because of it.
//!
//! What was found stands until it was looked at again and is gone: a place that cannot be looked at any more clears nothing, neither
//! within a run nor across a start.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::MutexGuard;

use super::{
    BackendError, Check, Posture, Severity, SiteState,
    posture::{Unknown, Verdict},
};
use crate::{
    clock::{Clock, SystemClock},
    telemetry::metric,
    types::{SiteId, Timestamp},
};

/// What an operator says of the checks of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteChecks {
    /// What is known and may stay as it is.
    pub accept: BTreeSet<Check>,
    /// Whether the site takes nothing new while an alarm stands that is not accepted.
    pub refuse_writes: bool,
}

impl Default for SiteChecks {
    /// Nothing is accepted, and an alarm closes the site.
    fn default() -> Self {
        Self { accept: BTreeSet::new(), refuse_writes: true }
    }
}

/// Something that was found and stands, as the installation remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Which check found it.
    pub check: Check,
    /// How bad it is.
    pub severity: Severity,
    /// Whether the configuration accepts it.
    pub accepted: bool,
}

/// What one check says of a site at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// What it said when it last could.
    pub verdict: Verdict,
    /// Whether the configuration accepts what was found.
    pub accepted: bool,
    /// Why what was found could not be confirmed when it was last looked at.
    pub unconfirmed: Option<Unknown>,
}

impl Finding {
    /// `ok`, `warning`, `alarm`, `accepted` or `unknown`.
    pub fn state(&self) -> &'static str {
        match &self.verdict {
            Verdict::Fine => "ok",
            Verdict::Found { .. } if self.accepted => "accepted",
            Verdict::Found { severity, .. } => severity.as_str(),
            Verdict::Unknown(_) => "unknown",
        }
    }

    /// What there is to say, in words for an operator; nothing of what is fine.
    pub fn detail(&self) -> String {
        match (&self.verdict, &self.unconfirmed) {
            (Verdict::Fine, _) => String::new(),
            (Verdict::Found { detail, .. }, None) => detail.clone(),
            (Verdict::Found { detail, .. }, Some(unknown)) => format!("{detail} (as last seen; now {unknown})"),
            (Verdict::Unknown(unknown), _) => unknown.to_string(),
        }
    }

    /// Whether it breaks a promise and nobody has accepted that.
    pub fn is_alarm(&self) -> bool {
        self.state() == Severity::Alarm.as_str()
    }

    /// What is to be remembered of it.
    fn standing(&self) -> Option<Standing> {
        let Verdict::Found { severity, .. } = self.verdict else { return None };
        Some(Standing { check: self.check, severity, accepted: self.accepted })
    }
}

/// What is known of one site's place.
pub(super) struct Findings {
    site: SiteId,
    settings: SiteChecks,
    /// Whoever asks the place, or holds what it said against what is remembered, does so alone.
    turn: tokio::sync::Mutex<()>,
    closed: AtomicBool,
    seen: Mutex<Seen>,
}

struct Seen {
    findings: Vec<Finding>,
    recalled: bool,
    at: Option<Timestamp>,
}

impl Findings {
    pub(super) fn new(site: SiteId, checks: &[Check], settings: SiteChecks) -> Self {
        let finding = |check: &Check| Finding {
            check: *check,
            verdict: Verdict::Unknown(Unknown::NotYet),
            accepted: settings.accept.contains(check),
            unconfirmed: None,
        };
        let seen = Seen { findings: checks.iter().map(finding).collect(), recalled: false, at: None };
        let findings =
            Self { site, settings, turn: tokio::sync::Mutex::default(), closed: AtomicBool::new(false), seen: Mutex::new(seen) };
        findings.publish(&SiteState::Unverified);
        metrics::gauge!(metric::SITE_CHECKED, "site" => findings.site.to_string()).set(0.0);
        findings
    }

    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Whether an alarm stands that closes the site.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Lets something new through to the backend, or says why not.
    pub(super) fn admit(&self) -> Result<(), BackendError> {
        if !self.is_closed() {
            return Ok(());
        }
        let alarms: Vec<&str> =
            self.seen.lock().findings.iter().filter(|found| found.is_alarm()).map(|found| found.check.as_str()).collect();
        let reason = format!("it takes nothing new while an alarm stands: {}", alarms.join(", "));
        Err(BackendError::Unavailable { site: self.site.clone(), reason, cause: None })
    }

    /// When the place was last looked at.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.seen.lock().at
    }

    /// What every check says, that of the marker first.
    pub(super) fn all(&self, state: &SiteState) -> Vec<Finding> {
        let verdict = match state {
            SiteState::Up | SiteState::Down => Verdict::Fine,
            SiteState::Unverified => Verdict::Unknown(Unknown::NotYet),
            SiteState::Refused { reason } => Verdict::alarm(reason.clone()),
        };
        let marker = Finding { check: Check::Marker, verdict, accepted: false, unconfirmed: None };
        std::iter::once(marker).chain(self.seen.lock().findings.iter().cloned()).collect()
    }

    /// Takes over what stood before this start. Once.
    pub(super) fn recall(&self, remembered: &[Standing]) {
        let mut seen = self.seen.lock();
        if std::mem::replace(&mut seen.recalled, true) {
            return;
        }
        for finding in &mut seen.findings {
            if let Some(standing) = remembered.iter().find(|standing| standing.check == finding.check) {
                let detail = "found before the last start".to_owned();
                finding.verdict = Verdict::Found { severity: standing.severity, detail };
                finding.unconfirmed = Some(Unknown::NotYet);
            }
        }
        self.close_if_due(&seen);
    }

    /// Takes in what an inspection found. Closes the site when it has to; only [`Findings::settled`] opens it.
    pub(super) fn take(&self, outcome: Result<Posture, String>) {
        let mut seen = self.seen.lock();
        let (verdicts, failure) = match outcome {
            Ok(posture) => (posture.0, Unknown::NotSupported),
            Err(reason) => (Vec::new(), Unknown::Failed(reason)),
        };
        if !verdicts.is_empty() {
            let now = SystemClock.now();
            seen.at = Some(now);
            metrics::gauge!(metric::SITE_CHECKED, "site" => self.site.to_string()).set(now.seconds() as f64);
        }
        for finding in &mut seen.findings {
            let verdict = verdicts.iter().find(|(check, _)| *check == finding.check).map(|(_, verdict)| verdict.clone());
            match verdict.unwrap_or_else(|| Verdict::Unknown(failure.clone())) {
                Verdict::Unknown(unknown) if matches!(finding.verdict, Verdict::Found { .. }) => {
                    finding.unconfirmed = Some(unknown)
                }
                verdict => (finding.verdict, finding.unconfirmed) = (verdict, None),
            }
        }
        self.close_if_due(&seen);
    }

    /// What stands now, and what stood before and does so no more. A marker that could not be asked for is as it was.
    pub(super) fn changes(&self, state: &SiteState, remembered: &[Standing]) -> (Vec<Standing>, Vec<Standing>) {
        let all = self.all(state);
        let standing: Vec<Standing> = all.iter().filter_map(Finding::standing).collect();
        let open = |check: Check| check == Check::Marker && *state == SiteState::Unverified;
        let gone = remembered.iter().filter(|before| !open(before.check) && standing.iter().all(|now| now.check != before.check));
        let new = standing.iter().filter(|now| !remembered.contains(now));
        (new.copied().collect(), gone.copied().collect())
    }

    /// What stands is in the ledger: the site opens when none of it closes it.
    pub(super) fn settled(&self, state: &SiteState) {
        let seen = self.seen.lock();
        self.closed.store(self.closes(&seen), Ordering::Release);
        drop(seen);
        self.publish(state);
    }

    /// Shows the alarms.
    pub(super) fn publish(&self, state: &SiteState) {
        for finding in self.all(state) {
            let (site, check) = (self.site.to_string(), finding.check.as_str());
            metrics::gauge!(metric::SITE_ALARM, "site" => site, "check" => check).set(if finding.is_alarm() { 1.0 } else { 0.0 });
        }
    }

    fn close_if_due(&self, seen: &Seen) {
        if self.closes(seen) {
            self.closed.store(true, Ordering::Release);
        }
    }

    fn closes(&self, seen: &Seen) -> bool {
        self.settings.refuse_writes && seen.findings.iter().any(Finding::is_alarm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(settings: SiteChecks) -> Findings {
        Findings::new(SiteId::new("pk-khi").unwrap(), Check::OF_BUCKETS, settings)
    }

    fn posture(found: &[(Check, Verdict)]) -> Posture {
        let verdict =
            |check: &Check| found.iter().find(|(one, _)| one == check).map_or(Verdict::Fine, |(_, verdict)| verdict.clone());
        Posture(Check::OF_BUCKETS.iter().map(|check| (*check, verdict(check))).collect())
    }

    fn standing(check: Check, severity: Severity) -> Standing {
        Standing { check, severity, accepted: false }
    }

    fn of(findings: &Findings, check: Check) -> Finding {
        findings.all(&SiteState::Up).into_iter().find(|finding| finding.check == check).unwrap()
    }

    #[test]
    fn an_alarm_closes_at_once_and_opens_only_when_its_end_is_recorded() {
        let findings = findings(SiteChecks::default());
        findings.take(Ok(posture(&[(Check::Replication, Verdict::alarm("to `abroad`"))])));
        assert!(findings.is_closed() && findings.admit().unwrap_err().to_string().contains("replication"));
        findings.take(Ok(posture(&[])));
        assert!(findings.is_closed(), "nothing is in the ledger yet");
        let before = standing(Check::Replication, Severity::Alarm);
        assert_eq!(findings.changes(&SiteState::Up, &[before]), (vec![], vec![before]));
        findings.settled(&SiteState::Up);
        assert!(!findings.is_closed() && findings.admit().is_ok());
    }

    #[test]
    fn what_cannot_be_looked_at_any_more_still_stands() {
        let findings = findings(SiteChecks::default());
        findings.take(Ok(posture(&[(Check::PublicPolicy, Verdict::alarm("open"))])));
        let denied = Unknown::NotPermitted("s3:GetBucketPolicy");
        findings.take(Ok(posture(&[(Check::PublicPolicy, Verdict::Unknown(denied))])));
        let finding = of(&findings, Check::PublicPolicy);
        assert_eq!((finding.state(), finding.unconfirmed.is_some()), ("alarm", true));
        assert!(finding.detail().contains("open") && finding.detail().contains("not permitted"), "{}", finding.detail());
        findings.take(Err("connection refused".to_owned()));
        findings.settled(&SiteState::Up);
        assert!(findings.is_closed() && of(&findings, Check::PublicPolicy).is_alarm());
        assert_eq!(of(&findings, Check::Versioning).state(), "unknown", "what was fine is not known to be");
    }

    #[test]
    fn what_stood_before_a_start_stands_until_it_is_looked_at() {
        let findings = findings(SiteChecks::default());
        let before = [standing(Check::Replication, Severity::Alarm), standing(Check::Marker, Severity::Alarm)];
        findings.recall(&before);
        assert!(findings.is_closed());
        findings.take(Err("connection refused".to_owned()));
        assert_eq!(findings.changes(&SiteState::Unverified, &before), (vec![], vec![]), "neither could be asked");
        findings.take(Ok(posture(&[])));
        assert_eq!(findings.changes(&SiteState::Up, &before).1, before);
        findings.recall(&before);
        assert_eq!(of(&findings, Check::Replication).state(), "ok", "it is recalled once");
    }

    #[test]
    fn what_is_accepted_closes_nothing_and_is_a_change_to_remember() {
        let findings = findings(SiteChecks { accept: [Check::Replication].into(), refuse_writes: true });
        findings.take(Ok(posture(&[(Check::Replication, Verdict::alarm("at home"))])));
        assert_eq!(of(&findings, Check::Replication).state(), "accepted");
        assert!(!findings.is_closed());
        let before = standing(Check::Replication, Severity::Alarm);
        let accepted = Standing { accepted: true, ..before };
        assert_eq!(findings.changes(&SiteState::Up, &[before]), (vec![accepted], vec![]));
        assert_eq!(findings.changes(&SiteState::Up, &[accepted]), (vec![], vec![]));
    }

    #[test]
    fn warnings_and_open_questions_close_nothing_and_reports_do_not_either() {
        let warned = findings(SiteChecks::default());
        let denied = Verdict::Unknown(Unknown::NotSupported);
        warned.take(Ok(posture(&[(Check::Versioning, Verdict::warning("on")), (Check::Replication, denied)])));
        assert!(!warned.is_closed());
        let only_reported = findings(SiteChecks { refuse_writes: false, ..SiteChecks::default() });
        only_reported.take(Ok(posture(&[(Check::Replication, Verdict::alarm("abroad"))])));
        assert!(!only_reported.is_closed() && of(&only_reported, Check::Replication).is_alarm());
    }

    #[test]
    fn a_check_that_the_place_no_longer_has_is_gone() {
        let findings = findings(SiteChecks::default());
        findings.take(Ok(posture(&[])));
        let before = standing(Check::FolderMode, Severity::Warning);
        assert_eq!(findings.changes(&SiteState::Up, &[before]).1, [before]);
    }
}
