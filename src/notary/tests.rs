//! Against a witness and an authority in this process.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

use super::*;
use crate::{
    audit::{Actor, Event, Kind, SignedCheckpoint, note::Signer, proof::ConsistencyProof},
    clock::ManualClock,
    index::{Change, IndexKeys, MemoryEngine},
    kms::{Pseudonyms, SecretKey},
    types::Timestamp,
};

/// What a witness remembers.
struct Seen {
    signer: Signer,
    size: u64,
    root: [u8; 32],
    asked: usize,
}

/// As the specification of tlog-witness has it.
fn witnessed(seen: &mut Seen, body: &str) -> (StatusCode, String) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    seen.asked += 1;
    let (head, note) = body.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let old: u64 = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
    let hashes = lines.map(|line| STANDARD.decode(line).unwrap().try_into().unwrap()).collect();
    let signed: SignedCheckpoint = note.parse().unwrap();
    let size = signed.checkpoint.size;
    if old != seen.size {
        return (StatusCode::CONFLICT, format!("{}\n", seen.size));
    }
    let proof = ConsistencyProof { from: old, to: size, hashes };
    let earlier = if old == 0 { crate::audit::Frontier::default().root() } else { seen.root };
    if proof.verify(&earlier, &signed.checkpoint.root).is_err() {
        return (StatusCode::UNPROCESSABLE_ENTITY, String::new());
    }
    (seen.size, seen.root) = (size, signed.checkpoint.root);
    (StatusCode::OK, format!("{}\n", seen.signer.sign(signed.note.text(), Timestamp::from_seconds(77))))
}

async fn serve(seen: Arc<Mutex<Seen>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let seen = Arc::clone(&seen);
            let answer = service_fn(move |request: Request<Incoming>| {
                let seen = Arc::clone(&seen);
                async move {
                    assert_eq!(request.uri().path(), "/w/add-checkpoint");
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let (status, text) = witnessed(&mut seen.lock(), std::str::from_utf8(&body).unwrap());
                    let response = Response::builder().status(status).body(Full::new(Bytes::from(text)));
                    Ok::<_, Infallible>(response.unwrap())
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    format!("http://{address}/w/")
}

fn index(clock: &Arc<ManualClock>) -> Index {
    let key = |byte| SecretKey::from_slice(&[byte; 32]).unwrap();
    let log = Signer::new("domicile/test", &[2; 32]).unwrap();
    let pseudonyms = Arc::new(Pseudonyms::new(key(3)));
    let keys = IndexKeys { index_key: key(1), ledger_key: key(2), log, pseudonyms };
    Index::open(Arc::new(MemoryEngine::default()), keys, Arc::clone(clock) as _).unwrap()
}

async fn happen(index: &Index, times: u64) {
    for _ in 0..times {
        index.commit(Change::Note, Event::new(Kind::Started, Actor::System)).await.unwrap();
    }
}

async fn newest(index: &Index) -> KeptCheckpoint {
    index.kept_checkpoints(None, 1).await.unwrap().remove(0)
}

#[tokio::test]
async fn checkpoints_are_kept_when_something_happened_and_cosigned_in_order() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_000_000)));
    let index = index(&clock);
    let signer = Signer::witness("witness.example/w1", &[9; 32]).unwrap();
    let key = signer.verifier().clone();
    let seen = Arc::new(Mutex::new(Seen { signer, size: 0, root: [0; 32], asked: 0 }));
    let url = serve(Arc::clone(&seen)).await;
    let settings = |index: &Index| {
        let witnesses = vec![WitnessSettings { url: url.clone(), key: key.clone() }];
        let settings = Settings { witnesses, ..Settings::default() };
        Notary::new(index.clone(), Arc::clone(&clock) as _, settings).unwrap()
    };
    let notary = settings(&index);
    notary.round().await.unwrap();
    assert!(index.kept_checkpoints(None, 9).await.unwrap().is_empty(), "nothing has happened");
    happen(&index, 300).await;
    notary.round().await.unwrap();
    let kept = newest(&index).await.signed().unwrap();
    assert_eq!(kept.checkpoint.size, 300);
    assert_eq!(kept.note.verify([&key]).unwrap()[0].time, Some(Timestamp::from_seconds(77)));

    happen(&index, 1).await;
    notary.round().await.unwrap();
    assert_eq!((newest(&index).await.signed().unwrap().checkpoint.size, seen.lock().asked), (300, 1), "it is not time yet");
    clock.advance(3_600_000);
    notary.round().await.unwrap();
    assert_eq!((newest(&index).await.signed().unwrap().checkpoint.size, seen.lock().asked), (301, 2));
    clock.advance(3_600_000);
    notary.round().await.unwrap();
    assert_eq!((index.kept_checkpoints(None, 9).await.unwrap().len(), seen.lock().asked), (2, 2), "nothing has happened");

    // What the witness has seen meanwhile it says itself.
    let checkpoint = index.checkpoint().checkpoint;
    happen(&index, 5).await;
    (seen.lock().size, seen.lock().root) = (0, checkpoint.root);
    clock.advance(3_600_000);
    notary.round().await.unwrap();
    assert_eq!(seen.lock().size, 306);
    newest(&index).await.signed().unwrap().note.verify([&key]).unwrap();

    // Another history of the same key: an index that was set back.
    let other = self::index(&clock);
    happen(&other, 400).await;
    other.commit(Change::Note, Event::new(Kind::Stopped, Actor::System)).await.unwrap();
    let forked = settings(&other);
    forked.round().await.unwrap();
    let refused = newest(&other).await.signed().unwrap();
    assert_eq!(refused.note.verify([&key]), Err(crate::audit::note::NoteError::Unsigned));
    assert_eq!(seen.lock().size, 306);
    assert!(forked.standing().vouchers().all(|(_, failure)| failure.is_some_and(|failure| failure.disputed)));
}

#[tokio::test]
async fn a_witness_that_is_away_is_asked_again() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_000_000)));
    let index = index(&clock);
    happen(&index, 3).await;
    let signer = Signer::witness("witness.example/w1", &[9; 32]).unwrap();
    let key = signer.verifier().clone();
    let notary = |url: &str| {
        let witnesses = vec![WitnessSettings { url: url.to_owned(), key: key.clone() }];
        Notary::new(index.clone(), Arc::clone(&clock) as _, Settings { witnesses, ..Settings::default() }).unwrap()
    };
    let away = notary("http://127.0.0.1:1");
    let failing = || away.standing().vouchers().map(|(voucher, failure)| (voucher.name().to_owned(), failure)).next().unwrap();
    assert_eq!(failing(), ("witness.example/w1".to_owned(), None), "it was not asked yet");
    let began = clock.now();
    away.round().await.unwrap();
    clock.advance(60_000);
    away.round().await.unwrap();
    let failure = failing().1.unwrap();
    assert_eq!((failure.since, failure.at), (began, clock.now()));
    assert!(failure.why.starts_with("no answer: ") && !failure.disputed, "{}", failure.why);
    assert_eq!(newest(&index).await.signed().unwrap().note.signatures().len(), 1);
    let url = serve(Arc::new(Mutex::new(Seen { signer, size: 0, root: [0; 32], asked: 0 }))).await;
    let back = notary(&url);
    back.standing().failed(&Voucher::Witness(key.clone()), began, "as before", false);
    back.round().await.unwrap();
    let kept = newest(&index).await;
    let note = kept.signed().unwrap().note;
    assert_eq!(note.signatures().len(), 2);
    let standing = back.standing();
    let (voucher, failure) = standing.vouchers().next().unwrap();
    assert_eq!((failure, voucher.vouched(&note, &kept)), (None, Some(Timestamp::from_seconds(77))));
}
