//! Listing open uploads and their parts.

use std::ops::ControlFlow;

use super::{
    BucketId, Index, IndexError, Part, Upload,
    codec::decode,
    keys::{self, kind, successor},
    list::{Step, common_prefix},
};
use crate::types::UploadId;

/// Which open uploads to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadsQuery {
    /// The bucket.
    pub bucket: BucketId,
    /// Only keys that begin so.
    pub prefix: String,
    /// As in [`super::ListQuery`].
    pub delimiter: Option<String>,
    /// After all uploads of this key; with `id_marker`, after that upload of the key.
    pub key_marker: Option<String>,
    /// See `key_marker`.
    pub id_marker: Option<UploadId>,
    /// Uploads and common prefixes together.
    pub limit: usize,
}

/// One page of uploads.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UploadsPage {
    /// By key, then by id.
    pub uploads: Vec<Upload>,
    /// In order.
    pub common_prefixes: Vec<String>,
    /// Whether there is more.
    pub truncated: bool,
    /// The markers of the next page: the last key or common prefix, and the last upload's id.
    pub next: Option<(String, Option<UploadId>)>,
}

impl Index {
    /// One page of a bucket's open uploads.
    pub async fn uploads(&self, query: UploadsQuery) -> Result<UploadsPage, IndexError> {
        self.blocking(move |inner| {
            let mut page = UploadsPage::default();
            if query.limit == 0 {
                return Ok(page);
            }
            let delimiter = query.delimiter.as_deref();
            let start = query.key_marker.as_deref().and_then(|key| {
                match (&query.id_marker, common_prefix(key, &query.prefix, delimiter)) {
                    (Some(id), _) => Some([keys::upload(query.bucket, key, id).as_slice(), &[0]].concat()),
                    (None, Some(common)) if common == key => successor(&keys::under(kind::UPLOAD, query.bucket, common)),
                    (None, _) => Some(keys::after_key(kind::UPLOAD, query.bucket, key)),
                }
            });
            let under = keys::under(kind::UPLOAD, query.bucket, &query.prefix);
            inner.walk(&under, start, |row, sealed| {
                let upload: Upload = inner.sealing.open(row, sealed, |body| decode('u', body))?;
                if page.uploads.len() + page.common_prefixes.len() == query.limit {
                    page.truncated = true;
                    return Ok(Step::Stop);
                }
                if let Some(common) = common_prefix(upload.key.as_str(), &query.prefix, delimiter) {
                    page.common_prefixes.push(common.to_owned());
                    page.next = Some((common.to_owned(), None));
                    return Ok(successor(&keys::under(kind::UPLOAD, query.bucket, common)).map_or(Step::Stop, Step::Seek));
                }
                page.next = Some((upload.key.as_str().to_owned(), Some(upload.id)));
                page.uploads.push(upload);
                Ok(Step::Next)
            })?;
            page.next = page.next.filter(|_| page.truncated);
            Ok(page)
        })
        .await
    }

    /// Up to `limit` open uploads of all buckets, from behind `after` on.
    pub async fn open_uploads(&self, after: Option<Upload>, limit: usize) -> Result<Vec<Upload>, IndexError> {
        self.blocking(move |inner| {
            let start =
                after.map(|upload| [keys::upload(upload.bucket, upload.key.as_str(), &upload.id).as_slice(), &[0]].concat());
            let mut uploads = Vec::new();
            inner.walk(&[kind::UPLOAD], start, |row, sealed| {
                if uploads.len() == limit {
                    return Ok(Step::Stop);
                }
                uploads.push(inner.sealing.open(row, sealed, |body| decode('u', body))?);
                Ok(Step::Next)
            })?;
            Ok(uploads)
        })
        .await
    }

    /// Up to `limit` parts of an upload with numbers above `after`, and whether there are more.
    pub async fn upload_parts(&self, upload: UploadId, after: u32, limit: usize) -> Result<(Vec<Part>, bool), IndexError> {
        self.blocking(move |inner| {
            let (mut parts, mut more) = (Vec::new(), false);
            let Some(from) = after.checked_add(1) else { return Ok((parts, more)) };
            inner.walk(&keys::parts(&upload), Some(keys::part(&upload, from)), |row, sealed| {
                if parts.len() == limit {
                    more = true;
                    return Ok(Step::Stop);
                }
                parts.push(inner.sealing.open(row, sealed, |body| decode::<Part>('p', body))?);
                Ok(Step::Next)
            })?;
            Ok((parts, more))
        })
        .await
    }

    /// One part.
    pub fn part(&self, upload: &UploadId, number: u32) -> Result<Option<Part>, IndexError> {
        self.inner.row(&keys::part(upload, number))
    }

    /// Every part of an upload, in order: what Complete checks the client's list against.
    pub async fn all_parts(&self, upload: UploadId) -> Result<Vec<Part>, IndexError> {
        self.blocking(move |inner| {
            let mut parts = Vec::new();
            inner.each(&keys::parts(&upload), |_, body| {
                parts.push(decode('p', body)?);
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(parts)
        })
        .await
    }
}
