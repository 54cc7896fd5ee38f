//! The settings of a ward's or city's system: a file drop (W1) or REST (W2).

use std::path::PathBuf;
use std::time::Duration;

use renkei_core::FacilityId;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::mcs;
use crate::problem::ConfigProblem;

/// Which of the two profiles the ward's system speaks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Config {
    /// W1: files in a folder.
    FileDrop(FileDrop),
    /// W2: `sns-gateway/1` in the ward's words; the settings are those of `mcs`, and the dialect
    /// defaults to `ward-w2`.
    Rest(Box<mcs::Config>),
}

/// W1: a folder the ward's server takes files from and answers into.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDrop {
    /// The exchange folder; it holds `in/` for what the hub hands over and `out/` for the answers.
    pub folder: PathBuf,
    /// The facility that hands over, ten digits.
    pub facility: FacilityId,
    /// Encoding of every CSV, in both directions. Default `ms932`.
    #[serde(default)]
    pub encoding: Encoding,
    /// Seconds to wait for the ward's answer before the files are handed over again. Default 3600.
    #[serde(default = "ack_within_secs")]
    pub ack_within_secs: u64,
    /// Seconds between looks at the answers; 0 = never look. Default 10.
    #[serde(default = "poll_secs")]
    pub poll_secs: u64,
}

/// The encoding of a CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Windows code page 932.
    #[default]
    Ms932,
    /// UTF-8 without a byte order mark.
    #[serde(rename = "utf-8")]
    Utf8,
}

fn ack_within_secs() -> u64 {
    3_600
}

fn poll_secs() -> u64 {
    10
}

impl Config {
    /// Everything wrong with the settings; reads no file and asks nobody.
    pub fn check(&self) -> Vec<ConfigProblem> {
        match self {
            Self::FileDrop(drop) => drop.check(),
            Self::Rest(rest) => rest.check(),
        }
    }

    /// Whether what is handed over stays on this machine: a folder, or a simulator.
    pub fn stays_on_this_machine(&self) -> bool {
        match self {
            Self::FileDrop(_) => true,
            Self::Rest(rest) => rest.stays_on_this_machine(),
        }
    }
}

impl FileDrop {
    fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        if !self.folder.is_absolute() {
            problems.push(ConfigProblem::invalid("folder", "is not an absolute path"));
        }
        if self.ack_within_secs == 0 {
            problems.push(ConfigProblem::invalid(
                "ack_within_secs",
                "must be at least 1",
            ));
        }
        problems
    }

    pub(super) fn poll(&self) -> Duration {
        Duration::from_secs(self.poll_secs.max(1))
    }
}
