//! Digests that a client sends with a body, and checksums that it wants kept.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderMap;

use super::{invalid, text};
use crate::digest::{Checksum, ChecksumAlgorithm, ChecksumKind};
use crate::objects::ExpectedChecksum;
use crate::s3::errors::{Code, S3Error};

/// `Content-MD5`.
pub(crate) fn content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, S3Error> {
    let Some(value) = text(headers, "content-md5")? else { return Ok(None) };
    let digest = STANDARD.decode(value).ok().and_then(|bytes| bytes.try_into().ok());
    digest.map(Some).ok_or_else(|| S3Error::new(Code::InvalidDigest))
}

/// The checksum of a body: its value in a header, announced for the trailer, or only its algorithm.
pub(crate) fn expected_checksum(headers: &HeaderMap) -> Result<Option<ExpectedChecksum>, S3Error> {
    let value = checksum_header(headers)?;
    let trailing = trailing_algorithm(headers)?;
    let named = algorithm(headers, "x-amz-sdk-checksum-algorithm")?;
    match (value, trailing) {
        (Some(_), Some(_)) => {
            Err(S3Error::with(Code::InvalidRequest, "Send a checksum in a header or in the trailer, not both."))
        }
        (Some(value), None) => Ok(Some(ExpectedChecksum { algorithm: value.algorithm(), value: Some(value) })),
        (None, Some(algorithm)) => Ok(Some(ExpectedChecksum { algorithm, value: None })),
        (None, None) => Ok(named.map(|algorithm| ExpectedChecksum { algorithm, value: None })),
    }
}

/// The checksum that a complete request says the whole object has.
pub(crate) fn full_object_checksum(headers: &HeaderMap) -> Result<Option<Checksum>, S3Error> {
    checksum_header(headers)
}

/// The algorithm of the checksum that `x-amz-trailer` announces.
pub(crate) fn trailing_algorithm(headers: &HeaderMap) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    let Some(names) = text(headers, "x-amz-trailer")? else { return Ok(None) };
    let mut found = names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(ChecksumAlgorithm::from_header_name);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(Some(algorithm)), None) => Ok(Some(algorithm)),
        _ => Err(S3Error::with(Code::InvalidRequest, "The value of x-amz-trailer must name one checksum header.")),
    }
}

/// The algorithm of a multipart upload's checksums.
pub(crate) fn algorithm_of_upload(headers: &HeaderMap) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    algorithm(headers, "x-amz-checksum-algorithm")
}

/// The algorithm of the checksum that a copy is to have.
pub(crate) fn algorithm_of_copy(headers: &HeaderMap) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    algorithm(headers, "x-amz-checksum-algorithm")
}

/// How a multipart upload's checksum is made: as `x-amz-checksum-type` says, else composite where the algorithm allows it.
pub(crate) fn kind_of_upload(headers: &HeaderMap, algorithm: ChecksumAlgorithm) -> Result<ChecksumKind, S3Error> {
    let full_alone = algorithm == ChecksumAlgorithm::Crc64Nvme;
    let composite_alone = matches!(algorithm, ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256);
    match text(headers, "x-amz-checksum-type")? {
        None => Ok(if full_alone { ChecksumKind::FullObject } else { ChecksumKind::Composite }),
        Some("COMPOSITE") if !full_alone => Ok(ChecksumKind::Composite),
        Some("FULL_OBJECT") if !composite_alone => Ok(ChecksumKind::FullObject),
        Some("COMPOSITE" | "FULL_OBJECT") => {
            Err(S3Error::with(Code::InvalidRequest, format!("The checksum type cannot be used with {algorithm}.")))
        }
        Some(_) => Err(invalid("x-amz-checksum-type", "The checksum type must be COMPOSITE or FULL_OBJECT.")),
    }
}

fn algorithm(headers: &HeaderMap, name: &'static str) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    let parse = |value: &str| {
        value.parse().map_err(|_| {
            S3Error::with(Code::InvalidRequest, "The checksum algorithm must be CRC32, CRC32C, CRC64NVME, SHA1 or SHA256.")
        })
    };
    text(headers, name)?.map(parse).transpose()
}

fn checksum_header(headers: &HeaderMap) -> Result<Option<Checksum>, S3Error> {
    let mut found = None;
    for algorithm in ChecksumAlgorithm::ALL {
        let Some(value) = text(headers, algorithm.header_name())? else { continue };
        let checksum = Checksum::parse(algorithm, value).map_err(|_| {
            S3Error::with(Code::BadDigest, format!("The value of {} is no such checksum.", algorithm.header_name()))
        })?;
        if found.replace(checksum).is_some() {
            return Err(S3Error::with(Code::InvalidRequest, "Send one x-amz-checksum- header, not several."));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_checksum_comes_in_one_place() {
        let header =
            expected_checksum(&headers(&[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-sdk-checksum-algorithm", "CRC32")]));
        let header = header.unwrap().unwrap();
        assert_eq!((header.algorithm, header.value.unwrap().to_base64().as_str()), (ChecksumAlgorithm::Crc32, "y/Q5Jg=="));
        let trailer = expected_checksum(&headers(&[("x-amz-trailer", "x-amz-checksum-crc64nvme")])).unwrap().unwrap();
        assert_eq!((trailer.algorithm, trailer.value), (ChecksumAlgorithm::Crc64Nvme, None));
        assert!(expected_checksum(&headers(&[])).unwrap().is_none());
        for wrong in [
            headers(&[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32c", "y/Q5Jg==")]),
            headers(&[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-trailer", "x-amz-checksum-crc32")]),
            headers(&[("x-amz-trailer", "x-amz-meta-a")]),
            headers(&[("x-amz-sdk-checksum-algorithm", "MD4")]),
        ] {
            assert_eq!(expected_checksum(&wrong).unwrap_err().code(), Code::InvalidRequest);
        }
        let short = headers(&[("x-amz-checksum-crc32", "AAA")]);
        assert_eq!(expected_checksum(&short).unwrap_err().code(), Code::BadDigest);
    }

    #[test]
    fn content_md5_is_sixteen_bytes() {
        assert!(content_md5(&headers(&[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")])).unwrap().is_some());
        for wrong in ["", "x", "AAAA"] {
            assert_eq!(content_md5(&headers(&[("content-md5", wrong)])).unwrap_err().code(), Code::InvalidDigest);
        }
    }

    #[test]
    fn not_every_algorithm_has_both_kinds() {
        let composite = headers(&[("x-amz-checksum-type", "COMPOSITE")]);
        assert!(kind_of_upload(&composite, ChecksumAlgorithm::Crc64Nvme).is_err());
        assert_eq!(kind_of_upload(&composite, ChecksumAlgorithm::Crc32).unwrap(), ChecksumKind::Composite);
        assert_eq!(kind_of_upload(&headers(&[]), ChecksumAlgorithm::Crc64Nvme).unwrap(), ChecksumKind::FullObject);
        assert!(kind_of_upload(&headers(&[("x-amz-checksum-type", "FULL_OBJECT")]), ChecksumAlgorithm::Sha256).is_err());
    }
}
