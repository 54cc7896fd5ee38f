//! Deliveries as the pure stops plan them and as the couriers take and finish them.

use std::sync::Arc;

use jiff::Timestamp;
use renkei_core::{
    Change, Channel, ChannelId, Code, DeliveryId, Disclosure, NoticeContent, NoticeId, PeerRef,
    Post, SinkName, SourceName,
};
use serde::{Deserialize, Serialize};

use super::{Consent, Record};

/// What is planned for one channel.
#[derive(Debug, Clone)]
pub struct PlannedDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The notice.
    pub notice: NoticeId,
    /// Its version.
    pub version: u32,
    /// Where to.
    pub channel: Channel,
    /// First telling, correction, cancellation.
    pub change: Change,
    /// What the readers may see.
    pub disclosure: Disclosure,
    /// Marked 「遅れて届きました」.
    pub late: bool,
    /// What they will read.
    pub post: Post,
    /// Pending or held.
    pub state: DeliveryState,
    /// Why it is held.
    pub code: Option<Code>,
    /// The delivery this one corrects or cancels: the first one that was told in this channel.
    pub replaces: Option<DeliveryId>,
    /// Who released the delivery this one takes the place of: the same version for the same channel,
    /// planned again because its readers changed.
    pub released_by: Option<String>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Waits for its turn.
    Pending,
    /// Handed over; the peer confirms later.
    Sent,
    /// The peer has it.
    Delivered,
    /// Waits for a person.
    Held,
    /// Will not be sent.
    Dead,
}

impl DeliveryState {
    /// The code as stored.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Held => "held",
            Self::Dead => "dead",
        }
    }
    /// Finds a state by its code.
    pub fn find(code: &str) -> Option<Self> {
        [
            Self::Pending,
            Self::Sent,
            Self::Delivered,
            Self::Held,
            Self::Dead,
        ]
        .into_iter()
        .find(|state| state.code() == code)
    }
}

/// A delivery made earlier, as far as planning needs it.
#[derive(Debug, Clone)]
pub struct EarlierDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The notice.
    pub notice: NoticeId,
    /// Its version.
    pub version: u32,
    /// Where to.
    pub channel: ChannelId,
    /// What it was.
    pub change: Change,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it is held or dead.
    pub code: Option<Code>,
    /// Attempts so far: one that was tried may have been read.
    pub attempts: u32,
    /// The peer's reference, once known.
    pub peer_ref: Option<PeerRef>,
    /// The first telling it belongs to, when it is a correction.
    pub replaces: Option<DeliveryId>,
    /// Who released it.
    pub released_by: Option<String>,
    /// The content that was told with it.
    pub content: Arc<NoticeContent>,
}

/// One delivery due for sending, with what policy needs to be asked again.
#[derive(Debug, Clone)]
pub struct Due {
    /// Order within the sink.
    pub seq: i64,
    /// Its id.
    pub id: DeliveryId,
    /// The notice.
    pub notice: NoticeId,
    /// Its version.
    pub version: u32,
    /// Version content, for asking policy again.
    pub content: Arc<NoticeContent>,
    /// The record that speaks.
    pub record: Record,
    /// Consents of that record.
    pub consents: Vec<Consent>,
    /// Where to, with the current state of the channel.
    pub channel: Channel,
    /// Whether another person is linked to the same peer reference at this sink.
    pub channel_shared: bool,
    /// First telling, correction, cancellation.
    pub change: Change,
    /// What it was rendered for.
    pub disclosure: Disclosure,
    /// Marked late.
    pub late: bool,
    /// The source its notice came from.
    pub source: SourceName,
    /// A named operator released it: stale, backfill and never-automatic rules no longer hold it.
    pub released: bool,
    /// The event's time.
    pub occurred_at: Timestamp,
    /// The frozen bytes.
    pub payload: renkei_core::Payload,
    /// Attempts so far.
    pub attempts: u32,
    /// An attempt may have arrived: its answer was lost, or the hub that made it was.
    pub in_doubt: bool,
    /// When it was planned.
    pub created_at: Timestamp,
    /// The peer's reference of the first telling.
    pub reply_to: Option<PeerRef>,
    /// The id of the first telling.
    pub replaces: Option<DeliveryId>,
}

/// What became of a due delivery, for the store to write in a group.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Which.
    pub id: DeliveryId,
    /// Its new state.
    pub state: DeliveryState,
    /// Why.
    pub code: Option<Code>,
    /// When it is due again, for pending and sent.
    pub due_at: Option<Timestamp>,
    /// The peer's reference.
    pub peer_ref: Option<PeerRef>,
    /// Whether an attempt was made, and its outcome in one word.
    pub attempt: Option<&'static str>,
    /// When.
    pub at: Timestamp,
}

/// What a look at a channel changed.
#[derive(Debug, Clone)]
pub struct ChannelChange {
    /// Which.
    pub channel: ChannelId,
    /// Its members now.
    pub members: Option<Vec<renkei_core::Member>>,
    /// It cannot be used any more, with the reason.
    pub broken: Option<Code>,
    /// Notices to route again because the audience changed.
    pub reroute: Vec<NoticeId>,
    /// The sink, for the audit line.
    pub sink: SinkName,
}
