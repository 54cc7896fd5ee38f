//! What peers send back about what we delivered. A sink is also a source: these come in through the
//! inbox like any other message, and the mapping `peer` reads them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Code, DeliveryId, PeerRef, Profession, SinkName};

/// The body of a message from an adapter's source half: the peer's news in our words, as JSON, with
/// the peer's own bytes beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerEvent {
    /// The sink whose other half received it.
    pub sink: SinkName,
    /// What it says.
    pub news: News,
    /// When the peer says it happened.
    pub at: Timestamp,
    /// The peer's bytes as text, untouched.
    pub raw: String,
}

/// A peer's news.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// Became of a delivery.
    Receipt {
        /// Our delivery, when the peer names it.
        delivery: Option<DeliveryId>,
        /// The peer's post, when it names that.
        post: Option<PeerRef>,
        /// What became of it.
        kind: ReceiptKind,
        /// Who, for 了解.
        by: Option<String>,
        /// Their professions.
        professions: Vec<Profession>,
    },
    /// Anything else (a person's post, a membership change): recorded and reported unread.
    Other {
        /// The peer's event name.
        name: String,
    },
}

/// What became of a delivery, as [`Draft::receipts`](crate::Draft::receipts) carries it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerReceipt {
    /// The sink.
    pub sink: SinkName,
    /// Our delivery, when named.
    pub delivery: Option<DeliveryId>,
    /// The peer's post, when named.
    pub post: Option<PeerRef>,
    /// What became of it.
    pub kind: ReceiptKind,
    /// Who said 了解 (the peer's user reference).
    pub by: Option<String>,
    /// Their professions.
    pub professions: Vec<Profession>,
    /// When.
    pub at: Timestamp,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    /// Taken over by the peer.
    Accepted,
    /// Refused by the peer.
    Refused {
        /// Our code for its reason.
        code: Code,
    },
    /// 了解: a person has seen it.
    Seen,
}
