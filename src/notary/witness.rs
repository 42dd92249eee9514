//! Asks a witness for its cosignature (C2SP tlog-witness).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};

use super::{MOST_BYTES, PATIENCE, WitnessSettings, causes};
use crate::{
    audit::{
        SignedCheckpoint,
        note::{Signature, Verifier},
    },
    index::{Index, IndexError},
    server::{HttpClient, client},
};

/// Checkpoints among which the last one that a witness has cosigned is looked for. It says itself where it is when none is found.
const LOOKED_AT: usize = 100;

/// A witness.
pub struct Witness {
    http: HttpClient,
    address: String,
    key: Verifier,
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwitnessed {
    #[error("no answer: {0}")]
    Unreachable(String),
    #[error("it answers with {0}")]
    Refused(StatusCode),
    #[error(
        "it has seen {0} entries of this ledger, and this is no continuation of them: the ledger was forked, or an older one took its place"
    )]
    Inconsistent(u64),
    #[error("its answer has no signature of its key")]
    NotSigned,
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl Witness {
    pub(super) fn new(settings: WitnessSettings) -> Result<Self, String> {
        let WitnessSettings { url, key } = settings;
        let http = client(url.starts_with("https:"), None)?;
        Ok(Self { http, address: format!("{}/add-checkpoint", url.trim_end_matches('/')), key })
    }

    pub(super) const fn key(&self) -> &Verifier {
        &self.key
    }

    /// Has the checkpoint cosigned. It must be one of the index's own ledger.
    pub(super) async fn cosign(&self, index: &Index, signed: &SignedCheckpoint) -> Result<Signature, Unwitnessed> {
        let kept = index.kept_checkpoints(None, LOOKED_AT).await?;
        let seen = kept.iter().filter_map(|kept| kept.signed().ok()).find(|kept| {
            let note = &kept.note;
            kept.checkpoint.size <= signed.checkpoint.size && note.signatures().iter().any(|one| self.key.is_of(one))
        });
        let old = seen.map_or(0, |seen| seen.checkpoint.size);
        match self.ask(index, old, signed).await? {
            Answer::Signed(signature) => Ok(signature),
            Answer::At(old) => match self.ask(index, old, signed).await? {
                Answer::Signed(signature) => Ok(signature),
                Answer::At(size) => Err(Unwitnessed::Inconsistent(size)),
            },
        }
    }

    async fn ask(&self, index: &Index, old: u64, signed: &SignedCheckpoint) -> Result<Answer, Unwitnessed> {
        let size = signed.checkpoint.size;
        let proof = index.consistency(old, size).await?.ok_or(Unwitnessed::Inconsistent(old))?;
        let mut body = format!("old {old}\n");
        for hash in &proof.hashes {
            body.push_str(&STANDARD.encode(hash));
            body.push('\n');
        }
        body.push('\n');
        body.push_str(&signed.to_string());
        let unreachable = |error: &dyn std::error::Error| Unwitnessed::Unreachable(causes(error));
        let request = Request::builder().method(Method::POST).uri(&self.address).body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| unreachable(&error))?;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| unreachable(&error))?;
            let (status, body) = (response.status(), response.into_body());
            let body = Limited::new(body, MOST_BYTES).collect().await;
            let body = body.map_err(|error| Unwitnessed::Unreachable(error.to_string()))?.to_bytes();
            Ok::<_, Unwitnessed>((status, String::from_utf8_lossy(&body).into_owned()))
        };
        let late = || Unwitnessed::Unreachable(format!("none within {} s", PATIENCE.as_secs()));
        let (status, text) = tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| late())??;
        match status {
            StatusCode::OK => self.signature(signed, &text).map(Answer::Signed),
            // It says where it is, or that it has seen another tree of this size.
            StatusCode::CONFLICT => match text.trim_end().parse() {
                Ok(at) if at != old => Ok(Answer::At(at)),
                _ => Err(Unwitnessed::Inconsistent(old)),
            },
            StatusCode::UNPROCESSABLE_ENTITY => Err(Unwitnessed::Inconsistent(old)),
            status => Err(Unwitnessed::Refused(status)),
        }
    }

    /// The witness's own among the signatures of an answer, when it holds.
    fn signature(&self, signed: &SignedCheckpoint, lines: &str) -> Result<Signature, Unwitnessed> {
        let mut own = lines.lines().filter_map(|line| Signature::parse(line).ok()).filter(|one| self.key.is_of(one));
        let signature = own.next().ok_or(Unwitnessed::NotSigned)?;
        let mut note = signed.note.clone();
        note.add(signature.clone());
        note.verify([&self.key]).map_err(|_| Unwitnessed::NotSigned)?;
        Ok(signature)
    }
}

enum Answer {
    Signed(Signature),
    /// It has cosigned a tree of another size last.
    At(u64),
}
