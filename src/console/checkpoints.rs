//! The checkpoints that were kept, with what witnesses and time-stamping authorities said of them, to read and to take away.

use askama::Template;
use axum::{
    Extension,
    extract::{Path, Query as Parameters},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    chrome::{Answer, Chrome, page as answer},
    download, filters, places,
    policies::Before,
    seat::Seat,
};
use crate::admin::{CheckpointView, CheckpointsView, Problem, Query, VoucherView};

/// Checkpoints on a page.
const PAGE: usize = 50;

/// Those who are asked to vouch, and what they are.
pub(super) type Vouchers = Vec<(&'static str, VoucherView)>;

#[derive(Template)]
#[template(path = "checkpoints.html")]
struct CheckpointsPage {
    chrome: Chrome,
    kept: Vec<CheckpointView>,
    vouchers: Vouchers,
    older: Option<u64>,
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(Before { before }): Parameters<Before>) -> Answer {
    let (kept, vouchers) = page_of(&seat, before, PAGE).await?;
    let older = kept.last().filter(|_| kept.len() == PAGE).map(|last| last.size);
    answer(&CheckpointsPage { chrome: Chrome::new(&seat, "Checkpoints", Some(places::LEDGER)), kept, vouchers, older })
}

/// Up to `limit` checkpoints from below the size `before` on, and how it stands with who vouches for them.
pub(super) async fn page_of(seat: &Seat, before: Option<u64>, limit: usize) -> Result<(Vec<CheckpointView>, Vouchers), Problem> {
    let gateway = seat.ask(Query::LedgerCheckpoints { before, limit }).await?;
    let CheckpointsView { checkpoints, witnesses, authorities } = gateway.ledger_checkpoints(before, limit).await?;
    let witnesses = witnesses.into_iter().map(|view| ("Witness", view));
    let authorities = authorities.into_iter().map(|view| ("Time-stamping authority", view));
    Ok((checkpoints, witnesses.chain(authorities).collect()))
}

/// The checkpoint of so many entries that was kept.
pub(super) async fn kept(seat: &Seat, size: u64) -> Result<CheckpointView, Problem> {
    let (kept, _) = page_of(seat, size.checked_add(1), 1).await?;
    let none = || Problem::not_found("no checkpoint of so many entries was kept");
    kept.into_iter().next().filter(|kept| kept.size == size).ok_or_else(none)
}

/// A file of a checkpoint, named as an export names it: its note, or a time stamp by its number.
pub(super) async fn file(Extension(seat): Extension<Seat>, Path((size, name)): Path<(u64, String)>) -> Answer {
    let stamp = match name.as_str() {
        "note.txt" => None,
        name => {
            let number = name.strip_suffix(".tsr").and_then(|number| number.parse::<usize>().ok()?.checked_sub(1));
            Some(number.ok_or_else(|| Problem::not_found("a checkpoint has no such file"))?)
        }
    };
    let kept = kept(&seat, size).await?;
    let Some(stamp) = stamp else {
        return download::file(&format!("domicile-checkpoint-{size}.txt"), "text/plain; charset=utf-8", kept.note);
    };
    let none = || Problem::not_found("the checkpoint has no such time stamp");
    let answer = kept.time_stamps.get(stamp).and_then(|stamp| STANDARD.decode(&stamp.answer).ok()).ok_or_else(none)?;
    let name = format!("domicile-checkpoint-{size}.{}.tsr", stamp + 1);
    download::file(&name, "application/timestamp-reply", answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{SignerView, TimeStampView};
    use crate::console::chrome::Theme;

    #[test]
    fn a_checkpoint_is_shown_whole_with_what_others_said_of_it() {
        let time = || "2026-11-29T08:00:00.000Z".to_owned();
        let stamp = |by: &str| TimeStampView { by: by.to_owned(), time: time(), answer: String::new() };
        let kept = CheckpointView {
            size: 1042,
            root: "9f".repeat(32),
            time: time(),
            note: String::new(),
            witnesses: vec![SignerView { name: "witness.example/w1".to_owned(), time: time() }],
            time_stamps: vec![stamp("http://a"), stamp("http://b")],
        };
        let chrome = Chrome::of_strangers("Checkpoints", Theme::Auto);
        let html = CheckpointsPage { chrome, kept: vec![kept], vouchers: Vec::new(), older: Some(1042) }.render().unwrap();
        for said in
            ["1,042", &"9f".repeat(32), "witness.example/w1", "/1042/1.tsr", "/1042/2.tsr", "/1042/note.txt", "?before=1042"]
        {
            assert!(html.contains(said), "{said}: {html}");
        }
    }
}
