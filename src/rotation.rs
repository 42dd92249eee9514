//! Renewals of country keys as jobs. One that was broken off is ordered again and goes on: without a new version while subject keys are
//! still wrapped by older ones. How a key is renewed is told in `objects/rotate.rs`.

use serde::Serialize;

use crate::{
    jobs::{self, Jobs, Task},
    objects::{ObjectError, Objects, Renewal, Renewed, Renewing},
    types::KeyId,
};

/// A renewal that was ordered.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The country's key.
    pub key: KeyId,
    /// Whether the versions before are destroyed when nothing needs them any more.
    pub destroy_old: bool,
    /// Whether every subject key under it gets a new generation, too.
    pub subject_keys: bool,
}

/// What is told of a renewal.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// The country's key.
    pub key: KeyId,
    /// Whether the versions before are destroyed.
    pub destroy_old: bool,
    /// Whether subject keys get a new generation.
    pub subject_keys: bool,
    /// What has been done.
    pub progress: Renewed,
}

/// One renewal.
pub type Job = jobs::Job<View>;
/// The renewals of a gateway.
pub type Rotations = Jobs<Rotation>;

impl Task for Rotation {
    type Counting = Renewing;
    type View = View;

    const NAME: &'static str = "rotation";

    fn view(&self, counting: &Renewing) -> View {
        View {
            key: self.key.clone(),
            destroy_old: self.destroy_old,
            subject_keys: self.subject_keys,
            progress: counting.progress(),
        }
    }

    async fn work(&self, objects: &Objects, counting: &Renewing) -> Result<(), ObjectError> {
        let renewal = Renewal { through: None, destroy: self.destroy_old };
        objects.renew_country_key(&self.key, renewal, counting).await?;
        if self.subject_keys {
            objects.rotate_all_subject_keys(&self.key, counting).await?;
        }
        Ok(())
    }
}
