//! `renkei map coverage`: over files as they came, per mapping, which fields were carried, which were left on
//! purpose, and which nobody reads. Nothing is stored or sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use renkei_core::{Clock as _, FacilityId, Mapper, SystemClock};
use renkei_mappings::Options;
use renkei_mappings::coverage::{self, Share, Tally};
use renkei_mappings::local::{Input, LocalMapper, Mapping};
use serde_json::json;

use super::{Exit, complain, map, map_local, say};
use crate::config::Checked;
use crate::normalize::ByFacility;

/// What is read by what.
#[derive(Debug, clap::Args)]
pub struct Coverage {
    /// MAPPING PATH… for one mapping, MAPPING=PATH… for several; PATH is a file or a folder that is walked. With
    /// --config SOURCE=PATH…, or a folder that holds a folder per source.
    #[arg(required = true, value_name = "WHAT")]
    what: Vec<String>,
    /// Read as the sources of this configuration do.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object per mapping.
    #[arg(long)]
    json: bool,
}

/// A mapping, ready to read.
enum Reads {
    /// Messages, by a mapping in Rust and perhaps one over it.
    Messages(Arc<dyn Mapper>, Option<Arc<Mapping>>),
    /// Files, by a local mapping.
    Files(Arc<Mapping>, Options),
}

/// A mapping and what it is given.
struct Job {
    name: String,
    reads: Reads,
    paths: Vec<PathBuf>,
}

impl Coverage {
    /// Reads everything and prints what came of it.
    ///
    /// # Errors
    /// When a path cannot be read.
    pub fn run(self) -> anyhow::Result<Exit> {
        let facility = FacilityId::new(map::DEMO_FACILITY)
            .map_err(|error| anyhow::anyhow!("the demo facility: {error}"))?;
        let jobs = match &self.config {
            Some(config) => self.of_sources(config, &facility)?,
            None => self.of_mappings(&facility)?,
        };
        let jobs = match jobs {
            Ok(jobs) => jobs,
            Err(exit) => return Ok(exit),
        };
        let (mut exit, now) = (Exit::Done, SystemClock.now());
        let (mut fields, mut values) = (Share::default(), Share::default());
        for job in &jobs {
            let found = job.read(&facility, now)?;
            if found.failed > 0 {
                exit = Exit::Data;
            }
            fields = fields.with(found.of_fields());
            values = values.with(found.of_values());
            if self.json {
                say(&as_json(&job.name, &found).to_string());
            } else {
                print(&job.name, &found);
            }
        }
        if jobs.len() > 1 && !self.json {
            say(&format!("all: {}", shares(fields, values)));
        }
        Ok(exit)
    }

    /// What the command line says without a configuration.
    fn of_mappings(&self, facility: &FacilityId) -> anyhow::Result<Result<Vec<Job>, Exit>> {
        let mut said: Vec<(String, Vec<PathBuf>)> = Vec::new();
        if self.what[0].contains('=') {
            for one in &self.what {
                let Some((name, path)) = one.split_once('=') else {
                    complain(&format!("{one}: write MAPPING=PATH"));
                    return Ok(Err(Exit::Usage));
                };
                match said.iter_mut().find(|(known, _)| known == name) {
                    Some((_, paths)) => paths.push(path.into()),
                    None => said.push((name.to_owned(), vec![path.into()])),
                }
            }
        } else {
            let paths: Vec<PathBuf> = self.what[1..].iter().map(PathBuf::from).collect();
            if paths.is_empty() {
                complain("no files are named: write MAPPING PATH…");
                return Ok(Err(Exit::Usage));
            }
            said.push((self.what[0].clone(), paths));
        }
        let mut jobs = Vec::new();
        for (name, paths) in said {
            let reads = if map_local::is_local(&name) {
                let Some((mapping, _)) = map_local::load(&name)? else {
                    return Ok(Err(Exit::Data));
                };
                by_mapping(mapping, Options::new(facility.clone()))?
            } else if let Some(known) = renkei_mappings::NAMES.iter().find(|known| **known == name)
            {
                Reads::Messages(Arc::new(ByFacility::named(known)), None)
            } else {
                complain(&format!(
                    "{name}: no such mapping; there are {}, and YAML files",
                    renkei_mappings::NAMES.join(", ")
                ));
                return Ok(Err(Exit::Usage));
            };
            jobs.push(Job { name, reads, paths });
        }
        Ok(Ok(jobs))
    }

    /// What the command line says beside a configuration.
    fn of_sources(
        &self,
        config: &Path,
        facility: &FacilityId,
    ) -> anyhow::Result<Result<Vec<Job>, Exit>> {
        let checked = match Checked::read(config) {
            Ok(checked) => checked,
            Err(problems) => return Ok(Err(super::check::report(&problems))),
        };
        let mut jobs: Vec<Job> = Vec::new();
        for (name, source) in &checked.sources {
            let paths: Vec<PathBuf> = self
                .what
                .iter()
                .filter_map(|one| match one.split_once('=') {
                    Some((own, path)) => (own == name.as_str()).then(|| PathBuf::from(path)),
                    None => Some(Path::new(one).join(name.as_str())).filter(|path| path.exists()),
                })
                .collect();
            if paths.is_empty() {
                continue;
            }
            let by = checked.mapping_of(name, source);
            let (shown, reads) = match by.local() {
                Some(mapping) => {
                    let shown = format!("{name} ({})", mapping.id());
                    let reads = if mapping.is_overlay() {
                        Reads::Messages(Arc::new(by), Some(mapping))
                    } else {
                        Reads::Files(mapping, by.options(facility))
                    };
                    (shown, reads)
                }
                None => {
                    let shown = format!("{name} ({})", by.id().name);
                    (shown, Reads::Messages(Arc::new(by), None))
                }
            };
            jobs.push(Job {
                name: shown,
                reads,
                paths,
            });
        }
        let is_known = |name: &str| checked.sources.iter().any(|(own, _)| own.as_str() == name);
        let mut named = self.what.iter().filter_map(|one| one.split_once('='));
        if let Some((unknown, _)) = named.find(|(name, _)| !is_known(name)) {
            complain(&format!("{unknown}: the configuration has no such source"));
            return Ok(Err(Exit::Usage));
        }
        if jobs.is_empty() {
            complain("no folder bears the name of a source: write SOURCE=PATH");
            return Ok(Err(Exit::Usage));
        }
        Ok(Ok(jobs))
    }
}

fn by_mapping(mapping: Mapping, options: Options) -> anyhow::Result<Reads> {
    let mapping = Arc::new(mapping);
    if !mapping.is_overlay() {
        return Ok(Reads::Files(mapping, options));
    }
    let mapper = LocalMapper::new((*mapping).clone(), options)?;
    Ok(Reads::Messages(Arc::new(mapper), Some(mapping)))
}

impl Job {
    fn read(&self, facility: &FacilityId, now: Timestamp) -> anyhow::Result<coverage::Coverage> {
        let mut files = Vec::new();
        for path in &self.paths {
            map::collect(path, &mut files).with_context(|| path.display().to_string())?;
        }
        let mut found = coverage::Coverage::default();
        for file in &files {
            let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
            let failed = found.failed;
            match &self.reads {
                Reads::Files(mapping, options) => {
                    let name = file.file_name().unwrap_or_default().to_string_lossy();
                    let input = Input {
                        bytes: &bytes,
                        received_at: now,
                        file: &name,
                    };
                    found.add_file(input, mapping, options);
                }
                Reads::Messages(mapper, over) => {
                    let is_left =
                        |field: &str| over.as_ref().is_some_and(|over| over.is_left(field));
                    for message in map::messages(file, bytes.into(), facility, now) {
                        found.add_message(&message, &**mapper, &is_left);
                    }
                }
            }
            if found.failed > failed {
                complain(&format!("{}: could not be read", file.display()));
            }
        }
        Ok(found)
    }
}

fn shares(fields: Share, values: Share) -> String {
    let left = match fields.left {
        0 => String::new(),
        left => format!(", {left} left on purpose"),
    };
    format!(
        "{} of {} fields carried ({} %{left}), {} of {} values ({} %)",
        fields.carried,
        fields.all(),
        fields.percent(),
        values.carried,
        values.all(),
        values.percent()
    )
}

/// Fields that were not always read, those with the most lost values first.
fn unread(found: &coverage::Coverage) -> Vec<(&String, &Tally)> {
    let mut unread: Vec<(&String, &Tally)> = found
        .fields
        .iter()
        .filter(|(_, tally)| tally.unread > 0)
        .collect();
    unread.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.unread));
    unread
}

fn print(name: &str, found: &coverage::Coverage) {
    say(&format!(
        "{name}: {}; {} records, {} failed",
        shares(found.of_fields(), found.of_values()),
        found.records,
        found.failed
    ));
    for (field, tally) in unread(found) {
        let kinds: Vec<String> = tally
            .unread_in
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        let kinds = match kinds.is_empty() {
            true => String::new(),
            false => format!(" ({})", kinds.join(", ")),
        };
        let all = tally.unread + tally.carried;
        say(&format!(
            "  not read: {field}, {} of {all}{kinds}",
            tally.unread
        ));
    }
    for (code, count) in &found.findings {
        say(&format!("  found: {code} {count} ({})", code.title()));
    }
}

fn as_json(name: &str, found: &coverage::Coverage) -> serde_json::Value {
    let share = |share: Share| json!({"carried": share.carried, "unread": share.unread, "left_on_purpose": share.left, "percent": share.percent()});
    let unread: Vec<_> = unread(found)
        .into_iter()
        .map(|(field, tally)| {
            json!({"field": field, "unread": tally.unread, "of": tally.unread + tally.carried, "in": tally.unread_in})
        })
        .collect();
    let findings: serde_json::Map<String, serde_json::Value> = found
        .findings
        .iter()
        .map(|(code, count)| (code.to_string(), json!(count)))
        .collect();
    json!({
        "mapping": name,
        "records": found.records,
        "failed": found.failed,
        "fields": share(found.of_fields()),
        "values": share(found.of_values()),
        "unread": unread,
        "findings": findings,
    })
}
