//! One hub of a run: its rooms put together over a ledger and a peer that stand still when told to.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize};
use std::time::Duration;

use renkei_core::{Clock as _, Draft, MapError, Mapper, MapperId, Message, SinkName, SourceName};
use renkei_mappings::Options;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::Run;
use super::paced::{Line, Pace, Paced, Parked};
use crate::engine::{Did, Engine};
use crate::outbox::breaker::Breaker;
use crate::outbox::{Backoff, Courier, InFlight};
use crate::rehearsal::facility;
use crate::share::Share;
use crate::store::blob::{Blobs, Folder};
use crate::store::sql::{Access, Database};
use crate::store::{Store, StoreError};
use crate::wake::Wake;

/// Reads what the hospital says, and what the peer says about our deliveries.
struct Reader(Arc<dyn Mapper>);

impl Mapper for Reader {
    fn id(&self) -> MapperId {
        self.0.id()
    }

    fn map(&self, message: &Message) -> Result<Draft, MapError> {
        if message.source.as_str() == "mcs" {
            let receipts = serde_json::from_slice(&message.body).unwrap();
            return Ok(Draft {
                receipts,
                ..Draft::default()
            });
        }
        self.0.map(message)
    }
}

/// A step under way, or standing still.
pub(super) struct Turn<T> {
    pub(super) task: JoinHandle<T>,
    pub(super) parked: Option<Parked>,
}

pub(super) type EngineTurn = Turn<Result<Did, StoreError>>;
pub(super) type CourierTurn = Turn<(Courier, Result<Did, StoreError>)>;

/// A hub with its rooms, none of which runs by itself.
pub(super) struct Hub {
    pub(super) store: Arc<Database>,
    pub(super) engine: Arc<Engine>,
    pub(super) share: Share,
    _held: watch::Receiver<Vec<SourceName>>,
    pub(super) courier: Option<Courier>,
    pub(super) engine_turn: Option<EngineTurn>,
    pub(super) courier_turn: Option<CourierTurn>,
    pub(super) parks: mpsc::UnboundedReceiver<Parked>,
}

impl Hub {
    /// Opens the ledger as hub `number` and puts its rooms together; its sources are shared out.
    pub(super) async fn open(run: &Run, number: usize) -> Self {
        let store = Database::open(run.place(number), Access::Hub)
            .await
            .unwrap();
        let store = Arc::new(store);
        let (parked, parks) = mpsc::unbounded_channel();
        let pace = Pace(parked);
        let paced: Arc<dyn Store> = Arc::new(Paced {
            inner: store.clone(),
            pace: pace.clone(),
        });
        let blobs: Arc<dyn Blobs> = Arc::new(Folder::new(run.folder.path()));
        let line: Arc<dyn renkei_core::Sink> = Arc::new(Line {
            peer: run.peer.clone(),
            pace,
            clock: run.clock.clone(),
        });
        let sink = SinkName::new("mcs");
        let sources: Vec<SourceName> = ["hospital", "mcs"].map(SourceName::new).into();
        let reader: Arc<dyn Mapper> = Arc::new(Reader(
            renkei_mappings::build("hl7v2", Options::new(facility())).unwrap(),
        ));
        let in_flight = Arc::new(InFlight::default());
        let wake = Wake::default();
        let engine = Arc::new(Engine {
            store: paced.clone(),
            blobs: blobs.clone(),
            mappers: sources
                .iter()
                .map(|name| (name.clone(), reader.clone()))
                .collect(),
            sinks: HashMap::from([(sink.clone(), line.clone())]),
            setup: run.setup.clone(),
            font: None,
            clock: run.clock.clone(),
            finished: Arc::new(|_ended| {}),
            in_flight: in_flight.clone(),
            outbox: wake.outbox.clone(),
            singly_up_to: AtomicI64::new(0),
            last: AtomicUsize::new(0),
            counted: AtomicI64::new(0),
            conflicts: AtomicU32::new(0),
            choosing: tokio::sync::Mutex::default(),
        });
        let backoff = Backoff {
            first: Duration::from_secs(5),
            most: Duration::from_secs(60),
        };
        let courier = Courier {
            name: sink,
            sink: line,
            store: paced.clone(),
            blobs,
            setup: run.setup.clone(),
            clock: run.clock.clone(),
            in_flight,
            last: 0,
            unwritten: None,
            engine: wake.stored.clone(),
            backoff,
            breaker: Breaker::new(backoff.first, backoff.most),
        };
        let (held, _held) = watch::channel(Vec::new());
        let share = Share {
            store: store.clone(),
            clock: run.clock.clone(),
            engine: engine.clone(),
            wake,
            sources,
            alone: Vec::new(),
            held,
        };
        store.begin_run(run.clock.now()).await.unwrap();
        share.take().await.unwrap();
        Self {
            store,
            engine,
            share,
            _held,
            courier: Some(courier),
            engine_turn: None,
            courier_turn: None,
            parks,
        }
    }
}
