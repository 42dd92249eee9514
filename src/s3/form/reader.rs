//! Reads the fields of a form, and hands out its file as the body of an upload.

use futures_util::{StreamExt, stream};
use http::HeaderMap;

use super::decoder::{Decoder, Event, FormError};
use super::head;
use crate::authn::FormFields;
use crate::objects::{Body, BodyError, Length, MAX_BODY, Piece};
use crate::s3::errors::{Code, S3Error};

/// Names and values of the fields together, in bytes: what S3 takes.
const MAX_FIELDS: usize = 20 * 1024;

/// Bytes of a form before its file, and again behind it.
const MAX_AROUND: u64 = 64 * 1024;

/// Fields whose values are taken as they are: what a signature is over or made of.
const VERBATIM: [&str; 6] = ["policy", "signature", "awsaccesskeyid", "x-amz-signature", "x-amz-credential", "x-amz-algorithm"];

/// A form as far as it has been read: to the first byte of its file.
pub(crate) struct Form {
    /// Everything before the file.
    pub(crate) fields: FormFields,
    /// The file.
    pub(crate) file: FormFile,
}

/// A file that is still to be read.
pub(crate) struct FormFile {
    body: Body,
    decoder: Decoder,
    /// The most bytes that it can have, so long is the form.
    most: u64,
}

/// Reads the fields of a form of `length` bytes.
///
/// # Errors
/// `RequestIsNotMultiPartContent`, `MalformedPOSTRequest`, and what S3 answers to fields that are too large or a file that is not there.
pub(crate) async fn read(headers: &HeaderMap, length: u64, mut body: Body) -> Result<Form, S3Error> {
    let mut decoder = Decoder::new(&head::boundary(headers)?);
    let mut fields = Fields::default();
    let filename = loop {
        match decoder.next()? {
            Some(Event::Head(head)) if head.name.eq_ignore_ascii_case("file") => break head.filename,
            Some(Event::Head(head)) => fields.open(head.name)?,
            Some(Event::Data(data)) => fields.extend(&data)?,
            Some(Event::Boundary) => fields.close()?,
            Some(Event::End) => return Err(S3Error::new(Code::IncorrectNumberOfFiles)),
            None => match body.next().await {
                Some(Ok(Piece::Data(data))) => decoder.push(data),
                Some(Ok(Piece::Expect(_))) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(FormError("it ends before its file").into()),
            },
        }
        if decoder.told() > MAX_AROUND {
            return Err(too_large());
        }
    };
    let around = decoder.told().saturating_add(decoder.end_length());
    let most = length.checked_sub(around).ok_or(FormError("it ends within its file"))?;
    Ok(Form { fields: fields.expanded(filename.as_deref().unwrap_or_default())?, file: FormFile { body, decoder, most } })
}

/// Fields while they are read.
#[derive(Default)]
struct Fields {
    complete: FormFields,
    open: Option<(String, Vec<u8>)>,
    size: usize,
}

impl Fields {
    fn open(&mut self, name: String) -> Result<(), S3Error> {
        self.grow(name.len())?;
        self.open = Some((name.to_ascii_lowercase(), Vec::new()));
        Ok(())
    }

    fn extend(&mut self, data: &[u8]) -> Result<(), S3Error> {
        self.grow(data.len())?;
        if let Some((_, value)) = &mut self.open {
            value.extend_from_slice(data);
        }
        Ok(())
    }

    /// Enters the field that was open. What is to be ignored is; any other is there once, since only one can be meant.
    fn close(&mut self) -> Result<(), S3Error> {
        let Some((name, value)) = self.open.take().filter(|(name, _)| !name.starts_with("x-ignore-")) else { return Ok(()) };
        let value = String::from_utf8(value).map_err(|_| FormError("a field is not UTF-8"))?;
        if self.complete.insert(name, value).is_some() {
            return Err(S3Error::with(Code::InvalidArgument, "A field of the form is there more than once."));
        }
        Ok(())
    }

    fn grow(&mut self, bytes: usize) -> Result<(), S3Error> {
        self.size = self.size.saturating_add(bytes);
        if self.size > MAX_FIELDS { Err(too_large()) } else { Ok(()) }
    }

    /// With the file's name in the place of `${filename}`. Some browsers give its whole path, of which only the last part counts.
    fn expanded(mut self, filename: &str) -> Result<FormFields, S3Error> {
        const VARIABLE: &str = "${filename}";
        let filename = filename.rsplit(['/', '\\']).next().unwrap_or_default();
        let mut fields = std::mem::take(&mut self.complete);
        for (name, value) in &mut fields {
            if !VERBATIM.contains(&name.as_str()) && value.contains(VARIABLE) {
                self.grow(value.matches(VARIABLE).count().saturating_mul(filename.len()))?;
                *value = value.replace(VARIABLE, filename);
            }
        }
        Ok(fields)
    }
}

fn too_large() -> S3Error {
    S3Error::new(Code::MaxPostPreDataLengthExceeded).detail("MaxPostPreDataLengthExceeded", MAX_FIELDS.to_string())
}

impl From<FormError> for S3Error {
    fn from(FormError(reason): FormError) -> Self {
        BodyError::Form(reason).into()
    }
}

impl FormFile {
    /// The file as a body of `least` to `most` bytes, and what is known of its length. A file of another size is an error, at its end at
    /// the latest.
    ///
    /// # Errors
    /// `EntityTooSmall` and `EntityTooLarge` when the form's length tells already.
    pub(crate) fn upload(self, (least, most): (u64, u64)) -> Result<(Length, Body), S3Error> {
        let most = most.min(MAX_BODY);
        if self.most < least {
            return Err(BodyError::TooSmall { size: self.most, min: least }.into());
        }
        if self.most.saturating_sub(MAX_AROUND) > most {
            return Err(BodyError::TooLarge { max: most }.into());
        }
        let length = Length::AtMost(self.most.min(most));
        let reader = Reader { file: self, size: 0, least, most };
        let pieces =
            stream::try_unfold(reader, |mut reader| async move { Ok(reader.next().await?.map(|piece| (piece, reader))) });
        Ok((length, Box::pin(pieces)))
    }
}

struct Reader {
    file: FormFile,
    size: u64,
    least: u64,
    most: u64,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Piece>, BodyError> {
        loop {
            match self.file.decoder.next().map_err(|FormError(reason)| BodyError::Form(reason))? {
                Some(Event::Data(data)) => {
                    self.size = self.size.saturating_add(data.len() as u64);
                    if self.size > self.most {
                        return Err(BodyError::TooLarge { max: self.most });
                    }
                    return Ok(Some(Piece::Data(data)));
                }
                Some(Event::Boundary | Event::Head(_) | Event::End) => return self.finish().await,
                None => match self.file.body.next().await {
                    Some(Ok(Piece::Data(data))) => self.file.decoder.push(data),
                    Some(Ok(Piece::Expect(_))) => {}
                    Some(Err(error)) => return Err(error),
                    None => return Err(BodyError::Form("it ends within its file")),
                },
            }
        }
    }

    /// Reads what follows the file and means nothing: only the end of the request shows that all of it arrived.
    async fn finish(&mut self) -> Result<Option<Piece>, BodyError> {
        if self.size < self.least {
            return Err(BodyError::TooSmall { size: self.size, min: self.least });
        }
        let mut after = self.file.decoder.held();
        while after <= MAX_AROUND {
            match self.file.body.next().await {
                Some(Ok(Piece::Data(data))) => after = after.saturating_add(data.len() as u64),
                Some(Ok(Piece::Expect(_))) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
            }
        }
        Err(BodyError::Form("more than 64 KiB follow its file, which must be its last field"))
    }
}

/// Takes a form apart that is here already, in pieces of `cut` bytes, for the fuzz targets.
#[cfg(feature = "test-util")]
pub(crate) fn decode(boundary: &str, body: &[u8], cut: usize) {
    let mut decoder = Decoder::new(boundary);
    let mut told = 0;
    for piece in body.chunks(cut.max(1)) {
        decoder.push(bytes::Bytes::copy_from_slice(piece));
        while let Ok(Some(event)) = decoder.next() {
            match event {
                Event::Data(data) => told += data.len(),
                Event::End => return,
                Event::Boundary | Event::Head(_) => {}
            }
        }
        assert!(told <= body.len(), "more came out than went in");
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    fn part(name: &str, value: &[u8]) -> Vec<u8> {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"C:\\x\\cat.txt\"\r\n\r\n");
        [head.as_bytes(), value, b"\r\n"].concat()
    }

    fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body: Vec<u8> = parts.iter().flat_map(|(name, value)| part(name, value)).collect();
        body.extend_from_slice(b"--b--\r\n");
        body
    }

    async fn opened(body: &[u8]) -> Result<Form, S3Error> {
        opened_in(body, 7).await
    }

    async fn opened_in(body: &[u8], pieces: usize) -> Result<Form, S3Error> {
        let headers =
            HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("multipart/form-data;boundary=b"))]);
        let pieces: Vec<_> = body.chunks(pieces).map(|piece| Ok(Piece::Data(Bytes::copy_from_slice(piece)))).collect();
        read(&headers, body.len() as u64, Box::pin(stream::iter(pieces))).await
    }

    async fn file(form: Form, size: (u64, u64)) -> Result<(Length, Vec<u8>), S3Error> {
        let (length, mut pieces) = form.file.upload(size)?;
        let mut data = Vec::new();
        while let Some(piece) = pieces.next().await {
            if let Piece::Data(piece) = piece? {
                data.extend_from_slice(&piece);
            }
        }
        Ok((length, data))
    }

    const ANY: (u64, u64) = (0, u64::MAX);

    #[tokio::test]
    async fn fields_come_before_the_file_and_what_follows_is_ignored() {
        let body =
            form(&[("Key", b"a/${filename}"), ("x-ignore-a", b"1"), ("X-Ignore-A", b"2"), ("FILE", b"hello"), ("key", b"c")]);
        let form = opened(&body).await.unwrap();
        assert_eq!(form.fields.iter().collect::<Vec<_>>(), [(&"key".to_owned(), &"a/cat.txt".to_owned())]);
        let (length, data) = file(form, ANY).await.unwrap();
        assert_eq!(data, b"hello");
        assert!(length.most() > 5);
    }

    #[tokio::test]
    async fn the_length_of_a_form_bounds_that_of_its_file() {
        for size in [0, 1, 100] {
            let data = vec![b'x'; size];
            let body = form(&[("key", b"k"), ("file", &data)]);
            for ending in [0, 2] {
                let (length, read) = file(opened(&body[..body.len() - 2 + ending]).await.unwrap(), ANY).await.unwrap();
                assert_eq!((length, read.len()), (Length::AtMost((size + ending) as u64), size));
            }
        }
    }

    #[tokio::test]
    async fn a_file_has_the_size_that_it_may_have() {
        let body = form(&[("file", b"hello")]);
        for (size, code) in [
            ((5, 5), None),
            ((0, 4), Some(Code::EntityTooLarge)),
            ((6, 9), Some(Code::EntityTooSmall)),
            ((100, 200), Some(Code::EntityTooSmall)),
        ] {
            let outcome = file(opened(&body).await.unwrap(), size).await;
            assert_eq!(outcome.err().map(|error| error.code()), code, "{size:?}");
        }
        let large = form(&[("file", &vec![0; 70_000])]);
        assert!(opened(&large).await.unwrap().file.upload((0, 1)).is_err());
    }

    #[tokio::test]
    async fn what_is_no_form_is_refused() {
        let large = [b'x'; MAX_FIELDS];
        let many: Vec<_> = (0..1000).map(|_| ("x-ignore-a", b"".as_slice())).collect();
        for (body, code) in [
            (form(&[("key", b"k")]), Code::IncorrectNumberOfFiles),
            (form(&[("key", b"k"), ("KEY", b"k"), ("file", b"")]), Code::InvalidArgument),
            (form(&[("a", &large), ("file", b"")]), Code::MaxPostPreDataLengthExceeded),
            (form(&many), Code::MaxPostPreDataLengthExceeded),
            (form(&[("a", b"\xff"), ("file", b"")]), Code::MalformedPostRequest),
            (
                form(&[("a", &b"${filename}".repeat(1800)), ("b", b"${filename}"), ("file", b"")]),
                Code::MaxPostPreDataLengthExceeded,
            ),
            (b"hello".to_vec(), Code::MalformedPostRequest),
            (part("file", b"")[..60].to_vec(), Code::MalformedPostRequest),
        ] {
            assert_eq!(opened(&body).await.err().map(|error| error.code()), Some(code), "{}", String::from_utf8_lossy(&body));
        }
    }

    #[tokio::test]
    async fn a_file_without_an_end_or_with_much_behind_it_is_refused() {
        let body = form(&[("file", b"hello")]);
        let cut = opened(&body[..body.len() - 4]).await;
        assert!(cut.is_err() || file(cut.unwrap(), ANY).await.is_err());
        let endless = [part("file", b"hello"), b"--bx--\r\n--bx--".to_vec()].concat();
        assert_eq!(file(opened(&endless).await.unwrap(), ANY).await.unwrap_err().code(), Code::MalformedPostRequest);
        let long = form(&[("file", b"hello"), ("a", &vec![0; 70_000])]);
        for pieces in [7, long.len()] {
            let outcome = file(opened_in(&long, pieces).await.unwrap(), ANY).await;
            assert_eq!(outcome.unwrap_err().code(), Code::MalformedPostRequest);
        }
    }
}
