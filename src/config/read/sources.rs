//! `[[source]]`, and what it shares with a site at an S3 service.

use std::time::Duration;

use super::{Reader, at_least_one, endpoint, parsed, span};
use crate::config::{Addressing, S3Service, Source};
use crate::diagnostics::{Item, Table};

impl Reader<'_> {
    pub(super) fn source(&self, table: &Table<'_>) -> Option<Source> {
        let id = parsed(table, "id");
        let buckets = table.parsed_list("buckets").unwrap_or_default();
        let opaque_etags = table.optional("etags").and_then(|item| item.one_of(&[("md5", false), ("opaque", true)]));
        let concurrency = table.optional("concurrency").and_then(at_least_one).unwrap_or(Source::DEFAULT_CONCURRENCY);
        let service = self.s3_service(table);
        Some(Source { id: id?, buckets, opaque_etags: opaque_etags.unwrap_or(false), concurrency, service: service? })
    }

    /// How to reach an S3 service.
    pub(super) fn s3_service(&self, table: &Table<'_>) -> Option<S3Service> {
        let endpoint = table.required("endpoint").and_then(endpoint);
        let region = table.required("region").and_then(Item::str);
        let addressing = table
            .optional("addressing")
            .and_then(|item| item.one_of(&[("path", Addressing::Path), ("virtual", Addressing::Virtual)]));
        let ca = table.optional("ca").map(|item| self.text_file(item));
        let credentials = self.credentials(table);
        let attempt_timeout = span(table, "attempt-timeout").unwrap_or(Duration::from_secs(30));
        let stall_timeout = span(table, "stall-timeout").unwrap_or(Duration::from_secs(15));
        Some(S3Service {
            endpoint: endpoint?,
            region: region?.to_owned(),
            addressing: addressing.unwrap_or(Addressing::Path),
            ca: ca.map_or(Some(None), |pem| pem.map(Some))?,
            credentials: credentials?,
            attempt_timeout,
            stall_timeout,
        })
    }
}
