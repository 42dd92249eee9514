//! Reads documents into a tree of elements. Bounded in depth and number; document types, and with them all but the five predefined
//! entities, are refused, so that nothing can expand or be fetched.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};

use crate::s3::errors::{Code, S3Error};

const MAX_DEPTH: usize = 8;

/// Enough for 10,000 parts with every checksum, or 1,000 keys to delete.
const MAX_ELEMENTS: usize = 100_000;

/// An element, its name without a namespace prefix.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    /// The text directly inside, references resolved.
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The first child of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of that name.
    pub(crate) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The text of a child that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, S3Error> {
        let missing = || S3Error::with(Code::MalformedXml, format!("`{}` needs a `{name}`.", self.name));
        self.child_text(name).ok_or_else(missing)
    }
}

/// Reads a document whose root element must be `root`.
pub(crate) fn parse(document: &[u8], root: &str) -> Result<Element, S3Error> {
    let text = std::str::from_utf8(document).map_err(|_| malformed("the document is not UTF-8"))?;
    let found = tree(text.strip_prefix('\u{feff}').unwrap_or(text))?;
    if found.name == root { Ok(found) } else { Err(malformed_with(format!("the root element must be `{root}`"))) }
}

fn tree(text: &str) -> Result<Element, S3Error> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut elements = 0_usize;
    loop {
        match reader.read_event().map_err(|_| malformed("the document is not well-formed"))? {
            Event::Start(start) => {
                elements += 1;
                if open.len() >= MAX_DEPTH || elements > MAX_ELEMENTS || root.is_some() {
                    return Err(malformed("the document has too many elements"));
                }
                open.push(named(&start));
            }
            Event::Empty(start) => {
                elements += 1;
                if elements > MAX_ELEMENTS {
                    return Err(malformed("the document has too many elements"));
                }
                close(named(&start), &mut open, &mut root)?;
            }
            Event::End(_) => {
                let closed = open.pop().ok_or_else(|| malformed("an element ends that did not begin"))?;
                close(closed, &mut open, &mut root)?;
            }
            Event::Text(text) => append(&mut open, &text)?,
            Event::CData(data) => append(&mut open, &data)?,
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|_| malformed("a character reference is wrong"))?;
                match (character, resolve_xml_entity(&reference)) {
                    (Some(character), _) => append(&mut open, character.encode_utf8(&mut [0; 4]))?,
                    (None, Some(text)) => append(&mut open, text)?,
                    (None, None) => return Err(malformed("an entity is not defined")),
                }
            }
            Event::DocType(_) => return Err(malformed("a document type is not accepted")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof if open.is_empty() => return root.ok_or_else(|| malformed("the document is empty")),
            Event::Eof => return Err(malformed("the document ends inside an element")),
        }
    }
}

fn named(start: &BytesStart<'_>) -> Element {
    let name = start.name();
    let name: &str = name.as_ref();
    let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
    Element { name: local.to_owned(), ..Element::default() }
}

fn close(mut element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), S3Error> {
    if !element.children.is_empty() {
        // White space between elements is layout.
        element.text.clear();
    }
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return Err(malformed("the document has two root elements")),
    }
    Ok(())
}

fn append(open: &mut [Element], text: &str) -> Result<(), S3Error> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(malformed("there is text outside the root element")),
    }
    Ok(())
}

fn malformed(why: &'static str) -> S3Error {
    malformed_with(why.to_owned())
}

fn malformed_with(why: String) -> S3Error {
    S3Error::with(Code::MalformedXml, format!("The XML cannot be used: {why}."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::s3::xml::XmlWriter;

    #[test]
    fn reads_what_clients_send() {
        let document = "\u{feff}<?xml version=\"1.0\"?>\n<!-- c --><s3:Delete xmlns:s3=\"urn:x\">\n  <Quiet>true</Quiet><Object><Key>a&amp;&#x1;\
            <![CDATA[<b>]]> c</Key></Object><Object><Key/></Object>\n</s3:Delete>\n";
        let root = parse(document.as_bytes(), "Delete").unwrap();
        assert_eq!(root.text, "");
        assert_eq!(root.child_text("Quiet"), Some("true"));
        let keys: Vec<_> = root.children.iter().filter_map(|child| child.child_text("Key")).collect();
        assert_eq!(keys, ["a&\u{1}<b> c", ""]);
        assert_eq!(root.required("Absent").unwrap_err().code(), Code::MalformedXml);
    }

    #[test]
    fn refuses_what_is_not_a_document_of_ours() {
        let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
        for wrong in [
            "",
            " ",
            "a",
            "<a>",
            "<a></b>",
            "<b/>",
            "<a/><a/>",
            "<a/>x",
            "<a>&x;</a>",
            "<a>&#0;</a>",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
            &deep,
        ] {
            assert_eq!(parse(wrong.as_bytes(), "a").unwrap_err().code(), Code::MalformedXml, "{wrong}");
        }
        assert!(parse(b"<a>\xff</a>", "a").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[<>/a&;#x!\\[\\]\"' ?-]{0,60}") {
            let _ = parse(&bytes, "a");
            let _ = parse(text.as_bytes(), "a");
        }

        #[test]
        fn reads_back_any_text_that_the_writer_wrote(text in any::<String>()) {
            prop_assume!(!text.contains('\0'));
            let mut xml = XmlWriter::document("R", None);
            xml.text("K", &text);
            let root = parse(&xml.finish(), "R").unwrap();
            prop_assert_eq!(root.child_text("K").unwrap(), text);
        }
    }
}
