//! What operators and the command line do to the ledger: facts with an actor and a reason.

use serde::{Deserialize, Serialize};

/// The columns of one consent form that decide what it covers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentForm {
    /// Who discloses: facility numbers; empty = the record's own facility.
    pub disclosers: Vec<String>,
    /// Who may receive: `sink:…`, `facility:…`, `class:…`, `district:…`.
    pub recipients: Vec<String>,
    /// Item class codes, or `*` for all but the restricted.
    pub items: Vec<String>,
    /// First day, `YYYY-MM-DD`.
    pub valid_from: String,
    /// Last day; empty = open.
    pub valid_until: String,
}
