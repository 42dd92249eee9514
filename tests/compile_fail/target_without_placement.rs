// E0624: associated function `of_site` is private
use domicile::{residency::SiteSpec, seal::SealTarget};

pub fn any_site(site: &SiteSpec) -> SealTarget {
    SealTarget::of_site(site)
}
