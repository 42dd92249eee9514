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
    json!({
        "LedgerHead": object(&[("size", &number), ("root", &string), ("time", &string), ("note", &string), ("key", &string)]),
        "LedgerProof": { "oneOf": [inclusion, consistency] },
        "Checkpoints": object(&[("checkpoints", &list(checkpoint))]),
    })
}
