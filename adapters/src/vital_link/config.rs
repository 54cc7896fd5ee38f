//! The settings of one Vital Link. Several districts run their own: each is a peer of its own.

use std::time::Duration;

use renkei_core::FacilityId;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::http::Connection;
use crate::problem::ConfigProblem;

/// One Vital Link account of one facility, for sending and for hearing back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the peer is and how the hub proves who it is.
    pub connection: Connection,
    /// The facility the account acts for, ten digits.
    pub facility: FacilityId,
    /// The peer's user id of the facility's system account; it must be a member of every room that
    /// is written to.
    pub user_ref: String,
    /// The profession the system account is registered with. Default `medical-clerk`.
    #[serde(default = "profession")]
    pub profession: String,
    /// Seconds between looks at the feed of changes; 0 = never look. Default 30.
    #[serde(default = "poll_secs")]
    pub poll_secs: u64,
}

fn profession() -> String {
    renkei_core::Profession::MedicalClerk.code().to_owned()
}

fn poll_secs() -> u64 {
    30
}

impl Config {
    /// Everything wrong with the settings; reads no file and asks nobody.
    pub fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = self.connection.check();
        if self.user_ref.trim().is_empty() {
            problems.push(ConfigProblem::invalid("user_ref", "is empty"));
        }
        problems
    }

    pub(super) fn poll(&self) -> Duration {
        Duration::from_secs(self.poll_secs.max(1))
    }
}
