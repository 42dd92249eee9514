//! A gateway over two folders that is made to fail at a named point, in a process of its own, and what a test looks at afterwards.

use std::{
    env, fs,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
};
use domicile::{
    app::{App, Installation, OPERATOR_TOKEN_FILE, RebuildOrder, Running, rebuild},
    config::{PolicySource, SystemEnvironment},
};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    acts::{self, Act},
    inventory, stock,
};

/// Longer than the index waits before it writes the intent of an attempt, and than its tick.
const LASTING: Duration = Duration::from_millis(1500);
/// What the child process is told by.
pub(crate) const ACT: &str = "FAILPOINT_ACT";
const POINT: &str = "FAILPOINT_POINT";
const HOW: &str = "FAILPOINT_HOW";
const FOLDER: &str = "FAILPOINT_FOLDER";
/// The operator's, in the child process.
const TOKEN: &str = "an-operator-token-of-the-failpoint-tests-0123456789";

/// What happens at the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The process dies without another instruction, a while after it got there.
    Crash,
    /// The step fails once, and the gateway goes on.
    Error,
    /// The step fails once, and the index takes nothing more.
    Fatal,
}

/// What the instrument of Pakistan's residents asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copies {
    /// A copy in Pakistan and one in Singapore before the answer.
    Also,
    /// A copy in Pakistan before the answer; the one in Singapore is queued.
    First,
    /// Both before the answer, and both under Pakistan's key.
    Abroad,
}

/// The folder of one installation.
pub(crate) struct Data {
    folder: PathBuf,
    _owned: Option<TempDir>,
}

/// A gateway that serves, in this process.
pub(crate) struct Gateway {
    pub(crate) client: Client,
    running: Running,
    token: String,
}

impl Data {
    pub(crate) fn new(copies: Copies) -> Self {
        let owned = tempfile::tempdir().unwrap();
        let folder = owned.path().to_owned();
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        let policies = folder.join("policies");
        fs::create_dir_all(policies.join("pk-cpoh-2020")).unwrap();
        fs::copy(tree.join("gateway.toml"), policies.join("gateway.toml")).unwrap();
        let text = fs::read_to_string(tree.join("pk-cpoh-2020/policy.toml")).unwrap();
        let wanted = match copies {
            Copies::Also => "copies = \"also\"",
            Copies::First => "copies = \"first\"",
            Copies::Abroad => "copies = \"also\"",
        };
        assert!(text.contains("copies = \"only\"") && text.contains("\ncountries = [\"PK\"]"));
        let mut text = text.replace("copies = \"only\"", wanted);
        if copies == Copies::Abroad {
            text = text.replace("\ncountries = [\"PK\"]", "\ncountries = [\"PK\", \"SG\"]");
        }
        fs::write(policies.join("pk-cpoh-2020/policy.toml"), text).unwrap();
        Self { folder, _owned: Some(owned) }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn installation(&self) -> Installation {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut installation = Installation::open(&self.data_dir(), any_port, any_port, &SystemEnvironment).unwrap();
        installation.config.policies = PolicySource::Folder(self.folder.join("policies"));
        installation
    }

    /// The id of the stock's upload.
    pub(crate) fn upload(&self) -> String {
        fs::read_to_string(self.folder.join("upload")).unwrap()
    }

    /// The folders of the sites, by name.
    pub(crate) fn sites(&self) -> Vec<(&'static str, PathBuf)> {
        ["pk-khi", "sg-sin"].map(|name| (name, self.data_dir().join("sites").join(name))).into()
    }

    /// Starts the gateway; garbage is kept for `grace`.
    pub(crate) async fn start(&self, grace: Duration) -> Gateway {
        let Installation { access_key_id, secret, .. } = self.installation();
        let running = self.running(grace).await;
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(access_key_id, secret.expose_secret(), None, None, "test"))
            .region(Region::new("us-east-1"))
            .endpoint_url(format!("http://{}", running.s3_addr()))
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        // The child has one from outside, its parent the installation's.
        let token = env::var("DOMICILE_ADMIN_TOKEN")
            .unwrap_or_else(|_| fs::read_to_string(self.data_dir().join(OPERATOR_TOKEN_FILE)).unwrap().trim().to_owned());
        Gateway { client: Client::from_conf(config), running, token }
    }

    /// The last reads of the gateway before may still hold its index for a moment.
    async fn running(&self, grace: Duration) -> Running {
        for _ in 0..1000 {
            let Installation { mut config, .. } = self.installation();
            config.gc_grace = grace;
            match App::start(config).await {
                Err(error) if error.to_string().contains("could not acquire lock") => tokio::time::sleep(inventory::PAUSE).await,
                started => return started.unwrap(),
            }
        }
        panic!("the index stays locked")
    }

    /// Takes the index away and builds it anew from the sites, which must know everything.
    pub(crate) async fn lose_the_index(&self) {
        fs::remove_dir_all(self.data_dir().join("index")).unwrap();
        let rebuilt = rebuild(&self.installation().config, &RebuildOrder::default(), &()).await.unwrap();
        assert!(!rebuilt.report.has_gap(), "{:?}", rebuilt.report);
        assert_eq!(rebuilt.report.adopted.records, 0, "{:?}", rebuilt.report);
    }

    /// How the index is built anew.
    pub(crate) async fn order(&self, act: Act) -> RebuildOrder {
        let file = self.folder.join("export");
        if act == Act::Import && !file.exists() {
            inventory::export(&self.data_dir(), &file).await;
        }
        RebuildOrder { export: (act == Act::Import).then_some(file), ..RebuildOrder::default() }
    }

    /// Builds the index anew, from what the act builds it from. Answers how many pieces of the journal an earlier try had read.
    pub(crate) async fn build(&self, act: Act) -> u64 {
        let rebuilt = rebuild(&self.installation().config, &self.order(act).await, &()).await.unwrap();
        assert!(!rebuilt.report.has_gap(), "{:?}", rebuilt.report);
        rebuilt.report.resumed
    }

    /// The folders beside the index, but for what belongs to its keyring and sites.
    pub(crate) fn indexes(&self) -> Vec<String> {
        let names = fs::read_dir(self.data_dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("index.")).map(|name| name.split('-').next().unwrap().to_owned()).collect()
    }

    /// Prepares a stock in a process of its own, and fails `act` there at `point`.
    pub(crate) async fn fail(&self, act: Act, point: &str, how: How) {
        let mut process = Command::new(env::current_exe().unwrap());
        process
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(ACT, act.name())
            .env(POINT, point)
            .env(HOW, format!("{how:?}"))
            .env(FOLDER, &self.folder)
            .env("DOMICILE_ADMIN_TOKEN", TOKEN)
            .stdin(Stdio::null());
        let ended = tokio::task::spawn_blocking(move || process.output()).await.unwrap();
        let Output { status, stdout, stderr } = ended.unwrap();
        let ended = if how == How::Crash { status.signal() == Some(6) } else { status.success() };
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(ended, "{act:?} at {point}: the process ended with {status}\n{stdout}\n{stderr}");
    }
}

impl Gateway {
    /// Enters into the directory where a subject resides.
    async fn resides(&self, subject: &str, country: &str) {
        let body = format!(r#"{{"attributes":{{"residence":"{country}"}}}}"#);
        let answer = self.admin("PUT", &format!("/v1/subjects/{subject}"), &body).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Orders what the admin API does; where it ends in a crash, nobody answers.
    pub(crate) async fn order(&self, act: Act) {
        match act {
            Act::Move => self.resides("abroad", "PK").await,
            Act::Erase => drop(self.admin("POST", "/v1/subjects/erased/erase", r#"{"now":true}"#).await),
            Act::Rotate => drop(self.admin("POST", "/v1/keys/pk/rotate", r#"{"destroy_old":true}"#).await),
            Act::NewGeneration => drop(self.admin("POST", "/v1/subjects/kept/rotate-key", "").await),
            _ => {}
        }
    }

    /// Renews the country's key until nothing but the primary version is left.
    pub(crate) async fn renewed(&self, case: &str) {
        for _ in 0..100 {
            self.order(Act::Rotate).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            let keys = self.admin("GET", "/v1/keys", "").await;
            let pk = keys.split("\"id\":\"pk\"").nth(1).unwrap().split("\"country\"").nth(1).unwrap();
            if !pk.split("\"id\":\"sg\"").next().unwrap().contains("decrypt-only") {
                return;
            }
        }
        panic!("{case}: the renewal does not end");
    }

    async fn admin(&self, method: &str, path: &str, body: &str) -> String {
        let token = &self.token;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: admin\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.running.admin_addr()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    pub(crate) async fn stop(self) {
        drop(self.client);
        self.running.shutdown().await;
    }
}

/// The other side of [`Data::fail`].
pub(crate) async fn child() {
    let variable = |name| env::var(name).unwrap();
    let act = Act::named(&variable(ACT));
    let point = variable(POINT);
    let data = Data { folder: variable(FOLDER).into(), _owned: None };
    let how = [How::Crash, How::Error, How::Fatal].into_iter().find(|how| format!("{how:?}") == variable(HOW)).unwrap();
    // What becomes garbage stays for the test to find, unless its collection is what fails.
    let grace = Duration::from_secs(if act == Act::Collect { 1 } else { 3600 });
    if act != Act::FirstStart {
        let gateway = data.start(grace).await;
        stock::prepare(&gateway.client, act).await;
        fs::write(data.folder.join("upload"), acts::upload(&gateway.client).await.unwrap_or_default()).unwrap();
        if matches!(act, Act::Rebuild | Act::Import) {
            gateway.stop().await;
            let order = data.order(act).await;
            arm(&point, how);
            rebuild(&data.installation().config, &order, &()).await.unwrap();
            panic!("it went past the point");
        }
        if act == Act::Restart {
            gateway.stop().await;
        } else {
            arm(&point, how);
            return fail(act, how, gateway).await;
        }
    }
    arm(&point, how);
    let gateway = data.start(grace).await;
    fail(act, how, gateway).await;
}

async fn fail(act: Act, how: How, gateway: Gateway) {
    gateway.order(act).await;
    let outcome = act.perform(&gateway.client).await;
    if act.is_of_the_background() {
        assert_eq!(outcome, Ok(()));
        // Its failure is nobody's answer; there is time for it and for the try after it.
        tokio::time::sleep(Duration::from_secs(if how == How::Crash { 60 } else { 7 })).await;
    } else {
        let code = outcome.unwrap_err();
        assert!(["InternalError", "ServiceUnavailable"].contains(&code.as_str()), "answered with {code}");
    }
    assert!(how != How::Crash, "it went past the point");
    if how == How::Fatal {
        tokio::time::timeout(Duration::from_secs(60), gateway.running.failed()).await.unwrap();
        assert!(Act::Overwrite.perform(&gateway.client).await.is_err(), "a failed index takes commits");
        std::process::exit(0);
    }
    gateway.stop().await;
}

fn arm(point: &str, how: How) {
    if how == How::Crash {
        let crash = || {
            std::thread::sleep(LASTING);
            std::process::abort();
        };
        fail::cfg_callback(point, crash).unwrap();
    } else {
        fail::cfg(point, "1*return").unwrap();
    }
}
