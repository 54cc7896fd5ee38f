//! `renkei map` for local mappings: check, test, explain, coverage, tables, and the dry run of a YAML file.
//! Nothing is stored or sent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use renkei_core::{Clock as _, Finding, SystemClock};
use renkei_mappings::local::{
    Dialect, Input, Library as _, LocalMapper, Mapping, Piece, Report, Shipped, for_editors,
};
use renkei_mappings::{Options, bundle};

use super::map_coverage::Coverage;
use super::map_tables::Tables;
use super::{Exit, complain, say};
use crate::normalize::library::Folder;

/// What to do with local mappings.
#[derive(Debug, clap::Subcommand)]
pub enum Local {
    /// Says everything that is wrong with mappings, with line and column
    Check {
        /// Mapping files (YAML), or names such as builtin/lab-csv.
        #[arg(required = true)]
        mappings: Vec<String>,
    },
    /// Runs the tests that stand beside mappings
    Test {
        /// Mapping files (YAML), or names such as builtin/lab-csv.
        #[arg(required = true)]
        mappings: Vec<String>,
    },
    /// Checks and tests a mapping, and again at every save, until Ctrl-C
    Watch {
        /// A mapping file (YAML).
        mapping: String,
    },
    /// Prints the JSON Schema of mapping files, for editors
    Schema,
    /// Where each element of the output comes from
    Explain {
        /// A mapping file (YAML), or a name such as builtin/lab-csv.
        mapping: String,
        /// Only elements whose name holds this.
        element: Option<String>,
        /// Print one JSON object per line instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Which fields of real files a mapping carries, and which nobody reads
    Coverage(Coverage),
    /// Code tables between the sheets people keep and the files mappings use
    Table {
        /// Into which direction.
        #[command(subcommand)]
        command: Tables,
    },
}

/// Whether a name means a local mapping: a YAML file, or one that comes with renkei.
pub fn is_local(name: &str) -> bool {
    [".yaml", ".yml"]
        .iter()
        .any(|ending| name.ends_with(ending))
        || name.starts_with("builtin/")
}

/// Loads a mapping by file or name; what is wrong goes to stderr.
pub(super) fn load(name: &str) -> anyhow::Result<Option<(Mapping, Folder)>> {
    let (text, folder) = match Shipped.mapping(name) {
        Some(text) => (text.into_owned(), Folder::of(Path::new(""))),
        None => {
            let text = std::fs::read_to_string(name).with_context(|| name.to_owned())?;
            (text, Folder::of(Path::new(name)))
        }
    };
    match Mapping::load(name, &text, &folder) {
        Ok(mapping) => Ok(Some((mapping, folder))),
        Err(problems) => {
            complain(&problems.to_string());
            Ok(None)
        }
    }
}

impl Local {
    /// Does it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Check { mappings } => check(&mappings),
            Self::Test { mappings } => test(&mappings),
            Self::Watch { mapping } => watch(&mapping),
            Self::Schema => {
                say(&serde_json::to_string_pretty(&for_editors())?);
                Ok(Exit::Done)
            }
            Self::Explain {
                mapping,
                element,
                json,
            } => explain(&mapping, element.as_deref(), json),
            Self::Coverage(coverage) => coverage.run(),
            Self::Table { command } => command.run(),
        }
    }
}

/// A dialect by file; `None` when the name is none. What is wrong goes to stderr.
fn dialect(name: &str) -> anyhow::Result<Option<Result<Dialect, ()>>> {
    if Shipped.mapping(name).is_some() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(name).with_context(|| name.to_owned())?;
    if !Dialect::is_one(&text) {
        return Ok(None);
    }
    let loaded = Dialect::load(name, &text, &Folder::of(Path::new(name)));
    Ok(Some(loaded.map_err(|problems| {
        complain(&problems.to_string());
    })))
}

fn check(names: &[String]) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    for name in names {
        match dialect(name)? {
            None => {}
            Some(Err(())) => {
                exit = Exit::Data;
                continue;
            }
            Some(Ok(dialect)) => {
                say(&format!(
                    "{name}: {}, a dialect of {} ({}), {} calls",
                    dialect.id(),
                    dialect.speaks(),
                    dialect.hash(),
                    dialect.calls()
                ));
                continue;
            }
        }
        let Some((mapping, _)) = load(name)? else {
            exit = Exit::Data;
            continue;
        };
        let fields = mapping.fields();
        let unread: Vec<&str> = fields
            .iter()
            .filter(|(_, read)| !read)
            .map(|(name, _)| name.as_str())
            .collect();
        say(&format!(
            "{name}: {} version {} ({}), {} elements, {} of {} named fields read{}",
            mapping.id(),
            mapping.version(),
            mapping.hash(),
            mapping.lineage().len(),
            fields.len() - unread.len(),
            fields.len(),
            if unread.is_empty() {
                String::new()
            } else {
                format!("; not read: {}", unread.join(" "))
            }
        ));
    }
    Ok(exit)
}

fn test(names: &[String]) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    for name in names {
        let outcomes = match dialect(name)? {
            Some(loaded) => loaded.ok().map(|dialect| dialect.test()),
            None => load(name)?.map(|(mapping, folder)| mapping.test(&folder)),
        };
        let Some(outcomes) = outcomes else {
            exit = Exit::Data;
            continue;
        };
        if outcomes.is_empty() {
            say(&format!("{name}: no tests"));
        }
        for outcome in outcomes {
            let holds = outcome.problems.is_empty();
            say(&format!(
                "{name}: {}: {}",
                outcome.name,
                if holds { "ok" } else { "FAILED" }
            ));
            for problem in outcome.problems {
                complain(&problem.to_string());
                exit = Exit::Data;
            }
        }
    }
    Ok(exit)
}

/// How often a mapping's folder is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// Checks and tests at every save, for ever.
#[expect(
    clippy::disallowed_methods,
    reason = "a command of its own: nothing runs beside it"
)]
fn watch(name: &str) -> anyhow::Result<Exit> {
    let names = [name.to_owned()];
    let folder = Folder::of(Path::new(name));
    let mut seen = None;
    loop {
        let now = folder.look();
        if seen.as_ref() != Some(&now) {
            seen = Some(now);
            // An editor may put a new file in the place of the old one: not there for a moment is no end.
            let fine = match check(&names) {
                Ok(Exit::Done) => test(&names).unwrap_or(Exit::Data) == Exit::Done,
                Ok(_) => false,
                Err(error) => {
                    complain(&renkei_core::chain(error.as_ref()));
                    false
                }
            };
            say(if fine { "-- fine" } else { "-- not yet" });
        }
        std::thread::sleep(LOOK);
    }
}

fn explain(name: &str, element: Option<&str>, json: bool) -> anyhow::Result<Exit> {
    let Some((mapping, _)) = load(name)? else {
        return Ok(Exit::Data);
    };
    for line in mapping.lineage() {
        if element.is_some_and(|part| !line.element.contains(part)) {
            continue;
        }
        if json {
            say(&serde_json::to_string(&serde_json::json!({
                "element": line.element,
                "expression": line.expression,
                "fields": line.fields,
                "file": line.file,
                "line": line.line,
            }))?);
        } else {
            say(&format!(
                "{}  <-  {}  ({}:{})",
                line.element, line.expression, line.file, line.line
            ));
        }
    }
    Ok(Exit::Done)
}

/// Reads one file; what makes it unreadable goes to stderr.
fn reading(
    mapping: &Mapping,
    bytes: &[u8],
    path: &Path,
    options: &Options,
    give: &mut dyn FnMut(Piece),
) -> Option<Report> {
    let file = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let input = Input {
        bytes,
        received_at: SystemClock.now(),
        file: &file,
    };
    let made = LocalMapper::new(mapping.clone(), options.clone())
        .ok()?
        .read(input, give);
    made.map_err(|error| {
        complain(&format!(
            "{}: {error}: {}",
            path.display(),
            error.code.title()
        ))
    })
    .ok()
}

/// The dry run of `renkei map … --with FILE.yaml`: one line per draft or row, one at the end of each file; or a
/// Bundle per draft alone.
///
/// # Errors
/// When a file cannot be read.
pub fn dry_run(
    name: &str,
    files: &[PathBuf],
    options: &Options,
    as_bundle: bool,
) -> anyhow::Result<Exit> {
    let Some((mapping, _)) = load(name)? else {
        return Ok(Exit::Data);
    };
    let mut exit = Exit::Done;
    for path in files {
        let bytes = with_partners(&mapping, path, files)?;
        let file = path.display().to_string();
        let mut index = 0;
        let now = SystemClock.now();
        let report = reading(&mapping, &bytes, path, options, &mut |piece| {
            match &piece {
                Piece::Draft(draft) if as_bundle => say(&bundle::collection_bundle(now, draft)),
                _ => say(&line(&file, index, &piece)),
            }
            index += 1;
        });
        let Some(report) = report else {
            exit = Exit::Data;
            continue;
        };
        if as_bundle {
            continue;
        }
        let findings: &[Finding] = &report.findings;
        say(&serde_json::to_string(&serde_json::json!({
            "file": file,
            "outcome": "read",
            "records": report.records,
            "findings": findings,
            "unread": report.unread,
        }))?);
    }
    Ok(exit)
}

/// A file, with the records it lacks out of those it is given with: a laboratory may send orders and results
/// in files of their own.
fn with_partners(mapping: &Mapping, path: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<u8>> {
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    let bytes = read(path)?;
    if !mapping.lacks_partners(&bytes) {
        return Ok(bytes);
    }
    let others = files.iter().filter(|other| *other != path);
    let others = others
        .map(|other| read(other))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let others: Vec<&[u8]> = others.iter().map(Vec::as_slice).collect();
    Ok(mapping.completed(&bytes, &others).unwrap_or(bytes))
}

/// One piece as one line of JSON, numbers spelled as they are.
fn line(file: &str, index: usize, piece: &Piece) -> String {
    let file = serde_json::to_string(file).unwrap_or_default();
    match piece {
        Piece::Row { json, at, .. } => {
            format!("{{\"file\":{file},\"index\":{index},\"at\":\"{at}\",\"row\":{json}}}")
        }
        Piece::Payload(json) => format!("{{\"file\":{file},\"index\":{index},\"payload\":{json}}}"),
        Piece::Draft(draft) => {
            let bodies: Vec<&str> = draft
                .resources
                .iter()
                .map(|resource| resource.body.expose().as_str())
                .collect();
            let withdrawn: Vec<String> = draft
                .withdrawals
                .iter()
                .map(|withdrawal| withdrawal.key.reference())
                .collect();
            let outcome = if draft.findings.is_empty() {
                "mapped"
            } else {
                "mapped_with_findings"
            };
            let json = |value: Result<String, serde_json::Error>| {
                value.unwrap_or_else(|_| "[]".to_owned())
            };
            format!(
                "{{\"file\":{file},\"index\":{index},\"outcome\":\"{outcome}\",\"resources\":[{}],\"withdrawn\":{},\"findings\":{},\"unread\":{}}}",
                bodies.join(","),
                json(serde_json::to_string(&withdrawn)),
                json(serde_json::to_string(&draft.findings)),
                json(serde_json::to_string(&draft.unread)),
            )
        }
    }
}
