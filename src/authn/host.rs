//! Host names: which bucket a virtual-hosted request names, and which names a client may have signed for.

use std::borrow::Cow;

/// The names under which clients reach the gateway.
#[derive(Debug, Clone, Default)]
pub struct HostRules {
    /// `.s3.example.com`, lower case, with the dot.
    suffixes: Vec<String>,
    external: Vec<String>,
}

impl HostRules {
    /// `base_domains` are those whose subdomains are buckets: `s3.example.com`. `external` are hosts, with the port if it is not
    /// the scheme's default, that clients sign for while a proxy in between sends another `Host`.
    pub fn new(base_domains: impl IntoIterator<Item = String>, external: impl IntoIterator<Item = String>) -> Self {
        let suffix = |domain: String| format!(".{}", domain.trim_matches('.').to_ascii_lowercase());
        Self { suffixes: base_domains.into_iter().map(suffix).collect(), external: external.into_iter().collect() }
    }

    /// The bucket that a `Host` names by being a subdomain of a base domain; none for path style. The longest bucket wins when
    /// one base domain is a subdomain of another. The router must use this too, so that what is signed is what is served.
    pub fn bucket_of<'h>(&self, host: &'h str) -> Option<&'h str> {
        let name = without_port(host);
        let bucket = |suffix: &String| {
            let cut = name.len().checked_sub(suffix.len())?;
            let (bucket, rest) = name.split_at_checked(cut)?;
            (!bucket.is_empty() && rest.eq_ignore_ascii_case(suffix)).then_some(bucket)
        };
        let is_base = self.suffixes.iter().any(|suffix| suffix.get(1..).is_some_and(|base| name.eq_ignore_ascii_case(base)));
        if is_base { None } else { self.suffixes.iter().filter_map(bucket).max_by_key(|bucket| bucket.len()) }
    }

    /// What else the client may have signed as `host` when `received` came in. Never a host that names another bucket: a
    /// signature over a path must not open the same path in a virtual-hosted bucket.
    pub(super) fn alternatives<'a>(&'a self, received: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        let bucket = self.bucket_of(received);
        self.external.iter().filter_map(move |external| {
            let candidate = match bucket {
                Some(bucket) if self.is_base_domain(external) => Cow::Owned(format!("{bucket}.{external}")),
                Some(_) => return None,
                None if self.bucket_of(external).is_some() => return None,
                None => Cow::Borrowed(external.as_str()),
            };
            (candidate != received).then_some(candidate)
        })
    }

    fn is_base_domain(&self, host: &str) -> bool {
        let name = without_port(host);
        self.suffixes.iter().any(|suffix| suffix.get(1..).is_some_and(|base| name.eq_ignore_ascii_case(base)))
    }
}

/// Strips `:9000`, but nothing from inside an IPv6 literal.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> HostRules {
        HostRules::new(["s3.example.com".to_owned()], ["s3.example.com:8443".to_owned(), "storage.example.org".to_owned()])
    }

    #[test]
    fn a_subdomain_of_a_base_domain_names_a_bucket() {
        let rules = rules();
        assert_eq!(rules.bucket_of("media.s3.example.com"), Some("media"));
        assert_eq!(rules.bucket_of("a.b.S3.Example.com:9000"), Some("a.b"));
        for path_style in
            ["s3.example.com", "s3.example.com:9000", ".s3.example.com", "xs3.example.com", "[::1]:9000", "[::1]", ""]
        {
            assert_eq!(rules.bucket_of(path_style), None, "{path_style}");
        }
    }

    #[test]
    fn one_base_domain_may_lie_in_another() {
        let rules = HostRules::new(["example.com".to_owned(), "s3.example.com".to_owned()], []);
        assert_eq!(rules.bucket_of("s3.example.com"), None);
        assert_eq!(rules.bucket_of("media.example.com"), Some("media"));
    }

    #[test]
    fn alternatives_keep_the_bucket() {
        let rules = rules();
        let of = |host: &str| rules.alternatives(host).map(Cow::into_owned).collect::<Vec<_>>();
        assert_eq!(of("10.0.0.1:9000"), ["s3.example.com:8443", "storage.example.org"]);
        assert_eq!(of("media.s3.example.com"), ["media.s3.example.com:8443"]);
        assert_eq!(of("storage.example.org"), ["s3.example.com:8443"]);
    }
}
