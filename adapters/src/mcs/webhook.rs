//! The webhook receiver: signature, age, then the inbox, then 204. A peer that gets anything else
//! sends again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::any;
use hmac::{Hmac, KeyInit as _, Mac as _};
use renkei_core::{AcceptError, Code, Inbox, Shutdown, Source, SourceError};
use sha2::Sha256;
use tokio::net::TcpListener;

use super::{Gateway, Webhook, events};
use crate::exposure;
use crate::http::{Step, follow};
use crate::news::{News, Teller};

/// Largest event, in bytes.
const EVENT_BYTES: usize = 1024 * 1024;
/// How far the time of a signature may be off, in seconds.
const MAX_AGE_SECS: u64 = 300;
/// Longest time one event may take to arrive and be committed; peers give up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(9);

#[async_trait]
impl Source for Gateway {
    async fn run(&self, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), SourceError> {
        let teller = Arc::new(Teller::new(
            &self.name,
            &self.config.facility,
            inbox,
            shutdown.clone(),
        ));
        let polling = async {
            match self.config.poll() {
                None => {
                    shutdown.fired().await;
                    Ok(())
                }
                Some(every) => {
                    let path = self.dialect.path(&[Step::Word("acks")]);
                    follow(&self.client, &path, every, &teller, |raw| {
                        self.understand(raw)
                    })
                    .await
                }
            }
        };
        let listening = async {
            match &self.config.webhook {
                None => {
                    shutdown.fired().await;
                    Ok(())
                }
                Some(webhook) => {
                    self.listen(webhook, Arc::clone(&teller), shutdown.clone())
                        .await
                }
            }
        };
        tokio::try_join!(polling, listening).map(drop)
    }
}

impl Gateway {
    fn understand(&self, raw: &str) -> Option<News> {
        Some(events::ack(raw, &self.dialect).unwrap_or_else(|error| {
            tracing::warn!(sink = %self.name, error = %renkei_core::chain(&error), "unreadable 了解");
            News::unreadable(raw, self.clock.now())
        }))
    }

    async fn listen(
        &self,
        webhook: &Webhook,
        teller: Arc<Teller>,
        shutdown: Shutdown,
    ) -> Result<(), SourceError> {
        let cannot = |source: std::io::Error| SourceError {
            code: Code::CFG_INVALID,
            reason: format!("cannot listen on {}", webhook.listen),
            source: Some(source.into()),
        };
        let listener = TcpListener::bind(webhook.listen).await.map_err(cannot)?;
        let door = Door {
            webhook: webhook.clone(),
            dialect: self.dialect.clone(),
            clock: Arc::clone(&self.clock),
            teller,
        };
        let app = Router::new()
            .fallback(any(knock))
            .layer(DefaultBodyLimit::max(EVENT_BYTES))
            .with_state(Arc::new(door));
        axum::serve(
            listener,
            app.into_make_service_with_connect_info::<SocketAddr>(),
        )
        .with_graceful_shutdown(async move { shutdown.fired().await })
        .await
        .map_err(cannot)
    }
}

struct Door {
    webhook: Webhook,
    dialect: super::Dialect,
    clock: Arc<dyn renkei_core::Clock>,
    teller: Arc<Teller>,
}

async fn knock(
    State(door): State<Arc<Door>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: axum::http::Method,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    if !exposure::admits(door.webhook.plaintext.as_ref(), peer.ip()) {
        return StatusCode::FORBIDDEN;
    }
    if method != axum::http::Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    if !door.is_genuine(&headers, &body) {
        tracing::warn!(source = %door.teller.source(), "a webhook without a valid, fresh signature was refused");
        return StatusCode::UNAUTHORIZED;
    }
    match tokio::time::timeout(PATIENCE, door.take(&body)).await {
        Ok(status) => status,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl Door {
    /// Whether the body was signed with our key within the last [`MAX_AGE_SECS`].
    fn is_genuine(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(timestamp), Some(signature)) = (header("sns-timestamp"), header("sns-signature"))
        else {
            return false;
        };
        let Ok(seconds) = timestamp.parse::<i64>() else {
            return false;
        };
        if self.clock.now().as_second().abs_diff(seconds) > MAX_AGE_SECS {
            return false;
        }
        let signature = signature.strip_prefix("v1=").unwrap_or_default();
        let Ok(signature) = data_encoding::HEXLOWER.decode(signature.as_bytes()) else {
            return false;
        };
        let Ok(secret) = self.webhook.secret.read() else {
            return false;
        };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
            return false;
        };
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac.verify_slice(&signature).is_ok()
    }

    async fn take(&self, body: &[u8]) -> StatusCode {
        let news = std::str::from_utf8(body)
            .ok()
            .and_then(|text| events::event(text, &self.dialect).ok());
        match news {
            None => StatusCode::BAD_REQUEST,
            Some(None) => StatusCode::NO_CONTENT,
            Some(Some(news)) => match self.teller.offer(news).await {
                Ok(()) => StatusCode::NO_CONTENT,
                Err(AcceptError::Full | AcceptError::Stopping | AcceptError::Broken(_)) => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            },
        }
    }
}
