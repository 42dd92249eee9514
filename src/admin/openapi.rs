//! The OpenAPI 3.1 document, made from the table of routes.

mod auditing;
mod ledger;
mod policies;

use serde_json::{Map, Value, json};

use super::{Access, ROUTES, Route, sessions::MOST_SECONDS};

/// The whole document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = route.path.replace("{*", "{");
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(route.method.to_ascii_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Domicile admin and audit API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Where records live and why. Metadata only, never content. Queries for metadata are recorded in the ledger.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas(),
            "responses": { "Problem": {
                "description": "RFC 9457 problem document",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let (security, note) = match route.access {
        Access::Public => (json!([]), "No token needed.".to_owned()),
        Access::Roles(roles) => {
            let roles = roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
            (json!([{ "token": [] }]), format!("Roles: {roles}."))
        }
    };
    let mut operation = json!({
        "summary": route.summary,
        "description": note,
        "security": security,
        "parameters": parameters(route),
        "responses": responses(route),
    });
    if let (Some(body), Some(fields)) = (request_body(route), operation.as_object_mut()) {
        fields.insert("requestBody".to_owned(), body);
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).map(
        |name| json!({ "name": name.trim_start_matches('*'), "in": "path", "required": true, "schema": { "type": "string" } }),
    );
    let in_query = route.parameters.iter().map(|name| {
        let required = match route.path {
            "/v1/record" | "/v1/record/history" | "/v1/proof" => matches!(*name, "bucket" | "key"),
            "/v1/sample" => matches!(*name, "seed" | "n"),
            _ => false,
        };
        let schema = match *name {
            "n" => json!({ "type": "integer", "minimum": 1, "maximum": 1000 }),
            "format" => json!({ "enum": ["ndjson", "csv", "parquet"], "default": "ndjson" }),
            "limit" => json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
            "from" => json!({ "type": "integer", "minimum": 0, "default": 0 }),
            "since" | "until" => json!({ "type": "string", "format": "date-time" }),
            "dry-run" => json!({ "type": "boolean", "default": false }),
            _ => json!({ "type": "string" }),
        };
        json!({ "name": name, "in": "query", "required": required, "schema": schema })
    });
    in_path.chain(in_query).collect()
}

fn request_body(route: &Route) -> Option<Value> {
    let (kind, schema) = match (route.method, route.path) {
        ("POST", "/v1/explain") => ("application/json", "Explain"),
        ("POST", "/v1/policies/plan") => ("application/json", "PlanBody"),
        ("POST", "/v1/policies/diff") => ("application/json", "PolicyDiffBody"),
        ("POST", "/v1/policies/rollback") => ("application/json", "RollbackBody"),
        ("POST", "/v1/policies/proposals/{id}/approve" | "/v1/policies/proposals/{id}/reject") => {
            ("application/json", "CommentBody")
        }
        ("POST", "/v1/relocations") => ("application/json", "RelocationBody"),
        ("POST", "/v1/scrubs") => ("application/json", "ScrubBody"),
        ("POST", "/v1/imports") => ("application/x-ndjson", "ImportOrder"),
        ("POST", "/v1/subjects/{id}/erase") => ("application/json", "EraseBody"),
        ("POST", "/v1/keys/{id}/rotate") => ("application/json", "RotationBody"),
        ("POST", "/v1/sessions") => ("application/json", "SessionBody"),
        ("PUT", "/v1/subjects/{id}") => ("application/json", "SubjectBody"),
        ("POST", "/v1/subjects:import") => ("application/x-ndjson", "ImportLine"),
        _ => return None,
    };
    Some(json!({
        "required": !matches!(schema, "PlanBody" | "PolicyDiffBody" | "CommentBody" | "RelocationBody" | "ScrubBody" | "EraseBody" | "RotationBody"),
        "content": { kind: { "schema": { "$ref": format!("#/components/schemas/{schema}") } } },
    }))
}

fn responses(route: &Route) -> Value {
    let problem = json!({ "$ref": "#/components/responses/Problem" });
    let kind = match route.path {
        "/metrics" | "/healthz" => "text/plain",
        "/v1/ledger/entries" => "application/x-ndjson",
        "/v1/population" => "application/x-ndjson",
        "/v1/index/export" | "/v1/ledger/tile/{*path}" => "application/octet-stream",
        _ => "application/json",
    };
    let schema = match (route.method, route.path) {
        (_, "/v1/records") => json!({ "$ref": "#/components/schemas/RecordsPage" }),
        (_, "/v1/record") => json!({ "$ref": "#/components/schemas/Versions" }),
        (_, "/v1/sample") => json!({ "$ref": "#/components/schemas/Sample" }),
        (_, "/v1/record/history") => json!({ "$ref": "#/components/schemas/History" }),
        (_, "/v1/proof") => json!({ "$ref": "#/components/schemas/Proof" }),
        (_, "/v1/summary") => json!({ "$ref": "#/components/schemas/Summary" }),
        (_, "/v1/policies/history") => json!({ "$ref": "#/components/schemas/PolicyHistory" }),
        (_, "/v1/policies/revisions/{id}") => json!({ "$ref": "#/components/schemas/PolicyRevision" }),
        (_, "/v1/policies/diff") => json!({ "$ref": "#/components/schemas/PolicyDiff" }),
        (_, path) if path.starts_with("/v1/policies") && path != "/v1/policies/plan" => {
            json!({ "$ref": "#/components/schemas/Policies" })
        }
        ("POST", "/v1/relocations") | (_, "/v1/relocations/{id}") => json!({ "$ref": "#/components/schemas/Relocation" }),
        ("POST", "/v1/scrubs") | (_, "/v1/scrubs/{id}") => json!({ "$ref": "#/components/schemas/Scrub" }),
        ("POST", "/v1/imports") | (_, "/v1/imports/{id}") => json!({ "$ref": "#/components/schemas/Import" }),
        (_, "/v1/policies/plan") => json!({ "$ref": "#/components/schemas/Plan" }),
        (_, "/v1/findings") => json!({ "$ref": "#/components/schemas/Findings" }),
        (_, "/v1/subjects/{id}/erase" | "/v1/erasures/{id}") => json!({ "$ref": "#/components/schemas/Erasure" }),
        (_, "/v1/erasures") => json!({ "$ref": "#/components/schemas/Erasures" }),
        (_, "/v1/keys/{id}/rotate" | "/v1/rotations/{id}") => json!({ "$ref": "#/components/schemas/Rotation" }),
        (_, "/v1/subjects/{id}/rotate-key") => json!({ "$ref": "#/components/schemas/SubjectKeys" }),
        (_, "/v1/subjects/{id}") => json!({ "$ref": "#/components/schemas/Subject" }),
        (_, "/v1/subjects:import") => json!({ "$ref": "#/components/schemas/Imported" }),
        (_, "/v1/sessions") => json!({ "$ref": "#/components/schemas/Session" }),
        (_, "/v1/sites" | "/v1/sites/check") => json!({ "$ref": "#/components/schemas/Sites" }),
        (_, "/v1/sites/{id}/init") => json!({ "$ref": "#/components/schemas/SiteInit" }),
        (_, "/v1/ledger/checkpoint") => json!({ "$ref": "#/components/schemas/LedgerHead" }),
        (_, "/v1/report") => json!({ "$ref": "#/components/schemas/Report" }),
        (_, "/readyz") => json!({ "$ref": "#/components/schemas/Readiness" }),
        (_, "/v1/ledger/checkpoints") => json!({ "$ref": "#/components/schemas/Checkpoints" }),
        (_, "/v1/ledger/proof") => json!({ "$ref": "#/components/schemas/LedgerProof" }),
        (_, "/v1/index/export" | "/v1/ledger/tile/{*path}") => json!({ "type": "string", "format": "binary" }),
        (_, "/metrics" | "/healthz" | "/v1/ledger/entries" | "/v1/population") => json!({ "type": "string" }),
        _ => json!({ "type": "object" }),
    };
    let content = json!({ "description": route.summary, "content": { kind: { "schema": schema } } });
    match (route.method, route.path) {
        (_, "/v1/ledger/checkpoint") => json!({ "200": { "description": route.summary, "content": {
            "text/plain": { "schema": { "type": "string" } },
            "application/json": content["content"]["application/json"],
        } }, "default": problem }),
        (_, "/v1/subjects:import") => json!({ "200": content, "default": {
            "description": "Stopped by a failure; with `line`, `imported`, `failed` and `errors` when it had begun",
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        } }),
        ("DELETE", "/v1/subjects/{id}") => json!({ "204": { "description": "Forgotten" }, "default": problem }),
        (_, "/readyz") => json!({ "200": content, "503": content }),
        _ => json!({ "200": content, "default": problem }),
    }
}

fn schemas() -> Value {
    let string = json!({ "type": "string" });
    let strings = json!({ "type": "array", "items": { "type": "string" } });
    let finding = object(&[("class", &string), ("site", &string), ("country", &string), ("name", &string), ("detail", &string)]);
    let number = json!({ "type": "integer" });
    let maybe = json!({ "type": ["string", "null"] });
    let words = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let records = json!({ "type": "array", "items": { "$ref": "#/components/schemas/Record" } });
    let copy = object(&[("site", &string), ("country", &string), ("key", &string), ("key_country", &maybe), ("role", &string)]);
    let component = object(&[("name", &string), ("up", &json!({ "type": "boolean" })), ("detail", &string)]);
    let check = object(&[("check", &string), ("state", &string), ("detail", &string)]);
    let site = object(&[
        ("id", &string),
        ("country", &string),
        ("key", &string),
        ("up", &json!({ "type": "boolean" })),
        ("takes_records", &json!({ "type": "boolean" })),
        ("detail", &string),
        ("checks", &json!({ "type": "array", "items": check })),
    ]);
    let tally = object(&[("objects", &number), ("bytes", &number)]);
    let way = object(&[
        ("from", &strings),
        ("to", &strings),
        ("instruments", &strings),
        ("deadline", &json!({ "type": ["string", "null"] })),
        ("overdue", &json!({ "type": "boolean" })),
        ("records", &tally),
    ]);
    let without_place = object(&[("bucket", &string), ("key", &string), ("version", &string), ("reason", &string)]);
    // Its key is not for every role.
    let refused = json!({
        "type": "object", "required": ["bucket", "version", "reason"],
        "properties": { "bucket": string, "key": string, "version": string, "reason": string },
    });
    let placed = object(&[("countries", &strings), ("records", &tally)]);
    let left = object(&[("key", &string), ("why", &string), ("reason", &string)]);
    let exception = object(&[("instrument", &string), ("basis", &string), ("reference", &string), ("countries", &strings)]);
    let bad_line = object(&[("line", &number), ("message", &string)]);
    let mut schemas = json!({
        "Problem": object(&[("type", &string), ("title", &string), ("status", &number), ("detail", &string)]),
        "Record": object(&[
            ("bucket", &string), ("key", &string), ("version", &string), ("record", &string), ("size", &number), ("etag", &string),
            ("modified", &string), ("owner", &string), ("customer_key", &json!({ "type": "boolean" })), ("subject", &json!({ "type": ["string", "null"] })), ("attributes", &words),
            ("countries", &strings), ("copies", &json!({ "type": "array", "items": copy })), ("instruments", &strings),
            ("shadow", &strings), ("revision", &string), ("decided", &string),
            ("decided_by", &object(&[("source", &string), ("signals", &json!({ "type": "object" }))])),
            ("exceptions", &json!({ "type": "array", "items": exception })),
        ]),
        "RecordsPage": {
            "type": "object", "required": ["records"],
            "properties": { "records": records, "cursor": { "type": "string" } },
        },
        "Versions": object(&[("bucket", &string), ("key", &string), ("versions", &records)]),
        "Explain": {
            "type": "object", "required": ["bucket", "key"], "additionalProperties": false,
            "properties": { "bucket": string, "key": string, "principal": string, "metadata": words, "tags": words },
        },
        "PlanBody": { "type": "object", "additionalProperties": false, "properties": { "policies": words } },
        "Plan": object(&[
            ("revision", &string), ("records", &tally), ("moving", &tally), ("moves", &json!({ "type": "array", "items": way })),
            ("refused", &tally), ("refusals", &json!({ "type": "array", "items": refused })),
        ]),
        "RelocationBody": {
            "type": "object", "additionalProperties": false,
            "properties": {
                "bucket": string, "prefix": string, "subject": string, "dry_run": { "type": "boolean" },
                "bytes_per_second": { "type": "integer", "minimum": 1 }, "requests_per_second": { "type": "integer", "minimum": 1 },
            },
        },
        "Relocation": object(&[
            ("id", &number), ("state", &string), ("dry_run", &json!({ "type": "boolean" })), ("ordered", &string),
            ("progress", &object(&[
                ("records", &tally), ("moved", &tally), ("overtaken", &number), ("failed", &number),
                ("ways", &json!({ "type": "array", "items": object(&[("from", &strings), ("to", &strings), ("instruments", &strings), ("records", &tally)]) })),
                ("failures", &json!({ "type": "array", "items": without_place })),
            ])),
        ]),
        "ScrubBody": {
            "type": "object", "additionalProperties": false,
            "properties": {
                "bucket": string, "prefix": string, "subject": string, "deep": { "type": "boolean" }, "repair": { "type": "boolean" },
                "sample": object(&[("seed", &number), ("one_in", &number)]),
                "bytes_per_second": { "type": "integer", "minimum": 1 }, "requests_per_second": { "type": "integer", "minimum": 1 },
            },
        },
        "Scrub": object(&[
            ("id", &number), ("state", &string), ("deep", &json!({ "type": "boolean" })), ("repair", &json!({ "type": "boolean" })),
            ("ordered", &string),
            ("progress", &object(&[
                ("phase", &string), ("records", &tally), ("blobs", &number), ("names", &number), ("repaired", &number),
                ("unchecked", &number), ("findings", &json!({ "type": "object", "additionalProperties": number })),
                ("listed", &json!({ "type": "array", "items": finding })), ("reasons", &strings),
            ])),
        ]),
        "Findings": object(&[("findings", &json!({ "type": "array", "items": finding }))]),
        "ImportOrder": {
            "description": "The order; behind it may follow rows of a map: {\"key\", \"subject\", \"attributes\"}",
            "type": "object", "required": ["source", "bucket", "to"], "additionalProperties": false,
            "properties": {
                "source": string, "bucket": string, "prefix": string, "to": string, "to_prefix": string, "principal": string,
                "subject_template": string, "delete_source": { "type": "boolean" }, "overwrite": { "type": "boolean" },
                "dry_run": { "type": "boolean" },
                "bytes_per_second": { "type": "integer", "minimum": 1 }, "requests_per_second": { "type": "integer", "minimum": 1 },
            },
        },
        "Import": object(&[
            ("id", &number), ("state", &string), ("dry_run", &json!({ "type": "boolean" })), ("ordered", &string),
            ("progress", &object(&[
                ("objects", &tally), ("imported", &tally), ("present", &tally), ("refused", &tally), ("conflicts", &tally),
                ("failed", &tally), ("deleted", &tally), ("kept", &tally),
                ("countries", &json!({ "type": "array", "items": placed })), ("left", &json!({ "type": "array", "items": left })),
                ("stopped", &json!({ "type": ["string", "null"] })),
            ])),
        ]),
        "EraseBody": {
            "type": "object", "additionalProperties": false, "properties": { "now": { "type": "boolean", "default": false } },
        },
        "Erasure": {
            "type": "object", "required": ["id", "state", "accepted"],
            "properties": {
                "id": number, "state": { "enum": ["pending", "complete"] }, "step": { "enum": ["sweep", "keys"] },
                "accepted": string, "completed": string,
            },
        },
        "Erasures": object(&[("erasures", &json!({ "type": "array", "items": { "$ref": "#/components/schemas/Erasure" } }))]),
        "RotationBody": {
            "type": "object", "additionalProperties": false, "properties": {
                "destroy_old": { "type": "boolean", "default": false }, "subject_keys": { "type": "boolean", "default": false },
            },
        },
        "SubjectKeys": object(&[("keys", &json!({ "type": "array", "items": object(&[("key", &string), ("generation", &number)]) }))]),
        "Rotation": object(&[
            ("id", &number), ("state", &string), ("key", &string), ("destroy_old", &json!({ "type": "boolean" })),
            ("subject_keys", &json!({ "type": "boolean" })), ("ordered", &string),
            ("progress", &object(&[
                ("version", &json!({ "type": ["integer", "null"] })), ("new", &json!({ "type": "boolean" })), ("rewrapped", &number),
                ("failed", &number), ("destroyed", &json!({ "type": "array", "items": number })),
                ("destroying", &json!({ "type": "array", "items": number })),
            ])),
        ]),
        "SessionBody": {
            "type": "object", "required": ["principal", "seconds"], "additionalProperties": false,
            "properties": {
                "principal": string, "buckets": strings, "prefixes": strings, "allow": strings,
                "seconds": { "type": "integer", "minimum": 1, "maximum": MOST_SECONDS },
            },
        },
        "Session": object(&[
            ("access_key_id", &string), ("secret_access_key", &string), ("session_token", &string), ("expires", &string),
        ]),
        "SubjectBody": saying(&[("attributes", &words)]),
        "ImportLine": saying(&[("id", &string), ("attributes", &words)]),
        "Imported": object(&[
            ("imported", &number), ("unchanged", &number), ("failed", &number),
            ("errors", &json!({ "type": "array", "items": bad_line })), ("dry_run", &json!({ "type": "boolean" })), ("unasked", &strings),
        ]),
        "Subject": object(&[
            ("id", &string), ("attributes", &words), ("generation", &number), ("updated", &string), ("known", &json!({ "type": "boolean" })),
            ("history", &json!({ "type": "array", "items": { "$ref": "#/components/schemas/Statement" } })),
        ]),
        "Statement": object(&[
            ("attributes", &json!({ "type": ["object", "null"], "additionalProperties": string })), ("effective", &string),
            ("recorded", &string), ("by", &maybe), ("reason", &maybe), ("generation", &number),
            ("state", &json!({ "type": "string", "enum": ["holds", "coming", "past"] })),
        ]),
        "Sites": object(&[("sites", &json!({ "type": "array", "items": site }))]),
        "SiteInit": object(&[("site", &string), ("created", &json!({ "type": "boolean" })), ("epoch", &number)]),
        "Report": object(&[
            ("since", &string), ("until", &string), ("made", &string), ("revision", &string),
            ("population", &json!({ "$ref": "#/components/schemas/Summary" })),
            ("standing", &json!({ "type": "object", "additionalProperties": { "type": "integer" } })),
            ("period", &json!({ "type": "object" })), ("ledger", &json!({ "$ref": "#/components/schemas/LedgerHead" })),
            ("checkpoints", &json!({ "$ref": "#/components/schemas/CheckpointsOfPeriod" })),
        ]),
        "Proof": object(&[("format", &string), ("note", &string)]),
        "Readiness": {
            "type": "object", "required": ["ready"],
            "properties": { "ready": { "type": "boolean" }, "components": { "type": "array", "items": component } },
        },
    });
    for more in [policies::schemas(), ledger::schemas(), auditing::schemas()] {
        if let (Some(all), Value::Object(more)) = (schemas.as_object_mut(), more) {
            all.extend(more);
        }
    }
    schemas
}

/// The same, with the day from which it holds and the reason, where these are said.
fn saying(properties: &[(&str, &Value)]) -> Value {
    let mut schema = object(properties);
    for name in ["effective", "reason"] {
        schema["properties"][name] = json!({ "type": "string" });
    }
    schema
}

/// An object with all of these properties.
fn object(properties: &[(&str, &Value)]) -> Value {
    let names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), (*schema).clone())).collect();
    json!({ "type": "object", "required": names, "properties": properties })
}
