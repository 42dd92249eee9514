//! The key that a day's requests are signed with, derived from a principal's secret.

use std::sync::Arc;

use parking_lot::RwLock;
use ring::hmac::{HMAC_SHA256, Key, sign};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// `YYYYMMDD`.
pub(super) type Day = [u8; 8];

/// Derives `kSigning` for the service `s3` ("Signature Version 4 signing process", step 3).
pub(super) fn derive(secret: &SecretString, day: &Day, region: &str) -> Key {
    let mut start = Zeroizing::new(Vec::with_capacity(4 + secret.expose_secret().len()));
    start.extend_from_slice(b"AWS4");
    start.extend_from_slice(secret.expose_secret().as_bytes());
    let mut key = Key::new(HMAC_SHA256, &start);
    for part in [day.as_slice(), region.as_bytes(), b"s3", b"aws4_request"] {
        key = Key::new(HMAC_SHA256, sign(&key, part).as_ref());
    }
    key
}

/// One principal's derived keys. It belongs to one set of principals, so a changed secret never meets an old key.
#[derive(Debug, Default)]
pub(super) struct SigningKeys(RwLock<Vec<Cached>>);

#[derive(Debug)]
struct Cached {
    day: Day,
    region: Box<str>,
    key: Arc<Key>,
}

impl SigningKeys {
    /// Presigned URLs live seven days, and skew reaches into the next one: a day more than can be valid at once.
    const MOST: usize = 9;

    /// The key for `day` and `region`, derived on first use. Ask only for a region that is ours and a day that is near, or a
    /// stranger decides what the cache holds.
    pub(super) fn get(&self, secret: &SecretString, day: &Day, region: &str) -> Arc<Key> {
        let same = |cached: &&Cached| cached.day == *day && &*cached.region == region;
        if let Some(cached) = self.0.read().iter().find(same) {
            return Arc::clone(&cached.key);
        }
        let key = Arc::new(derive(secret, day, region));
        let mut cache = self.0.write();
        if let Some(cached) = cache.iter().find(same) {
            // Another request was faster.
            return Arc::clone(&cached.key);
        }
        if cache.len() >= Self::MOST {
            cache.remove(0);
        }
        cache.push(Cached { day: *day, region: region.into(), key: Arc::clone(&key) });
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_and_region_has_its_own_key() {
        // That they are the right ones is what the published vectors in tests/sigv4_vectors.rs show.
        let secret = SecretString::from("secret".to_owned());
        let keys = [(b"20130524", "us-east-1"), (b"20130525", "us-east-1"), (b"20130524", "eu-west-1")];
        let tags = keys.map(|(day, region)| sign(&derive(&secret, day, region), b"x").as_ref().to_vec());
        assert!(tags[0] != tags[1] && tags[0] != tags[2] && tags[1] != tags[2]);
    }

    #[test]
    fn the_cache_is_bounded_and_right() {
        let secret = SecretString::from("secret".to_owned());
        let keys = SigningKeys::default();
        for day in 0..40u8 {
            let day = *format!("202601{day:02}").as_bytes().first_chunk::<8>().unwrap();
            for _ in 0..2 {
                let expected = sign(&derive(&secret, &day, "r"), b"x");
                assert_eq!(sign(&keys.get(&secret, &day, "r"), b"x").as_ref(), expected.as_ref());
            }
        }
        assert_eq!(keys.0.read().len(), SigningKeys::MOST);
    }
}
