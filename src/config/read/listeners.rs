//! `[s3]` and `[admin]`.

use std::net::SocketAddr;

use super::{Reader, at_least_one, endpoint, owned, positive, section, span};
use crate::access::ObjectOwnership;
use crate::admin::{Quotas, login::LoginSettings};
use crate::authn::{Quota, UnsignedPayload};
use crate::bucket::BucketSettings;
use crate::config::{Admin, S3, Tls};
use crate::diagnostics::{Item, Table};

impl Reader<'_> {
    pub(super) fn s3(&self, table: &Table<'_>) -> S3 {
        S3 {
            listen: listen(table).unwrap_or(S3::DEFAULT_LISTEN),
            region: table.str("region").unwrap_or(S3::DEFAULT_REGION).to_owned(),
            base_domains: owned(table.string_list("base-domains")),
            external_hosts: owned(table.string_list("external-hosts")),
            external_url: table.optional("external-url").and_then(endpoint),
            unsigned_payload: table
                .optional("unsigned-payload")
                .and_then(|item| item.one_of(&[("allow", UnsignedPayload::Allow), ("tls-only", UnsignedPayload::TlsOnly)]))
                .unwrap_or_default(),
            post_signature_v2: table.bool("post-signature-v2").unwrap_or(false),
            customer_keys_over_http: table.bool("customer-keys-over-http").unwrap_or_default(),
            anonymous_residence: table.bool("anonymous-residence").unwrap_or_default(),
            new_buckets: new_buckets(table),
            tls: self.tls(table),
        }
    }

    pub(super) fn admin(&self, table: &Table<'_>) -> Admin {
        let default = LoginSettings::default();
        let external = table
            .optional("external-url")
            .and_then(|item| item.parsed_as("`https://host` or `http://host`, with a port if need be"));
        let sessions = section(table, "sessions", |table| LoginSettings {
            idle: span(table, "idle").unwrap_or(default.idle),
            lifetime: span(table, "lifetime").unwrap_or(default.lifetime),
            sessions: table.optional("most").and_then(at_least_one).unwrap_or(default.sessions),
            ..default.clone()
        });
        let login = LoginSettings { external, ..sessions.unwrap_or(default) };
        let quota = Quota {
            requests_per_second: positive(table, "requests-per-second").or(Quotas::DEFAULT.requests_per_second),
            concurrent_requests: positive(table, "concurrent-requests").or(Quotas::DEFAULT.concurrent_requests),
        };
        Admin { listen: listen(table).unwrap_or(Admin::DEFAULT_LISTEN), tls: self.tls(table), login, quota }
    }

    fn tls(&self, parent: &Table<'_>) -> Option<Tls> {
        section(parent, "tls", |table| {
            let cert = self.required_path(table, "cert");
            let key = self.required_path(table, "key");
            let client_ca = table.str("client-ca").map(|path| self.folder.join(path));
            Some(Tls { cert: cert?, key: key?, client_ca })
        })
        .flatten()
    }
}

/// `default-object-ownership` and `default-public-access-block`.
fn new_buckets(table: &Table<'_>) -> BucketSettings {
    let ownerships = [ObjectOwnership::BucketOwnerEnforced, ObjectOwnership::BucketOwnerPreferred, ObjectOwnership::ObjectWriter];
    let ownership = table
        .optional("default-object-ownership")
        .and_then(|item| item.one_of(&ownerships.map(|ownership| (ownership.as_str(), ownership))))
        .unwrap_or_default();
    let blocked = table.optional("default-public-access-block").and_then(Item::bool).unwrap_or(true);
    let closed = BucketSettings::closed();
    BucketSettings { ownership: Some(ownership), public_access: closed.public_access.filter(|_| blocked), ..closed }
}

fn listen(table: &Table<'_>) -> Option<SocketAddr> {
    table.optional("listen")?.parsed_as("an IP address and a port, such as \"127.0.0.1:9000\", \"0.0.0.0:9000\" or \"[::]:9000\"")
}
