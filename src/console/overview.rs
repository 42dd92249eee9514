//! What is seen at a glance: what needs attention, where data lives, what has to move by when.

use std::collections::BTreeMap;

use askama::Template;
use axum::{Extension, extract::State};

use super::{
    backlog::Known,
    checkpoints::{self, Vouchers},
    chrome::{Answer, Chrome, page as answer},
    filters,
    places::{self, Place},
    router::Desk,
    seat::Seat,
    world,
};
use crate::admin::{CounterView, KeyView, PoliciesView, Query, SiteView, SummaryView};
use crate::index::Finding;
use crate::types::{Country, InstrumentId};

/// Who vouches for the ledger is told with its checkpoints.
const CHECKPOINTS: Query<'static> = Query::LedgerCheckpoints { before: None, limit: 1 };

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    chrome: Chrome,
    policies: PoliciesView,
    alarms: Vec<Alarm>,
    totals: Option<Totals>,
    map: Option<Map>,
    countries: Vec<Row>,
    has_backlog: bool,
    has_findings: bool,
    backlog: Known,
    backlog_counting: bool,
    summary: Option<SummaryView>,
}

#[derive(Template)]
#[template(path = "backlog_page.html")]
struct BacklogPage {
    backlog: Known,
    backlog_counting: bool,
}

/// Something that asks for somebody.
struct Alarm {
    kind: &'static str,
    title: &'static str,
    detail: String,
    place: Place,
    /// The part of that page.
    part: &'static str,
}

struct Totals {
    countries: usize,
    records: u64,
    bytes: u64,
    queued: u64,
    exceptions: u64,
    findings: Option<usize>,
    entries: Option<u64>,
}

struct Map {
    width: u32,
    height: u32,
    land: &'static str,
    marks: Vec<Mark>,
}

struct Mark {
    code: Country,
    name: String,
    x: i64,
    y: i64,
    radius: i64,
    objects: u64,
    bytes: u64,
    kind: &'static str,
    standing: String,
}

/// One country.
struct Row {
    country: Country,
    name: String,
    counter: CounterView,
    coming: u64,
    going: u64,
    deadline: Option<String>,
    overdue: bool,
    instruments: Vec<InstrumentId>,
    findings: usize,
    kind: &'static str,
    standing: String,
}

/// What is known of the parts; what the reader may not ask is absent.
struct Parts {
    policies: PoliciesView,
    summary: Option<SummaryView>,
    sites: Option<Vec<SiteView>>,
    keys: Option<Vec<KeyView>>,
    findings: Option<Vec<Finding>>,
    backlog: Option<Known>,
    vouchers: Vouchers,
}

pub(super) async fn page(Extension(seat): Extension<Seat>, State(desk): State<Desk>) -> Answer {
    let policies = seat.ask(Query::Policies).await?.policies();
    let summary = match seat.ask_if_allowed(Query::Summary).await? {
        Some(gateway) => Some(gateway.summary().await?),
        None => None,
    };
    let sites = match seat.ask_if_allowed(Query::Sites).await? {
        Some(gateway) => Some(gateway.sites().await),
        None => None,
    };
    let keys = match seat.ask_if_allowed(Query::Keys).await? {
        Some(gateway) => Some(gateway.keys().await?),
        None => None,
    };
    let findings = match seat.ask_if_allowed(Query::Findings).await? {
        Some(gateway) => Some(gateway.findings().await?),
        None => None,
    };
    let entries = match seat.ask_if_allowed(Query::LedgerHead).await? {
        Some(gateway) => Some(gateway.ledger_head()?.size),
        None => None,
    };
    let vouchers = if seat.may(CHECKPOINTS.route()) { checkpoints::page_of(&seat, None, 1).await?.1 } else { Vouchers::new() };
    let backlog = match seat.ask_if_allowed(Query::Plan).await? {
        Some(gateway) => Some(desk.backlog.known(gateway, policies.revision, seat.now).await),
        None => None,
    };
    let parts = Parts { policies, summary, sites, keys, findings, backlog, vouchers };
    let countries = rows(&parts);
    let totals = parts.summary.as_ref().map(|summary| Totals {
        countries: summary.countries.values().filter(|counter| counter.objects > 0).count(),
        records: summary.total.objects,
        bytes: summary.total.bytes,
        queued: summary.queued.objects,
        exceptions: summary.exceptions.values().map(|counter| counter.objects).sum(),
        findings: parts.findings.as_ref().map(Vec::len),
        entries,
    });
    answer(&OverviewPage {
        chrome: Chrome::new(&seat, "Overview", Some(places::OVERVIEW)),
        alarms: alarms(&parts),
        totals,
        map: parts.summary.as_ref().map(|_| map(&countries)),
        countries,
        has_backlog: parts.backlog.is_some(),
        has_findings: parts.findings.is_some(),
        backlog_counting: matches!(parts.backlog, Some(Known::Counting)),
        backlog: parts.backlog.unwrap_or(Known::Counting),
        policies: parts.policies,
        summary: parts.summary,
    })
}

/// The backlog alone, for who waits for the count.
pub(super) async fn backlog(Extension(seat): Extension<Seat>, State(desk): State<Desk>) -> Answer {
    let gateway = seat.ask(Query::Plan).await?;
    let backlog = desk.backlog.known(gateway, gateway.policies().revision, seat.now).await;
    answer(&BacklogPage { backlog_counting: matches!(backlog, Known::Counting), backlog })
}

fn alarms(parts: &Parts) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    let mut add = |kind, title, detail: String, place: Place| {
        let part = if place == places::OVERVIEW { "#backlog" } else { "" };
        alarms.push(Alarm { kind, title, detail, place, part });
    };
    if let Some(Known::Counted(counted)) = &parts.backlog {
        let overdue: u64 = counted.plan.moves.iter().filter(|way| way.overdue).map(|way| way.records.objects).sum();
        if overdue > 0 {
            add("bad", "Backlog overdue", format!("{overdue} records should have moved by now."), places::OVERVIEW);
        }
        let refused = counted.plan.refused.objects;
        if refused > 0 {
            add(
                "bad",
                "Without a place",
                format!("The policies leave {refused} records none, or cannot tell."),
                places::OVERVIEW,
            );
        }
    }
    for site in parts.sites.iter().flatten() {
        if !site.up {
            add("bad", "Site down", format!("{} in {}: {}.", site.id, world::name(site.country), site.detail), places::SITES);
        }
    }
    // The same at several sites is said once.
    let mut checks: BTreeMap<(&str, &str, &str), Vec<&str>> = BTreeMap::new();
    for site in parts.sites.iter().flatten() {
        for check in site.checks.iter().filter(|check| matches!(check.state, "alarm" | "warning")) {
            checks.entry((check.state, check.check, &check.detail)).or_default().push(site.id.as_str());
        }
    }
    for ((state, check, detail), sites) in checks {
        let kind = if state == "alarm" { "bad" } else { "warn" };
        add(kind, "Site set-up", format!("{} ({check}): {detail}.", sites.join(", ")), places::SITES);
    }
    for key in parts.keys.iter().flatten().filter(|key| !key.up) {
        let trouble = key.trouble.as_deref().unwrap_or("no reason given");
        add("bad", "Key out of use", format!("{} of {}: {trouble}.", key.id, world::name(key.country)), places::KEYS);
    }
    for (_, voucher) in &parts.vouchers {
        let Some(failing) = &voucher.failing else { continue };
        let (kind, title) = if failing.disputed { ("bad", "Ledger disputed") } else { ("warn", "Not vouched for") };
        add(kind, title, format!("{}: {}.", voucher.name, failing.why), places::LEDGER);
    }
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in parts.findings.iter().flatten() {
        *classes.entry(finding.class.as_str()).or_default() += 1;
    }
    if !classes.is_empty() {
        let said: Vec<String> = classes.iter().map(|(class, count)| format!("{count} {class}")).collect();
        add("bad", "Findings", format!("{}.", said.join(", ")), places::FINDINGS);
    }
    if parts.policies.proposal.is_some() {
        add("warn", "Policy proposal", "A set waits for somebody's approval.".to_owned(), places::POLICIES);
    }
    let folder = &parts.policies.folder;
    if !folder.in_force && parts.policies.proposal.is_none() {
        add("warn", "Policy folder", "It holds another set than the one in force.".to_owned(), places::POLICIES);
    }
    // What is worst comes first.
    alarms.sort_by_key(|alarm| alarm.kind != "bad");
    alarms
}

fn rows(parts: &Parts) -> Vec<Row> {
    let mut rows: BTreeMap<Country, Row> = BTreeMap::new();
    fn row(rows: &mut BTreeMap<Country, Row>, country: Country) -> &mut Row {
        rows.entry(country).or_insert_with(|| Row::of(country))
    }
    for (code, counter) in parts.summary.iter().flat_map(|summary| &summary.countries) {
        if let Ok(country) = code.parse() {
            row(&mut rows, country).counter = *counter;
        }
    }
    for (code, instruments) in parts.summary.iter().flat_map(|summary| &summary.country_instruments) {
        if let Ok(country) = code.parse() {
            row(&mut rows, country).instruments = instruments.keys().filter_map(|name| name.parse().ok()).collect();
        }
    }
    for site in parts.sites.iter().flatten() {
        let row = row(&mut rows, site.country);
        let alarm = site.checks.iter().any(|check| check.state == "alarm");
        if !site.up || alarm {
            row.raise("bad", if alarm { "Set-up alarm" } else { "Site down" });
        }
    }
    for key in parts.keys.iter().flatten().filter(|key| !key.up) {
        row(&mut rows, key.country).raise("bad", "Key out of use");
    }
    for finding in parts.findings.iter().flatten() {
        row(&mut rows, finding.country).findings += 1;
    }
    if let Some(Known::Counted(counted)) = &parts.backlog {
        for way in &counted.plan.moves {
            for country in way.to.iter().filter(|country| !way.from.contains(country)) {
                let row = row(&mut rows, *country);
                row.coming += way.records.objects;
                row.due(way.deadline.as_ref(), way.overdue, &way.instruments);
            }
            for country in way.from.iter().filter(|country| !way.to.contains(country)) {
                let row = row(&mut rows, *country);
                row.going += way.records.objects;
                row.due(way.deadline.as_ref(), way.overdue, &way.instruments);
            }
        }
    }
    let mut rows: Vec<Row> = rows.into_values().map(Row::stand).collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.counter.bytes), row.country));
    rows
}

impl Row {
    fn of(country: Country) -> Self {
        Self {
            country,
            name: world::name(country),
            counter: CounterView::default(),
            coming: 0,
            going: 0,
            deadline: None,
            overdue: false,
            instruments: Vec::new(),
            findings: 0,
            kind: "ok",
            standing: String::new(),
        }
    }

    /// Says what is worst; the first that is as bad stays.
    fn raise(&mut self, kind: &'static str, standing: &str) {
        let rank = |kind| ["quiet", "ok", "warn", "bad"].iter().position(|one| *one == kind);
        if rank(kind) > rank(self.kind) {
            self.kind = kind;
            standing.clone_into(&mut self.standing);
        }
    }

    fn due(&mut self, deadline: Option<&String>, overdue: bool, instruments: &[InstrumentId]) {
        if let Some(day) = deadline
            && self.deadline.as_ref().is_none_or(|first| day < first)
        {
            self.deadline = Some(day.clone());
        }
        self.overdue |= overdue;
        for instrument in instruments {
            if !self.instruments.contains(instrument) {
                self.instruments.push(instrument.clone());
            }
        }
    }

    fn stand(mut self) -> Self {
        if self.overdue {
            self.raise("bad", "Overdue");
        }
        if self.findings > 0 {
            self.raise("bad", "Findings");
        }
        if self.coming + self.going > 0 {
            self.raise("warn", "Backlog");
        }
        if self.standing.is_empty() {
            (self.kind, self.standing) =
                if self.counter.objects == 0 { ("quiet", "No data".to_owned()) } else { ("ok", "In order".to_owned()) };
        }
        self
    }
}

fn map(rows: &[Row]) -> Map {
    let most = rows.iter().map(|row| row.counter.bytes).max().unwrap_or_default().max(1) as f64;
    let marks = rows.iter().filter_map(|row| {
        let (x, y) = world::place(row.country)?;
        let share = row.counter.bytes as f64 / most;
        Some(Mark {
            code: row.country,
            name: row.name.clone(),
            x: i64::from(x),
            y: i64::from(y),
            radius: 10 + (share.sqrt() * 24.0).round() as i64,
            objects: row.counter.objects,
            bytes: row.counter.bytes,
            kind: row.kind,
            standing: row.standing.clone(),
        })
    });
    Map { width: world::WIDTH, height: world::HEIGHT, land: world::LAND.trim_end(), marks: marks.collect() }
}
