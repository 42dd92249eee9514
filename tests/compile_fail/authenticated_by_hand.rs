// E0451: of struct `Authenticated` are private
use std::sync::Arc;

use domicile::authn::{AccessKey, Authenticated, Principal};

pub fn forge(principal: Principal, access_key: AccessKey) -> Authenticated {
    Authenticated { principal: Arc::new(principal), access_key: Arc::new(access_key), narrowing: None, anonymous: false, operator: None }
}
