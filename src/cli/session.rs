//! `domicile session create`.

use http::Method;
use serde_json::{Value, json};

use super::{Failure, Output, args::SessionArgs, client::Client, output::text};

/// Makes temporary credentials and prints them as the environment variables that S3 clients read.
pub(super) fn create(args: &SessionArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let mut body = json!({ "principal": args.principal, "seconds": args.life.0.as_secs() });
    for (name, list) in [("buckets", &args.buckets), ("prefixes", &args.prefixes), ("allow", &args.allow)] {
        if !list.is_empty() {
            body[name] = json!(list);
        }
    }
    let answer = Client::new(&args.remote)?.json(Method::POST, "/v1/sessions", Some(&body))?;
    out.value(&credential_process(&answer))?;
    for (name, field) in [
        ("AWS_ACCESS_KEY_ID", "access_key_id"),
        ("AWS_SECRET_ACCESS_KEY", "secret_access_key"),
        ("AWS_SESSION_TOKEN", "session_token"),
    ] {
        out.line(format!("{name}={}", text(&answer[field])))?;
    }
    out.line(format!("# until {}", text(&answer["expires"])))
}

/// What AWS SDKs read from a `credential_process` ("Sourcing credentials with an external process" in the AWS SDKs and Tools Reference
/// Guide).
fn credential_process(answer: &Value) -> Value {
    json!({
        "Version": 1,
        "AccessKeyId": answer["access_key_id"],
        "SecretAccessKey": answer["secret_access_key"],
        "SessionToken": answer["session_token"],
        "Expiration": answer["expires"],
    })
}
