//! Finding recorded FHIR by what it says. So far one question, the one that is asked all day:
//! `Observation?patient=…&code=…&_sort=-date&_count=…`, the latest results of a code.
//!
//! Every coding of `Observation.code` counts, in the current version only; what was taken back is not
//! found. Called by `bench` and, once there is one, by the FHIR interface. **A search decides nothing about
//! who may read: callers ask policy first.** Same implementations and same behaviour suite as
//! [`super::Store`].

use std::time::Duration;

use async_trait::async_trait;
use renkei_core::{FacilityId, LocalId, Sensitive, chain};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::StoreError;

/// Between two steps of bringing older results into the index: the writer belongs to the senders.
const BREATH: Duration = Duration::from_millis(50);
/// Until a step that failed for a passing reason is tried again.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// The verbs of searching.
#[async_trait]
pub trait Search: Send + Sync + 'static {
    /// The newest results of one code: by effective time, at one time the later recorded first; those
    /// without a time last.
    ///
    /// # Errors
    /// As the database says.
    async fn latest(&self, of: &LatestOf) -> Result<Latest, StoreError>;
    /// Takes a few hundred of the resources that an earlier renkei has recorded into the index. `false`:
    /// nothing was left to do. May be said by several hubs at a time.
    ///
    /// # Errors
    /// As the database says.
    async fn index_older(&self) -> Result<bool, StoreError>;
}

/// Which results are asked for.
#[derive(Debug, Clone)]
pub struct LatestOf {
    /// Whose.
    pub patient: Whose,
    /// Of what.
    pub code: Token,
    /// How many at most.
    pub count: u32,
}

/// One Patient: a person has one for each facility.
#[derive(Debug, Clone)]
pub enum Whose {
    /// By its FHIR logical id.
    LogicalId(String),
    /// By the number one facility gave.
    Local(FacilityId, LocalId),
}

/// A FHIR search token, `[system|]code`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// `None`: the code in any system. Empty: the code without a system, `|code`.
    pub system: Option<String>,
    /// The code, compared as written.
    pub code: String,
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latest {
    /// Newest first.
    pub found: Vec<Found>,
    /// `false`: results an earlier renkei recorded are still being indexed, some may be missing.
    pub complete: bool,
}

/// One resource that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// FHIR logical id.
    pub logical_id: String,
    /// Its current version.
    pub version: u32,
    /// The JSON text exactly as stored.
    pub body: Sensitive<String>,
}

/// Indexes what an earlier renkei recorded, step by step, until all of it is or `stop` fires. Where it
/// stopped it goes on after the next start. A ledger that cannot is no reason to end the hub: searches say
/// that they are incomplete.
pub async fn index_all(store: &impl Search, stop: &CancellationToken) {
    let mut worked = false;
    loop {
        let wait = match store.index_older().await {
            Ok(true) => {
                worked = true;
                BREATH
            }
            Ok(false) => {
                if worked {
                    info!("older results can be searched now");
                }
                return;
            }
            Err(error) if error.passes() => AFTER_TROUBLE,
            Err(error) => {
                warn!(error = %chain(&error), "older results could not be indexed; searches are incomplete");
                return;
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
