//! What an operator writes about one drop folder.

use std::path::PathBuf;

use renkei_core::{Code, FacilityId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::local_id;

/// One folder that files are dropped into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder. Folders inside it are not read. Example: `"/srv/renkei/in/kaku"`.
    pub path: PathBuf,
    /// The facility whose files these are, its ten-digit number. Example: `"1312345670"`.
    pub facility: FacilityId,
    /// What happens to a file that was taken: `"move"` = into the folder `done` inside, or
    /// `"remember"` = it stays where it is and is not read again (for folders the hub may only
    /// read). Default: `"move"`.
    #[serde(default)]
    pub after: After,
    /// Seconds between the end of one pass and the start of the next. Default: 10.
    #[serde(default = "poll_secs")]
    pub poll_secs: u64,
    /// A file is read when its size and time have not changed for this many seconds; 0 = at the
    /// first look. Default: 3.
    #[serde(default = "stable_secs")]
    pub stable_secs: u64,
    /// Seconds that a document waits for its sidecar row, and a row for its document, before either
    /// is reported. Default: 300.
    #[serde(default = "partner_secs")]
    pub partner_secs: u64,
    /// How patient numbers are spelled. Default: as sent.
    #[serde(default)]
    pub local_id: local_id::Rule,
}

/// What happens to a file that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// It is moved into `done`.
    #[default]
    Move,
    /// It stays.
    Remember,
}

fn poll_secs() -> u64 {
    10
}

fn stable_secs() -> u64 {
    3
}

fn partner_secs() -> u64 {
    300
}

impl Config {
    /// A folder of one facility with every default.
    pub fn new(path: PathBuf, facility: FacilityId) -> Self {
        Self {
            path,
            facility,
            after: After::default(),
            poll_secs: poll_secs(),
            stable_secs: stable_secs(),
            partner_secs: partner_secs(),
            local_id: local_id::Rule::default(),
        }
    }

    /// Everything that is wrong with it; empty when it can be used. Looks at no folder.
    pub fn validate(&self) -> Vec<String> {
        if self.path.is_absolute() {
            Vec::new()
        } else {
            vec![format!("{}: `path` is not absolute", Code::CFG_INVALID)]
        }
    }
}
