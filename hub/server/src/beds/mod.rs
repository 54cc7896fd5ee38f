//! Bed availability: what each ward of each hospital says is free, and how fresh that is.
//!
//! [`board`] judges the rows a mapping made (called by `pipeline`, pure), the ledger keeps one row per ward
//! and the history ([`crate::store::beds`]), [`view`] answers questions (called by `cli` and [`api`]),
//! [`area`] knows Tokyo's medical areas, [`tell`] tells subscribers, [`mod@derive`] counts a ward from its open stays. No patient is in any of it, so
//! nothing here goes through identity, consent or channels. What is not fresh is never shown as free.

pub mod api;
pub mod area;
pub mod board;
pub mod config;
pub mod derive;
pub mod fhir;
pub(crate) mod room;
pub mod tell;
pub mod view;

use jiff::Timestamp;
use renkei_core::{Bed, MessageId, SourceName};
use serde::Serialize;

/// A ward: facility number of its hospital and its code there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Ward {
    /// The hospital's facility number.
    pub hospital: String,
    /// The ward's code within it.
    pub code: String,
}

impl Ward {
    /// The ward a row is about.
    pub fn of(bed: &Bed) -> Self {
        Self {
            hospital: bed.hospital_code.clone(),
            code: bed.ward_code.clone(),
        }
    }
}

/// Where a patient of a counted hospital lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bedside {
    /// The ward.
    pub ward: Ward,
    /// The place as the hospital numbers it: `ward/room/bed`, as far as it was said.
    pub place: String,
}

/// What became of a stay of a counted hospital.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedStay {
    /// Where the patient lies; `None` = not any more.
    pub lies: Option<Bedside>,
    /// Since when it is so. What was said earlier of the bed the patient lay in until then is over.
    pub at: Timestamp,
}

/// The newest good row about a ward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What it says.
    pub bed: Bed,
    /// Until when it is believed.
    pub valid_until: Timestamp,
    /// When it was received.
    pub received_at: Timestamp,
    /// Which source brought it.
    pub source: SourceName,
    /// The message it came in; `None` = counted by the hub from open stays.
    pub message: Option<MessageId>,
}

/// A row that is kept: as the newest of its ward, or in the history only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The row.
    pub known: Known,
    /// Older than what is known.
    pub late: bool,
}
