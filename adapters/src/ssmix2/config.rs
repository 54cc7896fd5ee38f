//! What an operator writes about the SS-MIX2 storages of one source.

use std::path::PathBuf;

use renkei_core::{Code, FacilityId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::local_id;

/// The storages of one source; usually one standardized and one extended storage of one hospital.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The storages, read one after another. One patient may stand under several roots.
    pub roots: Vec<Root>,
    /// Seconds between the end of one pass and the start of the next. Default: 15.
    #[serde(default = "poll_secs")]
    pub poll_secs: u64,
    /// A new file is read when its size and time have not changed for this many seconds, over at
    /// least two looks; 0 = at the first look. Default: 3.
    #[serde(default = "stable_secs")]
    pub stable_secs: u64,
    /// Every so many seconds files that were read already are looked at again, for a content changed
    /// in place (the standard renames instead). Passes in between compare names only. Default: 3600.
    #[serde(default = "recheck_secs")]
    pub recheck_secs: u64,
    /// How patient numbers (names of patient folders) are spelled. Default: as they stand.
    #[serde(default)]
    pub local_id: local_id::Rule,
}

/// One storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// The folder that holds the three-character folders. Read only, never written to.
    /// Example: `"/mnt/ssmix2/STD01"`.
    pub path: PathBuf,
    /// The facility whose storage it is, its ten-digit number. Example: `"1312345670"`.
    pub facility: FacilityId,
    /// `"standard"` (標準化ストレージ: one HL7 message per file) or `"extended"` (拡張ストレージ: a
    /// folder per document). Default: `"standard"`.
    #[serde(default)]
    pub kind: Kind,
}

/// The two kinds of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 標準化ストレージ.
    #[default]
    Standard,
    /// 拡張ストレージ.
    Extended,
}

fn poll_secs() -> u64 {
    15
}

fn stable_secs() -> u64 {
    3
}

fn recheck_secs() -> u64 {
    3600
}

impl Config {
    /// These storages with every default.
    pub fn new(roots: Vec<Root>) -> Self {
        Self {
            roots,
            poll_secs: poll_secs(),
            stable_secs: stable_secs(),
            recheck_secs: recheck_secs(),
            local_id: local_id::Rule::default(),
        }
    }

    /// Everything that is wrong with it; empty when it can be used. Looks at no folder.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.roots.is_empty() {
            problems.push(format!("{}: `roots` names no storage", Code::CFG_INVALID));
        }
        for (at, root) in self.roots.iter().enumerate() {
            if !root.path.is_absolute() {
                problems.push(format!(
                    "{}: `roots[{at}].path` is not absolute",
                    Code::CFG_INVALID
                ));
            }
            if self.roots[..at].iter().any(|other| other.path == root.path) {
                problems.push(format!(
                    "{}: `roots[{at}].path` stands there twice",
                    Code::CFG_INVALID
                ));
            }
        }
        problems
    }
}
