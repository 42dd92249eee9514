// E0308: expected `&SealedBlob`, found `&Bytes`
use domicile::{
    backend::{BackendError, Receipt, Site},
    seal::SealedBlob,
};

pub async fn store_plain(site: &Site, blob: &SealedBlob) -> Result<Receipt, BackendError> {
    let bytes = &blob.pieces()[1];
    site.store(bytes).await
}
