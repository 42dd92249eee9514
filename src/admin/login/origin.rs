//! Whether a form was sent from a page of ours.

use std::{fmt, str::FromStr};

use axum::http::{HeaderMap, HeaderName, Uri, header};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Scheme, host and port, as browsers write them in `Origin` (RFC 6454): in lower case, without the scheme's own port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// A text that is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write `https://host` or `http://host`, with a port if need be and no path")]
pub struct NoOrigin;

impl Origin {
    /// Whether its scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// Where the browser is that sends this `Host`.
    fn of_host(headers: &HeaderMap, tls: bool) -> Option<Self> {
        let host = headers.get(header::HOST)?.to_str().ok()?;
        format!("{}://{host}", if tls { "https" } else { "http" }).parse().ok()
    }
}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        // The parser drops fragments.
        if text.contains('#') {
            return Err(NoOrigin);
        }
        let uri: Uri = text.parse().map_err(|_| NoOrigin)?;
        let (scheme, authority) = (uri.scheme_str().ok_or(NoOrigin)?, uri.authority().ok_or(NoOrigin)?);
        let own_port = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err(NoOrigin),
        };
        // A URI's path is `/` where none is written.
        if authority.as_str().contains('@') || uri.path_and_query().is_some_and(|path| path != "/") || authority.host().is_empty()
        {
            return Err(NoOrigin);
        }
        // What is no port at all is left out by the parser, not refused.
        if authority.port().is_none() && authority.as_str() != authority.host() {
            return Err(NoOrigin);
        }
        let host = authority.host().to_ascii_lowercase();
        Ok(Self(match authority.port() {
            None => format!("{scheme}://{host}"),
            Some(port) => match port.as_str().parse::<u16>().map_err(|_| NoOrigin)? {
                port if port == own_port => format!("{scheme}://{host}"),
                port => format!("{scheme}://{host}:{port}"),
            },
        }))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether a browser says that one of our own pages has sent this. Pages are those of `external`, or of the host that was asked.
///
/// What the browser says of the site counts first, then where it says the page is from; what says neither is not taken, and no browser of
/// today says neither. `Origin: null` is what it says under a strict referrer policy.
pub(super) fn is_same(headers: &HeaderMap, external: Option<&Origin>, tls: bool) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let (site, origin) = (sites.next(), origins.next());
    if sites.next().is_some() || origins.next().is_some() || site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    match origin {
        None => site.is_some(),
        Some(origin) if origin == "null" => site.is_some(),
        Some(origin) => {
            let said = origin.to_str().ok().and_then(|text| text.parse::<Origin>().ok());
            let ours = external.cloned().or_else(|| Origin::of_host(headers, tls));
            said.is_some() && said == ours
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(host: &str, origin: &str, site: &str, external: Option<&str>, tls: bool) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin), (SEC_FETCH_SITE, site)] {
            if !value.is_empty() {
                headers.insert(name, value.parse().unwrap());
            }
        }
        is_same(&headers, external.map(|text| text.parse().unwrap()).as_ref(), tls)
    }

    #[test]
    fn our_own_pages_are_known() {
        assert!(same("gate.example", "https://gate.example", "same-origin", None, true));
        assert!(same("gate.example:443", "https://GATE.example", "", None, true));
        assert!(same("127.0.0.1:9001", "http://127.0.0.1:9001", "", None, false));
        assert!(same("[::1]:9001", "http://[::1]:9001", "", None, false));
        assert!(same("inside:9001", "https://gate.example", "same-origin", Some("https://gate.example"), false));
        assert!(same("gate.example", "null", "same-origin", None, true), "a strict referrer policy");
        assert!(same("gate.example", "", "same-origin", None, true));
    }

    #[test]
    fn others_are_not() {
        for (host, origin, site, external, tls) in [
            ("gate.example", "https://evil.example", "", None, true),
            ("gate.example", "https://evil.example", "same-origin", None, true),
            ("gate.example", "https://gate.example", "cross-site", None, true),
            ("gate.example", "https://gate.example", "same-site", None, true),
            ("gate.example", "https://gate.example", "none", None, true),
            ("gate.example", "http://gate.example", "", None, true),
            ("gate.example", "https://gate.example:444", "", None, true),
            ("gate.example", "https://gate.example.evil.example", "", None, true),
            ("gate.example", "https://gate.example@evil.example", "", None, true),
            ("gate.example", "null", "", None, true),
            ("gate.example", "", "", None, true),
            ("", "https://gate.example", "", None, true),
            ("evil.example", "https://evil.example", "", Some("https://gate.example"), true),
            ("gate.example", "ftp://gate.example", "", None, true),
        ] {
            assert!(!same(host, origin, site, external, tls), "{host} {origin} {site} {external:?}");
        }
        let twice: HeaderMap =
            [(header::ORIGIN, "https://a.example"), (header::ORIGIN, "https://a.example"), (header::HOST, "a.example")]
                .map(|(name, value)| (name, value.parse().unwrap()))
                .into_iter()
                .collect();
        assert!(!is_same(&twice, None, true));
    }

    proptest! {
        #[test]
        fn nothing_but_our_own_origin_is_ours(said in "(https?://)?[a-z@:/.\\[\\]?#0-9 -]{0,40}", rest in "\\PC{0,10}") {
            for origin in [said.clone(), format!("https://gate.example{said}"), format!("{said}{rest}")] {
                let mut headers = HeaderMap::new();
                headers.insert(header::HOST, "gate.example".parse().unwrap());
                if let Ok(value) = origin.parse() {
                    headers.insert(header::ORIGIN, value);
                    let ours = ["https://gate.example", "https://gate.example/", "https://gate.example:443", "https://gate.example:443/"];
                    prop_assert!(!is_same(&headers, None, true) || ours.contains(&origin.as_str()), "{origin}");
                }
            }
        }
    }

    #[test]
    fn an_origin_is_nothing_more() {
        assert_eq!("https://Gate.example:443/".parse::<Origin>().unwrap().to_string(), "https://gate.example");
        assert_eq!("http://gate.example:8080".parse::<Origin>().unwrap().to_string(), "http://gate.example:8080");
        for wrong in ["", "gate.example", "https://", "https://a/b", "https://a?b", "https://u@a", "https://a:99999", "file:///x"]
        {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }
}
