//! The decided part of the configuration that the pure stops read: who the facilities are, how each
//! sink is run, when notices settle, who may see what.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use renkei_core::notice::Speaker;
use renkei_core::{FacilityId, NoticeKind, SinkName, SourceName, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::beds::config::Rules;
use crate::route::relevance::Relevance;

/// What the pure stops know of the configuration.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Facilities that speak or read, by number.
    pub facilities: BTreeMap<FacilityId, FacilitySetup>,
    /// Sinks by name.
    pub sinks: BTreeMap<SinkName, SinkSetup>,
    /// When a (source, sink) pair went live: earlier events are recorded, never posted. A source
    /// without an entry is live from the first start of the hub.
    pub live_from: BTreeMap<(SourceName, SinkName), Timestamp>,
    /// When notices settle.
    pub settle: Settle,
    /// Posts carry 【試験】 and test patients stay inside.
    pub staging: bool,
    /// Who may see what.
    pub relevance: Relevance,
    /// How rows about beds are judged.
    pub beds: Rules,
}

/// One facility.
#[derive(Debug, Clone)]
pub struct FacilitySetup {
    /// How it signs its notices.
    pub speaker: Speaker,
    /// Facility class (`hospital`, `clinic`, `visit-nurse-station`, …).
    pub class: String,
    /// Municipality or district code (`shinjuku`).
    pub district: String,
    /// Local ids of test patients: recorded, never sent to a live sink.
    pub test_patients: Vec<String>,
}

/// How one sink is run.
#[derive(Debug, Clone)]
pub struct SinkSetup {
    /// shadow → assisted → live.
    pub mode: SinkMode,
    /// The written agreement with its operator; without it the sink cannot go live.
    pub agreement_ref: Option<String>,
    /// Whether a reply in this channel reaches the facility that spoke.
    pub reply_reaches: bool,
}

/// How far a sink may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SinkMode {
    /// Decide, render, store, send nothing.
    Shadow,
    /// A person hands every delivery over.
    Assisted,
    /// Send.
    Live,
}

/// When notices settle.
#[derive(Debug, Clone)]
pub struct Settle {
    /// After the last part.
    pub after: Duration,
    /// After the first part at most.
    pub at_most: Duration,
    /// Kinds whose one message already says everything: they settle at once.
    pub at_once: Vec<NoticeKind>,
}

impl Default for Settle {
    fn default() -> Self {
        Self {
            after: limits::SETTLE_AFTER,
            at_most: limits::SETTLE_AT_MOST,
            at_once: vec![NoticeKind::Admission],
        }
    }
}
