//! What the ledger's routes answer.

use serde_json::{Value, json};

use super::object;

/// The schemas, by name.
pub(super) fn schemas() -> Value {
    let string = json!({ "type": "string" });
    let strings = json!({ "type": "array", "items": { "type": "string" } });
    let number = json!({ "type": "integer" });
    let list = |of: Value| json!({ "type": "array", "items": of });
    let inclusion = object(&[("entry", &number), ("size", &number), ("hashes", &strings)]);
    let consistency = object(&[("from", &number), ("to", &number), ("hashes", &strings)]);
    let witnesses = list(object(&[("name", &string), ("time", &string)]));
    let stamps = list(object(&[("by", &string), ("time", &string), ("answer", &string)]));
    let checkpoint = object(&[
        ("size", &number),
        ("root", &string),
        ("time", &string),
        ("note", &string),
        ("witnesses", &witnesses),
        ("time_stamps", &stamps),
    ]);
    let moment = object(&[("size", &number), ("time", &string)]);
    let failing = object(&[("since", &string), ("at", &string), ("why", &string), ("disputed", &json!({ "type": "boolean" }))]);
    let or_null = |of: Value| json!({ "oneOf": [of, { "type": "null" }] });
    let voucher =
        list(object(&[("name", &string), ("last", &or_null(moment)), ("behind", &number), ("failing", &or_null(failing))]));
    let one = json!({ "$ref": "#/components/schemas/Checkpoint" });
    let tally = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    json!({
        "Checkpoint": checkpoint,
        "CheckpointsOfPeriod": object(&[
            ("count", &number),
            ("first", &or_null(one.clone())),
            ("last", &or_null(one.clone())),
            ("witnessed", &number),
            ("stamped", &number),
            ("witnesses", &tally),
            ("authorities", &tally),
        ]),
        "LedgerHead": object(&[("size", &number), ("root", &string), ("time", &string), ("note", &string), ("key", &string)]),
        "LedgerProof": { "oneOf": [inclusion, consistency] },
        "Checkpoints": object(&[("checkpoints", &list(one)), ("witnesses", &voucher), ("authorities", &voucher)]),
    })
}
