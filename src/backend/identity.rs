//! Whether a site is the one that the configuration says.
//!
//! Every site holds a marker: installation, site, country and epoch, sealed under the installation's key. A wrong endpoint, a
//! bucket of another country or of another installation, and a site that came back without its content are found before a byte of
//! data goes there. The epoch counts takeovers: a gateway that finds another's marker where it left its own has lost the site to
//! that gateway and stops using it.

use std::{error::Error, sync::Arc};

use bytes::Bytes;
use futures_util::TryStreamExt;
use parking_lot::Mutex;

use super::{BackendError, Site, Standing};
use crate::{
    kms::SecretKey,
    seal::{BlobName, MarkerContent, SealError, SealTarget, open_marker, seal_marker},
    types::{Country, SiteId},
};

/// A marker is a few hundred bytes; nothing longer is read.
const MAX_MARKER: u64 = 64 * 1024;

/// What this installation knows of its sites from before. The index implements it; every method may block.
pub trait KnownSites: Send + Sync + 'static {
    /// The last epoch under which the site was taken into service; `None` when it never was.
    fn last_epoch(&self, site: &SiteId) -> Result<Option<u64>, Box<dyn Error + Send + Sync>>;

    /// Keeps, durably, that the site was taken into service.
    fn remember(&self, site: &SiteId, epoch: u64) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// What was found at the site and stands, as last recorded.
    fn standing(&self, site: &SiteId) -> Result<Vec<Standing>, Box<dyn Error + Send + Sync>>;

    /// Keeps, durably and in the ledger, that something `stands` at the site, instead of what its check found before, or does so no more.
    fn record(&self, site: &SiteId, finding: Standing, stands: bool) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Who this gateway is towards its sites.
pub struct Installation {
    id: [u8; 16],
    site_key: SecretKey,
    known: Arc<dyn KnownSites>,
}

/// A site taken into service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The takeover's number.
    pub epoch: u64,
    /// Whether the site was new and got its first marker.
    pub created: bool,
}

/// Why a site cannot be taken into service, or kept there.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The site could not be asked. It stays out of service and is asked again.
    #[error(transparent)]
    Unreachable(#[from] BackendError),
    /// There is no marker although the site was used before.
    #[error(
        "site `{site}` has no marker `domicile-site` although it was in use: wrong endpoint or bucket, or its content is lost"
    )]
    MarkerMissing {
        /// The site.
        site: SiteId,
    },
    /// The marker does not open.
    #[error("the marker of site `{site}` does not open: it belongs to another installation, or was altered ({cause})")]
    Foreign {
        /// The site.
        site: SiteId,
        /// What the seal says.
        #[source]
        cause: SealError,
    },
    /// The marker opens and names something else.
    #[error(
        "site `{site}` in {country} holds the marker of site `{found_site}` in {found_country}{}: wrong endpoint or bucket?",
        if *.other_installation { " of another installation" } else { "" }
    )]
    Another {
        /// The site, as configured.
        site: SiteId,
        /// Its country, as configured.
        country: Country,
        /// The site that the marker names.
        found_site: SiteId,
        /// The country that the marker names.
        found_country: Country,
        /// Whether it names another installation.
        other_installation: bool,
    },
    /// Another gateway has taken the site into service since, or an old marker was put back.
    #[error("site `{site}` was taken over: its marker has epoch {found}, this gateway's is {own}")]
    TakenOver {
        /// The site.
        site: SiteId,
        /// The epoch found.
        found: u64,
        /// This gateway's epoch.
        own: u64,
    },
    /// What was just written did not come back.
    #[error("site `{site}` does not keep what is written to it: its marker reads back different")]
    NotKept {
        /// The site.
        site: SiteId,
    },
    /// What was known about the site could not be read or kept.
    #[error("cannot look up or keep that site `{site}` is in use")]
    Memory {
        /// The site.
        site: SiteId,
        /// The underlying error.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
}

impl IdentityError {
    /// Whether asking again later may help. Otherwise the site must not be used.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Memory { .. })
    }
}

/// The marker that this gateway left at a site.
#[derive(Debug, Default)]
pub(super) struct OwnMarker(Mutex<Option<(u64, Bytes)>>);

impl OwnMarker {
    /// Its epoch, once the site has been taken into service.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.0.lock().as_ref().map(|(epoch, _)| *epoch)
    }
}

impl Installation {
    /// `site_key` seals the markers, so only gateways that hold it can tell or make them.
    pub fn new(id: [u8; 16], site_key: SecretKey, known: Arc<dyn KnownSites>) -> Self {
        Self { id, site_key, known }
    }

    /// Takes a site into service: checks its marker, or makes the first one at a site that was never used and is there, and counts the
    /// epoch up.
    pub(super) async fn claim(self: &Arc<Self>, site: &Site) -> Result<Claim, IdentityError> {
        let last = self.recall(site).await?;
        if last.is_none() {
            // Some services make a bucket when something is written to it: a mistyped name must not come into being.
            site.backend().probe().await?;
        }
        let found = read(site).await?;
        let (seen, created) = match (&found, last) {
            (Some(marker), _) => (self.open(site, marker)?.epoch, false),
            (None, None) => (0, true),
            (None, Some(_)) => return Err(IdentityError::MarkerMissing { site: site.spec().id.clone() }),
        };
        let epoch = seen.max(last.unwrap_or(0)).saturating_add(1);
        let marker = self.write(site, epoch).await?;
        // Reading back finds places that take everything and keep nothing, and a gateway that starts at the same moment.
        if read(site).await?.is_none_or(|kept| kept != marker) {
            return Err(IdentityError::NotKept { site: site.spec().id.clone() });
        }
        fail::fail_point!("backend::marker-written", |_| Err(IdentityError::Memory {
            site: site.spec().id.clone(),
            cause: "failpoint".into()
        }));
        self.remember(site, epoch).await?;
        *site.marker().0.lock() = Some((epoch, marker));
        Ok(Claim { epoch, created })
    }

    /// Checks that the marker is still the one that [`Installation::claim`] left. Compares bytes: every sealing differs, so two
    /// gateways that reached the same epoch at once are told apart too.
    pub(super) async fn check(&self, site: &Site) -> Result<(), IdentityError> {
        let own = site.marker().0.lock().clone();
        let Some((own, expected)) = own else { return Ok(()) };
        match read(site).await? {
            Some(found) if found == expected => Ok(()),
            Some(found) => {
                let found = self.open(site, &found)?.epoch;
                Err(IdentityError::TakenOver { site: site.spec().id.clone(), found, own })
            }
            None => Err(IdentityError::MarkerMissing { site: site.spec().id.clone() }),
        }
    }

    /// Checks that a site carries a marker of this installation, and leaves it as it is: for reading alone.
    pub(super) async fn recognise(&self, site: &Site) -> Result<(), IdentityError> {
        match read(site).await? {
            Some(marker) => self.open(site, &marker).map(drop),
            None => Err(IdentityError::MarkerMissing { site: site.spec().id.clone() }),
        }
    }

    fn open(&self, site: &Site, marker: &[u8]) -> Result<MarkerContent, IdentityError> {
        let spec = site.spec();
        let content =
            open_marker(&self.site_key, marker).map_err(|cause| IdentityError::Foreign { site: spec.id.clone(), cause })?;
        let other_installation = content.installation != self.id;
        if other_installation || content.site != spec.id || content.country != spec.country {
            return Err(IdentityError::Another {
                site: spec.id.clone(),
                country: spec.country,
                found_site: content.site,
                found_country: content.country,
                other_installation,
            });
        }
        Ok(content)
    }

    async fn write(&self, site: &Site, epoch: u64) -> Result<Bytes, IdentityError> {
        let spec = site.spec();
        let target = SealTarget::of_site(spec);
        let content = MarkerContent { installation: self.id, site: spec.id.clone(), country: spec.country, epoch };
        let blob = seal_marker(&target, &self.site_key, &content)
            .map_err(|cause| IdentityError::Foreign { site: spec.id.clone(), cause })?;
        site.backend().put(blob.name(), blob.pieces()).await?;
        Ok(blob.pieces().concat().into())
    }

    async fn recall(self: &Arc<Self>, site: &Site) -> Result<Option<u64>, IdentityError> {
        self.blocking(site, |known, site| known.last_epoch(site)).await
    }

    async fn remember(self: &Arc<Self>, site: &Site, epoch: u64) -> Result<(), IdentityError> {
        self.blocking(site, move |known, site| known.remember(site, epoch)).await
    }

    /// What was found at a site and stands, as last recorded.
    pub(super) async fn standing(&self, site: &Site) -> Result<Vec<Standing>, IdentityError> {
        self.blocking(site, |known, site| known.standing(site)).await
    }

    /// Records that something stands at a site, or does so no more.
    pub(super) async fn record(&self, site: &Site, finding: Standing, stands: bool) -> Result<(), IdentityError> {
        self.blocking(site, move |known, site| known.record(site, finding, stands)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        site: &Site,
        work: impl FnOnce(&dyn KnownSites, &SiteId) -> Result<T, Box<dyn Error + Send + Sync>> + Send + 'static,
    ) -> Result<T, IdentityError> {
        let (known, id) = (Arc::clone(&self.known), site.spec().id.clone());
        let outcome = match tokio::task::spawn_blocking(move || work(&*known, &id)).await {
            Ok(outcome) => outcome,
            Err(error) => Err(error.into()),
        };
        outcome.map_err(|cause| IdentityError::Memory { site: site.spec().id.clone(), cause })
    }
}

/// The marker's bytes, if there is one.
async fn read(site: &Site) -> Result<Option<Bytes>, BackendError> {
    let opened = match site.backend().get(&BlobName::marker(), None).await {
        Ok(opened) => opened,
        Err(BackendError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    if opened.total_len > MAX_MARKER {
        // No marker of ours; what is left of it will not open.
        return Ok(Some(Bytes::new()));
    }
    let pieces: Vec<Bytes> = opened.body.try_collect().await?;
    Ok(Some(pieces.concat().into()))
}

impl std::fmt::Debug for Installation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installation").field("id", &hex::encode(self.id)).finish_non_exhaustive()
    }
}
