//! Stop 2, inbox: the only door into the hub. A message is acknowledged when the group it came in with
//! has been committed.
//!
//! Hashing, compression and the blob store run on the caller's task; one writer task takes whatever is
//! queued and commits it as one group. When the disk is slow the groups grow by themselves; when it is quick
//! and many send, a group waits a moment for those who are about to send ([`gather`]).

pub mod gate;
mod gather;
pub mod space;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use async_trait::async_trait;
use renkei_core::source::Processed;
use renkei_core::{
    AcceptError, Clock, Code, FacilityId, Inbox, LocalId, MessageId, NewMessage, Note, Receipt,
    SourceName, chain, limits,
};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error};

use crate::observe::meter::{self, Verb};
use crate::observe::trace;
use crate::store::blob::{BlobError, Blobs};
use crate::store::{Prepared, Store, StoreError, StoredBody, pack};
use gate::Gate;
use space::Space;

/// What the inbox needs of the ledger: every [`Store`] has it.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// See [`Store::accept`].
    async fn accept(&self, group: Vec<Prepared>) -> Result<Vec<Receipt>, StoreError>;
    /// See [`Store::outcomes`].
    async fn outcomes(
        &self,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Processed)>, StoreError>;
    /// See [`Store::recall`].
    async fn recall(&self, source: &SourceName) -> Result<Vec<Note>, StoreError>;
    /// See [`Store::remember`].
    async fn remember(&self, source: &SourceName, notes: Vec<Note>) -> Result<(), StoreError>;
}

#[async_trait]
impl<S: Store> Ledger for S {
    async fn accept(&self, group: Vec<Prepared>) -> Result<Vec<Receipt>, StoreError> {
        Store::accept(self, group).await
    }

    async fn outcomes(
        &self,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Processed)>, StoreError> {
        Store::outcomes(self, messages).await
    }

    async fn recall(&self, source: &SourceName) -> Result<Vec<Note>, StoreError> {
        Store::recall(self, source).await
    }

    async fn remember(&self, source: &SourceName, notes: Vec<Note>) -> Result<(), StoreError> {
        Store::remember(self, source, notes).await
    }
}

/// The inbox over a ledger.
pub struct Writer {
    store: Arc<dyn Ledger>,
    blobs: Arc<dyn Blobs>,
    clock: Arc<dyn Clock>,
    gate: Arc<Gate>,
    space: Space,
    queue: mpsc::Sender<Queued>,
    waiters: Mutex<Waiters>,
    /// Fires when messages were stored: wakes the engine.
    stored: Arc<tokio::sync::Notify>,
    /// Fires when the ledger fails at a write or sync: the process must end.
    fatal: CancellationToken,
}

type Waiters = HashMap<MessageId, Vec<oneshot::Sender<Processed>>>;

struct Queued {
    prepared: Prepared,
    answer: oneshot::Sender<Result<Receipt, AcceptError>>,
}

/// What the inbox works with.
pub struct Parts {
    /// The ledger.
    pub store: Arc<dyn Ledger>,
    /// Documents and long messages.
    pub blobs: Arc<dyn Blobs>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The intake gate.
    pub gate: Arc<Gate>,
    /// Watches the disk.
    pub space: Space,
    /// Fires when messages were stored.
    pub stored: Arc<tokio::sync::Notify>,
    /// Fires when the ledger fails.
    pub fatal: CancellationToken,
}

impl Writer {
    /// Starts the writer task. It ends when the last handle to the inbox is gone.
    pub fn start(parts: Parts) -> Arc<Self> {
        let (queue, queued) = mpsc::channel(limits::ACCEPT_QUEUE);
        tokio::spawn(write_groups(
            parts.store.clone(),
            queued,
            parts.stored.clone(),
            parts.fatal.clone(),
        ));
        Arc::new(Self {
            store: parts.store,
            blobs: parts.blobs,
            clock: parts.clock,
            gate: parts.gate,
            space: parts.space,
            queue,
            waiters: Mutex::default(),
            stored: parts.stored,
            fatal: parts.fatal,
        })
    }

    /// Told by the engine after each committed batch.
    pub fn finished(&self, ended: &[(MessageId, Processed)]) {
        let mut waiters = self.waiters();
        for (id, how) in ended {
            for waiter in waiters.remove(id).into_iter().flatten() {
                // A sender that hung up does not need its answer.
                let _gone = waiter.send(*how);
            }
        }
    }

    /// Looks whether messages that senders wait for were processed by another hub.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn look_for_ended(&self) -> Result<(), StoreError> {
        let waited_for: Vec<MessageId> = self.waiters().keys().copied().collect();
        if !waited_for.is_empty() {
            self.finished(&self.store.outcomes(&waited_for).await?);
        }
        Ok(())
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        match self.waiters.lock() {
            Ok(waiters) => waiters,
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    /// A full disk empties again; any other failure to write or sync ends the process.
    fn not_kept(&self, error: BlobError) -> AcceptError {
        if error.is_no_room() {
            return AcceptError::Full;
        }
        error!(error = %chain(&error), "the blob store failed at a write");
        self.fatal.cancel();
        AcceptError::Broken(Box::new(error))
    }

    async fn prepare(&self, message: NewMessage) -> Result<Prepared, AcceptError> {
        let sha256 = message.sha256();
        // Documents always lie as files: they are attached to posts by their hash.
        let packed = if message.meta.media_type.is_some() {
            None
        } else {
            Some(pack(&message.body))
        };
        let body = match packed {
            Some(packed) if packed.len() <= limits::INLINE_BODY_BYTES => StoredBody::Inline(packed),
            _ => {
                self.blobs
                    .put(message.body.clone())
                    .await
                    .map_err(|error| self.not_kept(error))?;
                StoredBody::Blob
            }
        };
        Ok(Prepared {
            lane: lane(&message),
            message,
            sha256,
            body,
            received_at: self.clock.now(),
        })
    }
}

/// Order holds per (source, ordering key): the lane is their hash.
fn lane(message: &NewMessage) -> i64 {
    let mut hasher = Sha256::new();
    hasher.update(message.source.as_str().as_bytes());
    hasher.update([0x1f]);
    hasher.update(message.ordering_key.as_bytes());
    let digest = hasher.finalize();
    let mut bytes = [0_u8; 8];
    bytes.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(bytes) & i64::MAX
}

/// Takes what is queued and commits it as one group.
async fn write_groups(
    store: Arc<dyn Ledger>,
    mut queued: mpsc::Receiver<Queued>,
    stored: Arc<tokio::sync::Notify>,
    fatal: CancellationToken,
) {
    let mut hope = gather::Hope::default();
    while let Some(first) = queued.recv().await {
        let group = gather::group(first, &mut queued, &mut hope).await;
        let (prepared, answers): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|queued| (queued.prepared, queued.answer))
            .unzip();
        let sources: Vec<SourceName> = prepared
            .iter()
            .map(|prepared| prepared.message.source.clone())
            .collect();
        let began = Instant::now();
        let result = store
            .accept(prepared)
            .instrument(trace::accept(sources.len()))
            .await;
        if result.is_ok() {
            meter::committed(Verb::Accept, sources.len(), began.elapsed());
        }
        meter::offered(&sources, result.as_deref().unwrap_or_default());
        if let Err(StoreError::Broken(source)) = &result {
            error!(error = %chain(source.as_ref()), "the ledger failed at a write");
            fatal.cancel();
        }
        let mut receipts = result.as_ref().map_or(&[][..], Vec::as_slice).iter();
        for answer in answers {
            let told = match &result {
                Ok(_) => receipts.next().copied().ok_or(AcceptError::Full),
                Err(StoreError::Broken(_)) => Err(AcceptError::Broken("the ledger failed".into())),
                Err(_) => Err(AcceptError::Full),
            };
            let _gone = answer.send(told);
        }
        stored.notify_one();
    }
}

#[async_trait]
impl Inbox for Writer {
    fn admits(&self, source: &SourceName, facility: &FacilityId, subject: &LocalId) -> bool {
        self.gate.admits(source, facility, subject)
    }

    fn admission_epoch(&self) -> u64 {
        self.gate.epoch()
    }

    async fn accept(&self, message: NewMessage) -> Result<Receipt, AcceptError> {
        if let Some(subject) = &message.subject
            && !self
                .gate
                .admits(&message.source, &message.facility, subject)
        {
            self.gate.turned_away();
            meter::not_queued(&message.source, None);
            return Ok(Receipt::NotEnrolled);
        }
        if self.fatal.is_cancelled() {
            return Err(AcceptError::Broken("the ledger failed before".into()));
        }
        if !self.space.is_enough(self.clock.now()) {
            meter::not_queued(&message.source, Some(Code::INB_FULL));
            return Err(AcceptError::Full);
        }
        let prepared = self.prepare(message).await?;
        let (answer, answered) = oneshot::channel();
        self.queue
            .send(Queued { prepared, answer })
            .await
            .map_err(|_| AcceptError::Stopping)?;
        answered.await.map_err(|_| AcceptError::Stopping)?
    }

    async fn processed(&self, id: MessageId) -> Result<Processed, AcceptError> {
        let (tell, told) = oneshot::channel();
        self.waiters().entry(id).or_default().push(tell);
        // It may have ended before we began to listen.
        let known = self.store.outcomes(&[id]).await;
        self.finished(&known.map_err(|error| AcceptError::Broken(Box::new(error)))?);
        self.stored.notify_one();
        told.await.map_err(|_| AcceptError::Stopping)
    }

    async fn recall(&self, source: &SourceName) -> Result<Vec<Note>, AcceptError> {
        self.store.recall(source).await.map_err(refused)
    }

    async fn remember(&self, source: &SourceName, notes: Vec<Note>) -> Result<(), AcceptError> {
        self.store.remember(source, notes).await.map_err(refused)
    }
}

fn refused(error: StoreError) -> AcceptError {
    match error {
        StoreError::Broken(_) | StoreError::Unusable { .. } => AcceptError::Broken(Box::new(error)),
        _ => AcceptError::Full,
    }
}
