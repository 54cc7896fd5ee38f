//! `renkei run`.

use std::time::Duration;

use renkei_core::chain;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{ConfigFile, Exit, check::report, complain};
use crate::config::Checked;
use crate::hub::{Hub, HubError};
use crate::store::sql::Database;
use crate::store::{Place, StoreError};

/// Pause between two calls of a server that does not answer, and after how many it is said again.
const CALL_AGAIN: Duration = Duration::from_secs(1);
const SAY_AGAIN: u32 = 60;

/// Runs the hub until SIGTERM or Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Run {
    #[command(flatten)]
    config: ConfigFile,
}

impl Run {
    /// Runs it.
    ///
    /// # Errors
    /// When the ledger or the runtime fails.
    pub async fn run(self) -> anyhow::Result<Exit> {
        let checked = match Checked::read(&self.config.config) {
            Ok(checked) => checked,
            Err(problems) => return Ok(report(&problems)),
        };
        #[cfg(feature = "otel")]
        let traces = super::log_and_trace(checked.observe.otlp.as_deref())?;
        #[cfg(not(feature = "otel"))]
        super::log_to_stderr();
        let stop = asked_to_stop()?;
        match server_answers(&checked.place, &stop).await {
            Ok(true) => {}
            Ok(false) => return Ok(Exit::Done),
            Err(StoreError::Unusable { code }) => {
                complain(&format!("{code}: {}", code.title()));
                return Ok(Exit::Usage);
            }
            Err(error) => return Err(error.into()),
        }
        let clock = checked.clock();
        let hub = match Hub::build(checked, clock).await {
            Ok(hub) => hub,
            Err(HubError::Store(StoreError::Unusable { code })) => {
                complain(&format!("{code}: {}", code.title()));
                return Ok(Exit::Usage);
            }
            Err(
                error @ (HubError::Source { .. } | HubError::Peer { .. } | HubError::Observe(_)),
            ) => {
                complain(&renkei_core::chain(&error));
                return Ok(Exit::Usage);
            }
            Err(error) => return Err(error.into()),
        };
        for (source, address) in hub.listening() {
            info!(%source, %address, "listening");
        }
        if let Some(address) = hub.watched_at() {
            info!(%address, "metrics and health are served");
        }
        if let Some(address) = hub.beds_at() {
            info!(%address, "beds are served");
        }
        let _told = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        let ended = hub.run(stop).await;
        #[cfg(feature = "otel")]
        if let Some(traces) = traces {
            traces.flush().await;
        }
        ended?;
        Ok(Exit::Done)
    }
}

/// Fires at SIGTERM or Ctrl-C.
fn asked_to_stop() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let fired = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        let _told = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        fired.cancel();
    });
    Ok(stop)
}

/// Waits for a server that is away: after a failure of power it may come back later than the hub, and
/// systemd does not start a service for ever. False: the hub is to stop.
async fn server_answers(place: &Place, stop: &CancellationToken) -> Result<bool, StoreError> {
    let mut waited = 0;
    loop {
        let why = match Database::answers(place).await {
            Ok(()) => return Ok(true),
            Err(StoreError::Away(why) | StoreError::Full(why)) => why,
            Err(error) => return Err(error),
        };
        if waited % SAY_AGAIN == 0 {
            warn!(error = %chain(why.as_ref()), "the ledger's server does not answer; waiting for it");
        }
        waited += 1;
        // Longer than one call may take.
        let alive = sd_notify::NotifyState::ExtendTimeoutUsec(60_000_000);
        let _told = sd_notify::notify(&[
            alive,
            sd_notify::NotifyState::Status("waiting for the database server"),
        ]);
        tokio::select! {
            () = stop.cancelled() => return Ok(false),
            () = tokio::time::sleep(CALL_AGAIN) => {}
        }
    }
}
