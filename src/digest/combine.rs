//! Checksums of multipart objects from those of their parts.

use super::checksum::{Checksum, ChecksumAlgorithm, ChecksumHasher, ChecksumKind, composite_of, from_crc};

/// The full-object CRC of parts laid end to end, each given by its own full-object CRC and its length in bytes.
///
/// `None` when the algorithm cannot be combined (the SHAs), when there are no parts, or when a part's checksum is of another
/// algorithm or itself composite.
pub fn combine_crc(algorithm: ChecksumAlgorithm, parts: &[(Checksum, u64)]) -> Option<Checksum> {
    let crc = algorithm.crc()?;
    let register = |part: &Checksum| {
        let fits = part.algorithm() == algorithm && part.kind() == ChecksumKind::FullObject;
        fits.then(|| part.as_bytes().iter().fold(0, |register, byte| (register << 8) | u64::from(*byte)))
    };
    let ((first, _), rest) = parts.split_first()?;
    let mut combined = register(first)?;
    for (part, length) in rest {
        combined = crc_fast::checksum_combine(crc, combined, register(part)?, *length);
    }
    Some(from_crc(algorithm, combined))
}

/// The composite checksum: the checksum of the parts' values laid end to end, in order.
pub fn composite(algorithm: ChecksumAlgorithm, parts: &[Checksum]) -> Checksum {
    let mut hasher = ChecksumHasher::new(algorithm);
    for part in parts {
        hasher.update(part.as_bytes());
    }
    composite_of(hasher.finish(), u32::try_from(parts.len()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(algorithm: ChecksumAlgorithm, data: &[u8]) -> Checksum {
        let mut hasher = ChecksumHasher::new(algorithm);
        hasher.update(data);
        hasher.finish()
    }

    #[test]
    fn combined_crcs_equal_the_crc_of_the_whole() {
        let data: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme] {
            for cuts in [vec![], vec![1], vec![0, 0, 5], vec![65_536, 99_999]] {
                let mut parts = Vec::new();
                let mut start = 0;
                for cut in cuts.into_iter().chain([data.len()]) {
                    parts.push((checksum(algorithm, &data[start..cut]), (cut - start) as u64));
                    start = cut;
                }
                assert_eq!(combine_crc(algorithm, &parts), Some(checksum(algorithm, &data)), "{algorithm}");
            }
        }
    }

    #[test]
    fn what_cannot_be_combined_is_none() {
        let (crc, sha) = (ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Sha256);
        assert_eq!(combine_crc(sha, &[(checksum(sha, b"a"), 1)]), None);
        assert_eq!(combine_crc(crc, &[]), None);
        assert_eq!(combine_crc(crc, &[(checksum(sha, b"a"), 1)]), None);
        assert_eq!(combine_crc(crc, &[(composite(crc, &[]), 1)]), None);
    }

    #[test]
    fn composite_hashes_the_values_and_tells_the_parts() {
        let sha = ChecksumAlgorithm::Sha256;
        let part = checksum(sha, b"abc");
        let whole = composite(sha, &[part, part]);
        let laid: Vec<u8> = [part.as_bytes(), part.as_bytes()].concat();
        assert_eq!(whole.as_bytes(), crate::digest::sha256(&laid));
        assert_eq!(whole.kind(), ChecksumKind::Composite);
        assert!(whole.to_string().ends_with("=-2"));
    }
}
