//! How a REST peer is reached: the part of the configuration that MCS, Vital Link and ward REST share.

use std::path::PathBuf;
use std::time::Duration;

use renkei_core::Wire;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::problem::ConfigProblem;
use crate::secret::Secret;

/// Where a peer is, how the hub proves who it is, and how long it waits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Start of every address, without a path: `https://mcs.example.jp`. Plain `http://` only to
    /// this machine.
    pub endpoint: String,
    /// OAuth2 client id the peer gave out.
    pub client_id: String,
    /// OAuth2 client secret, by reference.
    pub secret: Secret,
    /// Longest wait for one answer, in milliseconds, connecting included. Default 5000.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Longest wait while a document is handed over, in milliseconds. Default 60000.
    #[serde(default = "upload_timeout_ms")]
    pub upload_timeout_ms: u64,
    /// Deliveries under way at once, each for another person. Default 8.
    #[serde(default = "parallel")]
    pub parallel: usize,
    /// PEM file with the authorities the peer's certificate must come from. Default: those of the
    /// machine.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// PEM file with the hub's client certificate and its private key, for peers that ask for one.
    /// Default: none.
    #[serde(default)]
    pub identity_file: Option<PathBuf>,
    /// YAML file with the peer's own words (paths, bodies, signature, errors; `adapters/DIALECTS.md`);
    /// a relative one starts at the folder of the configuration. Default: the contract's words.
    #[serde(default)]
    pub dialect: Option<PathBuf>,
    /// The key calls are signed with, by reference, where the dialect has a `signature:`.
    #[serde(default)]
    pub signing_key: Option<Secret>,
}

fn timeout_ms() -> u64 {
    5_000
}

fn upload_timeout_ms() -> u64 {
    60_000
}

fn parallel() -> usize {
    8
}

impl Connection {
    /// Everything wrong with it; reads no file and asks nobody.
    pub fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut bad = |field: &str, reason: &str| {
            problems.push(ConfigProblem::invalid(
                format!("connection.{field}"),
                reason,
            ));
        };
        match reqwest::Url::parse(&self.endpoint) {
            Ok(url) if url.path() != "/" || url.query().is_some() || url.fragment().is_some() => {
                bad(
                    "endpoint",
                    "has a path; only scheme, host and port stand here",
                );
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                bad(
                    "endpoint",
                    "holds credentials; use `client_id` and `secret`",
                );
            }
            Ok(url) if url.scheme() == "https" => {}
            Ok(url) if url.scheme() == "http" && is_this_machine(&url) => {}
            Ok(_) => bad(
                "endpoint",
                "must be https:// (http:// only to this machine)",
            ),
            Err(_) => bad("endpoint", "is not a web address"),
        }
        if self.client_id.trim().is_empty() {
            bad("client_id", "is empty");
        }
        if self.timeout_ms == 0 {
            bad("timeout_ms", "must be at least 1");
        }
        if self.upload_timeout_ms == 0 {
            bad("upload_timeout_ms", "must be at least 1");
        }
        if self.parallel == 0 {
            bad("parallel", "must be at least 1");
        }
        if self.signing_key.is_some() && self.dialect.is_none() {
            bad("signing_key", "is of no use without `dialect`");
        }
        problems
    }

    /// What of it does not fit the dialect that was loaded; reads the key once, so that a missing one is
    /// found at the start.
    pub fn fits(&self, wire: Option<&dyn Wire>) -> Option<ConfigProblem> {
        let problem = |field: &str, reason: String| {
            Some(ConfigProblem::invalid(
                format!("connection.{field}"),
                reason,
            ))
        };
        match (wire, &self.signing_key) {
            (None, _) if self.dialect.is_some() => problem("dialect", "was not loaded".to_owned()),
            (Some(wire), None) if wire.signature().is_some() => problem(
                "signing_key",
                "is missing: the dialect signs its calls".to_owned(),
            ),
            (Some(wire), Some(_)) if wire.signature().is_none() => problem(
                "signing_key",
                "is of no use: the dialect signs nothing".to_owned(),
            ),
            (_, Some(key)) => key
                .read()
                .err()
                .and_then(|error| problem("signing_key", renkei_core::chain(&error))),
            _ => None,
        }
    }

    /// Whether the peer is on this machine: a simulator.
    pub fn stays_on_this_machine(&self) -> bool {
        reqwest::Url::parse(&self.endpoint).is_ok_and(|url| is_this_machine(&url))
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) fn upload_timeout(&self) -> Duration {
        Duration::from_millis(self.upload_timeout_ms)
    }
}

pub(super) fn is_this_machine(url: &reqwest::Url) -> bool {
    url.host_str().is_some_and(|host| {
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_endpoints_leave_the_machine() {
        let problems = |endpoint: &str| {
            toml::from_str::<Connection>(&format!(
                "endpoint = '{endpoint}'\nclient_id = 'renkei'\nsecret = {{ env = 'X' }}"
            ))
            .unwrap()
            .check()
            .len()
        };
        assert_eq!(problems("https://peer.example"), 0);
        assert_eq!(problems("http://127.0.0.1:18081"), 0);
        assert_eq!(problems("http://[::1]:18081"), 0);
        assert_eq!(problems("http://peer.example"), 1);
        assert_eq!(problems("https://peer.example/v1"), 1);
        assert_eq!(problems("https://user:pass@peer.example"), 1);
        assert_eq!(problems("peer.example"), 1);
    }
}
