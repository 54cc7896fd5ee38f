//! `renkei backup` and `restore`: one state of everything, and back.

use std::path::PathBuf;

use jiff::Timestamp;
use renkei_core::Code;
use serde_json::json;

use super::{ConfigFile, Exit, Named, Opened, Printing, Refusal, complain, json_line, say};
use crate::backup::{self, BackupError};
use crate::store::keeper::{Finding, Restored, Stopped};
use crate::store::operator::By;

/// Copies the ledger and its files as one state, beside a running hub.
#[derive(Debug, clap::Args)]
pub(crate) struct Backup {
    /// An empty folder, or one that is not there yet.
    to: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

/// What the operator can correct, else a fault.
fn refused(error: BackupError) -> anyhow::Error {
    match error {
        BackupError::Damaged(_) | BackupError::NotEmpty(_) => {
            Refusal::Data(error.to_string()).into()
        }
        BackupError::Store(error) => error.into(),
        error => error.into(),
    }
}

impl Backup {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let opened = Opened::of(&self.config).await?;
        if opened.checked.place.server.is_some() {
            let code = Code::LDG_SERVER;
            return Err(Refusal::Usage(format!("{code}: {}", code.title())).into());
        }
        let manifest = backup::take(&opened.checked.data_dir, &self.to, opened.clock.now())
            .await
            .map_err(refused)?;
        if self.printing.json {
            json_line(&manifest)?;
        } else {
            let rows = |table: &str| manifest.inventory.rows.get(table).copied().unwrap_or(0);
            say(&format!(
                "{} messages, {} resources, {} deliveries, {} files; {} MiB",
                rows("message"),
                rows("resource"),
                rows("delivery"),
                manifest.blobs,
                (manifest.ledger_bytes + manifest.blob_bytes) >> 20
            ));
        }
        for name in &manifest.missing {
            complain(&format!(
                "file {name} is named and not there: renkei verify"
            ));
        }
        Ok(if manifest.missing.is_empty() {
            Exit::Done
        } else {
            Exit::Data
        })
    }
}

/// Makes a ledger from a backup, checked first. Nothing goes out by itself afterwards.
#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// The backup.
    #[arg(required_unless_present = "in_place", requires = "to")]
    from: Option<PathBuf>,
    /// An empty folder, or one that is not there yet: the `hub.data_dir` of the hub to come.
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// The configured ledger was restored by the tools of its server: only hold back what it would tell.
    #[arg(long, conflicts_with_all = ["from", "to"], requires = "taken_at")]
    in_place: bool,
    /// When that backup was taken. Example: 2027-01-31T03:00:00+09:00.
    #[arg(long, value_name = "TIME")]
    taken_at: Option<Timestamp>,
    /// You know that the hub has told nobody anything since the backup (it was stopped, and is moved): what
    /// was pending goes on. Otherwise it waits for a named person (RNK-DLV-014, RNK-RTE-010).
    #[arg(long)]
    nothing_told_since: bool,
    #[command(flatten)]
    by: Named,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    printing: Printing,
}

impl Restore {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let now = Timestamp::now();
        let how = Restored {
            by: By {
                actor: self.by.by.clone(),
                reason: String::new(),
                at: now,
            },
            taken_at: self.taken_at.unwrap_or(now),
            nothing_told_since: self.nothing_told_since,
        };
        let (stopped, findings) = match (&self.from, &self.to) {
            (Some(from), Some(to)) => {
                let done = backup::restore(from, to, how).await.map_err(refused)?;
                (done.stopped, done.findings)
            }
            _ => {
                let checked =
                    crate::config::Checked::read(&self.config.config).map_err(Refusal::Config)?;
                backup::adopt(&checked.place, &how).await.map_err(refused)?
            }
        };
        told(stopped, &findings, self.printing)
    }
}

fn told(stopped: Stopped, findings: &[Finding], printing: Printing) -> anyhow::Result<Exit> {
    if printing.json {
        json_line(&json!({ "held": stopped, "findings": findings }))?;
    } else {
        say(&format!(
            "restored; held for a named person: {} deliveries, what follows from {} notices and {} messages",
            stopped.deliveries, stopped.notices, stopped.messages
        ));
    }
    for finding in findings {
        complain(&format!(
            "{}: {}: {}",
            finding.check, finding.at, finding.repair
        ));
    }
    Ok(if findings.is_empty() {
        Exit::Done
    } else {
        Exit::Data
    })
}
