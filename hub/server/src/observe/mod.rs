//! Watching a hub: figures for Prometheus, health and readiness for whatever restarts it, alarms for
//! people, traces for developers.
//!
//! Called by `hub` (builds and runs it) and, at each stop of the walk, by the rooms ([`meter`], which
//! counts per group). It only looks: nothing here decides about a message, nothing here holds up the
//! walk, and a failure here never ends the hub. No label, log line or answer holds patient data.

pub(crate) mod alarm;
pub mod config;
pub(crate) mod meter;
#[cfg(feature = "otel")]
pub(crate) mod otlp;
mod process;
pub(crate) mod pulse;
mod server;
mod tell;
pub(crate) mod trace;
mod watcher;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use renkei_adapters::http::Hook;
use renkei_core::{BoxError, Clock, SinkName, SourceName};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::store::watch::Watch;
use config::Observe;
use pulse::Pulse;
use server::Listener;
use tell::Teller;
use watcher::Watcher;

/// What watching needs of a hub.
pub(crate) struct Hub<'h> {
    /// The ledger.
    pub(crate) ledger: Arc<dyn Watch>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// The folder of the ledger.
    pub(crate) folder: PathBuf,
    /// Its sources, as they run.
    pub(crate) sources: &'h [SourceName],
    /// Its sinks.
    pub(crate) sinks: &'h [SinkName],
}

/// Everything that watches, built and not yet running.
pub(crate) struct Watching {
    pulse: Arc<Pulse>,
    listener: Option<Listener>,
    watcher: Watcher,
    teller: Option<Teller>,
}

impl Watching {
    /// Binds the listener and builds the rest.
    ///
    /// # Errors
    /// When the address is taken, or the webhook's secret is missing.
    pub(crate) async fn build(config: Observe, hub: Hub<'_>) -> Result<Self, BoxError> {
        let (pulse, turned) = (Arc::new(Pulse::default()), Arc::new(Notify::new()));
        let names = (hub.sources, hub.sinks);
        let listener = Listener::bind(&config, pulse.clone(), hub.clock.as_ref(), names).await?;
        let teller = match &config.alarms.webhook {
            None => None,
            Some(url) => Some(Teller {
                ledger: hub.ledger.clone(),
                hook: Hook::new(url, config.alarms.webhook_secret.clone())?,
                turned: turned.clone(),
            }),
        };
        let watcher = Watcher {
            ledger: hub.ledger,
            clock: hub.clock,
            folder: hub.folder,
            pulse: pulse.clone(),
            sinks: hub.sinks.to_vec(),
            limits: config.alarms,
            every: Duration::from_secs(config.every_secs.max(1)),
            turned,
        };
        Ok(Self {
            pulse,
            listener,
            watcher,
            teller,
        })
    }

    /// What the parts of the hub tell about themselves.
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    /// Where metrics and health are served.
    pub(crate) fn served_at(&self) -> Option<SocketAddr> {
        self.listener.as_ref()?.local_addr().ok()
    }

    /// Begins to watch; ends when the guard is dropped.
    pub(crate) fn start(self) -> DropGuard {
        let stop = CancellationToken::new();
        if let Some(listener) = self.listener {
            tokio::spawn(listener.serve(stop.clone()));
        }
        if let Some(teller) = self.teller {
            tokio::spawn(teller.run(stop.clone()));
        }
        tokio::spawn(self.watcher.run(stop.clone()));
        stop.drop_guard()
    }
}
