//! The room of beds in a running hub: serves the API, and, on one hub at a time, counts wards from stays,
//! tells subscribers and forgets the old end of the history.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use renkei_core::{BoxError, Clock, SourceName, chain};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::api::Listener;
use super::config::Beds as Config;
use super::derive;
use super::tell::Teller;
use crate::config::Setup;
use crate::store::StoreError;
use crate::store::beds::Beds;

/// What only one hub does at a time has this name among the leases; no source can have it.
const TASK: &str = ":beds";
/// How often the board is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// How often the old end of the history is looked at, and how much goes at a time.
const FORGET_EVERY: Duration = Duration::from_secs(600);
const FORGET_ROWS: u32 = 1_000;

/// The room, built and not yet running.
pub(crate) struct Room {
    ledger: Arc<dyn Beds>,
    setup: Arc<Setup>,
    clock: Arc<dyn Clock>,
    config: Config,
    listener: Option<Listener>,
    tellers: Vec<Teller>,
    /// Whether the history may be shortened.
    forgets: bool,
}

impl Room {
    /// Binds the listener and builds the rest.
    ///
    /// # Errors
    /// When the address is taken, or a secret cannot be had.
    pub(crate) async fn build(
        config: Config,
        ledger: Arc<dyn Beds>,
        setup: Arc<Setup>,
        clock: Arc<dyn Clock>,
        forgets: bool,
    ) -> Result<Self, BoxError> {
        let listener =
            Listener::bind(&config, ledger.clone(), setup.clone(), clock.clone()).await?;
        let tellers = config.subscriber.iter();
        let tellers = tellers
            .map(|(name, subscriber)| Teller::new(name, subscriber))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            ledger,
            setup,
            clock,
            config,
            listener,
            tellers,
            forgets,
        })
    }

    /// Where the API listens.
    pub(crate) fn listens_at(&self) -> Option<SocketAddr> {
        self.listener.as_ref()?.local_addr().ok()
    }

    /// The name of what only one hub does at a time.
    pub(crate) fn task() -> SourceName {
        SourceName::new(TASK)
    }

    /// Runs until `stop` fires. `held` names the tasks that are this hub's.
    pub(crate) async fn run(
        mut self,
        held: watch::Receiver<Vec<SourceName>>,
        stop: CancellationToken,
    ) {
        let mut parts = JoinSet::new();
        if let Some(listener) = self.listener.take() {
            parts.spawn(listener.serve(stop.clone()));
        }
        for mut teller in std::mem::take(&mut self.tellers) {
            let (ledger, setup, clock) =
                (self.ledger.clone(), self.setup.clone(), self.clock.clone());
            let (held, stop) = (held.clone(), stop.clone());
            parts.spawn(async move {
                while rest(EVERY, &stop).await {
                    if is_mine(&held) {
                        let told = teller.step(&*ledger, &setup, clock.now()).await;
                        or_later(told, "subscribers are told later");
                    }
                }
            });
        }
        let mut forgotten: Option<tokio::time::Instant> = None;
        while rest(EVERY, &stop).await {
            if !is_mine(&held) {
                continue;
            }
            or_later(self.count().await, "wards are counted later");
            if self.forgets && forgotten.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
                forgotten = Some(tokio::time::Instant::now());
                or_later(
                    self.forget().await,
                    "the history of beds is shortened later",
                );
            }
        }
        while parts.join_next().await.is_some() {}
    }

    /// Counts wards from open stays, where configured.
    async fn count(&self) -> Result<(), StoreError> {
        if self.config.from_stays.is_empty() {
            return Ok(());
        }
        let (board, now) = (self.ledger.wards().await?, self.clock.now());
        for (hospital, config) in &self.config.from_stays {
            let interval = self.setup.beds.interval(hospital);
            let stays = self.ledger.stays(hospital).await?;
            let counted = derive::count(hospital, config, &stays, interval);
            let news = derive::news(counted, &board, interval, now);
            if !news.is_empty() {
                self.ledger.put_counted(news).await?;
            }
        }
        Ok(())
    }

    async fn forget(&self) -> Result<(), StoreError> {
        let days = SignedDuration::from_hours(24 * i64::from(self.config.history_days));
        let before = self.clock.now().checked_sub(days);
        let before = before.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        self.ledger.forget_beds(before, FORGET_ROWS).await.map(drop)
    }
}

fn is_mine(held: &watch::Receiver<Vec<SourceName>>) -> bool {
    held.borrow().iter().any(|task| task.as_str() == TASK)
}

/// Waits; `false` when the hub stops.
async fn rest(time: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}

fn or_later(done: Result<(), StoreError>, what: &str) {
    if let Err(error) = done {
        warn!(error = %chain(&error), "{what}");
    }
}
