//! The listener shared by the simulators: reads a call, applies the fault plan, asks the peer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::dialect::Dialect;
use crate::doors;
use crate::refusal::Refusal;
use crate::request::{Body, Call, Content, Reply};
use crate::second::{Second, Speaker};
use crate::state::{DropWhen, Happening, State};
use crate::webhook;

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// Simulators speak plain HTTP and know no real people: loopback only.
    #[error("simulators listen on loopback only, not on `{0}`")]
    NotLoopback(SocketAddr),
    /// The port or the folder could not be had.
    #[error("cannot start the simulator")]
    Start(#[from] io::Error),
}

/// A running simulator; dropping it stops it at once.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// The bound address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://address`, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops taking calls, lets the open ones finish for two seconds, then returns.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            let abort = task.abort_handle();
            if tokio::time::timeout(Duration::from_secs(2), task)
                .await
                .is_err()
            {
                abort.abort();
            }
        }
    }

    pub(crate) fn also(&mut self, task: JoinHandle<()>) {
        self.tasks.push(task);
    }

    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// One simulated peer: a state machine that answers calls one at a time.
pub(crate) trait Peer: Send + 'static {
    fn state(&mut self) -> &mut State;
    /// Keys (or uids) a call bears, for counting.
    fn keys(&self, call: &Call) -> Vec<String>;
    fn answer(&mut self, call: &Call) -> Result<Reply, Refusal>;
    /// A person or a device measures something; only some peers have this.
    fn measure(
        &mut self,
        _team_id: &str,
        _user_ref: &str,
        _vital: &Value,
    ) -> Result<String, Refusal> {
        Err(Refusal::new(422, "not_here", "this peer takes no vitals"))
    }
    /// What a person's post looks like here, and the prefix of its id.
    fn written(
        &self,
        user_ref: &str,
        headline: &str,
        text: &str,
        reply_to: Option<&str>,
    ) -> (Value, &'static str);
    /// The event a client is told, `(type, group id, data)`; `None` when it is not told.
    fn event(&self, _happening: &Happening, _client_id: &str) -> Option<(&'static str, Value)> {
        None
    }
}

/// A peer behind its lock.
pub(crate) struct Shared<P> {
    peer: Arc<Mutex<P>>,
    pub(crate) dialect: Arc<Dialect>,
    second: Option<Arc<Speaker>>,
}

impl<P> Clone for Shared<P> {
    fn clone(&self) -> Self {
        Self {
            peer: Arc::clone(&self.peer),
            dialect: Arc::clone(&self.dialect),
            second: self.second.clone(),
        }
    }
}

impl<P> Shared<P> {
    pub(crate) fn new(peer: P, dialect: Dialect) -> Self {
        Self {
            peer: Arc::new(Mutex::new(peer)),
            dialect: Arc::new(dialect),
            second: None,
        }
    }

    /// The same in a second dialect.
    pub(crate) fn speaking(mut self, second: Option<Second>) -> Self {
        self.second = second.map(|second| Arc::new(Speaker::new(second)));
        self
    }

    /// A panic inside one call must not silence the peer: the state is still whole enough to look at.
    pub(crate) fn lock(&self) -> MutexGuard<'_, P> {
        self.peer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts listening.
pub(crate) async fn serve<P: Peer>(
    listen: SocketAddr,
    shared: Shared<P>,
) -> Result<Running, SimError> {
    if !listen.ip().is_loopback() {
        return Err(SimError::NotLoopback(listen));
    }
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let (stop, mut stopping) = watch::channel(false);
    let app = Router::new()
        .fallback(take::<P>)
        .with_state(shared)
        // `Call::read` has the one limit of the contract.
        .layer(DefaultBodyLimit::disable())
        .into_make_service_with_connect_info::<Line>();
    let server = axum::serve(Listener(listener), app).with_graceful_shutdown(async move {
        // An error means the handle is gone: stop as well.
        let _gone = stopping.wait_for(|stop| *stop).await;
    });
    let task = tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "simulator stopped");
        }
    });
    Ok(Running {
        address,
        stop,
        tasks: vec![task],
    })
}

async fn take<P: Peer>(
    axum::extract::State(shared): axum::extract::State<Shared<P>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: axum::extract::Request,
) -> Response {
    let mut call = Call::read(request).await;
    if call.path == "/_sim/tickets" {
        return respond(hold(&shared, &call));
    }
    if call.path.starts_with("/_sim/") {
        let (answer, news) = {
            let mut peer = shared.lock();
            let before = peer.state().happenings.len();
            (doors::open(&mut *peer, &call), before)
        };
        webhook::announce(&shared, news);
        return respond(
            answer.unwrap_or_else(|refusal| Reply::json(refusal.status, refusal.body())),
        );
    }
    let heard = match &shared.second {
        Some(second) => {
            let now = shared.lock().state().now();
            second.hear(&mut call, now)
        }
        None => {
            shared.dialect.read(&mut call);
            Ok(())
        }
    };
    let faults = meet(&mut *shared.lock(), &call);
    if faults.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(faults.latency_ms)).await;
    }
    if faults.drop == Some(DropWhen::Before) {
        return line.cut();
    }
    let (answer, news) = {
        let mut peer = shared.lock();
        let before = peer.state().happenings.len();
        let answer = match (heard, faults.status) {
            (Err(refusal), _) => Err(refusal),
            (Ok(()), Some(status)) => {
                let mut refusal = Refusal::new(status, "fault", "the simulator was told to fail");
                refusal.retry_after_secs = faults.retry_after_secs;
                Err(refusal)
            }
            (Ok(()), None) => match &shared.second {
                Some(second) => second.answer(&mut *peer, &call),
                None => peer.answer(&call),
            },
        };
        if !matches!(&answer, Ok(reply) if is_put_off(&call, reply)) {
            tally(&mut *peer, &call, &answer);
        }
        (answer, before)
    };
    webhook::announce(&shared, news);
    if faults.drop == Some(DropWhen::After) {
        return line.cut();
    }
    if let Some(second) = &shared.second {
        return second.say(&call, answer);
    }
    match answer {
        Ok(mut reply) => {
            if let Content::Json(value) = &mut reply.content {
                shared.dialect.write(value);
            }
            respond(reply)
        }
        Err(refusal) => refuse(&refusal, &shared.dialect),
    }
}

/// Whether a call was neither done nor refused: it is counted when it is.
fn is_put_off(call: &Call, reply: &Reply) -> bool {
    reply.status == 202 || call.path.starts_with("/tickets/")
}

/// `POST /_sim/tickets {"hold": bool}`: whether answers wait.
fn hold<P: Peer>(shared: &Shared<P>, call: &Call) -> Reply {
    let hold = matches!(&call.body, Body::Json(value) if value["hold"] == true);
    let held = shared.second.as_ref().and_then(|second| second.hold(hold));
    held.map_or_else(
        || Reply::json(404, Refusal::not_found("tickets").body()),
        |counts| Reply::json(200, counts),
    )
}

/// Counts a call and its keys, and takes its share of the fault plan.
fn meet<P: Peer>(peer: &mut P, call: &Call) -> crate::state::Faults {
    let keys = peer.keys(call);
    let state = peer.state();
    state.counts.requests += 1;
    if let Some(client_id) = state.caller(call).map(|(client, _)| client.id.clone()) {
        for key in keys {
            state
                .keys
                .entry((client_id.clone(), key))
                .or_default()
                .requests += 1;
        }
    }
    state.strike(&call.path)
}

pub(crate) fn tally<P: Peer>(peer: &mut P, call: &Call, answer: &Result<Reply, Refusal>) {
    let keys = peer.keys(call);
    let state = peer.state();
    match answer {
        Ok(reply) if reply.replayed => state.counts.replayed += 1,
        Ok(_) => state.counts.accepted += 1,
        Err(refusal) => {
            let client_id = state.caller(call).map(|(client, _)| client.id.clone());
            let key = keys.first().map(String::as_str);
            state.reject(
                call.method.as_str(),
                &call.path,
                refusal,
                client_id.as_deref(),
                key,
            );
        }
    }
}

fn refuse(refusal: &Refusal, dialect: &Dialect) -> Response {
    let mut body = refusal.body();
    dialect.write(&mut body);
    let mut response = respond(Reply::json(refusal.status, body));
    if let Some(seconds) = refusal.retry_after_secs {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.status == 401 {
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn respond(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match reply.content {
        Content::Json(value) => (status, axum::Json(value)).into_response(),
        Content::File { media_type, bytes } => {
            (status, [(header::CONTENT_TYPE, media_type)], bytes).into_response()
        }
    };
    if reply.replayed {
        let name = HeaderName::from_static("idempotency-replayed");
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static("true"));
    }
    response
}

/// Lets a handler cut the connection its call came over.
#[derive(Clone, Debug, Default)]
struct Line(Arc<AtomicBool>);

impl Line {
    /// The response is never written: the next write on the connection fails.
    fn cut(&self) -> Response {
        self.0.store(true, Ordering::SeqCst);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

impl Connected<IncomingStream<'_, Listener>> for Line {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.remote_addr().clone()
    }
}

#[derive(Debug)]
struct Listener(TcpListener);

impl axum::serve::Listener for Listener {
    type Io = Wire;
    type Addr = Line;

    async fn accept(&mut self) -> (Wire, Line) {
        loop {
            match self.0.accept().await {
                Ok((stream, _)) => {
                    let line = Line::default();
                    return (
                        Wire {
                            stream,
                            line: line.clone(),
                        },
                        line,
                    );
                }
                Err(error) => {
                    tracing::warn!(%error, "simulator cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Line> {
        Ok(Line::default())
    }
}

/// A connection that can be cut before its answer is written.
#[derive(Debug)]
struct Wire {
    stream: TcpStream,
    line: Line,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.line.0.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
