//! Records under a key of the client (SSE-C): whether a request brings the key that a record or an upload needs.

use crate::digest::Checksum;
use crate::index::{PartEntry, Record, Summary, Upload};
use crate::objects::{CustomerKeys, ObjectError};
use crate::seal::{CustomerKey, CustomerSeal, InnerKey, Masked};
use crate::types::RecordId;

/// How a client's key and what it is for do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CustomerKeyError {
    /// The object is under a client's key and none came.
    #[error(
        "the object was stored using a form of Server Side Encryption; the correct parameters must be provided to retrieve the object"
    )]
    ObjectNeedsKey,
    /// A key came for an object that is under none.
    #[error("the encryption parameters are not applicable to this object")]
    ObjectHasNone,
    /// Another key than the object's.
    #[error("requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key")]
    NotTheObjects,
    /// The upload was created with a key and none came.
    #[error(
        "the multipart upload initiate requested encryption; subsequent requests must include the appropriate encryption parameters"
    )]
    UploadNeedsKey,
    /// A key came for an upload that was created without one.
    #[error("the multipart upload initiate did not request encryption with a customer provided key")]
    UploadHasNone,
    /// Another key than the upload's.
    #[error("the provided encryption parameters did not match the ones used originally")]
    NotTheUploads,
}

/// What stands between the bytes of a record as they lie under the seal and the reader. A read cannot begin without one.
#[derive(Debug, Clone)]
pub(super) struct Unlocked(Option<InnerKey>);

impl Unlocked {
    /// For the client that asks with `key`: nothing, or the layer that its key opens.
    pub(super) fn record(record: &Record, key: Option<&CustomerKey>) -> Result<Self, CustomerKeyError> {
        match (&record.detail.customer, key) {
            (None, None) => Ok(Self(None)),
            (None, Some(_)) => Err(CustomerKeyError::ObjectHasNone),
            (Some(_), None) => Err(CustomerKeyError::ObjectNeedsKey),
            (Some(seal), Some(key)) => {
                let inner = seal.open(key, record.summary.id).map_err(|_| CustomerKeyError::NotTheObjects)?;
                Ok(Self(Some(inner)))
            }
        }
    }

    /// For the gateway, which moves bytes without a client's key: what lies under the seal, as it lies there.
    pub(super) const fn as_stored() -> Self {
        Self(None)
    }

    /// The layer's key.
    pub(super) const fn inner(&self) -> Option<&InnerKey> {
        self.0.as_ref()
    }

    /// The record's checksum of its plaintext.
    pub(super) fn show(&self, record: &mut Record) {
        let of = Masked::Object(record.summary.ticket);
        record.detail.checksum = shown(self.inner(), of, record.detail.checksum);
    }
}

/// The layer of a new record, when the request brings a key for it.
pub(super) fn new_layer(keys: &CustomerKeys, record: RecordId) -> Option<(CustomerSeal, InnerKey)> {
    keys.object.as_ref().map(|key| CustomerSeal::new(key, record))
}

/// The layer of an upload whose part or completion the request is; `None` when it has none.
pub(super) fn layer_of_upload(upload: &Upload, keys: &CustomerKeys) -> Result<Option<InnerKey>, CustomerKeyError> {
    match (&upload.customer, &keys.object) {
        (Some(_), None) => Err(CustomerKeyError::UploadNeedsKey),
        _ => layer_if_given(upload, keys),
    }
}

/// As [`layer_of_upload`], for requests that may leave the key out: what it would show stays hidden then.
pub(super) fn layer_if_given(upload: &Upload, keys: &CustomerKeys) -> Result<Option<InnerKey>, CustomerKeyError> {
    match (&upload.customer, &keys.object) {
        (_, None) => Ok(None),
        (None, Some(_)) => Err(CustomerKeyError::UploadHasNone),
        (Some(seal), Some(key)) => seal.open(key, upload.record).map(Some).map_err(|_| CustomerKeyError::NotTheUploads),
    }
}

/// A checksum as it is kept of an object: masked where the object has a layer.
pub(super) fn kept_of_object(inner: Option<&InnerKey>, summary: &Summary, checksum: Option<Checksum>) -> Option<Checksum> {
    shown(inner, Masked::Object(summary.ticket), checksum)
}

/// A checksum of a part, from the kept one to the plaintext's or back.
pub(super) fn checksum_of_part(inner: Option<&InnerKey>, part: &PartEntry) -> Option<Checksum> {
    shown(inner, Masked::Part { number: part.number, attempt: part.attempt }, part.checksum)
}

fn shown(inner: Option<&InnerKey>, of: Masked, checksum: Option<Checksum>) -> Option<Checksum> {
    match (inner, checksum) {
        (Some(inner), Some(checksum)) => Some(inner.mask(of, &checksum)),
        (_, checksum) => checksum,
    }
}

impl From<CustomerKeyError> for ObjectError {
    fn from(error: CustomerKeyError) -> Self {
        Self::CustomerKey(error)
    }
}
