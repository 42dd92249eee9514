//! An export under way: what is read, in which order, and its last moment.

use std::{
    ops::{Bound, ControlFlow},
    sync::atomic::Ordering,
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Exported, file};
use crate::{
    index::{Index, IndexError, catalogue::Inner, commit::Work, journal::Audiences, keys::kind},
    seal::{ArchiveSealer, SealError},
    types::Timestamp,
};

/// About how many bytes are read in one go.
const PIECE: usize = 1024 * 1024;
/// Rows written meanwhile that are not left to the end of the walk.
const MANY: usize = 4096;
/// Rows that the committer reads itself at the last moment, at the most.
const LAST: usize = 1000;

/// An export under way. Dropped, it is called off.
pub struct Export {
    index: Index,
    sealer: Option<ArchiveSealer>,
    /// Where the walk goes on; `None` at its end.
    next: Option<Vec<u8>>,
    began: Timestamp,
    lines: u64,
    /// Until its end.
    claim: Option<Claim>,
}

/// The tap, taken.
struct Claim(Index);

/// Lines that have been read.
#[derive(Debug, Default)]
pub(in crate::index) struct Lines {
    text: Vec<u8>,
    count: u64,
}

/// The last moment of an export: what was left to read, and what the file says of itself.
#[derive(Debug)]
pub(in crate::index) struct Last {
    lines: Lines,
    exported: Exported,
}

impl Index {
    /// Begins to export the index, for the installation of its keyring.
    ///
    /// # Errors
    /// [`IndexError::Exporting`] while another export is under way; [`IndexError::Behind`] of an index that lacks what its sites know, since
    /// what is read on top of a later export would never be asked for it.
    pub async fn export(&self, installation: [u8; 16]) -> Result<Export, IndexError> {
        if self.imported()?.is_some() {
            return Err(IndexError::Behind);
        }
        if !self.inner.tap.ask() {
            return Err(IndexError::Exporting);
        }
        let claim = Claim(self.clone());
        let sealer = file::begin(&self.inner.keys.index_key, installation).map_err(crypto)?;
        let (answer, answered) = oneshot::channel();
        self.enqueue(Work::Tap { answer })?;
        answered.await.map_err(|_| IndexError::Stopped)??;
        Ok(Export {
            index: self.clone(),
            sealer: Some(sealer),
            next: Some(Vec::new()),
            began: self.inner.clock.now(),
            lines: 0,
            claim: Some(claim),
        })
    }
}

impl Export {
    /// The next bytes of the file; `None` at its end.
    ///
    /// # Errors
    /// Those of the index; [`IndexError::ExportTooSlow`] when more was written since the last call than can be kept in mind.
    pub async fn next(&mut self) -> Result<Option<Bytes>, IndexError> {
        loop {
            let Some(sealer) = &mut self.sealer else { return Ok(None) };
            let sealed = sealer.take();
            if !sealed.is_empty() {
                return Ok(Some(sealed.into()));
            }
            let waiting = self.index.inner.tap.len();
            if waiting >= MANY || (self.next.is_none() && waiting > 0) {
                let lines = self.index.blocking(Inner::written_meanwhile).await?;
                self.push(&lines)?;
            } else if let Some(after) = self.next.take() {
                let (lines, next) = self.index.blocking(move |inner| inner.lines_from(after)).await?;
                self.next = next;
                self.push(&lines)?;
            } else if let Some(last) = self.last().await? {
                self.claim = None;
                self.push(&last.lines)?;
                let exported = Exported { began: self.began, lines: self.lines, ..last.exported };
                let Some(mut sealer) = self.sealer.take() else { return Ok(None) };
                sealer.push(&file::end(&exported)?).map_err(crypto)?;
                return Ok(Some(sealer.finish().map_err(crypto)?.into()));
            }
        }
    }

    fn push(&mut self, lines: &Lines) -> Result<(), IndexError> {
        self.lines += lines.count;
        self.sealer.as_mut().map_or(Ok(()), |sealer| sealer.push(&lines.text)).map_err(crypto)
    }

    /// Asks the committer for the last moment; `None` when too much was written again by then.
    async fn last(&self) -> Result<Option<Last>, IndexError> {
        let (answer, answered) = oneshot::channel();
        self.index.enqueue(Work::LastOfExport { answer })?;
        answered.await.map_err(|_| IndexError::Stopped)?
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.inner.tap.close();
    }
}

impl Lines {
    fn add(&mut self, row: &[u8], body: Option<&[u8]>) -> Result<(), IndexError> {
        self.count += 1;
        file::line(row, body, &mut self.text)
    }
}

impl Inner {
    /// The next rows of the walk, and where it goes on.
    fn lines_from(&self, after: Vec<u8>) -> Result<(Lines, Option<Vec<u8>>), IndexError> {
        let mut lines = Lines::default();
        let (mut next, mut failed) = (None, None);
        self.engine.scan(Bound::Included(&after), Bound::Unbounded, &mut |row, value| {
            if lines.text.len() >= PIECE {
                next = Some(row.to_vec());
                return ControlFlow::Break(());
            }
            if !Audiences::is_journalled(row) {
                // What is derived is passed by, kind by kind; of kind `m` there are few.
                let letter = row.first().copied().unwrap_or_default();
                if letter == b'm' {
                    return ControlFlow::Continue(());
                }
                next = letter.checked_add(1).map(|letter| vec![letter]);
                return ControlFlow::Break(());
            }
            match self.line(row, value, &mut lines) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok((lines, next)), Err)
    }

    fn line(&self, row: &[u8], value: &[u8], lines: &mut Lines) -> Result<(), IndexError> {
        // The ledger's leaves are in the clear.
        if row.first() == Some(&kind::LEDGER) {
            return lines.add(row, Some(value));
        }
        self.sealing.open(row, value, |body| lines.add(row, Some(body)))
    }

    fn line_again(&self, row: &[u8], lines: &mut Lines) -> Result<(), IndexError> {
        match self.engine.get(row)? {
            Some(value) => self.line(row, &value, lines),
            None => lines.add(row, None),
        }
    }

    /// Some of the rows that were written meanwhile, as they are now.
    fn written_meanwhile(&self) -> Result<Lines, IndexError> {
        let mut lines = Lines::default();
        while lines.text.len() < PIECE {
            let Some(row) = self.tap.next()? else { break };
            self.line_again(&row, &mut lines)?;
        }
        Ok(lines)
    }

    /// The last moment, when little is left. Only the committer may ask for it, between two commits.
    pub(in crate::index) fn last_of_export(&self) -> Result<Option<Last>, IndexError> {
        if self.tap.len() > LAST {
            return Ok(None);
        }
        let mut lines = Lines::default();
        while let Some(row) = self.tap.next()? {
            self.line_again(&row, &mut lines)?;
        }
        let now = self.clock.now();
        let open = self.ongoing.intents.lock().keys().map(|id| id.0).collect();
        let exported = Exported {
            number: self.tickets.next.fetch_add(1, Ordering::Relaxed),
            began: now,
            ended: now,
            lines: 0,
            ledger: *self.head.lock(),
            chains: self.journal.countries(),
            open,
        };
        Ok(Some(Last { lines, exported }))
    }
}

fn crypto(_: SealError) -> IndexError {
    IndexError::Crypto
}
