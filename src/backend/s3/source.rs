//! A bucket at any S3 service as a [`Source`].
//!
//! Listings go on by key and ask for no encoding, of which services have different ideas: a key that XML cannot carry ends the listing with an
//! error, and is never taken for another.

use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::head_object::HeadObjectOutput,
    primitives::{DateTime, SdkBody},
    types::{ChecksumMode, ChecksumType, ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption},
};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;

use super::{
    S3Config, client,
    error::{chain, told},
};
use crate::{
    backend::source::{Source, SourceEntry, SourceError, SourceObject, SourcePart, SourceStream},
    digest::{Checksum, ChecksumAlgorithm, ChecksumKind},
    types::{SiteId, SourceId, Timestamp},
};

/// A bucket at an S3 service, to be read.
#[derive(Debug, Clone)]
pub struct S3Source {
    bucket: String,
    client: Client,
    stall_timeout: Duration,
    opaque_etags: bool,
}

impl S3Source {
    /// Prepares the connections. Nothing is sent yet. With `opaque_etags`, no entity tag is taken for an MD5.
    ///
    /// # Errors
    /// When the private authority cannot be used.
    pub fn new(id: &SourceId, config: &S3Config, opaque_etags: bool) -> Result<Self, SourceError> {
        let refused = |error: &dyn std::fmt::Display| SourceError::Refused(error.to_string());
        // Names of sites and sources follow the same rules.
        let name = SiteId::new(id.as_str()).map_err(|error| refused(&error))?;
        let connector = client::connector(&name, config.private_ca.as_deref()).map_err(|error| refused(&error))?;
        let client = client::build(config, &connector);
        Ok(Self { bucket: config.bucket.clone(), client, stall_timeout: config.stall_timeout, opaque_etags })
    }

    async fn tags(&self, key: &str) -> Result<Vec<(String, String)>, SourceError> {
        match self.client.get_object_tagging().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => {
                let mut tags: Vec<_> =
                    answer.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
                tags.sort_unstable();
                Ok(tags)
            }
            // A service without tags says so, and its objects have none.
            Err(SdkError::ServiceError(answer)) if answer.raw().status().as_u16() == 501 => Ok(Vec::new()),
            Err(error) => Err(translated(error)),
        }
    }
}

#[async_trait]
impl Source for S3Source {
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<SourceEntry>, SourceError> {
        let mut after = after.map(str::to_owned);
        loop {
            let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).set_start_after(after.clone());
            let answer = request.send().await.map_err(translated)?;
            let last = answer.contents().last().and_then(|object| object.key()).map(str::to_owned);
            if last.is_some() && last <= after {
                return Err(SourceError::Refused("its listing does not go on behind the last key".to_owned()));
            }
            let entries: Vec<SourceEntry> = answer
                .contents()
                .iter()
                .filter_map(|object| {
                    let size = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                    Some(entry(object.key()?, object.e_tag(), size, object.last_modified()))
                })
                .collect();
            if !entries.is_empty() || !answer.is_truncated().unwrap_or(false) || last.is_none() {
                return Ok(entries);
            }
            after = last;
        }
    }

    async fn look(&self, key: &str) -> Result<SourceObject, SourceError> {
        let request = self.client.head_object().bucket(&self.bucket).key(key);
        let head = request.checksum_mode(ChecksumMode::Enabled).send().await.map_err(translated)?;
        let mut object = described(key, &head);
        object.opaque_etag |= self.opaque_etags;
        object.tags = self.tags(key).await?;
        Ok(object)
    }

    async fn part(&self, object: &SourceObject, number: u32) -> Result<Option<SourcePart>, SourceError> {
        let SourceEntry { key, etag, .. } = &object.entry;
        let request = self.client.head_object().bucket(&self.bucket).key(key).set_if_match(quoted(etag));
        let head = request.part_number(i32::try_from(number).unwrap_or(i32::MAX)).send().await.map_err(translated)?;
        let number_of = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
        let size = head.content_length().and_then(|size| u64::try_from(size).ok());
        Ok(size.zip(number_of(head.parts_count())).map(|(size, count)| SourcePart { size, count }))
    }

    async fn read(&self, object: &SourceObject, from: u64) -> Result<SourceStream, SourceError> {
        let SourceEntry { key, etag, size, modified } = &object.entry;
        let mut request = self.client.get_object().bucket(&self.bucket).key(key).set_if_match(quoted(etag));
        if from > 0 {
            request = request.range(format!("bytes={from}-"));
        }
        let answer = request.send().await.map_err(translated)?;
        let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
        // The same bytes written anew have the same entity tag, and may have other metadata.
        if length != Some(size - from) || answer.last_modified().map(seconds) != Some(*modified) {
            return Err(SourceError::Changed);
        }
        Ok(checked(answer.body.into_inner(), size - from, self.stall_timeout))
    }

    async fn remove(&self, object: &SourceObject) -> Result<(), SourceError> {
        let SourceEntry { key, etag, .. } = &object.entry;
        let request = self.client.delete_object().bucket(&self.bucket).key(key);
        match request.clone().set_if_match(quoted(etag)).send().await {
            Ok(_) => Ok(()),
            // A service that does not know the condition.
            Err(SdkError::ServiceError(answer)) if answer.raw().status().as_u16() == 501 => {
                request.send().await.map(drop).map_err(translated)
            }
            Err(error) => match translated(error) {
                SourceError::Gone => Ok(()),
                error => Err(error),
            },
        }
    }
}

fn described(key: &str, head: &HeadObjectOutput) -> SourceObject {
    let size = head.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    let codings = head.content_encoding().map(|codings| {
        // `aws-chunked` describes how a body travelled; some services keep it all the same.
        let of_object = |coding: &&str| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked");
        codings.split(',').map(str::trim).filter(of_object).collect::<Vec<_>>().join(", ")
    });
    let content = [
        ("content-type", head.content_type().map(str::to_owned)),
        ("cache-control", head.cache_control().map(str::to_owned)),
        ("content-disposition", head.content_disposition().map(str::to_owned)),
        ("content-encoding", codings),
        ("content-language", head.content_language().map(str::to_owned)),
        ("expires", head.expires_string().map(str::to_owned)),
    ];
    let content = content.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.filter(|text| !text.is_empty())?)));
    let metadata = head.metadata().into_iter().flatten().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let own_keys = matches!(
        head.server_side_encryption(),
        Some(encryption) if !matches!(encryption, ServerSideEncryption::Aes256)
    );
    let until = head.object_lock_retain_until_date().map(seconds);
    SourceObject {
        entry: entry(key, head.e_tag(), size, head.last_modified()),
        content: content.collect(),
        metadata: metadata.collect::<BTreeMap<_, _>>(),
        tags: Vec::new(),
        checksum: checksum(head),
        opaque_etag: own_keys || head.sse_customer_algorithm().is_some(),
        retention: until.map(|until| (head.object_lock_mode() == Some(&ObjectLockMode::Compliance), until)),
        legal_hold: head.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On),
    }
}

/// The first checksum of the whole that the source tells.
fn checksum(head: &HeadObjectOutput) -> Option<Checksum> {
    if head.checksum_type() == Some(&ChecksumType::Composite) {
        return None;
    }
    let told = [
        (ChecksumAlgorithm::Crc64Nvme, head.checksum_crc64_nvme()),
        (ChecksumAlgorithm::Sha256, head.checksum_sha256()),
        (ChecksumAlgorithm::Crc32c, head.checksum_crc32_c()),
        (ChecksumAlgorithm::Crc32, head.checksum_crc32()),
        (ChecksumAlgorithm::Sha1, head.checksum_sha1()),
    ];
    told.into_iter()
        .filter_map(|(algorithm, text)| Checksum::parse(algorithm, text?).ok())
        .find(|checksum| checksum.kind() == ChecksumKind::FullObject)
}

fn entry(key: &str, etag: Option<&str>, size: u64, modified: Option<&DateTime>) -> SourceEntry {
    let etag = etag.unwrap_or_default().trim_matches('"').to_owned();
    SourceEntry { key: key.to_owned(), etag, size, modified: modified.map(seconds).unwrap_or_default() }
}

/// Headers tell whole seconds; listings may tell more.
fn seconds(date: &DateTime) -> Timestamp {
    Timestamp::from_seconds(date.secs())
}

/// As a condition; none where the service gives no entity tags.
fn quoted(etag: &str) -> Option<String> {
    (!etag.is_empty()).then(|| format!("\"{etag}\""))
}

/// The bytes of an answer: exactly `len` of them, with no pause longer than `stall`.
fn checked(body: SdkBody, len: u64, stall: Duration) -> SourceStream {
    stream::try_unfold((body.into_data_stream(), len), move |(mut body, left)| async move {
        let Ok(piece) = tokio::time::timeout(stall, body.next()).await else {
            return Err(SourceError::unavailable(format!("an object paused for {} s", stall.as_secs_f32())));
        };
        match piece {
            Some(Ok(piece)) => match left.checked_sub(piece.len() as u64) {
                Some(left) => Ok(Some((piece, (body, left)))),
                None => Err(SourceError::unavailable("an object is longer than was told")),
            },
            Some(Err(error)) => {
                let reason = "the connection broke in an object".to_owned();
                Err(SourceError::Unavailable { reason, cause: Some(Arc::from(error)) })
            }
            None if left == 0 => Ok(None),
            None => Err(SourceError::unavailable(format!("an object ended {left} bytes early"))),
        }
    })
    .boxed()
}

fn translated<E>(error: SdkError<E>) -> SourceError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer.err().code();
            meaning(status, code).unwrap_or_else(|| SourceError::Refused(told(status, code.map(str::to_owned))))
        }
        SdkError::ConstructionFailure(_) => SourceError::Refused(chain(&error)),
        SdkError::DispatchFailure(failure) if failure.is_user() => SourceError::Refused(chain(&error)),
        _ => SourceError::Unavailable { reason: chain(&error), cause: Some(Arc::new(error)) },
    }
}

/// What an answer means; `None` for a refusal.
fn meaning(status: u16, code: Option<&str>) -> Option<SourceError> {
    match (status, code) {
        (404, Some("NoSuchBucket")) | (501, _) => None,
        (404, _) => Some(SourceError::Gone),
        (412, _) => Some(SourceError::Changed),
        // A range behind the end of what is there now.
        (416, _) => Some(SourceError::Changed),
        (408 | 409 | 429 | 500.., _) | (_, Some("RequestTimeout" | "SlowDown" | "Throttling")) => {
            Some(SourceError::unavailable(told(status, code.map(str::to_owned))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn answers_mean_what_an_import_can_act_on() {
        let is = |status, code, expected: fn(&Option<SourceError>) -> bool| {
            let meaning = meaning(status, code);
            assert!(expected(&meaning), "{status} {code:?}: {meaning:?}");
        };
        is(404, None, |meaning| matches!(meaning, Some(SourceError::Gone)));
        is(404, Some("NoSuchBucket"), Option::is_none);
        is(403, Some("AccessDenied"), Option::is_none);
        is(501, Some("NotImplemented"), Option::is_none);
        for status in [412, 416] {
            is(status, None, |meaning| matches!(meaning, Some(SourceError::Changed)));
        }
        for (status, code) in [(503, Some("SlowDown")), (500, None), (429, None), (400, Some("RequestTimeout"))] {
            is(status, code, |meaning| matches!(meaning, Some(SourceError::Unavailable { .. })));
        }
    }

    #[test]
    fn only_what_is_the_objects_is_kept_of_its_headers() {
        let head = HeadObjectOutput::builder()
            .e_tag("\"900150983cd24fb0d6963f7d28e17f72\"")
            .content_length(3)
            .last_modified(DateTime::from_secs(7))
            .content_type("text/plain")
            .content_encoding("aws-chunked, gzip")
            .metadata("Subject", "ali")
            .checksum_crc32("y/Q5Jg==")
            .build();
        let object = described("k", &head);
        assert_eq!(
            (object.entry.etag.as_str(), object.entry.modified),
            ("900150983cd24fb0d6963f7d28e17f72", Timestamp::from_seconds(7))
        );
        assert_eq!(
            (object.content["content-type"].as_str(), object.content["content-encoding"].as_str()),
            ("text/plain", "gzip")
        );
        assert_eq!((object.metadata["subject"].as_str(), object.content.len()), ("ali", 2));
        assert_eq!(object.checksum.unwrap().algorithm(), ChecksumAlgorithm::Crc32);
        assert!(!object.opaque_etag);
    }

    #[test]
    fn neither_a_key_services_etag_nor_a_composite_checksum_is_of_the_bytes() {
        let head = HeadObjectOutput::builder().server_side_encryption(ServerSideEncryption::AwsKms);
        assert!(described("k", &head.build()).opaque_etag);
        let sealed = HeadObjectOutput::builder().server_side_encryption(ServerSideEncryption::Aes256);
        assert!(!described("k", &sealed.build()).opaque_etag);
        let typed = HeadObjectOutput::builder().checksum_crc32("y/Q5Jg==").checksum_type(ChecksumType::Composite).build();
        let untyped = HeadObjectOutput::builder().checksum_crc32("y/Q5Jg==-2").build();
        assert_eq!((checksum(&typed), checksum(&untyped)), (None, None));
    }

    #[tokio::test]
    async fn an_object_of_another_length_is_an_error() {
        for (told, right) in [(4, true), (3, false), (5, false)] {
            let body = SdkBody::from(Bytes::from_static(b"blob"));
            let pieces: Vec<_> = checked(body, told, Duration::from_secs(1)).collect().await;
            assert_eq!(pieces.iter().all(Result::is_ok), right, "{told}");
        }
    }
}
