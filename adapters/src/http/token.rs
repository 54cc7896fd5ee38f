//! The OAuth2 token of one client (RFC 6749 §4.4): fetched by one caller at a time, kept until nine
//! tenths of its life are over.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Mutex;

use super::{CallError, Client, read, receive};

pub(super) struct Tokens {
    scopes: &'static str,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<(String, Instant)>,
    /// When the last fetch failed: callers that waited for it do not each try again.
    failed: Option<(Instant, bool)>,
}

#[derive(Deserialize)]
struct Grant {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Tokens {
    pub(super) fn new(scopes: &'static str) -> Self {
        Self {
            scopes,
            held: Mutex::default(),
        }
    }

    /// A token that is still good; `refused` is one the peer did not accept any more.
    pub(super) async fn get(
        &self,
        client: &Client,
        refused: Option<&str>,
    ) -> Result<String, CallError> {
        let asked = Instant::now();
        let mut held = self.held.lock().await;
        if let Some((token, until)) = &held.token
            && asked < *until
            && refused != Some(token.as_str())
        {
            return Ok(token.clone());
        }
        if let Some((at, credentials)) = held.failed
            && at >= asked
        {
            return Err(if credentials {
                CallError::Credentials { source: None }
            } else {
                CallError::Unavailable {
                    after: None,
                    source: "no token could be fetched".into(),
                }
            });
        }
        held.token = None;
        match self.fetch(client).await {
            Ok(grant) => {
                let life = Duration::from_secs(grant.expires_in.unwrap_or(60));
                held.token = Some((grant.access_token.clone(), Instant::now() + life * 9 / 10));
                held.failed = None;
                Ok(grant.access_token)
            }
            Err(error) => {
                let credentials = matches!(error, CallError::Credentials { .. });
                held.failed = Some((Instant::now(), credentials));
                Err(error)
            }
        }
    }

    async fn fetch(&self, client: &Client) -> Result<Grant, CallError> {
        let secret = client.connection.secret.read();
        let secret = secret.map_err(|error| CallError::Credentials {
            source: Some(error.into()),
        })?;
        let form = HashMap::from([
            ("grant_type", "client_credentials"),
            ("client_id", client.connection.client_id.as_str()),
            ("client_secret", secret.as_str()),
            ("scope", self.scopes),
        ]);
        let path = client
            .wire
            .as_ref()
            .map_or("/oauth/token", |wire| wire.token_path());
        let request = client
            .http
            .post(format!("{}{path}", client.endpoint))
            .form(&form);
        match receive(request).await.map_err(CallError::harmless) {
            Ok(body) => read(&body).map_err(|_| CallError::Unavailable {
                after: None,
                source: "the token answer is not in the contract".into(),
            }),
            Err(error @ CallError::Refused { .. }) => Err(CallError::Credentials {
                source: Some(error.into()),
            }),
            Err(error) => Err(error),
        }
    }
}
