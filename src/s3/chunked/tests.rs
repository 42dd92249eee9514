//! Bodies as clients frame them, cut and broken in every way.

use bytes::Bytes;
use proptest::prelude::*;

use super::{ChunkedError, Decoder, Framing, Trailers};
use crate::authn::ChunkSigner;

const CHECKSUM: &str = "x-amz-checksum-crc32c";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Signed,
    SignedTrailer,
    UnsignedTrailer,
}

impl Form {
    const ALL: [Self; 3] = [Self::Signed, Self::SignedTrailer, Self::UnsignedTrailer];

    fn decoder(self, decoded_len: usize) -> Decoder {
        let framing = match self {
            Self::Signed => Framing::Signed { signer: ChunkSigner::for_test(), trailer: false },
            Self::SignedTrailer => Framing::Signed { signer: ChunkSigner::for_test(), trailer: true },
            Self::UnsignedTrailer => Framing::UnsignedTrailer,
        };
        Decoder::new(framing, decoded_len as u64, if self == Self::Signed { "" } else { "X-Amz-Checksum-Crc32c" })
    }

    /// Frames `chunks` as an SDK does.
    fn encode(self, chunks: &[Vec<u8>]) -> Vec<u8> {
        let mut signer = (self != Self::UnsignedTrailer).then(ChunkSigner::for_test);
        let mut header = |data: &[u8]| match &mut signer {
            Some(signer) => format!("{:x};chunk-signature={}\r\n", data.len(), signer.sign_chunk(data)).into_bytes(),
            None => format!("{:x}\r\n", data.len()).into_bytes(),
        };
        let mut body = Vec::new();
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            body.extend(header(chunk));
            body.extend_from_slice(chunk);
            body.extend(b"\r\n");
        }
        body.extend(header(b""));
        if self != Self::Signed {
            body.extend(format!("{CHECKSUM}:sOO8/Q==\r\n").into_bytes());
        }
        if self == Self::SignedTrailer {
            let signature = signer.unwrap().sign_trailer(format!("{CHECKSUM}:sOO8/Q==\n").as_bytes());
            body.extend(format!("x-amz-trailer-signature:{signature}\r\n").into_bytes());
        }
        body.extend(b"\r\n");
        body
    }
}

/// Decodes `body` cut at the given places.
fn decode(mut decoder: Decoder, body: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, Trailers), ChunkedError> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    cuts.push(body.len());
    cuts.sort_unstable();
    for cut in cuts {
        decoder.push(Bytes::copy_from_slice(&body[from..cut]), &mut pieces)?;
        from = cut;
    }
    Ok((pieces.concat(), decoder.finish()?))
}

fn whole(form: Form, decoded_len: usize, body: &[u8]) -> Result<(Vec<u8>, Trailers), ChunkedError> {
    decode(form.decoder(decoded_len), body, &[])
}

/// Replaces the only occurrence of `from`.
fn replaced(body: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = body.windows(from.len()).position(|window| window == from).unwrap();
    [&body[..at], to, &body[at + from.len()..]].concat()
}

#[test]
fn data_comes_out_as_slices_of_the_input() {
    let body = Bytes::from(Form::UnsignedTrailer.encode(&[b"hello".to_vec()]));
    let mut decoder = Form::UnsignedTrailer.decoder(5);
    let mut pieces = Vec::new();
    decoder.push(body.clone(), &mut pieces).unwrap();
    assert_eq!(pieces, ["hello"]);
    assert_eq!(pieces[0].as_ptr(), body[3..].as_ptr());
    let trailers = decoder.finish().unwrap();
    assert_eq!(trailers.get(CHECKSUM), Some("sOO8/Q=="));
    assert_eq!(trailers.iter().count(), 1);
}

#[test]
fn empty_bodies_are_bodies() {
    for form in Form::ALL {
        assert_eq!(whole(form, 0, &form.encode(&[])).unwrap().0, b"", "{form:?}");
    }
}

#[test]
fn trailers_may_end_the_way_other_clients_end_them() {
    let loose = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:sOO8/Q==\n\r\n\r\n";
    assert!(whole(Form::UnsignedTrailer, 5, loose).is_ok());
    let strict = Form::SignedTrailer.encode(&[b"hello".to_vec()]);
    let blank_before_signature = replaced(&strict, b"sOO8/Q==\r\n", b"sOO8/Q==\n\r\n");
    assert!(whole(Form::SignedTrailer, 5, &blank_before_signature).is_ok());
}

#[test]
fn each_fault_has_its_error() {
    use ChunkedError as E;
    let chunks = [b"hello".to_vec(), b"world".to_vec()];
    let signed = Form::Signed.encode(&chunks);
    let unsigned = Form::UnsignedTrailer.encode(&chunks);
    let both = Form::SignedTrailer.encode(&chunks);
    let trailer = format!("{CHECKSUM}:sOO8/Q==\r\n");
    let signature_line = both.windows(23).position(|w| w == b"x-amz-trailer-signature").unwrap();
    let cases: Vec<(Form, usize, Vec<u8>, E)> = vec![
        (Form::Signed, 10, replaced(&signed, b"hello", b"jello"), E::ChunkSignature),
        (Form::Signed, 10, replaced(&signed, b"world", b"word!"), E::ChunkSignature),
        (Form::Signed, 9, signed.clone(), E::TooLong),
        (Form::Signed, 11, signed.clone(), E::TooShort),
        (Form::Signed, 10, signed[..signed.len() - 90].to_vec(), E::LastChunkMissing),
        (Form::Signed, 10, signed[..signed.len() - 2].to_vec(), E::EndMissing),
        (Form::Signed, 10, [&signed[..], b"\r\n"].concat(), E::AfterEnd),
        (Form::Signed, 10, unsigned.clone(), E::ChunkHeader),
        (Form::UnsignedTrailer, 10, signed.clone(), E::ChunkHeader),
        (Form::UnsignedTrailer, 10, replaced(&unsigned, b"5\r\n", b"+5\r\n"), E::ChunkHeader),
        (Form::UnsignedTrailer, 10, replaced(&unsigned, b"5\r\n", b"11111111111111111\r\n"), E::ChunkHeader),
        (Form::UnsignedTrailer, 10, replaced(&unsigned, b"5\r\n", b"ffffffffffffffff\r\n"), E::TooLong),
        (Form::UnsignedTrailer, 10, replaced(&unsigned, b"5\r\n", b"4\r\n"), E::ChunkEnd),
        (Form::UnsignedTrailer, 10, vec![b'0'; 2000], E::ChunkHeaderTooLong),
        (Form::UnsignedTrailer, 10, replaced(&unsigned, trailer.as_bytes(), b""), E::TrailerMissing(CHECKSUM.to_owned())),
        (Form::UnsignedTrailer, 10, replaced(&unsigned, trailer.as_bytes(), b"a:b\r\n"), E::TrailerUnexpected),
        (Form::UnsignedTrailer, 10, replaced(&unsigned, trailer.as_bytes(), trailer.repeat(2).as_bytes()), E::TrailerUnexpected),
        (Form::UnsignedTrailer, 10, replaced(&unsigned, trailer.as_bytes(), b"nonsense\r\n"), E::Trailer),
        (Form::UnsignedTrailer, 10, replaced(&unsigned, b"sOO8/Q==", &[b'x'; 9000]), E::TrailersTooLong),
        (Form::UnsignedTrailer, 10, unsigned[..unsigned.len() - 2].to_vec(), E::EndMissing),
        (Form::UnsignedTrailer, 10, [&unsigned[..], b"GET /"].concat(), E::AfterEnd),
        (Form::UnsignedTrailer, 10, [&unsigned[..], b"\r\n\r\n"].concat(), E::AfterEnd),
        (Form::SignedTrailer, 10, replaced(&both, b"sOO8/Q==", b"sOO8/R=="), E::TrailerSignature),
        (Form::SignedTrailer, 10, [&both[..signature_line], b"\r\n"].concat(), E::EndMissing),
        (Form::SignedTrailer, 10, [&both[..signature_line], b"\r\n\r\n"].concat(), E::TrailerSignatureMissing),
        (Form::SignedTrailer, 10, replaced(&both, trailer.as_bytes(), b""), E::TrailerSignature),
        (Form::SignedTrailer, 10, [&both[..both.len() - 2], trailer.as_bytes()].concat(), E::TrailerUnexpected),
    ];
    for (form, decoded_len, body, error) in cases {
        let shown = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(whole(form, decoded_len, &body).unwrap_err(), error, "{shown}");
        // Byte by byte there is another way through the line buffer.
        let cuts: Vec<usize> = (0..body.len()).collect();
        assert_eq!(decode(form.decoder(decoded_len), &body, &cuts).unwrap_err(), error, "{shown}");
    }
}

#[test]
fn an_error_stays() {
    let mut decoder = Form::Signed.decoder(5);
    let mut pieces = Vec::new();
    assert!(decoder.push(Bytes::from_static(b"zz\r\n"), &mut pieces).is_err());
    assert_eq!(decoder.push(Bytes::from_static(b"0\r\n"), &mut pieces), Err(ChunkedError::ChunkHeader));
    assert_eq!(decoder.finish(), Err(ChunkedError::ChunkHeader));
}

fn bodies() -> impl Strategy<Value = (Form, Vec<Vec<u8>>)> {
    let form = prop::sample::select(Form::ALL.to_vec());
    let sizes = prop::sample::select(vec![0_usize, 1, 2, 15, 16, 17, 255, 256, 1023, 1024, 1025]);
    let chunk = sizes.prop_flat_map(|size| prop::collection::vec(any::<u8>(), size));
    (form, prop::collection::vec(chunk, 0..5))
}

proptest! {
    #[test]
    fn any_split_decodes_to_the_same((form, chunks) in bodies(), cuts in prop::collection::vec(any::<usize>(), 0..20)) {
        let data = chunks.concat();
        let (decoded, trailers) = decode(form.decoder(data.len()), &form.encode(&chunks), &cuts).unwrap();
        prop_assert_eq!(decoded, data);
        prop_assert_eq!(trailers.iter().count(), usize::from(form != Form::Signed));
    }

    #[test]
    fn broken_bodies_never_panic_and_signed_data_never_changes(
        (form, chunks) in bodies(),
        cuts in prop::collection::vec(any::<usize>(), 0..5),
        (at, byte) in (any::<prop::sample::Index>(), any::<u8>()),
    ) {
        let data = chunks.concat();
        let mut body = form.encode(&chunks);
        let at = at.index(body.len());
        body[at] = byte;
        let result = decode(form.decoder(data.len()), &body, &cuts);
        if let (Ok((decoded, _)), true) = (&result, form != Form::UnsignedTrailer) {
            prop_assert_eq!(decoded, &data);
        }
    }

    #[test]
    fn a_body_cut_short_is_never_accepted((form, chunks) in bodies(), at in any::<prop::sample::Index>()) {
        let body = form.encode(&chunks);
        let cut = &body[..at.index(body.len())];
        prop_assert!(decode(form.decoder(chunks.concat().len()), cut, &[]).is_err());
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..3000), cuts in prop::collection::vec(any::<usize>(), 0..5)) {
        for form in Form::ALL {
            let _ = decode(form.decoder(100), &noise, &cuts);
        }
    }
}
