//! Where clients reach the gateway, for the addresses that answers carry.

use http::{header, request::Parts};

use super::percent;
use crate::authn::HostRules;
use crate::types::{BucketName, ObjectKey};

/// The gateway's address as one client uses it. Headers that a proxy may have added say nothing about it: anybody can send them.
#[derive(Debug)]
pub(super) enum Address<'a> {
    /// As configured: `https://host[:port]`, path style.
    Configured(&'a str),
    /// As the request was sent.
    Asked {
        /// Of the connection.
        scheme: &'static str,
        /// Whether `host` names the bucket already.
        virtual_hosted: bool,
        /// The request's.
        host: &'a str,
    },
}

impl<'a> Address<'a> {
    /// The configured one, else that of the request, which came over TLS when `tls` is set.
    pub(super) fn of(configured: Option<&'a str>, tls: bool, parts: &'a Parts, hosts: &HostRules) -> Self {
        if let Some(url) = configured {
            return Self::Configured(url);
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let scheme = if tls { "https" } else { "http" };
        Self::Asked { scheme, virtual_hosted: hosts.bucket_of(host).is_some(), host }
    }

    /// The address of an object.
    pub(super) fn of_object(&self, bucket: &BucketName, key: &ObjectKey) -> String {
        let key = percent::encode(key.as_str());
        match self {
            Self::Configured(url) => format!("{url}/{bucket}/{key}"),
            Self::Asked { scheme, virtual_hosted: false, host } => format!("{scheme}://{host}/{bucket}/{key}"),
            Self::Asked { scheme, virtual_hosted: true, host } => format!("{scheme}://{host}/{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(configured: Option<&str>, tls: bool, host: &str) -> String {
        let request = http::Request::post("/").header("host", host).header("x-forwarded-proto", "gopher").body(()).unwrap();
        let hosts = HostRules::new(["s3.example.com".to_owned()], []);
        let (bucket, key) = (BucketName::new("media").unwrap(), ObjectKey::new("a b").unwrap());
        Address::of(configured, tls, &request.into_parts().0, &hosts).of_object(&bucket, &key)
    }

    #[test]
    fn without_configuration_it_is_that_of_the_request() {
        assert_eq!(address(None, true, "10.0.0.1:9000"), "https://10.0.0.1:9000/media/a%20b");
        assert_eq!(address(None, false, "s3.example.com"), "http://s3.example.com/media/a%20b");
        assert_eq!(address(None, false, "media.s3.example.com"), "http://media.s3.example.com/a%20b");
    }

    #[test]
    fn behind_a_proxy_it_is_the_configured_one() {
        let outside = Some("https://s3.example.com");
        assert_eq!(address(outside, false, "10.0.0.1:9000"), "https://s3.example.com/media/a%20b");
        assert_eq!(address(outside, false, "media.s3.example.com"), "https://s3.example.com/media/a%20b");
    }
}
