//! What an operator writes about watching: `[observe]` and `[observe.alarms]`.

use std::net::SocketAddr;

use renkei_adapters::exposure::{self, Plaintext};
use renkei_core::Code;
use schemars::JsonSchema;
use serde::Deserialize;

/// How the hub is watched.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Observe {
    /// Address and port of `/metrics` (Prometheus), `/healthz` and `/readyz`. Beyond loopback it needs
    /// `plaintext`. Default: none is opened. Example: `"127.0.0.1:9464"`.
    pub listen: Option<SocketAddr>,
    /// Permission to listen beyond loopback. Default: none.
    pub plaintext: Option<Plaintext>,
}

impl Observe {
    /// Everything that is wrong with it, each with its code and the field below `observe`.
    pub fn problems(&self) -> Vec<(Code, String)> {
        let mut problems = Vec::new();
        match self.listen {
            Some(listen) => {
                let exposed = exposure::problems(listen, None, self.plaintext.as_ref());
                problems.extend(
                    exposed
                        .into_iter()
                        .map(|reason| (Code::CFG_EXPOSED, reason)),
                );
            }
            None if self.plaintext.is_some() => problems.push((
                Code::CFG_INVALID,
                "`plaintext` without `listen` permits nothing".to_owned(),
            )),
            None => {}
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<Code> {
        let observe: Observe = toml::from_str(text).unwrap();
        observe
            .problems()
            .into_iter()
            .map(|(code, _)| code)
            .collect()
    }

    #[test]
    fn nothing_is_shown_beyond_this_machine_without_a_written_reason() {
        assert_eq!(problems(""), []);
        assert_eq!(problems("listen = '127.0.0.1:9464'"), []);
        assert_eq!(problems("listen = '0.0.0.0:9464'"), [Code::CFG_EXPOSED]);
        let exception = "plaintext = { allow_from = ['10.1.0.0/16'], reason = 'monitoring VLAN' }";
        assert_eq!(
            problems(&format!("listen = '10.1.2.3:9464'\n{exception}")),
            []
        );
        assert_eq!(problems(exception), [Code::CFG_INVALID]);
    }
}
