//! Holds the blobs at a site against what the index says of them.
//!
//! Every blob is looked at with one request that brings its head and, of the whole, its length. A head that opens under the record's key and
//! names the extent that was asked for is proof that the blob is the one that was stored under this name; [`Depth::Whole`] opens all that
//! follows as well and holds the content against the entity tag.

use bytes::Bytes;
use futures_util::TryStreamExt;

use crate::backend::{BackendError, Site};
use crate::digest::{ETag, Md5};
use crate::index::{CopyRow, FoundRecord, Layout, Part, PartEntry, Upload};
use crate::kms::WrappedSubjectKey;
use crate::objects::read::STREAM;
use crate::objects::{Gate, Manifest, MemoryBudget, ObjectError, Objects, Pace};
use crate::seal::{
    BlobName, EXTENT_SIZE, ExtentId, ExtentOpener, HEAD_LEN, MAX_HEAD_LEN, PREFIX_LEN, ReadPlan, RecordKey, SealError, head_len,
    parse_head, parse_subject_key_blob,
};
use crate::types::{AttemptId, RecordId};

/// The longest head of a blob that is where another should be, read to see what it is.
const STRANGE_HEAD: usize = 1024 * 1024;

/// How much of a blob is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// Its head and its length.
    #[default]
    Head,
    /// Every byte.
    Whole,
}

/// What is wrong with a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It is not as long as it was when it was stored.
    WrongLength {
        /// The length that is due.
        due: u64,
        /// The length that it has.
        found: u64,
    },
    /// Its head does not open, or is that of another blob.
    Unreadable(String),
    /// Its head opens, but not all that follows; or the content is not what the entity tag was taken of.
    Tampered(String),
}

/// A blob with a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faulty {
    /// The blob's name.
    pub name: BlobName,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What became of a look at some blobs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Examined {
    /// How many were looked at.
    pub blobs: u64,
    /// Those with a fault.
    pub faulty: Vec<Faulty>,
}

/// The extents of one body or part.
struct Run {
    part: u32,
    attempt: AttemptId,
    size: u64,
    head_len: u32,
    etag: ETag,
    /// Whether each head carries the record's manifest.
    described: bool,
}

/// One blob as it should be.
struct Due {
    id: ExtentId,
    plan: ReadPlan,
    head_len: usize,
    described: bool,
}

/// One copy being examined.
struct Examination<'a> {
    memory: &'a MemoryBudget,
    site: &'a Site,
    copy: &'a CopyRow,
    record: RecordId,
    key: RecordKey,
    depth: Depth,
    gate: &'a Gate,
    /// The record, where it is complete.
    found: Option<&'a FoundRecord>,
    /// Of the extents, one in so many is looked at.
    one_in: u64,
    passed: u64,
    examined: Examined,
}

impl Objects {
    /// Looks at every blob of a record's copy.
    ///
    /// # Errors
    /// When it cannot be told: the site or the keys cannot be had, or there is no memory for it now.
    pub async fn examine(&self, found: &FoundRecord, copy: &CopyRow, depth: Depth, gate: &Gate) -> Result<Examined, ObjectError> {
        self.examine_one_in(1, found, copy, depth, gate).await
    }

    /// Looks at the heads of a record's copy as [`Objects::examine`] does: of its manifest, and of one in `one_in` of its extents.
    ///
    /// # Errors
    /// As [`Objects::examine`].
    pub async fn glance(&self, found: &FoundRecord, copy: &CopyRow, one_in: u64) -> Result<Examined, ObjectError> {
        self.examine_one_in(one_in.max(1), found, copy, Depth::Head, &Gate::new(Pace::default())).await
    }

    async fn examine_one_in(
        &self,
        one_in: u64,
        found: &FoundRecord,
        copy: &CopyRow,
        depth: Depth,
        gate: &Gate,
    ) -> Result<Examined, ObjectError> {
        let record = &found.record;
        let (size, etag) = (record.summary.size, record.summary.etag);
        let run = |part, attempt, size, etag| Run {
            part,
            attempt: copy.attempt(attempt),
            size,
            head_len: HEAD_LEN as u32,
            etag,
            described: false,
        };
        let runs = match record.detail.layout {
            Layout::Whole { attempt } => {
                vec![Run { head_len: copy.manifest_head_len, described: true, ..run(0, attempt, size, etag) }]
            }
            Layout::Extents { attempt } => vec![run(0, attempt, size, etag)],
            Layout::Parts { table, .. } => {
                self.index.parts_of(table)?.iter().map(|part| run(part.number, part.attempt, part.size, part.etag)).collect()
            }
        };
        let mut examination = self.examination(copy, record.summary.id, depth, gate).await?;
        (examination.found, examination.one_in) = (Some(found), one_in);
        for run in runs {
            examination.run(run).await?;
        }
        if !matches!(record.detail.layout, Layout::Whole { .. }) {
            let id = ExtentId::manifest(record.summary.id, copy.manifest_attempt);
            examination.look(&Due::new(id, copy.manifest_head_len, 0, true), None).await?;
        }
        Ok(examination.examined)
    }

    /// Looks at every blob of one part of an open upload at one of its places.
    ///
    /// # Errors
    /// As [`Objects::examine`].
    pub async fn examine_part(
        &self,
        upload: &Upload,
        copy: &CopyRow,
        part: &Part,
        depth: Depth,
        gate: &Gate,
    ) -> Result<Examined, ObjectError> {
        let mut examination = self.examination(copy, upload.record, depth, gate).await?;
        let PartEntry { number, attempt, size, etag, .. } = part.entry;
        let run = Run { part: number, attempt, size, head_len: HEAD_LEN as u32, etag, described: false };
        examination.run(run).await?;
        Ok(examination.examined)
    }

    /// Looks at the blob of a subject key at one site.
    ///
    /// # Errors
    /// When the site cannot be asked.
    pub async fn examine_key(&self, site: &Site, key: &WrappedSubjectKey, gate: &Gate) -> Result<Option<Fault>, ObjectError> {
        gate.pass(0).await;
        let name = BlobName::of_subject_key(key);
        let read = match read_whole(site, &name, 0..SUBJECT_KEY_LEN).await {
            Ok((bytes, _)) => bytes,
            Err(BackendError::NotFound { .. }) => return Ok(Some(Fault::Missing)),
            Err(BackendError::Corrupt { .. }) => return Ok(Some(Fault::Unreadable("it is empty".to_owned()))),
            Err(error) => return Err(ObjectError::from_backend(key.country, &error)),
        };
        Ok(match parse_subject_key_blob(&read) {
            Ok(read) if BlobName::of_subject_key(&read) == name && read.wrapped == key.wrapped => None,
            Ok(_) => Some(Fault::Unreadable("it is another subject key".to_owned())),
            Err(SealError::WrongLength { expected, got }) => Some(Fault::WrongLength { due: expected, found: got }),
            Err(error) => Some(Fault::Unreadable(error.to_string())),
        })
    }

    async fn examination<'a>(
        &'a self,
        copy: &'a CopyRow,
        record: RecordId,
        depth: Depth,
        gate: &'a Gate,
    ) -> Result<Examination<'a>, ObjectError> {
        let site = self.sites.get(&copy.site).ok_or(ObjectError::SiteUnavailable { country: copy.country })?;
        let key = self.record_key(copy, record).await?;
        Ok(Examination {
            memory: &self.memory,
            site,
            copy,
            record,
            key,
            depth,
            gate,
            found: None,
            one_in: 1,
            passed: 0,
            examined: Examined::default(),
        })
    }
}

/// More than any subject key's blob has.
const SUBJECT_KEY_LEN: u64 = 64 * 1024 + 1;

impl Due {
    fn new(id: ExtentId, head_len: u32, plain_len: u64, described: bool) -> Self {
        Self { id, plan: ReadPlan::new(head_len, plain_len, 0..plain_len), head_len: head_len as usize, described }
    }
}

impl Examination<'_> {
    async fn run(&mut self, run: Run) -> Result<(), ObjectError> {
        let mut content = (self.depth == Depth::Whole).then(Md5::new);
        let (before, mut first) = (self.examined.faulty.len(), None);
        let extents = run.size.div_ceil(EXTENT_SIZE as u64).max(1);
        for extent in 0..extents {
            let plain_len = run.size.saturating_sub(extent * EXTENT_SIZE as u64).min(EXTENT_SIZE as u64);
            let extent = u32::try_from(extent).unwrap_or(u32::MAX);
            let id = ExtentId { record: self.record, part: run.part, attempt: run.attempt, extent };
            first.get_or_insert(id);
            self.passed += 1;
            if !(self.passed - 1).is_multiple_of(self.one_in) {
                continue;
            }
            self.look(&Due::new(id, run.head_len, plain_len, run.described), content.as_mut()).await?;
        }
        if let (Some(content), Some(first), true) = (content, first, self.examined.faulty.len() == before)
            && ETag::single(content.finish()) != run.etag
        {
            let fault = Fault::Tampered("the content is not what its entity tag was taken of".to_owned());
            self.examined.faulty.push(Faulty { name: BlobName::of(self.copy.country, &first), fault });
        }
        Ok(())
    }

    async fn look(&mut self, due: &Due, content: Option<&mut Md5>) -> Result<(), ObjectError> {
        let name = BlobName::of(self.copy.country, &due.id);
        let bytes = if self.depth == Depth::Whole { due.plan.blob_len } else { due.head_len as u64 };
        self.gate.pass(bytes).await;
        // Only now: who waits for their turn at the pace keeps no client waiting for memory.
        let held = if self.depth == Depth::Whole { STREAM } else { 0 };
        let _memory = self.memory.stream(held.max(due.head_len as u64)).await?;
        let fault = match self.fault(&name, due, content).await {
            Ok(fault) => fault,
            Err(error) => return Err(ObjectError::from_backend(self.copy.country, &error)),
        };
        self.examined.blobs += 1;
        self.examined.faulty.extend(fault.map(|fault| Faulty { name, fault }));
        Ok(())
    }

    async fn fault(&self, name: &BlobName, due: &Due, content: Option<&mut Md5>) -> Result<Option<Fault>, BackendError> {
        let length = |found| Fault::WrongLength { due: due.plan.blob_len, found };
        let (head, total) = match read_whole(self.site, name, 0..due.head_len as u64).await {
            Ok(read) => read,
            Err(BackendError::NotFound { .. }) => return Ok(Some(Fault::Missing)),
            // There is no byte to begin at.
            Err(BackendError::Corrupt { .. }) => return Ok(Some(length(0))),
            Err(error) => return Err(error),
        };
        if let Some(fault) = self.head_fault(name, due, &head, total).await? {
            return Ok(Some(fault));
        }
        if total != due.plan.blob_len {
            return Ok(Some(length(total)));
        }
        let Some(content) = content.filter(|_| self.depth == Depth::Whole) else {
            return if self.depth == Depth::Whole { self.opens(name, due, head, &mut Md5::new()).await } else { Ok(None) };
        };
        self.opens(name, due, head, content).await
    }

    /// What is wrong with a head; nothing where the blob is only too short to tell.
    async fn head_fault(&self, name: &BlobName, due: &Due, head: &Bytes, total: u64) -> Result<Option<Fault>, BackendError> {
        let unreadable = |error: SealError| Some(Fault::Unreadable(error.to_string()));
        let other = || Some(Fault::Unreadable("it is another blob".to_owned()));
        let parsed = match parse_head(head) {
            Ok(parsed) => parsed,
            Err(SealError::Short { .. }) => {
                // A longer head may follow: then it is another blob. One that the length cuts off is this blob or another, cut short.
                let need = if head.len() < PREFIX_LEN { None } else { head_len(head).ok() };
                let Some(need) = need.filter(|need| *need as u64 <= total && *need <= STRANGE_HEAD.min(MAX_HEAD_LEN)) else {
                    return Ok(if total < due.plan.blob_len { None } else { other() });
                };
                let (longer, _) = read_whole(self.site, name, 0..need as u64).await?;
                return Ok(parse_head(&longer).map_or_else(unreadable, |_| other()));
            }
            Err(error) => return Ok(unreadable(error)),
        };
        if *parsed.id() != due.id || parsed.country() != self.copy.country {
            return Ok(other());
        }
        let manifest = match parsed.open_manifest(&self.key) {
            Ok(manifest) => manifest,
            Err(error) => return Ok(unreadable(error)),
        };
        let Some(found) = self.found.filter(|_| due.described) else { return Ok(None) };
        let Some(manifest) = manifest else { return Ok(Some(Fault::Unreadable("it has no manifest".to_owned()))) };
        Ok(match Manifest::decode(&manifest) {
            Err(error) => Some(Fault::Unreadable(error)),
            Ok(manifest) if (&manifest.bucket, &manifest.key) != (&found.bucket, &found.key) => {
                Some(Fault::Unreadable("its manifest describes another record".to_owned()))
            }
            Ok(_) => None,
        })
    }

    /// Opens all of a blob whose head is in order.
    async fn opens(&self, name: &BlobName, due: &Due, head: Bytes, content: &mut Md5) -> Result<Option<Fault>, BackendError> {
        let mut opener = match ExtentOpener::new(due.id, self.copy.country, &self.key, &due.plan) {
            Ok(opener) => opener,
            Err(error) => return Ok(Some(Fault::Tampered(error.to_string()))),
        };
        let mut body = self.site.read(name, Some(head.len() as u64..due.plan.blob_len)).await?.body;
        let mut next = Some(head);
        let mut opened = Vec::new();
        while let Some(bytes) = next {
            if let Err(error) = opener.push(bytes, &mut opened) {
                return Ok(Some(Fault::Tampered(error.to_string())));
            }
            opened.drain(..).for_each(|bytes| content.update(&bytes));
            next = body.try_next().await?;
        }
        Ok(opener.finish().err().map(|error| Fault::Tampered(error.to_string())))
    }
}

/// A range of a blob, in one piece, and the length of the whole.
async fn read_whole(site: &Site, name: &BlobName, range: std::ops::Range<u64>) -> Result<(Bytes, u64), BackendError> {
    let read = site.read(name, Some(range)).await?;
    let total = read.total_len;
    let mut bytes = Vec::new();
    let mut body = read.body;
    while let Some(piece) = body.try_next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes.into(), total))
}
