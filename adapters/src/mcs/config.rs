//! The settings of an MCS peer (or of any other peer that speaks `sns-gateway/1`).

use std::net::SocketAddr;
use std::time::Duration;

use renkei_core::{Code, FacilityId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Dialect;
use crate::exposure::{self, Plaintext};
use crate::http::Connection;
use crate::problem::ConfigProblem;
use crate::secret::Secret;

/// One MCS account of one facility, for sending and for hearing back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the peer is and how the hub proves who it is.
    pub connection: Connection,
    /// The facility the account acts for, ten digits.
    pub facility: FacilityId,
    /// The peer's user id of the facility's system account; it must be a member of every group that
    /// is posted to.
    pub user_ref: String,
    /// The profession the system account is registered with. Default `medical-clerk`.
    #[serde(default = "profession")]
    pub profession: String,
    /// Seconds between looks at the list of new 了解; 0 = never look. Default 30.
    #[serde(default = "poll_secs")]
    pub poll_secs: u64,
    /// Receives the peer's events as they happen. Default: none, 了解 are only looked up.
    #[serde(default)]
    pub webhook: Option<Webhook>,
    /// The peer's words, where they differ from the contract's.
    #[serde(default)]
    pub dialect: Option<Dialect>,
}

/// Where the peer's events arrive.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Address to listen on. Beyond this machine only with `plaintext`, behind a proxy that ends TLS.
    pub listen: SocketAddr,
    /// The key the peer signs with, by reference.
    pub secret: Secret,
    /// The written exception for listening beyond this machine. Default: none.
    #[serde(default)]
    pub plaintext: Option<Plaintext>,
}

fn profession() -> String {
    renkei_core::Profession::MedicalClerk.code().to_owned()
}

fn poll_secs() -> u64 {
    30
}

impl Config {
    /// Everything wrong with the settings; reads no file and asks nobody.
    pub fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = self.connection.check();
        if self.user_ref.trim().is_empty() {
            problems.push(ConfigProblem::invalid("user_ref", "is empty"));
        }
        if let Some(webhook) = &self.webhook {
            let exposed = exposure::problems(webhook.listen, None, webhook.plaintext.as_ref());
            problems.extend(exposed.into_iter().map(|reason| ConfigProblem {
                code: Code::CFG_EXPOSED,
                field: "webhook".to_owned(),
                reason,
            }));
        }
        if self.dialect.is_some() && self.connection.dialect.is_some() {
            let reason = "stands beside `connection.dialect`: one of them says the peer's words";
            problems.push(ConfigProblem::invalid("dialect", reason));
        }
        if self.webhook.is_some() && self.connection.dialect.is_some() {
            let reason =
                "speaks the contract's words only; with `connection.dialect` the peer is polled";
            problems.push(ConfigProblem::invalid("webhook", reason));
        }
        if let Some(dialect) = &self.dialect {
            if !dialect.base.starts_with('/') || dialect.base.ends_with('/') {
                let reason = "begins with a slash and does not end with one";
                problems.push(ConfigProblem::invalid("dialect.base", reason));
            }
            if reqwest::header::HeaderName::try_from(dialect.key_header.as_str()).is_err() {
                let reason = "is not the name of a header";
                problems.push(ConfigProblem::invalid("dialect.key_header", reason));
            }
        }
        problems
    }

    /// Whether peer and events stay on this machine: a simulator.
    pub fn stays_on_this_machine(&self) -> bool {
        self.connection.stays_on_this_machine()
            && self
                .webhook
                .as_ref()
                .is_none_or(|webhook| webhook.listen.ip().is_loopback())
    }

    pub(super) fn poll(&self) -> Option<Duration> {
        (self.poll_secs > 0).then(|| Duration::from_secs(self.poll_secs))
    }
}
