//! What is handed to a peer, and what became of it.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{BoxError, Channel, Code, DeliveryId, NoticeKind, PeerRef, Urgency};

/// A rendered notice for one audience: what people will read. Sinks only frame, split and encode it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// The hub's stable reference of the event, shown to nobody: `<notice>.<version>`.
    pub client_ref: String,
    /// What kind of event.
    pub kind: NoticeKind,
    /// First telling, correction or cancellation.
    pub change: Change,
    /// At most 60 characters: 【種別】日付(曜) 施設 → 行き先.
    pub headline: String,
    /// At most 12 lines and 400 characters.
    pub text: String,
    /// How soon people must know.
    pub urgency: Urgency,
    /// When the event happened, RFC 3339 with `+09:00`, or a date.
    pub occurred_at: String,
    /// The system account that speaks: the facility's name, never a named doctor.
    pub author: String,
    /// The facility that speaks (ten digits).
    pub author_facility: String,
    /// Which system it came from, and that it is not a record.
    pub source_note: String,
    /// Documents to attach: originals by hash, and the hub's own sheet once made.
    pub attachments: Vec<AttachmentRef>,
    /// The hub's own sheet to render as PDF before the post is framed.
    pub sheet: Option<Sheet>,
}

impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Post({} {:?})", self.kind.code(), self.change)
    }
}

/// Whether a post tells something for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// First telling.
    First,
    /// 【訂正】 of what was told.
    Corrected,
    /// 【取消】 of what was told.
    Cancelled,
    /// It was told about the wrong patient and is withdrawn everywhere.
    WrongPatient,
}

/// A document by reference into the blob store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRef {
    /// Lower-case hex SHA-256.
    pub sha256: String,
    /// Media type.
    pub media_type: String,
    /// File name for the peer; holds no patient data.
    pub file_name: String,
    /// Size in bytes.
    pub size: u64,
}

/// A page of headed lines that becomes a PDF: the part of a notice that does not fit into a post.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// Title line.
    pub title: String,
    /// Line under the title: facility, date, patient line.
    pub subtitle: String,
    /// Sections in reading order.
    pub sections: Vec<SheetSection>,
    /// Lines at the foot of every page.
    pub foot: Vec<String>,
}

/// One section of a [`Sheet`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SheetSection {
    /// Heading.
    pub heading: String,
    /// Rows; one cell = a plain line, several = a table row.
    pub rows: Vec<Vec<String>>,
}

/// The bytes a peer will get, made once. Retries send these bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The sink's own form of the post, as JSON text or whatever the sink frames.
    pub body: String,
    /// What is sent beside it.
    pub attachments: Vec<AttachmentRef>,
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Payload({} bytes, {} attachments)",
            self.body.len(),
            self.attachments.len()
        )
    }
}

/// A document with its bytes, ready to send.
#[derive(Clone)]
pub struct Attachment {
    /// What it is.
    pub reference: AttachmentRef,
    /// Its bytes.
    pub bytes: Bytes,
}

/// One delivery as a sink gets it.
#[derive(Clone)]
pub struct Delivery {
    /// Its id and idempotency key.
    pub id: DeliveryId,
    /// Where to.
    pub channel: Channel,
    /// What.
    pub payload: Payload,
    /// The documents, in the order of the payload.
    pub attachments: Vec<Attachment>,
    /// First telling, correction, cancellation.
    pub change: Change,
    /// Version of the notice, from 1.
    pub version: u32,
    /// The peer's reference of the first post, for corrections and cancellations.
    pub reply_to: Option<PeerRef>,
    /// The delivery id of the first post, for sinks whose uid is ours.
    pub replaces: Option<DeliveryId>,
    /// Number of this attempt, from 1.
    pub attempt: u32,
}

/// What became of one attempt. What to do next is a property of the outcome.
#[derive(Debug)]
pub enum SendOutcome {
    /// The peer has it.
    Confirmed {
        /// What the peer calls it.
        peer_ref: PeerRef,
    },
    /// Handed over; the peer confirms later through the adapter's source half.
    AwaitingAck {
        /// What the peer will call it, when already known; until then nothing later of the same person
        /// goes there.
        peer_ref: Option<PeerRef>,
        /// When to look again and, without an answer, send again.
        until: Timestamp,
    },
    /// Try again later.
    Retry {
        /// The peer's wish (`Retry-After`); else our backoff.
        after: Option<Duration>,
        /// The peer as a whole is unavailable: pause the sink, not only this delivery.
        unavailable: bool,
        /// Why.
        source: BoxError,
    },
    /// Held for a person: membership, consent, archived group.
    Blocked {
        /// The reason.
        code: Code,
    },
    /// The peer will never take this content.
    Rejected {
        /// The reason.
        code: Code,
        /// What it said, without patient data.
        source: BoxError,
    },
    /// Sent, no answer: again only if the sink recognises repeats, else held.
    Unknown {
        /// What happened.
        source: BoxError,
    },
}
