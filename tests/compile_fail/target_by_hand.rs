// E0451: of struct `SealTarget` are private
use domicile::{
    seal::SealTarget,
    types::{Country, KeyId, SiteId},
};

pub fn forge(site: SiteId, country: Country, key: KeyId) -> SealTarget {
    SealTarget { site, country, key }
}
