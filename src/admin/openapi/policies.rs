//! What the policy routes take and answer.

use serde_json::{Value, json};

use super::object;

/// The schemas, by name.
pub(super) fn schemas() -> Value {
    let string = json!({ "type": "string" });
    let strings = json!({ "type": "array", "items": { "type": "string" } });
    let number = json!({ "type": "integer" });
    let boolean = json!({ "type": "boolean" });
    let words = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let any = json!({ "type": "object" });
    let said = object(&[("at", &string), ("by", &json!({}))]);
    let change = object(&[("records", &string), ("example", &any), ("before", &any), ("after", &any), ("allows_more", &boolean)]);
    json!({
        "Policies": object(&[
            ("revision", &string), ("source", &string), ("warnings", &json!({ "type": "array", "items": { "type": "object" } })),
            ("approval", &json!({ "enum": ["never", "loosening", "always"] })),
            ("folder", &object(&[("revision", &string), ("in_force", &boolean), ("put_aside", &boolean)])),
        ]),
        "PolicyHistory": object(&[("entries", &json!({ "type": "array", "items": { "$ref": "#/components/schemas/PolicyEntry" } }))]),
        "PolicyEntry": object(&[
            ("number", &number), ("revision", &string),
            ("state", &json!({ "enum": ["proposed", "in-force", "superseded", "rejected", "rolled-back"] })),
            ("asked", &said), ("rollback", &boolean),
        ]),
        "PolicyRevision": object(&[("revision", &string), ("files", &words)]),
        "PolicyDiffBody": {
            "type": "object", "additionalProperties": false,
            "properties": { "from": { "oneOf": [string, words] }, "to": { "oneOf": [string, words] } },
        },
        "PolicyDiff": object(&[
            ("from", &string), ("to", &string), ("allows_more", &boolean), ("exhaustive", &boolean), ("signals", &strings), ("asked_less", &strings),
            ("changes", &json!({ "type": "array", "items": change })),
        ]),
        "CommentBody": { "type": "object", "additionalProperties": false, "properties": { "comment": string } },
        "RollbackBody": {
            "type": "object", "required": ["revision"], "additionalProperties": false,
            "properties": { "revision": string, "comment": string },
        },
    })
}
