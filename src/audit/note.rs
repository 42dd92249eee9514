//! Signed notes: text with signatures under it, each by a key that has a name (C2SP signed-note), and the cosignatures of witnesses
//! (C2SP tlog-cosignature).

use std::{fmt, str::FromStr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::{digest::sha256, types::Timestamp};

/// Signatures under one note at the most.
const MOST_SIGNATURES: usize = 100;
/// The bytes of a note at the most.
const MOST_BYTES: usize = 1 << 20;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// The note's text, with Ed25519.
    Ed25519,
    /// A time and a checkpoint's text, with Ed25519: `cosignature/v1`.
    Cosignature,
}

impl KeyType {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
        }
    }
}

/// A public key with its name. Written as a verifier key: `name+id+base64(type ‖ key)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    kind: KeyType,
    key: [u8; 32],
}

/// A private key with its name.
#[derive(Clone)]
pub struct Signer {
    pair: Arc<Ed25519KeyPair>,
    verifier: Verifier,
}

/// A signature under a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key's name.
    pub name: String,
    /// The key's id: with the name, it says which key and which type.
    pub id: [u8; 4],
    /// What the key made.
    pub bytes: Vec<u8>,
}

/// Text with signatures. The text means nothing before one of a known key has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// By whom.
    pub by: Verifier,
    /// When a witness says that it was; a signature by itself says no time.
    pub time: Option<Timestamp>,
}

/// Why a note is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is not a note.
    #[error("not a signed note: {0}")]
    Form(&'static str),
    /// A key is not one.
    #[error("not a verifier key `name+id+key`: {0}")]
    Key(&'static str),
    /// A name cannot be a key's.
    #[error("`{0}` cannot be the name of a key: it must not be empty nor contain spaces or `+`")]
    Name(String),
    /// The signature of a known key does not fit the text.
    #[error("the signature of `{0}` does not fit the text")]
    Wrong(String),
    /// No known key has signed it.
    #[error("no known key has signed it")]
    Unsigned,
}

impl Verifier {
    /// A key that is known by other means than its text.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, kind: KeyType, key: [u8; 32]) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::Name(name.to_owned()));
        }
        let hash = sha256(&[name.as_bytes(), b"\n", &[kind.byte()], &key].concat());
        Ok(Self { name: name.to_owned(), id: [hash[0], hash[1], hash[2], hash[3]], kind, key })
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id.
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// What it signs.
    pub const fn kind(&self) -> KeyType {
        self.kind
    }

    /// Whether the signature says that it is this key's.
    pub fn is_of(&self, signature: &Signature) -> bool {
        self.name == signature.name && self.id == signature.id
    }

    fn check(&self, text: &str, signature: &[u8]) -> Result<Option<Timestamp>, NoteError> {
        let wrong = || NoteError::Wrong(self.name.clone());
        let holds = |text: &[u8], signature: &[u8]| UnparsedPublicKey::new(&ED25519, &self.key).verify(text, signature).is_ok();
        match self.kind {
            KeyType::Ed25519 if holds(text.as_bytes(), signature) => Ok(None),
            KeyType::Ed25519 => Err(wrong()),
            KeyType::Cosignature => {
                let (seconds, signature) = signature.split_first_chunk::<8>().ok_or_else(wrong)?;
                let seconds = i64::try_from(u64::from_be_bytes(*seconds)).map_err(|_| wrong())?;
                let holds = holds(cosigned(text, seconds).as_bytes(), signature);
                if holds { Ok(Some(Timestamp::from_seconds(seconds))) } else { Err(wrong()) }
            }
        }
    }
}

/// What a witness signs at a time.
fn cosigned(text: &str, seconds: i64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|letter| letter.is_whitespace() || letter.is_control() || letter == '+')
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[self.kind.byte()], self.key.as_slice()].concat());
        write!(f, "{}+{}+{key}", self.name, hex::encode(self.id))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({self})")
    }
}

impl FromStr for Verifier {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("it has three parts"));
        };
        let material = STANDARD.decode(key).map_err(|_| NoteError::Key("its last part is not base64"))?;
        let (kind, key) = material.split_first().ok_or(NoteError::Key("its last part is empty"))?;
        let kind = match kind {
            1 => KeyType::Ed25519,
            4 => KeyType::Cosignature,
            _ => return Err(NoteError::Key("neither Ed25519 nor cosignature/v1")),
        };
        let key = key.try_into().map_err(|_| NoteError::Key("a key has 32 bytes"))?;
        let verifier = Self::new(name, kind, key)?;
        // The hex is lower case: there is one way to write a key.
        if hex::encode(verifier.id) != id {
            return Err(NoteError::Key("its id is not that of name and key"));
        }
        Ok(verifier)
    }
}

impl Signer {
    /// The key of a seed, for the text of notes.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        Self::of(name, KeyType::Ed25519, seed)
    }

    /// The key of a seed, for cosignatures of a witness.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn witness(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        Self::of(name, KeyType::Cosignature, seed)
    }

    fn of(name: &str, kind: KeyType, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Key("the seed gives no key"))?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| NoteError::Key("a key has 32 bytes"))?;
        Ok(Self { verifier: Verifier::new(name, kind, key)?, pair: Arc::new(pair) })
    }

    /// The key to verify with.
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Signs a note's text; `now` is what a witness says the time is.
    pub fn sign(&self, text: &str, now: Timestamp) -> Signature {
        let Verifier { name, id, kind, .. } = &self.verifier;
        let bytes = match kind {
            KeyType::Ed25519 => self.pair.sign(text.as_bytes()).as_ref().to_vec(),
            KeyType::Cosignature => {
                let seconds = now.seconds().max(0);
                let signature = self.pair.sign(cosigned(text, seconds).as_bytes());
                [seconds.to_be_bytes().as_slice(), signature.as_ref()].concat()
            }
        };
        Signature { name: name.clone(), id: *id, bytes }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

impl Signature {
    /// Reads one line, without its end.
    ///
    /// # Errors
    /// [`NoteError::Form`].
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let form = NoteError::Form("a line of its signatures is not `— name base64`");
        let (name, bytes) = line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or(form.clone())?;
        let bytes = STANDARD.decode(bytes).map_err(|_| form.clone())?;
        match bytes.split_first_chunk::<4>() {
            Some((id, bytes)) if is_name(name) && !bytes.is_empty() => {
                Ok(Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
            }
            _ => Err(form),
        }
    }

    /// When a witness says that it signed; `None` when it has not the form of a cosignature.
    pub fn cosigned_at(&self) -> Option<Timestamp> {
        let (seconds, signature) = self.bytes.split_first_chunk::<8>()?;
        let seconds = i64::try_from(u64::from_be_bytes(*seconds)).ok()?;
        (signature.len() == 64).then(|| Timestamp::from_seconds(seconds))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "— {} {}", self.name, STANDARD.encode([self.id.as_slice(), &self.bytes].concat()))
    }
}

impl Note {
    /// Signs text, which must be lines.
    ///
    /// # Errors
    /// [`NoteError::Form`].
    pub fn sign(text: String, signer: &Signer) -> Result<Self, NoteError> {
        check_text(&text)?;
        Ok(Self::of_lines(text, signer))
    }

    /// Signs what is known to be lines.
    pub(super) fn of_lines(text: String, signer: &Signer) -> Self {
        let signature = signer.sign(&text, Timestamp::default());
        Self { text, signatures: vec![signature] }
    }

    /// What is signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, whose ever they are.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature, in the place of an earlier one of the same key.
    pub fn add(&mut self, signature: Signature) {
        let same = |other: &Signature| other.name == signature.name && other.id == signature.id;
        match self.signatures.iter_mut().find(|other| same(other)) {
            Some(other) => *other = signature,
            None => self.signatures.push(signature),
        }
    }

    /// The signatures of known keys, once each.
    ///
    /// # Errors
    /// [`NoteError::Wrong`] when one does not hold, [`NoteError::Unsigned`] when there is none.
    pub fn verify<'v>(&self, known: impl IntoIterator<Item = &'v Verifier>) -> Result<Vec<Signed>, NoteError> {
        let mut signed = Vec::new();
        for verifier in known {
            let mut own = self.signatures.iter().filter(|signature| verifier.is_of(signature));
            if let Some(first) = own.next() {
                let time = verifier.check(&self.text, &first.bytes)?;
                signed.push(Signed { by: verifier.clone(), time });
            }
        }
        if signed.is_empty() { Err(NoteError::Unsigned) } else { Ok(signed) }
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if text.is_empty() || !text.ends_with('\n') {
        return Err(NoteError::Form("its text does not end with a line"));
    }
    if text.chars().any(|letter| letter < ' ' && letter != '\n') {
        return Err(NoteError::Form("it has control characters"));
    }
    Ok(())
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        if note.len() > MOST_BYTES {
            return Err(NoteError::Form("it is too long"));
        }
        let form = NoteError::Form("no signatures follow an empty line");
        // The last empty line parts them: the text may have some of its own.
        let split = note.rfind("\n\n").ok_or(form.clone())?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        check_text(text)?;
        let lines = lines.strip_suffix('\n').ok_or(form)?;
        let signatures = lines.split('\n').map(Signature::parse).take(MOST_SIGNATURES + 1).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MOST_SIGNATURES {
            return Err(NoteError::Form("it has too many signatures"));
        }
        Ok(Self { text: text.to_owned(), signatures })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of the package that defined the format, golang.org/x/mod/sumdb/note.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const PETERS_SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PETERS_NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
                               — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn peter() -> Signer {
        let material = STANDARD.decode(PETERS_SEED).unwrap();
        Signer::new("PeterNeumann", material[1..].try_into().unwrap()).unwrap()
    }

    #[test]
    fn the_published_example_is_made_and_read() {
        let signer = peter();
        assert_eq!(signer.verifier().to_string(), PETER);
        let known: Verifier = PETER.parse().unwrap();
        let note: Note = PETERS_NOTE.parse().unwrap();
        let signed = note.verify([&known]).unwrap();
        assert_eq!((signed.len(), signed[0].time), (1, None));
        let made = Note::sign(note.text().to_owned(), &signer).unwrap();
        assert_eq!(made.to_string(), PETERS_NOTE);
    }

    #[test]
    fn keys_are_read_in_their_one_form_only() {
        for wrong in [
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
            "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+173116ae+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3",
            "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "",
        ] {
            wrong.parse::<Verifier>().unwrap_err();
        }
    }

    #[test]
    fn only_known_keys_count_and_each_of_them_must_hold() {
        let known: Verifier = PETER.parse().unwrap();
        let other = Signer::new("PeterNeumann", &[9; 32]).unwrap();
        let mut note: Note = PETERS_NOTE.parse().unwrap();
        note.add(other.sign("something else\n", Timestamp::default()));
        assert_eq!(note.verify([&known]).unwrap().len(), 1, "one of the same name but not the same key is none of ours");
        assert_eq!(note.verify([&known, other.verifier()]), Err(NoteError::Wrong("PeterNeumann".to_owned())));
        note.add(other.sign(note.text(), Timestamp::default()));
        assert_eq!(note.verify([&known, other.verifier()]).unwrap().len(), 2);
        assert_eq!(note.verify([Signer::new("Peter", &[9; 32]).unwrap().verifier()]), Err(NoteError::Unsigned));
        let edited: Note = PETERS_NOTE.replace("answer", "question").parse().unwrap();
        assert_eq!(edited.verify([&known]), Err(NoteError::Wrong("PeterNeumann".to_owned())));
        assert_eq!(edited.verify([]), Err(NoteError::Unsigned));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let line = PETERS_NOTE.lines().last().unwrap();
        for wrong in [
            String::new(),
            "text\n".to_owned(),
            "text\n\n".to_owned(),
            format!("text\n{line}\n"),
            format!("text\n\n{line}"),
            format!("te\txt\n\n{line}\n"),
            format!("text\n\n{line}\n{line}x\n"),
            format!("text\n\n{}\n", line.replace('—', "-")),
            "text\n\n— name AAAA\n".to_owned(),
            "text\n\n— na+me AAAAAAAA\n".to_owned(),
            format!("text\n\n{}", format!("{line}\n").repeat(101)),
        ] {
            assert!(wrong.parse::<Note>().is_err(), "{wrong:?}");
        }
        let parted: Note = format!("one\n\ntwo\n\n{line}\n").parse().unwrap();
        assert_eq!(parted.text(), "one\n\ntwo\n");
    }

    /// The checkpoint and the cosignature that the specification shows are by keys that it does not: the form is held against it, the
    /// signature against ours.
    #[test]
    fn witnesses_sign_a_time_and_the_whole_text() {
        let witness = Signer::witness("witness.example.com/w1", &[3; 32]).unwrap();
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let cosignature = witness.sign(text, Timestamp::from_millis(1_679_315_147_999));
        assert_eq!(cosignature.bytes.len(), 72);
        assert_eq!(cosignature.bytes[..8], 1_679_315_147u64.to_be_bytes());
        let message = "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        UnparsedPublicKey::new(&ED25519, &witness.verifier().key).verify(message.as_bytes(), &cosignature.bytes[8..]).unwrap();
        let mut note = Note::sign(text.to_owned(), &peter()).unwrap();
        note.add(cosignature.clone());
        let read: Note = note.to_string().parse().unwrap();
        let signed = read.verify([peter().verifier(), witness.verifier()]).unwrap();
        assert_eq!(signed[1].time, Some(Timestamp::from_seconds(1_679_315_147)));
        let mut later = cosignature;
        later.bytes[7] += 1;
        note.add(later);
        assert!(note.verify([witness.verifier()]).is_err());
        let same_key = Signer::new("witness.example.com/w1", &[3; 32]).unwrap();
        assert_ne!(same_key.verifier().id(), witness.verifier().id(), "a key of another type has another id");
        let written = witness.verifier().to_string();
        assert_eq!(written.parse::<Verifier>().unwrap(), *witness.verifier());
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_ends_the_program_and_what_is_read_is_written_alike(note in "(\\PC|\n|— a AAAAAAAAAA==\n){0,60}") {
            if let Ok(read) = note.parse::<Note>() {
                prop_assert_eq!(read.to_string(), note);
            }
        }

        #[test]
        fn what_is_signed_holds_and_nothing_else(lines in "([a-z\n]{0,20}\n){1,4}", seed: [u8; 32], at in 0..64usize) {
            let signer = Signer::new("some/log", &seed).unwrap();
            let mut note = Note::sign(lines, &signer).unwrap();
            let read: Note = note.to_string().parse().unwrap();
            prop_assert_eq!(&read, &note);
            read.verify([signer.verifier()]).unwrap();
            note.signatures[0].bytes[at] ^= 1;
            prop_assert!(note.verify([signer.verifier()]).is_err());
        }
    }
}
