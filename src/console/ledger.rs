//! The ledger: its newest checkpoint, how to check it, who vouches for it, and its entries.

use askama::Template;
use axum::{Extension, extract::Query as Parameters, http::StatusCode, response::IntoResponse};

use super::{
    checkpoints::{self, Vouchers},
    chrome::{Answer, Chrome, page as answer},
    entry::Entry,
    entry_search::{KINDS, Mistakes, Search},
    filters, places,
    seat::Seat,
    tail::{self, Found, Reach},
};
use crate::admin::{CheckpointView, GatewayError, LedgerHeadView, Problem, Query};
use crate::audit::Class;
use crate::index::EntriesQuery;

/// Checkpoints that are shown here; all others have a page of their own.
const KEPT: usize = 5;

#[derive(Template)]
#[template(path = "ledger.html")]
struct LedgerPage {
    chrome: Chrome,
    head: LedgerHeadView,
    kept: Vec<CheckpointView>,
    vouchers: Vouchers,
    form: Search,
    mistakes: Mistakes,
    classes: Vec<(&'static str, bool)>,
    entries: Vec<Entry>,
    none: &'static str,
    older: Option<String>,
}

impl LedgerPage {
    /// The ledger's name: that of its key.
    fn origin(&self) -> &str {
        self.head.note.lines().next().unwrap_or_default()
    }

    /// How an export is held against the note that can be downloaded here.
    fn verify(&self) -> String {
        let LedgerHeadView { size, key, .. } = &self.head;
        format!("domicile ledger verify ledger/ --checkpoint domicile-checkpoint-{size}.txt --vkey '{key}'")
    }

    fn has_more(&self) -> bool {
        self.kept.len() == KEPT
    }

    const fn kinds(&self) -> [&'static str; KINDS.len()] {
        KINDS
    }
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(form): Parameters<Search>) -> Answer {
    let (filter, mistakes) = form.query();
    let head = seat.ask(Query::LedgerHead).await?.ledger_head()?;
    let (kept, vouchers) = checkpoints::page_of(&seat, None, KEPT).await?;
    let end = form.before.unwrap_or(head.size).min(head.size);
    let is_searched = mistakes.is_empty();
    let Found { entries, older } =
        if is_searched { search(&seat, filter, end).await? } else { Found { entries: Vec::new(), older: None } };
    let class = Class::from_name(form.class.trim());
    let older = older.map(|before| form.page(Some(before)));
    let page = answer(&LedgerPage {
        chrome: Chrome::new(&seat, "Ledger", Some(places::LEDGER)),
        head,
        kept,
        vouchers,
        mistakes,
        classes: Class::ALL.iter().map(|one| (one.as_str(), Some(*one) == class)).collect(),
        entries,
        none: if older.is_some() { "None among the entries that were looked at so far." } else { "No entry is so." },
        older,
        form,
    })?;
    Ok(if is_searched { page } else { (StatusCode::BAD_REQUEST, page).into_response() })
}

/// The entries, and where those of a key wrote a version that is still there, the way to its proof.
async fn search(seat: &Seat, filter: EntriesQuery, end: u64) -> Result<Found<Entry>, Problem> {
    let named = filter.key.clone();
    let mut found = tail::back(seat, filter, end, Reach::USUAL, Entry::read).await?;
    if let Some((bucket, key)) = named.filter(|_| found.entries.iter().any(Entry::is_placement)) {
        let versions = match seat.ask(Query::Record(&bucket, &key, None)).await?.record(&bucket, &key, None).await {
            Ok(versions) => versions,
            // The ledger can know of a bucket that is gone.
            Err(GatewayError::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        found.entries.iter_mut().for_each(|entry| entry.prove_by(&versions));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{FailingView, VouchedView, VoucherView};
    use crate::console::chrome::Theme;

    fn page(form: Search, vouchers: Vouchers) -> String {
        let head = LedgerHeadView {
            size: 1042,
            root: "9f".repeat(32),
            time: "2026-11-29T08:00:00.000Z".to_owned(),
            note: "domicile/test\n1042\nnywj=\n\n— domicile/test Qh8W+\n".to_owned(),
            key: "domicile/test+1d9a2c3e+AQ4k".to_owned(),
        };
        let mistakes = form.query().1;
        LedgerPage {
            chrome: Chrome::of_strangers("Ledger", Theme::Auto),
            head,
            kept: Vec::new(),
            vouchers,
            classes: vec![("refusals", true)],
            mistakes,
            entries: Vec::new(),
            none: "No entry is so.",
            older: form.before.is_some().then(|| form.page(Some(7))),
            form,
        }
        .render()
        .unwrap()
    }

    #[test]
    fn the_checkpoint_is_shown_as_it_is_downloaded() {
        let html = page(Search::default(), Vec::new());
        assert!(html.contains("<code class=\"whole\">domicile/test</code>"), "{html}");
        let note = html.split("href=\"data:text/plain;charset=utf-8,").nth(1).unwrap().split('"').next().unwrap();
        let note = percent_encoding::percent_decode_str(note).decode_utf8().unwrap();
        assert_eq!(note, "domicile/test\n1042\nnywj=\n\n— domicile/test Qh8W+\n");
        assert!(html.contains("domicile ledger export --tiles ledger/"));
        assert!(html.contains("--checkpoint domicile-checkpoint-1042.txt --vkey"));
        for said in ["No witness and no time-stamping authority", "None is kept yet", "No entry is so."] {
            assert!(html.contains(said), "{said}");
        }
        assert!(!html.contains("aria-invalid") && !html.contains("role=\"alert\""));
    }

    #[test]
    fn mistakes_stand_beside_their_fields_with_what_was_typed() {
        let form = Search { since: "<b>soon".to_owned(), bucket: "media".to_owned(), ..Search::default() };
        let html = page(form, Vec::new());
        assert!(!html.contains("<b>soon"), "what is typed is text");
        for field in ["since", "key"] {
            assert!(html.contains(&format!("aria-invalid=\"true\" aria-describedby=\"{field}-wrong\"")), "{field}: {html}");
            assert!(html.contains(&format!("<span class=\"wrong\" id=\"{field}-wrong\">")), "{field}");
        }
        assert!(
            html.contains("id=\"since\" name=\"since\" type=\"text\"")
                && html.contains("id=\"until\" name=\"until\" type=\"date\"")
        );
        assert!(html.contains("role=\"alert\"") && !html.contains("No entry is so."));
    }

    #[test]
    fn it_is_told_who_vouches_and_what_fails() {
        let time = || "2026-11-29T08:00:00.000Z".to_owned();
        let good = VoucherView {
            name: "witness.example/w1".to_owned(),
            last: Some(VouchedView { size: 1000, time: time() }),
            behind: 0,
            failing: None,
        };
        let why = "no answer: <refused>".to_owned();
        let bad = VoucherView {
            name: "http://tsa".to_owned(),
            last: None,
            behind: 1000,
            failing: Some(FailingView { since: time(), at: time(), why, disputed: false }),
        };
        let fork = FailingView { since: time(), at: time(), why: "a fork".to_owned(), disputed: true };
        let forked = VoucherView { name: "witness.example/w3".to_owned(), failing: Some(fork), ..good.clone() };
        let late = VoucherView { name: "witness.example/w2".to_owned(), behind: 42, ..good.clone() };
        let form = Search { class: "refusals".to_owned(), before: Some(100), ..Search::default() };
        let html = page(form, vec![("Witness", good), ("Witness", late), ("Witness", forked), ("Time-stamping authority", bad)]);
        for said in [
            "Up to date",
            "Behind",
            "Fails",
            "Disputes the ledger",
            "1,000 entries",
            "None of the last 1,000",
            "no answer: &#60;refused&#62;",
        ] {
            assert!(html.contains(said), "{said}: {html}");
        }
        assert!(html.contains("of class <bdi class=\"asked\">refusals</bdi>"));
        assert!(
            html.contains("/console/ledger?class=refusals#found") && html.contains("?class=refusals&#38;before=7#found"),
            "{html}"
        );
    }
}
