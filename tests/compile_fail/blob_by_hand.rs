// E0624: associated function `new` is private
use domicile::seal::{BlobName, SealTarget, SealedBlob};

pub fn forge(target: SealTarget, name: BlobName, plaintext: &'static [u8]) -> SealedBlob {
    SealedBlob::new(target, name, None, plaintext, plaintext, 0)
}
