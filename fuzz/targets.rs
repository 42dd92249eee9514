//! What each fuzz target does with its input: read it as a stranger's, and never panic.

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domicile::{
    access::{
        Acl, Action, BucketAccess, BucketPolicy, Caller, NoContext, ObjectOwnership, PublicAccessBlock, Request, Resource,
        evaluate,
    },
    audit::{note, residence},
    authn::{AccessKey, HostRules, Principal, Principals, S3Authenticator},
    config::{Config, Environment},
    index::{journal::Segment, read_sealed_export},
    objects::Manifest,
    policy::{PolicyFile, PolicySet},
    s3::{
        chunked::{Decoder, Framing},
        fuzzing,
    },
    seal,
    types::{AccountId, BucketName, ObjectKey, Timestamp},
};
use ring::hmac;

/// A target: its name, which is that of its corpus, and what it does.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// Every target.
pub(crate) const ALL: [Target; 12] = [
    ("config", config),
    ("policy", policy),
    ("bucket_policy", bucket_policy),
    ("blob_head", blob_head),
    ("request", request),
    ("chunked", chunked),
    ("xml", xml),
    ("form", form),
    ("form_fields", form_fields),
    ("kept", kept),
    ("export", export),
    ("residency_proof", residency_proof),
];

/// A residency proof as a stranger sends it; and a statement that the ledger's own key has signed, whatever it says.
pub(crate) fn residency_proof(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(signer) = note::Signer::new("domicile/test", &[7; 32]) else { return };
    let verify = |document: &str| {
        let proof = residence::Proof::parse(document).ok()?;
        proof.verify(signer.verifier(), residence::Held::default()).ok()
    };
    let line = text.trim_end().replace('\n', " ");
    let signed = note::Note::sign(format!("{}\n{line}\n", residence::CONTEXT), &signer).map(|note| note.to_string());
    let document = signed.map(|note| serde_json::json!({ "format": residence::FORMAT, "note": note }).to_string());
    for verified in [verify(text), document.ok().and_then(|document| verify(&document))].into_iter().flatten() {
        assert!(!verified.proven().is_empty() && !verified.not_proven().is_empty());
        let _ = verified.stated();
    }
}

/// The text of a `domicile.toml`.
pub(crate) fn config(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = Config::parse("domicile.toml", text, Path::new("/nowhere"), &NoEnvironment);
    }
}

/// The files of a policy folder, each behind a line `=== path`.
pub(crate) fn policy(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let files: Vec<PolicyFile> = text
        .split("=== ")
        .filter_map(|file| file.split_once('\n'))
        .map(|(path, text)| PolicyFile { path: path.to_owned(), text: text.to_owned() })
        .collect();
    if let Ok(set) = PolicySet::parse(&files) {
        let _ = set.run_cases();
    }
}

/// The document of a PutBucketPolicy, which then answers a request for each action.
pub(crate) fn bucket_policy(input: &[u8]) {
    let (Ok(text), Ok(bucket), Ok(owner), Ok(key)) =
        (std::str::from_utf8(input), BucketName::new("media"), AccountId::new("main"), ObjectKey::new("docs/a"))
    else {
        return;
    };
    let Ok(policy) = BucketPolicy::for_bucket(text, &bucket) else { return };
    assert_eq!(policy.text(), text, "the text was changed");
    let access = BucketAccess {
        owner: &owner,
        policy: Some(&policy),
        acl: &Acl::private(owner.clone()),
        public_access: PublicAccessBlock::NONE,
        ownership: ObjectOwnership::BucketOwnerEnforced,
    };
    for &action in Action::ALL {
        let key = (action.resource() == Resource::Object).then_some(&key);
        let request = Request { caller: &Caller::Anonymous, action, bucket: &bucket, key };
        let _ = evaluate(&request, &access, None, &NoContext);
    }
}

/// The start of a blob as a site hands it out.
pub(crate) fn blob_head(input: &[u8]) {
    let _ = (seal::blob_kind(input), seal::head_len(input));
    let _ = seal::parse_head(input);
}

/// The head of a request: a line `METHOD target`, then a header a line.
pub(crate) fn request(input: &[u8]) {
    let mut lines = input.split(|&byte| byte == b'\n');
    let Some(line) = lines.next().and_then(|line| std::str::from_utf8(line).ok()) else { return };
    let (method, target) = line.split_once(' ').unwrap_or(("GET", line));
    let mut request = http::Request::builder().method(method).uri(target);
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    let Ok(request) = request.body(()) else { return };
    let parts = request.into_parts().0;
    let hosts = || HostRules::new(["s3.example.com".to_owned()], []);
    let principals = Arc::new(ArcSwap::from_pointee(Principals::default()));
    let _ =
        S3Authenticator::new(principals, "us-east-1".to_owned(), hosts()).verify(&parts, Timestamp::from_seconds(1_369_353_600));
    fuzzing::read_request(&parts, &hosts());
}

/// A body in chunks. The first byte says how the input is cut.
pub(crate) fn chunked(input: &[u8]) {
    let Some((&cut, body)) = input.split_first() else { return };
    let mut decoder = Decoder::new(Framing::UnsignedTrailer, 11, "x-amz-checksum-crc32");
    let mut pieces = Vec::new();
    for part in body.chunks(usize::from(cut).max(1)) {
        if decoder.push(Bytes::copy_from_slice(part), &mut pieces).is_err() {
            return;
        }
    }
    let length: usize = pieces.iter().map(Bytes::len).sum();
    if decoder.finish().is_ok() {
        assert_eq!(length, 11, "a body of another length was accepted");
    }
}

/// The document of a request.
pub(crate) fn xml(input: &[u8]) {
    fuzzing::read_document(input);
}

/// A form that a browser posts. The first byte says how the input is cut.
pub(crate) fn form(input: &[u8]) {
    if let Some((&cut, form)) = input.split_first() {
        fuzzing::read_form("b", form, usize::from(cut));
    }
}

/// The fields of such a form, `name=value` a line, of which `policy` is signed as it is.
pub(crate) fn form_fields(input: &[u8]) {
    let (Ok(text), Ok(bucket)) = (std::str::from_utf8(input), BucketName::new("media")) else { return };
    let access_key = AccessKey::new("AK", "a-secret".to_owned().into());
    let Ok(principal) = Principal::unrestricted("feed", vec![access_key]) else { return };
    let principals = Arc::new(ArcSwap::from_pointee(Principals::new([principal]).unwrap_or_default()));
    let authenticator = S3Authenticator::new(principals, "us-east-1".to_owned(), HostRules::default()).with_form_version_2(true);
    let fields = text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut fields: BTreeMap<String, String> = fields.collect();
    if let Some(policy) = fields.get_mut("policy") {
        *policy = STANDARD.encode(&*policy);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"a-secret");
        let signature = STANDARD.encode(hmac::sign(&key, policy.as_bytes()));
        fields.insert("signature".to_owned(), signature);
        fields.insert("awsaccesskeyid".to_owned(), "AK".to_owned());
    }
    let _ = authenticator.verify_form(&fields, &bucket, Timestamp::from_seconds(1_369_353_600));
}

/// What blobs and pieces of the journal hold once they open: written by us, and perhaps by a version that is not this one.
pub(crate) fn kept(input: &[u8]) {
    if let Ok(segment) = Segment::decode(input) {
        let facts = segment.groups.iter().flat_map(|group| &group.facts);
        let _: Vec<_> = facts.map(|fact| (fact.hash(), fact.size())).collect();
    }
    let _ = Manifest::decode(input);
}

/// The lines of an index export.
pub(crate) fn export(input: &[u8]) {
    let _ = read_sealed_export(input);
}

/// An environment in which every variable has a value and no file exists.
struct NoEnvironment;

impl Environment for NoEnvironment {
    fn variable(&self, _: &str) -> Option<String> {
        Some("value".to_owned())
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}
