//! `domicile serve`.

use std::path::Path;

use secrecy::ExposeSecret;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, Output, args::ServeArgs};
use crate::app::{App, InstallError, Installation, Running, close_to_others};
use crate::config::{Config, SystemEnvironment};
use crate::telemetry;

pub(super) fn run(args: &ServeArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    close_to_others().map_err(|error| Failure::Check(format!("cannot keep memory private: {error}")))?;
    let present = Path::new("domicile.toml");
    let file = args.config.as_deref().or_else(|| present.exists().then_some(present));
    let (mut config, installation) = match file {
        Some(file) => (read(file, out)?, None),
        None if args.check => {
            let message =
                "there is no `domicile.toml` here: name a configuration with --config; without one `serve` makes an installation";
            return Err(Failure::Usage(message.to_owned()));
        }
        None => {
            let installation =
                Installation::open(&args.data_dir, args.s3, args.admin, &SystemEnvironment).map_err(|error| match error {
                    InstallError::Listen(_) => Failure::Check(error.to_string()),
                    _ => Failure::Usage(error.to_string()),
                })?;
            let Installation { config, first_start, access_key_id, secret } = installation;
            (config, Some((first_start, access_key_id, secret)))
        }
    };
    if args.check {
        super::policy::hold_against(&config, out)?;
        return out.line("the configuration is good");
    }
    config.accept_imported = args.accept_imported;
    let (format, level) = (config.log.format, config.log.level.clone());
    telemetry::init_logging(format, &level).map_err(|error| Failure::Usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let running = App::start(config).await.map_err(|error| Failure::Check(error.to_string()))?;
        match &installation {
            Some((first_start, id, secret)) => welcome(&running, args, *first_start, id, secret.expose_secret(), out)?,
            None => out.line(format!("serving S3 on {}, admin on {}", running.s3_addr(), running.admin_addr()))?,
        }
        out.flush()?;
        until_stopped(running).await
    })
}

/// Reads a configuration; its mistakes are printed.
pub(super) fn read(file: &Path, out: &mut Output<'_>) -> Result<Config, Failure> {
    Config::load(file, &SystemEnvironment).map_err(|mistakes| {
        let count = mistakes.len();
        let printed = mistakes
            .iter()
            .try_for_each(|mistake| out.line(mistake.to_string()))
            .and_then(|()| out.value(&mistakes))
            .and_then(|()| out.flush());
        let count = if count == 1 { "a mistake".to_owned() } else { format!("{count} mistakes") };
        printed.err().unwrap_or_else(|| Failure::Usage(format!("`{}` has {count}", file.display())))
    })
}

/// Serves until SIGTERM or SIGINT; SIGHUP reads the policies again. A failing index ends the process: nothing may be acknowledged that
/// is not durable.
async fn until_stopped(running: Running) -> Result<(), Failure> {
    let mut terminate = signals(SignalKind::terminate())?;
    let mut interrupt = signals(SignalKind::interrupt())?;
    let mut hangup = signals(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => running.reload().await,
            error = running.failed() => {
                tracing::error!(%error, "the index failed; ending the process");
                std::process::abort();
            }
        }
    }
    tracing::info!("stopping");
    running.shutdown().await;
    Ok(())
}

fn signals(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::Check(format!("cannot listen for signals: {error}")))
}

/// Where everything is, and on the first start the secret and three commands to try.
fn welcome(
    running: &Running,
    args: &ServeArgs,
    first_start: bool,
    id: &str,
    secret: &str,
    out: &mut Output<'_>,
) -> Result<(), Failure> {
    let (s3, admin, data) = (running.s3_addr(), running.admin_addr(), args.data_dir.display());
    out.line(format!("S3      http://{s3}   (path style, region us-east-1)"))?;
    out.line(format!("admin   http://{admin}   (tokens in {data}/credentials/)"))?;
    out.line(format!("console http://{admin}/console   (sign in with {data}/credentials/auditor.token)"))?;
    out.line(format!("sites   pk-khi in PK, sg-sin in SG, under {data}/sites/"))?;
    out.line(format!("access key id      {id}"))?;
    if !first_start {
        return out.line(format!("secret access key  in {data}/credentials/secret-access-key"));
    }
    out.line(format!("secret access key  {secret}"))?;
    out.line(format!(
        "\nMove {data}/recovery.identity off this machine: with a copy of {data}/keyring.age it is the way back to your data.\n"
    ))?;
    out.line("Try, in another terminal:")?;
    out.line(format!(
        "  export AWS_ACCESS_KEY_ID={id} AWS_SECRET_ACCESS_KEY={secret} AWS_REGION=us-east-1 AWS_ENDPOINT_URL=http://{s3}"
    ))?;
    out.line(format!("  DOMICILE_ADMIN_URL=http://{admin} domicile subject set ayesha residence=PK --data-dir {data}"))?;
    out.line(
        "  aws s3 mb s3://media && echo hello | aws s3 cp - s3://media/users/ayesha/hello.txt --metadata domicile-subject=ayesha",
    )?;
    out.line(format!("  DOMICILE_ADMIN_URL=http://{admin} domicile where s3://media/users/ayesha/hello.txt --data-dir {data}"))
}
