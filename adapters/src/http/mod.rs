//! The client all REST peers share: timeouts, size-capped answers, an OAuth2 token fetched once and
//! renewed once, and errors that never repeat what a peer wrote.
//!
//! Called by the `mcs`, `vital_link` and `ward` sinks and their source halves. It knows no peer's
//! words, and it never repeats a call by itself except after a refused token.

mod connection;
mod error;
mod feed;
mod hook;
mod lines;
mod spoken;
mod token;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use renkei_core::limits::PEER_ANSWER_BYTES;
pub(crate) use renkei_core::wire::encode;
use renkei_core::{Clock, Wire};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::problem::ConfigProblem;

pub use connection::Connection;
pub(crate) use error::{CallError, PeerReason};
pub(crate) use feed::follow;
pub use hook::{Hook, NotTaken};
pub(crate) use lines::in_lines;
use spoken::Tickets;
use token::Tokens;

/// A document on its way to a peer.
#[derive(Clone)]
pub(crate) struct Upload {
    /// JSON of the part `meta`, where the peer asks for one.
    pub(crate) meta: Option<String>,
    pub(crate) sha256: String,
    pub(crate) file_name: String,
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

/// What a call carries.
pub(crate) enum Body {
    Nothing,
    /// JSON text.
    Json(String),
    File(Upload),
}

/// One call.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query, each part percent-encoded (see [`path`]).
    pub(crate) path: String,
    /// Name and value of the idempotency header.
    pub(crate) key: Option<(String, String)>,
    pub(crate) body: Body,
}

impl Call {
    pub(crate) fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            key: None,
            body: Body::Nothing,
        }
    }

    pub(crate) fn post(path: String, body: Body) -> Self {
        Self {
            method: Method::POST,
            path,
            key: None,
            body,
        }
    }

    pub(crate) fn with_key(mut self, header: &str, key: String) -> Self {
        self.key = Some((header.to_owned(), key));
        self
    }
}

/// A segment of a path.
pub(crate) enum Step<'a> {
    /// A word of the contract.
    Word(&'a str),
    /// An id, encoded so that it stays one segment.
    Id(&'a str),
}

/// `base` and the steps below it.
pub(crate) fn path(base: &str, steps: &[Step<'_>]) -> String {
    let mut path = base.to_owned();
    for step in steps {
        path.push('/');
        match step {
            Step::Word(word) => path.push_str(word),
            Step::Id(id) => path.push_str(&encode(id)),
        }
    }
    path
}

/// A client of one peer.
pub(crate) struct Client {
    http: reqwest::Client,
    connection: Connection,
    endpoint: String,
    tokens: Tokens,
    clock: Arc<dyn Clock>,
    /// The peer's words, where they are not the contract's.
    wire: Option<Arc<dyn Wire>>,
    tickets: Tickets,
}

impl Client {
    /// Makes the client and reads the secret once, so that a missing one is found at the start.
    pub(crate) fn new(
        connection: Connection,
        scopes: &'static str,
        clock: Arc<dyn Clock>,
        wire: Option<Arc<dyn Wire>>,
    ) -> Result<Arc<Self>, ConfigProblem> {
        let wrong = connection.check().into_iter().next();
        if let Some(problem) = wrong.or_else(|| connection.fits(wire.as_deref())) {
            return Err(problem);
        }
        connection.secret.read().map_err(|error| {
            ConfigProblem::invalid("connection.secret", renkei_core::chain(&error))
        })?;
        let http = client(&connection)?;
        Ok(Arc::new(Self {
            http,
            endpoint: connection.endpoint.trim_end_matches('/').to_owned(),
            connection,
            tokens: Tokens::new(scopes),
            clock,
            wire,
            tickets: Tickets::default(),
        }))
    }

    /// How many deliveries may be under way at once.
    pub(crate) fn parallel(&self) -> usize {
        self.connection.parallel
    }

    /// Makes the call; a refused token is renewed once. Gives the body of a 2xx answer.
    pub(crate) async fn call(&self, call: &Call) -> Result<Bytes, CallError> {
        if let Some(wire) = &self.wire {
            return self.speak(wire.as_ref(), call).await;
        }
        let token = self.tokens.get(self, None).await?;
        match self.attempt(call, &token).await {
            Err(error) if error.is_status(401) => {
                let fresh = self.tokens.get(self, Some(&token)).await?;
                match self.attempt(call, &fresh).await {
                    Err(error) if error.is_status(401) => Err(CallError::Credentials {
                        source: Some(error.into()),
                    }),
                    answer => answer,
                }
            }
            answer => answer,
        }
    }

    async fn attempt(&self, call: &Call, token: &str) -> Result<Bytes, CallError> {
        let address = format!("{}{}", self.endpoint, call.path);
        let mut request = self
            .http
            .request(call.method.clone(), address)
            .header(AUTHORIZATION, format!("Bearer {token}"));
        if let Some((header, key)) = &call.key {
            request = request.header(header.as_str(), key.as_str());
        }
        request = match &call.body {
            Body::Nothing => request,
            Body::Json(text) => request
                .header(CONTENT_TYPE, "application/json")
                .body(text.clone()),
            Body::File(upload) => request
                .timeout(self.connection.upload_timeout())
                .multipart(form(upload)?),
        };
        receive(request).await
    }
}

/// A client with this connection's timeouts and certificates. Redirects are not followed: a token
/// must not travel to another host.
fn client(connection: &Connection) -> Result<reqwest::Client, ConfigProblem> {
    let read = |field: &str, path: &std::path::Path| {
        std::fs::read(path).map_err(|error| {
            ConfigProblem::invalid(
                format!("connection.{field}"),
                format!("`{}` cannot be read: {error}", path.display()),
            )
        })
    };
    let mut builder = base(connection.timeout());
    if let Some(path) = &connection.ca_file {
        let roots = reqwest::Certificate::from_pem_bundle(&read("ca_file", path)?)
            .map_err(|_| ConfigProblem::invalid("connection.ca_file", "holds no certificate"))?;
        builder = builder.tls_certs_only(roots);
    }
    if let Some(path) = &connection.identity_file {
        let identity =
            reqwest::Identity::from_pem(&read("identity_file", path)?).map_err(|_| {
                ConfigProblem::invalid(
                    "connection.identity_file",
                    "holds no certificate with its key",
                )
            })?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|error| {
        ConfigProblem::invalid("connection", renkei_core::chain(&error.without_url()))
    })
}

/// What every client has: a limit on waiting, no redirects, no proxy.
pub(crate) fn base(timeout: Duration) -> reqwest::ClientBuilder {
    // An error only says that the process already has a provider.
    let _known = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("renkei/", env!("CARGO_PKG_VERSION")))
}

fn form(upload: &Upload) -> Result<reqwest::multipart::Form, CallError> {
    let part = reqwest::multipart::Part::stream_with_length(
        upload.bytes.clone(),
        u64::try_from(upload.bytes.len()).unwrap_or(u64::MAX),
    )
    .file_name(upload.file_name.clone())
    .mime_str(&upload.media_type)
    .map_err(|error| CallError::Protocol(error.without_url().into()))?;
    let mut form = reqwest::multipart::Form::new();
    if let Some(meta) = &upload.meta {
        form = form.text("meta", meta.clone());
    }
    Ok(form
        .text("sha256", upload.sha256.clone())
        .part("file", part))
}

/// Sends a request and reads its answer up to [`PEER_ANSWER_BYTES`]; a 2xx gives the body.
async fn receive(request: reqwest::RequestBuilder) -> Result<Bytes, CallError> {
    let answer = exchange(request).await?;
    judge(answer.status, answer.after, answer.body)
}

/// What a peer answered, whatever it means.
struct Answer {
    status: StatusCode,
    after: Option<Duration>,
    body: Bytes,
}

async fn exchange(request: reqwest::RequestBuilder) -> Result<Answer, CallError> {
    let mut response = request.send().await.map_err(|error| {
        let never_sent = error.is_connect() || error.is_builder();
        let source = Box::new(error.without_url());
        if never_sent {
            CallError::Unavailable {
                after: None,
                source,
            }
        } else {
            CallError::NoAnswer(source)
        }
    })?;
    let status = response.status();
    let after = retry_after(&response);
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) if body.len() + chunk.len() > PEER_ANSWER_BYTES => {
                return Err(CallError::Protocol(
                    "the answer is larger than the limit".into(),
                ));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return Err(CallError::NoAnswer(error.without_url().into())),
        }
    }
    Ok(Answer {
        status,
        after,
        body: Bytes::from(body),
    })
}

fn judge(status: StatusCode, after: Option<Duration>, body: Bytes) -> Result<Bytes, CallError> {
    match status.as_u16() {
        200..=299 => Ok(body),
        429 => Err(CallError::Busy { after }),
        408 | 500..=599 => Err(CallError::Unavailable {
            after,
            source: format!("status {}", status.as_u16()).into(),
        }),
        status => Err(CallError::Refused {
            status,
            reason: PeerReason(error_code(&body)),
        }),
    }
}

/// `error.code` of the contract's error body, or `error` of an OAuth2 one; empty when neither.
fn error_code(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: Reason,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Reason {
        Ours { code: String },
        OAuth(String),
    }
    match serde_json::from_slice(body) {
        Ok(Refusal {
            error: Reason::Ours { code } | Reason::OAuth(code),
        }) => code,
        Err(_) => String::new(),
    }
}

/// `Retry-After` in seconds; dates are not used by any contract.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// Reads an answer in the contract's words.
pub(crate) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|error| CallError::Protocol(place(&error).into()))
}

/// Where and of what kind a JSON error is: serde's own text may quote the value.
pub(crate) fn place(error: &serde_json::Error) -> String {
    format!(
        "{:?} error at line {} column {}",
        error.classify(),
        error.line(),
        error.column()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment() {
        let made = path("/v1", &[Step::Word("posts"), Step::Id("a/b?c=山&..")]);
        assert_eq!(made, "/v1/posts/a%2Fb%3Fc%3D%E5%B1%B1%26..");
    }

    #[test]
    fn each_status_has_its_class() {
        let class = |status: u16| {
            judge(StatusCode::from_u16(status).unwrap(), None, Bytes::new()).unwrap_err()
        };
        assert!(judge(StatusCode::CREATED, None, Bytes::new()).is_ok());
        assert!(matches!(class(429), CallError::Busy { .. }));
        assert!(matches!(class(500), CallError::Unavailable { .. }));
        assert!(matches!(class(503), CallError::Unavailable { .. }));
        assert!(class(302).is_status(302));
        let body = Bytes::from_static(br#"{"error":{"code":"uid_conflict","message":"x"}}"#);
        let refused = judge(StatusCode::CONFLICT, None, body).unwrap_err();
        assert!(refused.is(409, "uid_conflict") && !format!("{refused:?}").contains("uid"));
    }
}
