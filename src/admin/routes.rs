//! Every route of the API and who may use it. Router, access check and OpenAPI document are made from this one table.

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
    /// Whether it answers anything but 501.
    pub built: bool,
}

const READ: Access = Access::Roles(&[Role::Auditor, Role::Operator, Role::Legal]);
const READ_SUBJECTS: Access = Access::Roles(&[Role::Auditor, Role::PolicyAdmin, Role::Operator, Role::Legal]);
const POLICY: Access = Access::Roles(&[Role::PolicyAdmin, Role::Operator]);
const OPERATE: Access = Access::Roles(&[Role::Operator]);

const fn built(
    method: &'static str,
    path: &'static str,
    access: Access,
    parameters: &'static [&'static str],
    summary: &'static str,
) -> Route {
    Route { method, path, access, summary, parameters, built: true }
}

const fn later(method: &'static str, path: &'static str, access: Access, summary: &'static str) -> Route {
    Route { method, path, access, summary, parameters: &[], built: false }
}

/// All of them.
pub const ROUTES: &[Route] = &[
    built("GET", "/v1/records", READ, &RECORDS, "Records by bucket, subject, country, site, instrument or time"),
    built("GET", "/v1/record", READ, &["bucket", "key", "version"], "Every version of one key: copies, decision, keys, times"),
    later("GET", "/v1/proof", READ, "An offline-verifiable proof of residency"),
    built("GET", "/v1/summary", READ, &[], "Objects and bytes by country, site, bucket and instrument"),
    built("POST", "/v1/explain", POLICY, &[], "What would be decided for a write, and why"),
    built("GET", "/v1/policies", READ_SUBJECTS, &[], "The policies in force"),
    later("POST", "/v1/policies/plan", POLICY, "Which records a changed policy would move"),
    built("POST", "/v1/policies/reload", POLICY, &[], "Read the policies again; the old ones stay when the new ones are wrong"),
    built(
        "POST",
        "/v1/config/reload",
        OPERATE,
        &[],
        "Read principals and tokens again; the old ones stay when the configuration is wrong",
    ),
    built("GET", "/v1/subjects/{id}", READ_SUBJECTS, &[], "What is known of a subject"),
    built("PUT", "/v1/subjects/{id}", POLICY, &[], "Replace what is known of a subject"),
    built("DELETE", "/v1/subjects/{id}", POLICY, &[], "Forget what is known of a subject; its records stay"),
    later("POST", "/v1/subjects/{id}/erase", OPERATE, "Destroy a subject's keys in every country"),
    built("POST", "/v1/subjects:import", POLICY, &[], "Set many subjects, one JSON object a line"),
    later("GET", "/v1/relocations", OPERATE, "Moves of records that the policy in force wants elsewhere"),
    later("POST", "/v1/relocations", OPERATE, "Begin to move records that the policy in force wants elsewhere"),
    later("GET", "/v1/scrubs", OPERATE, "Verifications of stored blobs"),
    later("POST", "/v1/scrubs", OPERATE, "Begin to verify stored blobs"),
    built("GET", "/v1/ledger/checkpoint", READ, &[], "The ledger's head: size and root"),
    later("GET", "/v1/ledger/tile/{*path}", READ, "Tiles of the ledger's Merkle tree"),
    built("GET", "/v1/ledger/entries", READ, &["from", "limit"], "Ledger entries, one JSON object a line"),
    built("GET", "/v1/sites", READ, &[], "The sites and their states"),
    built("GET", "/v1/keys", READ, &[], "The country keys and their versions"),
    built("GET", "/healthz", Access::Public, &[], "Whether the process answers"),
    built("GET", "/readyz", Access::Public, &[], "Whether the gateway can do its work, part by part"),
    built("GET", "/metrics", Access::Public, &[], "Metrics in Prometheus's text format"),
    built("GET", "/openapi.json", Access::Public, &[], "This API's OpenAPI document"),
];

const RECORDS: [&str; 10] = ["bucket", "prefix", "subject", "country", "site", "instrument", "since", "until", "limit", "cursor"];

impl Route {
    /// The route that a request matched.
    pub fn find(method: &str, path: &str) -> Option<&'static Self> {
        // A HEAD is a GET without its body.
        let method = if method == "HEAD" { "GET" } else { method };
        ROUTES.iter().find(|route| route.method == method && route.path == path)
    }
}
