//! The shape of `renkei.toml`. Every table denies unknown fields; kinds are externally tagged
//! (`adapter.mllp = { … }`), so an error points at the very line and column. Secrets are references
//! (`{ file = "…" }`, `{ env = "…" }`), never values.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use renkei_adapters::secret::Secret;
use renkei_adapters::{folder, jetstream, mcs, mllp, push, ssmix2, vital_link, ward};
use renkei_core::{FacilityId, NoticeKind};
use renkei_mappings::ProblemList;
use schemars::JsonSchema;
use serde::Deserialize;

use super::setup::SinkMode;
use crate::beds::config::Beds;
use crate::observe::config::Observe;
use crate::retention::Retention;

/// The whole file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// This hub.
    pub hub: Hub,
    /// Where the ledger is kept, and how hubs that share it wake each other.
    #[serde(default)]
    pub ledger: Ledger,
    /// When notices settle.
    #[serde(default)]
    pub notices: Notices,
    /// Who may see what.
    #[serde(default)]
    pub policy: Policy,
    /// What is attached to posts.
    #[serde(default)]
    pub documents: Documents,
    /// How the hub is watched: metrics, health, alarms.
    #[serde(default)]
    pub observe: Observe,
    /// Bed availability.
    #[serde(default)]
    pub beds: Beds,
    /// How long things are kept.
    #[serde(default)]
    pub retention: Retention,
    /// Facilities that speak or read, by their ten-digit number.
    #[serde(default)]
    pub facility: BTreeMap<String, Facility>,
    /// Where messages come from, by name. The name is the id seen in logs and audit.
    #[serde(default)]
    pub source: BTreeMap<String, Source>,
    /// Systems that are delivered to and answer, by name.
    #[serde(default)]
    pub peer: BTreeMap<String, Peer>,
}

/// This hub.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hub {
    /// Folder of the database, the documents and the lock. Relative to this file. Example: `"data"`.
    pub data_dir: PathBuf,
    /// `"staging"`: posts carry 【試験】. Default: `"production"`.
    #[serde(default)]
    pub env: Env,
    /// Waits between attempts at one delivery.
    #[serde(default)]
    pub retry: Retry,
    /// For rehearsals: a file with an offset in seconds that the hub's clock shows beside the machine's
    /// time, read again at most every 50 ms. Relative to this file. Refused unless every source and
    /// peer stays on this machine. Default: the machine's time. Example: `"clock"`.
    #[serde(default)]
    pub rehearsal_clock: Option<PathBuf>,
}

/// Where the ledger is kept. Several hubs may share one on PostgreSQL.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ledger {
    /// A PostgreSQL server, without a password. Beyond this machine its certificate is checked unless the
    /// address says otherwise (`?sslmode=…`). Default: a SQLite file in `hub.data_dir`.
    /// Example: `"postgres://renkei@db.example/renkei"`.
    pub database: Option<String>,
    /// The password at the server. Default: none, or as the address says.
    pub password: Option<Secret>,
    /// How long the log beside the SQLite file grows before it is written back, in megabytes, 1 to 4096. A
    /// longer one costs disk and time at the start after a crash; a shorter one makes more of the answers
    /// slow. Default: 64.
    pub log_megabytes: Option<u64>,
    /// A NATS server over which hubs on one database wake each other. Without it, or while it is away,
    /// a hub looks at the database every half second. Default: none.
    pub wake: Option<jetstream::Wake>,
}

/// Which world the hub serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Env {
    /// Real patients.
    #[default]
    Production,
    /// Rehearsal: posts carry 【試験】.
    Staging,
}

/// Waits between attempts at one delivery, and pauses of a sink whose peer is unavailable.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// First wait in milliseconds; doubled each time. Default: 5000.
    pub first_millis: u64,
    /// Longest wait in seconds. Default: 900.
    pub most_secs: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first_millis: 5_000,
            most_secs: 900,
        }
    }
}

/// When notices settle.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Notices {
    /// Seconds after the last part of an event. Default: 600.
    pub settle_secs: u64,
    /// Seconds after its first part at most. Default: 3600.
    pub settle_most_secs: u64,
    /// Kinds that settle at once because one message says it all. Default: `["admission"]`.
    pub at_once: Vec<NoticeKind>,
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            settle_secs: 600,
            settle_most_secs: 3_600,
            at_once: vec![NoticeKind::Admission],
        }
    }
}

/// Who may see what.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// A CSV whose rows override the built-in table (class × reader: F, S or -). Default: none.
    pub relevance_file: Option<PathBuf>,
}

/// What is attached to posts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Documents {
    /// A Japanese TrueType or OpenType font for the PDF. Default: the first of the usual places of
    /// Debian's fonts-ipaexfont and fonts-noto-cjk.
    pub font: Option<PathBuf>,
    /// Attach the hub's own sheet as PDF. Default: true.
    pub sheet: bool,
}

impl Default for Documents {
    fn default() -> Self {
        Self {
            font: None,
            sheet: true,
        }
    }
}

/// One facility.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Facility {
    /// Its name as readers know it. Example: `"架空総合病院"`.
    pub name: String,
    /// Facility class. Example: `"hospital"`, `"clinic"`, `"visit-nurse-station"`, `"care-management-office"`.
    pub class: String,
    /// Municipality or district. Example: `"shinjuku"`.
    pub district: String,
    /// The office to ask about a notice. Example: `"医療連携室"`.
    #[serde(default)]
    pub desk: String,
    /// Its phone. Example: `"03-0000-0000"`.
    #[serde(default)]
    pub phone: String,
    /// When it answers. Example: `"平日9–17時"`.
    #[serde(default)]
    pub hours: String,
    /// Local ids of test patients: never sent to a live sink. Default: none.
    #[serde(default)]
    pub test_patients: Vec<String>,
}

/// One source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Whose messages are kept: `"enrolled"` patients only (hospitals), or `"all"` (a clinic's own).
    /// Default: `"enrolled"`.
    #[serde(default)]
    pub admit: Admit,
    /// Events before this instant are recorded, never posted by themselves. Default: from the
    /// beginning. Example: `"2026-12-01T00:00:00+09:00"`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub live_from: Option<Timestamp>,
    /// The local mapping that reads it: a YAML file, relative to this one, or one that comes with renkei.
    /// In a drop folder any; elsewhere one that reads HL7 v2. Default: none. Example: `"mappings/lab.yaml"`,
    /// `"builtin/lab-csv"`.
    #[serde(default)]
    pub mapping: Option<String>,
    /// How its problem lists are read. Default: `"auto"`.
    #[serde(default)]
    pub problem_list: ProblemList,
    /// Uris of the facility's own coding systems, by the name in CWE.3. Default: none.
    #[serde(default)]
    pub code_systems: BTreeMap<String, String>,
    /// LOINC codes of the facility's own document kinds, by code or name. Default: none.
    #[serde(default)]
    pub document_kinds: BTreeMap<String, String>,
    /// What it is and how it is reached.
    pub adapter: SourceAdapter,
}

/// Whose messages are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Admit {
    /// Only patients enrolled at (facility, local id).
    #[default]
    Enrolled,
    /// Everyone.
    All,
}

/// The kinds of source. The list is an enum on purpose: a reader sees them all.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceAdapter {
    /// HL7 v2 over MLLP.
    Mllp(mllp::Config),
    /// SS-MIX2 storages.
    Ssmix2(ssmix2::Config),
    /// A folder of HL7 files or documents.
    Folder(folder::Config),
    /// An address that files or HL7 v2 messages are posted to, with a bearer token.
    Push(push::Config),
    /// A NATS JetStream stream of HL7 v2 messages.
    Jetstream(jetstream::SourceConfig),
}

/// One peer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// How far it may go: `"shadow"`, `"assisted"` or `"live"`. Default: `"shadow"`.
    #[serde(default = "shadow")]
    pub mode: SinkMode,
    /// The written agreement with its operator. Without it the peer cannot go live.
    #[serde(default)]
    pub agreement_ref: Option<String>,
    /// Events before this instant are never posted here by themselves. Default: from the beginning.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub live_from: Option<Timestamp>,
    /// Whether a reply there reaches the facility that spoke. Default: false.
    #[serde(default)]
    pub reply_reaches: bool,
    /// What it is and how it is reached.
    pub adapter: PeerAdapter,
}

fn shadow() -> SinkMode {
    SinkMode::Shadow
}

/// The kinds of peer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeerAdapter {
    /// メディカルケアステーション, by our contract sns-gateway/1.
    Mcs(Box<mcs::Config>),
    /// バイタルリンク, by our contract.
    VitalLink(Box<vital_link::Config>),
    /// A ward's own system: file drop (W1) or REST (W2).
    Ward(ward::Config),
    /// A NATS JetStream stream that posts are published to, by our contract renkei-post/1.
    Jetstream(jetstream::SinkConfig),
}

impl File {
    /// The facility numbers that parse, with their tables.
    pub fn facilities(&self) -> impl Iterator<Item = (FacilityId, &Facility)> {
        self.facility
            .iter()
            .filter_map(|(number, facility)| Some((FacilityId::new(number).ok()?, facility)))
    }
}
