//! How a NATS server is reached: the part of the configuration that the source, the sink and the wake
//! signal share, and the client made of it.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use renkei_core::{BoxError, Code, SendError};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::problem::ConfigProblem;
use crate::secret::{Secret, SecretError};

/// Where the server is, how the hub proves who it is, and how long it waits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Addresses of one server or of the servers of one cluster; others that a server names are not
    /// used. `nats://` only to this machine, `tls://` to any other. No credentials stand in an address.
    /// Example: `["tls://nats1.example:4222", "tls://nats2.example:4222"]`.
    pub servers: Vec<String>,
    /// How the hub proves who it is, beside or instead of a client certificate. Default: nothing.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// PEM file with further authorities the server's certificate may come from. Default: those of
    /// the machine.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The hub's client certificate, for servers that ask for one. Default: none.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// Longest wait for a connection or for one answer, in milliseconds. Default: 5000.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
}

/// How the hub proves who it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// A token, by reference.
    Token(Secret),
    /// A user with a password.
    User(User),
}

/// A user of the NATS server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name. Example: `"renkei"`.
    pub name: String,
    /// Its password, by reference.
    pub password: Secret,
}

/// A client certificate.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// PEM file with the certificate.
    pub cert: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

fn timeout_ms() -> u64 {
    5_000
}

/// No connection. Holds no address and no secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("the credentials cannot be had")]
    Secret(#[from] SecretError),
    #[error("the NATS server does not accept our credentials")]
    Refused(#[source] async_nats::ConnectError),
    #[error("the NATS server cannot be reached")]
    Unreachable(#[source] BoxError),
}

impl ConnectError {
    /// What it means for a probe.
    pub(super) fn into_send_error(self) -> SendError {
        match self {
            Self::Refused(_) => SendError::Refused {
                code: Code::DLV_CREDENTIALS,
            },
            Self::Secret(_) | Self::Unreachable(_) => SendError::Unavailable(self.into()),
        }
    }
}

impl Connection {
    /// One server with every default.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            servers: vec![server.into()],
            auth: None,
            ca_file: None,
            identity: None,
            timeout_ms: timeout_ms(),
        }
    }

    /// Everything wrong with it; reads no file and asks nobody. An address is never repeated: it may
    /// hold a password.
    pub fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut bad = |field: &str, reason: String| {
            problems.push(ConfigProblem::invalid(
                format!("connection.{field}"),
                reason,
            ));
        };
        if self.servers.is_empty() {
            bad("servers", "names no server".to_owned());
        }
        for (at, server) in self.servers.iter().enumerate() {
            if let Err(reason) = usable(server) {
                bad("servers", format!("number {} {reason}", at + 1));
            }
        }
        if self.timeout_ms == 0 {
            bad("timeout_ms", "must be at least 1".to_owned());
        }
        problems
    }

    /// Whether the server is on this machine.
    pub fn stays_on_this_machine(&self) -> bool {
        let mut addresses = self
            .servers
            .iter()
            .map(|server| server.parse::<ServerAddr>());
        addresses.all(|address| address.is_ok_and(|address| is_this_machine(&address)))
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Connects, and stays connected: a lost connection comes back by itself. `heard` is told about it.
    pub(super) async fn connect(
        &self,
        name: String,
        heard: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<Client, ConnectError> {
        // An error only says that the process already has a provider.
        let _known = rustls::crypto::ring::default_provider().install_default();
        let mut addresses = Vec::new();
        for server in &self.servers {
            let address = server.parse::<ServerAddr>();
            addresses.push(address.map_err(|error| ConnectError::Unreachable(error.into()))?);
        }
        let encrypted = addresses.iter().any(ServerAddr::tls_required);
        let mut options = ConnectOptions::new()
            .name(name)
            .no_echo()
            .require_tls(encrypted)
            .ignore_discovered_servers()
            .connection_timeout(self.timeout())
            .request_timeout(Some(self.timeout()))
            .event_callback(move |event| {
                heard(&event);
                std::future::ready(())
            });
        options = match &self.auth {
            None => options,
            Some(Auth::Token(token)) => options.token(token.read()?),
            Some(Auth::User(user)) => {
                options.user_and_password(user.name.clone(), user.password.read()?)
            }
        };
        if let Some(path) = &self.ca_file {
            options = options.add_root_certificates(path.clone());
        }
        if let Some(identity) = &self.identity {
            options = options.add_client_certificate(identity.cert.clone(), identity.key.clone());
        }
        options.connect(addresses).await.map_err(|error| {
            match error.kind() {
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                    ConnectError::Refused(error)
                }
                // The text of the others may name the address.
                kind => ConnectError::Unreachable(kind.to_string().into()),
            }
        })
    }
}

/// Whether a log line may be written: below `info` the NATS client prints what it sends and receives,
/// patients' messages and our credentials included. Every log of the hub asks this first.
pub fn may_be_logged(metadata: &tracing::Metadata<'_>) -> bool {
    let is_client = metadata.target().starts_with("async_nats");
    !is_client || *metadata.level() <= tracing::Level::INFO
}

fn usable(server: &str) -> Result<(), &'static str> {
    let address: ServerAddr = server
        .parse()
        .map_err(|_| "is not an address such as `nats://127.0.0.1:4222`")?;
    if address.has_user_pass() || address.username().is_some() {
        return Err("holds credentials; use `auth`");
    }
    match address.scheme() {
        "tls" => Ok(()),
        "nats" if is_this_machine(&address) => Ok(()),
        _ => Err("must begin with `tls://` (`nats://` only to this machine)"),
    }
}

fn is_this_machine(address: &ServerAddr) -> bool {
    let host = address.host();
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_connections_leave_the_machine_and_no_address_holds_a_secret() {
        let problems = |server: &str| Connection::new(server).check();
        for fine in [
            "nats://127.0.0.1:4222",
            "nats://localhost",
            "nats://[::1]:4222",
            "tls://nats.example:4222",
        ] {
            assert!(problems(fine).is_empty(), "{fine}");
        }
        for bad in [
            "nats://nats.example:4222",
            "nats.example",
            "ws://127.0.0.1",
            "tls://renkei:hunter2@nats.example",
            "tls://hunter2@nats.example",
            "",
        ] {
            let found = problems(bad);
            assert_eq!(found.len(), 1, "{bad}");
            assert!(!found[0].to_string().contains("hunter2"));
        }
    }

    #[test]
    fn credentials_are_references() {
        let read = |text: &str| toml::from_str::<Connection>(text);
        let user = "servers = ['tls://n']\nauth.user = { name = 'r', password = { env = 'X' } }";
        assert!(read(user).unwrap().check().is_empty());
        assert!(read("servers = ['tls://n']\nauth.token = { file = '/x' }").is_ok());
        let error = read("servers = ['tls://n']\nauth.token = 'hunter2'").unwrap_err();
        assert!(!error.message().contains("hunter2"));
    }
}
