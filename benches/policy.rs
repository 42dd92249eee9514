//! How long a decision takes: with the one instrument most installations have, and with as many as there are laws.

#![expect(clippy::panic, reason = "a bench without its policies has nothing to measure")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use domicile::{
    policy::{Facts, PolicyFile, PolicySet},
    types::{Attributes, BucketName, ObjectKey, PrincipalId},
};

const GATEWAY: &str = r#"
version = 1
[subject]
from = ["key:users/{subject}/**"]
[attributes.residence]
from = ["directory"]
[default]
countries = ["SG"]
"#;

/// Every instrument asks something of the residents of one country; the record's is among them.
fn set(instruments: usize) -> PolicySet {
    let mut files = vec![PolicyFile { path: "gateway.toml".to_owned(), text: GATEWAY.to_owned() }];
    for at in 0..instruments {
        let letter = |at: usize| char::from(b'A' + u8::try_from(at % 26).unwrap_or(0));
        let country = if at == instruments / 2 { "PK".to_owned() } else { format!("X{}", letter(at)) };
        let text = format!(
            "version = 1\nid = \"i{at}\"\ntitle = \"t\"\nenforcement = \"on\"\nlegal-status = \"in-force\"\nsources = [\"s\"]\n\
             [when]\nresidence = [\"{country}\"]\nbucket = [\"media-*\"]\n[require]\ncopies = \"only\"\ncountries = [\"{country}\"]\n"
        );
        files.push(PolicyFile { path: format!("i{at}/policy.toml"), text });
    }
    PolicySet::parse(&files).unwrap_or_else(|found| panic!("the bench's policies must parse: {found:?}"))
}

fn decide(criterion: &mut Criterion) {
    let attributes: Attributes = [("residence".to_owned(), "PK".to_owned())].into();
    let (Ok(bucket), Ok(key), Ok(principal)) =
        (BucketName::new("media-1"), ObjectKey::new("users/ayesha/1"), PrincipalId::new("feed"))
    else {
        return;
    };
    let facts = Facts {
        has_subject: true,
        attributes: &attributes,
        bucket: &bucket,
        key: Some(&key),
        principal: &principal,
        principal_country: None,
        today: time::Date::MAX,
    };
    for instruments in [1, 500] {
        let set = set(instruments);
        criterion
            .bench_function(&format!("policy/decide/{instruments}"), |bencher| bencher.iter(|| set.decide(black_box(&facts))));
    }
}

criterion_group!(benches, decide);
criterion_main!(benches);
