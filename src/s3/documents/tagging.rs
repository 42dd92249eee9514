//! `Tagging`, of objects and of buckets.

use super::fields::{all, check_children, malformed};
use crate::bucket::{InvalidTag, SettingError, check_bucket_tags, check_object_tags};
use crate::s3::errors::S3Error;
use crate::s3::xml::{self, Element, NAMESPACE, XmlWriter};

const ROOT: &str = "Tagging";

type Tags = Vec<(String, String)>;
type Check = fn(&[(String, String)]) -> Result<(), InvalidTag>;

/// Reads what PutObjectTagging is sent.
pub(crate) fn parse_of_object(document: &[u8]) -> Result<Tags, S3Error> {
    parse(document, check_object_tags)
}

/// Reads what PutBucketTagging is sent.
pub(crate) fn parse_of_bucket(document: &[u8]) -> Result<Tags, S3Error> {
    parse(document, check_bucket_tags)
}

fn parse(document: &[u8], check: Check) -> Result<Tags, S3Error> {
    let root = xml::parse(document, ROOT)?;
    check_children(&root, &["TagSet"], &[])?;
    let set = root.child("TagSet").ok_or_else(|| malformed("`Tagging` needs a `TagSet`."))?;
    check_children(set, &[], &["Tag"])?;
    let tags = all(set, "Tag").map(tag).collect::<Result<Tags, _>>()?;
    check(&tags).map_err(SettingError::from)?;
    Ok(tags)
}

/// One `Tag`, here or in a lifecycle rule's filter.
pub(super) fn tag(tag: &Element) -> Result<(String, String), S3Error> {
    check_children(tag, &["Key", "Value"], &[])?;
    Ok((tag.required("Key")?.to_owned(), tag.required("Value")?.to_owned()))
}

/// What GetObjectTagging and GetBucketTagging answer.
pub(crate) fn write(tags: &[(String, String)]) -> XmlWriter {
    let mut xml = XmlWriter::document(ROOT, Some(NAMESPACE));
    xml.element("TagSet", |xml| tags.iter().for_each(|tag| write_tag(xml, tag)));
    xml
}

/// One `Tag`.
pub(super) fn write_tag(xml: &mut XmlWriter, (key, value): &(String, String)) {
    xml.element("Tag", |xml| {
        xml.text("Key", key);
        xml.text("Value", value);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::errors::Code;

    fn set(inside: &str) -> String {
        format!("<Tagging xmlns=\"{NAMESPACE}\"><TagSet>{inside}</TagSet></Tagging>")
    }

    fn numbered(count: usize) -> String {
        (0..count).map(|n| format!("<Tag><Key>{n}</Key><Value/></Tag>")).collect()
    }

    #[test]
    fn reads_and_writes_what_clients_send() {
        let sent = "<Tag><Key>Hello</Key><Value>World</Value></Tag>\n<Tag><Key>Größe</Key><Value></Value></Tag>";
        let tags = parse_of_object(set(sent).as_bytes()).unwrap();
        assert_eq!(tags, [("Hello", "World"), ("Größe", "")].map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(parse_of_bucket(&write(&tags).finish()).unwrap(), tags);
        assert_eq!(parse_of_object(set("").as_bytes()).unwrap(), []);
    }

    #[test]
    fn objects_and_buckets_have_limits_of_their_own() {
        assert!(parse_of_object(set(&numbered(10)).as_bytes()).is_ok());
        assert_eq!(parse_of_object(set(&numbered(11)).as_bytes()).unwrap_err().code(), Code::InvalidTag);
        assert!(parse_of_bucket(set(&numbered(50)).as_bytes()).is_ok());
        assert_eq!(parse_of_bucket(set(&numbered(51)).as_bytes()).unwrap_err().code(), Code::InvalidTag);
    }

    #[test]
    fn refuses_what_is_no_tag() {
        for wrong in ["<Tag/>", "<Tag><Key>a</Key></Tag>", "<Tag><Value>a</Value></Tag>", "<Other/>"] {
            assert_eq!(parse_of_object(set(wrong).as_bytes()).unwrap_err().code(), Code::MalformedXml, "{wrong}");
        }
        assert_eq!(parse_of_object(b"<Tagging/>").unwrap_err().code(), Code::MalformedXml);
    }
}
