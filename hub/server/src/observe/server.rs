//! `GET /metrics`, `/healthz` and `/readyz`, on a listener of their own. Nothing here touches the ledger:
//! figures are read by one task, so that no number of scrapes can slow the hub.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use renkei_adapters::exposure::{self, Plaintext};
use renkei_core::{BoxError, Clock, SinkName, SourceName};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::config::Observe;
use super::meter;
use super::pulse::Pulse;

/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Bounds of the histograms of times, in seconds: from a commit on a quiet disk to a peer's timeout.
const SECONDS: [f64; 16] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];
/// Bounds of the histograms of group sizes.
const SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// How often samples of histograms are folded into their buckets; until then they take memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder of this process; there can be only one.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// A bound listener that does not serve yet.
pub(crate) struct Listener {
    listener: TcpListener,
    shown: Shown,
}

#[derive(Clone)]
struct Shown {
    metrics: PrometheusHandle,
    pulse: Arc<Pulse>,
    plaintext: Option<Plaintext>,
}

#[derive(Serialize)]
struct Health {
    ok: bool,
    reasons: Vec<String>,
}

impl Listener {
    /// Binds where the configuration says and begins to count; `None` when it says nowhere.
    ///
    /// # Errors
    /// When the address is taken.
    pub(crate) async fn bind(
        config: &Observe,
        pulse: Arc<Pulse>,
        clock: &dyn Clock,
        names: (&[SourceName], &[SinkName]),
    ) -> Result<Option<Self>, BoxError> {
        let Some(listen) = config.listen else {
            return Ok(None);
        };
        let listener = TcpListener::bind(listen).await?;
        let metrics = recorder()?;
        meter::introduce(names.0, names.1, clock.now());
        Ok(Some(Self {
            listener,
            shown: Shown {
                metrics,
                pulse,
                plaintext: config.plaintext.clone(),
            },
        }))
    }

    /// Where it listens; tells the port when the configured one was 0.
    ///
    /// # Errors
    /// The operating system's, when it does not know.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` fires. A failure is logged: the hub goes on unwatched.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        let metrics = self.shown.metrics.clone();
        let router = router(self.shown).into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(self.listener, router);
        tokio::select! {
            () = stop.cancelled() => {}
            ended = served.into_future() => {
                if let Err(problem) = ended {
                    error!(error = %problem, "metrics and health are not served any more");
                }
            }
            () = upkeep(metrics) => {}
        }
    }
}

async fn upkeep(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.run_upkeep();
    }
}

fn recorder() -> Result<PrometheusHandle, BoxError> {
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &SIZES)?
        .install_recorder()?;
    Ok(RECORDER.get_or_init(|| handle).clone())
}

fn router(shown: Shown) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .layer(middleware::from_fn_with_state(shown.clone(), guard))
        .with_state(shown)
}

/// Lets in whom the configuration allows, and keeps answers out of every cache.
async fn guard(
    State(shown): State<Shown>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = if exposure::admits(shown.plaintext.as_ref(), peer.ip()) {
        next.run(request).await
    } else {
        warn!(%peer, "somebody outside the allowed networks asked for metrics");
        StatusCode::FORBIDDEN.into_response()
    };
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

async fn metrics(State(shown): State<Shown>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT)], shown.metrics.render())
}

async fn healthz(State(shown): State<Shown>) -> Response {
    answer(shown.pulse.ills())
}

async fn readyz(State(shown): State<Shown>) -> Response {
    answer(shown.pulse.unready())
}

fn answer(reasons: Vec<String>) -> Response {
    let ok = reasons.is_empty();
    let status = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Health { ok, reasons })).into_response()
}
