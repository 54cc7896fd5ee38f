//! `renkei map table`: code tables between the sheets people keep and the files mappings use.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use renkei_mappings::local::{Library as _, Shipped, Table, accept, propose, workbook_as_csv};

use super::map_local::{is_local, load};
use super::{Exit, complain, say};

/// `renkei map table`.
#[derive(Debug, clap::Subcommand)]
pub enum Tables {
    /// Prints the table of a CSV file or an Excel sheet as a mapping reads it, after checking it
    Import {
        /// A CSV file (UTF-8 or CP932) or a workbook (.xlsx); the first column is the code.
        sheet: PathBuf,
        /// Which sheet of a workbook. Default: the first.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Lines above the header.
        #[arg(long, value_name = "LINES", default_value_t = 0)]
        skip: usize,
        /// Where the table comes from; kept as its first line.
        #[arg(long, value_name = "TEXT")]
        origin: Option<String>,
    },
    /// Proposes JLAC10 codes for a laboratory's own codes by their names; a person accepts
    Propose {
        /// A table of the laboratory's codes: code, name, perhaps a column `material`.
        own: PathBuf,
        /// The table to choose from: JLAC10, name. Such as the list of 臨床検査項目分類コード.
        #[arg(long, value_name = "TABLE")]
        from: PathBuf,
    },
    /// Prints the table local-jlac10 out of proposals: the rows with something in `accepted`
    Accept {
        /// What `propose` printed, with the column `accepted` filled in.
        proposals: PathBuf,
    },
    /// Prints a table, or what a mapping does element by element, as CSV that Excel opens
    Export {
        /// A table file (.csv), a mapping file (.yaml), or the name of a table that comes with renkei.
        what: String,
    },
}

impl Tables {
    /// Does it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Import {
                sheet,
                name,
                skip,
                origin,
            } => import(&sheet, name.as_deref(), skip, origin),
            Self::Propose { own, from } => {
                let (Some(own), Some(from)) = (table(&own)?, table(&from)?) else {
                    return Ok(Exit::Data);
                };
                say(&format!(
                    "{MARK}{}",
                    propose(&own, &from).to_csv().trim_end()
                ));
                Ok(Exit::Done)
            }
            Self::Accept { proposals } => accepted(&proposals),
            Self::Export { what } => export(&what),
        }
    }
}

fn import(
    sheet: &Path,
    name: Option<&str>,
    skip: usize,
    origin: Option<String>,
) -> anyhow::Result<Exit> {
    let bytes = std::fs::read(sheet).with_context(|| sheet.display().to_string())?;
    let is_workbook = sheet
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("xlsx"));
    let text = if is_workbook {
        workbook_as_csv(&bytes, name)
    } else {
        Some(renkei_mappings::local::text_of(&bytes))
    };
    let Some(text) = text else {
        complain(&format!(
            "{}: no workbook, or no sheet of this name",
            sheet.display()
        ));
        return Ok(Exit::Data);
    };
    let body: String = text
        .lines()
        .skip(skip)
        .map(|line| format!("{line}\n"))
        .collect();
    match Table::parse(&body) {
        Ok(mut table) => {
            table
                .remarks
                .extend(origin.map(|origin| format!("origin: {origin}")));
            say(table.to_csv().trim_end());
            Ok(Exit::Done)
        }
        Err(error) => {
            complain(&format!("{}: {error}", sheet.display()));
            Ok(Exit::Data)
        }
    }
}

/// Reads a table file; what is wrong with it goes to stderr.
fn table(path: &Path) -> anyhow::Result<Option<Table>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let text = renkei_mappings::local::text_of(&bytes);
    match Table::parse(&text) {
        Ok(table) => Ok(Some(table)),
        Err(error) => {
            complain(&format!("{}: {error}", path.display()));
            Ok(None)
        }
    }
}

fn accepted(path: &Path) -> anyhow::Result<Exit> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let text = renkei_mappings::local::text_of(&bytes);
    // Not a `Table`: a code has several candidates.
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.trim_start_matches('\u{FEFF}').as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => rows.push(record.iter().map(str::to_owned).collect::<Vec<_>>()),
            Err(error) => {
                complain(&format!("{}: {error}", path.display()));
                return Ok(Exit::Data);
            }
        }
    }
    let columns = if rows.is_empty() {
        Vec::new()
    } else {
        rows.remove(0)
    };
    match accept(&rows, &columns) {
        Ok(table) => {
            say(table.to_csv().trim_end());
            Ok(Exit::Done)
        }
        Err(error) => {
            complain(&format!("{}: {error}", path.display()));
            Ok(Exit::Data)
        }
    }
}

/// A byte order mark tells Excel that a CSV file is UTF-8.
const MARK: &str = "\u{FEFF}";

fn export(what: &str) -> anyhow::Result<Exit> {
    if is_local(what) {
        let Some((mapping, _)) = load(what)? else {
            return Ok(Exit::Data);
        };
        let columns = ["element", "expression", "fields", "file", "line"]
            .map(str::to_owned)
            .to_vec();
        let rows = mapping.lineage().iter().map(|line| {
            vec![
                line.element.clone(),
                line.expression.clone(),
                line.fields.join(" "),
                line.file.clone(),
                line.line.to_string(),
            ]
        });
        say(&format!(
            "{MARK}{}",
            Table::sheet(columns, rows.collect()).to_csv().trim_end()
        ));
        return Ok(Exit::Done);
    }
    let text = match Shipped.table(what) {
        Some(text) => text.into_owned(),
        None => std::fs::read_to_string(what).with_context(|| what.to_owned())?,
    };
    match Table::parse(&text) {
        Ok(table) => {
            let sheet = Table::sheet(table.columns, table.rows);
            say(&format!("{MARK}{}", sheet.to_csv().trim_end()));
            Ok(Exit::Done)
        }
        Err(error) => {
            complain(&format!("{what}: {error}"));
            Ok(Exit::Data)
        }
    }
}
