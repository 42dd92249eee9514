//! Cookies: what they are called, and what the browser is told of them.

use axum::http::{HeaderMap, HeaderValue, header};

/// Holds a session's id.
pub(super) const SESSION: &Cookie = &Cookie { name: "domicile-session", same_site: "Strict" };

/// Holds a sign-in that has begun at an OpenID provider. The provider's page sends the browser back, so it has to come along from there.
pub(super) const FLOW: &Cookie = &Cookie { name: "domicile-sign-in", same_site: "Lax" };

/// One of our cookies.
#[derive(Debug)]
pub(super) struct Cookie {
    name: &'static str,
    same_site: &'static str,
}

/// Makes and finds cookies. None has an age: the browser forgets them when it ends, and the gateway knows when they are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CookieRules {
    /// Whether browsers come by TLS. The name's prefix then keeps other hosts of the domain, and plain HTTP, from setting one.
    pub(super) secure: bool,
}

impl CookieRules {
    /// The value of `Set-Cookie`; nothing for a value that no cookie can have.
    pub(super) fn set(self, cookie: &Cookie, value: &str) -> Option<HeaderValue> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let text = value.bytes().all(allowed).then(|| self.text(cookie, value, ""))?;
        HeaderValue::try_from(text).ok()
    }

    /// The value of `Set-Cookie` that takes a cookie away.
    pub(super) fn remove(self, cookie: &Cookie) -> HeaderValue {
        HeaderValue::try_from(self.text(cookie, "", "; Max-Age=0")).unwrap_or(HeaderValue::from_static(""))
    }

    /// The cookie's value. Nothing when it is there twice: one of them was put there by somebody else.
    pub(super) fn find<'h>(self, headers: &'h HeaderMap, cookie: &Cookie) -> Option<&'h str> {
        let name = self.name(cookie);
        let pairs =
            headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
        let mut found =
            pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(key, _)| *key == name).map(|(_, value)| value);
        let value = found.next()?;
        found.next().is_none().then_some(value)
    }

    fn text(self, cookie: &Cookie, value: &str, end: &str) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; HttpOnly; SameSite={}{secure}{end}", self.name(cookie), cookie.same_site)
    }

    fn name(self, cookie: &Cookie) -> String {
        format!("{}{}", if self.secure { "__Host-" } else { "" }, cookie.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: CookieRules = CookieRules { secure: false };
    const SECURE: CookieRules = CookieRules { secure: true };

    fn headers(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn a_cookie_says_all_that_it_must() {
        assert_eq!(SECURE.set(SESSION, "abc").unwrap(), "__Host-domicile-session=abc; Path=/; HttpOnly; SameSite=Strict; Secure");
        assert_eq!(PLAIN.set(SESSION, "abc").unwrap(), "domicile-session=abc; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(PLAIN.remove(SESSION), "domicile-session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
        for wrong in ["a;b", "a b", "a\r\nb", "\u{fc}", "a,b", "a\"b"] {
            assert!(SECURE.set(SESSION, wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others_and_never_guessed() {
        assert_eq!(PLAIN.find(&headers(&["a=1; domicile-session=x; b=2"]), SESSION), Some("x"));
        assert_eq!(SECURE.find(&headers(&["a=1", "__Host-domicile-session=x=y"]), SESSION), Some("x=y"));
        assert_eq!(SECURE.find(&headers(&["domicile-session=x"]), SESSION), None, "one that plain HTTP could have set");
        assert_eq!(PLAIN.find(&headers(&["domicile-session=x; domicile-session=y"]), SESSION), None);
        assert_eq!(PLAIN.find(&headers(&["domicile-session=x", "domicile-session=x"]), SESSION), None);
        assert_eq!(PLAIN.find(&headers(&["domicile-session", ";;=", ""]), SESSION), None);
        assert_eq!(PLAIN.find(&HeaderMap::new(), SESSION), None);
    }
}
