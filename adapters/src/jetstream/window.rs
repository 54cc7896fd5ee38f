//! The messages that are on their way into the inbox. They are offered in the order of the stream, and
//! two with the same ordering key never together, so that neither a refusal nor the inbox's own
//! parallelism can turn their order around.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::jetstream::message::Acker;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use renkei_core::{AcceptError, BoxError, Inbox, NewMessage};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// First wait after "no room"; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// One message of the stream.
pub(super) struct Job {
    pub(super) stream_sequence: u64,
    /// What the inbox gets, in order; all have to be in before the acknowledgment.
    pub(super) messages: Vec<NewMessage>,
    pub(super) acker: Acker,
}

impl Job {
    fn keys(&self) -> impl Iterator<Item = &str> {
        self.messages
            .iter()
            .map(|message| message.ordering_key.as_str())
    }
}

/// Why nothing more can be offered.
pub(super) enum Halt {
    /// The hub stops.
    Stopping,
    /// The ledger failed.
    Broken(BoxError),
}

/// What became of a job.
struct Settled {
    stream_sequence: u64,
    keys: Vec<String>,
    halt: Option<Halt>,
}

/// See the module.
pub(super) struct Window {
    door: Arc<Door>,
    room: usize,
    waiting: VecDeque<Job>,
    offered: FuturesUnordered<BoxFuture<'static, Settled>>,
    /// Ordering keys of what is offered.
    keys: HashSet<String>,
    /// Everything that waits or is offered.
    present: HashSet<u64>,
}

/// What all jobs share.
struct Door {
    inbox: Arc<dyn Inbox>,
    /// As often the server is told that a message is still being worked on.
    progress: Duration,
    /// Fires when what found no room is not tried again: the server gives it out anew.
    giving_up: CancellationToken,
    was_full: AtomicBool,
}

impl Window {
    pub(super) fn new(inbox: Arc<dyn Inbox>, room: usize, ack_wait: Duration) -> Self {
        Self {
            door: Arc::new(Door {
                inbox,
                progress: ack_wait / 3,
                giving_up: CancellationToken::new(),
                was_full: AtomicBool::new(false),
            }),
            room,
            waiting: VecDeque::new(),
            offered: FuturesUnordered::new(),
            keys: HashSet::new(),
            present: HashSet::new(),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.present.len() < self.room
    }

    /// Takes a job; one that is here already was given out again meanwhile and is passed over.
    pub(super) fn push(&mut self, job: Job) {
        if self.present.insert(job.stream_sequence) {
            self.waiting.push_back(job);
            self.offer();
        }
    }

    fn offer(&mut self) {
        while let Some(job) = self.waiting.front() {
            if job.keys().any(|key| self.keys.contains(key)) {
                return;
            }
            let Some(job) = self.waiting.pop_front() else {
                return;
            };
            self.keys.extend(job.keys().map(str::to_owned));
            let settling = settle(Arc::clone(&self.door), job);
            self.offered.push(Box::pin(settling));
        }
    }

    /// Resolves when a job was settled; never when none is offered. Safe to drop at any time.
    pub(super) async fn settled(&mut self) -> Result<(), Halt> {
        match self.offered.next().await {
            None => std::future::pending().await,
            Some(settled) => self.take(settled),
        }
    }

    fn take(&mut self, settled: Settled) -> Result<(), Halt> {
        self.present.remove(&settled.stream_sequence);
        for key in &settled.keys {
            self.keys.remove(key);
        }
        match settled.halt {
            Some(halt) => Err(halt),
            None => {
                self.offer();
                Ok(())
            }
        }
    }

    /// Offers nothing more, and waits until what the inbox is holding has been settled.
    pub(super) async fn close(&mut self) -> Result<(), Halt> {
        self.door.giving_up.cancel();
        self.waiting.clear();
        let mut ended = Ok(());
        while let Some(settled) = self.offered.next().await {
            let one = self.take(settled);
            if !matches!(ended, Err(Halt::Broken(_))) && one.is_err() {
                ended = one;
            }
        }
        self.present.clear();
        ended
    }
}

/// Offers a job until all of it is in, then acknowledges it.
async fn settle(door: Arc<Door>, job: Job) -> Settled {
    let mut settled = Settled {
        stream_sequence: job.stream_sequence,
        keys: job.keys().map(str::to_owned).collect(),
        halt: None,
    };
    for message in job.messages {
        match door.accept(message, &job.acker).await {
            Ok(true) => {}
            Ok(false) => return settled,
            Err(halt) => {
                settled.halt = Some(halt);
                return settled;
            }
        }
    }
    // An acknowledgment that is lost makes a repetition, and that a duplicate.
    if let Err(error) = job.acker.ack().await {
        warn!(error = %error, "an acknowledgment could not be sent");
    }
    settled
}

impl Door {
    /// Whether the inbox has it; `false` when it found no room and nobody waits any more.
    async fn accept(&self, message: NewMessage, acker: &Acker) -> Result<bool, Halt> {
        let mut pause = FIRST_PAUSE;
        let mut working = tokio::time::interval_at(Instant::now() + self.progress, self.progress);
        loop {
            let mut accepting = self.inbox.accept(message.clone());
            let answer = loop {
                tokio::select! {
                    answer = &mut accepting => break answer,
                    _ = working.tick() => tell(acker).await,
                }
            };
            match answer {
                Ok(_) => {
                    self.was_full.store(false, Ordering::Relaxed);
                    return Ok(true);
                }
                Err(AcceptError::Full) => {
                    if !self.was_full.swap(true, Ordering::Relaxed) {
                        warn!(source = %message.source, "the inbox has no room, trying again");
                    }
                }
                Err(AcceptError::Stopping) => return Err(Halt::Stopping),
                Err(AcceptError::Broken(source)) => return Err(Halt::Broken(source)),
            }
            let again = Instant::now() + pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(again) => break,
                    () = self.giving_up.cancelled() => return Ok(false),
                    _ = working.tick() => tell(acker).await,
                }
            }
        }
    }
}

/// Says that the message is still being worked on. Without effect when the connection is gone.
async fn tell(acker: &Acker) {
    if let Err(error) = acker.ack_with(AckKind::Progress).await {
        tracing::debug!(error = %error, "the server could not be told of progress");
    }
}
