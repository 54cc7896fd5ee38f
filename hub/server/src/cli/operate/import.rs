//! `renkei import`: consents, channels and people from CSV files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use renkei_core::{Code, FacilityId, LocalId};
use serde::Deserialize;

use super::csv_file::{self, RefusedRow, Rows};
use super::{ConfigFile, Exit, MaybeNamed, Opened, Printing, Refusal, complain, say, word};
use crate::store::Store as _;
use crate::store::operator::{
    By, ChannelRow, ConsentRow, Import as How, Operator as _, RowOutcome, RowResult,
};

/// Takes consents, channels or people from a CSV file.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Consent forms; a valid one enrols its patient.
    Consents {
        #[command(flatten)]
        file: File,
        /// Judge again what was denied for want of these consents in the last 30 days.
        #[arg(long)]
        back_deliver: bool,
    },
    /// Groups, rooms and ward patients with whom they are about.
    Channels {
        #[command(flatten)]
        file: File,
    },
    /// Patients to enrol.
    People {
        #[command(flatten)]
        file: File,
    },
}

#[derive(Debug, clap::Args)]
struct File {
    /// The CSV file: UTF-8 or CP932, header as in ops/example. Refused rows go to FILE.errors.csv.
    file: PathBuf,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
    /// Who does this; may be left out in a dry run.
    #[arg(long, value_name = "NAME", value_parser = super::words, required_unless_present = "dry_run")]
    by: Option<String>,
}

impl File {
    fn by(&self, opened: &Opened) -> By {
        opened.by(self.by.as_deref().unwrap_or("dry run"), "")
    }
}

impl Import {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        match &self.what {
            What::Consents { file, back_deliver } => {
                let rows: Rows<ConsentRow> = csv_file::read(&file.file, csv_file::CONSENTS)?;
                let how = How {
                    dry_run: file.dry_run,
                    back_deliver: *back_deliver,
                };
                let (numbers, good): (Vec<_>, Vec<_>) = rows.good.into_iter().unzip();
                let by = file.by(&opened);
                let results = opened.ledger.import_consents(&good, &by, how).await?;
                let results = renumbered(results, &numbers, rows.refused);
                finish(&file.file, results, file.dry_run, self.printing)
            }
            What::Channels { file } => {
                let rows: Rows<ChannelRow> = csv_file::read(&file.file, csv_file::CHANNELS)?;
                let how = How {
                    dry_run: file.dry_run,
                    back_deliver: false,
                };
                let (numbers, good): (Vec<_>, Vec<_>) = rows.good.into_iter().unzip();
                let by = file.by(&opened);
                let results = opened.ledger.import_channels(&good, &by, how).await?;
                let results = renumbered(results, &numbers, rows.refused);
                finish(&file.file, results, file.dry_run, self.printing)
            }
            What::People { file } => {
                let by = file.by(&opened);
                people(&opened, &file.file, &by, file.dry_run, self.printing).await
            }
        }
    }
}

/// Enrols the rows of a file by the login name or `--by`; the other door to `import people`.
pub(super) async fn enrol_file(
    opened: &Opened,
    file: &Path,
    named: &MaybeNamed,
    printing: Printing,
) -> anyhow::Result<Exit> {
    let by = opened.by(&named.actor(), "");
    people(opened, file, &by, false, printing).await
}

#[derive(Deserialize)]
struct PersonRow {
    facility: String,
    local_id: String,
}

impl PersonRow {
    fn checked(self) -> Result<(FacilityId, LocalId), &'static str> {
        let facility =
            FacilityId::new(&self.facility).map_err(|_| "facility is not a facility number")?;
        if self.local_id.is_empty() {
            return Err("local_id is needed");
        }
        Ok((facility, LocalId::new(self.local_id)))
    }
}

async fn people(
    opened: &Opened,
    file: &Path,
    by: &By,
    dry_run: bool,
    printing: Printing,
) -> anyhow::Result<Exit> {
    let mut rows: Rows<PersonRow> = csv_file::read(file, csv_file::PEOPLE)?;
    let mut known: std::collections::BTreeSet<_> =
        opened.ledger.enrolled().await?.into_iter().collect();
    let (mut new, mut results) = (Vec::new(), Vec::new());
    for (row, person) in std::mem::take(&mut rows.good) {
        let outcome = match person.checked() {
            Ok(pair) if known.insert(pair.clone()) => {
                new.push(pair);
                RowOutcome::Added
            }
            Ok(_) => RowOutcome::Unchanged,
            Err(reason) => {
                rows.refused.push(RefusedRow {
                    row,
                    code: Code::CFG_CSV_ROW,
                    reason: reason.to_owned(),
                });
                continue;
            }
        };
        results.push(RowResult {
            row,
            outcome,
            code: None,
            why: String::new(),
        });
    }
    if !dry_run && !new.is_empty() {
        opened.ledger.enrol(&new, by).await?;
    }
    let results = with_refused(results, rows.refused);
    finish(file, results, dry_run, printing)
}

/// The ledger's answers with the row numbers of the file, and the rows it never saw.
fn renumbered(
    mut results: Vec<RowResult>,
    numbers: &[usize],
    refused: Vec<RefusedRow>,
) -> Vec<RowResult> {
    for result in &mut results {
        if let Some(number) = result.row.checked_sub(1).and_then(|at| numbers.get(at)) {
            result.row = *number;
        }
    }
    with_refused(results, refused)
}

fn with_refused(mut results: Vec<RowResult>, refused: Vec<RefusedRow>) -> Vec<RowResult> {
    results.extend(refused.into_iter().map(|row| RowResult {
        row: row.row,
        outcome: RowOutcome::Refused,
        code: Some(row.code),
        why: row.reason,
    }));
    results.sort_by_key(|result| result.row);
    results
}

/// Prints what became of the rows and writes the refused ones beside the file.
fn finish(
    file: &Path,
    results: Vec<RowResult>,
    dry_run: bool,
    printing: Printing,
) -> anyhow::Result<Exit> {
    let shown: Vec<&RowResult> = results
        .iter()
        .filter(|result| dry_run || printing.json || !result.why.is_empty())
        .filter(|result| printing.json || result.outcome != RowOutcome::Unchanged)
        .collect();
    if printing.json || !shown.is_empty() {
        printing.list(&shown, &["row", "outcome", "code", "why"], |result| {
            vec![
                result.row.to_string(),
                word(&result.outcome),
                super::or_dash(result.code),
                result.why.clone(),
            ]
        })?;
    }
    if !printing.json {
        say(&summary(&results, dry_run));
    }
    let refused: Vec<RefusedRow> = results
        .into_iter()
        .filter(|result| result.outcome == RowOutcome::Refused)
        .map(|result| RefusedRow {
            row: result.row,
            code: result.code.unwrap_or(Code::CFG_CSV_ROW),
            reason: result.why,
        })
        .collect();
    let mut beside = file.as_os_str().to_owned();
    beside.push(".errors.csv");
    let beside = PathBuf::from(beside);
    if refused.is_empty() {
        return Ok(Exit::Done);
    }
    if dry_run {
        complain(&format!("{} rows would be refused", refused.len()));
    } else {
        csv_file::write_refused(&beside, &refused)
            .map_err(|error| Refusal::Data(format!("{}: {error}", beside.display())))?;
        complain(&format!(
            "{} rows refused: {}",
            refused.len(),
            beside.display()
        ));
    }
    Ok(Exit::Data)
}

/// `dry run: 3 added, 1 refused`
fn summary(results: &[RowResult], dry_run: bool) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for result in results {
        *counts.entry(word(&result.outcome)).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    let text = if counts.is_empty() {
        "no rows".to_owned()
    } else {
        counts.join(", ")
    };
    if dry_run {
        format!("dry run: {text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(row: usize, outcome: RowOutcome) -> RowResult {
        RowResult {
            row,
            outcome,
            code: None,
            why: String::new(),
        }
    }

    #[test]
    fn answers_carry_the_row_numbers_of_the_file() {
        let refused = vec![RefusedRow {
            row: 2,
            code: Code::CFG_CSV_ROW,
            reason: "short".to_owned(),
        }];
        let answers = vec![
            result(1, RowOutcome::Added),
            result(2, RowOutcome::Unchanged),
        ];
        let all = renumbered(answers, &[1, 3], refused);
        let rows: Vec<_> = all
            .iter()
            .map(|result| (result.row, result.outcome))
            .collect();
        assert_eq!(
            rows,
            [
                (1, RowOutcome::Added),
                (2, RowOutcome::Refused),
                (3, RowOutcome::Unchanged)
            ]
        );
        assert_eq!(
            summary(&all, true),
            "dry run: 1 added, 1 refused, 1 unchanged"
        );
        assert_eq!(summary(&[], false), "no rows");
    }

    #[test]
    fn refused_rows_stand_beside_the_file_and_exit_65() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people.csv");
        let printing = Printing { json: false };
        let mut bad = result(4, RowOutcome::Refused);
        bad.code = Some(Code::RTE_CONSENT_MISMATCH);
        bad.why = "another kana".to_owned();
        let results = vec![result(1, RowOutcome::Added), bad];
        let beside = folder.path().join("people.csv.errors.csv");
        assert_eq!(
            finish(&file, results.clone(), true, printing).unwrap(),
            Exit::Data
        );
        assert!(!beside.exists(), "a dry run writes nothing");
        assert_eq!(finish(&file, results, false, printing).unwrap(), Exit::Data);
        assert_eq!(
            std::fs::read_to_string(beside).unwrap(),
            "row,code,reason\n4,RNK-RTE-014,another kana\n"
        );
    }
}
