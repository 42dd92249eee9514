// E0423: cannot initialize a tuple struct which contains private fields
use std::sync::Arc;

use domicile::authn::{Authenticated, Principal};

pub fn forge(principal: Principal) -> Authenticated {
    Authenticated(Arc::new(principal))
}
