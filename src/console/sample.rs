//! A sample that anybody can draw again, each record with the proof that its entry is in the ledger.

use askama::Template;
use axum::{
    Extension, Json,
    extract::Query as Parameters,
    http::{HeaderValue, header},
    response::IntoResponse,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    chrome::{Answer, Chrome, page as answer},
    filters,
    narrowing::Narrowing,
    places,
    seat::Seat,
};
use crate::admin::{Problem, Query, SampleView, SampledView};
use crate::audit::{leaf_hash, proof::InclusionProof};

/// Records that are drawn where nothing is said.
const USUAL: usize = 25;

/// What is drawn, as it was typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    seed: String,
    n: String,
    #[serde(flatten)]
    narrowing: Narrowing,
}

#[derive(Template)]
#[template(path = "sample.html")]
struct SamplePage {
    chrome: Chrome,
    seed: String,
    n: usize,
    narrowing: Narrowing,
    sample: Option<Sample>,
    /// Asks for the same again.
    address: String,
}

struct Sample {
    population: u64,
    taken: String,
    size: u64,
    root: String,
    records: Vec<Drawn>,
}

/// One record of a sample.
#[derive(Debug)]
struct Drawn {
    bucket: String,
    key: String,
    version: String,
    record: String,
    size: u64,
    modified: String,
    countries: Vec<String>,
    instruments: Vec<String>,
    entry: Option<u64>,
    verdict: Verdict,
}

/// What the proof of a record shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The entry is about the record, and in the ledger.
    Holds,
    /// One of both is not so.
    Fails,
    /// The ledger has no entry that placed it.
    Missing,
}

impl SamplePage {
    const fn mood(&self, verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Holds => "ok",
            Verdict::Fails | Verdict::Missing => "bad",
        }
    }

    const fn word(&self, verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Holds => "Proven",
            Verdict::Fails => "Proof fails",
            Verdict::Missing => "No entry",
        }
    }
}

impl Wanted {
    /// The seed and how many.
    fn draw(&self) -> Result<(&str, usize), Problem> {
        let n = match self.n.trim() {
            "" => USUAL,
            text => text.parse().map_err(|_| Problem::invalid("how many: write a number"))?,
        };
        SampleView::check(&self.seed, n)?;
        Ok((&self.seed, n))
    }
}

impl Sample {
    /// With each proof held against the ledger that the sample names.
    fn of(view: &SampleView) -> Self {
        let size = view.ledger["size"].as_u64().unwrap_or_default();
        let root = view.ledger["root"].as_str().unwrap_or_default().to_owned();
        let records = view.records.iter().map(|drawn| Drawn::of(drawn, size, &root)).collect();
        Self { population: view.population, taken: view.taken.clone(), size, root, records }
    }

    fn proven(&self) -> usize {
        self.records.iter().filter(|drawn| drawn.verdict == Verdict::Holds).count()
    }
}

impl Drawn {
    fn of(drawn: &SampledView, size: u64, root: &str) -> Self {
        let row = &drawn.record;
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let texts =
            |name: &str| row[name].as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect();
        Self {
            bucket: text("bucket"),
            key: text("key"),
            version: text("version"),
            record: text("record"),
            size: row["size"].as_u64().unwrap_or_default(),
            modified: text("modified"),
            countries: texts("countries"),
            instruments: texts("instruments"),
            entry: drawn.entry,
            verdict: verdict(drawn, size, root),
        }
    }
}

/// Holds a proof against the ledger of `size` and `root`, as whoever has the sample can do.
fn verdict(drawn: &SampledView, size: u64, root: &str) -> Verdict {
    let Some((entry, leaf)) = drawn.entry.zip(drawn.leaf.as_ref()) else { return Verdict::Missing };
    let hash = |text: &str| hex::decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let hashes: Option<Vec<[u8; 32]>> = drawn.proof.iter().map(|text| hash(text)).collect();
    let holds = || {
        let told: Value = serde_json::from_str(leaf).ok()?;
        let about = told["seq"].as_u64() == Some(entry) && told["record"].is_string() && told["record"] == drawn.record["record"];
        let proof = InclusionProof { entry, size, hashes: hashes? };
        (about && proof.verify(&leaf_hash(leaf.as_bytes()), &hash(root)?).is_ok()).then_some(())
    };
    if holds().is_some() { Verdict::Holds } else { Verdict::Fails }
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(wanted): Parameters<Wanted>) -> Answer {
    let chrome = Chrome::new(&seat, "Sample", Some(places::SAMPLE));
    if wanted.seed.is_empty() {
        if !seat.sees(places::SAMPLE) {
            return Err(seat.not_shown(places::SAMPLE).into());
        }
        let Wanted { seed, narrowing, .. } = wanted;
        return answer(&SamplePage { chrome, seed, n: USUAL, narrowing, sample: None, address: String::new() });
    }
    let view = draw(&seat, &wanted).await?;
    let n = wanted.draw()?.1;
    let address = wanted.narrowing.address(&[("seed", &wanted.seed), ("n", &n.to_string())]);
    let Wanted { seed, narrowing, .. } = wanted;
    answer(&SamplePage { chrome, seed, n, narrowing, sample: Some(Sample::of(&view)), address })
}

/// The API's answer, for who has a session and no token at hand.
pub(super) async fn json(Extension(seat): Extension<Seat>, Parameters(wanted): Parameters<Wanted>) -> Answer {
    let view = draw(&seat, &wanted).await?;
    let name = HeaderValue::from_static("attachment; filename=\"domicile-sample.json\"");
    Ok(([(header::CONTENT_DISPOSITION, name)], Json(view)).into_response())
}

async fn draw(seat: &Seat, wanted: &Wanted) -> Result<SampleView, Problem> {
    let (seed, n) = wanted.draw()?;
    let query = wanted.narrowing.query(n)?;
    Ok(seat.ask(Query::Sample(&query)).await?.sample(query, seed).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audit::{Frontier, node_hash};
    use crate::console::chrome::Theme;

    const LEAF: &str = r#"{"v":1,"seq":1,"kind":"put-object","record":"0a0b"}"#;

    /// A ledger of two entries, of which the second placed the record.
    fn drawn() -> (SampledView, String) {
        let (first, second) = (leaf_hash(b"first"), leaf_hash(LEAF.as_bytes()));
        let mut ledger = Frontier::default();
        ledger.push(b"first");
        ledger.push(LEAF.as_bytes());
        assert_eq!(ledger.root(), node_hash(&first, &second));
        let record = json!({ "bucket": "media", "key": "users/<b>sana</b>/1", "version": "v1", "record": "0a0b", "size": 3000,
            "modified": "2026-11-29T08:00:00.000Z", "countries": ["PK"], "instruments": ["pk-storage"] });
        let (entry, leaf, proof) = (Some(1), Some(LEAF.to_owned()), vec![hex::encode(first)]);
        (SampledView { place: "00".to_owned(), record, entry, leaf, proof }, hex::encode(ledger.root()))
    }

    #[test]
    fn a_proof_holds_for_its_record_and_ledger_alone() {
        let (good, root) = drawn();
        assert_eq!(verdict(&good, 2, &root), Verdict::Holds);
        assert_eq!(verdict(&good, 3, &root), Verdict::Fails, "of another ledger");
        assert_eq!(verdict(&good, 2, &"00".repeat(32)), Verdict::Fails, "of another root");
        assert_eq!(verdict(&good, 2, "no root"), Verdict::Fails);
        let mut other = good.clone();
        other.record["record"] = json!("0c0d");
        assert_eq!(verdict(&other, 2, &root), Verdict::Fails, "about another record");
        let changed = SampledView { leaf: Some(LEAF.replace("put", "get")), ..good.clone() };
        assert_eq!(verdict(&changed, 2, &root), Verdict::Fails, "another leaf");
        let moved = SampledView { entry: Some(0), ..good.clone() };
        assert_eq!(verdict(&moved, 2, &root), Verdict::Fails, "at another place");
        let cut = SampledView { proof: vec!["zz".to_owned()], ..good.clone() };
        assert_eq!(verdict(&cut, 2, &root), Verdict::Fails);
        assert_eq!(verdict(&SampledView { entry: None, leaf: None, ..good }, 2, &root), Verdict::Missing);
    }

    #[test]
    fn the_page_says_what_was_drawn_and_how_to_draw_it_again() {
        let (good, root) = drawn();
        let missing = SampledView { entry: None, leaf: None, proof: Vec::new(), ..good.clone() };
        let ledger = json!({ "size": 2, "root": root });
        let taken = "2026-11-29T08:00:00.000Z".to_owned();
        let view = SampleView { seed: "s".to_owned(), population: 4321, taken, ledger, records: vec![good, missing] };
        let page = SamplePage {
            chrome: Chrome::of_strangers("Sample", Theme::Auto),
            seed: "dice <7>".to_owned(),
            n: 2,
            narrowing: Narrowing::default(),
            sample: Some(Sample::of(&view)),
            address: "seed=x&n=2".to_owned(),
        };
        let html = page.render().unwrap();
        for part in ["4,321", "Proven", "No entry", &root, "dice &#60;7&#62;", "key=users%2F%3Cb%3Esana", "1 of 2"] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("<b>sana"));
    }

    #[test]
    fn a_draw_has_a_seed_and_a_number() {
        let wanted = |seed: &str, n: &str| Wanted { seed: seed.to_owned(), n: n.to_owned(), ..Wanted::default() };
        assert_eq!(wanted("x", " ").draw().unwrap(), ("x", USUAL));
        assert_eq!(wanted("x", "1000").draw().unwrap().1, 1000);
        for (seed, n) in [("", "1"), ("x", "0"), ("x", "1001"), ("x", "-1"), ("x", "some"), (&"x".repeat(129), "1")] {
            assert!(wanted(seed, n).draw().is_err(), "{seed} {n}");
        }
    }
}
