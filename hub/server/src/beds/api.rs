//! The board over HTTP: `GET /v1/beds`, `/v1/beds/history`, `/v1/beds/bulletin`, `/v1/beds/fhir`, on a
//! listener of its own. Whoever asks shows the token; the answer always says how fresh it is. No patient data.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use renkei_adapters::exposure::{self, Plaintext};
use renkei_adapters::secret::Secret;
use renkei_core::{BoxError, Clock, chain};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::config::Beds as Config;
use super::view::{self, Line, PastRow, Wanted};
use super::{Known, fhir};
use crate::config::Setup;
use crate::store::StoreError;
use crate::store::beds::{Beds, HistoryOf};

/// Rows of the history in one answer.
const MOST_ROWS: u32 = 1_000;

/// A bound listener that does not serve yet.
pub(crate) struct Listener {
    listener: TcpListener,
    door: Door,
}

#[derive(Clone)]
struct Door {
    ledger: Arc<dyn Beds>,
    setup: Arc<Setup>,
    clock: Arc<dyn Clock>,
    token: Secret,
    plaintext: Option<Plaintext>,
}

/// What was asked for, and how it stands.
#[derive(Serialize)]
struct Answer {
    as_of: Timestamp,
    wards: Vec<Line>,
}

/// Which part of the history is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Past {
    hospital: String,
    ward: Option<String>,
    /// Days back. Default: 7.
    days: Option<u32>,
}

impl Listener {
    /// Binds where the configuration says; `None` when it says nowhere.
    ///
    /// # Errors
    /// When the address is taken, or the token cannot be had.
    pub(crate) async fn bind(
        config: &Config,
        ledger: Arc<dyn Beds>,
        setup: Arc<Setup>,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, BoxError> {
        let (Some(listen), Some(token)) = (config.listen, config.token.clone()) else {
            return Ok(None);
        };
        token.read()?;
        let door = Door {
            ledger,
            setup,
            clock,
            token,
            plaintext: config.plaintext.clone(),
        };
        let listener = TcpListener::bind(listen).await?;
        Ok(Some(Self { listener, door }))
    }

    /// Where it listens; tells the port when the configured one was 0.
    ///
    /// # Errors
    /// The operating system's, when it does not know.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` fires.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        let router = router(self.door).into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(self.listener, router);
        tokio::select! {
            () = stop.cancelled() => {}
            ended = served.into_future() => {
                if let Err(problem) = ended {
                    error!(error = %problem, "beds are not served any more");
                }
            }
        }
    }
}

fn router(door: Door) -> Router {
    Router::new()
        .route("/v1/beds", get(beds))
        .route("/v1/beds/history", get(history))
        .route("/v1/beds/bulletin", get(bulletin))
        .route("/v1/beds/fhir", get(as_fhir))
        .layer(middleware::from_fn_with_state(door.clone(), guard))
        .with_state(door)
}

/// Lets in whom the configuration allows and who shows the token; keeps answers out of every cache.
async fn guard(
    State(door): State<Door>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION);
    let shown = shown.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let mut response = if !exposure::admits(door.plaintext.as_ref(), peer.ip()) {
        warn!(%peer, "somebody outside the allowed networks asked for beds");
        StatusCode::FORBIDDEN.into_response()
    } else if shown.is_some_and(|shown| door.knows(shown)) {
        next.run(request).await
    } else {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        (StatusCode::UNAUTHORIZED, challenge).into_response()
    };
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

impl Door {
    /// Whether this is the token, which is read anew: it may have been changed. Hashes are compared, so that
    /// the time it takes says nothing about the token.
    fn knows(&self, shown: &[u8]) -> bool {
        match self.token.read() {
            Ok(token) => Sha256::digest(token.as_bytes()) == Sha256::digest(shown),
            Err(problem) => {
                error!(error = %chain(&problem), "the token of the bed API cannot be had");
                false
            }
        }
    }

    async fn board(&self, wanted: &Wanted) -> Result<(Vec<Known>, Vec<Line>, Timestamp), Response> {
        wanted
            .check()
            .map_err(|wrong| refused(StatusCode::BAD_REQUEST, &wrong.to_string()))?;
        let (board, now) = (self.ledger.wards().await.map_err(away)?, self.clock.now());
        let lines = view::lines(&board, &self.setup, wanted, now);
        Ok((board, lines, now))
    }
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(serde_json::json!({ "error": why }))).into_response()
}

fn away(error: StoreError) -> Response {
    warn!(error = %chain(&error), "beds were asked for and could not be read");
    refused(
        StatusCode::SERVICE_UNAVAILABLE,
        "the ledger cannot be read now",
    )
}

async fn beds(State(door): State<Door>, Query(wanted): Query<Wanted>) -> Response {
    match door.board(&wanted).await {
        Ok((_, wards, as_of)) => Json(Answer { as_of, wards }).into_response(),
        Err(refused) => refused,
    }
}

async fn bulletin(State(door): State<Door>, Query(wanted): Query<Wanted>) -> Response {
    match door.board(&wanted).await {
        Ok((_, lines, now)) => view::bulletin(&lines, now, door.setup.staging).into_response(),
        Err(refused) => refused,
    }
}

async fn as_fhir(State(door): State<Door>, Query(wanted): Query<Wanted>) -> Response {
    let (board, lines, now) = match door.board(&wanted).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let body = fhir::bundle(&view::rows_of(&board, &lines), now);
    ([(header::CONTENT_TYPE, "application/fhir+json")], body).into_response()
}

async fn history(State(door): State<Door>, Query(past): Query<Past>) -> Response {
    let days = i64::from(past.days.unwrap_or(7));
    let since = door.clock.now() - SignedDuration::from_hours(24 * days.min(36_500));
    let of = HistoryOf {
        hospital: past.hospital,
        ward: past.ward,
        since,
        limit: MOST_ROWS,
    };
    match door.ledger.ward_history(&of).await {
        Ok(rows) => {
            let rows: Vec<PastRow> = rows.into_iter().map(PastRow::from).collect();
            Json(serde_json::json!({ "rows": rows, "most": MOST_ROWS })).into_response()
        }
        Err(error) => away(error),
    }
}
