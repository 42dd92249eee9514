//! Every route of the API and who may use it. Router, access check, limits and OpenAPI document are made from this one table.

use std::time::Duration;

use crate::authn::Role;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody who reaches the port.
    Public,
    /// Bearers of a token with one of these roles.
    Roles(&'static [Role]),
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// `GET`, `PUT`, `POST` or `DELETE`.
    pub method: &'static str,
    /// The path; `{id}` stands for one segment.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Names of query parameters.
    pub parameters: &'static [&'static str],
    /// Bytes of its request's body, at the most.
    pub body: usize,
    /// Within this time it is answered.
    pub time: Duration,
    /// Whether its handler takes the body as it comes, and bounds each piece of the work instead of the whole.
    pub streams: bool,
}

/// What tools send to routes that take no body.
const NO_BODY: usize = 4 << 10;
/// One JSON document: a subject, a write to explain, a session.
const DOCUMENT: usize = 64 << 10;
/// The files of a policy folder.
const POLICIES: usize = 8 << 20;
/// An order with the subjects of many objects. More than that goes in several, by prefix.
const MAP: usize = 64 << 20;

/// For an answer.
const TIME: Duration = Duration::from_secs(60);
/// For a walk through all records.
const LONG: Duration = Duration::from_secs(110);

const READ: Access = Access::Roles(&[Role::Auditor, Role::Operator, Role::Legal]);
const READ_SUBJECTS: Access = Access::Roles(&[Role::Auditor, Role::PolicyAdmin, Role::Operator, Role::Legal]);
const POLICY: Access = Access::Roles(&[Role::PolicyAdmin, Role::Operator]);
const APPROVE: Access = Access::Roles(&[Role::PolicyAdmin]);
const PLAN: Access = Access::Roles(&[Role::Auditor, Role::PolicyAdmin, Role::Operator]);
const OPERATE: Access = Access::Roles(&[Role::Operator]);
const SCRUB: Access = Access::Roles(&[Role::Auditor, Role::Operator]);

const fn route(
    method: &'static str,
    path: &'static str,
    access: Access,
    parameters: &'static [&'static str],
    summary: &'static str,
) -> Route {
    Route { method, path, access, summary, parameters, body: NO_BODY, time: TIME, streams: false }
}

/// The same with bodies of at most `body` bytes, answered within `time`.
const fn taking(body: usize, time: Duration, route: Route) -> Route {
    Route { body, time, ..route }
}

/// The same with a body that the handler takes as it comes.
const fn streaming(route: Route) -> Route {
    Route { streams: true, ..route }
}

/// All of them.
pub const ROUTES: &[Route] = &[
    route("GET", "/v1/records", READ, &RECORDS, "Records by bucket, subject, country, site, instrument or time"),
    route("GET", "/v1/record", READ, &["bucket", "key", "version"], "Every version of one key: copies, decision, keys, times"),
    route(
        "GET",
        "/v1/record/history",
        READ,
        &["bucket", "key", "version", "at", "subject"],
        "The story of a key, or where it was at a time, also of what is gone",
    ),
    taking(
        NO_BODY,
        LONG,
        route("GET", "/v1/population", READ, &POPULATION, "All records, or those of a question, as they are at one moment"),
    ),
    taking(
        NO_BODY,
        LONG,
        route("GET", "/v1/sample", READ, &SAMPLE, "Records drawn by a seed, each with proof that its entry is in the ledger"),
    ),
    taking(
        NO_BODY,
        LONG,
        route(
            "GET",
            "/v1/proof",
            READ,
            &["bucket", "key", "version", "from"],
            "A signed proof of where a version lives and why, to be verified offline; its sites are looked at now",
        ),
    ),
    route("GET", "/v1/summary", READ, &[], "Objects and bytes by country, site, bucket and instrument"),
    taking(DOCUMENT, TIME, route("POST", "/v1/explain", POLICY, &[], "What would be decided for a write, and why")),
    route("GET", "/v1/policies", READ_SUBJECTS, &[], "The policies in force"),
    taking(POLICIES, LONG, route("POST", "/v1/policies/plan", PLAN, &[], "Which records a changed policy would move")),
    route(
        "GET",
        "/v1/policies/history",
        READ_SUBJECTS,
        &["before", "limit"],
        "How policy sets came into force, the newest first",
    ),
    route(
        "GET",
        "/v1/policies/revisions/{id}",
        READ_SUBJECTS,
        &[],
        "The files of a policy set that was ever proposed or in force",
    ),
    taking(POLICIES, LONG, route("POST", "/v1/policies/diff", PLAN, &[], "What two policy sets decide differently, by example")),
    taking(
        DOCUMENT,
        LONG,
        route("POST", "/v1/policies/rollback", POLICY, &[], "Put an earlier policy set back in force, or propose it"),
    ),
    taking(
        DOCUMENT,
        LONG,
        route("POST", "/v1/policies/proposals/{id}/approve", APPROVE, &[], "Put in force what somebody else has proposed"),
    ),
    taking(DOCUMENT, TIME, route("POST", "/v1/policies/proposals/{id}/reject", POLICY, &[], "Drop what is proposed")),
    route("POST", "/v1/policies/reload", POLICY, &[], "Read the policies again; the old ones stay when the new ones are wrong"),
    route(
        "POST",
        "/v1/config/reload",
        OPERATE,
        &[],
        "Read principals and tokens again; the old ones stay when the configuration is wrong",
    ),
    taking(DOCUMENT, TIME, route("POST", "/v1/sessions", OPERATE, &[], "Make temporary S3 credentials of a principal")),
    route(
        "GET",
        "/v1/subjects/{id}",
        READ_SUBJECTS,
        &["at", "known-at"],
        "What is known of a subject, or was at a time; its history",
    ),
    taking(DOCUMENT, TIME, route("PUT", "/v1/subjects/{id}", POLICY, &[], "Replace what is known of a subject")),
    route("DELETE", "/v1/subjects/{id}", POLICY, &["effective", "reason"], "Forget what is known of a subject; its records stay"),
    route(
        "POST",
        "/v1/subjects/{id}/erase",
        OPERATE,
        &[],
        "Erase a subject: its keys in every country, its records, what is known of it",
    ),
    route("POST", "/v1/subjects/{id}/rotate-key", OPERATE, &[], "Give a subject's keys a new generation in every country"),
    route("GET", "/v1/erasures", READ, &["before", "limit"], "Erasures, the newest first"),
    route("GET", "/v1/erasures/{id}", READ, &[], "Where an erasure stands"),
    streaming(route("POST", "/v1/subjects:import", POLICY, &SAYING, "Set many subjects, one JSON object a line")),
    route("GET", "/v1/relocations", READ, &[], "Moves of records that the policy in force wants elsewhere"),
    taking(
        DOCUMENT,
        TIME,
        route("POST", "/v1/relocations", OPERATE, &[], "Begin to move records that the policy in force wants elsewhere"),
    ),
    route("GET", "/v1/relocations/{id}", READ, &[], "How far a relocation has come"),
    route("DELETE", "/v1/relocations/{id}", OPERATE, &[], "Call a relocation off; what has moved stays where it is"),
    route("GET", "/v1/scrubs", SCRUB, &[], "Verifications of what lies at the sites"),
    taking(
        DOCUMENT,
        TIME,
        route(
            "POST",
            "/v1/scrubs",
            SCRUB,
            &[],
            "Begin to hold what lies at the sites against the index; only an operator may repair",
        ),
    ),
    route("GET", "/v1/scrubs/{id}", SCRUB, &[], "How far a verification has come and what it found"),
    route("DELETE", "/v1/scrubs/{id}", OPERATE, &[], "Call a verification off"),
    route("GET", "/v1/findings", READ, &[], "What verifications found to be wrong and is not put right"),
    route("GET", "/v1/imports", OPERATE, &[], "Imports of foreign buckets"),
    taking(
        MAP,
        LONG,
        route("POST", "/v1/imports", OPERATE, &[], "Begin to import, or to plan the import of, a foreign bucket's objects"),
    ),
    route("GET", "/v1/imports/{id}", OPERATE, &[], "How far an import has come"),
    route("DELETE", "/v1/imports/{id}", OPERATE, &[], "Call an import off; what has been imported stays"),
    route("GET", "/v1/ledger/checkpoint", READ, &[], "The ledger's head, signed: as a note, or as JSON where that is accepted"),
    route(
        "GET",
        "/v1/ledger/checkpoints",
        READ,
        &["before", "limit"],
        "Checkpoints that were kept, the newest first, with what witnesses and time-stamping authorities said of them",
    ),
    route(
        "GET",
        "/v1/ledger/proof",
        READ,
        &["entry", "size", "from", "to"],
        "That an entry is in the ledger, or that the ledger continues an earlier state",
    ),
    route(
        "GET",
        "/v1/ledger/tile/{*path}",
        READ,
        &[],
        "Tiles of the ledger's Merkle tree, and bundles of entries (C2SP tlog-tiles)",
    ),
    taking(
        NO_BODY,
        LONG,
        route("GET", "/v1/report", READ, &["since", "until"], "What happened in a period, from the ledger, and how things stand"),
    ),
    route("GET", "/v1/ledger/entries", READ, &ENTRIES, "Ledger entries by number, class, kind, time, key or subject"),
    route("GET", "/v1/index/export", OPERATE, &[], "The index as one sealed file, as it is at one moment"),
    route("GET", "/v1/sites", READ, &[], "The sites, their states and what was found at them"),
    route("POST", "/v1/sites/check", OPERATE, &[], "Look now at how every site is set up"),
    route("POST", "/v1/sites/{id}/init", OPERATE, &[], "Take a site into service now; make its marker where it was never in use"),
    route("GET", "/v1/keys", READ, &[], "The country keys and their versions"),
    route(
        "POST",
        "/v1/keys/{id}/rotate",
        OPERATE,
        &[],
        "Begin a new version of a country's key and wrap all subject keys with it",
    ),
    route("GET", "/v1/rotations", OPERATE, &[], "Renewals of country keys"),
    route("GET", "/v1/rotations/{id}", OPERATE, &[], "How far a renewal has come"),
    route("GET", "/healthz", Access::Public, &[], "Whether the process answers"),
    route("GET", "/readyz", Access::Public, &[], "Whether the gateway can do its work; part by part with a token"),
    route("GET", "/metrics", Access::Public, &[], "Metrics in Prometheus's text format"),
    route("GET", "/openapi.json", Access::Public, &[], "This API's OpenAPI document"),
];

const ENTRIES: [&str; 10] = ["from", "before", "limit", "class", "kind", "since", "until", "bucket", "key", "subject"];
const POPULATION: [&str; 9] = ["format", "bucket", "prefix", "subject", "country", "site", "instrument", "since", "until"];
const SAMPLE: [&str; 10] = ["seed", "n", "bucket", "prefix", "subject", "country", "site", "instrument", "since", "until"];
const SAYING: [&str; 3] = ["effective", "reason", "dry-run"];
const RECORDS: [&str; 10] = ["bucket", "prefix", "subject", "country", "site", "instrument", "since", "until", "limit", "cursor"];

impl Route {
    /// The route that a request matched.
    pub fn find(method: &str, path: &str) -> Option<&'static Self> {
        // A HEAD is a GET without its body.
        let method = if method == "HEAD" { "GET" } else { method };
        ROUTES.iter().find(|route| route.method == method && route.path == path)
    }

    /// Whether a bearer of this role may use it.
    pub fn admits(&self, role: Role) -> bool {
        match self.access {
            Access::Public => true,
            Access::Roles(roles) => roles.contains(&role),
        }
    }
}
