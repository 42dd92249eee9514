//! Checkpoints: how far a ledger has come, as a note that the gateway signs (C2SP tlog-checkpoint).

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::note::{Note, NoteError, Signer, Verifier};

/// How far the ledger of a name has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The ledger's name.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root of their tree.
    pub root: [u8; 32],
}

/// A checkpoint with the signatures under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note, as it was signed.
    pub note: Note,
}

impl Checkpoint {
    /// Signs how far the ledger of the signer's name has come. The root must be one that is durable: two roots of one size prove that a
    /// ledger was forked.
    pub fn sign(size: u64, root: [u8; 32], signer: &Signer) -> SignedCheckpoint {
        let checkpoint = Self { origin: signer.verifier().name().to_owned(), size, root };
        let note = Note::of_lines(checkpoint.to_string(), signer);
        SignedCheckpoint { checkpoint, note }
    }
}

impl SignedCheckpoint {
    /// Whether the ledger's key signed it.
    ///
    /// # Errors
    /// As [`Note::verify`]; [`NoteError::Unsigned`] when it is the checkpoint of a ledger of another name than the key's.
    pub fn verify(&self, key: &Verifier) -> Result<(), NoteError> {
        if self.checkpoint.origin != key.name() {
            return Err(NoteError::Unsigned);
        }
        self.note.verify([key]).map(drop)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root))
    }
}

impl FromStr for Checkpoint {
    type Err = NoteError;

    /// Lines behind the third are read over: they say nothing of the tree.
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let form = |what| NoteError::Form(what);
        let lines: Vec<&str> = text.strip_suffix('\n').ok_or(form("it ends within a line"))?.split('\n').collect();
        let [origin, size, root, ..] = lines.as_slice() else { return Err(form("a checkpoint has three lines")) };
        if lines.iter().any(|line| line.is_empty()) {
            return Err(form("a line of it is empty"));
        }
        let number = size.parse::<u64>().map_err(|_| form("its second line is not a size"))?;
        if number.to_string() != *size {
            return Err(form("its second line is not a size"));
        }
        let root =
            STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(form("its third line is not a root"))?;
        Ok(Self { origin: (*origin).to_owned(), size: number, root })
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

impl FromStr for SignedCheckpoint {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let note: Note = text.parse()?;
        Ok(Self { checkpoint: note.text().parse()?, note })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    const SOFA: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

    #[test]
    fn the_example_of_the_specification_is_read() {
        let read: SignedCheckpoint = SOFA.parse().unwrap();
        assert_eq!((read.checkpoint.origin.as_str(), read.checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(read.to_string(), SOFA);
        assert_eq!(read.checkpoint.to_string(), read.note.text());
        // The first 8 bytes of the witness's signature are the time that the specification names.
        assert_eq!(read.note.signatures()[1].bytes[..8], 1_679_315_147u64.to_be_bytes());
    }

    #[test]
    fn a_checkpoint_is_of_the_ledger_whose_key_signed_it() {
        let signer = Signer::new("domicile/test", &[1; 32]).unwrap();
        let own = Checkpoint::sign(3, [2; 32], &signer);
        own.verify(signer.verifier()).unwrap();
        let foreign = Checkpoint { origin: "domicile/other".to_owned(), ..own.checkpoint.clone() };
        let note = Note::sign(foreign.to_string(), &signer).unwrap();
        let foreign = SignedCheckpoint { checkpoint: foreign, note };
        assert_eq!(foreign.verify(signer.verifier()), Err(NoteError::Unsigned));
        let other = Signer::new("domicile/test", &[4; 32]).unwrap();
        assert_eq!(own.verify(other.verifier()), Err(NoteError::Unsigned));
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let root = STANDARD.encode([0; 32]);
        for wrong in [
            String::new(),
            format!("o\n1\n{root}"),
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            format!("\n1\n{root}\n"),
            "o\n1\n".to_owned(),
            "o\n1\nAAAA\n".to_owned(),
            format!("o\n1\n{root}\n\n"),
            format!("o\n18446744073709551616\n{root}\n"),
        ] {
            assert!(wrong.parse::<Checkpoint>().is_err(), "{wrong:?}");
        }
        assert_eq!(format!("o\n0\n{root}\nextension\n").parse::<Checkpoint>().unwrap().size, 0);
    }
}
