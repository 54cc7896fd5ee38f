//! A running hub: ledger, inbox, engine, couriers, sources, and how they start, are woken and drain.
//!
//! Wake by signal and by timer; a signal carries no data. Whoever misses one looks at the database
//! again within half a second.

mod ends;
mod house;
mod rooms;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use renkei_adapters::jetstream;
use renkei_core::{BoxError, Clock, Shutdown, SinkName, SourceName, limits};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use ends::sinks;
use ends::{Sources, peers, sources};
use rooms::{or_later, run_courier, run_engine};

use crate::beds::room::Room;
use crate::config::{Checked, Setup};
use crate::engine::Engine;
use crate::inbox::gate::Gate;
use crate::inbox::space::Space;
use crate::inbox::{Parts, Writer};
use crate::normalize::live::{self, Live};
use crate::observe::pulse::{Pulse, Stage};
use crate::observe::{self, Watching};
use crate::outbox::breaker::Breaker;
use crate::outbox::{Courier, InFlight};
use crate::retention::Sweeper;
use crate::share::{self, Share};
use crate::store::blob::{Blobs, Folder};
use crate::store::search;
use crate::store::sql::{Access, Database};
use crate::store::{Store, StoreError};
use crate::wake::Wake;

/// A hub that has been built and not yet started.
pub struct Hub {
    store: Arc<Database>,
    inbox: Arc<Writer>,
    gate: Arc<Gate>,
    engine: Arc<Engine>,
    couriers: Vec<Courier>,
    sources: Sources,
    /// Those only one hub may run at a time.
    alone: Vec<SourceName>,
    listening: Vec<(SourceName, SocketAddr)>,
    setup: Arc<RwLock<Arc<Setup>>>,
    configured: Arc<Setup>,
    paused: Arc<RwLock<Vec<SinkName>>>,
    clock: Arc<dyn Clock>,
    wake: Wake,
    carrier: Option<jetstream::Wake>,
    fatal: CancellationToken,
    pulse: Arc<Pulse>,
    watching: Option<Watching>,
    /// Between two tries at a delivery at most.
    longest_wait: Duration,
    sweeper: Option<Sweeper>,
    local: Vec<Arc<Live>>,
    beds: Option<Room>,
}

/// The hub cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The ledger.
    #[error("the ledger")]
    Store(#[from] StoreError),
    /// A source cannot go on.
    #[error("source {name}")]
    Source {
        /// Which.
        name: SourceName,
        /// Why.
        #[source]
        source: renkei_core::SourceError,
    },
    /// The hub cannot be watched as configured.
    #[error("observe")]
    Observe(#[source] BoxError),
    /// Beds cannot be served or told as configured.
    #[error("beds")]
    Beds(#[source] BoxError),
    /// A peer cannot be built.
    #[error("peer {name}")]
    Peer {
        /// Which.
        name: SinkName,
        /// Why.
        #[source]
        source: BoxError,
    },
}

impl Hub {
    /// Opens the ledger and builds every room; ports are bound here, so that a taken port is reported
    /// before anything runs.
    ///
    /// # Errors
    /// [`HubError`] names the part.
    pub async fn build(checked: Checked, clock: Arc<dyn Clock>) -> Result<Self, HubError> {
        let store = Arc::new(Database::open(&checked.place, Access::Hub).await?);
        let blobs: Arc<dyn Blobs> = match &checked.place.server {
            Some(_) => store.clone(),
            None => Arc::new(Folder::new(&checked.data_dir)),
        };
        let gate = Arc::new(Gate::new(checked.admits()));
        let (wake, fatal) = (Wake::default(), CancellationToken::new());
        let inbox = Writer::start(Parts {
            store: store.clone(),
            blobs: blobs.clone(),
            clock: clock.clone(),
            gate: gate.clone(),
            space: Space::new(checked.data_dir.clone()),
            stored: wake.accepted.clone(),
            fatal: fatal.clone(),
        });
        let (sinks, back) = peers(&checked, &clock)?;
        let (mut sources, listening) = sources(&checked, &clock).await?;
        sources.extend(back);
        // A port is each hub's own; a storage, a folder or a peer is asked by one hub at a time.
        let alone: Vec<SourceName> = sources
            .iter()
            .map(|(name, _)| name.clone())
            .filter(|name| !listening.iter().any(|(listens, _)| listens == name))
            .chain([Room::task()])
            .collect();
        let watching = observe::Hub {
            ledger: store.clone(),
            clock: clock.clone(),
            folder: checked.data_dir.clone(),
            sources: &sources
                .iter()
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>(),
            sinks: &sinks.keys().cloned().collect::<Vec<_>>(),
        };
        let watching = Watching::build(checked.observe.clone(), watching)
            .await
            .map_err(HubError::Observe)?;
        let sweeper = checked.retention.automatic.then(|| Sweeper {
            store: store.clone(),
            blobs: Folder::new(&checked.data_dir),
            clock: clock.clone(),
            policy: checked.retention.clone(),
        });
        let (mappers, local) = (checked.mappers(), checked.local());
        let configured = Arc::new(checked.setup);
        let beds = Room::build(
            checked.beds,
            store.clone(),
            configured.clone(),
            clock.clone(),
            checked.retention.automatic,
        );
        let beds = Some(beds.await.map_err(HubError::Beds)?);
        let setup = Arc::new(RwLock::new(configured.clone()));
        let in_flight = Arc::new(InFlight::default());
        let couriers = sinks
            .iter()
            .map(|(name, sink)| Courier {
                name: name.clone(),
                sink: sink.clone(),
                store: store.clone(),
                blobs: blobs.clone(),
                setup: setup.clone(),
                clock: clock.clone(),
                in_flight: in_flight.clone(),
                engine: wake.stored.clone(),
                backoff: checked.backoff,
                breaker: Breaker::new(checked.backoff.first, checked.backoff.most),
                last: 0,
                unwritten: None,
            })
            .collect();
        let (told, longest_wait) = (inbox.clone(), checked.backoff.most);
        let engine = Arc::new(Engine {
            store: store.clone(),
            blobs,
            mappers,
            sinks,
            setup: setup.clone(),
            font: checked.font,
            clock: clock.clone(),
            finished: Arc::new(move |ended| told.finished(ended)),
            in_flight,
            outbox: wake.outbox.clone(),
            singly_up_to: AtomicI64::new(0),
            last: AtomicUsize::new(0),
            counted: AtomicI64::new(0),
            conflicts: AtomicU32::new(0),
            choosing: tokio::sync::Mutex::default(),
        });
        let paused = Arc::new(RwLock::new(Vec::new()));
        Ok(Self {
            store,
            inbox,
            gate,
            engine,
            couriers,
            sources,
            alone,
            listening,
            setup,
            configured,
            paused,
            clock,
            wake,
            carrier: checked.wake,
            fatal,
            pulse: watching.pulse(),
            watching: Some(watching),
            longest_wait,
            sweeper,
            local,
            beds,
        })
    }

    /// Where sources listen.
    pub fn listening(&self) -> &[(SourceName, SocketAddr)] {
        &self.listening
    }

    /// Where metrics and health are served.
    pub fn watched_at(&self) -> Option<SocketAddr> {
        self.watching.as_ref()?.served_at()
    }

    /// Where beds can be asked for.
    pub fn beds_at(&self) -> Option<SocketAddr> {
        self.beds.as_ref()?.listens_at()
    }

    /// Runs until `stop` fires, then drains.
    ///
    /// # Errors
    /// When the ledger fails, or a source needs an operator.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), HubError> {
        let clean = self.store.begin_run(self.clock.now()).await?;
        if !clean {
            warn!(
                "the hub did not end cleanly; what it was working on is processed one by one first"
            );
            // The oldest are taken first, so only these can have been in its hands.
            let newest = self.store.newest_of_oldest(limits::PROCESS_BATCH).await?;
            let newest = newest.map_or(0, |message| message.0);
            self.engine.singly_up_to.store(newest, Ordering::Relaxed);
        }
        // Read before what it stands for: what is written in between is noticed.
        let version = self.store.data_version().await?;
        self.refresh().await?;
        let _watched_to_the_end = self.watching.take().map(Watching::start);
        let sources_stop = stop.child_token();
        let rooms_stop = CancellationToken::new();
        let mut rooms: JoinSet<Result<(), HubError>> = JoinSet::new();
        rooms.spawn(run_engine(
            self.engine.clone(),
            self.wake.clone(),
            self.pulse.clone(),
            rooms_stop.clone(),
        ));
        self.carry_signals(&mut rooms, &rooms_stop);
        let keeping = live::keep(std::mem::take(&mut self.local), rooms_stop.clone());
        rooms.spawn(async move {
            keeping.await;
            Ok(())
        });
        if let Some(sweeper) = self.sweeper.take() {
            let stop = rooms_stop.clone();
            rooms.spawn(async move {
                sweeper.run(stop).await;
                Ok(())
            });
        }
        for courier in std::mem::take(&mut self.couriers) {
            rooms.spawn(run_courier(
                courier,
                self.wake.outbox.clone(),
                self.paused.clone(),
                self.pulse.clone(),
                rooms_stop.clone(),
            ));
        }
        let mut running: JoinSet<Result<(), HubError>> = JoinSet::new();
        let held = self.keep_share(&mut rooms, &rooms_stop).await?;
        if let Some(beds) = self.beds.take() {
            let running = beds.run(held.clone(), rooms_stop.clone());
            rooms.spawn(async move {
                running.await;
                Ok(())
            });
        }
        for (name, source) in std::mem::take(&mut self.sources) {
            if self.alone.contains(&name) {
                let (inbox, pulse) = (self.inbox.clone(), self.pulse.clone());
                let (held, stop) = (held.clone(), sources_stop.clone());
                running.spawn(share::run_alone((name, source), inbox, pulse, held, stop));
                continue;
            }
            let (inbox, shutdown) = (self.inbox.clone(), shutdown(&sources_stop));
            let runs = self.pulse.source(&name);
            running.spawn(async move {
                match source.run(inbox, shutdown).await {
                    Ok(()) => runs.ended_well(),
                    Err(source) => return Err(HubError::Source { name, source }),
                }
                Ok(())
            });
        }
        self.pulse.enter(Stage::Running);
        info!(sources = running.len(), "hub running");
        let ended = self.watch(version, &stop, &mut rooms, &mut running).await;
        self.pulse.enter(Stage::Stopping);
        sources_stop.cancel();
        let drained = tokio::time::timeout(limits::DRAIN, async {
            while running.join_next().await.is_some() {}
            rooms_stop.cancel();
            while rooms.join_next().await.is_some() {}
        });
        let in_time = drained.await.is_ok();
        if ended.is_ok() && in_time {
            // With the ledger out of reach nothing can be said; the next start is careful then.
            or_later(self.store.end_run(self.clock.now()).await, "no clean end")?;
            info!("hub stopped");
        }
        ended
    }

    /// Takes this hub's share of the work and starts the room that keeps it.
    async fn keep_share(
        &self,
        rooms: &mut JoinSet<Result<(), HubError>>,
        stop: &CancellationToken,
    ) -> Result<watch::Receiver<Vec<SourceName>>, HubError> {
        let (tell, held) = watch::channel(Vec::new());
        let share = Share {
            store: self.store.clone(),
            clock: self.clock.clone(),
            engine: self.engine.clone(),
            wake: self.wake.clone(),
            sources: self.sources.iter().map(|(name, _)| name.clone()).collect(),
            alone: self.alone.clone(),
            held: tell,
        };
        share.take().await?;
        rooms.spawn(share.keep(stop.clone()));
        Ok(held)
    }

    /// Starts what carries signals between the rooms and, when configured, to other hubs; and what an
    /// upgrade has left to do.
    fn carry_signals(&self, rooms: &mut JoinSet<Result<(), HubError>>, stop: &CancellationToken) {
        let passing = self.wake.clone().pass_on(stop.clone());
        rooms.spawn(async move {
            passing.await;
            Ok(())
        });
        let (store, signals, ended) = (self.store.clone(), self.wake.clone(), stop.clone());
        rooms.spawn(async move {
            store.carry(signals.told, signals.heard, ended).await;
            Ok(())
        });
        let (store, ended) = (self.store.clone(), stop.clone());
        rooms.spawn(async move {
            search::index_all(&*store, &ended).await;
            ended.cancelled().await;
            Ok(())
        });
        if let Some(config) = self.carrier.clone() {
            let (said, heard) = (self.wake.said.clone(), self.wake.heard.clone());
            let stop = shutdown(stop);
            rooms.spawn(async move {
                jetstream::carry(&config, said, heard, stop).await;
                Ok(())
            });
        }
    }
}

/// The token as adapters see it.
pub(crate) fn shutdown(token: &CancellationToken) -> Shutdown {
    let (asked, waited) = (token.clone(), token.clone());
    Shutdown::new(
        move || asked.is_cancelled(),
        move || Box::pin(waited.clone().cancelled_owned()),
    )
}
