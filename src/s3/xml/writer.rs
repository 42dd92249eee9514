//! Writes documents. Characters that XML 1.0 cannot carry, but keys may, become numeric references as S3 writes them.

use std::fmt::Write as _;

use bytes::Bytes;

/// A document under construction.
pub(crate) struct XmlWriter {
    text: String,
    root: &'static str,
}

impl XmlWriter {
    /// Begins a document with its declaration and root element.
    pub(crate) fn document(root: &'static str, namespace: Option<&str>) -> Self {
        let mut text = String::with_capacity(512);
        text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
        text.push_str(root);
        if let Some(namespace) = namespace {
            let _ = write!(text, " xmlns=\"{namespace}\"");
        }
        text.push('>');
        Self { text, root }
    }

    /// Makes room for `bytes` more.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.text.reserve(bytes);
    }

    /// An element with text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.open(name);
        escape(value, &mut self.text);
        self.close(name);
    }

    /// An element with text, where there is any to write.
    pub(crate) fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// An element with a number or another value that needs no escapes.
    pub(crate) fn plain(&mut self, name: &str, value: impl std::fmt::Display) {
        self.open(name);
        let _ = write!(self.text, "{value}");
        self.close(name);
    }

    /// An element with an entity tag, in the quotes that belong to it.
    pub(crate) fn etag(&mut self, name: &str, value: impl std::fmt::Display) {
        self.plain(name, format_args!("&quot;{value}&quot;"));
    }

    /// An element with elements.
    pub(crate) fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.open(name);
        content(self);
        self.close(name);
    }

    /// An element with attributes and elements.
    pub(crate) fn element_with(&mut self, name: &str, attributes: &[(&str, &str)], content: impl FnOnce(&mut Self)) {
        self.text.push('<');
        self.text.push_str(name);
        for (attribute, value) in attributes {
            let _ = write!(self.text, " {attribute}=\"");
            escape(value, &mut self.text);
            self.text.push('"');
        }
        self.text.push('>');
        content(self);
        self.close(name);
    }

    /// Text directly in the element that is open, for a root that has no children.
    pub(crate) fn content(&mut self, value: &str) {
        escape(value, &mut self.text);
    }

    /// Ends the document.
    pub(crate) fn finish(mut self) -> Bytes {
        let root = self.root;
        self.close(root);
        Bytes::from(self.text)
    }

    fn open(&mut self, name: &str) {
        self.text.push('<');
        self.text.push_str(name);
        self.text.push('>');
    }

    fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }
}

fn escape(value: &str, into: &mut String) {
    let mut rest = value;
    while let Some(at) = rest.find(must_escape) {
        let (before, from) = rest.split_at(at);
        into.push_str(before);
        let mut characters = from.chars();
        match characters.next() {
            Some('<') => into.push_str("&lt;"),
            Some('>') => into.push_str("&gt;"),
            Some('&') => into.push_str("&amp;"),
            Some('"') => into.push_str("&quot;"),
            Some(other) => {
                let _ = write!(into, "&#x{:x};", u32::from(other));
            }
            None => {}
        }
        rest = characters.as_str();
    }
    into.push_str(rest);
}

fn must_escape(character: char) -> bool {
    matches!(character, '<' | '>' | '&' | '"' | '\u{fffe}' | '\u{ffff}') || character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_xml_cannot_carry() {
        let mut xml = XmlWriter::document("R", Some("urn:x"));
        xml.text("K", "a<b>&\"c\"\u{0}\u{1}\r\n\t\u{85}\u{ffff}گ💩");
        xml.etag("E", "0-2");
        xml.optional("N", None);
        xml.element("C", |xml| xml.plain("D", 7));
        xml.element_with("F", &[("a", "\"<"), ("b", "2")], |xml| xml.plain("G", 8));
        assert_eq!(
            std::str::from_utf8(&xml.finish()).unwrap(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"urn:x\"><K>a&lt;b&gt;&amp;&quot;c&quot;&#x0;&#x1;&#xd;&#xa;&#x9;&#x85;\
             &#xffff;گ💩</K><E>&quot;0-2&quot;</E><C><D>7</D></C>\
             <F a=\"&quot;&lt;\" b=\"2\"><G>8</G></F></R>"
        );
    }
}
