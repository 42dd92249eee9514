//! ListObjectsV2, with opaque continuation tokens.
//!
//! A token is a position in the order of keys, not a cursor: it stays good while others write, and after a restart.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Response;

use super::Context;
use super::listing::{Encoding, MAX_KEYS, entries, page_size};
use crate::index::ListAfter;
use crate::objects::ListRequest;
use crate::s3::errors::{Code, S3Error};
use crate::s3::response::{ResponseBody, document};
use crate::s3::xml::{NAMESPACE, XmlWriter};

/// A token's first byte: its version and what it stands behind.
const BEHIND_KEY: u8 = b'k';
const BEHIND_PREFIX: u8 = b'p';

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, query) = (context.bucket()?, &context.query);
    let (encoding, limit) = (Encoding::of(query)?, page_size(query, "max-keys", MAX_KEYS)?);
    let prefix = query.get("prefix").unwrap_or_default();
    let delimiter = query.get_filled("delimiter");
    let start_after = query.get_filled("start-after");
    let token = query.get("continuation-token");
    let after = match token {
        Some(token) if !token.is_empty() => Some(decode(token)?),
        _ => start_after.map(|key| ListAfter::Key(key.to_owned())),
    };
    let list = ListRequest { prefix: prefix.to_owned(), delimiter: delimiter.map(str::to_owned), after, limit };
    let (_, page) = context.objects.list(&context.request, bucket, list).await?;
    let truncated = page.truncated && limit > 0;
    let mut xml = XmlWriter::document("ListBucketResult", Some(NAMESPACE));
    xml.text("Name", bucket.as_str());
    xml.text("Prefix", &encoding.apply(prefix));
    xml.optional("Delimiter", delimiter.map(|delimiter| encoding.apply(delimiter)).as_deref());
    xml.plain("MaxKeys", limit);
    encoding.element(&mut xml);
    xml.plain("KeyCount", page.items.len());
    xml.plain("IsTruncated", truncated);
    xml.optional("ContinuationToken", token);
    if let Some(next) = page.next.as_ref().filter(|_| truncated) {
        xml.text("NextContinuationToken", &encode(next));
    }
    xml.optional("StartAfter", start_after.map(|key| encoding.apply(key)).as_deref());
    let with_owner = query.get("fetch-owner").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    entries(&mut xml, &page.items, encoding, with_owner);
    Ok(document(xml))
}

fn encode(position: &ListAfter) -> String {
    let (kind, name) = match position {
        ListAfter::Key(name) => (BEHIND_KEY, name),
        ListAfter::Prefix(name) => (BEHIND_PREFIX, name),
    };
    let mut token = Vec::with_capacity(name.len().saturating_add(1));
    token.push(kind);
    token.extend_from_slice(name.as_bytes());
    URL_SAFE_NO_PAD.encode(token)
}

fn decode(token: &str) -> Result<ListAfter, S3Error> {
    let invalid = || {
        S3Error::with(Code::InvalidArgument, "The continuation token provided is incorrect.")
            .detail("ArgumentName", "continuation-token")
    };
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    let (kind, name) = bytes.split_first().ok_or_else(invalid)?;
    let name = std::str::from_utf8(name).map_err(|_| invalid())?.to_owned();
    match *kind {
        BEHIND_KEY => Ok(ListAfter::Key(name)),
        BEHIND_PREFIX => Ok(ListAfter::Prefix(name)),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_of_others_are_refused() {
        for wrong in ["", "!", "a", "eA", "a/8"] {
            assert!(decode(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn tokens_round_trip(name in any::<String>(), is_prefix: bool) {
            let position = if is_prefix { ListAfter::Prefix(name.clone()) } else { ListAfter::Key(name.clone()) };
            match decode(&encode(&position)).unwrap() {
                ListAfter::Prefix(found) => prop_assert_eq!((true, found), (is_prefix, name)),
                ListAfter::Key(found) => prop_assert_eq!((false, found), (is_prefix, name)),
            }
        }
    }
}
