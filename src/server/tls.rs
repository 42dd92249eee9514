//! Certificates from PEM files, read again when they change.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::WebPkiClientVerifier,
};

/// Where the certificates are.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate and the intermediates after it, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM: PKCS#8, SEC1 or PKCS#1.
    pub key: PathBuf,
    /// Authorities of client certificates, PEM. When given, a client without a certificate of theirs is not served.
    pub client_ca: Option<PathBuf>,
}

/// The files do not make a TLS server.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Cannot be read, or is not PEM.
    #[error("cannot read `{path}` as PEM; check that the file is there, readable and of the right kind")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// No certificate in it.
    #[error("there is no certificate in `{0}`")]
    NoCertificate(PathBuf),
    /// The authorities of clients cannot be used.
    #[error("cannot use the client authorities in `{path}`: {reason}")]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key are unusable, or not of one pair.
    #[error("cannot use the certificate in `{certificate}` with the key in `{key}`")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// The TLS settings that new connections are accepted with. Open connections keep those that they began with.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    seen: Mutex<Stamps>,
}

/// Modification time and length of each file; none when it cannot be looked at.
type Stamps = Vec<Option<(SystemTime, u64)>>;

impl Tls {
    /// Reads the files. Blocks on them.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        // Looked at before they are read: a change in between is seen the next time.
        let seen = files.stamps();
        let config = files.read()?;
        Ok(Self(Arc::new(Inner { files, config: ArcSwap::from_pointee(config), seen: Mutex::new(seen) })))
    }

    /// Reads the files again. After an error the old settings stay. Blocks on the files.
    pub fn reload(&self) -> Result<(), TlsError> {
        *self.0.seen.lock() = self.0.files.stamps();
        self.0.config.store(Arc::new(self.0.files.read()?));
        Ok(())
    }

    /// Reads the files again if one has changed since they were last read, successfully or not; says whether one had. Blocks on
    /// the files.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        if *self.0.seen.lock() == self.0.files.stamps() {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    /// Looks at the files every so often, for ever; [`super::serve`] does this by itself.
    pub(super) async fn watch(self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let tls = self.clone();
            match tokio::task::spawn_blocking(move || tls.reload_if_changed()).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => tracing::info!(certificate = %self.0.files.certificate.display(), "certificates reloaded"),
                Ok(Err(error)) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, source, "certificates not reloaded; the old ones stay");
                }
                Err(_) => return,
            }
        }
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.0.config.load_full()
    }
}

impl TlsFiles {
    fn stamps(&self) -> Stamps {
        let stamp = |path: &PathBuf| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).map(stamp).collect()
    }

    fn read(&self) -> Result<ServerConfig, TlsError> {
        let pair = |source| TlsError::Pair { certificate: self.certificate.clone(), key: self.key.clone(), source };
        let provider = Arc::new(default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(pair)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let wrong = |reason: String| TlsError::ClientCa { path: path.clone(), reason };
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| wrong(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|source| TlsError::Pem { path: self.key.clone(), source })?;
        let mut config = builder.with_single_cert(certificates(&self.certificate)?, key).map_err(pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |source| TlsError::Pem { path: path.to_owned(), source };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path).map_err(pem)?.collect::<Result<_, _>>().map_err(pem)?;
    if certificates.is_empty() { Err(TlsError::NoCertificate(path.to_owned())) } else { Ok(certificates) }
}
