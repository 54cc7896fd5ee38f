//! Bytes to Draft, and notice to post. Pure: no I/O, no clock, no async.
//!
//! [`build`] gives the mapper of a source by name: `hl7v2` (HL7 v2.5 over MLLP or in files), `ssmix2` (the
//! same messages in an SS-MIX2 storage, whose folder names the data type), `document` (PDF and CDA) and
//! `peer` (what sinks send back). A mapper reads one message and returns FHIR R4 text under natural keys
//! (JP Core 1.2.0), what to take back, what to tell, and everything that was odd. It decides nothing about
//! people, consent or recipients.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::Offset;
use renkei_core::{FacilityId, Flag, Mapper, Message};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod bundle;
mod context;
pub mod coverage;
pub mod document;
pub mod hl7v2;
pub mod local;
pub mod moment;
pub mod peer;
pub mod post;
mod reader;
pub mod storage;

/// How a mapper is built for one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Options {
    /// The facility that speaks.
    pub facility: FacilityId,
    /// The offset of times that carry none; `+09:00` in Japan.
    #[serde(serialize_with = "as_seconds")]
    pub zone: Offset,
    /// How the facility writes its patient numbers, where a feed leaves out the padding.
    pub local_id: Option<LocalIdForm>,
    /// Whether a problem list replaces the earlier one.
    pub problem_list: ProblemList,
    /// Uris of coding systems the facility uses, by the name that stands in CWE.3.
    pub code_systems: BTreeMap<String, String>,
    /// LOINC codes of the facility's own document kinds, by code or name of the kind.
    pub document_kinds: BTreeMap<String, String>,
}

impl Options {
    /// The defaults for a facility in Japan.
    pub fn new(facility: FacilityId) -> Self {
        Self {
            facility,
            zone: jiff::tz::offset(9),
            local_id: None,
            problem_list: ProblemList::default(),
            code_systems: BTreeMap::new(),
            document_kinds: BTreeMap::new(),
        }
    }

    /// Hash of everything here, for the mapper's id.
    fn hash(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        renkei_core::id::hash_id(&["mapping options", &text])
    }
}

fn as_seconds<S: serde::Serializer>(zone: &Offset, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i32(zone.seconds())
}

/// How a facility writes its patient numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalIdForm {
    /// Characters of a full number, at most 15 (SS-MIX2 index database).
    pub width: usize,
    /// What shorter numbers are filled with on the left, normally `0`.
    pub padding: char,
}

/// Whether a problem list is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProblemList {
    /// Complete when the storage file's order number is 999999999999999, else joined by PRB-4.
    #[default]
    Auto,
    /// Always complete: what is missing is gone.
    Snapshot,
    /// Never complete: problems are joined by PRB-4.
    Merge,
}

/// No mapper can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// There is no mapping of this name.
    #[error("no mapping is named `{0}`; there are {names}", names = NAMES.join(", "))]
    UnknownName(String),
    /// The width of patient numbers is 0 or more than 15.
    #[error("the width of patient numbers must be between 1 and 15")]
    LocalIdWidth,
}

/// The names of all mappings.
pub const NAMES: &[&str] = &["hl7v2", "ssmix2", "document", "peer"];

/// Builds the mapper called `name`.
///
/// # Errors
/// When there is no such mapping or the options contradict themselves.
pub fn build(name: &str, options: Options) -> Result<Arc<dyn Mapper>, BuildError> {
    if options
        .local_id
        .is_some_and(|form| !(1..=15).contains(&form.width))
    {
        return Err(BuildError::LocalIdWidth);
    }
    match name {
        "hl7v2" => Ok(Arc::new(hl7v2::Hl7v2::new(options, hl7v2::Feed::Stream))),
        "ssmix2" => Ok(Arc::new(hl7v2::Hl7v2::new(options, hl7v2::Feed::Storage))),
        "document" => Ok(Arc::new(document::Document::new(options))),
        "peer" => Ok(Arc::new(peer::Peer::new(&options))),
        _ => Err(BuildError::UnknownName(name.to_owned())),
    }
}

/// How `renkei map` names what a draft amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Read without remarks.
    Mapped,
    /// Read, with findings.
    MappedWithFindings,
    /// The message takes its key back.
    Deleted,
    /// Waits for a person.
    Parked,
}

/// What a draft amounts to.
pub fn outcome(message: &Message, draft: &renkei_core::Draft) -> Outcome {
    let only_withdraws = draft.resources.is_empty() && !draft.withdrawals.is_empty();
    let flag = message.meta.flag.or_else(|| {
        let path = message.meta.path.as_deref()?;
        storage::StoragePath::parse(path)?.flag
    });
    if draft.hold.is_some() {
        Outcome::Parked
    } else if only_withdraws || flag == Some(Flag::Deleted) {
        Outcome::Deleted
    } else if draft.findings.is_empty() {
        Outcome::Mapped
    } else {
        Outcome::MappedWithFindings
    }
}
