//! What operators and the command line do to the ledger: facts with an actor, a reason and a time.
//!
//! Called by `cli` beside a running hub; later by the console. Every change is one short transaction
//! (imports: one per chunk of rows) that ends with a line in the audit chain; the hub notices by the
//! database's version number. Nothing here posts anything by itself, and nothing here maps, composes
//! or renders: a recall gets its words from the caller.
//!
//! Rows are plain structs that print as a table or as JSON. Those that show patient data say so.

mod people;
mod report;
mod walk;

use async_trait::async_trait;
use jiff::Timestamp;
use renkei_core::{
    ChannelId, ChannelView, DeliveryId, FacilityId, LocalId, MessageId, PersonId, RecordId,
    SinkName,
};

use super::StoreError;
use crate::config::SinkMode;

pub use people::{
    ChannelFilter, ChannelLine, ChannelRow, ConsentForm, ConsentRow, Decision, PersonFilter,
    PersonLine, Proposal, Proposed, RecordLine, ReviewLine, RowOutcome, RowResult,
};
pub use report::{
    AuditCheck, DecisionCount, DeliveryCount, EventDelivery, EventRow, LedgerCounts, NoticeLine,
    Run, SinkOverride, Status, Trace, VersionLine,
};
pub use walk::{
    AttemptLine, DecisionLine, DeliveryDetail, DeliveryFilter, DeliveryLine, DeskLine,
    MessageDetail, MessageFilter, MessageLine, Recalled, RecalledAt, Render, SeenLine, Selection,
    Withdrawing,
};

/// Who changes something, why, and when.
#[derive(Debug, Clone)]
pub struct By {
    /// A name the audit can be asked about; no account, no patient data.
    pub actor: String,
    /// Why, in words without patient data; empty where the act explains itself.
    pub reason: String,
    /// When, from the caller's clock.
    pub at: Timestamp,
}

/// The operator's verbs. Same implementations and same behaviour suite as [`super::Store`].
#[async_trait]
pub trait Operator: Send + Sync + 'static {
    /// Admits patients at the intake gate. Returns how many were new.
    async fn enrol(&self, patients: &[(FacilityId, LocalId)], by: &By)
    -> Result<u64, OperateError>;
    /// Closes the intake gate for patients; what is recorded stays. Returns how many were enrolled.
    async fn unenrol(
        &self,
        patients: &[(FacilityId, LocalId)],
        by: &By,
    ) -> Result<u64, OperateError>;
    /// Takes consent forms: upsert by (record, form, version), a withdrawal is never undone, and a
    /// valid form enrols its patient. A changed or withdrawn form lets unsent deliveries of the last 30
    /// days be judged again; a grant delivers nothing afterwards unless `back_deliver` is set.
    async fn import_consents(
        &self,
        rows: &[ConsentRow],
        by: &By,
        how: Import,
    ) -> Result<Vec<RowResult>, OperateError>;
    /// Takes channels: upsert by (sink, peer's reference, facility, local id).
    async fn import_channels(
        &self,
        rows: &[ChannelRow],
        by: &By,
        how: Import,
    ) -> Result<Vec<RowResult>, OperateError>;
    /// Proposes channels from a sink's own list: linked when kana, birth date and sex all equal those of
    /// exactly one person. A proposal is never used before it is confirmed.
    async fn propose(
        &self,
        sink: &SinkName,
        views: &[ChannelView],
        by: &By,
    ) -> Result<Vec<Proposal>, OperateError>;
    /// Confirms a channel in the name of its host office.
    async fn confirm_channel(&self, channel: ChannelId, by: &By) -> Result<(), OperateError>;
    /// Takes a channel out of use; what waits for it is judged again.
    async fn break_channel(&self, channel: ChannelId, by: &By) -> Result<(), OperateError>;
    /// Channels. Shows patient data.
    async fn list_channels(&self, filter: &ChannelFilter)
    -> Result<Vec<ChannelLine>, OperateError>;
    /// Persons with their records. Shows patient data.
    async fn people(&self, filter: &PersonFilter) -> Result<Vec<PersonLine>, OperateError>;
    /// Records that wait for a reviewer, with the persons they may be. Shows patient data.
    async fn reviews(&self) -> Result<Vec<ReviewLine>, OperateError>;
    /// Stores a reviewer's decision and puts everything parked under the record back to waiting.
    /// Returns how many messages.
    async fn decide_review(
        &self,
        record: RecordId,
        decision: Decision,
        by: &By,
    ) -> Result<u64, OperateError>;
    /// Moves a record to another person, or to a new one: undoes a wrong link. Its notices follow it and
    /// wait for a named operator, their unsent deliveries end; nothing is posted by itself. Returns the
    /// person the record has now.
    async fn relink(
        &self,
        record: RecordId,
        person: Option<PersonId>,
        by: &By,
    ) -> Result<PersonId, OperateError>;
    /// Messages, newest first. Paths may hold patient numbers.
    async fn messages(&self, filter: &MessageFilter) -> Result<Vec<MessageLine>, OperateError>;
    /// One message with what its mapping remarked. Shows patient data (values in findings).
    async fn message(&self, id: MessageId) -> Result<Option<MessageDetail>, OperateError>;
    /// Puts ended messages back to waiting. Without `release` what follows from them waits for a named
    /// operator. Frames that were cut off are never replayed. Returns how many.
    async fn replay(
        &self,
        which: &Selection<MessageId, MessageFilter>,
        release: bool,
        by: &By,
    ) -> Result<u64, OperateError>;
    /// Deliveries, newest first.
    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryLine>, OperateError>;
    /// One delivery with its post and its history. Shows patient data.
    async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryDetail>, OperateError>;
    /// Lets held deliveries go, due now. Channel, consent and audience are judged again at sending: a
    /// release overrides only the rules that wait for a person. Returns how many.
    async fn release(
        &self,
        which: &Selection<DeliveryId, DeliveryFilter>,
        by: &By,
    ) -> Result<u64, OperateError>;
    /// Tries dead deliveries again, except those that were replaced, recalled or never framed.
    async fn retry(
        &self,
        which: &Selection<DeliveryId, DeliveryFilter>,
        by: &By,
    ) -> Result<u64, OperateError>;
    /// What people have to hand over by themselves. Shows patient data (the check line).
    async fn desk(&self) -> Result<Vec<DeskLine>, OperateError>;
    /// Notes that a person has handed a delivery over.
    async fn desk_done(&self, id: &DeliveryId, by: &By) -> Result<(), OperateError>;
    /// Sets a sink's mode or pauses it; `None` leaves a part as it is.
    async fn sink_override(
        &self,
        sink: &SinkName,
        mode: Option<SinkMode>,
        paused: Option<bool>,
        by: &By,
    ) -> Result<(), OperateError>;
    /// What operators have set for sinks.
    async fn sink_overrides(&self) -> Result<Vec<SinkOverride>, OperateError>;
    /// Withdraws everywhere what was told about the wrong patient, and opens an incident.
    async fn recall(
        &self,
        id: &DeliveryId,
        by: &By,
        render: Render,
    ) -> Result<Recalled, OperateError>;
    /// Everything about a term: message id, control id or path, order number, local id, delivery id, the
    /// peer's reference. Shows patient data.
    async fn trace(&self, term: &str) -> Result<Trace, OperateError>;
    /// How the hub stands.
    async fn status(&self, now: Timestamp) -> Result<Status, OperateError>;
    /// How many rows of everything there are.
    async fn ledger_counts(&self) -> Result<LedgerCounts, OperateError>;
    /// What became of each event, in the order of the events.
    async fn event_rows(&self) -> Result<Vec<EventRow>, OperateError>;
    /// Checks the chain of audit lines.
    async fn check_audit(&self) -> Result<AuditCheck, OperateError>;
}

/// How an import is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Import {
    /// Only say what would happen.
    pub dry_run: bool,
    /// Consents only: notices that were denied for want of this consent are judged again.
    pub back_deliver: bool,
}

/// An operator's verb was not done; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The id names nothing.
    #[error("there is no such {what}")]
    Unknown {
        /// What was looked for.
        what: &'static str,
    },
    /// The thing is not in a state where this makes sense.
    #[error("{why}")]
    NotNow {
        /// In words, without patient data.
        why: &'static str,
    },
    /// The ledger could not do it.
    #[error("the ledger could not do it")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for OperateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
