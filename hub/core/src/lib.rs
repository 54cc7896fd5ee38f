//! The words of renkei. Every other package speaks in these types: what comes in ([`NewMessage`]),
//! what a mapping makes of it ([`Draft`]), what people are told ([`NoticeContent`], [`Post`]), where
//! they read it ([`Channel`]) and what became of it ([`SendOutcome`]).
//!
//! No SQL, no HTTP, no runtime: this package can be read without knowing any of them.

pub mod bed;
pub mod channel;
pub mod clock;
pub mod code;
pub mod cutter;
pub mod delivery;
pub mod draft;
pub mod finding;
pub mod id;
pub mod item;
pub mod limits;
pub mod mapper;
pub mod message;
pub mod notice;
pub mod peer;
pub mod profession;
pub mod sensitive;
pub mod sink;
pub mod source;
pub mod wire;

pub use bed::{Bed, BedRow, BedSex, BedState, BedStatus};
pub use channel::{Channel, ChannelKind, ChannelStatus, ChannelView, Member, PatientHeader};
pub use clock::{Clock, SystemClock};
pub use code::Code;
pub use cutter::Cutter;
pub use delivery::{Attachment, AttachmentRef, Change, Delivery, Payload, Post, SendOutcome};
pub use draft::{
    Authority, Carry, CompleteScope, Draft, DraftResource, Facts, ResourceKey, ResourceType,
    StayEvent, StayHint, Strength, Subject, Withdrawal,
};
pub use finding::{Finding, Severity};
pub use id::{
    ChannelId, DeliveryId, FacilityId, LocalId, MessageId, NoticeId, PeerRef, PersonId, RecordId,
    SinkName, SourceName,
};
pub use item::{Item, ItemClass, ItemEvent, Urgency};
pub use mapper::{MapError, Mapper, MapperId};
pub use message::{Flag, Message, Meta, NewMessage, Receipt};
pub use notice::{Disclosure, Form, NoticeContent, NoticeKind};
pub use peer::{PeerEvent, PeerReceipt, ReceiptKind};
pub use profession::Profession;
pub use sensitive::Sensitive;
pub use sink::{FrameError, SendError, Sink};
pub use source::{AcceptError, Inbox, Note, Shutdown, Source, SourceError};
pub use wire::Wire;

use std::error::Error;
use std::fmt::Write as _;

/// A source of an error that a public signature does not name.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Prints an error and all its sources on one line, outermost first, joined by `: `.
///
/// Each level says only what it knew itself, so the chain repeats nothing.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let _ = write!(line, ": {source}");
        next = source.source();
    }
    line
}
