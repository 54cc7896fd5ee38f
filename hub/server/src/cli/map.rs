//! `renkei map`: the integrator's loop. Reads files as the sources would, maps them, and prints one
//! line per message; nothing is stored or sent.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use jiff::Timestamp;
use renkei_adapters::{files, split};
use renkei_core::{
    Clock as _, Code, Draft, FacilityId, Finding, MapError, Mapper, Message, MessageId, Meta,
    Severity, SourceName, SystemClock,
};
use renkei_mappings::{Options, bundle, storage::StoragePath};
use serde::Serialize;
use serde_json::value::RawValue;

use super::map_local::{self, Local};
use super::{Exit, complain, say};
use crate::config::Checked;
use crate::normalize::ByFacility;

/// The facility of a dry run without `--facility`: a number of no real institution (都道府県 13,
/// 点数表区分 1, 機関コード 9999999).
pub const DEMO_FACILITY: &str = "1319999999";

/// Dry run: what a mapping makes of files or trees.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Map {
    /// Local mappings.
    #[command(subcommand)]
    local: Option<Local>,
    /// Files, or folders that are walked.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The mapping: hl7v2, ssmix2, document, peer, a YAML file, or one of ours such as builtin/lab-csv.
    #[arg(long = "with", value_name = "MAPPING", required = true)]
    mapping: Option<String>,
    /// The facility that speaks, ten digits. Default: 1319999999, a number of no real institution.
    #[arg(long, value_name = "NUMBER")]
    facility: Option<String>,
    /// Use the options of a configured source.
    #[arg(long, value_name = "FILE", requires = "source")]
    config: Option<PathBuf>,
    /// Which source.
    #[arg(long, value_name = "NAME", requires = "config")]
    source: Option<String>,
    /// Print one FHIR collection Bundle per message instead.
    #[arg(long)]
    bundle: bool,
}

/// One line of output.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    index: usize,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    resources: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    withdrawn: Vec<String>,
    findings: &'a [Finding],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unread: &'a [String],
}

impl Map {
    /// Maps everything.
    ///
    /// # Errors
    /// When a path cannot be read or the configuration cannot be used.
    pub fn run(self) -> anyhow::Result<Exit> {
        if let Some(local) = self.local {
            return local.run();
        }
        let mapping = self.mapping.as_deref().unwrap_or("");
        let facility = match FacilityId::new(self.facility.as_deref().unwrap_or(DEMO_FACILITY)) {
            Ok(facility) => facility,
            Err(error) => {
                complain(&format!("--facility: {error}"));
                return Ok(Exit::Usage);
            }
        };
        if map_local::is_local(mapping) {
            let mut files = Vec::new();
            for path in &self.paths {
                collect(path, &mut files).with_context(|| path.display().to_string())?;
            }
            let options = match (&self.config, &self.source) {
                (Some(config), Some(source)) => match Checked::read(config) {
                    Ok(checked) => {
                        let mut sources = checked.sources.iter();
                        let (name, source) = sources
                            .find(|(name, _)| name.as_str() == source)
                            .context("no such source in the configuration")?;
                        checked.mapping_of(name, source).options(&facility)
                    }
                    Err(problems) => return Ok(super::check::report(&problems)),
                },
                _ => Options::new(facility),
            };
            return map_local::dry_run(mapping, &files, &options, self.bundle);
        }
        let Some(name) = renkei_mappings::NAMES.iter().find(|name| **name == mapping) else {
            complain(&format!(
                "--with {mapping}: no such mapping; there are {}, and YAML files",
                renkei_mappings::NAMES.join(", ")
            ));
            return Ok(Exit::Usage);
        };
        let mapper: std::sync::Arc<dyn Mapper> = match (&self.config, &self.source) {
            (Some(config), Some(source)) => match Checked::read(config) {
                Ok(checked) => checked
                    .mappers()
                    .remove(&SourceName::new(source))
                    .context("no such source in the configuration")?,
                Err(problems) => return Ok(super::check::report(&problems)),
            },
            _ => std::sync::Arc::new(ByFacility::named(name)),
        };
        let mut files = Vec::new();
        for path in &self.paths {
            collect(path, &mut files).with_context(|| path.display().to_string())?;
        }
        let now = SystemClock.now();
        let mut failed = false;
        for file in &files {
            let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
            for (index, message) in messages(file, bytes.into(), &facility, now)
                .into_iter()
                .enumerate()
            {
                failed |= !self.print(file, index, &message, mapper.map(&message))?;
            }
        }
        Ok(if failed { Exit::Data } else { Exit::Done })
    }

    /// Prints one message's line. Returns whether it was mapped.
    fn print(
        &self,
        file: &Path,
        index: usize,
        message: &Message,
        result: Result<Draft, MapError>,
    ) -> anyhow::Result<bool> {
        let file = file.display().to_string();
        let draft = match result {
            Ok(draft) => draft,
            Err(error) => {
                let findings = [Finding::new(error.code, Severity::Error, error.at)];
                complain(&format!(
                    "{file}: {}: {} ({}), see ops/errors/{}.md",
                    error.code,
                    error.code.title(),
                    findings[0].at,
                    error.code
                ));
                let line = Line {
                    file: &file,
                    index,
                    outcome: "failed",
                    code: Some(error.code),
                    resources: vec![],
                    withdrawn: vec![],
                    findings: &findings,
                    unread: &[],
                };
                say(&serde_json::to_string(&line)?);
                return Ok(false);
            }
        };
        if self.bundle {
            say(&bundle::collection_bundle(message.received_at, &draft));
            return Ok(true);
        }
        let outcome = match renkei_mappings::outcome(message, &draft) {
            renkei_mappings::Outcome::Mapped => "mapped",
            renkei_mappings::Outcome::MappedWithFindings => "mapped_with_findings",
            renkei_mappings::Outcome::Deleted => "deleted",
            renkei_mappings::Outcome::Parked => "parked",
        };
        let resources = draft
            .resources
            .iter()
            .map(|resource| RawValue::from_string(resource.body.expose().clone()))
            .collect::<Result<_, _>>()?;
        let withdrawn = draft
            .withdrawals
            .iter()
            .map(|withdrawal| withdrawal.key.reference())
            .collect();
        let line = Line {
            file: &file,
            index,
            outcome,
            code: draft.hold,
            resources,
            withdrawn,
            findings: &draft.findings,
            unread: &draft.unread,
        };
        say(&serde_json::to_string(&line)?);
        Ok(true)
    }
}

/// Files below `path` in name order; hidden ones are passed over.
pub(super) fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        let hidden = entry
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

/// The messages of a file, as the source would hand them over.
pub(super) fn messages(
    file: &Path,
    bytes: Bytes,
    facility: &FacilityId,
    now: Timestamp,
) -> Vec<Message> {
    let path = file.display().to_string();
    let stored = StoragePath::parse(&path);
    let mut meta = Meta {
        flag: stored.as_ref().and_then(|stored| stored.flag),
        ..Meta::default()
    };
    meta.data_type = stored.map(|stored| stored.data_type);
    meta.path = meta.data_type.is_some().then(|| path.clone());
    let media_type = files::media_type(&path, &bytes);
    let bodies = if media_type == HL7 || !is_document(media_type) {
        split::split(&bytes).bodies
    } else {
        meta.media_type = Some(media_type.to_owned());
        vec![bytes.clone()]
    };
    let bodies = if bodies.is_empty() {
        vec![bytes]
    } else {
        bodies
    };
    let message = |body| Message {
        id: MessageId(0),
        source: SourceName::new("map"),
        facility: facility.clone(),
        body,
        meta: meta.clone(),
        received_at: now,
    };
    bodies.into_iter().map(message).collect()
}

const HL7: &str = "application/hl7-v2";

fn is_document(media_type: &str) -> bool {
    media_type.contains("pdf") || media_type.contains("xml") || media_type.starts_with("image/")
}
