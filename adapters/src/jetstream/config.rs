//! What an operator writes about a stream that is read and a stream that is written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use renkei_core::{FacilityId, Profession, limits};
use schemars::JsonSchema;
use serde::Deserialize;

use super::subject::{self, Template};
use super::{Auth, Connection, Identity};
use crate::local_id;
use crate::problem::ConfigProblem;

/// A stream that messages are read from, one HL7 v2 message or one FHIR Bundle each. Exactly one of
/// `facility` and `facility_by_token` says which facility speaks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Where the server is.
    pub connection: Connection,
    /// The stream; it must exist. Example: `"HIS"`.
    pub stream: String,
    /// Which of its messages are read; wildcards allowed. Default: all. Example: `"his.*.adt"`.
    #[serde(default)]
    pub subject: Option<String>,
    /// Name of the hub's durable consumer. The hub makes it, and makes it anew after an unclean end:
    /// nobody else uses it. Default: `"renkei"`.
    #[serde(default = "durable")]
    pub durable: String,
    /// Where reading begins when the hub sees the stream for the first time: `"oldest"` message there
    /// is, or only `"new"` ones. Default: `"oldest"`.
    #[serde(default)]
    pub begin: Begin,
    /// The facility that everything in it comes from, its ten-digit number. Example: `"1312345670"`.
    #[serde(default)]
    pub facility: Option<FacilityId>,
    /// Facilities by one token of the subject. Messages of others are never taken.
    #[serde(default)]
    pub facility_by_token: Option<FacilityByToken>,
    /// How patient numbers are spelled. Default: as sent.
    #[serde(default)]
    pub local_id: local_id::Rule,
    /// Messages that may be on their way into the hub at once; the server holds back the rest. At most
    /// this many times the server's `max_payload` of memory is used. Default: 128.
    #[serde(default = "max_ack_pending")]
    pub max_ack_pending: u16,
    /// Seconds after which the server gives out a message again that was not acknowledged. The hub
    /// says in time that it is still working. Default: 30.
    #[serde(default = "ack_wait_secs")]
    pub ack_wait_secs: u64,
    /// Largest message in bytes; of larger ones the first 64 KiB are kept, as failed.
    /// Default and maximum: 33554432 (32 MiB).
    #[serde(default = "max_message_bytes")]
    pub max_message_bytes: usize,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Begin {
    /// With the oldest message the stream holds.
    #[default]
    Oldest,
    /// With what comes after the hub's first look.
    New,
}

/// Which token of a subject names the facility.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FacilityByToken {
    /// The token's place, from 1. Example: `2` for `KAKU` in `his.KAKU.adt`.
    pub token: usize,
    /// Facilities by what stands there. Example: `{ KAKU = "1312345670" }`.
    pub table: BTreeMap<String, FacilityId>,
}

fn durable() -> String {
    "renkei".to_owned()
}

fn max_ack_pending() -> u16 {
    128
}

fn ack_wait_secs() -> u64 {
    30
}

fn max_message_bytes() -> usize {
    limits::FRAME_BYTES
}

impl Source {
    /// A stream of one facility with every default.
    pub fn new(connection: Connection, stream: impl Into<String>, facility: FacilityId) -> Self {
        Self {
            connection,
            stream: stream.into(),
            subject: None,
            durable: durable(),
            begin: Begin::default(),
            facility: Some(facility),
            facility_by_token: None,
            local_id: local_id::Rule::default(),
            max_ack_pending: max_ack_pending(),
            ack_wait_secs: ack_wait_secs(),
            max_message_bytes: max_message_bytes(),
        }
    }

    /// Everything that is wrong with it; empty when it can be used. Asks nobody.
    pub fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = self.connection.check();
        let mut bad = |field: &str, reason: &str| {
            problems.push(ConfigProblem::invalid(field, reason));
        };
        for (field, name) in [("stream", &self.stream), ("durable", &self.durable)] {
            if !subject::is_name(name) {
                bad(field, "is empty or holds spaces, dots, `*`, `>` or slashes");
            }
        }
        if self
            .subject
            .as_deref()
            .is_some_and(|subject| !subject::is_filter(subject))
        {
            bad("subject", "is not a subject");
        }
        if self.facility.is_some() == self.facility_by_token.is_some() {
            bad(
                "facility",
                "or `facility_by_token` must be set, and only one of them",
            );
        }
        if self
            .facility_by_token
            .as_ref()
            .is_some_and(|by| by.token == 0 || by.table.is_empty())
        {
            bad(
                "facility_by_token",
                "needs a `token` from 1 and a `table` that is not empty",
            );
        }
        if self.max_ack_pending == 0 {
            bad("max_ack_pending", "must be at least 1");
        }
        if self.ack_wait_secs == 0 {
            bad("ack_wait_secs", "must be at least 1");
        }
        if self.max_message_bytes == 0 || self.max_message_bytes > limits::FRAME_BYTES {
            bad("max_message_bytes", "must be between 1 and 33554432");
        }
        problems
    }

    /// Every facility that may speak.
    pub fn facilities(&self) -> impl Iterator<Item = &FacilityId> {
        let by_token = self.facility_by_token.iter();
        self.facility
            .iter()
            .chain(by_token.flat_map(|by| by.table.values()))
    }

    /// The facility that speaks under a subject.
    pub(super) fn facility_of(&self, subject: &str) -> Option<&FacilityId> {
        match &self.facility_by_token {
            None => self.facility.as_ref(),
            Some(by) => by
                .table
                .get(subject.split('.').nth(by.token.checked_sub(1)?)?),
        }
    }

    pub(super) fn ack_wait(&self) -> Duration {
        Duration::from_secs(self.ack_wait_secs)
    }
}

/// A stream that posts are published to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// Where the server is.
    pub connection: Connection,
    /// The stream that must take the posts; it must exist. Example: `"POSTS"`.
    pub stream: String,
    /// Where a post is published; its documents go to the same with `.document` behind it. `{channel}`
    /// is the peer's name of the channel, `{kind}` the kind of event, `{urgency}` `u0` to `u3`.
    /// Example: `"renkei.posts.{channel}"`.
    pub subject: String,
    /// The professions of everyone who can read the stream. Default: unknown; then the members
    /// imported with the channel count, and without any, posts say what a helper may know.
    /// Example: `["doctor", "nurse"]`.
    #[serde(default)]
    pub readers: Vec<Profession>,
}

impl Sink {
    /// Everything that is wrong with it; empty when it can be used. Asks nobody.
    pub fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = self.connection.check();
        if !subject::is_name(&self.stream) {
            problems.push(ConfigProblem::invalid(
                "stream",
                "is empty or holds spaces, dots, `*`, `>` or slashes",
            ));
        }
        if let Err(reason) = Template::parse(&self.subject) {
            problems.push(ConfigProblem::invalid("subject", reason));
        }
        problems
    }
}

/// The wake signal between hubs on one database.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wake {
    /// Address of the server, as in a connection's `servers`; JetStream is not needed.
    /// Example: `"nats://127.0.0.1:4222"`.
    pub nats: String,
    /// How the hub proves who it is. Default: nothing.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// PEM file with further authorities the server's certificate may come from. Default: those of
    /// the machine.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The hub's client certificate. Default: none.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// Where the signal is published, the same for all hubs of one database.
    /// Default: `"renkei.wake"`.
    #[serde(default = "wake_subject")]
    pub subject: String,
    /// Signals sent in a second at most; what comes in between is one signal. Default: 20.
    #[serde(default = "most_per_sec")]
    pub most_per_sec: u16,
}

fn wake_subject() -> String {
    "renkei.wake".to_owned()
}

fn most_per_sec() -> u16 {
    20
}

impl Wake {
    /// A signal over one server with every default.
    pub fn new(nats: impl Into<String>) -> Self {
        Self {
            nats: nats.into(),
            auth: None,
            ca_file: None,
            identity: None,
            subject: wake_subject(),
            most_per_sec: most_per_sec(),
        }
    }

    /// Everything that is wrong with it; empty when it can be used. Asks nobody.
    pub fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = self.connection().check();
        if !subject::is_subject(&self.subject) {
            problems.push(ConfigProblem::invalid(
                "subject",
                "is not a subject without wildcards",
            ));
        }
        if self.most_per_sec == 0 {
            problems.push(ConfigProblem::invalid("most_per_sec", "must be at least 1"));
        }
        problems
    }

    pub(super) fn connection(&self) -> Connection {
        Connection {
            auth: self.auth.clone(),
            ca_file: self.ca_file.clone(),
            identity: self.identity.clone(),
            ..Connection::new(self.nats.clone())
        }
    }

    /// Whether the server is on this machine.
    pub fn stays_on_this_machine(&self) -> bool {
        self.connection().stays_on_this_machine()
    }

    pub(super) fn pause(&self) -> Duration {
        Duration::from_secs(1) / u32::from(self.most_per_sec.max(1))
    }
}
