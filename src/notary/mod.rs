//! Checkpoints of the ledger that others vouch for: made at an interval, kept, cosigned by witnesses (C2SP tlog-witness) and stamped by a
//! time-stamping authority (RFC 3161).
//!
//! A witness signs only what continues what it signed before, so a gateway that shows two histories needs every witness as an accomplice.
//! A checkpoint is sent out only when it is durable here and the journal has been told of it. What cannot be had now is asked for again.

mod der;
mod stamp;
mod standing;
mod witness;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    audit::note::Verifier,
    clock::Clock,
    index::{Index, IndexError, KeptCheckpoint},
    telemetry::metric,
};

use self::witness::Unwitnessed;
pub use self::{
    stamp::Authority,
    standing::{Failure, Standing, Voucher},
    witness::Witness,
};

/// Pause between two tries of what failed, where checkpoints are not made more often.
const PAUSE: Duration = Duration::from_secs(60);
/// How long others may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest answer that is read, in bytes.
const MOST_BYTES: usize = 64 << 10;

/// What is asked of whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Pause between two checkpoints that are kept. None is, while nothing happens.
    pub every: Duration,
    /// Who cosigns them.
    pub witnesses: Vec<WitnessSettings>,
    /// Who stamps them: an address.
    pub time_stamps: Option<String>,
}

/// A witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessSettings {
    /// Its submission prefix.
    pub url: String,
    /// What it signs with.
    pub key: Verifier,
}

impl Default for Settings {
    fn default() -> Self {
        Self { every: Duration::from_secs(3600), witnesses: Vec::new(), time_stamps: None }
    }
}

/// Makes and keeps checkpoints.
pub struct Notary {
    index: Index,
    clock: Arc<dyn Clock>,
    every: Duration,
    witnesses: Vec<Witness>,
    authority: Option<Authority>,
    /// The size of the last checkpoint that a site was seen to hold.
    confirmed: AtomicU64,
    standing: Arc<Standing>,
}

impl Notary {
    /// Prepares; connects with the first checkpoint.
    ///
    /// # Errors
    /// Where a connection would be over TLS and there is no authority to trust.
    pub fn new(index: Index, clock: Arc<dyn Clock>, settings: Settings) -> Result<Self, String> {
        let standing = Arc::new(Standing::of(&settings.witnesses, settings.time_stamps.as_ref()));
        let witnesses = settings.witnesses.into_iter().map(Witness::new).collect::<Result<Vec<_>, _>>()?;
        let authority = settings.time_stamps.map(Authority::new).transpose()?;
        for of in ["witness", "time-stamp"] {
            metrics::counter!(metric::LEDGER_UNANSWERED, "of" => of).increment(0);
        }
        Ok(Self { index, clock, every: settings.every, witnesses, authority, confirmed: AtomicU64::new(0), standing })
    }

    /// How it stands with those who are asked, as it goes on.
    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing)
    }

    /// Does its work, again and again. Does not end. It begins after a pause: a start has other things to do than to hurry the journal.
    pub async fn run(&self) {
        loop {
            tokio::time::sleep(self.every.min(PAUSE)).await;
            if let Err(error) = self.round().await {
                tracing::error!(%error, "no checkpoint of the ledger is kept");
            }
        }
    }

    /// Keeps a checkpoint when it is time for one, and asks for what the last one lacks.
    ///
    /// # Errors
    /// Those of the index. What others do not answer is asked for at the next round.
    pub async fn round(&self) -> Result<(), IndexError> {
        let last = self.index.kept_checkpoints(None, 1).await?.pop();
        let next = self.due(last.as_ref())?;
        let is_new = next.is_some();
        let Some(mut last) = next.or(last) else { return Ok(()) };
        let mut signed = last.signed()?;
        let cosigned = |key: &Verifier| signed.note.signatures().iter().any(|signature| key.is_of(signature));
        let witnesses: Vec<&Witness> = self.witnesses.iter().filter(|witness| !cosigned(witness.key())).collect();
        let authority = self.authority.as_ref().filter(|authority| !authority.has_stamped(&last));
        let size = signed.checkpoint.size;
        let lacks = !witnesses.is_empty() || authority.is_some();
        // What others vouch for must not be lost with the index.
        if is_new || (lacks && self.confirmed.load(Ordering::Relaxed) != size) {
            if !self.index.keep_checkpoint(&last).await? {
                let why = "no site confirms the checkpoint yet, so nobody is asked to vouch for it";
                self.standing.held_up(self.clock.now(), why);
                tracing::warn!("no site confirms the checkpoint of the ledger: nobody is asked to vouch for it yet");
                return Ok(());
            }
            self.confirmed.store(size, Ordering::Relaxed);
        }
        for witness in witnesses {
            let voucher = Voucher::Witness(witness.key().clone());
            match witness.cosign(&self.index, &signed).await {
                Ok(cosignature) => {
                    signed.note.add(cosignature);
                    last.note = signed.to_string();
                    self.index.keep_checkpoint(&last).await?;
                    self.standing.succeeded(&voucher);
                }
                Err(error) => {
                    metrics::counter!(metric::LEDGER_UNANSWERED, "of" => "witness").increment(1);
                    let disputed = matches!(error, Unwitnessed::Inconsistent(_));
                    self.standing.failed(&voucher, self.clock.now(), &error.to_string(), disputed);
                    tracing::warn!(witness = witness.key().name(), %error, "the checkpoint is not cosigned");
                }
            }
        }
        if let Some(authority) = authority {
            let voucher = Voucher::Authority(authority.url().to_owned());
            match authority.stamp(signed.note.text()).await {
                Ok(stamp) => {
                    last.stamps.push(stamp);
                    self.index.keep_checkpoint(&last).await?;
                    self.standing.succeeded(&voucher);
                }
                Err(error) => {
                    metrics::counter!(metric::LEDGER_UNANSWERED, "of" => "time-stamp").increment(1);
                    self.standing.failed(&voucher, self.clock.now(), &error, false);
                    tracing::warn!(error, "the checkpoint has no time stamp");
                }
            }
        }
        Ok(())
    }

    /// The next checkpoint, where it is time for it and something happened since the last.
    fn due(&self, last: Option<&KeptCheckpoint>) -> Result<Option<KeptCheckpoint>, IndexError> {
        let now = self.clock.now();
        if let Some(last) = last {
            let passed = now.millis().saturating_sub(last.time.millis());
            if u128::try_from(passed).is_ok_and(|passed| passed < self.every.as_millis()) {
                return Ok(None);
            }
            if last.signed()?.checkpoint.size >= self.index.ledger_head().size {
                return Ok(None);
            }
        }
        let signed = self.index.checkpoint();
        let kept = KeptCheckpoint { time: now, note: signed.to_string(), stamps: Vec::new() };
        Ok((signed.checkpoint.size > 0).then_some(kept))
    }
}

/// An error with what caused it: the outermost alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
