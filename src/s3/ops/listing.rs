//! What the listings have in common: page sizes, encoding, owners, entries.

use std::borrow::Cow;

use crate::index::ListItem;
use crate::s3::errors::{Code, S3Error};
use crate::s3::percent;
use crate::s3::query::Query;
use crate::s3::xml::XmlWriter;

/// The most entries of one page.
pub(super) const MAX_KEYS: usize = 1000;

/// How names are written into a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As they are, within what XML can carry.
    Plain,
    /// Percent-encoded: `encoding-type=url`.
    Url,
}

impl Encoding {
    /// Reads `encoding-type`.
    pub(super) fn of(query: &Query<'_>) -> Result<Self, S3Error> {
        match query.get_filled("encoding-type") {
            None => Ok(Self::Plain),
            Some("url") => Ok(Self::Url),
            Some(_) => Err(S3Error::with(Code::InvalidArgument, "Invalid Encoding Method specified in Request; use `url`.")
                .detail("ArgumentName", "encoding-type")),
        }
    }

    /// A name as it stands in the listing.
    pub(super) fn apply(self, name: &str) -> Cow<'_, str> {
        match self {
            Self::Plain => Cow::Borrowed(name),
            Self::Url => percent::encode(name),
        }
    }

    /// The element that tells the client, when there is something to tell.
    pub(super) fn element(self, xml: &mut XmlWriter) {
        if self == Self::Url {
            xml.text("EncodingType", "url");
        }
    }
}

/// A page size: `default` when absent, never above it.
pub(super) fn page_size(query: &Query<'_>, name: &'static str, default: usize) -> Result<usize, S3Error> {
    let size: Option<u32> = match query.get_filled(name) {
        Some(text) if i32::try_from(text.parse::<i64>().unwrap_or(-1)).is_ok_and(|size| size >= 0) => {
            query.parsed(name, "a number")?
        }
        None => None,
        Some(_) => {
            let message = format!("Argument {name} must be an integer between 0 and 2147483647.");
            return Err(S3Error::with(Code::InvalidArgument, message).detail("ArgumentName", name));
        }
    };
    Ok(size.and_then(|size| usize::try_from(size).ok()).unwrap_or(default).min(default))
}

/// `Owner` or `Initiator`. The account is both its id and its name.
pub(super) fn owner(xml: &mut XmlWriter, element: &str, id: &str) {
    xml.element(element, |xml| {
        xml.text("ID", id);
        xml.text("DisplayName", id);
    });
}

/// The entries of a page: all objects, then all common prefixes, each in order.
pub(super) fn entries(xml: &mut XmlWriter, items: &[ListItem], encoding: Encoding, with_owner: bool) {
    xml.reserve(items.len().saturating_mul(320));
    for item in items {
        let ListItem::Object { key, summary } = item else { continue };
        xml.element("Contents", |xml| {
            xml.text("Key", &encoding.apply(key));
            xml.text("LastModified", &summary.modified.to_rfc3339());
            xml.etag("ETag", summary.etag);
            if let Some((algorithm, kind)) = &summary.checksum_algorithm {
                xml.plain("ChecksumAlgorithm", algorithm);
                xml.plain("ChecksumType", kind);
            }
            xml.plain("Size", summary.size);
            if with_owner {
                owner(xml, "Owner", summary.owner.as_str());
            }
            xml.text("StorageClass", "STANDARD");
        });
    }
    for item in items {
        if let ListItem::Prefix(prefix) = item {
            xml.element("CommonPrefixes", |xml| xml.text("Prefix", &encoding.apply(prefix)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes_are_bounded_and_checked() {
        let size = |query: &str| page_size(&Query::parse(Some(query)).unwrap(), "max-keys", MAX_KEYS);
        assert_eq!(size("").unwrap(), 1000);
        assert_eq!(size("max-keys=").unwrap(), 1000);
        assert_eq!(size("max-keys=0").unwrap(), 0);
        assert_eq!(size("max-keys=2147483647").unwrap(), 1000);
        for wrong in ["max-keys=-1", "max-keys=x", "max-keys=2147483648", "max-keys=99999999999999999999"] {
            assert_eq!(size(wrong).unwrap_err().code(), Code::InvalidArgument, "{wrong}");
        }
    }

    #[test]
    fn names_are_encoded_when_asked() {
        let encoding = |query: &str| Encoding::of(&Query::parse(Some(query)).unwrap());
        assert_eq!(encoding("").unwrap().apply("a b\u{1}"), "a b\u{1}");
        assert_eq!(encoding("encoding-type=url").unwrap().apply("a b\u{1}/c"), "a%20b%01/c");
        assert!(encoding("encoding-type=base64").is_err());
    }
}
