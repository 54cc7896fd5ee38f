//! Bytes to [`Draft`].

use std::sync::Arc;

use serde::Serialize;

use crate::{Code, Draft, Message};

/// Which mapping made a draft: goes into Provenance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct MapperId {
    /// `ssmix2`, `hl7v2`, `document`, `peer`, `local`.
    pub name: &'static str,
    /// The mapping's own version, grows when its output changes.
    pub version: u32,
    /// Hash of the options it was built with, 26 characters; of a local mapping its own name, its hash and
    /// the beginning of that of the options, with points between.
    pub config: String,
}

impl std::fmt::Display for MapperId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}-{}", self.name, self.version, self.config)
    }
}

/// Turns one message into FHIR. Same bytes, same [`MapperId`] → same draft, byte for byte. Built per
/// source configuration (facility, zone, tables, options).
pub trait Mapper: Send + Sync + 'static {
    /// Name, version and configuration hash.
    fn id(&self) -> MapperId;
    /// The mapper that reads a message, for mappers that choose among others. Asked once per message, so
    /// that a message is read wholly by one mapping also while that is being exchanged. `None` = this one.
    fn chosen(&self, message: &Message) -> Option<Arc<dyn Mapper>> {
        let _any = message;
        None
    }
    /// Reads one message.
    ///
    /// # Errors
    /// Only when the bytes are not this format at all. Anything odd inside is a finding in the draft.
    fn map(&self, message: &Message) -> Result<Draft, MapError>;
}

/// The bytes are not what the mapping reads: the message fails with this code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} at {at}")]
pub struct MapError {
    /// The reason.
    pub code: Code,
    /// The place, as in a finding.
    pub at: String,
}
