//! Where AWS keeps what a region holds.

use crate::types::Country;

/// The country of each region by its name, as AWS publishes them.
const REGIONS: &[(&str, &[&str])] = &[
    ("AE", &["me-central-1"]),
    ("AU", &["ap-southeast-2", "ap-southeast-4"]),
    ("BH", &["me-south-1"]),
    ("BR", &["sa-east-1"]),
    ("CA", &["ca-central-1", "ca-west-1"]),
    ("CH", &["eu-central-2"]),
    ("CN", &["cn-north-1", "cn-northwest-1"]),
    ("DE", &["eu-central-1", "eusc-de-east-1"]),
    ("ES", &["eu-south-2"]),
    ("FR", &["eu-west-3"]),
    ("GB", &["eu-west-2"]),
    ("HK", &["ap-east-1"]),
    ("ID", &["ap-southeast-3"]),
    ("IE", &["eu-west-1"]),
    ("IL", &["il-central-1"]),
    ("IN", &["ap-south-1", "ap-south-2"]),
    ("IT", &["eu-south-1"]),
    ("JP", &["ap-northeast-1", "ap-northeast-3"]),
    ("KR", &["ap-northeast-2"]),
    ("MX", &["mx-central-1"]),
    ("MY", &["ap-southeast-5"]),
    ("NZ", &["ap-southeast-6"]),
    ("SE", &["eu-north-1"]),
    ("SG", &["ap-southeast-1"]),
    ("TH", &["ap-southeast-7"]),
    ("TW", &["ap-east-2"]),
    ("US", &["us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-east-1", "us-gov-west-1"]),
    ("ZA", &["af-south-1"]),
];

/// The country of a region, of those that are known. No other country is ever guessed from a region's name: `me-` is three, `ap-` a dozen.
pub fn country_of_region(region: &str) -> Option<Country> {
    let (country, _) = REGIONS.iter().find(|(_, names)| names.contains(&region))?;
    country.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_is_one_and_no_region_is_in_two() {
        let mut seen = std::collections::BTreeSet::new();
        for (country, names) in REGIONS {
            for name in *names {
                assert_eq!(country_of_region(name), Some(country.parse().unwrap()));
                assert!(seen.insert(name), "{name}");
            }
        }
        for unknown in ["", "eu-central", "pk-central-1", "eu-central-10", "EU-CENTRAL-1"] {
            assert_eq!(country_of_region(unknown), None);
        }
    }
}
