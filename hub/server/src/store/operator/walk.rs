//! Rows about the two queues: messages and deliveries.

use jiff::Timestamp;
use renkei_core::{
    Change, Channel, ChannelId, Code, DeliveryId, Disclosure, FacilityId, Finding, Member,
    MessageId, Meta, NoticeContent, NoticeId, NoticeKind, PatientHeader, Payload, PeerRef,
    PersonId, Post, Profession, RecordId, SinkName, SourceName, Urgency,
};
use serde::Serialize;

use super::{ChannelLine, VersionLine};
use crate::world::{DeliveryState, MessageState};

/// Some things by their ids, or all that match.
#[derive(Debug, Clone)]
pub enum Selection<Id, Filter> {
    /// These.
    These(Vec<Id>),
    /// All that match.
    Matching(Filter),
}

/// Which messages.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Only in this state.
    pub state: Option<MessageState>,
    /// Only parked or failed with this code.
    pub code: Option<Code>,
    /// Only of this source.
    pub source: Option<SourceName>,
    /// At most so many; 0 = 100 in a list, all in an act.
    pub limit: u32,
}

/// One message.
#[derive(Debug, Clone, Serialize)]
pub struct MessageLine {
    /// Its position in the inbox.
    pub id: MessageId,
    /// Where it came from.
    pub source: SourceName,
    /// The facility that speaks.
    pub facility: FacilityId,
    /// Control id or storage path. A path may hold a patient number.
    pub control: String,
    /// Where it stands.
    pub state: MessageState,
    /// Why it is parked or failed.
    pub code: Option<String>,
    /// The record it is about, when known.
    pub record: Option<RecordId>,
    /// Which mapping read it.
    pub mapper: String,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// It waits on an operator's word.
    pub replay: bool,
    /// When policy removed its bytes: it cannot be processed again.
    pub body_removed_at: Option<Timestamp>,
}

/// One message with everything said about it. Patient data.
#[derive(Debug, Clone, Serialize)]
pub struct MessageDetail {
    /// The message.
    pub message: MessageLine,
    /// What the source knew beside the bytes.
    pub meta: Meta,
    /// Oddities.
    pub findings: Vec<Finding>,
    /// Places with data that was not read.
    pub unread: Vec<String>,
    /// Resource versions it was seen in.
    pub versions: Vec<VersionLine>,
}

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// Only of this sink.
    pub sink: Option<SinkName>,
    /// Only with this code.
    pub code: Option<Code>,
    /// At most so many; 0 = 100 in a list, all in an act.
    pub limit: u32,
}

/// One delivery.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryLine {
    /// Its id.
    pub id: DeliveryId,
    /// The notice.
    pub notice: NoticeId,
    /// Its version.
    pub version: u32,
    /// The notice's kind.
    pub kind: NoticeKind,
    /// Where to.
    pub sink: SinkName,
    /// The channel.
    pub channel: ChannelId,
    /// Whom it is about.
    pub person: PersonId,
    /// First telling, correction, cancellation, withdrawal.
    pub change: Change,
    /// How soon people must know.
    pub urgency: Urgency,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it is held or dead, or why it waits.
    pub code: Option<String>,
    /// When it is due.
    pub due_at: Option<Timestamp>,
    /// Attempts so far.
    pub attempts: u32,
    /// Who released it.
    pub released_by: Option<String>,
    /// What the peer calls it.
    pub peer_ref: Option<PeerRef>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When the peer got it.
    pub told_at: Option<Timestamp>,
    /// The post's first line: event, day and facility, no patient.
    pub headline: String,
}

/// One delivery with its post and its history. Patient data.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryDetail {
    /// The delivery.
    pub delivery: DeliveryLine,
    /// Where to.
    pub channel: ChannelLine,
    /// What the readers may see.
    pub disclosure: Disclosure,
    /// Marked late.
    pub late: bool,
    /// The delivery it corrects, cancels or withdraws.
    pub replaces: Option<DeliveryId>,
    /// What people read.
    pub post: Post,
    /// The policy's answers for this notice version and channel.
    pub decisions: Vec<DecisionLine>,
    /// Attempts.
    pub attempts: Vec<AttemptLine>,
    /// 了解.
    pub seen: Vec<SeenLine>,
}

/// One answer of the policy.
#[derive(Debug, Clone, Serialize)]
pub struct DecisionLine {
    /// The notice.
    pub notice: NoticeId,
    /// Its version.
    pub version: u32,
    /// The channel; `None` = the summary row of a notice that goes nowhere.
    pub channel: Option<ChannelId>,
    /// `permit`, `hold`, `deny`.
    pub verdict: String,
    /// The rule.
    pub code: Option<String>,
    /// The ground, in words.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// One attempt.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptLine {
    /// The delivery.
    pub delivery: DeliveryId,
    /// From 1.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// Its outcome in a word or two.
    pub outcome: String,
    /// Why it did not work.
    pub code: Option<String>,
}

/// One 了解.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenLine {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The peer's user reference.
    pub reader: String,
    /// Their professions.
    pub professions: Vec<Profession>,
    /// When.
    pub at: Timestamp,
}

/// Something a person has to hand over. Patient data.
#[derive(Debug, Clone, Serialize)]
pub struct DeskLine {
    /// The delivery.
    pub delivery: DeliveryLine,
    /// The group, room or patient at the peer.
    pub peer_ref: PeerRef,
    /// The patient the group must show: compare before handing over.
    pub header: PatientHeader,
    /// Documents to attach.
    pub attachments: usize,
}

/// What a withdrawal is rendered from.
#[derive(Debug, Clone)]
pub struct Withdrawing {
    /// What was told.
    pub content: NoticeContent,
    /// To readers of this.
    pub disclosure: Disclosure,
    /// Where.
    pub channel: Channel,
    /// The hub's reference of the event, as the first post had it but for the version.
    pub client_ref: String,
    /// The facility that spoke.
    pub author_facility: FacilityId,
}

/// Renders and frames a withdrawal (`Change::WrongPatient`) for one channel; the code when the peer's
/// form cannot carry it.
pub type Render = Box<dyn Fn(&Withdrawing) -> Result<(Post, Payload), Code> + Send + Sync>;

/// What a recall did.
#[derive(Debug, Clone, Serialize)]
pub struct Recalled {
    /// The notice.
    pub notice: NoticeId,
    /// The incident.
    pub incident: i64,
    /// Channels where it may have been read, with the withdrawal on its way there.
    pub told: Vec<RecalledAt>,
    /// Deliveries that will not be sent any more.
    pub stopped: Vec<DeliveryId>,
    /// The first report (速報) is due from this day …
    pub first_report_from: Timestamp,
    /// … to this one.
    pub first_report_by: Timestamp,
    /// The full report (確報) is due by this day.
    pub full_report_by: Timestamp,
}

/// A channel where something about the wrong patient may have been read.
#[derive(Debug, Clone, Serialize)]
pub struct RecalledAt {
    /// The sink.
    pub sink: SinkName,
    /// The group there.
    pub peer_ref: PeerRef,
    /// What was told.
    pub told: DeliveryId,
    /// The withdrawal.
    pub withdrawal: DeliveryId,
    /// Why the withdrawal could not be framed: a person must call.
    pub code: Option<Code>,
    /// Who said they have seen it.
    pub seen: Vec<SeenLine>,
    /// Everyone who can read there.
    pub members: Vec<Member>,
}
