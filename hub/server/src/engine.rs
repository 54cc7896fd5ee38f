//! The hub's own worker: takes waiting messages through stops 3 to 8 in batches and settles due
//! notices. One task; every step can be called by a test without waiting.
//!
//! Mapping and rendering are pure CPU and happen outside any transaction; the database is touched by
//! load and apply only.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use renkei_core::source::Processed;
use renkei_core::{
    AttachmentRef, Clock, Code, DeliveryId, MapError, Mapper, MessageId, PersonId, Sink, SinkName,
    SourceName, chain, limits,
};
use renkei_mappings::post::font::Font;
use tokio::sync::Notify;
use tracing::{Instrument as _, debug, error, warn};

use crate::config::Setup;
use crate::observe::meter::{self, Verb};
use crate::observe::trace;
use crate::outbox::InFlight;
use crate::pipeline::{self, Mapped};
use crate::store::blob::Blobs;
use crate::store::{Framed, Store, StoreError, Waiting};
use crate::world::{Effects, Keys, MessageState, PlannedDelivery, World};

/// Whether a step found something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Did {
    /// Call again at once.
    Work,
    /// Wait for a signal or the next timer.
    #[default]
    Nothing,
}

/// A group as large as one may be.
pub const FULL: usize = usize::MAX;
/// Messages below which mapping them is not divided among threads.
const MAPPED_ALONE: usize = 8;

/// Hears how the messages of a committed batch ended.
pub type Finished = Arc<dyn Fn(&[(MessageId, Processed)]) + Send + Sync>;

/// How often a batch is decided again because another hub wrote what it was decided over, before it is
/// halved.
const CONFLICTS: u32 = 16;
/// The same for one message alone. A conflict means that another hub has got on with something; so many
/// in a row, with pauses, mean that this message can never be written.
const CONFLICTS_OF_ONE: u32 = 128;
/// Notices settled in one transaction at most.
const SETTLE_BATCH: usize = 128;

/// Everything the engine works with.
pub struct Engine {
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// Documents and large bodies.
    pub blobs: Arc<dyn Blobs>,
    /// One mapper per source.
    pub mappers: HashMap<SourceName, Arc<dyn Mapper>>,
    /// Sinks, for framing.
    pub sinks: HashMap<SinkName, Arc<dyn Sink>>,
    /// The decided configuration; operators may change sink modes while the hub runs.
    pub setup: Arc<RwLock<Arc<Setup>>>,
    /// The font of the PDF.
    pub font: Option<Arc<Font>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Told after each batch: how messages ended.
    pub finished: Finished,
    /// What the couriers are sending now.
    pub in_flight: Arc<InFlight>,
    /// Fires when deliveries may be due.
    pub outbox: Arc<Notify>,
    /// After an unclean end the messages that may have caused it, those that waited up to this position,
    /// run one by one, each attempt counted before it; 0 = none.
    pub singly_up_to: AtomicI64,
    /// Messages in the last batch; [`FULL`] = as many messages or notices as there may be: more wait behind
    /// them.
    pub last: AtomicUsize,
    /// The message whose attempt was counted last: it is tried again in this process as often as need be,
    /// because what ends the process has not ended it.
    pub counted: AtomicI64,
    /// Conflicts in a row while settling.
    pub conflicts: AtomicU32,
    /// Held while messages are chosen, and while it is worked out which are this hub's and which of them
    /// run one by one.
    pub choosing: tokio::sync::Mutex<()>,
}

impl Engine {
    /// Processes one batch of waiting messages, or settles due notices.
    ///
    /// # Errors
    /// Only when the ledger fails; a refused batch is bisected here.
    pub async fn step(&self) -> Result<Did, StoreError> {
        let processed = self.process().await?;
        let settled = match self.settle().await {
            // Another hub wrote what it was decided over: at once again, or works on these people now.
            Err(StoreError::Conflict(_)) if self.again().await => Did::Work,
            Err(StoreError::Fenced) => Did::Work,
            settled => {
                self.conflicts.store(0, Ordering::Relaxed);
                settled?
            }
        };
        Ok(if processed == Did::Work || settled == Did::Work {
            Did::Work
        } else {
            Did::Nothing
        })
    }

    /// Messages in the last batch, or [`FULL`].
    pub fn last(&self) -> usize {
        self.last.load(Ordering::Relaxed)
    }

    /// When the next notice falls due.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.store.next_due().await
    }

    fn setup(&self) -> Arc<Setup> {
        self.setup.read().map_or_else(
            |poisoned| poisoned.into_inner().clone(),
            |setup| setup.clone(),
        )
    }

    /// Whether to settle again at once after a conflict; after many in a row a little later.
    async fn again(&self) -> bool {
        let before = self.conflicts.fetch_add(1, Ordering::Relaxed);
        pause(before).await;
        before < CONFLICTS
    }

    /// The next messages, and whether they run one by one.
    async fn choose(&self) -> Result<(Vec<Waiting>, bool), StoreError> {
        let _turn = self.choosing.lock().await;
        let suspects = self.singly_up_to.load(Ordering::Relaxed);
        let mut singly = suspects > 0;
        let limit = if singly { 1 } else { limits::PROCESS_BATCH };
        let mut waiting = self.store.waiting(limit).await?;
        if singly
            && waiting
                .first()
                .is_none_or(|next| next.message.id.0 > suspects)
        {
            // The others were not being worked on when the process ended.
            self.singly_up_to.store(0, Ordering::Relaxed);
            singly = false;
            waiting = self.store.waiting(limits::PROCESS_BATCH).await?;
        }
        let full = singly || waiting.len() >= limits::PROCESS_BATCH;
        let last = if full { FULL } else { waiting.len() };
        self.last.store(last, Ordering::Relaxed);
        Ok((waiting, singly))
    }

    async fn process(&self) -> Result<Did, StoreError> {
        let (waiting, singly) = self.choose().await?;
        let Some(first) = waiting.first().map(|waiting| waiting.message.id) else {
            return Ok(Did::Nothing);
        };
        if singly && self.counted.swap(first.0, Ordering::Relaxed) != first.0 {
            self.store.count_attempt(&[first]).await?;
        }
        let began = Instant::now();
        let span = trace::process(waiting.len(), Some(first));
        let batch = self.map(waiting).instrument(span.clone()).await;
        debug!(messages = batch.len(), "processing");
        self.commit(batch).instrument(span).await?;
        meter::batch(Verb::Apply, began.elapsed());
        self.outbox.notify_waiters();
        Ok(Did::Work)
    }

    /// Stop 3, normalize: pure CPU on blocking threads, in parallel.
    async fn map(&self, waiting: Vec<Waiting>) -> Vec<Mapped> {
        let share = waiting.len().div_ceil(2).max(MAPPED_ALONE);
        let mut shares = Vec::new();
        let mut waiting = waiting.into_iter().peekable();
        while waiting.peek().is_some() {
            let part: Vec<Waiting> = waiting.by_ref().take(share).collect();
            let mappers = self.mappers.clone();
            shares.push(tokio::task::spawn_blocking(move || {
                part.into_iter()
                    .map(|one| map_one(&mappers, one))
                    .collect::<Vec<_>>()
            }));
        }
        let mut mapped = Vec::new();
        for share in shares {
            match share.await {
                Ok(part) => mapped.extend(part),
                Err(error) => error!(error = %chain(&error), "a mapping thread ended"),
            }
        }
        mapped
    }

    /// Applies a batch; when the database refuses it, halves it until only the guilty message is left.
    async fn commit(&self, batch: Vec<Mapped>) -> Result<(), StoreError> {
        let mut parts = vec![(batch, 0)];
        while let Some((part, conflicts)) = parts.pop() {
            let effects = self.decide(&part, None).await?;
            let finished = ended(&effects);
            let began = Instant::now();
            match self.store.apply(effects, Vec::new()).await {
                Ok(()) => self.tell(&part, &finished, began),
                // Another hub has processed it; what there is to do is read anew.
                Err(StoreError::Fenced) => debug!(messages = part.len(), "batch taken over"),
                Err(StoreError::Conflict(source))
                    if conflicts
                        < if part.len() == 1 {
                            CONFLICTS_OF_ONE
                        } else {
                            CONFLICTS
                        } =>
                {
                    debug!(messages = part.len(), error = %chain(source.as_ref()), "deciding again");
                    pause(conflicts).await;
                    parts.push((part, conflicts + 1));
                }
                Err(StoreError::Refused(source) | StoreError::Conflict(source))
                    if part.len() == 1 =>
                {
                    error!(error = %chain(source.as_ref()), "the database refused a message");
                    let effects = self.decide(&part, Some(Code::INB_REFUSED_BY_STORE)).await?;
                    let finished = ended(&effects);
                    self.store.apply(effects, Vec::new()).await?;
                    self.tell(&part, &finished, began);
                }
                Err(StoreError::Refused(source) | StoreError::Conflict(source)) => {
                    warn!(messages = part.len(), error = %chain(source.as_ref()), "batch refused, halving it");
                    let mut first = part;
                    let second = first.split_off(first.len() / 2);
                    parts.push((second, 0));
                    parts.push((first, 0));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells who waits for them how the messages of a committed batch ended, and counts them.
    fn tell(&self, batch: &[Mapped], finished: &[(MessageId, Processed)], began: Instant) {
        (self.finished)(finished);
        meter::committed(Verb::Apply, batch.len(), began.elapsed());
        let sources = batch.iter().map(|mapped| &mapped.message);
        let sources = sources.map(|message| (message.id, message.source.clone()));
        meter::ended(&sources.collect(), finished);
    }

    /// Loads the world and decides the batch over it. `fail` ends its only message with a code and no
    /// other effect.
    async fn decide(&self, batch: &[Mapped], fail: Option<Code>) -> Result<Effects, StoreError> {
        let mut poisoned = Vec::new();
        loop {
            let mut world = World::empty(self.clock.now(), self.setup());
            if let Some(code) = fail {
                pipeline::fail_all(&mut world, batch, code);
                return Ok(world.effects);
            }
            let mut keys = Keys::default();
            for mapped in batch {
                if let Ok(draft) = &mapped.draft {
                    keys.add(draft);
                }
            }
            self.store.load(&keys, &mut world).await?;
            match pipeline::process_batch(&mut world, batch, &poisoned) {
                Ok(()) => return Ok(world.effects),
                Err(index) => {
                    error!(index, "processing a message panicked; it is failed");
                    poisoned.push(index);
                }
            }
        }
    }

    /// Settles due notices: compose, route, render, frame, commit.
    async fn settle(&self) -> Result<Did, StoreError> {
        let now = self.clock.now();
        let due = self.store.due_notices(now, SETTLE_BATCH).await?;
        if due.is_empty() {
            return Ok(Did::Nothing);
        }
        if due.len() == SETTLE_BATCH {
            self.last.store(FULL, Ordering::Relaxed);
        }
        let began = Instant::now();
        let effects = self.compose(&due, now).await?;
        if effects.superseded.is_empty() {
            self.store_settled(effects).await?;
            meter::batch(Verb::Settle, began.elapsed());
            return Ok(Did::Work);
        }
        // What is being sent at this moment cannot be taken back: its notice waits until that is known.
        // Composed anew under the lock, because what was being sent a moment ago may have been told.
        let in_flight = self.in_flight.0.lock().await;
        let effects = self.compose(&due, now).await?;
        if !takes_back(&effects, &in_flight) {
            self.store_settled(effects).await?;
            return Ok(Did::Work);
        }
        drop(in_flight);
        // One by one; what comes later for a person whose notice waits, waits behind it.
        let mut waiting: HashSet<PersonId> = HashSet::new();
        for notice in &due {
            let in_flight = self.in_flight.0.lock().await;
            let effects = self.compose(&[*notice], now).await?;
            let persons: Vec<PersonId> = effects.notices.values().map(|one| one.person).collect();
            if takes_back(&effects, &in_flight)
                || persons.iter().any(|person| waiting.contains(person))
            {
                waiting.extend(persons);
            } else {
                self.store_settled(effects).await?;
            }
        }
        Ok(Did::Nothing)
    }

    /// Composes, routes and renders, over a world of its own.
    async fn compose(
        &self,
        due: &[renkei_core::NoticeId],
        now: Timestamp,
    ) -> Result<Effects, StoreError> {
        let mut world = World::empty(now, self.setup());
        self.store.load_notices(due, &mut world).await?;
        for notice in due {
            pipeline::settle(&mut world, *notice);
        }
        Ok(world.effects)
    }

    async fn store_settled(&self, mut effects: Effects) -> Result<(), StoreError> {
        let mut framed = Vec::new();
        let span = trace::settle(effects.notices.len(), effects.deliveries.len());
        for delivery in &mut effects.deliveries {
            framed.push(self.frame(delivery).instrument(span.clone()).await?);
        }
        let planned = meter::planned(&effects.deliveries);
        let (notices, began) = (effects.notices.len(), Instant::now());
        self.store.apply(effects, framed).instrument(span).await?;
        meter::committed(Verb::Settle, notices, began.elapsed());
        meter::settled(notices, &planned);
        self.outbox.notify_waiters();
        Ok(())
    }

    /// Renders the sheet, stores it, and frames the post: these bytes are what every attempt sends.
    ///
    /// # Errors
    /// When the sheet finds no room or the disk fails: that is no fault of the delivery.
    async fn frame(&self, delivery: &mut PlannedDelivery) -> Result<Framed, StoreError> {
        let id = delivery.id.clone();
        if let (Some(sheet), Some(font)) = (delivery.post.sheet.take(), self.font.clone()) {
            match self.attach_sheet(sheet, font).await? {
                Ok(attachment) => delivery.post.attachments.insert(0, attachment),
                Err(code) => {
                    return Ok(Framed {
                        id,
                        payload: Err(code),
                    });
                }
            }
        }
        let payload = match self.sinks.get(&delivery.channel.sink) {
            Some(sink) => sink
                .frame(&delivery.post, &delivery.channel)
                .map_err(|error| error.code),
            None => Err(Code::DLV_FRAME),
        };
        Ok(Framed { id, payload })
    }

    async fn attach_sheet(
        &self,
        sheet: renkei_core::delivery::Sheet,
        font: Arc<Font>,
    ) -> Result<Result<AttachmentRef, Code>, StoreError> {
        let drawn =
            tokio::task::spawn_blocking(move || renkei_mappings::post::pdf::pdf(&sheet, &font))
                .await;
        let bytes = match drawn {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                error!(error = %chain(&error), "the sheet could not be drawn");
                return Ok(Err(Code::DLV_FRAME));
            }
            Err(_) => return Ok(Err(Code::DLV_FRAME)),
        };
        let size = bytes.len() as u64;
        let sha256 = self.blobs.put(bytes.into()).await?;
        Ok(Ok(AttachmentRef {
            sha256,
            media_type: "application/pdf".to_owned(),
            file_name: "joho-sheet.pdf".to_owned(),
            size,
        }))
    }
}

/// Lets the other hub go first, longer each time: up to a twentieth of a second.
async fn pause(conflicts: u32) {
    tokio::time::sleep(Duration::from_millis(u64::from(conflicts.min(50)))).await;
}

/// Whether something would be taken back that is being sent now.
fn takes_back(effects: &Effects, in_flight: &HashSet<DeliveryId>) -> bool {
    let mut superseded = effects.superseded.iter();
    superseded.any(|(id, _)| in_flight.contains(id))
}

fn map_one(mappers: &HashMap<SourceName, Arc<dyn Mapper>>, waiting: Waiting) -> Mapped {
    let Waiting {
        message,
        damaged,
        attempts,
        control_id_reused,
        replay,
    } = waiting;
    let mapper = mappers.get(&message.source);
    let mapper = mapper.map(|mapper| mapper.chosen(&message).unwrap_or_else(|| mapper.clone()));
    let failed = |code, at: &str| {
        Err(MapError {
            code,
            at: at.to_owned(),
        })
    };
    let draft = match (damaged, &mapper) {
        (Some(code), _) => failed(code, "body"),
        (None, _) if attempts >= limits::POISON_ATTEMPTS => failed(Code::INB_POISON, "message"),
        (None, None) => failed(Code::MAP_NOT_THIS_FORMAT, "source"),
        (None, Some(mapper)) => catch_unwind(AssertUnwindSafe(|| mapper.map(&message)))
            .unwrap_or_else(|_| failed(Code::INB_PANIC, "mapping")),
    };
    let mapper = mapper
        .map(|mapper| mapper.id().to_string())
        .unwrap_or_default();
    Mapped {
        message,
        draft,
        mapper,
        replay,
        control_id_reused,
    }
}

fn ended(effects: &Effects) -> Vec<(MessageId, Processed)> {
    effects
        .outcomes
        .iter()
        .map(|(id, outcome)| {
            let code = outcome.code.unwrap_or(Code::INB_PANIC);
            let how = match outcome.state {
                MessageState::Processed | MessageState::Received => Processed::Processed,
                MessageState::Parked => Processed::Parked(code),
                MessageState::Failed => Processed::Failed(code),
            };
            (*id, how)
        })
        .collect()
}
