//! The two servers of a run: SeaweedFS, where it can be had, and the gateway in front of it.

use std::{
    env, fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::client::Endpoint;

/// A process that ends with its handle.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    /// Where the gateway's admin API is served; 0 for another server.
    pub(crate) admin: u16,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// The processor time the process has used, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> io::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        // The kernel counts hundredths of a second.
        Ok((ticks(11) + ticks(12)) * 10.0)
    }

    /// The memory that it has in use, in bytes.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024)
    }

    /// Sends a request until it is answered well.
    async fn until(&self, method: &str, path: &str) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let body = Bytes::from_static(if path.ends_with("/probe") { b"x" } else { b"" });
            let answered = match self.endpoint.connect().await {
                Ok(mut connection) => connection.send(&self.endpoint.sign(method, path, "", body)).await,
                Err(error) => Err(error),
            };
            match answered {
                Ok(_) => return Ok(()),
                Err(error) if error.to_string().contains(" 409 ") => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(io::Error::other(format!("{method} {path}: {error}"))),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}

/// SeaweedFS by `DOMICILE_WEED` or from the path, with a bucket for each site and one for the direct requests.
pub(crate) async fn seaweed(folder: &Path) -> io::Result<Option<Server>> {
    let program = env::var("DOMICILE_WEED").unwrap_or_else(|_| "weed".to_owned());
    if Command::new(&program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        return Ok(None);
    }
    let (access_key, secret_key) = ("LOADBENCHSITEKEY0001".to_owned(), "a-secret-of-the-sites-of-forty-characters".to_owned());
    let identity = serde_json::json!({ "identities": [{ "name": "load", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        "credentials": [{ "accessKey": access_key, "secretKey": secret_key }] }] });
    fs::create_dir_all(folder.join("data"))?;
    fs::write(folder.join("s3.json"), identity.to_string())?;
    let mut arguments = vec!["-logtostderr=true".to_owned(), "server".to_owned(), format!("-dir={}/data", folder.display())];
    arguments.extend(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-s3.ip.bind=127.0.0.1"].map(str::to_owned));
    arguments.extend(["-volume.max=0", "-master.volumeSizeLimitMB=1024", "-master.telemetry=false"].map(str::to_owned));
    arguments.extend(["-s3.port.iceberg=0".to_owned(), "-s3.port.lance=0".to_owned()]);
    arguments.push(format!("-s3.config={}/s3.json", folder.display()));
    let ports = free_ports::<8>()?;
    let names = ["s3", "s3.grpc", "master", "master.grpc", "filer", "filer.grpc", "volume", "volume.grpc"];
    for (name, port) in names.iter().zip(ports) {
        let (server, kind) = name.split_once('.').unwrap_or((name, ""));
        let flag = if kind.is_empty() { format!("-{server}.port={port}") } else { format!("-{server}.port.{kind}={port}") };
        arguments.push(flag);
    }
    let child = quiet(&program, &folder.join("log"))?.args(arguments).current_dir(folder).spawn()?;
    let server = Server { endpoint: Endpoint { port: ports[0], access_key, secret_key }, admin: 0, child };
    for bucket in ["direct", "site-pk", "site-sg"] {
        server.until("PUT", &format!("/{bucket}")).await?;
        server.until("PUT", &format!("/{bucket}/probe")).await?;
    }
    let mut connection = server.endpoint.connect().await?;
    for bucket in ["site-pk", "site-sg"] {
        connection.send(&server.endpoint.sign("DELETE", &format!("/{bucket}/probe"), "", Bytes::new())).await?;
    }
    Ok(Some(server))
}

/// The gateway by `DOMICILE_BINARY` or from `target/release`, over SeaweedFS or over folders, with further tables of configuration.
pub(crate) async fn gateway(folder: &Path, sites: Option<&Endpoint>, tables: &str, policies: &Path) -> io::Result<Server> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = env::var_os("DOMICILE_BINARY").map_or_else(|| root.join("target/release/domicile"), PathBuf::from);
    let (access_key, secret_key) = ("LOADBENCHGATEWAYKEY1".to_owned(), "a-secret-for-benches-of-forty-characters".to_owned());
    fs::create_dir_all(folder)?;
    private_file(&folder.join("secret"), &secret_key)?;
    let [port, admin] = free_ports::<2>()?;
    let mut text = format!(
        "version = 1\ndata-dir = \"{home}/data\"\npolicies = \"{policies}\"\n[gateway]\ncountry = \"SG\"\n[limits]\nmemory = \"2GiB\"\n\
         [s3]\nlisten = \"127.0.0.1:{port}\"\nregion = \"us-east-1\"\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n\
         [index]\nengine = \"sled\"\n[[principal]]\nid = \"load\"\naccess-key-id = \"{access_key}\"\nsecret-file = \"{home}/secret\"\n\
         buckets = [\"*\"]\nallow = [\"read\", \"write\", \"list\"]\ncountry = \"SG\"\n{tables}",
        home = folder.display(),
        policies = policies.display(),
    );
    for (site, country) in [("pk", "PK"), ("sg", "SG")] {
        let backend = match sites {
            Some(endpoint) => format!(
                "backend = \"s3\"\nendpoint = \"http://127.0.0.1:{}\"\nregion = \"us-east-1\"\nbucket = \"site-{site}\"\n\
                 credentials-env = \"LOAD\"\n",
                endpoint.port
            ),
            None => {
                let path = folder.join(site);
                fs::create_dir_all(&path)?;
                format!("backend = \"fs\"\npath = \"{}\"\n", path.display())
            }
        };
        text += &format!("[[key]]\nid = \"{site}\"\ncountry = \"{country}\"\nprovider = \"keyring\"\n");
        text += &format!("[[site]]\nid = \"site-{site}\"\ncountry = \"{country}\"\nkey = \"{site}\"\n{backend}");
    }
    let config = folder.join("domicile.toml");
    fs::write(&config, text)?;
    let mut command = quiet(program, &folder.join("log"))?;
    command.arg("serve").arg("--config").arg(&config);
    if let Some(endpoint) = sites {
        command.env("LOAD_ACCESS_KEY_ID", &endpoint.access_key).env("LOAD_SECRET_ACCESS_KEY", &endpoint.secret_key);
    }
    let server = Server { endpoint: Endpoint { port, access_key, secret_key }, admin, child: command.spawn()? };
    let ready = server.until("PUT", "/static-load").await;
    let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
    ready.map_err(|error| io::Error::other(format!("{error}\n{}", log())))?;
    Ok(server)
}

/// The policies that come with the gateway.
pub(crate) fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

fn private_file(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

fn quiet(program: impl AsRef<std::ffi::OsStr>, log: &Path) -> io::Result<Command> {
    let log = fs::File::create(log)?;
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command)
}

fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    drop(listeners);
    thread::sleep(Duration::from_millis(10));
    Ok(ports)
}
