//! What watching reads and keeps: how the queues stand, and which alarms are raised.
//!
//! Called by `observe` every few seconds, so every statement is bounded by what is open, never by what
//! was ever stored; by `cli` for `renkei status`. Same implementations and same behaviour suite as
//! [`super::Store`].

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use renkei_core::SinkName;
use serde::Serialize;

use super::StoreError;

/// The verbs of watching.
#[async_trait]
pub trait Watch: Send + Sync + 'static {
    /// How the queues stand at `now`.
    async fn standing(&self, now: Timestamp) -> Result<Standing, StoreError>;
    /// Every alarm that was ever raised, as it stands.
    async fn alarms(&self) -> Result<Vec<AlarmLine>, StoreError>;
    /// Raises or resolves an alarm. `false`: it stands so already, and whoever turned it has said so.
    async fn turn_alarm(&self, alarm: &AlarmLine) -> Result<bool, StoreError>;
    /// Notes that the world was told how this alarm stands, unless it has turned since.
    async fn alarm_told(&self, alarm: &AlarmLine) -> Result<(), StoreError>;
}

/// How the queues stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Age of the oldest message that waits to be processed for the first time, in seconds.
    pub oldest_waiting_secs: Option<i64>,
    /// Messages waiting.
    pub waiting: u64,
    /// Notices whose time to settle has come and that are not told on yet.
    pub unsettled: u64,
    /// Messages parked.
    pub parked: u64,
    /// Messages failed.
    pub failed: u64,
    /// Deliveries on their way, by sink; sinks without any are left out.
    pub lines: BTreeMap<SinkName, LineStanding>,
    /// Deliveries held, by code.
    pub held: BTreeMap<String, u64>,
    /// Deliveries dead, by code.
    pub dead: BTreeMap<String, u64>,
    /// Bytes the database takes on its disk.
    pub bytes: u64,
    /// Bytes of the log beside it (SQLite), 0 where there is none of its own.
    pub log_bytes: u64,
}

/// How the line of one sink stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineStanding {
    /// Deliveries waiting to be sent.
    pub pending: u64,
    /// Age of the oldest of them, in seconds; of a released one since its release.
    pub oldest_pending_secs: Option<i64>,
    /// Deliveries handed over and not confirmed.
    pub sent: u64,
}

/// An alarm as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlarmLine {
    /// Which question it answers, `oldest_pending`.
    pub name: String,
    /// The sink it is about; empty when about the whole hub.
    pub sink: String,
    /// Raised, or resolved.
    pub raised: bool,
    /// Since when.
    pub since: Timestamp,
    /// The figure that turned it: seconds, a count, or bytes.
    pub value: i64,
    /// The world was told so.
    pub told: bool,
}
