//! A running hub: ledger, inbox, engine, couriers, sources, and how they start, are woken and drain.
//!
//! Wake by signal and by timer; a signal carries no data. Whoever misses one looks at the database
//! again within [`LOOK_AGAIN`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use renkei_adapters::{folder, jetstream, mcs, mllp, push, ssmix2, vital_link, ward};
use renkei_core::{BoxError, Clock, Shutdown, Sink, SinkName, Source, SourceName, chain, limits};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::beds::room::Room;
use crate::config::file::{PeerAdapter, SourceAdapter};
use crate::config::{Checked, Setup};
use crate::engine::{Did, Engine, FULL};
use crate::hands::{Hands, beyond};
use crate::inbox::gate::Gate;
use crate::inbox::space::Space;
use crate::inbox::{Parts, Writer};
use crate::normalize::live::{self, Live};
use crate::observe::pulse::{Part, Pulse, Stage};
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

/// How long a lost signal or another process's write may go unnoticed.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long a room lets work gather once there is some: each statement costs the same for one message as
/// for a hundred. Longer while much comes: nobody hears of it, and it is done with fewer statements. A
/// full group is followed by the next at once.
const GATHER: Duration = Duration::from_millis(10);
const GATHER_MUCH: Duration = Duration::from_millis(50);
/// That many in the last group are much.
const MUCH: usize = 4;
/// How long a room waits when there was no room: what it does would fail again, and a peer would hear the
/// same again and again.
const NO_ROOM: Duration = Duration::from_secs(1);

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

    /// Waits for the end; meanwhile notices what other processes wrote.
    async fn watch(
        &self,
        mut version: i64,
        stop: &CancellationToken,
        rooms: &mut JoinSet<Result<(), HubError>>,
        running: &mut JoinSet<Result<(), HubError>>,
    ) -> Result<(), HubError> {
        let mut hands = Hands::default();
        self.pulse.beat(Part::Ledger);
        let mut look = tokio::time::Instant::now() + LOOK_AGAIN;
        loop {
            self.pulse.beat(Part::Hub);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.fatal.cancelled() => return Err(StoreError::Broken("the ledger failed at a write".into()).into()),
                Some(ended) = rooms.join_next() => return ended.unwrap_or_else(|error| Err(StoreError::Broken(Box::new(error)).into())),
                Some(ended) = running.join_next() => match ended {
                    Ok(Ok(())) if stop.is_cancelled() => return Ok(()),
                    Ok(Ok(())) => {}
                    // One source that needs an operator does not stop the others.
                    Ok(Err(error)) => error!(error = %chain(&error), "a source stopped"),
                    Err(error) => error!(error = %chain(&error), "a source ended unexpectedly"),
                },
                () = self.wake.elsewhere.notified() => {
                    or_later(self.inbox.look_for_ended().await, "senders are told later")?;
                    continue;
                }
                () = tokio::time::sleep_until(look) => {}
            }
            look = tokio::time::Instant::now() + LOOK_AGAIN;
            match self.look_around(&mut version, &mut hands).await {
                Ok(()) => {}
                Err(error) if error.passes() => {
                    warn!(error = %chain(&error), "the ledger could not be looked at");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Notices what other processes wrote, and writes down what is written now and then.
    async fn look_around(&self, version: &mut i64, hands: &mut Hands) -> Result<(), StoreError> {
        let now = self.store.data_version().await?;
        self.pulse.beat(Part::Ledger);
        if now != *version {
            self.refresh().await?;
            *version = now;
            self.wake.look();
        }
        self.inbox.look_for_ended().await?;
        self.keep_house(hands).await
    }

    /// What has to be written down now and then: who was turned away, and that the clock was set back.
    async fn keep_house(&self, hands: &mut Hands) -> Result<(), StoreError> {
        let turned_away = self.gate.turned_away_so_far();
        if turned_away > 0 {
            self.store.count("intake.not_enrolled", turned_away).await?;
            self.gate.counted(turned_away);
        }
        let now = self.clock.now();
        if hands.were_set_back(now) {
            let settled = beyond(now, self.configured.settle.at_most);
            let tried = beyond(now, self.longest_wait);
            let due = self.store.catch_up(now, settled, tried).await?;
            if due > 0 {
                warn!(
                    due,
                    "the clock was set back; what it would have made wait is due now"
                );
                self.wake.look();
            }
        }
        hands.see(now);
        Ok(())
    }

    /// Takes over what operators decided: who is enrolled, how far each sink may go.
    async fn refresh(&self) -> Result<(), StoreError> {
        self.gate.enrol(self.store.enrolled().await?);
        let overrides = self.store.overrides().await?;
        let mut setup = (*self.configured).clone();
        let mut paused = Vec::new();
        for change in overrides {
            if let (Some(mode), Some(sink)) = (change.mode, setup.sinks.get_mut(&change.sink)) {
                sink.mode = mode;
            }
            if change.paused {
                paused.push(change.sink);
            }
        }
        if let Ok(mut shared) = self.setup.write() {
            *shared = Arc::new(setup);
        }
        if let Ok(mut shared) = self.paused.write() {
            *shared = paused;
        }
        Ok(())
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

/// What may go well later is tried again then; anything else ends the hub.
fn or_later<T>(done: Result<T, StoreError>, what: &str) -> Result<Option<T>, HubError> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.passes() => {
            warn!(error = %chain(&error), "{what}, trying again");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

async fn run_engine(
    engine: Arc<Engine>,
    wake: Wake,
    pulse: Arc<Pulse>,
    stop: CancellationToken,
) -> Result<(), HubError> {
    loop {
        pulse.beat(Part::Engine);
        let Some(did) = or_later(engine.step().await, "not processed")? else {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(NO_ROOM) => continue,
            }
        };
        if did == Did::Work {
            wake.say();
            if stop.is_cancelled() {
                return Ok(());
            }
            tokio::time::sleep(gather(engine.last())).await;
            continue;
        }
        let next = or_later(engine.next_due().await, "not looked at")?.flatten();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = wake.stored.notified() => tokio::time::sleep(gather(0)).await,
            () = tokio::time::sleep(until(next, engine.clock.now())) => {}
        }
    }
}

async fn run_courier(
    mut courier: Courier,
    outbox: Arc<Notify>,
    paused: Arc<RwLock<Vec<SinkName>>>,
    pulse: Arc<Pulse>,
    stop: CancellationToken,
) -> Result<(), HubError> {
    loop {
        pulse.sink(&courier.name, courier.breaker.open_until().is_some());
        let signal = outbox.notified();
        let is_paused = paused
            .read()
            .is_ok_and(|paused| paused.contains(&courier.name));
        let did = if is_paused {
            Did::Nothing
        } else {
            match or_later(courier.step().await, "not delivered, or not noted")? {
                Some(did) => did,
                None => tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(NO_ROOM) => continue,
                },
            }
        };
        if did == Did::Work && !stop.is_cancelled() {
            tokio::time::sleep(gather(courier.last)).await;
            continue;
        }
        let next = or_later(courier.next_due().await, "not looked at")?.flatten();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = signal => tokio::time::sleep(gather(0)).await,
            () = tokio::time::sleep(until(next, courier.clock.now())) => {}
        }
    }
}

/// How long to wait for more, by how much the last group held.
fn gather(last: usize) -> Duration {
    match last {
        FULL => Duration::ZERO,
        MUCH.. => GATHER_MUCH,
        _ => GATHER,
    }
}

/// The wait until a timer, never longer than [`LOOK_AGAIN`] and never a busy loop.
fn until(next: Option<Timestamp>, now: Timestamp) -> Duration {
    let wait = next.map_or(LOOK_AGAIN, |next| {
        Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO)
    });
    wait.clamp(Duration::from_millis(5), LOOK_AGAIN)
}

type Sinks = HashMap<SinkName, Arc<dyn Sink>>;
type Sources = Vec<(SourceName, Arc<dyn Source>)>;

/// The sinks of a configuration, for asking them without running a hub.
///
/// # Errors
/// [`HubError::Peer`] names the one that cannot be built.
pub fn sinks(
    checked: &Checked,
    clock: &Arc<dyn Clock>,
) -> Result<HashMap<SinkName, Arc<dyn Sink>>, HubError> {
    Ok(peers(checked, clock)?.0)
}

fn peers(checked: &Checked, clock: &Arc<dyn Clock>) -> Result<(Sinks, Sources), HubError> {
    let (mut sinks, mut back): (Sinks, Sources) = (HashMap::new(), Vec::new());
    for (name, peer) in &checked.peers {
        let (clock, wire) = (clock.clone(), checked.dialect(name));
        let built = match &peer.adapter {
            PeerAdapter::Mcs(config) => mcs::build(name, (**config).clone(), clock, wire),
            PeerAdapter::VitalLink(config) => {
                vital_link::build(name, (**config).clone(), clock, wire)
            }
            PeerAdapter::Ward(config) => ward::build(name, config.clone(), clock, wire),
            PeerAdapter::Jetstream(config) => jetstream::build(name, config.clone()),
        };
        let (sink, source) = built.map_err(|problem| HubError::Peer {
            name: name.clone(),
            source: Box::new(problem),
        })?;
        sinks.insert(name.clone(), sink);
        back.extend(source.map(|source| (SourceName::new(name.as_str()), source)));
    }
    Ok((sinks, back))
}

async fn sources(
    checked: &Checked,
    clock: &Arc<dyn Clock>,
) -> Result<(Sources, Vec<(SourceName, SocketAddr)>), HubError> {
    let (mut sources, mut listening): (Sources, _) = (Vec::new(), Vec::new());
    for (name, source) in &checked.sources {
        let failed = |source| HubError::Source {
            name: name.clone(),
            source,
        };
        let built: Arc<dyn Source> = match &source.adapter {
            SourceAdapter::Mllp(config) => {
                let bound = mllp::Mllp::bind(name.clone(), config.clone())
                    .await
                    .map_err(failed)?
                    .with_clock(clock.clone());
                if let Ok(address) = bound.local_addr() {
                    listening.push((name.clone(), address));
                }
                Arc::new(bound)
            }
            SourceAdapter::Ssmix2(config) => {
                Arc::new(ssmix2::Ssmix2::new(name.clone(), config.clone()).map_err(failed)?)
            }
            SourceAdapter::Folder(config) => {
                let reader = checked.mapping_of(name, source);
                let folder = folder::Folder::new(name.clone(), config.clone()).map_err(failed)?;
                Arc::new(folder.cut_by(reader.cutter(&config.facility, clock.clone())))
            }
            SourceAdapter::Push(config) => {
                let cutter = checked
                    .mapping_of(name, source)
                    .cutter(&config.facility, clock.clone());
                let bound = push::Push::bind(name.clone(), config.clone(), cutter, clock.clone())
                    .map_err(failed)?;
                if let Ok(address) = bound.local_addr() {
                    listening.push((name.clone(), address));
                }
                Arc::new(bound)
            }
            SourceAdapter::Jetstream(config) => {
                Arc::new(jetstream::Source::new(name.clone(), config.clone()).map_err(failed)?)
            }
        };
        sources.push((name.clone(), built));
    }
    Ok((sources, listening))
}
