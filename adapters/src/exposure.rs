//! Who may connect to a listener: the rule that nothing listens beyond loopback without client
//! certificates, and the written exception from it.
//!
//! Called by every adapter that listens. It decides about addresses only; certificates are checked
//! by [`crate::tls`].

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use renkei_core::Code;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tls;

/// The exception: a listener beyond loopback without client certificates, for peers that cannot do
/// TLS, inside a closed network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plaintext {
    /// Networks that may connect, in CIDR form; everybody else is disconnected at once. At least
    /// one, and not a whole address family. Example: `["192.168.10.0/24"]`.
    pub allow_from: Vec<Network>,
    /// Why this is acceptable, for the auditor. Example: `"HIS vendor has no TLS; ward VLAN only"`.
    pub reason: String,
}

/// A network in CIDR form, `192.168.10.0/24`; a bare address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is not an address with an optional prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network is written as `192.168.10.0/24` or `2001:db8::/32`")]
pub struct BadNetwork;

impl Network {
    /// Whether the address lies inside. An IPv4 address in its IPv6-mapped form counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => same_start(
                u128::from(network.to_bits()) << 96,
                u128::from(address.to_bits()) << 96,
                self.prefix,
            ),
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same_start(network.to_bits(), address.to_bits(), self.prefix)
            }
            _ => false,
        }
    }
}

fn same_start(one: u128, other: u128, prefix: u8) -> bool {
    prefix == 0 || (one ^ other) >> (128 - u32::from(prefix)) == 0
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadNetwork)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| BadNetwork)?,
            None => longest,
        };
        if prefix > longest {
            return Err(BadNetwork);
        }
        Ok(Self { address, prefix })
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}/{}", self.address, self.prefix))
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "examples": ["192.168.10.0/24"] })
    }
}

/// What is wrong with the exposure of a listener; empty when nothing is. Each line starts with its
/// code where it has one of its own.
pub fn problems(
    listen: SocketAddr,
    tls: Option<&tls::Server>,
    plaintext: Option<&Plaintext>,
) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(plaintext) = plaintext {
        if plaintext.allow_from.is_empty() {
            problems.push("`plaintext.allow_from` names no network".to_owned());
        }
        if plaintext
            .allow_from
            .iter()
            .any(|network| network.prefix == 0)
        {
            problems.push("`plaintext.allow_from` allows every address".to_owned());
        }
        if plaintext.reason.trim().is_empty() {
            problems.push("`plaintext.reason` is empty".to_owned());
        }
    }
    let asks_for_certificates = tls.is_some_and(|tls| tls.client_ca.is_some());
    if !listen.ip().is_loopback() && !asks_for_certificates && plaintext.is_none() {
        problems.push(format!(
            "{}: `listen = \"{listen}\"` is reachable from other machines: set `tls` with `client_ca`, or \
             `plaintext = {{ allow_from = [...], reason = \"...\" }}`",
            Code::CFG_EXPOSED
        ));
    }
    problems
}

/// Whether a peer at this address may connect at all.
pub fn admits(plaintext: Option<&Plaintext>, peer: IpAddr) -> bool {
    plaintext.is_none_or(|plaintext| {
        plaintext
            .allow_from
            .iter()
            .any(|network| network.contains(peer))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plaintext(networks: &[&str]) -> Plaintext {
        Plaintext {
            allow_from: networks.iter().map(|text| text.parse().unwrap()).collect(),
            reason: "closed ward network".to_owned(),
        }
    }

    #[test]
    fn networks_contain_their_addresses() {
        let cases = [
            ("192.168.10.0/24", "192.168.10.77", true),
            ("192.168.10.0/24", "192.168.11.1", false),
            ("192.168.10.9", "192.168.10.9", true),
            ("192.168.10.9", "192.168.10.8", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "10.0.0.1", false),
            ("0.0.0.0/0", "203.0.113.5", true),
        ];
        for (network, address, inside) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(
                network.contains(address.parse().unwrap()),
                inside,
                "{network:?} {address}"
            );
        }
        for bad in [
            "",
            "192.168.10.0/33",
            "host/24",
            "192.168.10.0/",
            "192.168.10.0/-1",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_listener_beyond_loopback_needs_certificates_or_a_reason() {
        let inside: SocketAddr = "127.0.0.1:2575".parse().unwrap();
        let outside: SocketAddr = "0.0.0.0:2575".parse().unwrap();
        let mut tls = tls::Server {
            cert: "hub.pem".into(),
            key: "hub.key".into(),
            client_ca: None,
        };
        assert!(problems(inside, None, None).is_empty());
        assert!(problems(outside, None, None)[0].starts_with("RNK-CFG-002"));
        assert!(problems(outside, Some(&tls), None)[0].starts_with("RNK-CFG-002"));
        tls.client_ca = Some("ca.pem".into());
        assert!(problems(outside, Some(&tls), None).is_empty());
        assert!(problems(outside, None, Some(&plaintext(&["10.1.0.0/16"]))).is_empty());
        assert_eq!(problems(outside, None, Some(&plaintext(&[]))).len(), 1);
        assert_eq!(
            problems(outside, None, Some(&plaintext(&["0.0.0.0/0"]))).len(),
            1
        );
    }

    #[test]
    fn only_listed_networks_are_let_in() {
        let rule = plaintext(&["10.1.0.0/16"]);
        assert!(admits(Some(&rule), "10.1.2.3".parse().unwrap()));
        assert!(!admits(Some(&rule), "10.2.2.3".parse().unwrap()));
        assert!(admits(None, "10.2.2.3".parse().unwrap()));
    }
}
