//! The TLS side of a listener: certificate, key and the authority its clients must come from.
//!
//! rustls with the ring provider, named explicitly, so that no process-wide default is needed.
//! Outgoing connections are not made here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use renkei_core::{BoxError, Code, SourceError};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

/// A TLS handshake may take this long.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// The TLS settings of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// PEM file with the listener's certificate and its intermediates, own certificate first.
    /// Example: `"/etc/renkei/hub.pem"`.
    pub cert: PathBuf,
    /// PEM file with the private key. Example: `"/run/secrets/hub.key"`.
    pub key: PathBuf,
    /// PEM file with the authorities that client certificates must come from. With it, clients
    /// without a certificate are refused. Needed beyond loopback. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be used", path.display())]
pub struct Error {
    /// The file at fault.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub source: BoxError,
}

/// What a listener greets its clients with; nothing where no TLS is configured.
///
/// # Errors
/// [`SourceError`] with the file that cannot be used.
pub(crate) fn acceptor(settings: Option<&Server>) -> Result<Option<TlsAcceptor>, SourceError> {
    let loaded = settings.map(Server::load).transpose();
    let loaded = loaded.map_err(|error| SourceError {
        code: Code::CFG_INVALID,
        reason: "TLS cannot be set up".to_owned(),
        source: Some(error.into()),
    })?;
    Ok(loaded.map(TlsAcceptor::from))
}

impl Server {
    /// Reads the files and makes the rustls configuration.
    ///
    /// # Errors
    /// [`Error`] with the file that cannot be read, parsed or matched to the others.
    pub fn load(&self) -> Result<Arc<rustls::ServerConfig>, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(at(&self.cert))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path)? {
                    roots.add(authority).map_err(at(path))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(at(path))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(at(&self.key))?;
        let config = builder
            .with_single_cert(certificates(&self.cert)?, key)
            .map_err(at(&self.cert))?;
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(at(path))?
        .collect::<Result<_, _>>()
        .map_err(at(path))?;
    if found.is_empty() {
        return Err(at(path)("no certificate in this file"));
    }
    Ok(found)
}

fn at<E: Into<BoxError>>(path: &Path) -> impl Fn(E) -> Error {
    move |source| Error {
        path: path.to_owned(),
        source: source.into(),
    }
}

/// Whether a client certificate goes by this name: a DNS name in its subject alternative names, or
/// `sha256:` and the hexadecimal SHA-256 of the whole certificate, for certificates without one.
pub fn goes_by(certificate: &CertificateDer<'_>, name: &str) -> bool {
    if let Some(fingerprint) = name.strip_prefix("sha256:") {
        let hash = hexadecimal(&Sha256::digest(certificate.as_ref()));
        return fingerprint.replace(':', "").eq_ignore_ascii_case(&hash);
    }
    let Ok(name) = ServerName::try_from(name) else {
        return false;
    };
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, &name).is_ok())
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
