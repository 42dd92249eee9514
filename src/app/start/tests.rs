//! Gateways that start in a folder of their own.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    pin::pin,
    task::{Context, Waker},
};

use super::*;
use crate::admin::Gateway;
use crate::config::{Environment, PolicySource};

mod revisions;

struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn file(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// The policies of the source tree, in a folder of their own.
fn policies(folder: &Path) -> PolicySource {
    let tree = PolicySource::Folder(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies"));
    for file in crate::app::policies::files(&tree).unwrap() {
        let path = folder.join(file.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.text).unwrap();
    }
    PolicySource::Folder(folder.to_owned())
}

async fn started(folder: &Path) -> Running {
    let data_dir = folder.join("data");
    let mut config = crate::app::Installation::open(&data_dir, any_port(), any_port(), &Nothing).unwrap().config;
    config.policies = policies(&folder.join("policies"));
    App::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_whose_caller_goes_away_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let running = started(folder.path()).await;
    let before = running.gateway.policies().revision;
    fs::remove_dir_all(folder.path().join("policies/sg-users-contract")).unwrap();
    let entries = running.index.ledger_head().size;
    {
        let mut reload = pin!(running.gateway.reload(Actor::System, None));
        // Polled until its commit is under way, and no more after that.
        while running.index.ledger_head().size == entries {
            let mut context = Context::from_waker(Waker::noop());
            assert!(reload.as_mut().poll(&mut context).is_pending());
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if running.index.ledger_head().size > entries {
                    break;
                }
            }
        }
    }
    for _ in 0..400 {
        if running.gateway.policies().revision != before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_ne!(running.gateway.policies().revision, before, "the index has the new revision, the gateway must have it too");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_enter_data_index_and_sites() {
    let folder = tempfile::tempdir().unwrap();
    let running = started(folder.path()).await;
    for private in ["data", "data/index", "data/credentials", "data/sites", "data/sites/pk-khi"] {
        let mode = fs::metadata(folder.path().join(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{private}");
    }
    running.shutdown().await;
}
