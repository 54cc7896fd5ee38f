//! `renkei run`.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{ConfigFile, Exit, check::report, complain};
use crate::config::Checked;
use crate::hub::{Hub, HubError};
use crate::store::StoreError;

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
