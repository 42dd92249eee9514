// E0451: of struct `Receipt` are private
use domicile::{
    backend::Receipt,
    seal::BlobName,
    types::{Country, SiteId},
};

pub fn forge(site: SiteId, country: Country, name: BlobName) -> Receipt {
    Receipt { site, country, name, len: 0 }
}
