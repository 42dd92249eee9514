//! CopyObject. A copy launders nothing: it is decided anew from the target's signals and the source's recorded subject, opened, and
//! sealed anew under keys of its own. It shares no blob with its source.

use futures_util::StreamExt;

use crate::access::Action;
use crate::audit::{Event, Kind};
use crate::index::{Pin, Record};
use crate::objects::authorize::On;
use crate::objects::customer::Unlocked;
use crate::objects::facts::{Setting, What};
use crate::objects::get::ATTEMPTS;
use crate::objects::limits::check_length;
use crate::objects::put::NewObject;
use crate::objects::{
    Body, BodyError, CopyRequest, CopySource, Description, ExpectedChecksum, Length, ObjectError, Objects, Piece, ReadBody,
    Request, Stored,
};
use crate::residency::SourceFacts;

/// The record that a copy reads.
pub(super) struct Source {
    pub(super) record: Record,
    /// What the record says of whose data it is.
    pub(super) facts: SourceFacts,
    /// Keeps its blobs until they are read.
    pub(super) pin: Pin,
    pub(super) unlocked: Unlocked,
}

impl Objects {
    /// Copies an object, through the gateway and in the gateway's memory alone.
    ///
    /// # Errors
    /// Those of a read of the source and of a write of the target.
    pub async fn copy(&self, request: &Request<'_>, copy: CopyRequest) -> Result<Stored, ObjectError> {
        // What of tags stands in the headers of a copy that keeps its source's means nothing.
        let facts = Setting { request: request.facts, what: What::Tags(copy.tags.as_deref().unwrap_or_default()) };
        let request = &Request { facts: &facts, ..*request };
        let bucket = self.writable_bucket(request, &copy.bucket, &copy.key).await?;
        self.check_may_compare(request, &bucket, &copy.key, &copy.condition).await?;
        let Source { record, facts, pin, unlocked } = self.copy_source(request, &copy.source).await?;
        check_length(record.summary.size)?;
        let itself = copy.source.bucket == copy.bucket && copy.source.key == copy.key && copy.source.version.is_none();
        let rekeyed = request.keys.object.is_some() || request.keys.copy_source.is_some();
        if itself && copy.replace.is_none() && copy.tags.is_none() && !rekeyed {
            return Err(ObjectError::CopyToItself);
        }
        let (content, metadata) = match copy.replace {
            Some(replace) => replace,
            None => (record.detail.content.clone(), record.detail.metadata.clone()),
        };
        if copy.tags.is_none() && !record.detail.tags.is_empty() {
            let name = copy.source.name();
            let action = name.action(Action::GetObjectTagging, Action::GetObjectVersionTagging);
            let source = self.bucket(&copy.source.bucket)?;
            self.authorize_in(request, &source, action, On::Object(name.key, name.version)).await?;
        }
        let tags = copy.tags.clone().unwrap_or_else(|| record.detail.tags.clone());
        let description = Description { content, metadata, tags, lock: copy.lock };
        {
            let facts = Setting { request: request.facts, what: What::Tags(&description.tags) };
            let asking = Request { facts: &facts, ..*request };
            self.check_described(&asking, &bucket, &copy.key, &description).await?;
        }
        let lock = self.lock_of_new(&bucket, copy.lock)?;
        let belonging = self.belonging_of_new(request, &bucket, &copy.key, &copy.acl).await?;
        let description = Description { lock, ..description };
        let algorithm = copy.checksum.or(record.summary.checksum_algorithm.map(|(algorithm, _)| algorithm));
        let object = NewObject {
            bucket: &bucket,
            key: &copy.key,
            description,
            length: Length::Exact(record.summary.size),
            content_md5: None,
            checksum: algorithm.map(|algorithm| ExpectedChecksum { algorithm, value: None }),
            condition: copy.condition,
            belonging,
            kind: Kind::CopyObject,
            import: None,
        };
        let entry = self.entry_of_read(request, (&copy.source.bucket, &copy.source.key), &record, record.summary.size);
        let source = self.lazy_body(record, pin, unlocked, entry);
        self.store_object(request, object, &[facts], source).await
    }

    /// The record a copy reads, unlocked with the key that the request brings for it.
    pub(super) async fn copy_source(&self, request: &Request<'_>, source: &CopySource) -> Result<Source, ObjectError> {
        let unconditional = Default::default();
        let name = source.name();
        let action = name.action(Action::GetObject, Action::GetObjectVersion);
        let asking = Request { expected_owner: source.expected_owner.as_deref(), ..*request };
        for _ in 0..ATTEMPTS {
            let (bucket, record) = self.find(&asking, name, &unconditional, action).await?;
            // A pin holds what is still there when it is taken: the row is read again under it.
            let pin = self.index.pin(record.summary.id);
            if self.is_still_there(&source.bucket, &source.key, source.version, &record)? {
                let unlocked = Unlocked::record(&record, request.keys.copy_source.as_ref())?;
                source.condition.check_source(&record.summary)?;
                self.check_may_read(request, &bucket.name, &source.key, &record).await?;
                let facts = record.detail.placement.as_source(&bucket.name, &source.key);
                return Ok(Source { record, facts, pin, unlocked });
            }
        }
        Err(ObjectError::Overloaded)
    }

    /// The bytes of a record as a body that opens the record when it is first read: only after the target was placed. `pin` keeps the
    /// record until then. `entry` is what the ledger says of it first.
    pub(super) fn lazy_body(&self, record: Record, pin: Pin, unlocked: Unlocked, entry: Option<Box<Event>>) -> Body {
        let range = 0..record.summary.size;
        let objects = self.clone();
        let open = async move {
            objects.record_read(entry).await?;
            let opened = objects.open_record(&record, range, &unlocked).await;
            // What was opened has a pin of its own.
            drop(pin);
            opened
        };
        Box::pin(futures_util::stream::once(open).flat_map(|opened| match opened {
            Ok(read) => body_of(read),
            Err(error) => {
                tracing::warn!(error = %error, "the source of a copy cannot be opened");
                Box::pin(futures_util::stream::once(std::future::ready(Err(BodyError::Source))))
            }
        }))
    }
}

/// A read as a body.
pub(super) fn body_of(read: ReadBody) -> Body {
    Box::pin(read.map(|item| match item {
        Ok(bytes) => Ok(Piece::Data(bytes)),
        Err(error) => {
            tracing::warn!(error = %error, "the source of a copy broke off");
            Err(BodyError::Source)
        }
    }))
}
