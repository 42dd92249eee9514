//! Temporary stand-in: who asks.

use std::sync::Arc;

use crate::types::{Attributes, Country, PrincipalId};

/// An application backend.
#[derive(Debug)]
pub struct Principal {
    /// Its name.
    pub id: PrincipalId,
    /// What it says of the people it speaks for.
    pub attributes: Attributes,
    /// Where it processes.
    pub country: Option<Country>,
}

/// Proof that a request was signed by a principal.
#[derive(Debug, Clone)]
pub struct Authenticated {
    principal: Arc<Principal>,
}

impl Authenticated {
    /// Who asks.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}
