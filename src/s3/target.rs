//! What a request is about: the service, a bucket or an object, from the path or from the host name.

use http::request::Parts;

use super::errors::{Code, S3Error};
use super::percent;
use crate::authn::HostRules;
use crate::types::{BucketName, ObjectKey};

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// All buckets.
    Service,
    /// One bucket.
    Bucket(BucketName),
    /// One object.
    Object(BucketName, ObjectKey),
}

/// How much a [`Target`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// No bucket.
    Service,
    /// A bucket.
    Bucket,
    /// A bucket and a key.
    Object,
}

impl Target {
    /// Reads the target of a request. Where `hosts` finds no bucket in the host name, the path begins with it.
    ///
    /// Nothing in a key is normalised: `a//b`, `../a` and `a/` are keys like any other.
    pub(super) fn of(parts: &Parts, hosts: &HostRules) -> Result<Self, S3Error> {
        let path = parts.uri.path();
        let path = path.strip_prefix('/').unwrap_or(path);
        if let Some(bucket) = bucket_of_host(parts, hosts)? {
            return Self::in_bucket(bucket, path);
        }
        if path.is_empty() || path == "*" {
            return Ok(Self::Service);
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let bucket = percent::decode(bucket).ok_or_else(not_utf8)?;
        Self::in_bucket(bucket_name(&bucket)?, key)
    }

    fn in_bucket(bucket: BucketName, key: &str) -> Result<Self, S3Error> {
        let key = percent::decode(key).ok_or_else(not_utf8)?;
        if key.is_empty() { Ok(Self::Bucket(bucket)) } else { Ok(Self::Object(bucket, object_key(&key)?)) }
    }

    /// How much is named.
    pub(super) const fn scope(&self) -> Scope {
        match self {
            Self::Service => Scope::Service,
            Self::Bucket(_) => Scope::Bucket,
            Self::Object(..) => Scope::Object,
        }
    }

    /// The bucket, where one is named.
    pub(super) const fn bucket_name(&self) -> Option<&BucketName> {
        match self {
            Self::Service => None,
            Self::Bucket(bucket) | Self::Object(bucket, _) => Some(bucket),
        }
    }

    /// The bucket of a request that the router sent to a bucket's operation.
    pub(super) fn bucket(&self) -> Result<&BucketName, S3Error> {
        self.bucket_name().ok_or_else(|| S3Error::new(Code::InvalidRequest))
    }

    /// The bucket and key of a request that the router sent to an object's operation.
    pub(super) fn object(&self) -> Result<(&BucketName, &ObjectKey), S3Error> {
        match self {
            Self::Object(bucket, key) => Ok((bucket, key)),
            _ => Err(S3Error::new(Code::InvalidRequest)),
        }
    }
}

/// Checks a bucket name.
pub(super) fn bucket_name(text: &str) -> Result<BucketName, S3Error> {
    BucketName::new(text).map_err(|error| S3Error::with(Code::InvalidBucketName, error.to_string()))
}

/// Checks an object key.
pub(super) fn object_key(text: &str) -> Result<ObjectKey, S3Error> {
    ObjectKey::new(text).map_err(|_| match text.len() {
        0 => S3Error::with(Code::InvalidArgument, "a key has at least one character"),
        _ => S3Error::new(Code::KeyTooLongError),
    })
}

/// The bucket that the host names, read by the same rules as the signature over it.
fn bucket_of_host(parts: &Parts, hosts: &HostRules) -> Result<Option<BucketName>, S3Error> {
    let header = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let bucket = header.and_then(|host| hosts.bucket_of(host));
    bucket.map(|bucket| bucket_name(&bucket.to_ascii_lowercase())).transpose()
}

fn not_utf8() -> S3Error {
    S3Error::with(Code::InvalidUri, "the path is not percent-encoded UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(uri: &str, host: &str) -> Result<Target, S3Error> {
        let request = http::Request::get(uri).header("host", host).body(()).unwrap();
        Target::of(&request.into_parts().0, &HostRules::new(["s3.example.com".to_owned()], []))
    }

    fn key_of(uri: &str) -> String {
        match target(uri, "127.0.0.1:9000").unwrap() {
            Target::Object(_, key) => key.as_str().to_owned(),
            other => panic!("{uri}: {other:?}"),
        }
    }

    #[test]
    fn path_style() {
        let bucket = BucketName::new("media").unwrap();
        assert_eq!(target("/", "localhost").unwrap(), Target::Service);
        assert_eq!(target("/media", "localhost").unwrap(), Target::Bucket(bucket.clone()));
        assert_eq!(target("/media/", "localhost").unwrap(), Target::Bucket(bucket.clone()));
        assert_eq!(target("/media?x=/y", "localhost").unwrap(), Target::Bucket(bucket));
        assert_eq!(key_of("http://h/media/a"), "a");
    }

    #[test]
    fn keys_are_taken_as_they_are() {
        for (path, expected) in [
            ("a+b", "a+b"),
            ("a%2Bb", "a+b"),
            ("a%20b", "a b"),
            ("a%2Fb", "a/b"),
            ("a/", "a/"),
            ("/a", "/a"),
            ("a//b", "a//b"),
            ("../../etc/passwd", "../../etc/passwd"),
            ("./.", "./."),
            ("%00", "\0"),
            ("%D9%BE%D8%A7%DA%A9", "پاک"),
            ("%E2%80%AE%F0%9F%92%A9", "\u{202e}💩"),
            ("e%CC%81", "e\u{301}"),
            ("%C3%A9", "é"),
            ("%EF%BF%BD", "\u{fffd}"),
            ("%25", "%"),
            ("%2525", "%25"),
            ("a%3Fb%23c", "a?b#c"),
        ] {
            assert_eq!(key_of(&format!("/media/{path}")), expected, "{path}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_refused() {
        for path in ["%FF", "%C3", "%ED%A0%80", "%C0%80", "%zz", "%4", "%"] {
            let error = target(&format!("/media/{path}"), "localhost").unwrap_err();
            assert_eq!(error.code(), Code::InvalidUri, "{path}");
        }
    }

    #[test]
    fn names_have_limits() {
        assert_eq!(target("/A_b/x", "localhost").unwrap_err().code(), Code::InvalidBucketName);
        assert_eq!(target("/%2e%2e/x", "localhost").unwrap_err().code(), Code::InvalidBucketName);
        assert_eq!(target("//media/x", "localhost").unwrap_err().code(), Code::InvalidBucketName);
        let long = format!("/media/{}", "a".repeat(1025));
        assert_eq!(target(&long, "localhost").unwrap_err().code(), Code::KeyTooLongError);
        assert_eq!(key_of(&long[..long.len() - 1]).len(), 1024);
    }

    #[test]
    fn virtual_hosted_style() {
        let bucket = BucketName::new("media").unwrap();
        let object = Target::Object(bucket.clone(), ObjectKey::new("a/b").unwrap());
        assert_eq!(target("/a/b", "media.s3.example.com").unwrap(), object);
        assert_eq!(target("/a/b", "Media.S3.Example.com:9000").unwrap(), object);
        assert_eq!(target("/", "media.s3.example.com").unwrap(), Target::Bucket(bucket));
        assert_eq!(target("/media/a/b", "s3.example.com").unwrap(), object);
        assert_eq!(target("/media/a/b", "nots3.example.com.evil.net").unwrap(), object);
        let dotted = BucketName::new("a.b").unwrap();
        assert_eq!(target("/", "a.b.s3.example.com").unwrap(), Target::Bucket(dotted));
    }
}
