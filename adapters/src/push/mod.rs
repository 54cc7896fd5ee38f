//! An address that laboratories, wards and vendors post to: `POST` (or `PUT`) with a bearer token, one file or
//! any number of HL7 v2 messages in the body.
//!
//! 200 comes after the commit, whatever is made of the body later; 503 means "the same again, a little later".
//! The last part of the path is the name of the file; with an `Idempotency-Key` header a repetition is known by
//! that, else by name and bytes. With a [`Cutter`] the body is a file of rows, cut by patient; without one it
//! holds HL7 v2 messages. What cannot be used (422, 413) is kept as a refused message.

mod config;
mod listener;
#[cfg(test)]
mod tests;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use renkei_core::cutter::Part;
use renkei_core::{
    AcceptError, Clock, Code, Cutter, Inbox, MapError, Meta, NewMessage, Shutdown, Source,
    SourceError, SourceName, limits,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use crate::{rows, tls};

pub use config::Config;

/// One body may take this long to arrive.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bodies read at once: each may be as large as the limit.
const AT_ONCE: usize = 4;
/// Longest name of a file, in characters.
const NAME_CHARS: usize = 200;

/// One bound address.
pub struct Push {
    name: SourceName,
    config: Config,
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    cutter: Option<Arc<dyn Cutter>>,
    clock: Arc<dyn Clock>,
}

impl Push {
    /// Binds the address and reads the certificates. Nothing is accepted before [`Source::run`].
    ///
    /// # Errors
    /// [`SourceError`] when the configuration cannot be used, a file cannot be read, or the address is
    /// taken.
    pub fn bind(
        name: SourceName,
        config: Config,
        cutter: Option<Arc<dyn Cutter>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let unusable = |reason: String, source: Option<renkei_core::BoxError>| SourceError {
            code: Code::CFG_INVALID,
            reason,
            source,
        };
        let problems = config.validate();
        if !problems.is_empty() {
            return Err(unusable(problems.join("; "), None));
        }
        if let Err(error) = config.token.read() {
            return Err(unusable("no token".to_owned(), Some(error.into())));
        }
        let acceptor = tls::acceptor(config.tls.as_ref())?;
        let bound = TcpListener::bind(config.listen);
        let listener = bound.and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.map_err(|error| {
            let reason = format!("cannot listen on `{}`", config.listen);
            unusable(reason, Some(error.into()))
        })?;
        Ok(Self {
            name,
            config,
            listener,
            acceptor,
            cutter,
            clock,
        })
    }

    /// Where it listens; tells the port when the configured one was 0.
    ///
    /// # Errors
    /// The operating system's.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[async_trait]
impl Source for Push {
    async fn run(&self, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), SourceError> {
        let cannot = |source: std::io::Error| SourceError {
            code: Code::CFG_INVALID,
            reason: format!("cannot listen on `{}`", self.config.listen),
            source: Some(source.into()),
        };
        let listener = self.listener.try_clone().map_err(cannot)?;
        let listener = listener::Doorway::open(
            listener,
            self.acceptor.clone(),
            self.config.plaintext.clone(),
        )
        .map_err(cannot)?;
        info!(source = %self.name, "taking what is posted");
        let door = Door {
            name: self.name.clone(),
            config: self.config.clone(),
            cutter: self.cutter.clone(),
            clock: self.clock.clone(),
            inbox,
            reading: Semaphore::new(AT_ONCE),
        };
        let app = Router::new()
            .fallback(any(knock))
            .with_state(Arc::new(door));
        axum::serve(listener, app)
            .with_graceful_shutdown(async move { shutdown.fired().await })
            .await
            .map_err(cannot)
    }
}

struct Door {
    name: SourceName,
    config: Config,
    cutter: Option<Arc<dyn Cutter>>,
    clock: Arc<dyn Clock>,
    inbox: Arc<dyn Inbox>,
    reading: Semaphore,
}

async fn knock(State(door): State<Arc<Door>>, request: Request) -> Response {
    if !matches!(*request.method(), Method::POST | Method::PUT) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if !door.knows(request.headers()) {
        warn!(source = %door.name, "a request without the token was refused");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let name = named(request.uri().path());
    let key = request.headers().get("idempotency-key");
    let key = key.and_then(|key| key.to_str().ok()).map(str::to_owned);
    let Ok(_turn) = door.reading.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let read = tokio::time::timeout(PATIENCE, door.read(request.into_body())).await;
    let taken = match read {
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
        Ok(Err(_)) => return StatusCode::BAD_REQUEST.into_response(),
        Ok(Ok((body, true))) => {
            let code = match door.cutter {
                Some(_) => Code::MAP_LIMIT,
                None => Code::HL7_FRAME_TOO_LARGE,
            };
            let refused = door.refused(&name, key.as_deref(), body, code).await;
            refused.map(|()| StatusCode::PAYLOAD_TOO_LARGE)
        }
        Ok(Ok((body, false))) => door.take(&name, key.as_deref(), body).await,
    };
    match taken {
        Ok(status) => status.into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")]).into_response(),
    }
}

/// The last part of a path.
fn named(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or("");
    let name: String = last.chars().take(NAME_CHARS).collect();
    if name.is_empty() {
        "posted".to_owned()
    } else {
        name
    }
}

impl Door {
    /// Whether a request carries the token. Hashes are compared, so that the time it takes says nothing.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let shown = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let (Some(shown), Ok(token)) = (shown, self.config.token.read()) else {
            return false;
        };
        !token.is_empty() && Sha256::digest(shown.trim()) == Sha256::digest(token.trim())
    }

    /// The body; of one that is too large, its beginning and `true`.
    async fn read(&self, body: Body) -> Result<(Bytes, bool), axum::Error> {
        let (mut stream, mut read) = (body.into_data_stream(), BytesMut::new());
        while let Some(piece) = stream.try_next().await? {
            read.extend_from_slice(&piece);
            if read.len() > self.config.max_body_bytes {
                read.truncate(limits::KEPT_OF_GIANT.min(self.config.max_body_bytes));
                return Ok((read.freeze(), true));
            }
        }
        Ok((read.freeze(), false))
    }

    async fn take(
        &self,
        name: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<StatusCode, AcceptError> {
        let messages = match &self.cutter {
            Some(cutter) => match self.cut(cutter, name, key, &body).await {
                Ok(messages) => messages,
                Err(error) => {
                    self.refused(name, key, body, error.code).await?;
                    return Ok(StatusCode::UNPROCESSABLE_ENTITY);
                }
            },
            None => {
                let bodies = crate::split::split(&body).bodies;
                if bodies.is_empty() {
                    self.refused(name, key, body, Code::HL7_NO_MSH).await?;
                    return Ok(StatusCode::UNPROCESSABLE_ENTITY);
                }
                bodies.into_iter().map(|body| self.hl7(body)).collect()
            }
        };
        rows::offer(&self.inbox, messages).await?;
        Ok(StatusCode::OK)
    }

    async fn cut(
        &self,
        cutter: &Arc<dyn Cutter>,
        name: &str,
        key: Option<&str>,
        body: &Bytes,
    ) -> Result<Vec<NewMessage>, MapError> {
        let (with, file, bytes) = (Arc::clone(cutter), name.to_owned(), body.clone());
        let cut = rows::cut(move || with.cut(&file, &bytes)).await?;
        // The same bytes may be news: only the sender can say that it repeats itself.
        let is_news = key.is_none() && cut.timeless;
        let now = is_news.then(|| self.clock.now().as_millisecond());
        let message = |part: Part| {
            let dedup_key = rows::key(key.unwrap_or(name), &part, now);
            self.message(name, dedup_key, part)
        };
        Ok(cut.parts.into_iter().map(message).collect())
    }

    fn hl7(&self, body: Bytes) -> NewMessage {
        let peek = renkei_hl7v2::peek(&body);
        let part = Part {
            subject: self.config.local_id.apply(&peek.patient_id),
            body,
            places: Vec::new(),
            refused: None,
        };
        let mut message = self.message("", peek.control_id, part);
        message.meta.path = None;
        message.barrier = peek.message_type.moves_identity();
        if message.dedup_key.is_empty() {
            message.dedup_key = crate::files::hash_key(&message.sha256());
        }
        message
    }

    async fn refused(
        &self,
        name: &str,
        key: Option<&str>,
        body: Bytes,
        code: Code,
    ) -> Result<(), AcceptError> {
        warn!(source = %self.name, %code, bytes = body.len(), "what was posted could not be used");
        let part = Part {
            subject: None,
            body,
            places: Vec::new(),
            refused: None,
        };
        let mut message = self.message(name, key.unwrap_or(name).to_owned(), part);
        message.refused = Some(code);
        self.inbox.accept(message).await.map(drop)
    }

    fn message(&self, name: &str, dedup_key: String, part: Part) -> NewMessage {
        NewMessage {
            source: self.name.clone(),
            facility: self.config.facility.clone(),
            dedup_key,
            ordering_key: part
                .subject
                .as_ref()
                .map_or_else(String::new, |id| id.expose().to_owned()),
            barrier: false,
            subject: part.subject,
            body: part.body,
            meta: Meta {
                path: Some(name.to_owned()),
                places: part.places,
                ..Meta::default()
            },
            refused: None,
        }
    }
}
