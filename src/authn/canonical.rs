//! The canonical request: the one text that client and server both build and sign.

use http::{HeaderMap, request::Parts};

use super::query::{Place, encode, encode_query};

/// What of a request is signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct CanonicalRequest<'a> {
    pub(super) parts: &'a Parts,
    /// As the client lists them: lower case, separated by `;`.
    pub(super) signed_headers: &'a str,
    /// What stands for the `Host` header, when a proxy changed it.
    pub(super) host: Option<&'a str>,
    /// The query parameter that cannot be signed because it holds the signature.
    pub(super) leave_out: Option<&'a str>,
    /// The last line: a hash in hex or the word for a payload that has none.
    pub(super) payload: &'a str,
}

impl CanonicalRequest<'_> {
    /// Appends the text to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.parts.method.as_str().as_bytes());
        out.push(b'\n');
        match self.parts.uri.path() {
            "" => out.push(b'/'),
            path => encode(path.as_bytes(), Place::Path, out),
        }
        out.push(b'\n');
        encode_query(self.parts.uri.query().unwrap_or(""), self.leave_out, out);
        out.push(b'\n');
        for name in self.signed_headers.split(';') {
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
            match self.host {
                Some(host) if name == "host" => out.extend_from_slice(host.as_bytes()),
                _ => write_values(&self.parts.headers, name, out),
            }
            out.push(b'\n');
        }
        out.push(b'\n');
        out.extend_from_slice(self.signed_headers.as_bytes());
        out.push(b'\n');
        out.extend_from_slice(self.payload.as_bytes());
    }
}

/// Appends all values of a header, joined by commas, each trimmed and with runs of spaces inside made one.
fn write_values(headers: &HeaderMap, name: &str, out: &mut Vec<u8>) {
    for (index, value) in headers.get_all(name).iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let value = value.as_bytes().trim_ascii();
        if !value.windows(2).any(|pair| pair == b"  ") {
            out.extend_from_slice(value);
            continue;
        }
        let mut previous = 0;
        for &byte in value {
            if byte != b' ' || previous != b' ' {
                out.push(byte);
            }
            previous = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn canonical(request: Request<()>, signed_headers: &str, host: Option<&str>) -> String {
        let (parts, ()) = request.into_parts();
        let mut out = Vec::new();
        CanonicalRequest { parts: &parts, signed_headers, host, leave_out: None, payload: "UNSIGNED-PAYLOAD" }.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_trimmed_collapsed_and_joined() {
        let request = Request::get("/a?b")
            .header("host", "example.com")
            .header("x-amz-meta-a", "  one   two \t")
            .header("x-amz-meta-a", "three")
            .header("x-amz-meta-b", "")
            .body(())
            .unwrap();
        assert_eq!(
            canonical(request, "host;x-amz-meta-a;x-amz-meta-b", None),
            "GET\n/a\nb=\nhost:example.com\nx-amz-meta-a:one two,three\nx-amz-meta-b:\n\n\
             host;x-amz-meta-a;x-amz-meta-b\nUNSIGNED-PAYLOAD"
        );
    }

    #[test]
    fn another_host_can_stand_in() {
        let request = Request::get("/").header("host", "10.0.0.1:9000").body(()).unwrap();
        assert!(canonical(request, "host", Some("s3.example.com")).contains("\nhost:s3.example.com\n"));
    }
}
