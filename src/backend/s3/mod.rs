//! Blobs as objects of a bucket at any S3 service, through the AWS SDK.
//!
//! One request a blob: extents have a known length and are at most 8 MiB, so there is no multipart upload to leave behind and
//! every request can be sent again. Reads and writes of blobs are first tried the short way of [`direct`].

mod body;
mod client;
mod direct;
mod error;
mod posture;
mod source;

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    primitives::{ByteStream, SdkBody},
};
use bytes::Bytes;
use direct::Direct;
use secrecy::SecretString;

pub use source::S3Source;

use super::{Backend, BackendError, BlobInfo, BlobRead, Check, Listing, Posture};
use crate::{
    seal::BlobName,
    types::{SiteId, Timestamp},
};

/// The most names S3 lists at a time.
const LIST_PAGE: usize = 1000;

/// Where a bucket's name goes in a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addressing {
    /// `https://endpoint/bucket/name`, which every service understands.
    #[default]
    Path,
    /// `https://bucket.endpoint/name`, which AWS prefers.
    Virtual,
}

/// A key pair.
#[derive(Debug, Clone)]
pub struct S3Credentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: SecretString,
}

/// How to reach a bucket.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// `https://host[:port]`; `http` for services on the same machine.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket, which must exist. It should hold nothing else.
    pub bucket: String,
    /// Who the gateway is there.
    pub credentials: S3Credentials,
    /// Where the bucket's name goes.
    pub addressing: Addressing,
    /// PEM certificates of a private authority. When given, no other authority is trusted.
    pub private_ca: Option<Vec<u8>>,
    /// How long one attempt at a request may take until the answer's headers, sending the body included.
    pub attempt_timeout: Duration,
    /// How long the body of an answer may pause.
    pub stall_timeout: Duration,
}

impl S3Config {
    /// A bucket at an endpoint with everything else as usual: path style, public authorities, 30 s an attempt, 15 s a pause.
    pub fn new(endpoint: &str, region: &str, bucket: &str, credentials: S3Credentials) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
            bucket: bucket.to_owned(),
            credentials,
            addressing: Addressing::default(),
            private_ca: None,
            attempt_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(15),
        }
    }
}

/// A bucket at an S3 service.
#[derive(Debug, Clone)]
pub struct S3Backend {
    site: SiteId,
    bucket: String,
    region: String,
    /// Whether the service is AWS itself, whose oldest region goes by no name.
    at_aws: bool,
    client: Client,
    direct: Option<Arc<Direct>>,
    stall_timeout: Duration,
}

impl S3Backend {
    /// Prepares the connections. Nothing is sent yet.
    pub fn new(site: SiteId, config: &S3Config) -> Result<Self, BackendError> {
        let connector = client::connector(&site, config.private_ca.as_deref())?;
        let client = client::build(config, &connector);
        let direct = Direct::new(config, connector).map(Arc::new);
        let host =
            config.endpoint.parse::<http::Uri>().ok().and_then(|endpoint| endpoint.host().map(str::to_owned)).unwrap_or_default();
        let at_aws = [".amazonaws.com", ".amazonaws.com.cn"].iter().any(|domain| host.ends_with(domain));
        let (bucket, region) = (config.bucket.clone(), config.region.clone());
        Ok(Self { site, bucket, region, at_aws, client, direct, stall_timeout: config.stall_timeout })
    }

    /// The answer to a read, once the bytes it tells of are those that were asked for.
    fn blob(
        &self,
        name: &BlobName,
        range: Option<Range<u64>>,
        told: Option<(Range<u64>, u64)>,
        body: SdkBody,
    ) -> Result<BlobRead, BackendError> {
        let Some((told, total_len)) = told else {
            return Err(self.corrupt(format!("the length of `{name}` was not told")));
        };
        if super::contract::cut_range(range, total_len).as_ref() != Some(&told) {
            return Err(self.corrupt(format!("other bytes of `{name}` came than were asked for")));
        }
        let body = body::checked_stream(self.site.clone(), body, told.end - told.start, self.stall_timeout);
        Ok(BlobRead { total_len, range: told, body })
    }

    fn corrupt(&self, reason: String) -> BackendError {
        BackendError::Corrupt { site: self.site.clone(), reason }
    }
}

#[async_trait]
impl Backend for S3Backend {
    async fn put(&self, name: &BlobName, pieces: &[Bytes]) -> Result<(), BackendError> {
        if let Some(direct) = &self.direct {
            let len = pieces.iter().map(|piece| piece.len() as u64).sum();
            if direct.put(name, body::of_pieces(pieces), len).await {
                return Ok(());
            }
        }
        let request = self.client.put_object().bucket(&self.bucket).key(name.to_string());
        // The blob authenticates itself: hashing the ciphertext once more for the signature would only cost time.
        let outcome = request.body(ByteStream::new(body::of_pieces(pieces))).customize().disable_payload_signing().send().await;
        outcome.map(|_| ()).map_err(|error| error::of_write(&self.site, name, error))
    }

    async fn get(&self, name: &BlobName, range: Option<Range<u64>>) -> Result<BlobRead, BackendError> {
        if let Some(direct) = &self.direct
            && range.as_ref().is_none_or(|range| range.start < range.end && i64::try_from(range.end).is_ok())
            && let Some(answer) = direct.get(name, range.as_ref()).await
        {
            let header = |name: &str| answer.headers().get(name).map(str::to_owned);
            let told = match header("content-range") {
                Some(text) => body::parse_content_range(&text),
                None => header("content-length").and_then(|len| len.parse().ok()).map(|len: u64| (0..len, len)),
            };
            return self.blob(name, range, told, answer.into_body());
        }
        let mut request = self.client.get_object().bucket(&self.bucket).key(name.to_string());
        if let Some(range) = &range {
            if range.start >= range.end {
                return Err(self.corrupt(format!("bytes {}..{} of `{name}` were asked for", range.start, range.end)));
            }
            // Some services read positions as signed numbers and refuse what does not fit.
            request = request.range(match i64::try_from(range.end) {
                Ok(_) => format!("bytes={}-{}", range.start, range.end - 1),
                Err(_) => format!("bytes={}-", range.start),
            });
        }
        let answer = request.send().await.map_err(|error| error::of_read(&self.site, name, error))?;
        let told = match answer.content_range() {
            Some(text) => body::parse_content_range(text),
            None => answer.content_length().and_then(|len| u64::try_from(len).ok()).map(|len| (0..len, len)),
        };
        self.blob(name, range, told, answer.body.into_inner())
    }

    async fn delete(&self, name: &BlobName) -> Result<(), BackendError> {
        match self.client.delete_object().bucket(&self.bucket).key(name.to_string()).send().await {
            Ok(_) => Ok(()),
            Err(failure) => match error::of_read(&self.site, name, failure) {
                BackendError::NotFound { .. } => Ok(()),
                other => Err(other),
            },
        }
    }

    async fn list(&self, after: Option<&BlobName>, limit: usize) -> Result<Listing, BackendError> {
        let mut found = Listing::default();
        let mut after = after.map(|name| name.to_string());
        // Continues by name rather than by token: strangers' objects that were left out must not end a page early.
        while found.blobs.len() < limit {
            let page = LIST_PAGE.min(limit - found.blobs.len());
            let request = self.client.list_objects_v2().bucket(&self.bucket).set_start_after(after.clone());
            let answer = request
                .max_keys(page as i32)
                .send()
                .await
                .map_err(|failure| error::of_bucket(&self.site, &self.bucket, failure))?;
            for object in answer.contents() {
                match (blob_info(object), object.key()) {
                    (Some(blob), _) => found.blobs.push(blob),
                    (None, Some(stranger)) => found.strangers.push(stranger.to_owned()),
                    (None, None) => {}
                }
            }
            let last = answer.contents().last().and_then(|object| object.key()).map(str::to_owned);
            if !answer.is_truncated().unwrap_or(false) || last.is_none() {
                break;
            }
            if last <= after {
                return Err(self.corrupt("the listing does not advance".to_owned()));
            }
            after = last;
        }
        // The next page begins behind the last blob and meets what follows it.
        if let Some(last) = found.blobs.last().filter(|_| found.blobs.len() == limit).map(|blob| blob.name.to_string()) {
            found.strangers.retain(|stranger| *stranger < last);
        }
        Ok(found)
    }

    async fn probe(&self) -> Result<(), BackendError> {
        let outcome = self.client.head_bucket().bucket(&self.bucket).send().await;
        outcome.map(|_| ()).map_err(|failure| error::of_bucket(&self.site, &self.bucket, failure))
    }

    fn checks(&self) -> &'static [Check] {
        Check::OF_BUCKETS
    }

    async fn inspect(&self) -> Result<Posture, BackendError> {
        self.posture().await
    }
}

/// A line of a listing, unless the object's name is no blob's.
fn blob_info(object: &aws_sdk_s3::types::Object) -> Option<BlobInfo> {
    let name = object.key()?.parse().ok()?;
    let len = object.size().and_then(|len| u64::try_from(len).ok()).unwrap_or(0);
    let millis = object.last_modified().and_then(|date| date.to_millis().ok()).unwrap_or(0);
    Some(BlobInfo { name, len, modified: Timestamp::from_millis(millis) })
}
