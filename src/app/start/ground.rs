//! What a gateway stands on: keys, index, sites.

use std::{collections::BTreeSet, sync::Arc};

use tokio::runtime::Handle;

use super::StartError;
use crate::app::{key_uses::KeyUses, known_sites::IndexedSites, open};
use crate::backend::{Installation, Sites};
use crate::clock::Clock;
use crate::config::Config;
use crate::index::{ImportedIndex, Index};
use crate::kms::{Hierarchy, Keyring, Pseudonyms};
use crate::types::Country;

/// Keys and index, opened and held against each other.
pub(super) struct Ground {
    pub(super) keyring: Keyring,
    pub(super) hierarchy: Arc<Hierarchy>,
    pub(super) key_uses: Arc<KeyUses>,
    pub(super) pseudonyms: Arc<Pseudonyms>,
    pub(super) index: Index,
    /// The index came from an export and lacks what some sites know since; the configuration accepts it so.
    pub(super) behind: Option<ImportedIndex>,
}

impl Ground {
    /// Opens keyring, country keys and index, and begins the journal.
    pub(super) async fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, StartError> {
        let keyring = open::keyring(config, clock)?;
        let hierarchy = Arc::new(open::hierarchy(config, &keyring).await?);
        let key_uses = Arc::new(KeyUses::default());
        hierarchy.observe(Arc::clone(&key_uses) as _);
        let pseudonyms = Arc::new(Pseudonyms::new(keyring.pseudonym_key()));
        let index = open::index(config, &keyring, &pseudonyms, clock)?;
        open::hold_keys_to_what_they_wrapped(&hierarchy, &index).await?;
        open::look_at_keys(&hierarchy).await?;
        let behind = index.imported()?;
        if let Some(imported) = behind.as_ref().filter(|_| !config.accept_imported) {
            return Err(StartError::Behind(Box::new(imported.clone())));
        }
        let countries: BTreeSet<Country> = config.sites.iter().map(|site| site.country).collect();
        if let Some(home) = open::home(config) {
            index.begin_journal(home, &countries)?;
            index.keep_who_is_away().await?;
        }
        Ok(Self { keyring, hierarchy, key_uses, pseudonyms, index, behind })
    }

    /// The sites, each asked whether it is what the configuration says. One that is not, or does not answer, is out of service.
    pub(super) async fn sites(&self, config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<Sites>, StartError> {
        let known = IndexedSites {
            index: self.index.clone(),
            countries: config.sites.iter().map(|site| (site.id.clone(), site.country)).collect(),
            clock: Arc::clone(clock),
            runtime: Handle::current(),
        };
        let installation = Installation::new(self.keyring.installation_id(), self.keyring.site_key(), Arc::new(known));
        let sites = Arc::new(Sites::new(open::sites(config, &[])?, installation));
        for (site, outcome) in sites.verify().await {
            if let Err(error) = outcome {
                tracing::error!(%site, %error, "site is not in service");
            }
        }
        Ok(sites)
    }
}
