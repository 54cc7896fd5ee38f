//! What an operator writes about watching: `[observe]` and `[observe.alarms]`.

use std::net::SocketAddr;

use renkei_adapters::exposure::{self, Plaintext};
use renkei_adapters::http::Hook;
use renkei_adapters::secret::Secret;
use renkei_core::Code;
use schemars::JsonSchema;
use serde::Deserialize;

/// How the hub is watched.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Observe {
    /// Address and port of `/metrics` (Prometheus), `/healthz` and `/readyz`. Beyond loopback it needs
    /// `plaintext`. Default: none is opened. Example: `"127.0.0.1:9464"`.
    pub listen: Option<SocketAddr>,
    /// Permission to listen beyond loopback. Default: none.
    pub plaintext: Option<Plaintext>,
    /// Seconds between two readings of how the queues stand. Default: 5.
    pub every_secs: u64,
    /// Where traces go: the base address of an OpenTelemetry collector (OTLP over HTTP). Needs a hub
    /// built with the feature `otel`. Default: nowhere. Example: `"http://127.0.0.1:4318"`.
    pub otlp: Option<String>,
    /// What the hub raises an alarm about by itself.
    pub alarms: Alarms,
}

impl Default for Observe {
    fn default() -> Self {
        Self {
            listen: None,
            plaintext: None,
            every_secs: 5,
            otlp: None,
            alarms: Alarms::default(),
        }
    }
}

/// What the hub raises an alarm about by itself: once when it begins, once when it is over. 0 = never.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Alarms {
    /// The oldest waiting message is older than this, in seconds. Default: 600.
    pub oldest_waiting_secs: u64,
    /// The oldest delivery waiting for a sink is older than this, in seconds. Default: 3600.
    pub oldest_pending_secs: u64,
    /// So many messages are parked. Default: 1.
    pub parked: u64,
    /// So many deliveries are dead, those that were replaced or recalled aside. Default: 1.
    pub dead: u64,
    /// Less than this share of the ledger's disk is free, in percent. Accepting stops at 5 percent or
    /// 1 GiB, whichever is more. Default: 10.
    pub free_space_percent: u64,
    /// A sink is paused for longer than this while something waits for it, in seconds. Default: 600.
    pub sink_paused_secs: u64,
    /// An alarm is over when all has been well for this long, in seconds. Default: 300.
    pub good_for_secs: u64,
    /// An address that is told of each alarm as JSON, without patient data. `https://`, or `http://` to
    /// this machine. Default: none. Example: `"https://alarm.example.jp/renkei"`.
    pub webhook: Option<String>,
    /// A secret that goes along as `Authorization: Bearer`. Default: none.
    pub webhook_secret: Option<Secret>,
}

impl Default for Alarms {
    fn default() -> Self {
        Self {
            oldest_waiting_secs: 600,
            oldest_pending_secs: 3_600,
            parked: 1,
            dead: 1,
            free_space_percent: 10,
            sink_paused_secs: 600,
            good_for_secs: 300,
            webhook: None,
            webhook_secret: None,
        }
    }
}

/// One thing wrong: its code, the field below `observe`, and why.
pub(crate) type Wrong = (Code, &'static str, String);

impl Observe {
    /// Everything that is wrong with it.
    pub(crate) fn problems(&self) -> Vec<Wrong> {
        let mut problems: Vec<Wrong> = Vec::new();
        if let Some(listen) = self.listen {
            let exposed = exposure::problems(listen, None, self.plaintext.as_ref());
            problems.extend(
                exposed
                    .into_iter()
                    .map(|why| (Code::CFG_EXPOSED, "listen", why)),
            );
        } else if self.plaintext.is_some() {
            let why = "permits nothing without `listen`".to_owned();
            problems.push((Code::CFG_INVALID, "plaintext", why));
        }
        for (field, address) in self.addresses() {
            if let Err(wrong) = Hook::check(address) {
                problems.push((Code::CFG_INVALID, field, wrong.reason));
            }
        }
        let alarms = &self.alarms;
        if alarms.webhook_secret.is_some() && alarms.webhook.is_none() {
            let why = "is for nobody without `webhook`".to_owned();
            problems.push((Code::CFG_INVALID, "alarms.webhook_secret", why));
        }
        if alarms.free_space_percent > 100 {
            let why = "is more than everything".to_owned();
            problems.push((Code::CFG_INVALID, "alarms.free_space_percent", why));
        }
        if self.every_secs == 0 {
            problems.push((
                Code::CFG_INVALID,
                "every_secs",
                "must be at least 1".to_owned(),
            ));
        }
        if self.otlp.is_some() && cfg!(not(feature = "otel")) {
            let why = "needs a renkei built with the feature `otel`".to_owned();
            problems.push((Code::CFG_INVALID, "otlp", why));
        }
        problems
    }

    /// Whether nothing it tells leaves this machine.
    pub(crate) fn stays_on_this_machine(&self) -> bool {
        self.listen.is_none_or(|listen| listen.ip().is_loopback())
            && self
                .addresses()
                .all(|(_, address)| Hook::stays_on_this_machine(address))
    }

    fn addresses(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let addresses = [
            ("otlp", &self.otlp),
            ("alarms.webhook", &self.alarms.webhook),
        ];
        addresses
            .into_iter()
            .filter_map(|(field, address)| Some((field, address.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(Code, &'static str)> {
        let observe: Observe = toml::from_str(text).unwrap();
        let problems = observe.problems().into_iter();
        problems.map(|(code, field, _)| (code, field)).collect()
    }

    #[test]
    fn nothing_is_shown_beyond_this_machine_without_a_written_reason() {
        assert_eq!(problems(""), []);
        assert_eq!(problems("listen = '127.0.0.1:9464'"), []);
        assert_eq!(
            problems("listen = '0.0.0.0:9464'"),
            [(Code::CFG_EXPOSED, "listen")]
        );
        let exception = "plaintext = { allow_from = ['10.1.0.0/16'], reason = 'monitoring VLAN' }";
        assert_eq!(
            problems(&format!("listen = '10.1.2.3:9464'\n{exception}")),
            []
        );
        assert_eq!(problems(exception), [(Code::CFG_INVALID, "plaintext")]);
    }

    #[test]
    fn alarms_leave_the_machine_encrypted_only() {
        assert_eq!(problems("alarms.webhook = 'https://a.example/x'"), []);
        assert_eq!(problems("alarms.webhook = 'http://127.0.0.1:1/x'"), []);
        let open = problems("alarms.webhook = 'http://a.example/x'");
        assert_eq!(open, [(Code::CFG_INVALID, "alarms.webhook")]);
        let unsaid = problems("alarms.webhook_secret = { env = 'RENKEI_NOT_SET_ANYWHERE' }");
        assert_eq!(unsaid, [(Code::CFG_INVALID, "alarms.webhook_secret")]);
        let here: Observe = toml::from_str("alarms.webhook = 'http://[::1]:1/x'").unwrap();
        let away: Observe = toml::from_str("alarms.webhook = 'https://a.example'").unwrap();
        assert!(here.stays_on_this_machine() && !away.stays_on_this_machine());
    }
}
