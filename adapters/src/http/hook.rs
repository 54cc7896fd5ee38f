//! An address an operator wrote down for news of the hub itself: its alarms, its traces. No peer of the
//! walk, no contract but "POST, and 2xx is yes".
//!
//! Called by the hub's `observe`. Nothing that goes through here holds patient data.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use renkei_core::BoxError;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;

use super::connection::is_this_machine;
use super::{CallError, base, receive};
use crate::problem::ConfigProblem;
use crate::secret::Secret;

/// Longest wait for one answer, connecting included.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of one address. Cheap to clone.
#[derive(Clone)]
pub struct Hook {
    http: reqwest::Client,
    url: Url,
    bearer: Option<Secret>,
}

/// The news did not arrive; the address is not repeated, it may hold a secret.
#[derive(Debug, thiserror::Error)]
#[error("the address did not take it")]
pub struct NotTaken(#[source] BoxError);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

impl Hook {
    /// A client for `url`; with `bearer` each call carries that secret, read anew each time, and once
    /// now, so that a missing one is found at the start.
    ///
    /// # Errors
    /// What [`Hook::check`] says, a secret that cannot be had, or that there is no TLS on this machine.
    pub fn new(url: &str, bearer: Option<Secret>) -> Result<Self, ConfigProblem> {
        let url = parse(url)?;
        if let Some(Err(error)) = bearer.as_ref().map(Secret::read) {
            return Err(ConfigProblem::invalid("", renkei_core::chain(&error)));
        }
        let http = base(PATIENCE).build().map_err(|error| {
            ConfigProblem::invalid("", renkei_core::chain(&error.without_url()))
        })?;
        Ok(Self { http, url, bearer })
    }

    /// What is wrong with an address: it is no web address, or it leaves the machine unencrypted.
    ///
    /// # Errors
    /// The problem; its field is empty.
    pub fn check(url: &str) -> Result<(), ConfigProblem> {
        parse(url).map(drop)
    }

    /// Whether the address is on this machine.
    pub fn stays_on_this_machine(url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| is_this_machine(&url))
    }

    /// Hands `body` over; a repeated call carries the same `key`. Gives the body of a 2xx answer.
    ///
    /// # Errors
    /// [`NotTaken`]: try again later.
    pub async fn post(
        &self,
        content_type: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<Bytes, NotTaken> {
        let mut request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, content_type)
            .body(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(bearer) = &self.bearer {
            let secret = bearer.read().map_err(|error| NotTaken(error.into()))?;
            request = request.bearer_auth(secret);
        }
        receive(request)
            .await
            .map_err(|error: CallError| NotTaken(error.into()))
    }
}

fn parse(url: &str) -> Result<Url, ConfigProblem> {
    let url = Url::parse(url).map_err(|_| ConfigProblem::invalid("", "is not a web address"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_this_machine(&url) => Ok(url),
        _ => Err(ConfigProblem::invalid(
            "",
            "must be https:// (http:// only to this machine)",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_leave_the_machine_encrypted_only() {
        assert!(Hook::check("https://alarm.example/hook?x=1").is_ok());
        assert!(Hook::check("http://127.0.0.1:4318/v1/traces").is_ok());
        for bad in ["http://alarm.example/", "alarm.example", "ftp://localhost/"] {
            assert!(Hook::check(bad).is_err(), "{bad}");
        }
        let hook = Hook::new("https://alarm.example/T0KEN", None).unwrap();
        assert!(!format!("{hook:?}").contains("T0KEN"));
    }
}
