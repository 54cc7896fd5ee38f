//! What comes in: bytes, where they came from, and nothing understood yet.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Code, FacilityId, LocalId, MessageId, SourceName};

/// The condition flag of an SS-MIX2 file name (コンディションフラグ, seventh field).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Flag {
    /// `1`: the current content of its key.
    #[serde(rename = "1")]
    Current,
    /// `2`: superseded; withdraws nothing by itself.
    #[serde(rename = "2")]
    Superseded,
    /// `0`: deleted; withdraws its key whatever the message inside says.
    #[serde(rename = "0")]
    Deleted,
}

/// What a source knows about a message beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    /// Path inside the storage or folder, `/`-separated, relative to its root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// SS-MIX2 condition flag as it stood when the file was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<Flag>,
    /// SS-MIX2 data type (`ADT-22`), extended data-kind folder, or the peer's own event name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
    /// The peer's address or certificate name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Media type of the body when it is a document: `application/pdf`, `text/xml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Columns of the sidecar row that came with a document, by header name.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub sidecar: std::collections::BTreeMap<String, String>,
    /// The body is a part of a file: runs of (row here, row there), each good up to the next, so that
    /// findings can say where in the file. Rows as the format counts them, from 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<(u32, u32)>,
    /// Found by the first walk of a storage, a replay or an import: recorded, never posted by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub backfill: bool,
}

/// A message on its way into the inbox.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The source that received it.
    pub source: SourceName,
    /// The facility that speaks, from the source's configuration.
    pub facility: FacilityId,
    /// Control id (MSH-10) or storage path with flag: with the source and the hash of the bytes it
    /// makes a repeat recognisable.
    pub dedup_key: String,
    /// The patient's local id as far as the source could read it; `None` = nobody is meant, or
    /// unreadable. Used by the intake gate.
    pub subject: Option<LocalId>,
    /// Order holds among messages of one source with the same key. Default: the local id.
    pub ordering_key: String,
    /// It speaks of more than its own key (a merge or move of identities): everything earlier from its
    /// source is processed before it, everything later after it.
    pub barrier: bool,
    /// The bytes, untouched (framing of the transport removed).
    pub body: Bytes,
    /// What the source knows beside the bytes.
    pub meta: Meta,
    /// Set when the source already knows that it cannot be read (giant or truncated frame): the bytes
    /// are kept as a failed message with this code.
    pub refused: Option<Code>,
}

impl NewMessage {
    /// SHA-256 of the bytes.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.body).into()
    }
}

/// A message as the inbox holds it.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its position in the inbox.
    pub id: MessageId,
    /// Where it came from.
    pub source: SourceName,
    /// The facility that speaks.
    pub facility: FacilityId,
    /// The bytes as received.
    pub body: Bytes,
    /// What the source knew beside the bytes.
    pub meta: Meta,
    /// When it was accepted.
    pub received_at: Timestamp,
}

/// The answer of the inbox. All are success: the peer may be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Committed as a new message.
    Stored(MessageId),
    /// The same bytes under the same key were committed before; nothing new.
    Duplicate(MessageId),
    /// The patient is not enrolled at this source: nothing was kept, one counter went up.
    NotEnrolled,
}
