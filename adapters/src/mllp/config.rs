//! What an operator writes about one MLLP listener.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use renkei_core::{Code, FacilityId, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exposure::{self, Plaintext};
use crate::{local_id, tls};

/// One MLLP listener. Exactly one of `facility`, `facility_by_sender` and `facility_by_client` says
/// which facility speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on. Beyond loopback it needs `tls` with `client_ca`, or
    /// `plaintext`. Example: `"127.0.0.1:2575"`.
    pub listen: SocketAddr,
    /// The facility that everything on this port comes from, its ten-digit number.
    /// Example: `"1312345670"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facility: Option<FacilityId>,
    /// Facilities by sending facility (MSH-4, first component, exactly as sent), for a port that
    /// several facilities share. Others are answered AR. Example: `{ KAKU = "1312345670" }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facility_by_sender: BTreeMap<String, FacilityId>,
    /// Facilities by client certificate: a DNS name in the certificate, or `sha256:` and its
    /// fingerprint. Others are answered AR. Example: `{ "his.kaku.example" = "1312345670" }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facility_by_client: BTreeMap<String, FacilityId>,
    /// When a message is acknowledged: `"stored"` = committed, or `"processed"` = its effects are
    /// committed too, or it waits for a person. Default: `"stored"`.
    #[serde(default)]
    pub ack: Ack,
    /// A connection without any traffic for this many seconds is closed; 0 = never. Default: 900.
    #[serde(default = "idle_timeout_secs")]
    pub idle_timeout_secs: u64,
    /// Largest frame in bytes; larger ones are answered AR and the connection is closed.
    /// Default and maximum: 33554432 (32 MiB).
    #[serde(default = "max_frame_bytes")]
    pub max_frame_bytes: usize,
    /// Connections at a time; further ones are closed at once. Default: 512.
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    /// How patient numbers (PID-3.1) are spelled. Default: as sent.
    #[serde(default)]
    pub local_id: local_id::Rule,
    /// TLS. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<tls::Server>,
    /// Permission to listen beyond loopback without client certificates. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<Plaintext>,
}

/// When a message is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// After it was committed to the inbox.
    #[default]
    Stored,
    /// After its effects were committed or it was parked (AA), or it failed (AE).
    Processed,
}

fn idle_timeout_secs() -> u64 {
    900
}

fn max_frame_bytes() -> usize {
    limits::FRAME_BYTES
}

fn max_connections() -> usize {
    512
}

impl Config {
    /// A listener for one facility with every default.
    pub fn new(listen: SocketAddr, facility: FacilityId) -> Self {
        Self {
            listen,
            facility: Some(facility),
            facility_by_sender: BTreeMap::new(),
            facility_by_client: BTreeMap::new(),
            ack: Ack::default(),
            idle_timeout_secs: idle_timeout_secs(),
            max_frame_bytes: max_frame_bytes(),
            max_connections: max_connections(),
            local_id: local_id::Rule::default(),
            tls: None,
            plaintext: None,
        }
    }

    /// Everything that is wrong with it; empty when it can be used. Reads no file.
    pub fn validate(&self) -> Vec<String> {
        let mut problems =
            exposure::problems(self.listen, self.tls.as_ref(), self.plaintext.as_ref());
        let ways = usize::from(self.facility.is_some())
            + usize::from(!self.facility_by_sender.is_empty())
            + usize::from(!self.facility_by_client.is_empty());
        if ways != 1 {
            problems.push(format!(
                "{}: set exactly one of `facility`, `facility_by_sender`, `facility_by_client` ({ways} are set)",
                Code::CFG_INVALID
            ));
        }
        let asks_for_certificates = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if !self.facility_by_client.is_empty() && !asks_for_certificates {
            problems.push(format!(
                "{}: `facility_by_client` needs `tls` with `client_ca`",
                Code::CFG_INVALID
            ));
        }
        if self.max_frame_bytes == 0 || self.max_frame_bytes > limits::FRAME_BYTES {
            problems.push(format!(
                "{}: `max_frame_bytes` must be between 1 and {}",
                Code::CFG_INVALID,
                limits::FRAME_BYTES
            ));
        }
        if self.max_connections == 0 {
            problems.push(format!("{}: `max_connections` is 0", Code::CFG_INVALID));
        }
        problems
    }

    /// The idle timeout, unless it is switched off.
    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        (self.idle_timeout_secs > 0).then(|| Duration::from_secs(self.idle_timeout_secs))
    }
}
