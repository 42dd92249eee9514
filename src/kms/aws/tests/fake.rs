//! A KMS of one region in memory, behind the SDK's own HTTP interface: it keeps its keys' states, destroys them when it is told to, and
//! can lag behind, fail and refuse.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use aws_sdk_kms::config::SharedHttpClient;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use base64::{Engine, engine::general_purpose::STANDARD};
use parking_lot::Mutex;
use ring::aead::{Aad, Nonce};
use serde_json::{Value, json};

use crate::{digest, kms::SecretKey};

/// What an operation answers: a body, or an error's code.
type Answer = Result<Value, &'static str>;

#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<Region>>);

#[derive(Default)]
pub(super) struct Region {
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) aliases: HashMap<String, String>,
    /// Where aliases are still said to lead.
    pub(super) stale: HashMap<String, String>,
    /// Operations that fail, and with what; `cut` breaks the connection.
    pub(super) failing: HashMap<&'static str, &'static str>,
    pub(super) asked: Vec<String>,
}

pub(super) struct Key {
    pub(super) metadata: Value,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) policy: String,
    secret: SecretKey,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    pub(super) fn client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        SharedHttpClient::new(http_client_fn(move |_, _| connector.clone()))
    }

    pub(super) fn region(&self) -> parking_lot::MutexGuard<'_, Region> {
        self.0.lock()
    }

    /// How often an operation was asked for.
    pub(super) fn count(&self, operation: &str) -> usize {
        self.region().asked.iter().filter(|asked| *asked == operation).count()
    }
}

impl HttpConnector for Fake {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = request.headers().get("x-amz-target").unwrap().rsplit('.').next().unwrap().to_owned();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let mut region = self.region();
        region.asked.push(operation.clone());
        let answer = match region.failing.get(operation.as_str()) {
            Some(&"cut") => return HttpConnectorFuture::ready(Err(ConnectorError::io("connection reset".into()))),
            Some(code) => Err(*code),
            None => region.answer(&operation, &body),
        };
        let (status, body) = match answer {
            Ok(body) => (200, body),
            Err(code) => (400, json!({ "__type": code, "message": "said the fake" })),
        };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()))))
    }
}

impl Region {
    pub(super) fn add_key(&mut self, tags: BTreeMap<String, String>, policy: &str) -> String {
        let bytes: [u8; 16] = digest::random();
        let hex = hex::encode(bytes);
        let id = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        let metadata = json!({
            "KeyId": id, "Arn": format!("arn:aws:kms:ap-southeast-1:1:key/{id}"), "CreationDate": 1_800_000_000.5, "KeyState": "Enabled",
            "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "Origin": "AWS_KMS", "KeyManager": "CUSTOMER",
            "MultiRegion": false,
        });
        self.keys.insert(id.clone(), Key { metadata, tags, policy: policy.to_owned(), secret: SecretKey::random() });
        id
    }

    /// The key ids of the fake in the order of their versions.
    pub(super) fn version(&self, version: u32) -> String {
        let has = |key: &&String| self.keys[*key].tags.get("domicile-version").is_some_and(|tag| *tag == version.to_string());
        self.keys.keys().find(has).unwrap().clone()
    }

    pub(super) fn set(&mut self, id: &str, name: &str, value: Value) {
        self.keys.get_mut(id).unwrap().metadata[name] = value;
    }

    /// The wait of every key that is to be deleted is over.
    pub(super) fn delete_what_waits(&mut self) {
        let gone = |key: &Key| key.metadata["KeyState"] == "PendingDeletion";
        let ids: Vec<String> = self.keys.iter().filter(|(_, key)| gone(key)).map(|(id, _)| id.clone()).collect();
        self.aliases.retain(|_, target| !ids.contains(target));
        self.keys.retain(|id, _| !ids.contains(id));
    }

    fn answer(&mut self, operation: &str, body: &Value) -> Answer {
        let named = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let id = self.resolve(&named("KeyId"));
        match operation {
            "DescribeKey" => Ok(json!({ "KeyMetadata": self.key(&id)?.metadata })),
            "ListResourceTags" => {
                let tags = self.key(&id)?.tags.iter().map(|(name, value)| json!({ "TagKey": name, "TagValue": value }));
                Ok(json!({ "Tags": tags.collect::<Vec<_>>(), "Truncated": false }))
            }
            "TagResource" => {
                if self.key(&id)?.metadata["KeyState"] == "PendingDeletion" {
                    return Err("KMSInvalidStateException");
                }
                self.keys.get_mut(&id).unwrap().tags.extend(tags(body));
                Ok(json!({}))
            }
            "GetKeyPolicy" => Ok(json!({ "Policy": self.key(&id)?.policy })),
            "CreateKey" => {
                let id = self.add_key(tags(body), &named("Policy"));
                Ok(json!({ "KeyMetadata": self.key(&id)?.metadata }))
            }
            "UpdateAlias" => {
                let (alias, target) = (named("AliasName"), named("TargetKeyId"));
                self.key(&target)?;
                let before = self.aliases.get_mut(&alias).ok_or("NotFoundException")?;
                *before = target;
                Ok(json!({}))
            }
            "ScheduleKeyDeletion" => self.turn(&id, &["Enabled", "Disabled"], "PendingDeletion"),
            "CancelKeyDeletion" => self.turn(&id, &["PendingDeletion"], "Disabled"),
            "Encrypt" => Ok(json!({ "CiphertextBlob": self.seal(&id, &body["EncryptionContext"], &named("Plaintext"))? })),
            "Decrypt" => Ok(json!({ "Plaintext": self.open(&id, &body["EncryptionContext"], &named("CiphertextBlob"))? })),
            "ReEncrypt" => {
                let text = self.open(&named("SourceKeyId"), &body["SourceEncryptionContext"], &named("CiphertextBlob"))?;
                let sealed = self.seal(&named("DestinationKeyId"), &body["DestinationEncryptionContext"], &text)?;
                Ok(json!({ "CiphertextBlob": sealed }))
            }
            other => panic!("the provider asks for {other}"),
        }
    }

    fn resolve(&self, id: &str) -> String {
        let alias = self.stale.get(id).or_else(|| self.aliases.get(id));
        alias.cloned().unwrap_or_else(|| id.to_owned())
    }

    fn key(&self, id: &str) -> Result<&Key, &'static str> {
        self.keys.get(id).ok_or("NotFoundException")
    }

    fn turn(&mut self, id: &str, from: &[&str], to: &str) -> Answer {
        let state = &mut self.keys.get_mut(id).ok_or("NotFoundException")?.metadata["KeyState"];
        if !from.iter().any(|from| state == from) {
            return Err("KMSInvalidStateException");
        }
        *state = json!(to);
        Ok(json!({}))
    }

    /// Like moto, and unlike KMS, whatever the key's state: the provider has to look for itself.
    fn seal(&self, id: &str, context: &Value, text: &str) -> Result<String, &'static str> {
        let nonce: [u8; 12] = digest::random();
        let mut bytes = STANDARD.decode(text).unwrap();
        let aad = Aad::from(format!("{id}{context}"));
        let key = self.key(id)?.secret.aes_gcm().unwrap();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes).unwrap();
        Ok(STANDARD.encode([&nonce[..], &bytes].concat()))
    }

    fn open(&self, id: &str, context: &Value, text: &str) -> Result<String, &'static str> {
        let mut bytes = STANDARD.decode(text).unwrap();
        if bytes.len() < 12 {
            return Err("InvalidCiphertextException");
        }
        let nonce = Nonce::try_assume_unique_for_key(&bytes[..12]).unwrap();
        let key = self.key(id)?.secret.aes_gcm().unwrap();
        let opened = key.open_within(nonce, Aad::from(format!("{id}{context}")), &mut bytes, 12..);
        Ok(STANDARD.encode(opened.map_err(|_| "InvalidCiphertextException")?))
    }
}

fn tags(body: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let tags = body["Tags"].as_array().unwrap();
    assert!(tags.len() <= 50, "KMS takes no more");
    tags.iter().map(|tag| (text(&tag["TagKey"]), text(&tag["TagValue"]))).collect()
}
