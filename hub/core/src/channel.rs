//! Where a person's team reads at one sink.

use serde::{Deserialize, Serialize};

use crate::{ChannelId, PeerRef, PersonId, Profession, SinkName};

/// A linked place. Channels are linked, never guessed: proposed when kana, birth date and sex agree,
/// confirmed once by the host office.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its row.
    pub id: ChannelId,
    /// The sink it belongs to.
    pub sink: SinkName,
    /// The person it is about.
    pub person: PersonId,
    /// What the peer calls it: group id, room id, ward patient id.
    pub peer_ref: PeerRef,
    /// What kind of timeline.
    pub kind: ChannelKind,
    /// Whether it may be used.
    pub status: ChannelStatus,
    /// The office that hosts it, when known.
    pub host_facility: Option<String>,
    /// The patient header it was confirmed with.
    pub header: PatientHeader,
    /// Who can read it, as last read or as declared for sinks that cannot tell.
    pub members: Vec<Member>,
}

/// What kind of timeline a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// The professionals of one patient: a shared timeline.
    Professional,
    /// One reader, about one patient: for fuller forms.
    Direct,
    /// Patient and family read it: never automatic.
    Family,
    /// A group about no patient: never carries patient data.
    Free,
}

impl ChannelKind {
    /// Finds a kind by its code.
    pub fn find(code: &str) -> Option<Self> {
        match code {
            "professional" => Some(Self::Professional),
            "direct" => Some(Self::Direct),
            "family" => Some(Self::Family),
            "free" => Some(Self::Free),
            _ => None,
        }
    }
    /// The code as stored.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Professional => "professional",
            Self::Direct => "direct",
            Self::Family => "family",
            Self::Free => "free",
        }
    }
}

/// Whether a channel may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelStatus {
    /// Found in the sink's own list; waits for the host office.
    Proposed,
    /// Confirmed by a named person of the host office.
    Confirmed,
    /// The last look found another patient, an archived group or a doubled link.
    Broken,
}

/// The patient a group says it is about. All patient data; empty = not given.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PatientHeader {
    /// The peer's or facility's own number.
    pub local_id: String,
    /// Kana as the peer writes it.
    pub kana: String,
    /// `YYYY-MM-DD`.
    pub birth_date: String,
    /// `male`, `female`, `other`, `unknown`.
    pub sex: String,
}

impl std::fmt::Debug for PatientHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// One reader of a channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// What the peer calls the user.
    pub user_ref: String,
    /// The user's facility, when known.
    pub facility: Option<String>,
    /// Professions; several are possible, none = unknown = least privilege.
    pub professions: Vec<Profession>,
}

/// What the peer says now about a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelView {
    /// What the peer calls it.
    pub peer_ref: PeerRef,
    /// What kind of timeline it is now.
    pub kind: ChannelKind,
    /// Archived or closed.
    pub archived: bool,
    /// The patient it says it is about; `None` when the peer shows none.
    pub header: Option<PatientHeader>,
    /// Who can read it; `None` when the peer cannot tell: the declared members of the channel count.
    pub members: Option<Vec<Member>>,
    /// The office that hosts it.
    pub host_facility: Option<String>,
}
