//! What an operator writes about one address that files are posted to.

use std::net::SocketAddr;

use renkei_core::{Code, FacilityId, limits};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::exposure::{self, Plaintext};
use crate::secret::Secret;
use crate::{local_id, tls};

/// One address that files or HL7 v2 messages are posted to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on. Beyond loopback it needs `tls` with `client_ca`, or
    /// `plaintext` (behind a proxy that ends TLS). Example: `"127.0.0.1:8443"`.
    pub listen: SocketAddr,
    /// The facility whose files these are, its ten-digit number. Example: `"1312345670"`.
    pub facility: FacilityId,
    /// What senders show as `Authorization: Bearer …`, by reference; read again for each request.
    pub token: Secret,
    /// Largest body in bytes; larger ones are answered 413. Default and maximum: 67108864 (64 MiB).
    #[serde(default = "max_body_bytes")]
    pub max_body_bytes: usize,
    /// How patient numbers are spelled. Default: as sent.
    #[serde(default)]
    pub local_id: local_id::Rule,
    /// TLS. Default: none.
    #[serde(default)]
    pub tls: Option<tls::Server>,
    /// Permission to listen beyond loopback without client certificates. Default: none.
    #[serde(default)]
    pub plaintext: Option<Plaintext>,
}

fn max_body_bytes() -> usize {
    limits::LOCAL_INPUT_BYTES
}

impl Config {
    /// An address on loopback with every default.
    pub fn new(listen: SocketAddr, facility: FacilityId, token: Secret) -> Self {
        Self {
            listen,
            facility,
            token,
            max_body_bytes: max_body_bytes(),
            local_id: local_id::Rule::default(),
            tls: None,
            plaintext: None,
        }
    }

    /// Everything that is wrong with it; empty when it can be used. Reads no file.
    pub fn validate(&self) -> Vec<String> {
        let mut problems =
            exposure::problems(self.listen, self.tls.as_ref(), self.plaintext.as_ref());
        if self.max_body_bytes == 0 || self.max_body_bytes > limits::LOCAL_INPUT_BYTES {
            problems.push(format!(
                "{}: `max_body_bytes` must be between 1 and {}",
                Code::CFG_INVALID,
                limits::LOCAL_INPUT_BYTES
            ));
        }
        problems
    }
}
