//! Takes a form apart as it arrives, holding back no more than what may be the beginning of a boundary.

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

use super::head::PartHead;

/// The longest head of a part, in bytes.
const MAX_HEAD: usize = 4096;

/// Why a form cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FormError(pub(super) &'static str);

/// What comes next in a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A boundary: the part before it is complete and another follows.
    Boundary,
    /// The head of a part.
    Head(PartHead),
    /// Bytes of the part.
    Data(Bytes),
    /// The last boundary. What follows means nothing.
    End,
}

/// The form's bytes that have been pushed and not yet told as events.
pub(super) struct Decoder {
    /// What ends a part: a line break, two hyphens and the boundary.
    delimiter: Finder<'static>,
    buffer: Bytes,
    pushed: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Preamble,
    Head,
    Data,
    Over,
}

/// Where the buffer's first delimiter is.
enum Found {
    /// There, with another part behind it or none.
    At { start: usize, last: bool },
    /// Nowhere before this place; what is behind it may yet become one.
    NotBefore(usize),
}

impl Decoder {
    pub(super) fn new(boundary: &str) -> Self {
        // The first boundary need not have a line break before it: one is put there.
        let delimiter = Finder::new(format!("\r\n--{boundary}").as_bytes()).into_owned();
        Self { delimiter, buffer: Bytes::from_static(b"\r\n"), pushed: 0, state: State::Preamble }
    }

    /// Adds the next bytes of the form.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.pushed += bytes.len() as u64;
        if self.buffer.is_empty() {
            self.buffer = bytes;
        } else {
            let mut joined = BytesMut::with_capacity(self.buffer.len() + bytes.len());
            joined.extend_from_slice(&self.buffer);
            joined.extend_from_slice(&bytes);
            self.buffer = joined.freeze();
        }
    }

    /// Bytes of the form that events have told of.
    pub(super) fn told(&self) -> u64 {
        self.pushed.saturating_sub(self.buffer.len() as u64)
    }

    /// Bytes of the form that no event has told of yet.
    pub(super) fn held(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Bytes of a form's last delimiter, without the line break that may follow it.
    pub(super) fn end_length(&self) -> u64 {
        self.delimiter.needle().len() as u64 + 2
    }

    /// The next event; `None` when it takes more bytes.
    pub(super) fn next(&mut self) -> Result<Option<Event>, FormError> {
        match self.state {
            State::Preamble | State::Data => match self.find()? {
                Found::At { start: 0, last } => {
                    let _ = self.buffer.split_to(self.delimiter.needle().len());
                    self.state = if last { State::Over } else { State::Head };
                    Ok(Some(if last { Event::End } else { Event::Boundary }))
                }
                Found::At { start, .. } => Ok(Some(self.data(start))),
                Found::NotBefore(0) => Ok(None),
                Found::NotBefore(start) => Ok(Some(self.data(start))),
            },
            State::Head => self.head(),
            State::Over => {
                self.buffer.clear();
                Ok(Some(Event::End))
            }
        }
    }

    fn data(&mut self, length: usize) -> Event {
        let data = self.buffer.split_to(length);
        // What stands before the first boundary means nothing.
        Event::Data(if self.state == State::Preamble { Bytes::new() } else { data })
    }

    /// Reads a head, which the buffer begins with: the line break behind the boundary, the lines, an empty line.
    fn head(&mut self) -> Result<Option<Event>, FormError> {
        const END: &[u8] = b"\r\n\r\n";
        let window = self.buffer.get(..MAX_HEAD).unwrap_or(&self.buffer);
        let Some(end) = memchr::memmem::find(window, END) else {
            return if window.len() < MAX_HEAD { Ok(None) } else { Err(FormError("the head of a part is too long")) };
        };
        let head = self.buffer.split_to(end + END.len());
        self.state = State::Data;
        PartHead::parse(head.get(2..end).unwrap_or_default()).map(|head| Some(Event::Head(head)))
    }

    fn find(&self) -> Result<Found, FormError> {
        let (buffer, length) = (&self.buffer[..], self.delimiter.needle().len());
        for start in self.delimiter.find_iter(buffer) {
            match buffer.get(start + length..).unwrap_or_default() {
                [b'-', b'-', ..] => return Ok(Found::At { start, last: true }),
                [b'\r', b'\n', ..] => return Ok(Found::At { start, last: false }),
                [] | [b'-' | b'\r'] => return Ok(Found::NotBefore(start)),
                // RFC 2046 lets white space stand here, and nobody sends it. It must not make the rest of the form part of a file.
                [b' ' | b'\t', ..] => return Err(FormError("white space follows a boundary")),
                // A longer word that begins like it.
                _ => {}
            }
        }
        let tail = buffer.len().saturating_sub(length - 1);
        let partial = (tail..buffer.len()).find(|&at| self.delimiter.needle().starts_with(&buffer[at..]));
        Ok(Found::NotBefore(partial.unwrap_or(buffer.len())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Parts = Vec<(String, Vec<u8>)>;

    /// The names and values of the parts, and whether the last boundary came.
    fn decode(boundary: &str, body: &[u8], cuts: &[usize]) -> Result<(Parts, bool), FormError> {
        let mut decoder = Decoder::new(boundary);
        let mut parts = Parts::new();
        let mut at = 0;
        for cut in cuts.iter().copied().chain([body.len()]) {
            let cut = cut.clamp(at, body.len());
            decoder.push(Bytes::copy_from_slice(&body[at..cut]));
            at = cut;
            while let Some(event) = decoder.next()? {
                match event {
                    Event::Boundary => {}
                    Event::Head(head) => parts.push((head.name, Vec::new())),
                    Event::Data(data) => {
                        if let Some((_, value)) = parts.last_mut() {
                            value.extend_from_slice(&data);
                        }
                    }
                    Event::End => return Ok((parts, true)),
                }
            }
        }
        Ok((parts, false))
    }

    fn form(boundary: &str, parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in parts {
            body.extend(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes());
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend(format!("--{boundary}--\r\n").as_bytes());
        body
    }

    #[test]
    fn a_boundary_inside_a_file_that_is_none_is_data() {
        let file = b"--b\r\n\r\n--bx\r\n\r--b\r\n-b\r\n--\r\n\r\n--b-\r\n".as_slice();
        let body = form("b", &[("key", b""), ("file", file)]);
        for cut in 0..body.len() {
            let (parts, ended) = decode("b", &body, &[cut]).unwrap();
            assert!(ended);
            assert_eq!(parts, [("key".to_owned(), Vec::new()), ("file".to_owned(), file.to_vec())], "cut at {cut}");
        }
    }

    #[test]
    fn what_precedes_the_first_boundary_and_follows_the_last_means_nothing() {
        let body = [b"hello\r\n".as_slice(), &form("b", &[("a", b"1")]), b"--b\r\nmore"].concat();
        assert_eq!(decode("b", &body, &[]), Ok((vec![("a".to_owned(), b"1".to_vec())], true)));
        assert_eq!(decode("b", b"--b--", &[]), Ok((Vec::new(), true)));
    }

    #[test]
    fn forms_that_have_no_end_or_too_long_a_head_are_not_whole() {
        let body = form("b", &[("a", b"1")]);
        assert!(!decode("b", &body[..body.len() - 3], &[]).unwrap().1);
        assert!(!decode("c", &body, &[]).unwrap().1);
        let long = format!("--b\r\n{}", "a".repeat(MAX_HEAD));
        assert!(decode("b", long.as_bytes(), &[]).is_err());
        assert!(decode("b", b"--b \r\n", &[]).is_err());
        assert!(decode("b", b"--b\r\n\r\n", &[]).is_err());
    }

    #[test]
    fn bytes_that_have_been_told_of_are_counted() {
        let body = form("b", &[("a", b"1")]);
        let mut decoder = Decoder::new("b");
        decoder.push(Bytes::from(body.clone()));
        while !matches!(decoder.next().unwrap(), Some(Event::Head(_))) {}
        let length = body.len() as u64;
        assert_eq!(length - decoder.told() - decoder.end_length(), 1 + 2, "the value, and the line break at the end");
    }

    proptest! {
        /// However the body is cut, what goes in comes out.
        #[test]
        fn any_value_comes_back(
            values in prop::collection::vec(prop::collection::vec(prop::sample::select(b"\r\n-bx\0".to_vec()), 0..40), 1..4),
            mut cuts in prop::collection::vec(0..400_usize, 0..6),
        ) {
            cuts.sort_unstable();
            let contained = |value: &Vec<u8>| [b"\r\n".as_slice(), value, b"\r\n"].concat().windows(5).any(|bytes| bytes == b"\r\n--b");
            prop_assume!(!values.iter().any(contained));
            let parts: Vec<_> = values.iter().map(|value| ("n", value.as_slice())).collect();
            let (decoded, ended) = decode("b", &form("b", &parts), &cuts).unwrap();
            prop_assert!(ended);
            prop_assert_eq!(decoded.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), values);
        }

        #[test]
        fn no_body_panics(body in prop::collection::vec(prop::sample::select(b"\r\n-b: ;=\"nameform".to_vec()), 0..200), cut in 0..200_usize) {
            let _ = decode("b", &body, &[cut]);
        }
    }
}
