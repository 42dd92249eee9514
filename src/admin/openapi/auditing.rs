//! What the routes for auditors answer.

use serde_json::{Value, json};

use super::object;

/// The schemas, by name.
pub(super) fn schemas() -> Value {
    let string = json!({ "type": "string" });
    let maybe = json!({ "type": ["string", "null"] });
    let strings = json!({ "type": "array", "items": { "type": "string" } });
    let number = json!({ "type": "integer" });
    let boolean = json!({ "type": "boolean" });
    let any = json!({});
    let list = |items: &Value| json!({ "type": "array", "items": items });
    let tally = object(&[("objects", &number), ("bytes", &number)]);
    let counters = json!({ "type": "object", "additionalProperties": tally });
    let pairs = json!({ "type": "object", "additionalProperties": counters });
    let moment = object(&[("time", &string), ("entry", &number), ("kind", &string)]);
    let maybe_moment = json!({ "oneOf": [moment, { "type": "null" }] });
    let placing = object(&[
        ("time", &string),
        ("entry", &number),
        ("kind", &string),
        ("revision", &maybe),
        ("instruments", &strings),
        ("shadow", &strings),
        ("decided_by", &any),
        ("exceptions", &list(&any)),
    ]);
    let copy = object(&[
        ("site", &string),
        ("country", &maybe),
        ("key", &maybe),
        ("key_country", &maybe),
        ("role", &maybe),
        ("state", &json!({ "enum": ["pending", "stored", "left", "removed"] })),
        ("placed", &moment),
        ("stored", &maybe_moment),
        ("verified", &maybe_moment),
        ("left", &maybe_moment),
        ("removed", &maybe_moment),
    ]);
    let version = object(&[
        ("record", &string),
        ("version", &maybe),
        ("size", &json!({ "type": ["integer", "null"] })),
        ("state", &json!({ "enum": ["live", "gone"] })),
        ("written", &moment),
        ("by", &any),
        ("placed", &list(&placing)),
        ("copies", &list(&copy)),
        ("gone", &maybe_moment),
    ]);
    json!({
        "Summary": object(&[
            ("total", &tally), ("countries", &counters), ("sites", &counters), ("buckets", &counters), ("instruments", &counters),
            ("exceptions", &counters), ("queued", &tally), ("country_sites", &pairs), ("country_buckets", &pairs),
            ("country_instruments", &pairs), ("site_buckets", &pairs), ("bucket_instruments", &pairs),
        ]),
        "Sample": object(&[
            ("seed", &string), ("population", &number), ("taken", &string), ("ledger", &any),
            ("records", &list(&object(&[
                ("place", &string), ("record", &any), ("entry", &json!({ "type": ["integer", "null"] })), ("leaf", &maybe),
                ("proof", &strings),
            ]))),
        ]),
        "History": object(&[
            ("bucket", &string), ("key", &string), ("ledger", &number), ("versions", &list(&version)), ("entries", &list(&any)),
            ("more_entries", &boolean),
        ]),
    })
}
