//! `domicile demo`: the main job in under a minute, on a gateway of its own.
//!
//! Everything it shows goes the way a user's requests go: aws-sdk-s3 over a socket to the S3 listener, the admin API over another,
//! and the sites' folders read as whoever holds the disks could read them.

mod s3;
mod sites;
mod story;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::ExposeSecret;
use tokio::runtime::Runtime;

use super::args::RemoteArgs;
use super::client::Client;
use super::{Failure, Output};
use crate::app::{App, Installation, OPERATOR_TOKEN_FILE, Running};
use crate::config::SystemEnvironment;
use crate::digest;

/// What `domicile demo` takes.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Leave the gateway running at the end, until Ctrl-C.
    #[arg(long)]
    pub keep: bool,
}

/// A gateway of the demo's own, and its clients.
struct Demo {
    runtime: Runtime,
    running: Option<Running>,
    folder: PathBuf,
    s3: s3::Caller,
    admin: Client,
    remote: RemoteArgs,
}

/// Tells the story.
///
/// # Errors
/// [`Failure::Check`] when the gateway does anything else than it should.
pub fn run(args: &DemoArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("domicile-demo-{}", hex::encode(digest::random::<6>())));
    let told = Demo::start(&folder).and_then(|mut demo| {
        demo.tell(out)?;
        if args.keep {
            demo.keep(out)?;
        }
        demo.stop();
        Ok(())
    });
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    told
}

impl Demo {
    fn start(folder: &Path) -> Result<Self, Failure> {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let data_dir = folder.join("data");
        let installation = Installation::open(&data_dir, anywhere, anywhere, &SystemEnvironment).map_err(cannot_start)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let running = runtime.block_on(App::start(installation.config)).map_err(cannot_start)?;
        let remote = RemoteArgs {
            url: format!("http://{}", running.admin_addr()),
            token: Some(operator_token(&data_dir)?),
            data_dir,
            ..RemoteArgs::default()
        };
        let s3 = s3::Caller::new(running.s3_addr(), &installation.access_key_id, installation.secret.expose_secret());
        let admin = Client::new(&remote)?;
        Ok(Self { runtime, running: Some(running), folder: folder.to_owned(), s3, admin, remote })
    }

    /// Serves on until Ctrl-C.
    fn keep(&self, out: &mut Output<'_>) -> Result<(), Failure> {
        if let Some(running) = &self.running {
            out.line("")?;
            out.line(format!("Still running: S3 at http://{}, admin API at {}.", running.s3_addr(), self.remote.url))?;
            out.line(format!("Keys and tokens: {}", self.remote.data_dir.join("credentials").display()))?;
            out.line("Ctrl-C ends it and removes everything.")?;
            out.flush()?;
            self.runtime.block_on(tokio::signal::ctrl_c())?;
        }
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.shutdown());
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.stop();
    }
}

fn operator_token(data_dir: &Path) -> Result<String, Failure> {
    if let Ok(token) = std::env::var("DOMICILE_ADMIN_TOKEN") {
        return Ok(token);
    }
    let text = std::fs::read_to_string(data_dir.join(OPERATOR_TOKEN_FILE))?;
    Ok(text.trim().to_owned())
}

fn cannot_start(error: impl std::fmt::Display) -> Failure {
    Failure::Check(format!("the demo's gateway does not start: {error}"))
}
