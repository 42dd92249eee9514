// compiles: what the other cases do wrong, done as far as it can be done right
use domicile::{
    authn::Authenticated,
    backend::{BackendError, Receipt, Site},
    residency::{Placement, Refusal, Residency, Signals},
    seal::{SealTarget, SealedBlob},
    types::SiteId,
};

pub fn decide(residency: &Residency, who: &Authenticated, signals: &Signals<'_>) -> Result<Placement, Refusal> {
    residency.place(who, signals)
}

pub fn aim(placement: &Placement, site: &SiteId) -> Option<SealTarget> {
    SealTarget::of(placement, site)
}

pub async fn store(site: &Site, blob: &SealedBlob) -> Result<Receipt, BackendError> {
    site.store(blob).await
}
