//! The ledger. One SQL database is record *and* queue; this trait is the only door to it and speaks
//! the domain in sets: every verb is a handful of statements for a whole group. Only the modules
//! below `store/` know a dialect.
//!
//! Called by `inbox` (accept), `engine` (load, apply), `outbox` (due, finish), `cli` (operator verbs).

pub mod beds;
pub mod blob;
pub mod keeper;
pub mod operator;
mod packed;
pub mod search;
pub mod sql;
#[cfg(test)]
mod suite;
pub mod watch;

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use async_trait::async_trait;
use jiff::Timestamp;
use renkei_core::{
    BoxError, FacilityId, LocalId, Message, MessageId, NewMessage, Note, NoticeId, Receipt,
    SinkName, SourceName, source::Processed,
};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

pub use packed::{pack, unpack, unpack_text};

use crate::world::{ChannelChange, Due, Effects, Finish, Keys, World};

/// Where the ledger is kept.
#[derive(Debug, Clone)]
pub struct Place {
    /// Folder of the file, the documents and the lock.
    pub folder: PathBuf,
    /// The server that keeps the ledger instead of the file.
    pub server: Option<Server>,
    /// How long the log beside the file grows before it is written back, in bytes.
    pub log_bytes: u64,
}

/// [`Place::log_bytes`] where nothing else is said: read again within the start target.
pub const LOG_BYTES: u64 = 64 * 1024 * 1024;

impl From<&Path> for Place {
    fn from(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            server: None,
            log_bytes: LOG_BYTES,
        }
    }
}

impl From<&PathBuf> for Place {
    fn from(folder: &PathBuf) -> Self {
        Self::from(folder.as_path())
    }
}

impl From<&Self> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}

/// A PostgreSQL server. Neither its address nor its password is ever printed.
#[derive(Clone)]
pub struct Server(pub(crate) PgConnectOptions);

impl Server {
    /// `postgres://user@host:port/database?sslmode=…`. Beyond this machine the server's certificate is
    /// checked unless the address says otherwise.
    ///
    /// # Errors
    /// What is wrong with the address, without the address.
    pub fn new(url: &str, password: Option<String>) -> Result<Self, &'static str> {
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err("the address of a database starts with postgres://");
        }
        let mut options = PgConnectOptions::from_str(url).map_err(|_| "not an address")?;
        let user = url
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('@'));
        if user.is_some_and(|(user, _)| user.contains(':')) {
            return Err(
                "a password does not belong in the address; name its place in `ledger.password`",
            );
        }
        let here = ["localhost", "127.0.0.1", "::1", "[::1]"];
        let host = options.get_host().to_owned();
        if !host.starts_with('/') && !here.contains(&host.as_str()) && !url.contains("sslmode=") {
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        if let Some(password) = password {
            options = options.password(&password);
        }
        Ok(Self(options))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

/// A message ready to be committed: hashed and compressed on its connection's task.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What the source handed over.
    pub message: NewMessage,
    /// SHA-256 of the body.
    pub sha256: [u8; 32],
    /// The lane: hash of source and ordering key.
    pub lane: i64,
    /// The body as stored.
    pub body: StoredBody,
    /// When it was received.
    pub received_at: Timestamp,
}

/// Where a body is kept.
#[derive(Debug, Clone)]
pub enum StoredBody {
    /// Compressed (zstd), in the row.
    Inline(Vec<u8>),
    /// In the blob store, under the body's hash; already synced.
    Blob,
}

/// A message waiting to be processed.
#[derive(Debug)]
pub struct Waiting {
    /// The message; its body is empty when it is damaged.
    pub message: Message,
    /// Its bytes cannot be had any more: it fails with this code.
    pub damaged: Option<renkei_core::Code>,
    /// Attempts committed before processing after unclean starts.
    pub attempts: u32,
    /// The same control id was used before with other bytes.
    pub control_id_reused: bool,
    /// Being processed again on an operator's word: told to nobody by itself.
    pub replay: bool,
}

/// The ledger's verbs for the walk. Two real implementations, one behaviour suite, no mock.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Commits a group of messages: one transaction, multi-row statements. One receipt per message, in
    /// order.
    async fn accept(&self, group: Vec<Prepared>) -> Result<Vec<Receipt>, StoreError>;
    /// The oldest waiting messages, in the order of acceptance.
    async fn waiting(&self, limit: usize) -> Result<Vec<Waiting>, StoreError>;
    /// The newest of the `count` oldest waiting messages.
    async fn newest_of_oldest(&self, count: usize) -> Result<Option<MessageId>, StoreError>;
    /// Counts an attempt for these messages, before they are processed after an unclean start.
    async fn count_attempt(&self, messages: &[MessageId]) -> Result<(), StoreError>;
    /// Loads into `world` what the keys name, in two or three rounds, and reserves row ids.
    async fn load(&self, keys: &Keys, world: &mut World) -> Result<(), StoreError>;
    /// Notices that are due, oldest first.
    async fn due_notices(&self, now: Timestamp, limit: usize) -> Result<Vec<NoticeId>, StoreError>;
    /// When the next notice falls due.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Loads into `world` all that settling these notices needs: notices, records, charts, consents,
    /// channels, deliveries, posts of the day.
    async fn load_notices(&self, notices: &[NoticeId], world: &mut World)
    -> Result<(), StoreError>;
    /// Applies the effects of a batch in one transaction.
    async fn apply(&self, effects: Effects, framed: Vec<Framed>) -> Result<(), StoreError>;
    /// The next deliveries of a sink: the head of each person's line, when its time has come.
    async fn due_deliveries(
        &self,
        sink: &SinkName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError>;
    /// When the next delivery of a sink falls due.
    async fn next_delivery(&self, sink: &SinkName) -> Result<Option<Timestamp>, StoreError>;
    /// Writes outcomes and channel changes of a group of deliveries.
    async fn finish(
        &self,
        group: Vec<Finish>,
        channels: Vec<ChannelChange>,
    ) -> Result<(), StoreError>;
    /// Marks an attempt as started, for sinks that cannot recognise a repeat.
    async fn start_attempt(&self, deliveries: &[renkei_core::DeliveryId])
    -> Result<(), StoreError>;
    /// How those of these messages ended that have.
    async fn outcomes(
        &self,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Processed)>, StoreError>;
    /// Everyone the intake gate admits.
    async fn enrolled(&self) -> Result<Vec<(FacilityId, LocalId)>, StoreError>;
    /// A source's own memory.
    async fn recall(&self, source: &SourceName) -> Result<Vec<Note>, StoreError>;
    /// Writes a source's memory.
    async fn remember(&self, source: &SourceName, notes: Vec<Note>) -> Result<(), StoreError>;
    /// What operators decided about sinks while the hub runs.
    async fn overrides(&self) -> Result<Vec<SinkOverride>, StoreError>;
    /// A number that changes when another process has written (operator commands).
    async fn data_version(&self) -> Result<i64, StoreError>;
    /// Notes a start of the hub and says whether the one before ended cleanly. After an unclean end
    /// everything that was due counts as tried: it may have been sent, so it is sent again under its id
    /// and corrected, never silently replaced.
    async fn begin_run(&self, at: Timestamp) -> Result<bool, StoreError>;
    /// The clock was set back: notices that settle later than `notices` and deliveries that wait until
    /// after `deliveries` are due `now`. Nothing waits that long by itself. Returns how many.
    async fn catch_up(
        &self,
        now: Timestamp,
        notices: Timestamp,
        deliveries: Timestamp,
    ) -> Result<u64, StoreError>;
    /// Adds to a named counter (drops at the intake gate).
    async fn count(&self, counter: &'static str, by: u64) -> Result<(), StoreError>;
    /// Says that this hub lives, renews what it works on and moves towards its fair share; to be called
    /// every second or so. A ledger with one hub holds everything.
    async fn lease(&self, wants: &Wants) -> Result<Held, StoreError>;
    /// Whether what this hub works on is still its own, by the stopwatch of this machine: asked before
    /// something leaves that cannot be taken back.
    fn holds(&self) -> bool;
    /// Notes a clean end.
    async fn end_run(&self, at: Timestamp) -> Result<(), StoreError>;
}

/// What a hub would work on.
#[derive(Debug, Clone)]
pub struct Wants {
    /// Every source whose messages it can read.
    pub sources: Vec<SourceName>,
    /// The sources it can run that only one hub may run at a time.
    pub tasks: Vec<SourceName>,
    /// The time by its clock: deliveries go by it.
    pub now: Timestamp,
}

/// What a hub works on, until the next lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// The sources it runs.
    pub tasks: Vec<SourceName>,
    /// Messages were taken over from a hub that fell silent: one of them may be the reason.
    pub taken_over: bool,
}

/// An operator's word about one sink; it outlives restarts until taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkOverride {
    /// The sink.
    pub sink: SinkName,
    /// Its mode instead of the configured one.
    pub mode: Option<crate::config::SinkMode>,
    /// Nothing is sent until it is resumed.
    pub paused: bool,
}

/// The frozen bytes of a planned delivery, or why the peer's form cannot carry it.
#[derive(Debug, Clone)]
pub struct Framed {
    /// Which delivery.
    pub id: renkei_core::DeliveryId,
    /// Its payload, or the code it is dead with.
    pub payload: Result<renkei_core::Payload, renkei_core::Code>,
}

impl StoreError {
    /// Whether it may go well when it is tried again: nothing is wrong with what was asked.
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Self::Full(_) | Self::Away(_) | Self::Conflict(_) | Self::Fenced
        )
    }
}

/// The ledger could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Disk full or database busy: nothing was written; try again.
    #[error("no room or busy")]
    Full(#[source] BoxError),
    /// The database refused the content: bisect the batch.
    #[error("the database refused the batch")]
    Refused(#[source] BoxError),
    /// An I/O error at write or sync: the page cache cannot be trusted any more, the process ends.
    #[error("the database failed")]
    Broken(#[source] BoxError),
    /// The database cannot be reached. What was being written may be there or not: every verb can be
    /// said again.
    #[error("the database cannot be reached")]
    Away(#[source] BoxError),
    /// Something this was decided over has changed since it was read: nothing was written, decide again.
    #[error("something changed meanwhile")]
    Conflict(#[source] BoxError),
    /// The lane is another hub's now: nothing was written.
    #[error("the lane is another hub's now")]
    Fenced,
    /// Written by a newer renkei, or locked by another hub.
    #[error("{code}")]
    Unusable {
        /// Which of the two.
        code: renkei_core::Code,
    },
}
