//! Imports of foreign buckets: ordered, watched and called off.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, Query, router::Api};
use crate::authn::TokenIdentity;
use crate::import::{Job, MapRow, SubjectMap};
use crate::objects::Pace;
use crate::policy::KeyTemplate;
use crate::types::{BucketName, ObjectKey, PrincipalId, RequestId, SourceId};

/// What an operator orders.
#[derive(Debug, Clone)]
pub struct ImportOrder {
    /// The source, as the configuration names it.
    pub source: SourceId,
    /// The bucket there.
    pub bucket: String,
    /// Only keys that begin so.
    pub prefix: String,
    /// The bucket to write to.
    pub to: BucketName,
    /// What keys begin with instead of `prefix`.
    pub to_prefix: Option<String>,
    /// In whose name; the gateway's only principal when absent.
    pub principal: Option<PrincipalId>,
    /// Where keys at the source name the subject.
    pub template: Option<KeyTemplate>,
    /// Whether objects are removed at the source once their records have been read back.
    pub delete_source: bool,
    /// Whether other objects that are at a key already are replaced.
    pub overwrite: bool,
    /// Whether it only plans.
    pub dry_run: bool,
    /// How fast it may go.
    pub pace: Pace,
}

/// The first JSON value of the body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    source: SourceId,
    bucket: String,
    #[serde(default)]
    prefix: String,
    to: BucketName,
    to_prefix: Option<String>,
    principal: Option<PrincipalId>,
    subject_template: Option<String>,
    #[serde(default)]
    delete_source: bool,
    #[serde(default)]
    overwrite: bool,
    #[serde(default)]
    dry_run: bool,
    bytes_per_second: Option<u64>,
    requests_per_second: Option<u64>,
}

impl OrderBody {
    fn checked(self) -> Result<ImportOrder, Problem> {
        if self.bytes_per_second == Some(0) || self.requests_per_second == Some(0) {
            return Err(Problem::invalid("a rate must be 1 or more"));
        }
        if self.bucket.is_empty() || self.bucket.contains('/') {
            return Err(Problem::invalid("`bucket` must be the name of a bucket at the source"));
        }
        for prefix in self.to_prefix.iter().chain([&self.prefix]).filter(|prefix| !prefix.is_empty()) {
            ObjectKey::new(prefix).map_err(|error| Problem::invalid(format!("a prefix: {error}")))?;
        }
        let template = self.subject_template.map(|text| text.parse()).transpose();
        let template = template.map_err(|error| Problem::invalid(format!("`subject_template`: {error}")))?;
        Ok(ImportOrder {
            source: self.source,
            bucket: self.bucket,
            prefix: self.prefix,
            to: self.to,
            to_prefix: self.to_prefix,
            principal: self.principal,
            template,
            delete_source: self.delete_source,
            overwrite: self.overwrite,
            dry_run: self.dry_run,
            pace: Pace { bytes_per_second: self.bytes_per_second, requests_per_second: self.requests_per_second },
        })
    }
}

/// The order, and behind it the rows of the map if there is one: one JSON value after the other.
pub(super) async fn order(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    body: Bytes,
) -> Result<Json<Job>, Problem> {
    // A map is as large as the route allows: nobody else is to wait for it.
    let parsed = tokio::task::spawn_blocking(move || parsed(&body)).await;
    let (order, map) = parsed.map_err(|_| Problem::invalid("the body cannot be read"))??;
    Ok(Json(api.gateway.order_import(&request, &who, order, map).await?))
}

fn parsed(body: &[u8]) -> Result<(ImportOrder, SubjectMap), Problem> {
    // What serde_json says may quote a value; where it is, is enough.
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<OrderBody>();
    let wrong = "the body begins with a JSON object with `source`, `bucket` and `to`, and any of `prefix`, `to_prefix`, `principal`, \
                 `subject_template`, `delete_source`, `overwrite`, `dry_run`, `bytes_per_second`, `requests_per_second`";
    let order = values.next().and_then(Result::ok).ok_or_else(|| Problem::invalid(wrong))?.checked()?;
    let rest = body.get(values.byte_offset()..).unwrap_or_default();
    let mut map = SubjectMap::default();
    for (number, row) in (1u64..).zip(serde_json::Deserializer::from_slice(rest).into_iter::<MapRow>()) {
        let at = |message: &dyn std::fmt::Display| Problem::invalid(format!("row {number} of the map: {message}"));
        let row = row.map_err(|_| at(&"needs `key`, and `subject`, `attributes` (strings) or both, nothing else"))?;
        if row.subject.is_none() && row.attributes.is_empty() {
            return Err(at(&"says nothing of its key"));
        }
        map.add(row).map_err(|error| at(&error))?;
    }
    Ok((order, map))
}

pub(super) async fn list(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Result<Json<Value>, Problem> {
    api.gateway.record_query(&request, &who, Query::Imports).await?;
    Ok(Json(json!({ "imports": api.gateway.imports() })))
}

pub(super) async fn get(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    api.gateway.record_query(&request, &who, Query::Import).await?;
    let job = id.parse().ok().and_then(|id| api.gateway.import(id));
    job.map(Json).ok_or_else(no_such)
}

pub(super) async fn cancel(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    let id = id.parse().map_err(|_| no_such())?;
    api.gateway.cancel_import(&request, &who, id).await?.map(Json).ok_or_else(no_such)
}

fn no_such() -> Problem {
    Problem::not_found("there is no such import in this run of the gateway")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        format!("{:?}", parsed(body.as_bytes()).unwrap_err())
    }

    const ORDER: &str = r#"{"source": "old", "bucket": "media", "to": "new-media"}"#;

    #[test]
    fn an_order_may_be_followed_by_a_map() {
        let (order, map) = parsed(ORDER.as_bytes()).unwrap();
        assert_eq!((order.source.as_str(), order.bucket.as_str(), order.to.as_str()), ("old", "media", "new-media"));
        assert!(map.is_empty() && !order.dry_run && !order.delete_source && !order.overwrite);
        let rows = "\n{\"key\": \"a\", \"subject\": \"ali\"}\n{\"key\": \"b\", \"attributes\": {\"residence\": \"PK\"}}\n";
        let (_, map) = parsed(format!("{ORDER}{rows}{rows}").as_bytes()).unwrap();
        assert_eq!((map.len(), map.attributes().into_iter().collect::<Vec<_>>()), (2, vec!["residence"]));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_repeating_it() {
        for wrong in [
            "",
            "{}",
            r#"{"source": "old", "bucket": "media"}"#,
            r#"{"source": "old", "bucket": "a/b", "to": "new-media"}"#,
            r#"{"source": "old", "bucket": "media", "to": "new-media", "secret": "hush"}"#,
            r#"{"source": "old", "bucket": "media", "to": "new-media", "subject_template": "**"}"#,
            r#"{"source": "old", "bucket": "media", "to": "new-media", "bytes_per_second": 0}"#,
        ] {
            assert!(!refused(wrong).contains("hush"), "{wrong}");
        }
        let rows = [r#"{"key": "a"}"#, r#"{"key": "a", "subject": 7}"#, r#"{"key": "a", "subject": "ali", "x": "hush"}"#];
        for row in rows {
            let refused = refused(&format!("{ORDER}\n{{\"key\": \"z\", \"subject\": \"ali\"}}\n{row}"));
            assert!(refused.contains("row 2") && !refused.contains("hush"), "{refused}");
        }
        let twice =
            refused(&format!("{ORDER}\n{{\"key\": \"a\", \"subject\": \"ali\"}}\n{{\"key\": \"a\", \"subject\": \"amna\"}}"));
        assert!(twice.contains("row 2") && !twice.contains("amna"), "{twice}");
    }
}
