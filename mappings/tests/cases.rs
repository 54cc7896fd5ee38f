//! Finding and running the cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use renkei_core::{Draft, FacilityId, MapError, Mapper, Message, MessageId, Meta, SourceName};
use renkei_mappings::{Options, ProblemList, build};
use serde::Deserialize;

/// The facility that speaks in every case: fictional.
pub(crate) const FACILITY: &str = "1312345670";
/// When every case was received, unless it says otherwise.
const RECEIVED: &str = "2025-01-31T03:00:00Z";

/// `case.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What it shows.
    pub(crate) shows: String,
    /// Where its shape comes from.
    pub(crate) shape: String,
    /// Which mapping reads it.
    pub(crate) mapping: String,
    /// `Meta.path`
    #[serde(default)]
    path: Option<String>,
    /// `Message.received_at`
    #[serde(default)]
    received_at: Option<String>,
    /// `Options.problem_list`
    #[serde(default)]
    problem_list: ProblemList,
    /// `Meta.sidecar`
    #[serde(default)]
    sidecar: BTreeMap<String, String>,
}

/// Where the fixtures lie.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// One case and where it lies.
pub(crate) struct Found {
    /// `stays/admitted`
    pub(crate) name: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// What it says.
    pub(crate) case: Case,
    /// The bytes of `input.*`.
    pub(crate) input: Vec<u8>,
}

impl Found {
    /// The mapper of the case.
    pub(crate) fn mapper(&self) -> Arc<dyn Mapper> {
        mapper(&self.case.mapping, self.case.problem_list)
    }

    /// The message of the case with other bytes.
    pub(crate) fn message(&self, body: Vec<u8>) -> Message {
        Message {
            id: MessageId(1),
            source: SourceName::new("fixture"),
            facility: FacilityId::new(FACILITY).unwrap(),
            body: body.into(),
            meta: Meta {
                path: self.case.path.clone(),
                sidecar: self.case.sidecar.clone(),
                ..Meta::default()
            },
            received_at: self
                .case
                .received_at
                .as_deref()
                .unwrap_or(RECEIVED)
                .parse()
                .unwrap(),
        }
    }

    /// What the mapping makes of it.
    pub(crate) fn map(&self) -> Result<Draft, MapError> {
        self.mapper().map(&self.message(self.input.clone()))
    }
}

pub(crate) fn mapper(name: &str, problem_list: ProblemList) -> Arc<dyn Mapper> {
    let mut options = Options::new(FacilityId::new(FACILITY).unwrap());
    options.problem_list = problem_list;
    build(name, options).unwrap()
}

/// Every case of a mapping, in the order of their names.
pub(crate) fn all() -> Vec<Found> {
    let root = fixtures();
    let mut found = Vec::new();
    for kind in folders(&root) {
        for folder in folders(&kind) {
            let Ok(text) = fs::read_to_string(folder.join("case.toml")) else {
                continue;
            };
            // Other tests keep their cases here too; theirs name no mapping.
            if !text.lines().any(|line| line.starts_with("mapping")) {
                continue;
            }
            let case: Case = toml::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let inputs: Vec<_> = fs::read_dir(&folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.file_stem().is_some_and(|stem| stem == "input"))
                .collect();
            assert_eq!(
                inputs.len(),
                1,
                "{} needs exactly one input file",
                folder.display()
            );
            let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
            found.push(Found {
                name: format!("{}/{}", name(&kind), name(&folder)),
                input: fs::read(&inputs[0]).unwrap(),
                folder,
                case,
            });
        }
    }
    found
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}
