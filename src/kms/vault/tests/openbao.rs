//! A real OpenBao on loopback, in memory, of a test's own.

use std::{
    env,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::super::server::{Failure, Server};
use super::*;

pub(super) struct OpenBao {
    child: Child,
    pub(super) address: String,
    root: SecretString,
    server: Server,
    _home: tempfile::TempDir,
}

/// `DOMICILE_OPENBAO`, or `bao` of the tests' environment in the package.
fn binary() -> Option<PathBuf> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/bao");
    Some(env::var_os("DOMICILE_OPENBAO").map_or_else(default, PathBuf::from)).filter(|path| path.exists())
}

impl OpenBao {
    /// `None` where none is installed: `./test` installs it.
    pub(super) async fn start() -> Option<Self> {
        let binary = binary()?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let home = tempfile::tempdir().unwrap();
        let child = Command::new(binary)
            .args(["server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token"])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = format!("http://127.0.0.1:{port}");
        let settings = settings(&address, VaultLogin::Token("root".into()));
        let bao = Self {
            child,
            address,
            root: "root".into(),
            server: Server::new("root".parse().unwrap(), &settings).unwrap(),
            _home: home,
        };
        for _ in 0..600 {
            if bao.server.public::<Value>("sys/health").await.is_ok() && bao.get("sys/mounts").await.is_ok() {
                bao.order("sys/mounts/transit", json!({ "type": "transit" })).await;
                return Some(bao);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("OpenBao does not come up");
    }

    pub(super) async fn order(&self, path: &str, body: Value) {
        self.server.order(path, &self.root, Zeroizing::new(body.to_string().into_bytes())).await.unwrap();
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.server.ask(Method::GET, path, &self.root, None).await
    }

    /// What is known of a token by its accessor.
    pub(super) async fn look_up(&self, body: Zeroizing<Vec<u8>>) -> Value {
        self.server.ask(Method::POST, "auth/token/lookup-accessor", &self.root, Some(body)).await.unwrap()
    }

    pub(super) async fn delete(&self, path: &str) {
        let _ = self.server.ask::<Value>(Method::DELETE, path, &self.root, None).await;
    }

    pub(super) async fn create_key(&self, name: &str, more: Value) {
        let mut body = json!({ "type": "aes256-gcm96", "derived": true });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.order(&format!("transit/keys/{name}"), body).await;
    }

    /// A token that may do what the documentation says that the gateway must be let do.
    pub(super) async fn token(&self, key: &str, ttl: &str) -> SecretString {
        let policy = include_str!("../../../../docs/transit-policy.hcl").replace("domicile-pk", key);
        self.order(&format!("sys/policies/acl/{key}"), json!({ "policy": policy })).await;
        let body = json!({ "policies": [key], "ttl": ttl, "renewable": true, "no_parent": true });
        let body = Zeroizing::new(body.to_string().into_bytes());
        self.server.grant("auth/token/create", Some(&self.root), body).await.unwrap().client_token
    }

    pub(super) async fn revoke(&self, token: &SecretString) {
        self.order("auth/token/revoke", json!({ "token": token.expose_secret() })).await;
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn settings(address: &str, login: VaultLogin) -> VaultSettings {
    VaultSettings {
        address: address.to_owned(),
        namespace: None,
        mount: VaultSettings::DEFAULT_MOUNT.to_owned(),
        name: "pk".to_owned(),
        login,
        ca: None,
        cluster: None,
        timeout: Duration::from_secs(10),
    }
}
