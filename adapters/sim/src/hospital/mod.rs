//! A hospital that admits, treats and discharges by script: SS-MIX2 tree, HL7 v2 over MLLP, documents.
//!
//! Used by the demo, the end-to-end tests, the crash test and `renkei load`. [`build()`] makes one
//! message from plain structs; [`Hospital`] also writes it where a hospital would. Shapes follow
//! SS-MIX2 1.2 and the JAHIS profiles of HL7 v2.5. People are invented ([`Person::synthetic`]).

mod build;
mod document;
mod event;
mod mllp;
mod orders;
mod people;
mod scenario;
mod segments;
mod storage;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use renkei_hl7v2::build::BuildError;

pub use build::{Built, Place, build};
pub use document::{cda_with_pdf, minimal_pdf};
pub use event::{Event, What};
pub use mllp::{Ack, MllpClient, MllpError};
pub use orders::{Allergy, Document, Drug, LabReport, LabRow, Prescription, Problem, VitalRow};
pub use people::{Insurance, Person, Sex, Site, Staff, Stay};
pub use scenario::Scenario;
pub use storage::{ExtendedStorage, Storage};

/// Where a hospital's messages go; what is `None` is not written.
#[derive(Clone, Debug)]
pub struct Config {
    /// The hospital itself.
    pub site: Site,
    /// Root of the SS-MIX2 standardized storage.
    pub storage: Option<PathBuf>,
    /// Root of the extended storage (documents, vital signs).
    pub extended: Option<PathBuf>,
    /// MLLP listener of the hub.
    pub mllp: Option<SocketAddr>,
    /// First control id; MSH-10 counts up from here. A second run needs another one.
    pub first_control_id: u64,
}

/// Why an event could not be played.
#[derive(Debug, thiserror::Error)]
pub enum HospitalError {
    /// The scenario holds something a message cannot say.
    #[error("the message cannot be built")]
    Build(#[from] BuildError),
    /// The storage cannot be written.
    #[error("the storage cannot be written")]
    Storage(#[from] io::Error),
    /// The hub did not answer; whether it took the message is unknown.
    #[error("no acknowledgement")]
    Mllp(#[from] MllpError),
}

/// What became of one event.
#[derive(Clone, Debug)]
pub struct Done {
    /// MSH-10.
    pub control_id: String,
    /// MSH-9 as sent, for example `ADT^A03`.
    pub message_type: String,
    /// File or content folder written.
    pub path: Option<PathBuf>,
    /// The hub's answer.
    pub ack: Option<Ack>,
}

/// A hospital at work.
#[derive(Debug)]
pub struct Hospital {
    config: Config,
    storage: Option<Storage>,
    extended: Option<ExtendedStorage>,
    client: Option<MllpClient>,
    next_control_id: u64,
}

impl Hospital {
    /// Opens nothing yet: folders and connection are made when first needed.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let storage = config.storage.clone().map(Storage::new);
        let extended = config.extended.clone().map(ExtendedStorage::new);
        let client = config.mllp.map(MllpClient::new);
        let next_control_id = config.first_control_id;
        Self {
            config,
            storage,
            extended,
            client,
            next_control_id,
        }
    }

    /// Writes one event to the storage, then sends it. Documents go to the extended storage only.
    ///
    /// # Errors
    /// [`HospitalError`]; on [`HospitalError::Mllp`] the file is written already, and performing the
    /// event again sends it under another control id.
    pub async fn perform(&mut self, event: &Event) -> Result<Done, HospitalError> {
        let control_id = format!("SIM{:010}", self.next_control_id);
        self.next_control_id += 1;
        if let What::Document(document) = &event.what {
            let extended = self.extended.as_ref();
            let path = extended
                .map(|storage| storage.put_document(event, document))
                .transpose()?;
            return Ok(Done {
                control_id,
                message_type: String::new(),
                path,
                ack: None,
            });
        }
        let built = build(&self.config.site, event, &control_id)?;
        let path = match (built.place, &self.storage, &self.extended) {
            (Place::Standardized(_), Some(storage), _) => Some(storage.put(event, &built)?),
            (Place::Extended, _, Some(extended)) => Some(extended.put_vitals(event, &built)?),
            (Place::Standardized(_) | Place::Extended | Place::Nowhere, _, _) => None,
        };
        let ack = match &mut self.client {
            Some(client) => Some(client.send(&built.bytes).await?),
            None => None,
        };
        Ok(Done {
            control_id,
            message_type: built.message_type,
            path,
            ack,
        })
    }

    /// Performs every event in order; stops at the first that fails.
    ///
    /// # Errors
    /// As [`Hospital::perform`].
    pub async fn play(&mut self, scenario: &Scenario) -> Result<Vec<Done>, HospitalError> {
        let mut done = Vec::with_capacity(scenario.events.len());
        for event in &scenario.events {
            done.push(self.perform(event).await?);
        }
        Ok(done)
    }
}
