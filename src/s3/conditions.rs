//! Conditional headers (RFC 9110 section 13), of a read, of a copy's source and of a write.

use http::HeaderMap;

use super::errors::S3Error;
use super::headers::text;
use crate::digest::ETag;
use crate::index::WriteCondition;
use crate::objects::{ETagList, ReadCondition};
use crate::types::Timestamp;

/// The conditions of a GET or HEAD. A date that cannot be read is ignored, as RFC 9110 says.
pub(super) fn of_read(headers: &HeaderMap) -> Result<ReadCondition, S3Error> {
    read(headers, ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"])
}

/// The conditions on the object that a copy reads.
pub(super) fn of_copy_source(headers: &HeaderMap) -> Result<ReadCondition, S3Error> {
    read(
        headers,
        [
            "x-amz-copy-source-if-match",
            "x-amz-copy-source-if-none-match",
            "x-amz-copy-source-if-modified-since",
            "x-amz-copy-source-if-unmodified-since",
        ],
    )
}

/// The condition of a write: `If-None-Match` or `If-Match`, each with `*` or entity tags. S3 itself takes `*` alone in the first.
pub(super) fn of_write(headers: &HeaderMap) -> Result<WriteCondition, S3Error> {
    match (text(headers, "if-match")?, text(headers, "if-none-match")?) {
        (None, None) => Ok(WriteCondition::None),
        (None, Some(tags)) => Ok(match list(tags) {
            ETagList::Any => WriteCondition::IfAbsent,
            ETagList::Tags(tags) => WriteCondition::IfNoneMatch(known(&tags)),
        }),
        (Some(tags), None) => Ok(if_match(tags)),
        (Some(_), Some(_)) => Err(S3Error::not_implemented("If-Match and If-None-Match on one write")),
    }
}

/// `If-Match` on a write or delete, or the `ETag` of a DeleteObjects entry.
pub(super) fn if_match(tags: &str) -> WriteCondition {
    match list(tags) {
        ETagList::Any => WriteCondition::IfPresent,
        // An empty list holds for no object.
        ETagList::Tags(tags) => WriteCondition::IfMatch(known(&tags)),
    }
}

/// The tags that some object may have: one of another form matches nothing.
fn known(tags: &[String]) -> Vec<ETag> {
    tags.iter().filter_map(|tag| tag.parse().ok()).collect()
}

fn read(headers: &HeaderMap, [if_match, if_none_match, since, unmodified]: [&'static str; 4]) -> Result<ReadCondition, S3Error> {
    let date = |name| Ok::<_, S3Error>(text(headers, name)?.and_then(Timestamp::parse_http_date));
    Ok(ReadCondition {
        if_match: text(headers, if_match)?.map(list),
        if_none_match: text(headers, if_none_match)?.map(list),
        if_modified_since: date(since)?,
        if_unmodified_since: date(unmodified)?,
    })
}

/// Entity tags with or without quotes, weak ones as if they were strong: S3's tags never are weak.
fn list(value: &str) -> ETagList {
    if value.trim() == "*" {
        return ETagList::Any;
    }
    let bare = |tag: &str| {
        let tag = tag.trim();
        tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').to_owned()
    };
    ETagList::Tags(value.split(',').map(bare).filter(|tag| !tag.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::s3::errors::Code;

    const TAG: &str = "900150983cd24fb0d6963f7d28e17f72";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn lists_of_tags() {
        assert_eq!(list(" * "), ETagList::Any);
        assert_eq!(list("\"a\", W/\"b\",c,"), ETagList::Tags(vec!["a".into(), "b".into(), "c".into()]));
    }

    #[test]
    fn a_read_takes_all_four() {
        let read = of_read(&headers(&[
            ("if-match", "\"a\""),
            ("if-none-match", "*"),
            ("if-modified-since", "Thu, 01 Jan 1970 00:00:01 GMT"),
            ("if-unmodified-since", "yesterday"),
        ]));
        let read = read.unwrap();
        assert_eq!(read.if_match, Some(ETagList::Tags(vec!["a".into()])));
        assert_eq!(read.if_none_match, Some(ETagList::Any));
        assert_eq!(read.if_modified_since, Some(Timestamp::from_seconds(1)));
        assert_eq!(read.if_unmodified_since, None);
    }

    #[test]
    fn a_write_is_conditional_or_refused_never_unconditional_by_mistake() {
        assert!(matches!(of_write(&headers(&[])), Ok(WriteCondition::None)));
        assert!(matches!(of_write(&headers(&[("if-none-match", "*")])), Ok(WriteCondition::IfAbsent)));
        assert!(matches!(of_write(&headers(&[("if-match", TAG)])), Ok(WriteCondition::IfMatch(_))));
        assert!(matches!(of_write(&headers(&[("if-match", "\"ABC\"")])), Ok(WriteCondition::IfMatch(tags)) if tags.is_empty()));
        assert!(
            matches!(of_write(&headers(&[("if-none-match", TAG)])), Ok(WriteCondition::IfNoneMatch(tags)) if tags.len() == 1)
        );
        let both = headers(&[("if-none-match", "*"), ("if-match", TAG)]);
        assert_eq!(of_write(&both).unwrap_err().code(), Code::NotImplemented);
    }
}
