//! What is counted and traced.

use std::collections::BTreeMap;

use jiff::Timestamp;
use renkei_core::{
    Change, FacilityId, MessageId, NoticeId, NoticeKind, PersonId, RecordId, SinkName, SourceName,
};
use serde::Serialize;

use super::{AttemptLine, DecisionLine, DeliveryLine, MessageDetail, SeenLine};
use crate::config::SinkMode;
use crate::world::DeliveryState;

/// Everything about a term. Patient data.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Trace {
    /// Messages, with findings and the versions they were seen in.
    pub messages: Vec<MessageDetail>,
    /// Resource versions.
    pub versions: Vec<VersionLine>,
    /// Notices.
    pub notices: Vec<NoticeLine>,
    /// The policy's answers.
    pub decisions: Vec<DecisionLine>,
    /// Deliveries.
    pub deliveries: Vec<DeliveryLine>,
    /// Attempts.
    pub attempts: Vec<AttemptLine>,
    /// 了解.
    pub seen: Vec<SeenLine>,
    /// More was found than is shown.
    pub truncated: bool,
}

/// One resource version.
#[derive(Debug, Clone, Serialize)]
pub struct VersionLine {
    /// FHIR type.
    pub kind: String,
    /// FHIR logical id.
    pub logical_id: String,
    /// From 1; 0 = a tombstone that holds off a late original.
    pub version: u32,
    /// Taken back.
    pub withdrawn: bool,
    /// The source's time.
    pub source_time: Timestamp,
    /// The message that wrote it, when one did.
    pub message: Option<MessageId>,
    /// Of a sighting: it came late and changed nothing.
    pub late: bool,
}

/// One notice.
#[derive(Debug, Clone, Serialize)]
pub struct NoticeLine {
    /// Its row.
    pub id: NoticeId,
    /// Its kind.
    pub kind: NoticeKind,
    /// Whom it is about.
    pub person: PersonId,
    /// The record that speaks.
    pub record: RecordId,
    /// When the event happened.
    pub occurred_at: Timestamp,
    /// Versions minted.
    pub version: u32,
    /// The event was taken back.
    pub cancelled: bool,
    /// When it settles next.
    pub due_at: Option<Timestamp>,
}

/// How the hub stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Age of the oldest message that waits to be processed for the first time, in seconds.
    pub oldest_waiting_secs: Option<i64>,
    /// Age of the oldest delivery that waits to be sent, in seconds.
    pub oldest_pending_secs: Option<i64>,
    /// Messages waiting.
    pub waiting: u64,
    /// Messages parked.
    pub parked: u64,
    /// Messages failed.
    pub failed: u64,
    /// Deliveries pending.
    pub pending: u64,
    /// Deliveries handed over and not confirmed.
    pub sent: u64,
    /// Deliveries held, by code.
    pub held: BTreeMap<String, u64>,
    /// Deliveries dead, by code.
    pub dead: BTreeMap<String, u64>,
    /// Records that wait for a reviewer.
    pub reviews: u64,
    /// Channels that wait to be confirmed.
    pub proposed_channels: u64,
    /// Incidents whose full report is not due yet.
    pub incidents: u64,
    /// Named counters.
    pub counters: BTreeMap<String, u64>,
    /// What operators have set for sinks.
    pub sinks: Vec<SinkOverride>,
    /// The last start of the hub.
    pub last_run: Option<Run>,
}

/// One run of the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended cleanly; `None` = it runs, or was cut off.
    pub ended_at: Option<Timestamp>,
}

/// What an operator has set for a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinkOverride {
    /// The sink.
    pub sink: SinkName,
    /// Instead of the configured mode.
    pub mode: Option<SinkMode>,
    /// Nothing is sent there.
    pub paused: bool,
}

/// How many rows of everything there are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LedgerCounts {
    /// Messages by state: `received`, `processed`, `parked`, `failed`.
    pub messages: BTreeMap<String, u64>,
    /// Messages by source.
    pub sources: BTreeMap<String, u64>,
    /// Persons.
    pub persons: u64,
    /// Records.
    pub records: u64,
    /// Resources by FHIR type.
    pub resources: BTreeMap<String, u64>,
    /// Resource versions.
    pub versions: u64,
    /// Notices that were told or would have been, by kind.
    pub notices: BTreeMap<String, u64>,
    /// Notice versions.
    pub notice_versions: u64,
    /// Decisions.
    pub decisions: Vec<DecisionCount>,
    /// Deliveries.
    pub deliveries: Vec<DeliveryCount>,
    /// Attempts.
    pub attempts: u64,
    /// 了解.
    pub seen: u64,
    /// Named counters; those of people begin with `human.`.
    pub counters: BTreeMap<String, u64>,
}

/// Decisions of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionCount {
    /// `permit`, `hold`, `deny`.
    pub verdict: String,
    /// The rule.
    pub code: Option<String>,
    /// How many.
    pub count: u64,
}

/// Deliveries of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeliveryCount {
    /// The sink.
    pub sink: SinkName,
    /// Where they stand.
    pub state: DeliveryState,
    /// Why, for held and dead.
    pub code: Option<String>,
    /// How many.
    pub count: u64,
}

/// What became of one event.
#[derive(Debug, Clone, Serialize)]
pub struct EventRow {
    /// The notice.
    pub notice: NoticeId,
    /// Its kind.
    pub kind: NoticeKind,
    /// When the event happened.
    pub occurred_at: Timestamp,
    /// The facility that speaks.
    pub facility: FacilityId,
    /// The source its first part came from.
    pub source: SourceName,
    /// Whom it is about.
    pub person: PersonId,
    /// Messages that were seen in the resources it tells.
    pub messages: u64,
    /// Resources it tells.
    pub resources: u64,
    /// FHIR versions of these resources.
    pub fhir_versions: u64,
    /// Notice versions.
    pub versions: u32,
    /// Where it went.
    pub deliveries: Vec<EventDelivery>,
    /// The policy's answers: verdict and code of hold and deny, each once.
    pub decisions: Vec<String>,
}

/// One delivery of an event.
#[derive(Debug, Clone, Serialize)]
pub struct EventDelivery {
    /// The sink.
    pub sink: SinkName,
    /// Version told.
    pub version: u32,
    /// First telling, correction, cancellation, withdrawal.
    pub change: Change,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why, for held and dead.
    pub code: Option<String>,
    /// 了解.
    pub seen: u64,
}

/// What the check of the audit chain found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AuditCheck {
    /// Lines whose hash follows from the line before.
    pub lines: u64,
    /// The first line that was changed, or follows a removed one.
    pub broken_at: Option<i64>,
}
