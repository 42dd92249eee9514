//! How long a decision takes: with the one instrument most installations have, with as many as there are laws, and with as many that use all of the
//! language; and what is asked of a stored record: whether it may be read, how long it is kept, where a copy of it may go.

#![expect(clippy::panic, reason = "a bench without its policies has nothing to measure")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use domicile::{
    policy::{Facts, PolicyFile, PolicySet},
    types::{Attributes, BucketName, ObjectKey, PrincipalId},
};

const GATEWAY: &str = r#"
version = 1
[groups]
near = ["PK", "XB", "XC", "XD"]
[subject]
from = ["key:users/{subject}/**"]
[attributes.residence]
from = ["directory"]
[attributes.data-class]
from = ["directory"]
type = "text"
unknown = "omit"
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

/// Instruments of ten forms that together use all of the language. Most ask for a residence, as laws do; the record's own is in a group, so several
/// apply; some ask for no attribute at all, and are looked at for every record.
fn language(instruments: usize) -> PolicySet {
    const HEAD: &str = "version = 1\ntitle = \"t\"\nenforcement = \"on\"\nlegal-status = \"in-force\"\nsources = [\"s\"]\n";
    let mut files = vec![PolicyFile { path: "gateway.toml".to_owned(), text: GATEWAY.to_owned() }];
    for at in 0..instruments {
        let country = format!("X{}", char::from(b'A' + u8::try_from(at / 10 % 26).unwrap_or(0)));
        let body = match at % 10 {
            0 => format!(
                "[when]\nresidence = [\"{country}\"]\n[require]\ncopies = \"only\"\ncountries = [\"{country}\"]\nkeys = [\"{country}\"]\n"
            ),
            1 => format!(
                "[when]\nresidence = [\"{country}\"]\nkey = [\"users/*/kyc/**\"]\n[require]\ncopies = \"first\"\ncountries = [\"{country}\"]\n"
            ),
            2 => format!("[when]\nresidence = [\"{country}\", \"PK\"]\n[require]\nnot-countries = [\"{country}\"]\n"),
            3 => format!(
                "[when]\nresidence = [\"{country}\"]\ndata-class = {{ not = [\"public\"] }}\n[require]\nprocessing = [\"{country}\"]\n"
            ),
            4 => format!(
                "until = 2025-12-31\n[when]\nresidence = [\"{country}\", \"PK\"]\n[require]\ncopies = \"also\"\ncountries = [\"{country}\"]\n"
            ),
            5 => format!(
                "[when]\nresidence = [\"{country}\"]\ndata-class = [\"traffic\"]\n[retention]\nat-least = \"1y\"\nat-most = \"5y\"\n"
            ),
            6 => format!("[when]\nprincipal = [\"feed-{at}-*\"]\n[require]\nnot-countries = [\"{country}\"]\n"),
            7 => format!(
                "[when]\nprincipal-country = [\"{country}\"]\nbucket = [\"media-{at}-*\"]\n[require]\nnot-countries = [\"US\"]\n"
            ),
            8 => format!(
                "[when]\nresidence = [\"{country}\"]\n[require]\ncopies = \"only\"\ncountries = [\"{country}\"]\n[[exception]]\nbasis = \"consent\"\n\
                 reference = \"r\"\ncountries = [\"SG\"]\nexpires = 2030-01-01\nwhen = {{ data-class = [\"traffic\"] }}\n"
            ),
            _ => format!(
                "[when]\nresidence = [\"{country}\"]\nkey = [\"x/{at}/**\"]\n[require]\nprocessing = [\"@near\"]\n[retention]\nat-least = \"90d\"\n"
            ),
        };
        files.push(PolicyFile { path: format!("i{at}/policy.toml"), text: format!("{HEAD}id = \"i{at}\"\n{body}") });
    }
    let own = "[when]\nresidence = [\"@near\"]\n[require]\ncopies = \"only\"\ncountries = [\"@near\"]\nkeys = [\"PK\"]\nprocessing = [\"PK\", \"SG\"]\n\
               [retention]\nat-least = \"1y\"\n[[exception]]\nbasis = \"contract\"\nreference = \"r\"\ncountries = [\"SG\"]\nexpires = 2030-01-01\n";
    files.push(PolicyFile { path: "own/policy.toml".to_owned(), text: format!("{HEAD}id = \"own\"\n{own}") });
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

fn whole_language(criterion: &mut Criterion) {
    let attributes: Attributes =
        [("residence".to_owned(), "PK".to_owned()), ("data-class".to_owned(), "traffic".to_owned())].into();
    let (Ok(bucket), Ok(key), Ok(principal)) =
        (BucketName::new("media-1"), ObjectKey::new("users/ayesha/kyc/1"), PrincipalId::new("feed"))
    else {
        return;
    };
    let facts = Facts {
        has_subject: true,
        attributes: &attributes,
        bucket: &bucket,
        key: Some(&key),
        principal: &principal,
        principal_country: "PK".parse().ok(),
        today: time::macros::date!(2026 - 06 - 01),
    };
    let set = language(500);
    if let Err(denial) = set.decide(&facts) {
        panic!("the bench's record must have a place: {denial}");
    }
    let mut bench = |name: &str, ask: &dyn Fn(&Facts<'_>)| {
        criterion.bench_function(&format!("policy/language-500/{name}"), |bencher| bencher.iter(|| ask(black_box(&facts))));
    };
    bench("decide", &|facts| drop(black_box(set.decide(facts))));
    bench("copy-of-4", &|facts| drop(black_box(set.decide_copy(facts, &[*facts; 4]))));
    bench("processing", &|facts| drop(black_box(set.processing(facts, &[]))));
    bench("retention", &|facts| drop(black_box(set.retention(facts, &[]))));
}

/// What a reload costs that has to be approved: two sets that differ in one instrument.
fn compare(criterion: &mut Criterion) {
    let (old, new) = (language(500), language(499));
    let today = time::macros::date!(2026 - 06 - 01);
    criterion.bench_function("policy/language-500/diff", |bencher| {
        bencher.iter(|| domicile::policy::diff(black_box(&old), black_box(&new), today));
    });
}

criterion_group!(benches, decide, whole_language, compare);
criterion_main!(benches);
